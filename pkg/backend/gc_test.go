package backend

import (
	"runtime"
	"testing"
	"time"

	"rekindle/pkg/internal/gogc"
	"rekindle/pkg/machine"
)

func TestGarbageIsAFractionOfWhatIsLive(t *testing.T) {
	for _, c := range []struct {
		liveMB int64
		want   int
	}{{0, 1500}, {10, 600}, {60, 100}, {300, 20}, {600, 10}, {9000, leastPercent}} {
		if got := gcPercent(c.liveMB * machine.MB); got != c.want {
			t.Errorf("%d MB live: %d percent of garbage, want %d", c.liveMB, got, c.want)
		}
	}
}

func TestTheCollectorFollowsWhatIsLive(t *testing.T) {
	now := gogc.Set(t, 77)
	engine, err := startGo()
	if err != nil {
		t.Fatal(err)
	}
	becomes := func(what string, least, most int) {
		t.Helper()
		for until := time.Now().Add(time.Minute); now() < least || now() > most; time.Sleep(time.Millisecond) {
			if time.Now().After(until) {
				t.Fatalf("%s: %d percent", what, now())
			}
			runtime.GC()
		}
	}
	for range 2 { // the second time all is as the first time
		stop := LimitGarbage(engine)
		held := make([]byte, 300*machine.MB)
		becomes("with 300 MB live", leastPercent, 20)
		inner := LimitGarbage(engine)
		runtime.KeepAlive(held)
		becomes("without them", 21, 1500)
		stop()
		stop()
		if now() == 77 {
			t.Error("the limit ended before the last who asked for it")
		}
		inner()
		runtime.GC()
		if got := now(); got != 77 {
			t.Errorf("%d percent afterwards, want what it was, 77", got)
		}
	}
	t.Setenv("GOGC", "90")
	defer LimitGarbage(engine)()
	if now() != 77 {
		t.Error("GOGC of the environment is not kept")
	}
}
