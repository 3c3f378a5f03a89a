//go:build linux

// Package faults is a file system that fails now and then, for tests.
//
// System calls of a child process that create, write, flush, lock, rename, link and
// remove files and change their rights fail when its parent says so. Nothing in the programs under test
// knows of it: the kernel asks the parent (seccomp's user notification, Linux 5.19
// and newer, no privileges). The child calls [Enter] before it begins, and the parent
// [Watch] with the other end of a socket:
//
//	ours, childs, err := faults.Socket()
//	cmd.ExtraFiles = []*os.File{childs} // 3
//	err = cmd.Start()
//	go faults.Watch(ours, func(c faults.Call) syscall.Errno { ... })
package faults

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Call is a system call that is about to be made.
type Call struct {
	Name string // "write", "fsync", "fchmod", "flock", "openat", "renameat", "linkat", "unlinkat" or "mkdirat"
	Path string // of the file, absolute if the child's paths are; of a rename or link the new name
	New  bool   // openat would create the file
}

var calls = map[uint32]string{
	unix.SYS_WRITE: "write", unix.SYS_PWRITE64: "write", unix.SYS_FSYNC: "fsync", unix.SYS_OPENAT: "openat",
	unix.SYS_FCHMOD: "fchmod", unix.SYS_FLOCK: "flock", unix.SYS_RENAMEAT: "renameat", unix.SYS_LINKAT: "linkat", unix.SYS_UNLINKAT: "unlinkat", unix.SYS_MKDIRAT: "mkdirat",
}

// Socket is a pair of connected sockets, for the parent and for the child.
func Socket() (ours, childs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), "faults"), os.NewFile(uintptr(fds[1]), "faults of the child"), nil
}

// Enter makes the system calls of this process, all threads, depend on its parent,
// which holds the other end of the socket. There is no way back.
func Enter(socket *os.File) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	const load, equal, give = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	program := []unix.SockFilter{{Code: load, K: 0}} // the call's number
	for nr := range calls {
		program = append(program, unix.SockFilter{Code: equal, Jf: 1, K: nr}, unix.SockFilter{Code: give, K: unix.SECCOMP_RET_USER_NOTIF})
	}
	program = append(program, unix.SockFilter{Code: give, K: unix.SECCOMP_RET_ALLOW})
	all := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	listener, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&all)))
	if e != 0 {
		return fmt.Errorf("faults: %s: %w", notAsked, e)
	}
	if err := unix.Sendmsg(int(socket.Fd()), []byte{1}, unix.UnixRights(int(listener)), nil, 0); err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	return errors.Join(unix.Close(int(listener)), socket.Close())
}

const notAsked = "this kernel or container does not ask about system calls"

// What the kernel and the parent say to each other (linux/seccomp.h).
type question struct {
	id         uint64
	pid, flags uint32
	nr         int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

type answer struct {
	id    uint64
	value int64
	err   int32
	flags uint32
}

// Watch answers for a child until that has ended: decide returns 0 to let a call
// happen, or how it fails. It returns nil also when the child ended before it
// called [Enter].
func Watch(socket *os.File, decide func(Call) syscall.Errno) error {
	defer socket.Close()
	room := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(int(socket.Fd()), make([]byte, 1), room, unix.MSG_CMSG_CLOEXEC)
	if err != nil || n == 0 {
		return err
	}
	messages, err := unix.ParseSocketControlMessage(room[:n])
	if err != nil {
		return err
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return err
	}
	listener := fds[0]
	defer unix.Close(listener)
	for {
		ready := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(ready, -1); err != nil && err != unix.EINTR {
			return err
		}
		if ready[0].Revents&unix.POLLIN == 0 {
			if ready[0].Revents&unix.POLLHUP != 0 {
				return nil // nobody is left to ask
			}
			continue
		}
		var q question
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&q))); e != 0 {
			if e == unix.ENOENT || e == unix.EINTR {
				continue // killed meanwhile
			}
			return e
		}
		a := answer{id: q.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
		if e := decide(q.call()); e != 0 {
			a.err, a.flags = -int32(e), 0
		}
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&a))); e != 0 && e != unix.ENOENT {
			return e
		}
	}
}

func (q *question) call() Call {
	c := Call{Name: calls[uint32(q.nr)]}
	switch c.Name {
	case "write", "fsync", "fchmod", "flock":
		c.Path, _ = os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", q.pid, int32(q.args[0])))
	case "renameat", "linkat":
		c.Path = q.path(q.args[2], q.args[3])
	default:
		c.Path = q.path(q.args[0], q.args[1])
		c.New = c.Name == "openat" && q.args[2]&unix.O_CREAT != 0
	}
	return c
}

// path reads a path of the child's. Where that is gone meanwhile it is "".
func (q *question) path(dir, at uint64) string {
	text := make([]byte, unix.PathMax)
	// In two pieces, since what lies behind the end of a page may not be there.
	n := 4096 - at%4096
	local := []unix.Iovec{{Base: &text[0], Len: unix.PathMax}}
	remote := []unix.RemoteIovec{{Base: uintptr(at), Len: int(n)}, {Base: uintptr(at + n), Len: int(unix.PathMax - n)}}
	got, err := unix.ProcessVMReadv(int(q.pid), local, remote, 0)
	if err != nil {
		return ""
	}
	path, _, _ := bytes.Cut(text[:got], []byte{0})
	if filepath.IsAbs(string(path)) || int32(dir) == unix.AT_FDCWD {
		return string(path)
	}
	of, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", q.pid, int32(dir)))
	return filepath.Join(of, string(path))
}
