// Package scenarios tests the main notebook the way people use it: in a real
// GoNB kernel, with cells edited and run in the order in which somebody would.
//
// It takes minutes and needs Jupyter, so it runs only on demand:
//
//	REKINDLE_SCENARIOS=1 go test -v -count=1 ./pkg/notebook/scenarios
package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestScenarios(t *testing.T) {
	if os.Getenv("REKINDLE_SCENARIOS") == "" {
		t.Skip("these take minutes and need Jupyter; set REKINDLE_SCENARIOS=1 to run them")
	}
	m := setUp(t)
	// The first has the machine to itself, because it measures.
	t.Run("a look at the history is quick", func(t *testing.T) { lookIsQuick(t, m) })
	for _, s := range []struct {
		name string
		play func(*testing.T, *machine)
	}{
		{"Run All, more epochs, then single cells in any order", runAllThenMore},
		{"out of memory, the notebook still open", outOfMemory},
		{"out of memory, the kernel restarted", outOfMemoryAndRestart},
		{"out of memory in the first epoch, the kernel restarted", outOfMemoryAtOnce},
		{"interrupted in the middle of an epoch", interrupted},
		{"interrupted before the first validation", interruptedEarly},
		{"interrupted while it is compiled", interruptedCompiling},
		{"SKIP_TRAINING with nothing on disk", skipWithNothing},
		{"an experiment by name", byName},
		{"the latest experiment among others", latest},
		{"settings that the cell does not mention", kept},
		{"cells that fail harm nothing", failuresHarmNothing},
		{"two notebooks that begin together", twoTogether},
		{"killed without a warning", killed},
		{"the kernel's folder removed", folderRemoved},
		{"the data cell interrupted", dataInterrupted},
		{"pictures away, then elsewhere, then others to validate with", dataAway},
		{"pictures added in the middle of an epoch", dataAdded},
		{"pictures that section 5 refuses, pictures of one's own, no checkpoints", dataRefused},
		{"a front end with an environment of its own", bareEnvironment},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.play(t, m)
		})
	}
}

func runAllThenMore(t *testing.T, m *machine) {
	n := open(t, m, tiny)
	n.set("NumEpochs", 2)
	all := n.runAll()
	n.works(all)
	exp := n.only()
	first := n.history(exp, 2)
	n.status(exp, "completed")
	n.says(all.of("model"), "Training will start from the beginning")
	n.says(all.of("training"), "2 of 2 epochs finished", "★ best", "Training completed: 2 epochs")
	for _, cell := range []string{"samples", "training", "curves", "inference", "extremes"} {
		if all.of(cell).Pictures == 0 {
			t.Errorf("the cell %s shows no picture", cell)
		}
	}
	files := []string{"config.json", "history.json", "experiment_stats.json", "training_curves.png", "evaluation_metrics.json",
		"checkpoints/best_model.pth", "checkpoints/last_checkpoint.pth",
		"samples/training_samples.png", "samples/inference_results.png", "samples/best_full_restoration.png", "samples/worst_full_restoration.png",
		"logs/tensorboard_logs"}
	n.has(exp, files...)

	// More epochs: one edit for them, one to go on.
	n.set("NumEpochs", 4)
	n.set("ResumeFromCheckpoint", true)
	all = n.runAll()
	n.works(all)
	n.says(all.of("directories"), "RESUME MODE: Loading existing experiment", exp.Name())
	n.says(all.of("model"), "Newest checkpoint", "2 epochs done")
	n.says(all.of("training"), "2 of 4 done", "Continuing from previous history (2 epochs recorded)", "NumEpochs: 2 → 4", "<td>1 / 4</td>", "<td>3 / 4</td>", "Training completed: 4 epochs")
	n.continues(n.history(n.only(), 4), first)

	// Nothing left to do: the same again.
	all = n.runAll()
	n.works(all)
	done := n.history(n.only(), 4)
	n.says(all.of("training"), "Training completed: 4 epochs", "Nothing left to do", "<td>4 / 4</td>")

	// Plots and inference alone, backwards.
	state := n.contents(exp.CheckpointsDir())
	for _, o := range n.run("extremes", "summary", "evaluation", "inference", "curves", "extremes", "inference") {
		n.works(outputs{o})
		if o.Cell != "summary" && o.Cell != "evaluation" && o.Pictures == 0 {
			t.Errorf("the cell %s, run alone, shows no picture", o.Cell)
		}
	}
	n.continues(n.history(n.only(), 4), done)
	if n.contents(exp.CheckpointsDir()) != state {
		t.Error("plots and inference changed the checkpoints")
	}
}

