package interrupt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekindle/pkg/durable"
)

// TestMain is also a program that writes a file and hangs in the middle of it.
func TestMain(m *testing.M) {
	dir := os.Getenv("INTERRUPT_TEST_HANGS_IN")
	if dir == "" {
		os.Exit(m.Run())
	}
	ctx, stop := Context()
	defer stop()
	run := Do[int]
	if os.Getenv("INTERRUPT_TEST_AT_ONCE") != "" {
		run = AtOnce[int]
	}
	_, err := run(ctx, func() (int, error) {
		f, err := durable.Create(filepath.Join(dir, "result"))
		if err == nil {
			_, err = f.WriteString("half")
		}
		fmt.Println("hangs", err)
		select {}
	})
	fmt.Println(err, errors.Is(context.Cause(ctx), context.Canceled))
	os.Exit(Status(ctx))
}

// hang starts a program that hangs with an unfinished file in dir, and waits for its
// first line, which is the one scanned of those returned.
func hang(t *testing.T, cmd *exec.Cmd, dir, how string) *bufio.Scanner {
	t.Helper()
	cmd.Env = append(os.Environ(), "INTERRUPT_TEST_HANGS_IN="+dir, how)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Scan()
	return lines
}

func TestAProgramThatHangsEndsAllTheSame(t *testing.T) {
	for _, how := range []string{"", "INTERRUPT_TEST_AT_ONCE=1"} {
		for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGXCPU} {
			t.Run(fmt.Sprint(signal, " ", how), func(t *testing.T) {
				t.Parallel() // most of it is waiting
				dir := t.TempDir()
				cmd := exec.Command(os.Args[0])
				lines := hang(t, cmd, dir, how)
				if left, _ := filepath.Glob(filepath.Join(dir, durable.TempPrefix+"*")); lines.Text() != "hangs <nil>" || len(left) != 1 {
					t.Fatalf("it says %q and has begun %q", lines.Text(), left)
				}
				began := time.Now()
				cmd.Process.Signal(signal)
				cmd.Process.Signal(signal) // a second one changes nothing
				lines.Scan()
				_ = cmd.Wait()
				took := time.Since(began)
				if status := cmd.ProcessState.ExitCode(); status != 128+int(signal) || lines.Text() != "context canceled true" || took > 30*time.Second {
					t.Errorf("exit status %d, %q, after %v", status, lines.Text(), took)
				}
				if left, _ := os.ReadDir(dir); len(left) > 0 {
					t.Errorf("it leaves %v", left)
				}
			})
		}
	}
}

func TestWhoIsToOutliveItsTerminalDoes(t *testing.T) {
	for trap, want := range map[string]string{"": "hangup", `trap "" HUP;`: "terminated"} {
		cmd := exec.Command("sh", "-c", trap+` exec "$0"`, os.Args[0])
		hang(t, cmd, t.TempDir(), "INTERRUPT_TEST_AT_ONCE=1")
		cmd.Process.Signal(syscall.SIGHUP)
		time.Sleep(100 * time.Millisecond)
		cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		number := map[string]syscall.Signal{"hangup": syscall.SIGHUP, "terminated": syscall.SIGTERM}[want]
		if status := cmd.ProcessState.ExitCode(); status != 128+int(number) {
			t.Errorf("%q: exit status %d, want that of %s", strings.TrimSpace(trap), status, want)
		}
	}
}

func TestWhatIsDoneAfterASignalCounts(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	value, err := Do(ctx, func() (string, error) {
		cancel()
		time.Sleep(20 * time.Millisecond)
		return "saved", nil
	})
	if value != "saved" || err != nil {
		t.Errorf("got %q, %v", value, err)
	}
	if _, err := Do(ctx, func() (string, error) { t.Error("more is begun"); return "", nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("what begins afterwards: %v", err)
	}
	if Status(ctx) != 130 {
		t.Errorf("the status without a signal is %d", Status(ctx))
	}
}
