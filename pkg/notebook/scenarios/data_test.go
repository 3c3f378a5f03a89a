package scenarios

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rekindle/pkg/dataset/deadleaves"
)

// photographs puts pictures into a folder that are named as a camera names them.
func photographs(t *testing.T, dir string, first, n int) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o777))
	for i := first; i < first+n; i++ {
		im := deadleaves.Image(64, 64, rand.New(rand.NewPCG(99, uint64(i))))
		must(t, im.SavePNG(filepath.Join(dir, fmt.Sprintf("IMG_%04d.png", i))))
	}
}

// withPhotographs is a machine whose pictures are a person's own.
func withPhotographs(t *testing.T, m *machine) *machine {
	t.Helper()
	own := *m
	own.data = filepath.Join(t.TempDir(), "data")
	photographs(t, filepath.Join(own.data, "raw/train"), 1, 4)
	photographs(t, filepath.Join(own.data, "raw/val"), 101, 2)
	return &own
}

// dataAway plays a disk that is not mounted, pictures in another folder, and
// other pictures to validate with.
func dataAway(t *testing.T, m *machine) {
	own := withPhotographs(t, m)
	n := open(t, own, tiny)
	n.set("ValEvery", 1)
	n.set("NumEpochs", 2)
	all := n.runAll()
	n.works(all)
	exp := n.only()
	first := n.history(exp, 2)
	n.has(exp, "data.json")
	raw, away := filepath.Join(own.data, "raw"), filepath.Join(filepath.Dir(own.data), "away")
	copies, results := n.contents(filepath.Join(own.data, "degraded")), n.contents(exp.Dir)

	must(t, os.Rename(raw, away))
	n.set("NumEpochs", 3)
	n.set("ResumeFromCheckpoint", true)
	n.restart()
	all = n.runAll()
	n.fails(all.of("data"), exp.Name(), "4 pictures from ", "data/raw/train", "IMG_0001.png", "mount their disk", "TrainCleanDir", "ForkExperiment")
	for _, cell := range []string{"loaders", "training", "inference", "evaluation"} {
		n.fails(all.of(cell), "5. Degraded Datasets", "mount their disk")
	}
	if _, err := os.Stat(raw); err == nil {
		t.Error("pictures were drawn in the place of photographs")
	}
	if n.contents(filepath.Join(own.data, "degraded")) != copies {
		t.Error("degraded copies were changed")
	}
	for _, file := range []string{"history.json", "evaluation_metrics.json", "data.json", "checkpoints", "restored_images"} {
		for _, line := range strings.Split(results, "\n") {
			if strings.Contains(line, exp.Dir+"/"+file) && !strings.Contains(n.contents(exp.Dir), line) {
				t.Errorf("changed: %s", line)
			}
		}
	}

	// The same pictures under another path.
	n.set("TrainCleanDir", filepath.Join(away, "train"))
	n.set("ValCleanDir", filepath.Join(away, "val"))
	all = n.runAll()
	n.works(all)
	n.says(all.of("training"), "Best so far: epoch ", "Training completed: 3 epochs")
	if said := all.of("training").said(); strings.Contains(said, "since then") || strings.Contains(said, "cannot be compared") {
		t.Errorf("pictures that were only moved count as other ones:\n%s", said)
	}
	n.continues(n.history(n.only(), 3), first)

	// Other pictures to validate with.
	must(t, os.RemoveAll(filepath.Join(away, "val")))
	photographs(t, filepath.Join(away, "val"), 201, 3)
	n.set("NumEpochs", 4)
	all = n.run("configuration", "data", "training")
	n.works(all)
	n.says(all.of("training"), "Validation pictures since then: 3 added, 2 gone", "the best so far, measured on the validation pictures of now", "Training completed: 4 epochs")
}