func outOfMemory(t *testing.T, m *machine) {
	n := open(t, m, tiny)
	n.set("NumEpochs", 2)
	n.set("BatchSize", 16)
	n.set("MemoryLimitMB", 1) // less than the program itself
	all := n.runAll()
	n.fails(all.of("training"), "OUT OF MEMORY in epoch 1 with BatchSize 16", "emergency_checkpoint_oom_epoch_1.pth", "a larger cfg.MemoryLimitMB", "ResumeFromCheckpoint", "2. Configuration", "9. Training Loop")
	exp := n.only()
	n.has(exp, "checkpoints/emergency_checkpoint_oom_epoch_1.pth")
	n.history(exp, 0)
	n.status(exp, "out_of_memory")
	// The cells below were queued and ran.
	n.says(all.of("curves"), "No curves yet")
	n.works(outputs{all.of("curves"), all.of("summary"), all.of("inference"), all.of("evaluation"), all.of("extremes")})
	n.says(all.of("summary"), "out_of_memory")
	// No epoch was validated, so nothing is the best yet: what needs weights takes the newest.
	n.says(all.of("inference"), "No epoch is validated yet", "emergency_checkpoint_oom_epoch_1.pth", "Loaded the weights of epoch 0")
	n.says(all.of("evaluation"), "Evaluating the weights of epoch 0", "Gain: ")
	n.hasNoBest(exp, all)
	n.says(all.of("extremes"), "Best result", "Worst result")
	if got := [3]int{all.of("curves").Pictures, all.of("inference").Pictures, all.of("extremes").Pictures}; got != [3]int{0, 1, 2} {
		t.Errorf("curves, inference and extremes show %d pictures, want 0, 1, 2", got)
	}
	if strings.Contains(all.of("summary").said(), "did not end properly") {
		t.Error("training that ran out of memory and saved counts as killed")
	}

	// The advice names the line to write; the one that stands there is changed.
	n.set("BatchSize", 4)
	n.unset("MemoryLimitMB")
	n.set("ResumeFromCheckpoint", true)
	again := n.run("configuration", "training")
	n.works(again)
	n.says(again.of("configuration"), "Base: the settings of "+exp.Name())
	n.says(again.of("training"), "Resuming from emergency_checkpoint_oom_epoch_1.pth", "BatchSize: 16 → 4", "Training completed: 2 epochs")
	n.history(n.only(), 2)
	n.status(exp, "completed")
	all = n.run("curves", "inference", "summary", "evaluation", "extremes")
	n.works(all)
	// Now there is a best one, and its scores.
	for _, cell := range []string{"inference", "evaluation"} {
		if said := all.of(cell).said(); !regexp.MustCompile(`(Loaded best model from|Evaluating the weights of) epoch [12]\b`).MatchString(said) || strings.Contains(said, "not found") {
			t.Errorf("after the resume the cell %s does not use the best epoch:\n%s", cell, said)
		}
	}
}

func outOfMemoryAndRestart(t *testing.T, m *machine) {
	n := open(t, m, tiny)
	n.set("NumEpochs", 2)
	n.works(n.run(upToTraining...))
	exp := n.only()
	first := n.history(exp, 2)
	best := n.contents(filepath.Join(exp.CheckpointsDir(), "best_model.pth"))

	n.set("NumEpochs", 4)
	n.set("MemoryLimitMB", 5)
	n.set("ResumeFromCheckpoint", true)
	all := n.run("configuration", "training")
	n.fails(all.of("training"), "OUT OF MEMORY in epoch 3", "emergency_checkpoint_oom_epoch_3.pth")
	n.continues(n.history(exp, 2), first)
	if n.contents(filepath.Join(exp.CheckpointsDir(), "best_model.pth")) != best {
		t.Error("running out of memory changed best_model.pth")
	}

	n.restart()
	n.set("BatchSize", 4)
	n.set("MemoryLimitMB", 0)
	all = n.runAll()
	n.works(all)
	n.says(all.of("directories"), "RESUME MODE", exp.Name(), "Epochs finished: 2")
	n.says(all.of("training"), "2 of 4 done", "Training completed: 4 epochs")
	n.continues(n.history(n.only(), 4), first)
	n.status(exp, "completed")
}

