package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func interrupted(t *testing.T, m *machine) {
	n := open(t, m, strings.Replace(tiny, `"patches_per_image": 1,`, `"patches_per_image": 40,`, 1)) // an epoch of a second or two
	n.set("NumEpochs", 1000)
	n.start(n.ids...)
	upTo := slices.Index(n.ids, "training")
	n.works(n.wait(n.ids[:upTo]...))
	exp := n.only()
	n.waitForEpochs(exp, 3)
	time.Sleep(redrawn)
	pressed := time.Now()
	n.interrupt()
	all := n.wait("training")
	// GoNB kills a program 5 s after the interruption.
	if took := time.Since(pressed); took > 5*time.Second {
		t.Errorf("training took %v to stop", took)
	}
	n.works(all)
	n.says(all.of("training"), "Training interrupted in epoch", "nothing is lost", "emergency_checkpoint_interrupt_epoch_", "ResumeFromCheckpoint = true")
	n.isLive(all.of("training"))
	below := n.wait(n.ids[upTo+1:]...)
	n.works(below) // with what there is
	n.passedOver(below, "inference", "evaluation")
	n.status(exp, "interrupted")
	at := n.newest(exp)
	if !strings.HasPrefix(at.Name(), "emergency_checkpoint_interrupt_epoch_") || at.Epoch < 1 || at.Position == 0 {
		t.Errorf("the newest checkpoint is %s, epoch %d, position %d; want an emergency checkpoint in the middle of an epoch after the first", at.Name(), at.Epoch, at.Position)
	}
	stopped := n.history(exp, at.Epoch)

	// Only a look.
	n.edit("skip", "SKIP_TRAINING = false", "SKIP_TRAINING = true")
	look := n.runAll()
	n.works(look)
	n.says(look.of("directories"), exp.Name())
	n.says(look.of("training"), "SKIP_TRAINING = true", fmt.Sprintf("Total epochs: %d", at.Epoch))
	n.continues(n.history(n.only(), at.Epoch), stopped)
	if now := n.newest(exp); now != at {
		t.Errorf("a look changed the newest checkpoint from %v to %v", at, now)
	}

	// Go on.
	n.edit("skip", "SKIP_TRAINING = true", "SKIP_TRAINING = false")
	n.set("ResumeFromCheckpoint", true)
	epochs := at.Epoch + 4 // a few seconds, so that something is seen of them
	n.set("NumEpochs", epochs)
	all = n.runAll()
	n.works(all)
	n.says(all.of("training"), "Resuming from "+at.Name(), fmt.Sprintf("and %d of ", at.Position), fmt.Sprintf("Training completed: %d epochs", epochs))
	n.continues(n.history(n.only(), epochs), stopped)
	boxes, _ := all.of("training").live()
	if len(boxes) == 0 {
		t.Fatal("the resumed training showed no progress")
	}
	// The bar stands where the run does: its earlier epochs are behind it.
	if got, least := barWidth(t, boxes[0]), 100*float64(at.Epoch)/float64(epochs); got < least-0.1 {
		t.Errorf("after a resume the bar begins at %.1f %%, want at least %.1f %%", got, least)
	}
	n.status(exp, "completed")
}

// passedOver checks that of the cells queued behind an interrupted training the light
// ones showed what there is, and the heavy ones said in a line that they did nothing.
func (n *notebook) passedOver(below outputs, heavy ...string) {
	n.t.Helper()
	for _, cell := range heavy {
		o := below.of(cell)
		n.says(o, "Training was interrupted, so ", "is passed over; run this cell by itself to do it")
		if lines := strings.Count(strings.TrimSpace(o.said()), "\n") + 1; lines != 1 || o.Pictures > 0 {
			n.t.Errorf("the cell %s, passed over, said %d lines and showed %d pictures:\n%s", cell, lines, o.Pictures, o.said())
		}
	}
	n.says(below.of("summary"), "TRAINING SUMMARY", "interrupted")
	if below.of("curves").Pictures == 0 {
		n.t.Error("the curves of what was trained are not shown")
	}
}

// interruptedEarly stops a Run All before anything was validated. Then a person runs
// the heavy cells by hand: one at once, which was passed over before, and one that was
// not, after a training cell that had no queue behind it.
func interruptedEarly(t *testing.T, m *machine) {
	n := open(t, m, strings.Replace(tiny, `"patches_per_image": 1,`, `"patches_per_image": 40, "val_every": 1000,`, 1))
	n.set("NumEpochs", 1000)
	n.start(n.ids...)
	upTo := slices.Index(n.ids, "training")
	n.works(n.wait(n.ids[:upTo]...))
	exp := n.only()
	n.waitForEpochs(exp, 1)
	time.Sleep(redrawn)
	n.interrupt()
	all := n.wait(n.ids[upTo:]...)
	n.works(all)
	n.passedOver(all, "inference", "evaluation")
	n.says(all.of("summary"), "none validated yet")
	n.hasNoBest(exp, all)
	byHand := n.run("inference")
	n.works(byHand)
	n.says(byHand.of("inference"), "No epoch is validated yet", "Loaded the weights of epoch ")
	n.hasNoBest(exp, byHand)

	n.set("ResumeFromCheckpoint", true)
	n.works(n.run("configuration"))
	n.start("training")
	n.waitForEpochs(exp, n.newest(exp).Epoch+1)
	n.interrupt()
	n.works(n.wait("training"))
	time.Sleep(6 * time.Second) // longer than a queue takes to its next cell
	all = n.run("evaluation")
	n.works(all)
	n.says(all.of("evaluation"), "Evaluating the weights of epoch ")
	n.hasNoBest(exp, all)
}

