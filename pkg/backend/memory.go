package backend

import (
	"errors"
	"os"
	"strings"

	"github.com/gomlx/compute"

	"rekindle/pkg/machine"
)

// FreeOnGPU is how many bytes are free on each of the first n GPUs that the engine
// computes on, the least of them; 0: unknown.
func FreeOnGPU(n int) int64 {
	_, options, _ := strings.Cut(os.Getenv(compute.ConfigEnvVar), ",")
	list := machine.VisibleGPUMemory()
	for option := range strings.SplitSeq(options, ",") {
		name, value, _ := strings.Cut(option, "=")
		switch {
		case option == "preallocate", option == "preallocate=true":
			return 0 // what is free is in the engine's own pool
		case name == "visible_devices":
			list = machine.Chosen(list, strings.FieldsFunc(value, func(r rune) bool { return r == ';' || r == ':' || r == ' ' })) // as go-xla does
		}
	}
	if len(list) < n || n == 0 {
		return 0
	}
	least := list[0].Available
	for _, m := range list[:n] {
		least = min(least, m.Available)
	}
	return least
}

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