// outOfMemoryAtOnce has nothing to go on from but the emergency checkpoint.
func outOfMemoryAtOnce(t *testing.T, m *machine) {
	n := open(t, m, tiny)
	n.set("NumEpochs", 2)
	n.set("MemoryLimitMB", 5)
	n.fails(n.run(upToTraining...).of("training"), "OUT OF MEMORY in epoch 1", "emergency_checkpoint_oom_epoch_1.pth")
	exp := n.only()

	n.restart()
	n.set("BatchSize", 4)
	n.set("MemoryLimitMB", 0)
	n.set("ResumeFromCheckpoint", true)
	all := n.runAll()
	n.works(all)
	n.says(all.of("directories"), "RESUME MODE", exp.Name())
	n.says(all.of("model"), "Newest checkpoint: emergency_checkpoint_oom_epoch_1.pth")
	n.says(all.of("training"), "Resuming from emergency_checkpoint_oom_epoch_1.pth", "Training completed: 2 epochs")
	n.history(n.only(), 2)
	n.status(exp, "completed")
	n.has(exp, "checkpoints/best_model.pth")
}

func skipWithNothing(t *testing.T, m *machine) {
	n := open(t, m, tiny)
	n.edit("skip", "SKIP_TRAINING = false", "SKIP_TRAINING = true")
	for _, resume := range []bool{false, true} {
		n.set("ResumeFromCheckpoint", resume)
		all := n.runAll()
		n.works(all) // Run All goes through
		for _, cell := range []string{"directories", "training", "curves", "inference", "summary", "evaluation", "extremes"} {
			n.says(all.of(cell), "no experiment under", "SKIP_TRAINING = false")
		}
		if _, err := os.Stat(filepath.Join(n.top, "experiments")); err == nil {
			t.Error("a folder for experiments was made")
		}
	}
}

// upToTraining are the cells that training needs.
var upToTraining = []string{"control", "environment", "configuration", "skip", "directories", "data", "training"}

func byName(t *testing.T, m *machine) {
	n := open(t, m, tiny)
	n.set("NumEpochs", 1)
	n.works(n.run(upToTraining...))
	n.set("ExperimentName", "other")
	n.works(n.run(upToTraining...))
	names := n.experiments()
	if len(names) != 2 {
		t.Fatalf("got the experiments %q, want two", names)
	}
	older, newer := n.experiment(names[0]), n.experiment(names[1])
	untouched := n.contents(newer.Dir)

	n.set("NumEpochs", 2)
	n.set("ResumeFromCheckpoint", true)
	n.set("ResumeExperiment", older.Name())
	all := n.runAll()
	n.works(all)
	n.says(all.of("directories"), "RESUME MODE", older.Name())
	n.history(older, 2)
	if n.contents(newer.Dir) != untouched {
		t.Error("resuming one experiment changed another")
	}

	// A name with a wrong letter.
	wrong := strings.Replace(newer.Name(), "_other", "_othr", 1)
	n.set("NumEpochs", 3)
	n.set("ResumeExperiment", wrong)
	before := n.contents(filepath.Join(n.top, "experiments"))
	for _, fresh := range []bool{false, true} {
		if fresh {
			n.restart()
		}
		all = n.runAll()
		n.fails(all.of("directories"), fmt.Sprintf("%q", wrong), "no such experiment", "nearest: "+newer.Name()+", "+older.Name())
		// The cells below must not work on an experiment that nobody asked for.
		for _, cell := range []string{"samples", "training", "curves", "inference", "summary", "evaluation", "extremes"} {
			n.fails(all.of(cell), "3. Create Output Directories")
		}
		if after := n.contents(filepath.Join(n.top, "experiments")); after != before {
			t.Errorf("a name that does not exist (new kernel: %v) changed experiments; before:\n%safter:\n%s", fresh, before, after)
			before = after
		}
	}
}