// dataAdded adds pictures while training is interrupted in the middle of an epoch.
func dataAdded(t *testing.T, m *machine) {
	own := withPhotographs(t, m)
	n := open(t, own, strings.Replace(tiny, `"patches_per_image": 1,`, `"patches_per_image": 400,`, 1))
	n.set("NumEpochs", 1000)
	n.start(n.ids...)
	upTo := slices.Index(n.ids, "training")
	n.works(n.wait(n.ids[:upTo]...))
	exp := n.only()
	n.waitForEpochs(exp, 1)
	time.Sleep(redrawn)
	n.interrupt()
	n.works(n.wait("training"))
	n.wait(n.ids[upTo+1:]...)
	at := n.newest(exp)
	if at.Position == 0 {
		t.Fatalf("training stopped between two epochs, %+v", at)
	}
	photographs(t, filepath.Join(own.data, "raw/train"), 5, 2)
	n.set("ResumeFromCheckpoint", true)
	n.set("NumEpochs", at.Epoch+2)
	all := n.run("configuration", "data", "training")
	n.works(all)
	n.says(all.of("data"), "Train: 2 degraded copies")
	n.says(all.of("training"), "Training pictures since then: 2 added; there are 6 now", fmt.Sprintf("%d were used in another order: epoch %d ends here", at.Position, at.Epoch+1),
		fmt.Sprintf("Training completed: %d epochs", at.Epoch+2))
}

// dataRefused plays what section 5 refuses, and what it finds at its places.
func dataRefused(t *testing.T, m *machine) {
	own := withPhotographs(t, m)
	n := open(t, own, tiny)
	n.set("ValEvery", 1)
	n.set("NumEpochs", 1)
	n.works(n.runAll())
	exp := n.only()
	scores, restored := filepath.Join(exp.Dir, "evaluation_metrics.json"), n.contents(exp.RestoredDir())
	before, err := os.ReadFile(scores)
	must(t, err)

	// Clean and degraded pictures that are the same have no finite score.
	n.set("ResumeFromCheckpoint", true)
	must(t, os.Symlink(filepath.Join(own.data, "raw/val"), filepath.Join(own.data, "linked"))) // or the configuration would tell
	n.set("ValDegradedDir", "data/linked")
	all := n.run("configuration", "data", "training", "inference", "evaluation")
	n.fails(all.of("data"), "data/raw/val", "another for the degraded copies")
	for _, cell := range []string{"training", "inference", "evaluation"} {
		n.fails(all.of(cell), "5. Degraded Datasets", "another for the degraded copies")
	}
	after, err := os.ReadFile(scores)
	must(t, err)
	if string(after) != string(before) || n.contents(exp.RestoredDir()) != restored {
		t.Error("the evaluation before is gone")
	}

	// A picture of one's own in the place of a copy.
	n.set("ValDegradedDir", "")
	mine := filepath.Join(own.data, "degraded/gaussian/sigma_100/val/IMG_0102.png")
	must(t, deadleaves.Image(64, 64, rand.New(rand.NewPCG(1, 1))).SavePNG(mine))
	was, err := os.ReadFile(mine)
	must(t, err)
	all = n.run("configuration", "data", "evaluation")
	n.fails(all.of("data"), "IMG_0102.png", "not made here", "nothing was changed", "move them away", "ValDegradedDir")
	n.fails(all.of("evaluation"), "IMG_0102.png")
	if now, err := os.ReadFile(mine); err != nil || string(now) != string(was) {
		t.Errorf("a picture of somebody's own was changed (%v)", err)
	}

	// Moved away, all is well; but the checkpoints are gone.
	must(t, os.Rename(mine, filepath.Join(t.TempDir(), "mine.png")))
	must(t, os.RemoveAll(exp.CheckpointsDir()))
	all = n.run("configuration", "data", "training")
	n.works(all)
	n.says(all.of("data"), "Val: 1 degraded copies")
	n.says(all.of("training"), "no checkpoint yet", "history.json.before-1", "Training completed: 1 epochs")
	n.has(exp, "history.json.before-1", "history.json", "checkpoints/best_model.pth")
}
