package meter

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestElsewhereALineNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		b := Meter{To: &out}
		work := func(from int) {
			for done := from; done <= 100; done++ {
				b.Set("a.zip", int64(done), 100)
				time.Sleep(time.Second)
			}
		}
		work(40) // what was there already is no speed
		b.Aside(func() { fmt.Fprintln(&out, "once more") })
		work(0)
		b.End()
		want := "   a.zip: 70 %, 30 s left\nonce more\n   a.zip: 30 %, 1 min 10 s left\n   a.zip: 60 %, 40 s left\n   a.zip: 90 %, 10 s left\n"
		if out.String() != want {
			t.Errorf("got %q, want %q", &out, want)
		}
	})
}

func TestOnATerminalABarThatIsTakenAway(t *testing.T) {
	var out strings.Builder
	b := Meter{To: &out, Terminal: true, Bytes: true}
	b.Set("a.zip", 5e8, 1.5e9)
	time.Sleep(150 * time.Millisecond) // longer than between two drawings
	b.Set("a.zip", 7.5e8, 1.5e9)
	if got := out.String(); !strings.Contains(got, "a.zip") || !strings.Contains(got, "25%") || !strings.Contains(got, "B/s") || strings.Contains(got, "\n") {
		t.Errorf("got %q, want a quarter of what was left", got)
	}
	b.Aside(func() { out.WriteString("<said>") })
	time.Sleep(150 * time.Millisecond)
	b.Set("a.zip", 1e9, 1.5e9)
	before, after, _ := strings.Cut(out.String(), "<said>")
	if lines := strings.Split(before, "\r"); strings.TrimSpace(lines[len(lines)-1]) != "" || !strings.Contains(after, "50%") {
		t.Errorf("got %q around a line, want no bar before it and one after", out.String())
	}
	b.End()
	lines := strings.Split(out.String(), "\r")
	if last := lines[len(lines)-1]; strings.TrimSpace(last) != "" {
		t.Errorf("left behind: %q", last)
	}
}

func ExampleMeter() {
	var log strings.Builder // not a terminal
	bar := Meter{To: &log}
	defer bar.End()
	for done := range int64(1000) {
		bar.Set("restoring", done, 1000)
	}
	fmt.Printf("%q\n", log.String()) // nothing: it took no time
	// Output: ""
}
