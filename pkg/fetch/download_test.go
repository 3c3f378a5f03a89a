package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// site is a web server with one file, and a list of what goes wrong with one
// request after another. After the last it serves the file as it should.
type site struct {
	*httptest.Server
	mu       sync.Mutex
	content  []byte
	tag      string
	wrong    []fault
	requests []string // the Range of each
	sent     int      // bytes of content
}

// fault answers a request in its own way.
type fault func(s *site, w http.ResponseWriter, r *http.Request)

func newSite(t *testing.T, content []byte, wrong ...fault) *site {
	s := &site{content: content, tag: `"first"`, wrong: wrong}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	n := len(s.requests)
	s.requests = append(s.requests, r.Header.Get("Range"))
	s.mu.Unlock()
	w = &counting{w, s}
	if n < len(s.wrong) {
		s.wrong[n](s, w, r)
		return
	}
	serve(s, w, r)
}

// serve is a good server.
func serve(s *site, w http.ResponseWriter, r *http.Request) {
	if s.tag != "" {
		w.Header().Set("ETag", s.tag)
	}
	http.ServeContent(w, r, "pictures.zip", time.Time{}, bytes.NewReader(s.content))
}

type counting struct {
	http.ResponseWriter
	s *site
}

func (c *counting) Write(p []byte) (int, error) {
	c.s.mu.Lock()
	c.s.sent += len(p)
	c.s.mu.Unlock()
	return c.ResponseWriter.Write(p)
}

func (c *counting) Flush() { c.ResponseWriter.(http.Flusher).Flush() }

// cut serves n bytes and then drops the connection.
func cut(n int) fault {
	return func(s *site, w http.ResponseWriter, r *http.Request) {
		serve(s, &limited{w, n}, r)
	}
}

