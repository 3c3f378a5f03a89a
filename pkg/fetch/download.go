package fetch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"time"

	"rekindle/pkg/durable"
)

// errFinal is wrapped by errors that another try would only meet again.
var errFinal = errors.New("")

func final(format string, args ...any) error {
	return fmt.Errorf("%w%w", errFinal, fmt.Errorf(format, args...))
}

// Download brings f to path. The file appears there when it is whole and its
// checksum right; until then what has arrived is in path.part, where the next
// call goes on, whatever ended this one. Connections that fail are tried again,
// [Tries] times in a row. A path that exists already is only checked.
//
// Two calls for one path at the same time are the caller's to prevent.
func (j Job) Download(ctx context.Context, f File, path string) error {
	switch _, err := os.Stat(path); {
	case err == nil:
		if err := j.verify(ctx, f, path); err != nil {
			return fmt.Errorf("%s: %w; delete it and try again", path, err)
		}
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	part, err := os.OpenFile(path+".part", os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o666)
	if err != nil {
		return err
	}
	defer part.Close()
	d := &download{Job: j, file: f, name: base(f.URL), part: part}
	if d.size, err = part.Seek(0, io.SeekEnd); err != nil {
		return err
	}
	if d.resumed = d.size > 0; d.resumed {
		j.say("%s: going on after %s", d.name, Size(d.size))
	}
	if err := d.run(ctx); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("%s: %w", d.name, err)
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

type download struct {
	Job
	file    File
	name    string
	part    *os.File
	size    int64 // bytes in part
	resumed bool  // some of them are of an earlier answer of the server than others

	most     int64 // bytes there were since the last start
	restarts int   // since the checksum was last compared
}

// startOver throws away what has arrived.
func (d *download) startOver() error {
	if d.size == 0 {
		return nil
	}
	d.size, d.most = 0, 0
	d.restarts++
	if err := d.part.Truncate(0); err != nil {
		return final("%w", err)
	}
	return nil
}

func (d *download) run(ctx context.Context) error {
	failures := 0
	d.most = d.size
	for {
		err := d.attempt(ctx)
		if err == nil {
			d.say("%s: all of it has arrived; comparing the checksum", d.name)
			if err = d.verify(ctx, d.file, d.part.Name()); err == nil || ctx.Err() != nil {
				return err
			}
			if e := d.startOver(); e != nil {
				return e
			}
			if !d.resumed {
				return fmt.Errorf("%w; the server has another file under this name, or something on the way changed it; nothing was kept", err)
			}
			d.say("%s: its parts do not belong together (%v); starting over", d.name, err)
			d.resumed, d.restarts = false, 0
			continue
		}
		if ctx.Err() != nil || errors.Is(err, errFinal) {
			return err
		}
		if d.restarts == Tries { // a server that always begins anew would be asked for ever
			return fmt.Errorf("%w; it had to start over %d times; %s of %s have arrived and are kept: try again to go on", err, Tries, Size(d.size), Size(d.file.Size))
		}
		if d.size > d.most {
			failures, d.most = 0, d.size
		}
		if failures++; failures == Tries {
			return fmt.Errorf("%w, %d times in a row; %s of %s have arrived and are kept: try again to go on", err, Tries, Size(d.size), Size(d.file.Size))
		}
		pause := d.pause(failures)
		var busy *statusError
		if errors.As(err, &busy) {
			pause = max(pause, busy.after)
		}
		d.say("%s: %v; trying again in %.0f s", d.name, err, pause.Seconds())
		d.resumed = d.size > 0
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// attempt asks for what is missing and appends what comes.
func (d *download) attempt(ctx context.Context) error {
	if d.size > d.file.Size {
		if err := d.startOver(); err != nil {
			return err
		}
	}
	if d.size == d.file.Size {
		return nil
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	stalled := fmt.Errorf("nothing came for %v", d.stall())
	watch := time.AfterFunc(d.stall(), func() { stop(stalled) })
	defer watch.Stop()

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.file.URL, nil)
	if err != nil {
		return final("%w", err)
	}
	request.Header.Set("User-Agent", "Rekindle")
	request.Header.Set("Accept-Encoding", "identity") // positions are those of the file, not of a compressed stream
	if d.size > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.size))
	}
	response, err := d.client().Do(request)
	if err != nil {
		return cmp.Or(context.Cause(ctx), unreachable(err))
	}
	defer response.Body.Close()
	if err := d.head(response); err != nil {
		return err
	}
	buffer := make([]byte, 1<<16)
	for {
		n, err := response.Body.Read(buffer)
		if n > 0 {
			watch.Reset(d.stall())
			if int64(n) > d.file.Size-d.size {
				return d.wrongSize("more bytes")
			}
			n, err := d.part.Write(buffer[:n])
			if d.size += int64(n); err != nil {
				return final("%w; %s have arrived and are kept", err, Size(d.size))
			}
			d.report(d.size, d.file.Size)
		}
		switch {
		case d.size == d.file.Size:
			return nil
		case err != nil && ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return fmt.Errorf("the connection was cut after %s of %s (%w)", Size(d.size), Size(d.file.Size), err)
		}
	}
}

// head looks at an answer's head and makes the part ready for its body.
func (d *download) head(r *http.Response) error {
	switch r.StatusCode {
	case http.StatusOK:
		if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "text/html" {
			return final("the server sent a web page instead; open %s in a browser to see why", d.file.URL)
		}
		if r.ContentLength >= 0 && r.ContentLength != d.file.Size {
			return d.wrongSize(Size(r.ContentLength))
		}
		if d.size > 0 {
			d.say("%s: the server sends it from the beginning; starting over", d.name)
		}
		d.resumed = false
		return d.startOver()
	case http.StatusPartialContent:
		var from, to, total int64
		n, _ := fmt.Sscanf(r.Header.Get("Content-Range"), "bytes %d-%d/%d", &from, &to, &total)
		if n == 3 && total != d.file.Size {
			return d.wrongSize(Size(total))
		}
		if n == 3 && from == d.size {
			return nil
		}
		if err := d.startOver(); err != nil {
			return err
		}
		return errors.New("the server continued it wrongly; starting over")
	case http.StatusRequestedRangeNotSatisfiable:
		if err := d.startOver(); err != nil {
			return err
		}
		return errors.New("the server's file ends before what has arrived; starting over")
	}
	return newStatusError(r)
}

func (d *download) wrongSize(got string) error {
	return final("the server's file has %s, want %s (%d bytes): it is another file", got, Size(d.file.Size), d.file.Size)
}

// unreachable says why no answer came.
func unreachable(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // without the address, which the sentence has already
	}
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return final("there is no way to the server %s; is this machine connected to the network?", dns.Name)
	}
	return fmt.Errorf("no answer from the server (%w)", err)
}

