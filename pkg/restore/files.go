package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"rekindle/pkg/durable"
	"rekindle/pkg/picture"
	"rekindle/pkg/tree"
)

// Work is a picture's file to restore and where the result goes.
type Work struct{ From, To string }

// Plan lists what to restore: the picture in, or all pictures of the folder in
// and its sub-folders, sorted. A single result goes to out, or into out if that
// is a folder. Those of a folder keep their places and names under out; where
// their format cannot be written (WebP, GIF), ".png" is added. No two results have
// one name.
//
// Files of other kinds, hidden files and folders are passed over; links are
// followed. passed lists what of in could not be looked at: links that lead nowhere,
// back to a folder around them or to where the results go, and folders that may not
// be read. A folder without a picture is an error. An out that lies in a
// folder in or is the picture in is an error: in is never written to.
func Plan(in, out string) (work []Work, passed []error, err error) {
	if in == "" || out == "" {
		return nil, nil, errors.New("restore: what to restore (IN) and where to put it (OUT) must both be named")
	}
	info, err := os.Stat(in)
	if err != nil {
		return nil, nil, fmt.Errorf("restore: %w", err)
	}
	there, err := os.Stat(out)
	outIsFolder := err == nil && there.IsDir() || strings.HasSuffix(out, string(filepath.Separator))
	if !info.IsDir() {
		if outIsFolder {
			out = filepath.Join(out, writable(filepath.Base(in)))
		} else if format := picture.FormatOf(out); !picture.CanWrite(format) {
			return nil, nil, fmt.Errorf("restore: %s: pictures are written as .png, .jpg, .tif or .bmp; name OUT so, or name a folder that is there", out)
		}
		same, err := sameFile(in, out)
		if err != nil {
			return nil, nil, fmt.Errorf("restore: %w", err)
		}
		if same {
			return nil, nil, fmt.Errorf("restore: OUT is the picture IN itself, %s; it is never written to", in)
		}
		return []Work{{in, out}}, nil, nil
	}
	if err == nil && !there.IsDir() {
		return nil, nil, fmt.Errorf("restore: IN is a folder, so OUT must be one; %s is a file", out)
	}
	if err != nil && picture.FormatOf(out) != "" {
		return nil, nil, fmt.Errorf("restore: IN is a folder, so OUT must be one; %s is named like a picture", out)
	}
	if err := apart(in, out); err != nil {
		return nil, nil, err
	}
	results, err := resolved(out)
	if err != nil {
		return nil, nil, fmt.Errorf("restore: %w", err)
	}
	taken := names{folds: durable.FoldsCase(out), seen: map[string]bool{}}
	pass := func(why error) { passed = append(passed, why) }
	err = tree.Walk(in, func(path string, info fs.FileInfo) error {
		switch {
		case path != in && strings.HasPrefix(filepath.Base(path), "."):
			if info.IsDir() {
				return fs.SkipDir
			}
			return nil
		case info.IsDir():
			if end, err := resolved(path); err == nil && inside(end, results) {
				pass(fmt.Errorf("%s is where the results go", path))
				return fs.SkipDir
			}
			return nil
		case !picture.Is(path) || !info.Mode().IsRegular():
			return nil
		}
		name, err := filepath.Rel(in, path)
		if err != nil {
			return err
		}
		work = append(work, Work{From: path, To: filepath.Join(out, name)})
		taken.take(name)
		return nil
	}, pass)
	if err != nil {
		return nil, nil, fmt.Errorf("restore: %w", err)
	}
	if len(work) == 0 {
		return nil, passed, errors.Join(append([]error{fmt.Errorf("there is no picture in %s (PNG, JPEG, TIFF, WebP, BMP, GIF)", in)}, passed...)...)
	}
	seen := names{folds: taken.folds, seen: map[string]bool{}}
	for i := range work {
		name, _ := filepath.Rel(out, work[i].To)
		w := writable(name)
		for n := 1; w != name && taken.has(w) || seen.has(w); n++ { // a.webp beside a.webp.png; A.png beside a.png where these are one name
			if w = longer(w, ".png"); n > 1 {
				w = longer(name, fmt.Sprintf(".%d.png", n))
			}
		}
		taken.take(w)
		seen.take(w)
		work[i].To = filepath.Join(out, w)
	}
	return work, passed, nil
}

// names are those of results, on a file system that tells upper from lower case or
// does not.
type names struct {
	folds bool
	seen  map[string]bool
}

func (n names) key(name string) string {
	if n.folds {
		return strings.ToLower(norm.NFC.String(name)) // such file systems seldom tell accents apart either
	}
	return name
}

func (n names) take(name string)     { n.seen[n.key(name)] = true }
func (n names) has(name string) bool { return n.seen[n.key(name)] }

// longer adds an ending to the name of a file, which is cut where it would become
// too long.
func longer(path, ending string) string {
	return filepath.Join(filepath.Dir(path), durable.Shortened(filepath.Base(path), len(ending))+ending)
}

// writable is a name whose format can be written.
func writable(name string) string {
	if picture.CanWrite(picture.FormatOf(name)) {
		return name
	}
	return longer(name, ".png")
}

func sameFile(a, b string) (bool, error) {
	left, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	right, err := os.Stat(b)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(left, right), err
}

// apart refuses two folders of which one lies in the other.
func apart(in, out string) error {
	from, err := resolved(in)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	to, err := resolved(out)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	switch {
	case from == to:
		return fmt.Errorf("restore: IN and OUT are the same folder, %s; name another one for OUT", to)
	case inside(to, from):
		return fmt.Errorf("restore: OUT, %s, lies in IN, %s, which is never written to; name a folder outside of it", to, from)
	case inside(from, to):
		return fmt.Errorf("restore: IN, %s, lies in OUT, %s, and might be written to; name another folder for OUT", from, to)
	}
	return nil
}

