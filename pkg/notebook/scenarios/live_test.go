package scenarios

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"rekindle/pkg/experiment"
	"rekindle/pkg/history"
)

// redrawn is how long a change may take to be seen: the box is painted every
// second, the curve every two.
const redrawn = 3500 * time.Millisecond

// live returns what the box of the training cell showed one after the other while
// training ran, and the different curves of one display in that time. What is
// drawn when training ends, the table of epochs and the last curve, and the
// validation patches below the curve are left out.
func (o output) live() (boxes, curves []string) {
	box, curve := "", "" // the displays
	for _, s := range o.States {
		switch {
		case strings.Contains(s.HTML, "epochs finished"):
			return boxes, curves
		case s.HTML != "" && (box == "" || s.Display == box):
			box, boxes = s.Display, append(boxes, s.HTML)
		case s.Picture != "" && (curve == "" || s.Display == curve):
			if len(curves) == 0 || curves[len(curves)-1] != s.Picture {
				curves = append(curves, s.Picture)
			}
			curve = s.Display
		}
	}
	return boxes, curves
}

// isLive checks that a training cell that ran for a few epochs was good to look
// at meanwhile.
func (n *notebook) isLive(o output) {
	n.t.Helper()
	boxes, curves := o.live()
	if len(boxes) < 3 {
		n.t.Fatalf("the box was drawn %d times while training ran, want at least once and two times anew; displays: %d", len(boxes), len(o.States))
	}
	if len(curves) < 2 {
		n.t.Errorf("%d different curves were drawn in one place while training ran, want at least 2", len(curves))
	}
	first, last := boxes[0], boxes[len(boxes)-1]
	headline := regexp.MustCompile(`<b>(Epoch \d+ of \d+ · batch \d+ of \d+)`)
	a, b := headline.FindStringSubmatch(first), headline.FindStringSubmatch(last)
	if a == nil || b == nil || a[1] == b[1] {
		n.t.Errorf("the box does not tell how far training is, or it stands still: %q, later %q", a, b)
	}
	if barWidth(n.t, last) <= 0 {
		n.t.Errorf("after some epochs the bar is empty:\n%s", last)
	}
	for what, pattern := range map[string]string{
		"the time left":     `\d+ (s|min|h|min \d+ s|h \d+ min) left</b>`,
		"the throughput":    `\b\d+\.\d images/s ·`,
		"the memory":        `· \d+ MB memory\b`,
		"the best so far":   `best so far: epoch [1-9]\d* \(val_loss \d\.\d+\)`,
		"the epochs so far": `<tbody>.*<td>\d+ / 1000</td>`,
	} {
		if !regexp.MustCompile(pattern).MatchString(last) {
			n.t.Errorf("while training ran the box did not tell %s:\n%s", what, last)
		}
	}
	if o.Pictures != 2 || strings.Count(o.HTML, "<table") != 1 {
		n.t.Errorf("at the end the cell shows %d pictures and %d tables, want the curve, the patches and one table: redrawn, not repeated", o.Pictures, strings.Count(o.HTML, "<table"))
	}
}

// barWidth is how much of the bar is filled, in percent.
func barWidth(t *testing.T, box string) float64 {
	t.Helper()
	found := regexp.MustCompile(`width:([\d.]+)%`).FindStringSubmatch(box)
	if found == nil {
		t.Fatalf("there is no bar in\n%s", box)
	}
	percent, err := strconv.ParseFloat(found[1], 64)
	must(t, err)
	return percent
}

// waitForEpochs waits until training has finished so many.
func (n *notebook) waitForEpochs(exp *experiment.Experiment, epochs int) {
	n.t.Helper()
	for begun := time.Now(); time.Since(begun) < patience; time.Sleep(50 * time.Millisecond) {
		if h, err := history.Load(exp.HistoryPath()); err == nil && h.Len() >= epochs {
			return
		}
	}
	n.t.Fatalf("training has not finished %d epochs", epochs)
}
