package cell

import (
	"os"
	"os/signal"
	"syscall"
)

// survivesTerminal is set where the program was started to outlive its terminal,
// as nohup does. Asked at the start: who asks for a signal ends its being ignored.
var survivesTerminal = signal.Ignored(syscall.SIGHUP)

// StopSignals are the signals that ask a run to save and end: SIGINT (Jupyter's
// button, Ctrl+C), SIGTERM (a scheduler) and, unless it was to be ignored from
// the start, SIGHUP (a closed terminal).
func StopSignals() []os.Signal {
	if survivesTerminal {
		return []os.Signal{os.Interrupt, syscall.SIGTERM}
	}
	return []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}
}
