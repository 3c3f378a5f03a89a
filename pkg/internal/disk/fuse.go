//go:build linux

package disk

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Odd is how a file system differs from those of Linux. None of them has hard links.
type Odd struct {
	FoldsCase bool // "a" and "A" are one name, as on vfat, exFAT, NTFS and most disks of Macs
	NoLocks   bool // nobody gets a lock, as on some mounts over a network
}

// Mounted is a folder on a file system of this test's own (FUSE).
func Mounted(t *testing.T, odd Odd) (dir string) {
	t.Helper()
	dir, behind := t.TempDir(), t.TempDir()
	root := &node{odd: odd, behind: behind}
	server, err := fs.Mount(dir, root, &fs.Options{MountOptions: fuse.MountOptions{DirectMount: true, FsName: "odd", EnableLocks: odd.NoLocks}})
	if err != nil {
		t.Skipf("a file system cannot be mounted here (%v): run the tests as root, where there is /dev/fuse", err)
	}
	t.Cleanup(func() {
		if err := server.Unmount(); err != nil {
			t.Errorf("something is still open on %s: %v", dir, err)
			_ = syscall.Unmount(dir, syscall.MNT_DETACH)
		}
	})
	return dir
}

// node is a file or folder; what is in it lies in a folder of an ordinary file system.
type node struct {
	fs.Inode
	odd    Odd
	behind string
}

var (
	_ fs.NodeGetattrer = (*node)(nil)
	_ fs.NodeSetattrer = (*node)(nil)
	_ fs.NodeLookuper  = (*node)(nil)
	_ fs.NodeReaddirer = (*node)(nil)
	_ fs.NodeCreater   = (*node)(nil)
	_ fs.NodeOpener    = (*node)(nil)
	_ fs.NodeMkdirer   = (*node)(nil)
	_ fs.NodeUnlinker  = (*node)(nil)
	_ fs.NodeRmdirer   = (*node)(nil)
	_ fs.NodeRenamer   = (*node)(nil)
	_ fs.NodeStatfser  = (*node)(nil)
	_ fs.NodeSetlker   = (*node)(nil)
	_ fs.NodeSetlkwer  = (*node)(nil)
)

// at is where a node lies, or what is called so in it.
func (n *node) at(names ...string) string {
	path := n.behind
	for _, name := range strings.Split(filepath.Join(append([]string{n.Path(nil)}, names...)...), "/") {
		path = filepath.Join(path, n.spelt(path, name))
	}
	return path
}

// spelt is a name as it was given to what is in a folder.
func (n *node) spelt(dir, name string) string {
	if _, err := os.Lstat(filepath.Join(dir, name)); err == nil || !n.odd.FoldsCase {
		return name
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if strings.EqualFold(e.Name(), name) {
			return e.Name()
		}
	}
	return name
}

// child is what lies at a path.
func (n *node) child(ctx context.Context, path string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	var s syscall.Stat_t
	if err := syscall.Lstat(path, &s); err != nil {
		return nil, fs.ToErrno(err)
	}
	out.FromStat(&s)
	return n.NewInode(ctx, &node{odd: n.odd, behind: n.behind}, fs.StableAttr{Mode: s.Mode, Ino: s.Ino}), 0
}

func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return n.child(ctx, n.at(name), out)
}

func (n *node) Getattr(ctx context.Context, f fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	if f, ok := f.(fs.FileGetattrer); ok {
		return f.Getattr(ctx, out)
	}
	var s syscall.Stat_t
	err := syscall.Lstat(n.at(), &s)
	out.FromStat(&s)
	return fs.ToErrno(err)
}

func (n *node) Setattr(ctx context.Context, f fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if f, ok := f.(fs.FileSetattrer); ok {
		if e := f.Setattr(ctx, in, out); e != 0 {
			return e
		}
	} else if size, ok := in.GetSize(); ok {
		if err := os.Truncate(n.at(), int64(size)); err != nil {
			return fs.ToErrno(err)
		}
	}
	return n.Getattr(ctx, f, out)
}

func (n *node) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	return fs.NewLoopbackDirStream(n.at())
}

func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	path := n.at(name)
	fd, err := syscall.Open(path, int(flags&^syscall.O_APPEND)|syscall.O_CREAT|syscall.O_CLOEXEC, mode)
	if err != nil {
		return nil, nil, 0, fs.ToErrno(err)
	}
	made, e := n.child(ctx, path, out)
	return made, fs.NewLoopbackFile(fd), 0, e
}

func (n *node) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	fd, err := syscall.Open(n.at(), int(flags&^syscall.O_APPEND)|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, 0, fs.ToErrno(err)
	}
	return fs.NewLoopbackFile(fd), 0, 0
}

func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	path := n.at(name)
	if err := os.Mkdir(path, os.FileMode(mode)); err != nil {
		return nil, fs.ToErrno(err)
	}
	return n.child(ctx, path, out)
}

func (n *node) Unlink(_ context.Context, name string) syscall.Errno {
	return fs.ToErrno(syscall.Unlink(n.at(name)))
}

func (n *node) Rmdir(_ context.Context, name string) syscall.Errno {
	return fs.ToErrno(syscall.Rmdir(n.at(name)))
}

func (n *node) Rename(_ context.Context, name string, to fs.InodeEmbedder, newName string, _ uint32) syscall.Errno {
	return fs.ToErrno(syscall.Rename(n.at(name), to.(*node).at(newName)))
}

func (n *node) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	var s syscall.Statfs_t
	err := syscall.Statfs(n.behind, &s)
	out.FromStatfsT(&s)
	return fs.ToErrno(err)
}

func (n *node) Setlk(context.Context, fs.FileHandle, uint64, *fuse.FileLock, uint32) syscall.Errno {
	return syscall.ENOLCK
}

func (n *node) Setlkw(context.Context, fs.FileHandle, uint64, *fuse.FileLock, uint32) syscall.Errno {
	return syscall.ENOLCK
}
