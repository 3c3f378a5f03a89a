package progress

import (
	"context"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
	"rekindle/pkg/figures"
	"rekindle/pkg/history"
	"rekindle/pkg/watch"
)

// clock is a time that tests move.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

// watched is a Progress that writes text into a buffer.
func watched(live bool) (*Display, *strings.Builder, *clock) {
	c := &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	out := &strings.Builder{}
	p := newDisplay(c.now)
	p.text = []*textView{{w: out, live: live, now: c.now}}
	go p.repaint()
	return p, out, c
}

func epoch(valLoss float64) history.Epoch {
	return history.Epoch{TrainLoss: 0.2311, TrainL1: 0.1, TrainSSIM: 0.5, ValLoss: valLoss, ValL1: 0.1, ValSSIM: 0.7021, ValPSNR: 27.318, LR: 1e-3, EpochTime: 41, MemoryAllocatedMB: 612}
}

// train plays a whole run of epochs with a batch each second.
func train(p *Display, c *clock, from, epochs, batches int) {
	p.Start(from, epochs, batches)
	for e := from; e <= epochs; e++ {
		for b := 1; b <= batches; b++ {
			c.t = c.t.Add(time.Second)
			p.Batch(e, b, 0.25, 16)
		}
		p.EpochDone(e, epoch(0.2), e, 0.2)
	}
	p.Close()
}

func TestTextOutsideATerminalIsATableOfEpochs(t *testing.T) {
	p, out, c := watched(false)
	train(p, c, 1, 7, 20)
	lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
	if len(lines) != 2+7 {
		t.Fatalf("7 epochs of 20 quick batches: got %d lines, want a title, a header and 7 rows:\n%s", len(lines), out)
	}
	if strings.ContainsAny(out.String(), "\r\x1b") {
		t.Errorf("the text holds control characters: %q", out)
	}
}

func TestALongRunDoesNotFloodALog(t *testing.T) {
	p, out, c := watched(false)
	train(p, c, 1, 10, 20000) // more than two days
	if n := strings.Count(out.String(), "\n"); n < 30 || n > 220 {
		t.Errorf("got %d lines, want a sign of life now and then, but not hundreds", n)
	}
}

func TestATerminalGetsARunningLine(t *testing.T) {
	p, out, c := watched(true)
	train(p, c, 1, 2, 10)
	if n := strings.Count(out.String(), "\r"); n < 10 {
		t.Errorf("got %d overwritten lines, want one for each batch of a second", n)
	}
	if n := strings.Count(out.String(), "\n"); n != 2+2 {
		t.Errorf("got %d lines that stay, want title, header and 2 rows", n)
	}
}

func TestColumnsStandUnderTheirNames(t *testing.T) {
	r := running{epochs: 36, speeds: map[int]float64{1: 16.2}}
	r.history.Append(epoch(0.1502))
	row := epochLine(r, 1)
	for name, value := range map[string]string{
		"epoch": "1/36", "train loss": "0.2311", "val loss": "0.1502", "val SSIM": "0.7021", "val PSNR": "27.32", "lr": "1.0e-03", "time": "41 s", "images/s": "16.2", "memory": "612 MB",
	} {
		// Right edges agree.
		want := len([]rune(header[:strings.Index(header, name)+len(name)]))
		got := len([]rune(row[:strings.Index(row, value)+len(value)]))
		if got != want {
			t.Errorf("%s ends in column %d, its name in column %d:\n%s\n%s", value, got, want, header, row)
		}
	}
}

func TestAnEpochThatWasNotValidatedShowsADash(t *testing.T) {
	r := running{epochs: 2, speeds: map[int]float64{}}
	e := epoch(math.NaN())
	e.ValSSIM = math.NaN()
	r.history.Append(e)
	if line := epochLine(r, 1); strings.Contains(line, "NaN") || strings.Count(line, "–") < 2 {
		t.Errorf("got %q, want dashes for val loss and val SSIM", line)
	}
	if text := panelHTML(r); strings.Contains(text, "NaN") {
		t.Errorf("the panel shows NaN: %s", text)
	}
}

func TestTimeLeftComesFromThePaceOfThisSession(t *testing.T) {
	p, _, c := watched(false)
	p.Start(3, 4, 10) // two epochs were done before
	c.t = c.t.Add(time.Minute)
	p.Batch(3, 1, 0.3, 8) // includes compiling: a minute that says nothing about the pace
	for b := 2; b <= 5; b++ {
		c.t = c.t.Add(2 * time.Second)
		p.Batch(3, b, 0.3, 8)
	}
	if got, want := p.run.left, 15*2*time.Second; got != want {
		t.Errorf("5 of 10 batches of epoch 3 of 4 done at 2 s each: got %v left, want %v", got, want)
	}
	if got, want := p.run.fraction(), 25.0/40; got != want {
		t.Errorf("the bar stands at %v, want %v: earlier sessions count", got, want)
	}
	p.Close()
}

