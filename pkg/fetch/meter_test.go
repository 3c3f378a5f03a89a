package fetch

import (
	"strings"
	"testing"
	"time"
)

// watch runs a meter over a download at 10 MB/s that goes on after half a GB.
func watch(rewrites bool) string {
	var out strings.Builder
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	m := NewMeter(&out, rewrites)
	m.now = func() time.Time { return now }
	m.Begin("a.zip")
	for done := int64(500e6); done <= 1500e6; done += 1e6 {
		m.Set(done, 1500e6)
		now = now.Add(100 * time.Millisecond)
	}
	m.End()
	return out.String()
}

func TestOnATerminalOneLineIsRewritten(t *testing.T) {
	out := watch(true)
	if strings.Contains(out, "\n") {
		t.Error("the terminal got more than one line")
	}
	lines := strings.Split(out, "\r")
	if n := len(lines); n < 200 || n > 450 {
		t.Errorf("written %d times in 100 s, want about four a second", n)
	}
	// What was there already must not count as speed.
	if got, want := strings.TrimSpace(lines[4]), "a.zip  510.0 MB of 1.50 GB  34 %  10.0 MB/s  1 min 39 s left"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if last := lines[len(lines)-2]; strings.TrimSpace(last) != "" {
		t.Errorf("the line was left behind: %q", last)
	}
	for _, line := range lines {
		if len(line) > 79 {
			t.Errorf("%q is longer than a terminal is wide", line)
		}
	}
}

func TestElsewhereALineForEveryTenth(t *testing.T) {
	out := watch(false)
	if n := strings.Count(out, "\n"); n != 6 || strings.Contains(out, "\r") {
		t.Errorf("got %d lines, want those of 40 to 90 %%: %q", n, out)
	}
	if !strings.Contains(out, "   a.zip  750.0 MB of 1.50 GB  50 %  10.0 MB/s  1 min 15 s left\n") {
		t.Errorf("got %q", out)
	}
}

func TestAQuickJobPrintsNothingElsewhere(t *testing.T) {
	var out strings.Builder
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	m := NewMeter(&out, false)
	m.now = func() time.Time { return now }
	m.Begin("a.zip")
	for done := range int64(100) {
		m.Set(done, 100)
		now = now.Add(15 * time.Millisecond)
	}
	m.End()
	if out.Len() > 0 {
		t.Errorf("got %q", &out)
	}
}

func TestTimesAndSizesForPeople(t *testing.T) {
	for seconds, want := range map[float64]string{0: "0 s", 59.4: "59 s", 61: "1 min 01 s", 3661: "1 h 01 min", 1e9: "days"} {
		if got := left(seconds); got != want {
			t.Errorf("%g s: got %q, want %q", seconds, got, want)
		}
	}
	for n, want := range map[int64]string{12: "12 bytes", 1234: "1 kB", 448993893: "449.0 MB", 3530603713: "3.53 GB"} {
		if got := Size(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}
