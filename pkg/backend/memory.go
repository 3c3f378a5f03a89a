package backend

import (
	"errors"
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
