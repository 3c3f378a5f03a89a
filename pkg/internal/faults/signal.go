//go:build linux

package faults

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"testing"
	"time"
)

// SignalAt starts a program that calls [Enter] with file 3, sends it a signal when it
// is about to make the first call that at is looking for, and returns its exit status,
// what it printed on both streams, and how long it lived after the signal. The call is
// made when the program has the signal.
func SignalAt(t testing.TB, cmd *exec.Cmd, signal syscall.Signal, at func(Call) bool) (status int, printed string, took time.Duration) {
	t.Helper()
	ours, childs, err := Socket()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.ExtraFiles, cmd.Stdout, cmd.Stderr = []*os.File{childs}, &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	childs.Close()
	var sent time.Time
	received := false
	err = Watch(ours, func(c Call) syscall.Errno {
		if sent.IsZero() && at(c) {
			sent = time.Now()
			cmd.Process.Signal(signal)
		}
		if sent.IsZero() || received {
			return 0
		}
		// It may be for the thread that waits for this call: then that must go on, and the next call waits.
		for begun := time.Now(); !received && time.Since(begun) < time.Second; time.Sleep(time.Millisecond) {
			received = !pending(cmd.Process.Pid, signal)
		}
		if received {
			time.Sleep(300 * time.Millisecond) // from its handler to those who wait for it
		}
		return 0
	})
	ended := cmd.Wait()
	var exit *exec.ExitError
	if err != nil || ended != nil && !errors.As(ended, &exit) {
		t.Fatal(err, ended)
	}
	if sent.IsZero() {
		if bytes.Contains(out.Bytes(), []byte(notAsked)) {
			t.Skip(out.String())
		}
		t.Fatalf("it came to its end (%v) without the call at which it is to be stopped\n%s", ended, out.String())
	}
	return cmd.ProcessState.ExitCode(), out.String(), time.Since(sent)
}

var waiting = regexp.MustCompile(`(?m)^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$`)

// pending reports whether a signal waits to be delivered to a process that lives.
func pending(pid int, signal syscall.Signal) bool {
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if bytes.Contains(raw, []byte("State:\tZ")) {
		return false
	}
	for _, m := range waiting.FindAllSubmatch(raw, -1) {
		var set uint64
		if _, err := fmt.Sscanf(string(m[1]), "%x", &set); err == nil && set>>(signal-1)&1 == 1 {
			return true
		}
	}
	return false
}