func TestResumingKeepsTheEarlierEpochsOfTheCurve(t *testing.T) {
	p, _, c := watched(false)
	for range 5 {
		p.run.history.Append(epoch(0.5))
	}
	p.Start(5, 6, 2) // epoch 5 is trained again: the newest checkpoint was one of epoch 4
	c.t = c.t.Add(time.Second)
	p.Batch(5, 2, 0.3, 8)
	p.EpochDone(5, epoch(0.1), 5, 0.1)
	if got := p.run.history.Len(); got != 5 {
		t.Errorf("got %d epochs in the curve, want 5", got)
	}
	if table := rows(p.run, 10); len(table) != 5 || table[4][0] != "5 / 6" || table[4][2] != "0.1000" {
		t.Errorf("the table is %v, want all five epochs, the last one as it was trained again", table)
	}
	p.Close()
}

func TestAHangingFrontEndDoesNotHoldTrainingUp(t *testing.T) {
	p := newDisplay(time.Now)
	release := make(chan struct{})
	p.paint = func(running) { <-release }
	go p.repaint()
	p.Start(1, 1, 1)
	go p.show()
	for range 1000 { // which would wait for ever
		p.Batch(1, 1, 0.3, 8)
	}
	close(release)
	p.Close()
}

// The driver is asked by starting a program, which may take its time.
func TestThePanelShowsTheGPUsMemoryWithoutWaitingForIt(t *testing.T) {
	p := newDisplay(time.Now)
	p.run.onGPU = true
	var painted running
	p.paint = func(r running) { painted = r }
	defer close(p.stop)
	answers, asked := make(chan int64), make(chan struct{}, 100)
	p.held = p.askNowAndThen(func() int64 { asked <- struct{}{}; return <-answers }, time.Hour)
	p.Start(1, 1, 2)
	p.Batch(1, 1, 0.3, 8)
	p.show()
	if text := details(painted); !strings.Contains(text, "– of the GPU's memory") {
		t.Errorf("before the driver answers: got %q, want a dash", text)
	}
	answers <- 4321 << 20
	for deadline := time.Now().Add(10 * time.Second); p.held() == 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	for range 10 {
		p.Batch(1, 1, 0.3, 8)
		p.show()
	}
	if text := details(painted); !strings.Contains(text, "4321 MB of the GPU's memory") {
		t.Errorf("after it answered: got %q, want what it said", text)
	}
	if len(asked) != 1 {
		t.Errorf("10 repaints within an hour asked %d times, want once", len(asked))
	}
}

func TestThePanelEndsAsATableOfEpochs(t *testing.T) {
	p, _, c := watched(false)
	p.Start(1, 3, 2)
	live := panelHTML(p.run)
	if !strings.Contains(live, "Epoch 1 of 3") || !strings.Contains(live, "compiling") {
		t.Errorf("before the first batch: got %s, want where the run stands and why nothing moves", live)
	}
	train(p, c, 1, 3, 2)
	end := panelHTML(p.run)
	if strings.Contains(end, "batch") || strings.Count(end, "<tr>") != 4 || !strings.Contains(end, "★ best") || !strings.Contains(end, "3 of 3 epochs") {
		t.Errorf("at the end: got %s, want a table of 3 epochs with the best marked", end)
	}
	if text := panelText(p.run); strings.Count(text, "\n") != 4 {
		t.Errorf("the same as text has %d line breaks, want 4:\n%s", strings.Count(text, "\n"), text)
	}
}

func TestAVeryLongRunStoresABoundedTable(t *testing.T) {
	p, _, c := watched(false)
	train(p, c, 1, 500, 1)
	if n := strings.Count(panelHTML(p.run), "<tr>"); n != 1+shownAtEnd {
		t.Errorf("500 epochs: got %d rows, want a header and the last %d", n, shownAtEnd)
	}
}

func TestClosingTwiceOrWithoutTrainingIsNoHarm(t *testing.T) {
	p, out, _ := watched(true)
	p.Close()
	p.Close()
	if out.Len() != 0 {
		t.Errorf("nothing was trained, and %q was written", out)
	}
}

