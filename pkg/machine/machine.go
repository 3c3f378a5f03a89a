// Package machine says what this computer has: cores, memory, NVIDIA GPUs, disk
// space, and what the running process holds. It asks the file system, and the
// driver's nvidia-smi for the memory of GPUs, and links nothing.
//
//	if machine.HasGPU() { ... }
//	memory := machine.MainMemory()
//	fmt.Println(memory.Total/machine.MB, "MB")
//
// On systems without Linux's /proc the answers are empty or zero.
package machine

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"rekindle/pkg/tree"
)

// MB is 2^20 bytes.
const MB = 1 << 20

// HasGPU reports whether the NVIDIA driver shows a GPU.
func HasGPU() bool { return len(devices("/dev")) > 0 }

func devices(dev string) []string {
	return tree.Glob(dev, "nvidia[0-9]*")
}

// GPUs returns the model of each NVIDIA GPU, such as "NVIDIA H100 80GB HBM3",
// or "NVIDIA GPU" where the driver does not say.
func GPUs() []string { return gpus("/dev", "/proc") }

func gpus(dev, proc string) []string {
	var models []string
	for _, file := range tree.Glob(proc, "driver/nvidia/gpus/*/information") {
		if model := field(file, "Model"); model != "" {
			models = append(models, model)
		}
	}
	// In a container /proc lists every GPU of the host, /dev only those that were lent.
	n := len(devices(dev))
	models = models[:min(len(models), n)]
	for len(models) < n {
		models = append(models, "NVIDIA GPU")
	}
	return models
}

// CPU returns the processor's name, or its architecture where the system does not say.
func CPU() string {
	if name := field("/proc/cpuinfo", "model name"); name != "" {
		return name
	}
	return runtime.GOARCH
}

// Memory is in bytes; 0: unknown.
type Memory struct{ Total, Available int64 }

// MainMemory returns the main memory, or the part of it that a container may use.
func MainMemory() Memory { return mainMemory("/proc", "/sys/fs/cgroup") }

func mainMemory(proc, cgroup string) Memory {
	of := func(name string) int64 { return kilobytes(filepath.Join(proc, "meminfo"), name) }
	m := Memory{of("MemTotal"), of("MemAvailable")}
	if m.Available == 0 { // old systems and WSL 1 do not tell; what is kept of files is about free
		m.Available = of("MemFree") + of("Buffers") + max(0, of("Cached")-of("Shmem"))
	}
	for _, g := range controlGroups(proc, cgroup) {
		limit := number(g.limit)
		if limit <= 0 || m.Total > 0 && limit >= m.Total { // no limit is "max" in version 2, a huge number in version 1
			continue
		}
		used := number(g.used)
		if used == 0 { // not told: at least what this process holds
			used, _ = ProcessMemory()
		}
		// The system drops what it keeps of files as soon as memory is asked for. Shared memory, which it cannot
		// drop, is not on these two lists.
		used -= stat(g.stat, g.prefix+"active_file") + stat(g.stat, g.prefix+"inactive_file")
		left := max(1, limit-max(0, used)) // 0 would be unknown
		if m.Available == 0 || left < m.Available {
			m.Available = left
		}
		m.Total = limit
	}
	return m
}

// controlGroup is the files of a group of processes that may have a limit.
type controlGroup struct{ limit, used, stat, prefix string }

// controlGroups lists the groups that this process is in, of both versions: its own
// and those around it. In a container the own one is often mounted as the root.
func controlGroups(proc, root string) (groups []controlGroup) {
	text, _ := os.ReadFile(filepath.Join(proc, "self", "cgroup")) // not there: the roots are looked at all the same
	upwards := func(own string, add func(dir string)) {
		for dir := filepath.Join("/", own); ; dir = filepath.Dir(dir) {
			add(dir)
			if dir == "/" {
				return
			}
		}
	}
	of := map[string]string{} // controllers, "" for version 2
	for line := range strings.Lines(string(text)) {
		if parts := strings.SplitN(strings.TrimSpace(line), ":", 3); len(parts) == 3 {
			for controller := range strings.SplitSeq(parts[1], ",") {
				of[controller] = parts[2]
			}
		}
	}
	upwards(of[""], func(dir string) {
		dir = filepath.Join(root, dir)
		groups = append(groups, controlGroup{filepath.Join(dir, "memory.max"), filepath.Join(dir, "memory.current"), filepath.Join(dir, "memory.stat"), ""})
	})
	upwards(of["memory"], func(dir string) {
		dir = filepath.Join(root, "memory", dir)
		groups = append(groups, controlGroup{filepath.Join(dir, "memory.limit_in_bytes"), filepath.Join(dir, "memory.usage_in_bytes"), filepath.Join(dir, "memory.stat"), "total_"})
	})
	return groups
}

// stat returns the number behind a name in a file of such lines; 0 if it is not there.
func stat(file, name string) int64 {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if key, value, found := strings.Cut(strings.TrimSpace(line), " "); found && key == name {
			n, _ := strconv.ParseInt(value, 10, 64)
			return max(0, n)
		}
	}
	return 0
}

// ProcessMemory returns what this process holds in main memory now, and the
// most it ever held, in bytes. Pages of mapped files do not count as held now:
// the system drops them when memory is short. In the peak they do count, Linux
// does not tell it without them.
func ProcessMemory() (now, peak int64) { return processMemory("/proc/self/status") }

func processMemory(status string) (now, peak int64) {
	return kilobytes(status, "VmRSS") - kilobytes(status, "RssFile"), kilobytes(status, "VmHWM")
}

// ErrUnknown is returned by [FreeDisk] where a file system does not tell.
var ErrUnknown = errors.New("the file system does not tell its free space")

// statfs is a variable for the sake of tests: no file system at hand answers oddly.
var statfs = unix.Statfs

// FreeDisk returns how many bytes can still be written under path, which need
// not exist yet.
func FreeDisk(path string) (int64, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return 0, err
	}
	var s unix.Statfs_t
	for {
		err := statfs(path, &s)
		if err == nil {
			if s.Bsize <= 0 || s.Blocks == 0 { // some network and user file systems
				return 0, fmt.Errorf("%s: %w", path, ErrUnknown)
			}
			return int64(min(s.Bavail, math.MaxInt64/uint64(s.Bsize)) * uint64(s.Bsize)), nil
		}
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if !errors.Is(err, unix.ENOENT) || path == "/" {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		path = filepath.Dir(path)
	}
}

// IsTerminal reports whether somebody sits in front of f, so that a line can be
// written again over itself.
func IsTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// field returns the value after "name:" in a file of such lines, "" if it is not there.
func field(file, name string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		key, value, found := strings.Cut(line, ":")
		if found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func kilobytes(file, name string) int64 {
	n, err := strconv.ParseInt(strings.TrimSuffix(field(file, name), " kB"), 10, 64)
	if err != nil || n > math.MaxInt64/1024 {
		return 0
	}
	return n * 1024
}

// number reads a file that holds one number; 0 for anything else, such as "max".
func number(file string) int64 {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
