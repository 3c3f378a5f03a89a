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
)

// MB is 2^20 bytes.
const MB = 1 << 20

// HasGPU reports whether the NVIDIA driver shows a GPU.
func HasGPU() bool { return len(devices("/dev")) > 0 }

func devices(dev string) []string {
	found, _ := filepath.Glob(filepath.Join(dev, "nvidia[0-9]*")) // the pattern is well formed
	return found
}

// GPUs returns the model of each NVIDIA GPU, such as "NVIDIA H100 80GB HBM3",
// or "NVIDIA GPU" where the driver does not say.
func GPUs() []string { return gpus("/dev", "/proc") }

func gpus(dev, proc string) []string {
	var models []string
	files, _ := filepath.Glob(filepath.Join(proc, "driver/nvidia/gpus/*/information"))
	for _, file := range files {
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

// Memory is in bytes.
type Memory struct{ Total, Available int64 }

// MainMemory returns the main memory, or the part of it that a container may use.
func MainMemory() Memory { return mainMemory("/proc", "/sys/fs/cgroup") }

func mainMemory(proc, cgroup string) Memory {
	m := Memory{kilobytes(filepath.Join(proc, "meminfo"), "MemTotal"), kilobytes(filepath.Join(proc, "meminfo"), "MemAvailable")}
	limit, used := number(filepath.Join(cgroup, "memory.max")), number(filepath.Join(cgroup, "memory.current"))
	if limit > 0 && limit < m.Total {
		m.Total, m.Available = limit, max(0, min(m.Available, limit-used))
	}
	return m
}

// ProcessMemory returns what this process holds in main memory now, and the
// most it ever held, in bytes. Pages of mapped files do not count as held now:
// the system drops them when memory is short. In the peak they do count, Linux
// does not tell it without them.
func ProcessMemory() (now, peak int64) { return processMemory("/proc/self/status") }

func processMemory(status string) (now, peak int64) {
	return kilobytes(status, "VmRSS") - kilobytes(status, "RssFile"), kilobytes(status, "VmHWM")
}

// FreeDisk returns how many bytes can still be written under path, which need
// not exist yet.
func FreeDisk(path string) (int64, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return 0, err
	}
	var s unix.Statfs_t
	for {
		err := unix.Statfs(path, &s)
		if err == nil {
			return int64(min(s.Bavail, math.MaxInt64/uint64(s.Bsize)) * uint64(s.Bsize)), nil
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
