package cell

import (
	"io"
	"strings"
	"testing"
	"time"
)

func TestACounterSaysHowLongTheRestWillTake(t *testing.T) {
	now, out := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), &strings.Builder{}
	count := &Counter{what: "restored", out: []io.Writer{out}, now: func() time.Time { return now }, began: now, shown: now}
	count.Set(1, 100)
	if out.Len() > 0 {
		t.Errorf("a quick job: got %q, want nothing", out)
	}
	now = now.Add(10 * time.Second)
	count.Set(10, 100)
	if got, want := out.String(), "\r   restored 10 of 100, 1 min 30 s left"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	now = now.Add(time.Second)
	out.Reset()
	count.Set(100, 100)
	if got := out.String(); !strings.HasPrefix(got, "\r   restored 100 of 100  ") {
		t.Errorf("a shorter line: got %q, want the rest of the longer one blank", got)
	}
	out.Reset()
	count.End()
	if got := out.String(); strings.TrimSpace(got) != "" || !strings.HasSuffix(got, "\r") {
		t.Errorf("at the end: got %q, want a blank line", got)
	}
}
