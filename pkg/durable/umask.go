package durable

import (
	"os"
	"sync"
	"syscall"
)

// umask reads the process's file mode mask. The only call that returns it also
// sets it, so it is asked once and put back at once.
var umask = sync.OnceValue(func() os.FileMode {
	m := syscall.Umask(0)
	syscall.Umask(m)
	return os.FileMode(m)
})
