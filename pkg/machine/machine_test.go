package machine

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// write makes a file with its folders under dir.
func write(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestGPUsAreThoseTheProcessMayUse(t *testing.T) {
	const h100 = "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 200\n"
	for _, c := range []struct {
		name    string
		devices []string
		listed  int
		want    []string
	}{
		{"no driver", nil, 0, nil},
		{"driver but no device lent", nil, 2, nil},
		{"one of two lent", []string{"nvidia0"}, 2, []string{"NVIDIA H100 80GB HBM3"}},
		{"device of unknown model", []string{"nvidia0"}, 0, []string{"NVIDIA GPU"}},
		{"control devices are no GPUs", []string{"nvidiactl", "nvidia-uvm"}, 1, nil},
	} {
		dev, proc := t.TempDir(), t.TempDir()
		for _, d := range c.devices {
			write(t, dev, d, "")
		}
		for i := range c.listed {
			write(t, proc, filepath.Join("driver/nvidia/gpus", string(rune('0'+i)), "information"), h100)
		}
		if got := gpus(dev, proc); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestAContainersLimitIsItsMemory(t *testing.T) {
	const meminfo = "MemTotal:       16384000 kB\nMemFree:  1 kB\nMemAvailable:   8192000 kB\n"
	for _, c := range []struct {
		limit, used string
		want        Memory
	}{
		{"", "", Memory{16384000 * 1024, 8192000 * 1024}},
		{"max\n", "5\n", Memory{16384000 * 1024, 8192000 * 1024}},
		{"1073741824\n", "73741824\n", Memory{1 << 30, 1000000000}},
		{"1073741824\n", "2073741824\n", Memory{1 << 30, 0}},
	} {
		proc, cgroup := t.TempDir(), t.TempDir()
		write(t, proc, "meminfo", meminfo)
		if c.limit != "" {
			write(t, cgroup, "memory.max", c.limit)
			write(t, cgroup, "memory.current", c.used)
		}
		if got := mainMemory(proc, cgroup); got != c.want {
			t.Errorf("limit %q: got %+v, want %+v", c.limit, got, c.want)
		}
	}
}

func TestThisProcessHoldsMemory(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("no /proc here")
	}
	now, peak := ProcessMemory()
	if now < MB/8 || peak < now {
		t.Errorf("got %d bytes now and %d at most, want more than 128 KB now and no more than the peak", now, peak)
	}
	if CPU() == "" {
		t.Error("the processor has no name")
	}
}

func TestFreeDiskAsksTheNearestFolderThereIs(t *testing.T) {
	dir := t.TempDir()
	a, err := FreeDisk(dir)
	if err != nil || a < MB {
		t.Errorf("got %d, %v; want some free space", a, err)
	}
	b, err := FreeDisk(filepath.Join(dir, "not", "there", "yet"))
	if err != nil || b < a/2 || b > 2*a {
		t.Errorf("below it %d, %v; want about %d", b, err, a)
	}
}

// Large data sets are mapped files. Counting what the system can drop at any
// time would end a run as out of memory when it has seen enough pictures.
func TestMappedFilesAreNotHeldMemory(t *testing.T) {
	const size = 64 * MB
	path := filepath.Join(t.TempDir(), "pictures")
	if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var disk unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &disk); err != nil || disk.Type == unix.TMPFS_MAGIC {
		t.Skip("temporary files lie in memory here; set TMPDIR to a folder on a disk")
	}
	debug.FreeOSMemory()
	before, _ := ProcessMemory()
	data, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(data)
	sum := 0
	for i := 0; i < size; i += 4096 {
		sum += int(data[i])
	}
	after, _ := ProcessMemory()
	if grown := after - before; sum != 0 || grown > size/4 {
		t.Errorf("reading a mapped file of %d MB makes %d MB of held memory, want none", size/MB, grown/MB)
	}
}
