// Package fetch brings a large archive from a web server to the disk, and its
// files out of it, whatever happens on the way: what has arrived is kept and
// not asked for twice, and nothing that is half there or wrong is ever taken for
// whole.
//
//	job := fetch.Job{Progress: bar.Set}
//	err := job.Download(ctx, fetch.File{URL: "https://…/pictures.zip", Size: n, SHA256: "9d0b…"}, "downloads/pictures.zip")
//	n, err := job.Unzip(ctx, "downloads/pictures.zip", "pictures", wanted)
//
// Standard library only. grab (v3.0.1 of January 2022 is its last release) neither
// tries again nor notices a connection that brings nothing; go-getter does neither
// resume nor limit what it unpacks, and links the software of three clouds;
// go-retryablehttp repeats requests, but not answers that break off.
package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"rekindle/pkg/durable"
)

// File is a file on a web server. It is known beforehand: whoever sends it, from
// wherever, nothing else is accepted.
type File struct {
	URL    string
	Size   int64  // bytes
	SHA256 string // lower-case hexadecimal
}

// Job is how downloads and unpacking go about it. The zero value will do.
type Job struct {
	Say      func(line string)                    // one line for people: why it waits, or starts over
	Progress func(what string, done, total int64) // bytes so far; called often, from one goroutine
	Stall    time.Duration                        // a connection that brings nothing for so long is given up; 0: a minute
	Pause    time.Duration                        // before the second try; twice that before the third, and so on; 0: a second
}

// Tries is how often in a row a download may fail without a new byte before it
// is given up.
const Tries = 6

func (j Job) say(format string, args ...any) {
	if j.Say != nil {
		j.Say(fmt.Sprintf(format, args...))
	}
}

func (j Job) progress(what string, done, total int64) {
	if j.Progress != nil {
		j.Progress(what, done, total)
	}
}

// final is an error that another try would only meet again.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// Download brings f to path. The file appears there when it is whole and its
// checksum right; until then what has arrived is in path.part, where the next
// call goes on, whatever ended this one. Connections that fail are tried again,
// [Tries] times in a row. A path that exists already is only checked.
//
// Two calls for one path at the same time are the caller's to prevent.
func (j Job) Download(ctx context.Context, f File, path string) error {
	if _, err := os.Stat(path); err == nil {
		if err := f.check(path); err != nil {
			return fmt.Errorf("%s: %w; delete it and try again", path, err)
		}
		return nil
	}
	part, err := os.OpenFile(path+".part", os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o666)
	if err != nil {
		return err
	}
	defer part.Close()
	if n := Arrived(path); n > 0 {
		j.say("%s: going on after %s", f.name(), Size(n))
	}
	if err := j.bring(ctx, f, part, path); err != nil {
		return fmt.Errorf("%s: %w", f.name(), cmp.Or(context.Cause(ctx), err))
	}
	if err := part.Sync(); err != nil {
		return err
	}
	if err := os.Rename(part.Name(), path); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}

// Arrived is how many bytes of a file an earlier [Job.Download] to path has
// brought.
func Arrived(path string) int64 {
	for _, name := range []string{path, path + ".part"} {
		if info, err := os.Stat(name); err == nil {
			return info.Size()
		}
	}
	return 0
}