// inside says whether a path lies in a folder, or is it. Both are resolved.
func inside(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// resolved is a path without links; what of it does not exist is kept as it is.
func resolved(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	rest := ""
	for {
		end, err := filepath.EvalSymlinks(path)
		if err == nil {
			return filepath.Join(end, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path) {
			return "", err
		}
		path, rest = filepath.Dir(path), filepath.Join(filepath.Base(path), rest)
	}
}

// Shard is every n-th piece of work, beginning with number k, from 1.
func Shard(work []Work, k, n int) []Work {
	var mine []Work
	for i := k - 1; i < len(work); i += n {
		mine = append(mine, work[i])
	}
	return mine
}

// FileOptions say how files are restored.
type FileOptions struct {
	Overwrite bool // restore again what is there already
	Tiles     Tiles

	// Begin is told how many pictures there are to restore, how many results were
	// there already, and the pixels of all that are to be restored. Pixels is told
	// how many of these are done, Done of each picture. All may be nil.
	Begin  func(pictures, there int, pixels int64)
	Pixels func(done int64)
	Done   func(FileDone)
}

// FileDone is a picture that was restored, or that could not be.
type FileDone struct {
	Work
	W, H    int
	Seconds float64
	Lost    string // what the format of To has no room for, in words
	There   bool   // it was not restored: another call had made it meanwhile
	Err     error
}

// Files restores files. A result that is there already stays, and nothing is done
// for it, so that a second call goes on where the first was stopped; o.Overwrite
// makes it anew. Each result is whole or not there. A picture that cannot be
// restored does not keep the others from it: they are in failed. Several calls at one
// time do the work together. A disk that is full or may only be read ends it.
// The error is ctx's when it has ended; what was finished until then stays.
func (r *Restorer) Files(ctx context.Context, work []Work, o FileOptions) (failed []FileDone, err error) {
	report := func(d FileDone) {
		if d.Err != nil {
			failed = append(failed, d)
		}
		if o.Done != nil {
			o.Done(d)
		}
	}
	isThere := func(w Work) bool {
		_, err := os.Lstat(w.To)
		return err == nil && !o.Overwrite
	}
	type sized struct {
		Work
		pixels int64
	}
	var todo []sized
	var unreadable []FileDone
	var pixels, done int64
	there := 0
	for _, w := range work {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if isThere(w) {
			there++
			continue
		}
		width, height, err := picture.Size(w.From)
		if err != nil {
			unreadable = append(unreadable, FileDone{Work: w, Err: err})
			continue
		}
		n := int64(width) * int64(height)
		todo, pixels = append(todo, sized{w, n}), pixels+n
	}
	if o.Begin != nil {
		o.Begin(len(todo), there, pixels)
	}
	for _, d := range unreadable {
		report(d)
	}
	swept := map[string]bool{}
	for _, w := range todo {
		if dir := filepath.Dir(w.To); !swept[dir] {
			swept[dir] = true
			_ = durable.Sweep(dir) // of what a killed call left; whether anything can be written there shows below
		}
		d := FileDone{Work: w.Work, There: isThere(w.Work)}
		if !d.There {
			d = r.file(ctx, w.Work, o.Overwrite, o.Tiles, func(of int64) {
				if o.Pixels != nil {
					o.Pixels(done + of)
				}
			})
		}
		if errors.Is(d.Err, fs.ErrExist) && isThere(w.Work) {
			d = FileDone{Work: w.Work, There: true}
		}
		if ctx.Err() != nil && errors.Is(d.Err, ctx.Err()) {
			return failed, ctx.Err()
		}
		if durable.Full(d.Err) { // for the next ones, too
			return failed, fmt.Errorf("the disk of %s is full (%w); make room there: what is restored stays, and the same call goes on with the rest", filepath.Dir(w.To), d.Err)
		}
		if durable.MayOnlyRead(d.Err) { // what is to be read was opened above
			return failed, fmt.Errorf("nothing can be written to %s (%w); name another place for the results", filepath.Dir(w.To), d.Err)
		}
		if done += w.pixels; o.Pixels != nil {
			o.Pixels(done)
		}
		report(d)
		if errors.Is(d.Err, errNotFinite) {
			return failed, d.Err // no picture will fare better
		}
	}
	return failed, nil
}

// file restores one file.
func (r *Restorer) file(ctx context.Context, w Work, over bool, tiles Tiles, progress func(pixels int64)) (d FileDone) {
	d.Work = w
	began := time.Now()
	in, err := picture.Open(w.From)
	if err != nil {
		d.Err = err
		return d
	}
	defer in.Close()
	d.W, d.H = in.W, in.H
	if d.Err = outside(w); d.Err != nil {
		return d
	}
	out, err := picture.Create(w.To, in.Info)
	if err != nil {
		d.Err = err
		return d
	}
	defer out.Abort()
	read := func(rows []uint16) error {
		if err := in.Read(rows); err != nil {
			return fmt.Errorf("%s: %w", w.From, err)
		}
		return nil
	}
	if d.Err = r.Rows(ctx, in.Info, read, out.Write, tiles, progress); d.Err != nil {
		return d
	}
	d.Err = out.Commit(over)
	d.Seconds, d.Lost = time.Since(began).Seconds(), out.Lost
	return d
}

// outside makes the folder of a result, and refuses one that links lead back to
// where the picture is from.
func outside(w Work) error {
	if err := os.MkdirAll(filepath.Dir(w.To), 0o777); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if same, err := sameFile(w.From, w.To); err != nil || same {
		return errors.Join(err, fmt.Errorf("restore: %s is the picture to restore itself; it is never written to", w.To))
	}
	return nil
}
