// Package interrupt is how programs end when they are told to: soon, with what they
// have done on the disk or everything as it was.
//
//	ctx, stop := interrupt.Context()
//	defer stop()
//	made, err := interrupt.Do(ctx, func() (*Made, error) { return make(ctx) })
package interrupt

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"rekindle/pkg/durable"
)

// survivesTerminal is set where the program was started to outlive its terminal,
// as nohup does. Asked at the start: who asks for a signal ends its being ignored.
var survivesTerminal = signal.Ignored(syscall.SIGHUP)

// Signals are those that ask a program to save and end: SIGINT (Jupyter's button,
// Ctrl+C), SIGQUIT (Ctrl+\), SIGTERM (a scheduler), SIGUSR1 and SIGUSR2 (one that warns
// before it kills), SIGXCPU (a limit of processor time) and, unless it was to be ignored
// from the start, SIGHUP (a closed terminal).
func Signals() []os.Signal {
	all := []os.Signal{os.Interrupt, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGXCPU}
	if !survivesTerminal {
		all = append(all, syscall.SIGHUP)
	}
	return all
}

// received is the cause of a context's end.
type received struct{ syscall.Signal }

func (r received) Error() string { return r.String() }

// Is makes it count as what ctx.Err returns.
func (r received) Is(err error) bool { return err == context.Canceled }

// Context returns a context that ends with the first of [Signals]. Until stop is
// called, further ones change nothing.
func Context() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, Signals()...)
	go func() {
		select {
		case s := <-signals:
			cancel(received{s.(syscall.Signal)})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(context.Canceled)
	}
}

// Status is the exit status of a program whose context has ended: that of one which
// the signal has killed, as shells have it.
func Status(ctx context.Context) int {
	var r received
	if errors.As(context.Cause(ctx), &r) {
		return 128 + int(r.Signal)
	}
	return 128 + int(syscall.SIGINT)
}

// grace is how long what is under way may take to end by itself. Jupyter kills a cell
// 5 s after it has interrupted it.
const grace = 2 * time.Second

// Do returns what f does, or ctx's error where that has ended before. When ctx ends
// meanwhile and f does not within two seconds, that is its error, too, and files that
// f has under construction are abandoned: the program must end then, for f goes on for
// as long as it lives.
func Do[T any](ctx context.Context, f func() (T, error)) (T, error) { return do(ctx, grace, f) }

// AtOnce is [Do] for an f that has nothing to bring to an end.
func AtOnce[T any](ctx context.Context, f func() (T, error)) (T, error) { return do(ctx, 0, f) }

func do[T any](ctx context.Context, grace time.Duration, f func() (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := f()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
	}
	select {
	case r := <-done:
		return r.value, r.err
	case <-time.After(grace):
		durable.Abandon()
		return none, ctx.Err()
	}
}