// bring tries until the part is the file.
func (j Job) bring(ctx context.Context, f File, part *os.File, path string) error {
	again := 0 // how often it had to start over
	for failures := 0; ; {
		had := Arrived(path)
		err := j.attempt(ctx, f, part, had)
		if err == nil {
			j.say("%s: all of it has arrived; comparing the checksum", f.name())
			if err = f.check(part.Name()); err == nil {
				return nil
			}
			if e := part.Truncate(0); e != nil {
				return e
			}
			if had == 0 {
				return fmt.Errorf("%w; the server has another file under this name, or something on the way changed it; nothing was kept", err)
			}
			err = fmt.Errorf("its parts do not belong together (%w); starting over", err)
		}
		if errors.As(err, &final{}) || ctx.Err() != nil {
			return err
		}
		have := Arrived(path)
		if have < had { // a server that always begins anew would be asked for ever
			again++
		} else if have > had {
			failures = again
		}
		if failures++; failures >= Tries {
			return fmt.Errorf("%w, %d times without getting further; %s of %s have arrived and are kept: try again to go on", err, Tries, Size(have), Size(f.Size))
		}
		pause := cmp.Or(j.Pause, time.Second) << (failures - 1)
		j.say("%s: %v; trying again in %v", f.name(), err, pause)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// attempt asks for what is missing and appends what comes.
func (j Job) attempt(ctx context.Context, f File, part *os.File, have int64) error {
	if have >= f.Size {
		return nil
	}
	stall := cmp.Or(j.Stall, time.Minute)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	watch := time.AfterFunc(stall, func() { stop(fmt.Errorf("nothing came for %v", stall)) })
	defer watch.Stop()

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL, nil)
	if err != nil {
		return final{err}
	}
	request.Header.Set("User-Agent", "Rekindle")
	request.Header.Set("Accept-Encoding", "identity") // positions are those of the file, not of a compressed stream
	if have > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	response, err := http.DefaultClient.Do(request) // it respects HTTPS_PROXY
	if err != nil {
		return cmp.Or(context.Cause(ctx), unreachable(err))
	}
	defer response.Body.Close()
	if have, err = j.head(f, part, have, response); err != nil {
		return err
	}
	_, err = io.Copy(part, io.TeeReader(io.LimitReader(response.Body, f.Size-have+1), counter(func(n int) {
		watch.Reset(stall)
		have += int64(n)
		j.progress(f.name(), have, f.Size)
	})))
	var disk *fs.PathError
	switch {
	case errors.As(err, &disk):
		return final{fmt.Errorf("%w; %s have arrived and are kept", err, Size(Arrived(part.Name())))}
	case have >= f.Size:
		return nil
	}
	return cmp.Or(context.Cause(ctx), fmt.Errorf("the connection was cut after %s of %s (%w)", Size(have), Size(f.Size), cmp.Or(err, io.ErrUnexpectedEOF)))
}

// counter is told how many bytes were written.
type counter func(n int)

func (c counter) Write(p []byte) (int, error) {
	c(len(p))
	return len(p), nil
}

// head looks at an answer's head and says from where on its body is.
func (j Job) head(f File, part *os.File, have int64, r *http.Response) (from int64, err error) {
	switch code := r.StatusCode; {
	case code == http.StatusPartialContent && r.Header.Get("Content-Range") == fmt.Sprintf("bytes %d-%d/%d", have, f.Size-1, f.Size):
		return have, nil
	case code == http.StatusPartialContent, code == http.StatusRequestedRangeNotSatisfiable:
		return 0, cmp.Or(part.Truncate(0), errors.New("the server continued it wrongly; starting over"))
	case code == http.StatusOK && strings.HasPrefix(r.Header.Get("Content-Type"), "text/html"):
		return 0, final{fmt.Errorf("the server sent a web page instead; open %s in a browser to see why", f.URL)}
	case code == http.StatusOK && r.ContentLength >= 0 && r.ContentLength != f.Size:
		return 0, final{fmt.Errorf("the server's file has %s, want %s (%d bytes): it is another file", Size(r.ContentLength), Size(f.Size), f.Size)}
	case code == http.StatusOK:
		if have > 0 {
			j.say("%s: the server sends it from the beginning; starting over", f.name())
			err = part.Truncate(0)
		}
		return 0, err
	case code >= 500, code == http.StatusTooManyRequests, code == http.StatusRequestTimeout:
		return 0, fmt.Errorf("the server answers %s", r.Status)
	}
	return 0, final{fmt.Errorf("the server answers %s: the file is not at %s", r.Status, r.Request.URL)}
}

// unreachable says why no answer came.
func unreachable(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // without the address, which the sentence has already
	}
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return final{fmt.Errorf("there is no way to the server %s; is this machine connected to the network?", dns.Name)}
	}
	return fmt.Errorf("no answer from the server (%w)", err)
}

// check compares size and checksum of a file.
func (f File) check(path string) error {
	if n := Arrived(path); n != f.Size {
		return fmt.Errorf("it has %d bytes, want %d", n, f.Size)
	}
	sum, err := durable.SHA256(path)
	if err == nil && sum != f.SHA256 {
		err = fmt.Errorf("its SHA-256 is %.12s…, want %.12s…", sum, f.SHA256)
	}
	return err
}

// name is the file's name in its address.
func (f File) name() string {
	if u, err := url.Parse(f.URL); err == nil {
		return path.Base(u.Path)
	}
	return f.URL
}

// Size writes a number of bytes for people, "3.53 GB", in powers of 1000 as
// servers and disks do.
func Size(n int64) string {
	switch v := float64(n); {
	case n >= 1e9:
		return fmt.Sprintf("%.2f GB", v/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", v/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.0f kB", v/1e3)
	}
	return fmt.Sprintf("%d bytes", n)
}