type limited struct {
	http.ResponseWriter
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if len(p) <= l.left {
		l.left -= len(p)
		return l.ResponseWriter.Write(p)
	}
	l.ResponseWriter.Write(p[:l.left])
	l.ResponseWriter.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func status(code int) fault {
	return func(_ *site, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// whole ignores what part was asked for.
func whole(s *site, w http.ResponseWriter, r *http.Request) {
	r.Header.Del("Range")
	serve(s, w, r)
}

// wholeUntil does so and drops the connection after n bytes.
func wholeUntil(n int) fault {
	return func(s *site, w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Range")
		cut(n)(s, w, r)
	}
}

// renewed has a file of another content under the same name from now on.
func renewed(next fault) fault {
	return func(s *site, w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.content, s.tag = noise(len(s.content), 2), `"second"`
		s.mu.Unlock()
		next(s, w, r)
	}
}

func noise(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(r.Uint32())
	}
	return out
}

func fileOf(s *site, content []byte) File {
	sum := sha256.Sum256(content)
	return File{URL: s.URL + "/pictures.zip", Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
}

// quick is a job that does not wait between tries.
func quick(said *strings.Builder) Job {
	return Job{
		Say:   func(line string) { fmt.Fprintln(said, line) },
		Pause: time.Millisecond,
		Stall: 5 * time.Second,
	}
}

func TestDownloadSurvivesWhatServersAndNetworksDo(t *testing.T) {
	const size = 300_000
	content, other := noise(size, 1), noise(size, 2)
	for name, c := range map[string]struct {
		wrong []fault
		want  []byte // the file that is asked for
		sent  int    // bytes that the server should have sent at most
		says  string
	}{
		"nothing wrong":           {nil, content, size, ""},
		"cut at the first byte":   {[]fault{cut(0)}, content, size, "cut after 0 bytes"},
		"cut at the last byte":    {[]fault{cut(size - 1)}, content, size, "cut after 300 kB"},
		"cut again and again":     {[]fault{cut(1), cut(1), cut(99_999), cut(1), cut(65_536), cut(1), cut(1), cut(1)}, content, size, "trying again"},
		"overloaded":              {[]fault{status(500), status(503), status(429)}, content, size, "500"},
		"cut, then overloaded":    {[]fault{cut(1000), status(502), status(500)}, content, size, "502"},
		"ranges ignored":          {[]fault{cut(100_000), whole}, content, 400_000, "starting over"},
		"range refused":           {[]fault{cut(100_000), status(416)}, content, 400_000, "starting over"},
		"flaky after a restart":   {append([]fault{cut(100_000), wholeUntil(20_000)}, slices.Repeat([]fault{cut(10_000)}, 8)...), content, 410_000, "starting over"},
		"changed meanwhile":       {[]fault{cut(100_000), renewed(serve)}, other, 600_000, "do not belong together"},
		"wrong place":             {[]fault{cut(100_000), shifted}, content, 700_000, "continued it wrongly"},
		"changed, without a name": {[]fault{nameless(cut(100_000)), nameless(renewed(serve))}, other, 700_000, "do not belong together"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, content, c.wrong...)
			var said strings.Builder
			path := filepath.Join(t.TempDir(), "pictures.zip")
			if err := quick(&said).Download(context.Background(), fileOf(s, c.want), path); err != nil {
				t.Fatal(err)
			}
			holdsExactly(t, path, c.want)
			if s.sent > c.sent {
				t.Errorf("the server sent %d bytes, want at most %d; ranges %q", s.sent, c.sent, s.requests)
			}
			if !strings.Contains(said.String(), c.says) {
				t.Errorf("said %q, want %q in it", &said, c.says)
			}
		})
	}
}

// shifted answers with another part than was asked for.
func shifted(s *site, w http.ResponseWriter, r *http.Request) {
	r.Header.Set("Range", "bytes=50-")
	r.Header.Del("If-Range")
	serve(s, w, r)
}

// nameless has neither an ETag nor a date.
func nameless(next fault) fault {
	return func(s *site, w http.ResponseWriter, r *http.Request) {
		next(s, &untagged{w}, r)
	}
}

type untagged struct{ http.ResponseWriter }

func (u *untagged) WriteHeader(code int) {
	u.Header().Del("ETag")
	u.ResponseWriter.WriteHeader(code)
}

func (u *untagged) Flush() { u.ResponseWriter.(http.Flusher).Flush() }

// holdsExactly also checks that nothing else is left in the folder.
func holdsExactly(t *testing.T, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the file has %d bytes (%v), want the server's %d", len(got), err, len(want))
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestAFailureSaysWhatItIsAtOnceOrAfterSixTries(t *testing.T) {
	content := noise(200_000, 1)
	page := func(_ *site, w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>please log in</html>") }
	shorter := func(s *site, w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "x.zip", time.Time{}, bytes.NewReader(s.content[:1000]))
	}
	longer := func(s *site, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/zip")
		w.(http.Flusher).Flush() // no length
		w.Write(append(bytes.Clone(s.content), 1))
	}
	many := func(f fault) []fault { return []fault{f, f, f, f, f, f, f, f} }
	for name, c := range map[string]struct {
		wrong    []fault
		requests int
		want     []string
	}{
		"gone":         {many(status(404)), 1, []string{"404", "not at http"}},
		"forbidden":    {many(status(403)), 1, []string{"403"}},
		"login page":   {many(page), 1, []string{"web page", "browser"}},
		"shorter file": {many(shorter), 1, []string{"has 1 kB, want 200 kB", "another file"}},
		"longer file":  {many(longer), 1, []string{"200001 bytes", "another file"}},
		"broken":       {many(status(500)), Tries, []string{"500", "6 times without getting further", "kept"}},
		"always cut":   {append([]fault{cut(5000)}, many(cut(0))...), Tries, []string{"cut after 5 kB", "6 times", "5 kB of 200 kB", "kept"}},
		"always anew":  {many(wholeUntil(5000)), Tries, []string{"cut after 5 kB", "6 times without getting further", "kept"}},
		"now and then": {slices.Repeat([]fault{wholeUntil(5000), cut(5000)}, 10), 2*Tries - 1, []string{"cut after 5 kB", "6 times without getting further", "kept"}},
		"other bytes":  {many(renewed(serve)), 1, []string{"SHA-256", "another file under this name", "nothing was kept"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, content, c.wrong...)
			var said strings.Builder
			path := filepath.Join(t.TempDir(), "pictures.zip")
			err := quick(&said).Download(context.Background(), fileOf(s, content), path)
			if err == nil {
				t.Fatal("got no error")
			}
			for _, want := range append(c.want, "pictures.zip: ") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want %q in it", err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("got %q, want one line", err)
			}
			if len(s.requests) != c.requests {
				t.Errorf("%d requests, want %d", len(s.requests), c.requests)
			}
			if _, err := os.Stat(path); err == nil {
				t.Error("the file appeared all the same")
			}
			if name == "other bytes" && Arrived(path) != 0 {
				t.Errorf("%d wrong bytes were kept", Arrived(path))
			}
		})
	}
}

