// Package fetch brings a large archive from a web server to the disk, and its
// files out of it, whatever happens on the way: what has arrived is kept and
// never asked for twice, and nothing that is half there or wrong is ever taken
// for whole.
//
//	job := fetch.Job{Report: meter.Set}
//	err := job.Download(ctx, fetch.File{URL: "https://…/pictures.zip", Size: n, SHA256: "9d0b…"}, "downloads/pictures.zip")
//	n, err := job.Unzip(ctx, "downloads/pictures.zip", "pictures", limits)
//
// Standard library only. grab (v3.0.1 of January 2022 is its last release)
// compares nothing but sizes before it continues a file, so a file that changed
// on the server becomes a mixture of both, and it does not retry; go-getter does
// neither resume nor limit what it unpacks, and links the software of three clouds.
package fetch

import (
	"fmt"
	"net/http"
	"time"
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
	Report func(done, total int64) // bytes so far; called often, from one goroutine
	Say    func(line string)       // one line for people: why it waits, or starts over

	Client *http.Client                     // nil: [http.DefaultClient], which respects HTTPS_PROXY
	Stall  time.Duration                    // a connection that brings nothing for so long is given up; 0: a minute
	Pause  func(failures int) time.Duration // before the next try; nil: 1, 2, 4 … 32 seconds
}

// Tries is how often in a row a download may fail without a new byte before it
// is given up.
const Tries = 6

func (j Job) report(done, total int64) {
	if j.Report != nil {
		j.Report(done, total)
	}
}

func (j Job) say(format string, args ...any) {
	if j.Say != nil {
		j.Say(fmt.Sprintf(format, args...))
	}
}

func (j Job) stall() time.Duration {
	if j.Stall > 0 {
		return j.Stall
	}
	return time.Minute
}

func (j Job) pause(failures int) time.Duration {
	if j.Pause != nil {
		return j.Pause(failures)
	}
	return time.Second << min(failures-1, 5)
}

func (j Job) client() *http.Client {
	if j.Client != nil {
		return j.Client
	}
	return http.DefaultClient
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
