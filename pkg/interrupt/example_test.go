package interrupt_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"rekindle/pkg/interrupt"
)

// A program that is told to end while it works, as kill and schedulers do.
func Example() {
	ctx, stop := interrupt.Context()
	defer stop()
	done, err := interrupt.Do(ctx, func() (pictures int, err error) {
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGTERM); err != nil {
			return 0, err
		}
		<-ctx.Done() // between two pictures
		return 1, ctx.Err()
	})
	fmt.Println(done, errors.Is(err, context.Canceled))
	fmt.Println("exit status", interrupt.Status(ctx))
	// Output:
	// 1 true
	// exit status 143
}
