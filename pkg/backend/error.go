package backend

import (
	"errors"
	"fmt"
	"strings"
)

// Error says what went wrong in an engine in one line. GoMLX's own text goes on
// with the values of tensors and stack traces; it stays within reach of
// errors.As and Unwrap.
type Error struct{ Err error }

func (e *Error) Unwrap() error { return e.Err }

func (e *Error) Error() string {
	cause := e.Err
	for {
		next := errors.Unwrap(cause)
		if next == nil {
			break
		}
		cause = next
	}
	line, _, _ := strings.Cut(cause.Error(), "\n")
	return line
}

// Catch, deferred, turns what GoMLX throws into the error of the function that
// defers it: a device that ran out of memory may say so only when a result is
// fetched.
//
//	defer backend.Catch(&err)
func Catch(err *error) {
	switch r := recover().(type) {
	case nil:
	case error:
		*err = &Error{r}
	default:
		*err = &Error{fmt.Errorf("%v", r)}
	}
}
