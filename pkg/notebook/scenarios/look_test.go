package scenarios

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Many times what a busy machine of two cores took with XLA linked into the cells
// that compute, 23 s and 2.1 s: these bounds notice a cell that trains, not a neighbour.
const (
	lookLimit = 4 * time.Minute  // Run All with SKIP_TRAINING
	cellLimit = 20 * time.Second // a cell that neither trains nor infers
)

// lookIsQuick looks in a new kernel, with what Go has built before in its cache.
func lookIsQuick(t *testing.T, m *machine) {
	n := open(t, m, `{"device": "go", "num_epochs": 1, "patches_per_image": 1, "val_patches_per_image": 1}`)
	first := n.runAll()
	n.works(first)
	exp := n.only()
	before := n.history(exp, 1)
	untouched := []string{exp.CheckpointsDir(), exp.RestoredDir(), exp.MetricsPath()}
	var contents []string
	for _, path := range untouched {
		contents = append(contents, n.contents(path))
	}

	n.edit("skip", "SKIP_TRAINING = false", "SKIP_TRAINING = true")
	n.restart()
	began := time.Now()
	all := n.runAll()
	took := time.Since(began)
	n.works(all)
	n.says(all.of("directories"), "SKIP_TRAINING = true: Looking at an existing experiment", exp.Name())
	n.says(all.of("training"), "SKIP_TRAINING = true: Loading existing results", "Total epochs: 1", "Best epoch: 1")
	n.says(all.of("evaluation"), "evaluated already", "Gain: ")
	if got, want := all.pictures(), first.pictures()-2; got != want { // all but the curve and the patches of training
		t.Errorf("got %d pictures, want %d", got, want)
	}
	n.continues(n.history(n.only(), 1), before)
	for i, path := range untouched {
		if n.contents(path) != contents[i] {
			t.Errorf("a look changed %s", path)
		}
	}

	var table strings.Builder
	for _, o := range first {
		fmt.Fprintf(&table, "   %-14s %5.2f s %5.2f s\n", o.Cell, o.Seconds, all.of(o.Cell).Seconds)
	}
	t.Logf("how long cells take, in a first Run All and in one with SKIP_TRAINING, which took %.1f s as a whole:\n%s", took.Seconds(), table.String())
	for _, line := range tooSlow(all, took) {
		t.Error(line)
	}
}

// tooSlow says what of a Run All is slower than it may be.
func tooSlow(all outputs, took time.Duration) (slow []string) {
	for _, o := range all {
		infers := o.Cell == "inference" || o.Cell == "evaluation"
		if !infers && o.Seconds > cellLimit.Seconds() {
			slow = append(slow, fmt.Sprintf("the cell %s took %.2f s, want at most %v", o.Cell, o.Seconds, cellLimit))
		}
	}
	if took > lookLimit {
		slow = append(slow, fmt.Sprintf("Run All with SKIP_TRAINING took %.1f s, want at most %v", took.Seconds(), lookLimit))
	}
	return slow
}
