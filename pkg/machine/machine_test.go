package machine

import (
	"errors"
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
		{"1073741824\n", "2073741824\n", Memory{1 << 30, 1}}, // 0 would be unknown
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

func TestASystemThatDoesNotTellWhatIsAvailable(t *testing.T) {
	for meminfo, want := range map[string]Memory{
		"MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 20 kB\nCached: 300 kB\nShmem: 50 kB\n": {1000 * 1024, 370 * 1024},
		"MemTotal: 1000 kB\nMemFree: 100 kB\n":                                               {1000 * 1024, 100 * 1024},
		"MemTotal: 1000 kB\n":                                                                {1000 * 1024, 0},
		"":                                                                                   {},
	} {
		proc := t.TempDir()
		write(t, proc, "meminfo", meminfo)
		if got := mainMemory(proc, t.TempDir()); got != want {
			t.Errorf("%q: got %+v, want %+v", meminfo, got, want)
		}
	}
}

// Trained for a while, a container of 8 GB is full of the pictures' files: 85 MB
// were said to be free of it.
func TestFilesKeptInMemoryAreFreeInAContainer(t *testing.T) {
	const gb = 1 << 30
	for _, c := range []struct {
		name  string
		files map[string]string // in /proc and /sys/fs/cgroup
		want  Memory
	}{
		{"version 2", map[string]string{
			"cgroup/memory.max": "8589934592", "cgroup/memory.current": "8500000000",
			"cgroup/memory.stat": "anon 500000000\nfile 8000000000\nshmem 100000000\ninactive_file 5000000000\nactive_file 2900000000\n",
		}, Memory{8 * gb, 8589934592 - 600000000}},
		{"version 2, the limit is of a group around ours", map[string]string{
			"proc/self/cgroup": "0::/slurm/job_7/step_0\n", "cgroup/slurm/job_7/step_0/memory.max": "max",
			"cgroup/slurm/job_7/memory.max": "4294967296", "cgroup/slurm/job_7/memory.current": "1000000000",
		}, Memory{4 * gb, 4294967296 - 1000000000}},
		{"version 1", map[string]string{
			"proc/self/cgroup": "5:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n", "cgroup/memory/memory.limit_in_bytes": "2147483648", "cgroup/memory/memory.usage_in_bytes": "2000000000",
			"cgroup/memory/memory.stat": "cache 1\ninactive_file 7\ntotal_inactive_file 1000000000\ntotal_active_file 500000000\n",
		}, Memory{2 * gb, 2147483648 - 500000000}},
		{"version 1, no limit", map[string]string{
			"cgroup/memory/memory.limit_in_bytes": "9223372036854771712", "cgroup/memory/memory.usage_in_bytes": "2000000000",
		}, Memory{16 * gb, 12 * gb}},
		{"the system itself has less", map[string]string{
			"cgroup/memory.max": "15032385536", "cgroup/memory.current": "5",
		}, Memory{14 * gb, 12 * gb}},
	} {
		dir := t.TempDir()
		write(t, dir, "proc/meminfo", "MemTotal: 16777216 kB\nMemAvailable: 12582912 kB\n")
		for name, content := range c.files {
			write(t, dir, name, content)
		}
		if got := mainMemory(filepath.Join(dir, "proc"), filepath.Join(dir, "cgroup")); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestAFileSystemThatTellsNothingIsNotFull(t *testing.T) {
	defer func() { statfs = unix.Statfs }()
	for name, s := range map[string]unix.Statfs_t{
		"all 0": {}, "no block size": {Blocks: 100, Bavail: 50}, "no blocks": {Bsize: 4096},
	} {
		statfs = func(_ string, to *unix.Statfs_t) error { *to = s; return nil }
		if free, err := FreeDisk(t.TempDir()); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: got %d, %v, want ErrUnknown", name, free, err)
		}
	}
	statfs = func(_ string, to *unix.Statfs_t) error {
		*to = unix.Statfs_t{Bsize: 4096, Blocks: 100}
		return nil
	}
	if free, err := FreeDisk(t.TempDir()); err != nil || free != 0 {
		t.Errorf("a full disk: got %d, %v, want 0", free, err)
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