func TestAServerThatIsNotThere(t *testing.T) {
	s := newSite(t, nil)
	f := fileOf(s, noise(10, 1))
	s.Close()
	var said strings.Builder
	err := quick(&said).Download(context.Background(), f, filepath.Join(t.TempDir(), "pictures.zip"))
	if err == nil || !strings.Contains(err.Error(), "no answer from the server") || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v, want that nobody answers", err)
	}
}

func TestAnInterruptionKeepsWhatHasArrived(t *testing.T) {
	content := noise(300_000, 1)
	hang := func(s *site, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", s.tag)
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		w.Write(content[:120_000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	s := newSite(t, content, hang)
	path := filepath.Join(t.TempDir(), "pictures.zip")
	ctx, cancel := context.WithCancel(context.Background())
	var said strings.Builder
	job := quick(&said)
	job.Progress = func(_ string, done, _ int64) {
		if done == 120_000 {
			cancel()
		}
	}
	if err := job.Download(ctx, fileOf(s, content), path); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
	if n := Arrived(path); n != 120_000 {
		t.Fatalf("%d bytes were kept, want 120000", n)
	}
	if err := job.Download(context.Background(), fileOf(s, content), path); err != nil {
		t.Fatal(err)
	}
	holdsExactly(t, path, content)
	if s.requests[1] != "bytes=120000-" || !strings.Contains(said.String(), "going on after 120 kB") {
		t.Errorf("the second call asked for %q and said %q", s.requests[1], &said)
	}
}

func TestAConnectionThatBringsNothingIsGivenUp(t *testing.T) {
	content := noise(100_000, 1)
	s := newSite(t, content, func(s *site, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", s.tag)
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		w.Write(content[:40_000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}, func(_ *site, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }) // not even a head
	var said strings.Builder
	job := quick(&said)
	job.Stall = 300 * time.Millisecond
	path := filepath.Join(t.TempDir(), "pictures.zip")
	if err := job.Download(context.Background(), fileOf(s, content), path); err != nil {
		t.Fatal(err)
	}
	holdsExactly(t, path, content)
	if n := strings.Count(said.String(), "nothing came for 300ms"); n != 2 || s.requests[2] != "bytes=40000-" {
		t.Errorf("said %q, asked for %q", &said, s.requests)
	}
}

func TestAFullDiskIsNotTriedAgain(t *testing.T) {
	content := noise(100_000, 1)
	s := newSite(t, content)
	path := filepath.Join(t.TempDir(), "pictures.zip")
	if err := os.Symlink("/dev/full", path+".part"); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	err := quick(&said).Download(context.Background(), fileOf(s, content), path)
	if !errors.Is(err, syscall.ENOSPC) || len(s.requests) != 1 {
		t.Errorf("got %v after %d requests, want ENOSPC after one", err, len(s.requests))
	}
}

func TestAFileThatIsThereIsOnlyChecked(t *testing.T) {
	content := noise(1000, 1)
	s := newSite(t, content)
	path := filepath.Join(t.TempDir(), "pictures.zip")
	for _, c := range []struct {
		there []byte
		want  string
	}{{content, ""}, {content[:999], "999 bytes, want 1000"}, {noise(1000, 2), "SHA-256"}} {
		if err := os.WriteFile(path, c.there, 0o666); err != nil {
			t.Fatal(err)
		}
		err := Job{}.Download(context.Background(), fileOf(s, content), path)
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "delete it")) {
			t.Errorf("got %v, want %q", err, c.want)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(after, c.there) {
			t.Error("the file was changed")
		}
	}
	if len(s.requests) > 0 {
		t.Errorf("asked the server %d times", len(s.requests))
	}
}

func TestASlowConnectionIsNotGivenUp(t *testing.T) {
	content := noise(100_000, 1)
	s := newSite(t, content, func(s *site, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		for piece := range slices.Chunk(content, 10_000) {
			time.Sleep(60 * time.Millisecond)
			w.Write(piece)
			w.(http.Flusher).Flush()
		}
	})
	var said strings.Builder
	job := quick(&said)
	job.Stall = 400 * time.Millisecond // less than it takes altogether
	if err := job.Download(context.Background(), fileOf(s, content), filepath.Join(t.TempDir(), "a")); err != nil || len(s.requests) != 1 {
		t.Errorf("got %v after %d requests; said %q", err, len(s.requests), &said)
	}
}
