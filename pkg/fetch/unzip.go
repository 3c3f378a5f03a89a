package fetch

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"rekindle/pkg/durable"
)

// Limits is what an archive may ask for.
type Limits struct {
	Wanted func(name string) bool // which file names are unpacked; the others are left out
	Files  int                    // so many at most
	Bytes  int64                  // all files together, unpacked
}

// ErrUnsafe is wrapped by the error for an archive that was made to do harm, or
// is at least none of ours.
var ErrUnsafe = errors.New("refused")

// Unzip unpacks the wanted files of an archive into dir, without its folders. An
// archive in which a name leads elsewhere, a file is no regular file or appears
// twice, or that claims more than the limits allow is refused before anything is
// written, and no file gets longer than the archive says.
//
// Each file appears whole, with the right checksum, or not at all. Files that an
// interrupted call has unpacked are kept; the next call unpacks the others.
func (j Job) Unzip(ctx context.Context, archive, dir string, limits Limits) (files int, err error) {
	r, err := zip.OpenReader(archive)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", archive, err)
	}
	defer r.Close()
	entries, total, err := contents(&r.Reader, limits)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", archive, err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return 0, err
	}
	if err := durable.Sweep(dir); err != nil {
		return 0, err
	}
	var done int64
	for _, e := range entries {
		to := filepath.Join(dir, path.Base(e.Name))
		if !holds(to, e) {
			if err := extract(ctx, e, to); err != nil {
				return files, err
			}
		}
		files++
		done += int64(e.UncompressedSize64)
		j.report(done, total)
	}
	return files, nil
}

// Unpacked is how many bytes the wanted files of an archive will take.
func Unpacked(archive string, limits Limits) (int64, error) {
	r, err := zip.OpenReader(archive)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", archive, err)
	}
	defer r.Close()
	_, total, err := contents(&r.Reader, limits)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", archive, err)
	}
	return total, nil
}

// contents returns the entries to unpack, all of them checked, and their size.
func contents(r *zip.Reader, limits Limits) (list []*zip.File, total int64, err error) {
	refuse := func(format string, args ...any) ([]*zip.File, int64, error) {
		return nil, 0, fmt.Errorf("%w: %w", ErrUnsafe, fmt.Errorf(format, args...))
	}
	seen := map[string]bool{}
	for _, e := range r.File {
		folder := strings.HasSuffix(e.Name, "/")
		if !fs.ValidPath(strings.TrimSuffix(e.Name, "/")) || strings.Contains(e.Name, `\`) || strings.ContainsRune(e.Name, 0) {
			return refuse("its entry %.100q leads out of the folder", e.Name)
		}
		if mode := e.Mode(); !folder && !mode.IsRegular() || folder && !mode.IsDir() {
			return refuse("its entry %.100q is no regular file (%v)", e.Name, e.Mode())
		}
		name := path.Base(e.Name)
		if folder || !limits.Wanted(name) {
			continue
		}
		if strings.HasPrefix(name, ".") {
			return refuse("its entry %.100q has the name of a hidden file", e.Name)
		}
		if seen[name] {
			return refuse("it has two files %.100q", name)
		}
		seen[name] = true
		if e.UncompressedSize64 > uint64(limits.Bytes-total) {
			return refuse("its files take more than %s", Size(limits.Bytes))
		}
		total += int64(e.UncompressedSize64)
		if list = append(list, e); len(list) > limits.Files {
			return refuse("it has more than %d files", limits.Files)
		}
	}
	return list, total, nil
}

// holds reports whether a file is there already.
func holds(name string, e *zip.File) bool {
	info, err := os.Lstat(name)
	if err != nil || !info.Mode().IsRegular() || uint64(info.Size()) != e.UncompressedSize64 {
		return false
	}
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	sum := crc32.NewIEEE()
	_, err = io.Copy(sum, f)
	return err == nil && sum.Sum32() == e.CRC32
}

// extract writes one file, all or nothing. Package zip compares the checksum
// when it meets the end.
func extract(ctx context.Context, e *zip.File, to string) error {
	in, err := e.Open()
	if err != nil {
		return fmt.Errorf("%s: %w", e.Name, err)
	}
	defer in.Close()
	out, err := durable.Create(to)
	if err != nil {
		return err
	}
	defer out.Abort()
	size := int64(e.UncompressedSize64)
	n, err := io.Copy(out, io.LimitReader(&interruptible{ctx, in}, size+1))
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil && n != size:
		return fmt.Errorf("%s: %w: it is not as long as the archive says", e.Name, ErrUnsafe)
	case err != nil:
		return fmt.Errorf("%s: %w", e.Name, err)
	}
	return out.Commit()
}
