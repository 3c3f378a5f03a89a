package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// fakeSMI puts a program named nvidia-smi first in PATH.
func fakeSMI(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "nvidia-smi"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	silent.since = time.Time{}
}

func TestGPUMemoryIsWhatTheDriverSays(t *testing.T) {
	const answers = `case "$1" in
*query-gpu*) echo "81559, 81000"; echo "[N/A], [N/A]"; echo "24564, 4564";;
*) %s;;
esac
`
	fakeSMI(t, fmt.Sprintf(answers, fmt.Sprintf(`echo "1, 500"; echo "%d, 1200"; echo "%d, 34"`, os.Getpid(), os.Getpid())))
	got := GPUMemory()
	if len(got) != 2 || got[0] != (Memory{81559 * MB, 81000 * MB}) || got[1].Available != 4564*MB {
		t.Errorf("GPU memory %v", got)
	}
	if got := ProcessGPUMemory(); got != 1234*MB {
		t.Errorf("this process holds %d MB, want 1234", got/MB)
	}
	fakeSMI(t, fmt.Sprintf(answers, `echo "1, 500"`))
	if got := ProcessGPUMemory(); got != (559+20000)*MB {
		t.Errorf("all processes hold %d MB, want 20559", got/MB)
	}
}

func TestTheGPUsThatCUDAShowsCount(t *testing.T) {
	const a, b, c = 1000 * MB, 200 * MB, 30 * MB // free
	for _, k := range []struct {
		smi, visible, order string
		want                []int64
	}{
		{"81559, 1000\n81559, 200\n81559, 30", "", "", []int64{a, b, c}},
		{"81559, 1000\n81559, 200\n81559, 30", "2, 0", "", []int64{c, a}},
		{"81559, 1000\n81559, 200\n81559, 30", "GPU-5a1", "", nil},
		{"81559, 1000\n81559, 200\n81559, 30", "7", "", nil},
		{"81559, 1000\n24564, 200", "", "", nil},
		{"81559, 1000\n24564, 200", "1", "PCI_BUS_ID", []int64{b}},
	} {
		fakeSMI(t, "printf '"+k.smi+"\n'")
		t.Setenv("CUDA_DEVICE_ORDER", k.order)
		if t.Setenv("CUDA_VISIBLE_DEVICES", k.visible); k.visible == "" {
			os.Unsetenv("CUDA_VISIBLE_DEVICES")
		}
		var got []int64
		for _, m := range VisibleGPUMemory() {
			got = append(got, m.Available)
		}
		if !slices.Equal(got, k.want) {
			t.Errorf("%q, visible %q, order %q: free %v, want %v", k.smi, k.visible, k.order, got, k.want)
		}
	}
}

func TestNoDriverNoGPUMemory(t *testing.T) {
	fakeSMI(t, "echo 'NVIDIA-SMI has failed' >&2; exit 9")
	if got := GPUMemory(); got != nil {
		t.Errorf("GPU memory %v", got)
	}
	if got := ProcessGPUMemory(); got != 0 {
		t.Errorf("this process holds %d", got)
	}
}

// What is measured at the end of an epoch must not eat the seconds in which an
// interrupted run saves.
func TestAHangingDriverIsGivenUpAndLeftAlone(t *testing.T) {
	asked := filepath.Join(t.TempDir(), "asked")
	fakeSMI(t, "echo >> "+asked+"; sleep 20")
	began := time.Now()
	for range 3 {
		if got := ProcessGPUMemory(); got != 0 {
			t.Errorf("a driver that says nothing: %d bytes", got)
		}
	}
	if took := time.Since(began); took < meanwhile || took > 10*time.Second {
		t.Errorf("asking three times took %v, want %v once", took, meanwhile)
	}
	if raw, err := os.ReadFile(asked); err != nil || len(raw) != 1 {
		t.Errorf("nvidia-smi was started %d times (%v), want once", len(raw), err)
	}
	silent.since = time.Now().Add(-notAgain)
	ProcessGPUMemory()
	if raw, _ := os.ReadFile(asked); len(raw) != 2 {
		t.Errorf("a minute later nvidia-smi was started %d times in all, want twice", len(raw))
	}
}

func TestTheDriversVersionIsRead(t *testing.T) {
	for text, want := range map[string]int{
		"NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\nGCC version:  gcc version 12.2.0\n":             535,
		"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (dvs-builder@U16)\nGCC version:  gcc version 13.3.0\n": 580,
		"something else 1.2": 0,
		"":                   0,
	} {
		proc := t.TempDir()
		if err := os.MkdirAll(filepath.Join(proc, "driver/nvidia"), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(proc, "driver/nvidia/version"), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if got := nvidiaDriver(proc); got != want {
			t.Errorf("%q: driver %d, want %d", text, got, want)
		}
	}
	if got := nvidiaDriver(t.TempDir()); got != 0 {
		t.Errorf("no driver: %d, want 0", got)
	}
}
