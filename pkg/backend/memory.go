package backend

import (
	"errors"
	"os"
	"strconv"
	"strings"
)

// IsOutOfMemory reports whether err is a device or host running out of memory.
// GoMLX has no type for it, so the text decides: PJRT's RESOURCE_EXHAUSTED is
// code 8, and the others are what XLA and the CUDA libraries print when an
// allocation fails inside them.
func IsOutOfMemory(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) { // wrappers may shorten the text
		if tellsOfMemory(err.Error()) {
			return true
		}
	}
	return false
}

func tellsOfMemory(text string) bool {
	for _, sign := range []string{
		"PJRT error (code=8)", "RESOURCE_EXHAUSTED", "out of memory", "Out of memory", "out-of-memory",
		"CUDA_ERROR_OUT_OF_MEMORY", "ALLOC_FAILED", "cannot allocate memory", "can't allocate memory",
		// cuDNN's autotuning reports a workspace that does not fit in this way.
		"Failed to determine best cudnn convolution algorithm",
	} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

// ProcessMemoryMB returns what this process holds in main memory now and the
// most it ever held, in MB (2^20 bytes); zeros where the system does not tell.
func ProcessMemoryMB() (now, peak float64) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		kb, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
		switch {
		case err != nil:
		case name == "VmRSS":
			now = kb / 1024
		case name == "VmHWM":
			peak = kb / 1024
		}
	}
	return now, peak
}
