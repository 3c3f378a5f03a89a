package fetch

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"rekindle/pkg/durable"
)

// ErrUnsafe is wrapped by the error for an archive that was made to do harm, or
// is at least none of ours.
var ErrUnsafe = errors.New("refused")

// Unzip unpacks the wanted files of an archive into dir, without its folders. An
// archive in which a name leads elsewhere, or a wanted file is no regular file or
// appears twice, is refused before anything is written.
//
// Each file appears whole, with the right checksum, or not at all. Files that an
// interrupted call has unpacked are kept; the next call unpacks the others.
func (j Job) Unzip(ctx context.Context, archive, dir string, wanted func(name string) bool) (files int, err error) {
	r, err := zip.OpenReader(archive)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", archive, err)
	}
	defer r.Close()
	var entries []*zip.File
	var done, total int64
	seen := map[string]bool{}
	for _, e := range r.File {
		name := path.Base(e.Name)
		switch {
		case !filepath.IsLocal(e.Name):
			return 0, fmt.Errorf("%s: %w: its entry %.100q leads out of the folder", archive, ErrUnsafe, e.Name)
		case e.FileInfo().IsDir() || !wanted(name):
			continue
		case !e.Mode().IsRegular() || seen[name]:
			return 0, fmt.Errorf("%s: %w: its entry %.100q is no regular file, or there are two", archive, ErrUnsafe, e.Name)
		}
		seen[name] = true
		entries = append(entries, e)
		total += int64(e.UncompressedSize64)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return 0, err
	}
	if err := durable.Sweep(dir); err != nil {
		return 0, err
	}
	for ; files < len(entries); files++ {
		if ctx.Err() != nil {
			return files, context.Cause(ctx)
		}
		e := entries[files]
		if err := extract(e, filepath.Join(dir, path.Base(e.Name))); err != nil {
			return files, fmt.Errorf("%s: %w", e.Name, err)
		}
		done += int64(e.UncompressedSize64)
		j.progress(filepath.Base(archive)+", unpacking", done, total)
	}
	return files, nil
}

// extract writes one file, all or nothing, unless it is there. Package zip compares
// size and checksum when it meets the end.
func extract(e *zip.File, to string) error {
	if info, err := os.Lstat(to); err == nil && info.Size() == e.FileInfo().Size() {
		return nil // whole, since it has its name
	}
	in, err := e.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	return durable.WriteFrom(to, in)
}
