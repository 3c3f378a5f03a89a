package fetch

import (
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
	"strconv"
	"strings"
	"time"
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
	name := base(f.URL)
	switch _, err := os.Stat(path); {
	case err == nil:
		if err := j.verify(ctx, f, path); err != nil {
			return fmt.Errorf("%s: %w; delete it and try again", path, err)
		}
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	p, err := openPart(path, f.URL)
	if err != nil {
		return err
	}
	defer p.Close()
	d := &download{Job: j, file: f, part: p, resumed: p.size > 0}
	if d.resumed {
		j.say("%s: going on after %s", name, Size(p.size))
	}
	if err := d.run(ctx); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("%s: %w", name, err)
	}
	return p.commit(path)
}

type download struct {
	Job
	file    File
	part    *part
	resumed bool // some bytes are of an earlier answer of the server than others

	most     int64 // bytes there were at most since it began or was started over
	record   int64 // and ever
	restarts int   // how often it was started over since then
}

// startOver throws away what has arrived. Progress counts from nothing again.
func (d *download) startOver(validator string) error {
	if d.part.size > 0 {
		d.restarts++
	}
	d.most = 0
	return d.part.reset(validator)
}

func (d *download) run(ctx context.Context) error {
	failures := 0
	d.most, d.record = d.part.size, d.part.size
	for {
		err := d.attempt(ctx)
		if err == nil {
			d.say("%s: all of it has arrived; comparing the checksum", base(d.file.URL))
			err = d.verify(ctx, d.file, d.part.Name())
			if err == nil || ctx.Err() != nil {
				return err
			}
			if e := d.startOver(""); e != nil {
				return e
			}
			if !d.resumed {
				return fmt.Errorf("%w; the server has another file under this name, or something on the way changed it; nothing was kept", err)
			}
			d.say("%s: its parts do not belong together (%v); starting over", base(d.file.URL), err)
			d.resumed, d.record, d.restarts = false, 0, 0
			continue
		}
		if ctx.Err() != nil || errors.Is(err, errFinal) {
			return err
		}
		if d.part.size > d.most {
			failures, d.most = 0, d.part.size
		}
		if d.part.size > d.record { // or a server that starts over again and again would be asked for ever
			d.restarts, d.record = 0, d.part.size
		}
		if d.restarts == Tries {
			return fmt.Errorf("%w; it had to start over %d times without coming further; %s of %s have arrived and are kept: try again to go on", err, Tries, Size(d.part.size), Size(d.file.Size))
		}
		if failures++; failures == Tries {
			return fmt.Errorf("%w, %d times in a row; %s of %s have arrived and are kept: try again to go on", err, Tries, Size(d.part.size), Size(d.file.Size))
		}
		pause := d.pause(failures)
		var busy *statusError
		if errors.As(err, &busy) {
			pause = max(pause, busy.after)
		}
		d.say("%s: %v; trying again in %.0f s", base(d.file.URL), err, pause.Seconds())
		d.resumed = true
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// attempt asks for what is missing and appends what comes.
func (d *download) attempt(ctx context.Context) error {
	if d.part.size > d.file.Size {
		if err := d.startOver(""); err != nil {
			return err
		}
	}
	if d.part.size == d.file.Size {
		return nil
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	stalled := fmt.Errorf("nothing came for %v", d.stall())
	watch := time.AfterFunc(d.stall(), func() { stop(stalled) })
	defer watch.Stop()

	request, err := d.request(ctx)
	if err != nil {
		return err
	}
	response, err := d.client().Do(request)
	if err != nil {
		return d.unreachable(ctx, err)
	}
	defer response.Body.Close()
	if err := d.answer(response); err != nil {
		return err
	}
	buffer := make([]byte, 1<<16)
	for {
		n, err := response.Body.Read(buffer)
		if n > 0 {
			watch.Reset(d.stall())
			if int64(n) > d.file.Size-d.part.size {
				return d.wrongSize("more bytes")
			}
			if err := d.part.append(buffer[:n]); err != nil {
				return final("%w", err)
			}
			d.report(d.part.size, d.file.Size)
		}
		switch {
		case d.part.size == d.file.Size:
			return nil
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("the connection was cut after %s of %s", Size(d.part.size), Size(d.file.Size))
		case err != nil && ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return fmt.Errorf("the connection was cut after %s of %s (%w)", Size(d.part.size), Size(d.file.Size), err)
		}
	}
}

func (d *download) request(ctx context.Context) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.file.URL, nil)
	if err != nil {
		return nil, final("%w", err)
	}
	r.Header.Set("User-Agent", "Rekindle")
	r.Header.Set("Accept-Encoding", "identity") // positions are those of the file, not of a compressed stream
	if d.part.size > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.part.size))
		if d.part.state.Validator != "" {
			r.Header.Set("If-Range", d.part.state.Validator)
		}
	}
	return r, nil
}

// answer looks at an answer's head and makes the part ready for its body.
func (d *download) answer(r *http.Response) error {
	validator := validatorOf(r.Header)
	switch r.StatusCode {
	case http.StatusOK:
		if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "text/html" {
			return final("the server sent a web page instead; open %s in a browser to see why", d.file.URL)
		}
		if r.ContentLength >= 0 && r.ContentLength != d.file.Size {
			return d.wrongSize(Size(r.ContentLength))
		}
		if d.part.size > 0 {
			d.say("%s: the server sends it from the beginning, because it changed or cannot be continued; starting over", base(d.file.URL))
		}
		d.resumed = false
		return d.startOver(validator)
	case http.StatusPartialContent:
		from, total, ok := contentRange(r.Header.Get("Content-Range"))
		if ok && total != d.file.Size {
			return d.wrongSize(Size(total))
		}
		changed := validator != "" && d.part.state.Validator != "" && validator != d.part.state.Validator
		if !ok || from != d.part.size || changed { // a server that does not know If-Range
			if err := d.startOver(""); err != nil {
				return err
			}
			return errors.New("the server continued it wrongly, or it changed meanwhile; starting over")
		}
		return nil
	case http.StatusRequestedRangeNotSatisfiable:
		if err := d.startOver(""); err != nil {
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
func (d *download) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
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

// validatorOf returns what identifies the content of an answer, for If-Range: a
// strong ETag or the date of the last change.
func validatorOf(h http.Header) string {
	if tag := h.Get("ETag"); strings.HasPrefix(tag, `"`) {
		return tag
	}
	return h.Get("Last-Modified")
}

// contentRange reads "bytes 500-999/1000".
func contentRange(value string) (from, total int64, ok bool) {
	var to int64
	n, err := fmt.Sscanf(value, "bytes %d-%d/%d", &from, &to, &total)
	return from, total, err == nil && n == 3 && to == total-1
}

// verify compares size and checksum of a file.
func (j Job) verify(ctx context.Context, f File, path string) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if info.Size() != f.Size {
		return fmt.Errorf("it has %d bytes, want %d", info.Size(), f.Size)
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, &interruptible{ctx, in}); err != nil {
		return err
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