func TestDurationsAreSpelledToTwoUnits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		400 * time.Millisecond: "0 s", 41 * time.Second: "41 s", 185 * time.Second: "3 min 5 s", 130 * time.Minute: "2 h 10 min", 50 * time.Hour: "50 h 0 min",
	} {
		if got := figures.Duration(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

// kept is a Progress that keeps progress.json of a new experiment.
func kept(t *testing.T) (*Display, *experiment.Experiment) {
	t.Helper()
	cfg := config.Preset("go")
	cfg.ExperimentsDir = t.TempDir()
	exp, err := experiment.Create(cfg, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p, _, _ := watched(false)
	p.file = &status{exp: exp, owner: experiment.Myself()}
	return p, exp
}

func TestWhereARunIsCanBeReadFromElsewhereUntilItEnds(t *testing.T) {
	p, exp := kept(t)
	p.show()
	if _, err := exp.LoadProgress(); err == nil {
		t.Error("a run that has not begun says where it is")
	}
	p.Start(2, 7, 156)
	p.Batch(2, 57, 0.4211, 16)
	p.show()
	got, err := exp.LoadProgress()
	if err != nil || got.Epoch != 2 || got.NumEpochs != 7 || got.Batch != 57 || got.Batches != 156 || got.Loss != 0.4211 || got.PID != os.Getpid() || got.MemoryMB == 0 {
		t.Fatalf("got %+v, %v", got, err)
	}
	p.painted = time.Now().Add(-aliveEvery) // a step that takes long
	p.show()
	if again, err := exp.LoadProgress(); err != nil || !again.Updated.After(got.Updated) || !again.Moved.Equal(got.Moved) {
		t.Errorf("while a step takes long there is no sign of life: %+v, %v", again, err)
	}
	p.Close()
	files, err := os.ReadDir(exp.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.Contains(f.Name(), "progress") {
			t.Errorf("the run is over, and %s is left", f.Name())
		}
	}
}

func TestARunThatWasOverBeforeItBeganShowsItsTable(t *testing.T) {
	p, _, _ := watched(false)
	p.run.epochs = 2
	p.run.history.Append(epoch(0.3))
	p.run.history.Append(epoch(0.2))
	var painted running
	p.paint = func(r running) { painted = r }
	p.NothingLeft()
	p.Close()
	text := panelHTML(painted)
	for _, want := range []string{"2 of 2 epochs finished, best: epoch 2", "<td>1 / 2</td>", "<td>2 / 2</td>", "★ best"} {
		if !painted.whole || !strings.Contains(text, want) {
			t.Errorf("it lacks %q: %s", want, text)
		}
	}
}

func TestTheTableOfAResumedRunHasItsEarlierEpochs(t *testing.T) {
	r := running{epochs: 4, fromEpoch: 3, batches: 10, closed: true, speeds: map[int]float64{3: 16}}
	for range 3 {
		r.history.Append(epoch(0.3))
	}
	for _, text := range []string{panelHTML(r), panelText(r)} {
		if n := strings.Count(text, "0.2311"); n != 3 {
			t.Errorf("got %d epochs, want 3:\n%s", n, text)
		}
	}
}

func TestTheBoxSaysOfWhichMomentItIs(t *testing.T) {
	r := running{epochs: 7, epoch: 2, batches: 10, batch: 3, asOf: time.Date(2026, 1, 2, 14, 3, 22, 0, time.Local)}
	if text := panelHTML(r); !strings.Contains(text, "as of 14:03:22; if this stands still, the page was loaded anew") {
		t.Errorf("got %s", text)
	}
	r.closed = true
	if text := panelHTML(r); strings.Contains(text, "as of") {
		t.Errorf("at the end: %s", text)
	}
}

func TestARunThatIsWatchedLooksAsUnderItsOwnCell(t *testing.T) {
	p, exp := kept(t)
	h := history.History{}
	h.Append(epoch(0.2))
	if err := h.Save(exp.HistoryPath()); err != nil {
		t.Fatal(err)
	}
	lock, err := exp.Lock()
	if err != nil {
		t.Fatal(err)
	}
	p.Start(2, 7, 156)
	p.Batch(2, 78, 0.4211, 16)
	p.show()
	text := panelHTML(seen(watch.Look(exp, nil)))
	for _, want := range []string{"Epoch 2 of 7 · batch 78 of 156", "width:21.4%", "loss 0.4211 · 16.0 images/s", "<td>1 / 7</td>", "best so far: epoch 1", "as of "} {
		if !strings.Contains(text, want) {
			t.Errorf("it lacks %q: %s", want, text)
		}
	}
	if strings.Contains(text, "loaded anew") {
		t.Errorf("whoever watches is told to watch: %s", text)
	}
	p.Close()
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	v := watch.Look(exp, nil)
	n := 0
	if v = watchUntil(context.Background(), v, func(*watch.View) { n++ }); n != 1 || !v.Ended() {
		t.Errorf("a run that is over was shown %d times; ended %v", n, v.Ended())
	}
	if text := panelHTML(seen(v)); !strings.Contains(text, "1 of 7 epochs finished") {
		t.Errorf("at the end: %s", text)
	}
}