// interruptedCompiling presses the stop button during Run All before the program of the
// training cell is built: a second or more, as its text is new.
func interruptedCompiling(t *testing.T, m *machine) {
	n := open(t, m, tiny)
	upTo := slices.Index(n.ids, "training")
	n.works(n.run(n.ids[:upTo]...))
	n.edit("training", "%%\n", "%%\nprintln(\"compiled anew\")\n")
	n.start(n.ids[upTo:]...)
	time.Sleep(200 * time.Millisecond)
	n.interrupt()
	all := n.wait(n.ids[upTo:]...)
	n.fails(all.of("training"), "Interrupted while this cell was compiled")
	for _, cell := range []string{"inference", "evaluation"} {
		n.works(outputs{all.of(cell)})
		n.says(all.of(cell), "is passed over; run this cell by itself to do it")
	}
	n.says(all.of("summary"), "TRAINING SUMMARY")
}

// folderRemoved plays a program that cleans up temporary files.
func folderRemoved(t *testing.T, m *machine) {
	n := open(t, m, tiny)
	n.works(n.run("control", "environment"))
	folders, _ := filepath.Glob(filepath.Join(n.top, "gonb_*", "go.mod"))
	if len(folders) != 1 {
		t.Fatalf("the kernel has %q, want one folder", folders)
	}
	dir := filepath.Dir(folders[0])
	folder, err := os.Open(dir)
	must(t, err)
	defer folder.Close()
	if err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
		t.Error("systemd would take the folder for a forgotten one: it is not locked")
	}
	must(t, os.RemoveAll(dir))
	for _, cell := range []string{"environment", "configuration"} {
		n.fails(n.run(cell).of(cell), dir, "Restart the kernel")
	}
	n.restart()
	n.works(n.run("control", "environment", "configuration"))

	// And while a cell is compiled.
	folders, _ = filepath.Glob(filepath.Join(n.top, "gonb_*", "main.go"))
	if len(folders) != 1 {
		t.Fatalf("the kernel has %q, want one folder", folders)
	}
	before, err := os.Stat(folders[0])
	must(t, err)
	n.edit("configuration", "%%\n", "%%\nprintln(\"compiled anew\")\n")
	n.start("configuration")
	for now := before; now.ModTime().Equal(before.ModTime()); time.Sleep(time.Millisecond) {
		if now, err = os.Stat(folders[0]); err != nil {
			now = before
		}
	}
	time.Sleep(300 * time.Millisecond)
	must(t, os.RemoveAll(filepath.Dir(folders[0])))
	n.wait("configuration")
	n.fails(n.run("environment").of("environment"), "Restart the kernel")
}

// killed plays kill -9 on the program of the training cell.
func killed(t *testing.T, m *machine) {
	n := open(t, m, strings.Replace(tiny, `"patches_per_image": 1,`, `"patches_per_image": 40,`, 1))
	n.set("NumEpochs", 1000)
	n.start(n.ids...)
	upTo := slices.Index(n.ids, "training")
	n.works(n.wait(n.ids[:upTo]...))
	exp := n.only()
	n.waitForFile(filepath.Join(exp.CheckpointsDir(), "last_checkpoint.pth"))
	owner, died := exp.Died()
	if died || owner.PID == 0 {
		t.Fatalf("training is under way, and its owner is %+v, dead %v", owner, died)
	}
	must(t, syscall.Kill(owner.PID, syscall.SIGKILL))
	if all := n.wait("training"); all.of("training").OK {
		t.Error("the killed cell counts as having ended well")
	}
	below := n.wait(n.ids[upTo+1:]...)
	n.works(below) // run with what there is
	n.says(below.of("summary"), "did not end properly", "was killed, or the machine went down", "ResumeFromCheckpoint = true")

	at := n.newest(exp)
	n.set("ResumeFromCheckpoint", true)
	n.set("NumEpochs", at.Epoch+1)
	all := n.runAll()
	n.works(all)
	n.says(all.of("training"), "Resuming from "+at.Name())
	n.says(all.of("summary"), "completed")
	if strings.Contains(all.of("summary").said(), "killed") {
		t.Error("the summary of a completed run still tells of one that was killed")
	}
}

// dataInterrupted presses the stop button while degraded copies are made, and
// goes on without running that cell again.
func dataInterrupted(t *testing.T, m *machine) {
	alone := *m
	alone.data = t.TempDir()
	n := open(t, &alone, tiny)
	n.works(n.run("control", "environment", "configuration", "skip", "directories"))
	n.start("data")
	first := filepath.Join(alone.data, "degraded/gaussian/sigma_100/train")
	n.waitForFile(first)
	n.interrupt()
	n.fails(n.wait("data").of("data"), "interrupted", "run the cell again")
	all := n.run("loaders", "samples", "training")
	for _, o := range all {
		n.fails(o, "5. Degraded Datasets")
	}
	n.works(n.run("data", "loaders", "samples"))
}