// latest has two experiments of different names, and beside them an empty, a
// failed, a copied and an impossible folder.
func latest(t *testing.T, m *machine) {
	n := open(t, m, tiny)
	n.set("NumEpochs", 1)
	n.works(n.run(upToTraining...))
	mine := n.only()
	n.set("ExperimentName", "other")
	n.works(n.run("configuration", "directories", "training"))
	others := n.experiments()
	if len(others) != 2 {
		t.Fatalf("got the experiments %q, want two", others)
	}
	other := n.experiment(others[1])

	parent := filepath.Dir(mine.Dir)
	must(t, os.CopyFS(mine.Dir+"_backup", os.DirFS(mine.Dir)))
	must(t, os.CopyFS(filepath.Join(parent, "99999999_999999_keep"), os.DirFS(mine.Dir)))
	must(t, os.MkdirAll(filepath.Join(parent, "20991231_000000_bilinear/checkpoints"), 0o777))
	// One that failed: the disk was full when it began.
	failed := filepath.Join(parent, "20991231_000001_bilinear")
	must(t, os.MkdirAll(filepath.Join(failed, "checkpoints"), 0o777))
	settings, err := os.ReadFile(mine.ConfigPath())
	must(t, err)
	must(t, os.WriteFile(filepath.Join(failed, "config.json"), []byte(strings.Replace(string(settings), mine.Name(), filepath.Base(failed), 1)), 0o666))
	before := n.contents(other.Dir)

	n.restart()
	n.set("ExperimentName", "bilinear")
	n.set("NumEpochs", 2)
	n.set("ResumeFromCheckpoint", true)
	all := n.runAll()
	n.works(all)
	n.says(all.of("configuration"), "Base: the settings of "+mine.Name()+", after epoch 1")
	n.says(all.of("directories"), "RESUME MODE", "Experiment: "+mine.Name()+"\n", "Newest checkpoint: ", "epoch 1",
		"99999999_999999_keep", "its name does not begin with a date", mine.Name()+"_backup", "it is a copy of "+mine.Name(),
		"20991231_000000_bilinear", "Rekindle did not make it", filepath.Base(failed), "it has no checkpoint", other.Name(), `it is not called "bilinear"`)
	n.history(mine, 2)
	if n.contents(other.Dir) != before {
		t.Error("the other experiment was changed")
	}
	if now := n.experiments(); len(now) != 6 {
		t.Errorf("there are %q, want the six folders of before", now)
	}

	// A name that there is none of.
	n.set("ExperimentName", "third")
	n.fails(n.run("configuration", "directories").of("directories"), `no experiment yet named "third"`, "ResumeExperiment")
}

// kept resumes an experiment in a cell that no longer has the lines which it was
// begun with, and looks at it without resuming.
func kept(t *testing.T, m *machine) {
	n := open(t, m, strings.Replace(tiny, `"patience": 0`, `"patience": 7`, 1))
	n.set("NumEpochs", 2)
	n.set("BatchSize", 3)
	n.works(n.run(upToTraining...))
	exp := n.only()
	n.restart()
	n.set("ResumeFromCheckpoint", true)
	n.set("NumEpochs", 3)
	n.unset("BatchSize")
	all := n.runAll()
	n.works(all)
	n.says(all.of("configuration"), fmt.Sprintf("%-22s %-24s the experiment;", "BatchSize", "3"), fmt.Sprintf("%-22s %-24s the cell; the experiment's is 2", "NumEpochs", "3"))
	said := all.of("training").said()
	if !strings.Contains(said, "NumEpochs: 2 → 3") || strings.Contains(said, "BatchSize:") {
		t.Errorf("settings changed that nobody mentioned:\n%s", said)
	}
	n.history(exp, 3)

	n.restart()
	n.set("ResumeFromCheckpoint", false)
	n.unset("NumEpochs")
	n.edit("skip", "SKIP_TRAINING = false", "SKIP_TRAINING = true")
	all = n.runAll()
	n.works(all)
	n.says(all.of("directories"), "The settings are those of "+exp.Name(), "BatchSize")
	n.says(all.of("evaluation"), "evaluated already")
	n.only()

	// A slip in the small cell must not train.
	n.edit("skip", "SKIP_TRAINING = true", "SKIP_TRAINING = ture")
	all = n.run("skip", "directories", "training")
	n.says(all.of("skip"), "undefined: ture")
	for _, cell := range []string{"directories", "training"} {
		n.fails(all.of(cell), "SKIP_TRAINING did not run to its end")
	}
	n.only()
}