// statusError is an answer that is not the file.
type statusError struct {
	text  string
	after time.Duration // the server asks to wait so long
}

func (e *statusError) Error() string { return e.text }

func newStatusError(r *http.Response) error {
	e := &statusError{text: "the server answers " + r.Status}
	if seconds, err := strconv.Atoi(r.Header.Get("Retry-After")); err == nil {
		e.after = min(time.Duration(max(seconds, 0))*time.Second, 2*time.Minute)
	}
	switch code := r.StatusCode; {
	case code >= 500, code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code == http.StatusTooEarly:
		return e
	case code == http.StatusNotFound, code == http.StatusGone:
		return final("%w: it is not at %s any more", e, r.Request.URL)
	}
	return final("%w for %s", e, r.Request.URL)
}

// verify compares size and checksum of a file.
func (j Job) verify(ctx context.Context, f File, path string) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, &interruptible{ctx, in})
	if err != nil {
		return err
	}
	if n != f.Size {
		return fmt.Errorf("it has %d bytes, want %d", n, f.Size)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != f.SHA256 {
		return fmt.Errorf("its SHA-256 is %.12s…, want %.12s…", got, f.SHA256)
	}
	return nil
}

// interruptible ends reading when its context ends.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i *interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}

// base is the file name in an address.
func base(address string) string {
	if u, err := url.Parse(address); err == nil {
		return path.Base(u.Path)
	}
	return address
}