func failuresHarmNothing(t *testing.T, m *machine) {
	n := open(t, m, tiny)
	n.set("NumEpochs", 1)
	n.set("TrainCleanDir", "photographs/none")

	// Nothing is begun with photographs that are not there.
	all := n.runAll()
	for _, cell := range []string{"directories", "data", "loaders"} {
		n.fails(all.of(cell), "photographs/none")
	}
	for _, cell := range []string{"samples", "training", "curves", "inference", "summary", "evaluation", "extremes"} {
		n.fails(all.of(cell), "no experiment is chosen", "3. Create Output Directories")
	}
	if names := n.experiments(); len(names) > 0 {
		t.Errorf("failed cells left the experiments %q", names)
	}

	// Training fails before it begins; the front end had queued the rest.
	n.set("TrainCleanDir", "data/raw/train")
	n.set("TrainDegradedDir", "data/none/train")
	all = n.run("configuration", "directories", "training", "curves", "inference", "summary", "evaluation", "extremes")
	n.fails(all.of("training"), "data/none/train", "5. Degraded Datasets")
	n.says(all.of("curves"), "No curves yet")
	for _, cell := range []string{"inference", "evaluation"} {
		n.says(all.of(cell), "no checkpoint", "9. Training Loop")
	}
	n.says(all.of("extremes"), "13. Evaluation on full images")
	n.works(outputs{all.of("directories"), all.of("curves"), all.of("inference"), all.of("summary"), all.of("evaluation"), all.of("extremes")})
	exp := n.only()
	if files, _ := os.ReadDir(exp.CheckpointsDir()); len(files) > 0 {
		t.Errorf("failed cells left the checkpoints %v", files)
	}

	// Mended, the same folder is trained.
	n.set("TrainDegradedDir", "data/degraded/gaussian/sigma_100/train")
	n.works(n.run("configuration", "training", "curves", "inference"))
	n.history(n.only(), 1)

	// Training again without resuming is refused, and what is there stays.
	before := n.contents(exp.CheckpointsDir())
	n.fails(n.run("training").of("training"), "already holds training up to epoch 1", "ResumeFromCheckpoint = true", "Create Output Directories")
	if n.contents(exp.CheckpointsDir()) != before {
		t.Error("a refused training changed the checkpoints")
	}

	// A configuration that cannot work.
	n.set("BatchSize", 0)
	all = n.runAll()
	n.fails(all.of("configuration"), "BatchSize is 0; it must be at least 1")
	for _, cell := range []string{"directories", "training", "curves"} {
		n.fails(all.of(cell), "2. Configuration", "did not run to its end")
	}
	n.only()

	// A slip of the pen: the cells below must not go on with the configuration before it.
	n.set("BatchSize", 8)
	n.works(n.run("configuration"))
	n.edit("configuration", "ResumeFromCheckpoint = false", "ResumeFromCheckpoint = ture")
	all = n.runAll()
	n.says(all.of("configuration"), "undefined: ture")
	for _, cell := range []string{"directories", "training", "curves", "inference", "summary", "evaluation", "extremes"} {
		n.fails(all.of(cell))
	}
	n.says(all.of("directories"), "2. Configuration")
	n.only()
	n.edit("configuration", "ResumeFromCheckpoint = ture", "ResumeFromCheckpoint = false")

	// Cells of a new kernel, run alone: one sentence says which cells they need.
	n.restart()
	for _, cell := range n.ids {
		switch cell {
		case "control", "environment", "configuration", "skip":
			continue
		case "training":
			n.fails(n.run(cell).of(cell), "SKIP_TRAINING has not run in this kernel", "2. Configuration")
		default:
			n.fails(n.run(cell).of(cell), "this kernel has no settings yet", "2. Configuration")
		}
	}
	if n.contents(exp.CheckpointsDir()) != before {
		t.Error("cells run alone changed the checkpoints")
	}
	n.works(n.run("control", "environment", "configuration", "skip"))
	for _, o := range n.run("training", "curves", "inference", "evaluation", "extremes", "summary") {
		n.fails(o, "no experiment is chosen in this kernel yet", "3. Create Output Directories")
	}
	if n.contents(exp.CheckpointsDir()) != before {
		t.Error("cells out of order changed the checkpoints")
	}
}

// bareEnvironment starts the kernel as VS Code or somebody's own Jupyter server
// would: all that is on PATH comes from the kernel's specification.
func bareEnvironment(t *testing.T, m *machine) {
	bare := *m
	bare.bare = true
	n := open(t, &bare, tiny)
	n.set("NumEpochs", 1)
	all := n.run(upToTraining...)
	n.works(all)
	n.says(all.of("training"), "Training completed: 1 epochs")
	n.source["vector"] = "%%\nfmt.Println(\"experiments:\", os.Getenv(\"GOEXPERIMENT\"), os.Getenv(\"PATH\"))"
	n.says(n.run("vector").of("vector"), "experiments: simd", filepath.Join(m.clone, "build/bin"), "/nowhere")
}

func twoTogether(t *testing.T, m *machine) {
	alone := *m
	alone.data = t.TempDir() // no pictures yet
	first, second := open(t, &alone, tiny), open(t, &alone, tiny)
	cells := upToTraining[:len(upToTraining)-1]
	first.start(cells...)
	second.start(cells...)
	first.works(first.wait(cells...))
	second.works(second.wait(cells...))
	pictures, err := filepath.Glob(filepath.Join(alone.data, "raw/train/*.png"))
	must(t, err)
	if len(pictures) != 32 {
		t.Errorf("got %d pictures to train with, want 32", len(pictures))
	}
}
