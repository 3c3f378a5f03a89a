package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/compute"

	"rekindle/pkg/backend"
	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/dataset"
	"rekindle/pkg/dataset/leaves"
	"rekindle/pkg/degrade"
	"rekindle/pkg/experiment"
	"rekindle/pkg/machine"
)

// tiny is a run of a few seconds: 3 epochs of 5 batches, the last one partial.
func tiny(t *testing.T) config.Config {
	t.Helper()
	root := t.TempDir()
	cfg := config.Default()
	cfg.ExperimentsDir = filepath.Join(root, "experiments")
	cfg.TrainCleanDir, cfg.TrainDegradedDir = filepath.Join(root, "clean"), filepath.Join(root, "noisy")
	cfg.ValCleanDir, cfg.ValDegradedDir = filepath.Join(root, "val_clean"), filepath.Join(root, "val_noisy")
	cfg.BatchSize, cfg.NumEpochs, cfg.LearningRate, cfg.WarmupEpochs = 4, 3, 1e-3, 1
	cfg.PatchSize, cfg.PatchesPerImage, cfg.ValPatchesPerImage, cfg.NumWorkers = 16, 9, 3, 2
	cfg.ModelFeatures, cfg.ValEvery, cfg.SaveEvery, cfg.SaveEveryMinutes = 2, 1, 2, 0
	cfg.Device, cfg.UseAMP, cfg.TileOverlap = "go", false, 4
	pictures(t, cfg.TrainCleanDir, cfg.TrainDegradedDir, 2, 1)
	pictures(t, cfg.ValCleanDir, cfg.ValDegradedDir, 1, 2)
	return cfg
}

func pictures(t *testing.T, clean, noisy string, n int, seed int64) {
	t.Helper()
	if err := os.MkdirAll(clean, 0o755); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(uint64(seed), 0))
	for i := range n {
		if err := leaves.Image(40, 40, r).SavePNG(filepath.Join(clean, fmt.Sprintf("%d.png", i))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := degrade.Folder(context.Background(), clean, noisy, degrade.Gaussian{Sigma: 50}, seed, nil); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, cfg config.Config) Data {
	t.Helper()
	open := func(degraded, clean string) *dataset.Set {
		s, err := dataset.Open(degraded, clean, cfg.PatchSize, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	return Data{
		Train: open(cfg.TrainDegradedDir, cfg.TrainCleanDir).Train(cfg.PatchSize, cfg.PatchesPerImage, cfg.Seed),
		Val:   open(cfg.ValDegradedDir, cfg.ValCleanDir).Validation(cfg.PatchSize, cfg.ValPatchesPerImage, cfg.Seed),
	}
}

func newExperiment(t *testing.T, cfg config.Config) *experiment.Experiment {
	t.Helper()
	exp, err := experiment.Create(cfg, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return exp
}

func goEngine(t testing.TB) compute.Backend {
	t.Helper()
	engine, err := backend.Open("go")
	if err != nil {
		t.Fatal(err)
	}
	return engine.Backend
}

// watch is a Reporter that remembers messages and can act after each batch.
type watch struct {
	silent
	messages []string
	onBatch  func(epoch, batch int)
	batches  int
}

func (w *watch) Message(format string, args ...any) {
	w.messages = append(w.messages, fmt.Sprintf(format, args...))
}

func (w *watch) Batch(epoch, batch int, _, _ float64) {
	w.batches++
	if w.onBatch != nil {
		w.onBatch(epoch, batch)
	}
}

func (w *watch) said(text string) bool {
	return slices.ContainsFunc(w.messages, func(m string) bool { return strings.Contains(m, text) })
}

// mustRun trains until the run ends and returns the State it left on disk.
func mustRun(t *testing.T, ctx context.Context, exp *experiment.Experiment, cfg config.Config, opts Options) (*Result, *checkpoint.State) {
	t.Helper()
	if opts.Backend == nil {
		opts.Backend = goEngine(t)
	}
	result, err := Run(ctx, exp, cfg, load(t, cfg), opts)
	if err != nil && result == nil {
		t.Fatal(err)
	}
	return result, newest(t, exp)
}

func newest(t *testing.T, exp *experiment.Experiment) *checkpoint.State {
	t.Helper()
	s, _, err := checkpoint.Newest(exp.CheckpointsDir(), func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sameTraining compares everything that training depends on or has measured;
// times and memory are left out.
func sameTraining(t *testing.T, got, want *checkpoint.State) {
	t.Helper()
	if got.Epoch != want.Epoch || got.Position != want.Position || got.Step != want.Step {
		t.Errorf("at epoch %d position %d step %d, want %d, %d, %d", got.Epoch, got.Position, got.Step, want.Epoch, want.Position, want.Step)
	}
	if got.BestEpoch != want.BestEpoch || got.BestLoss != want.BestLoss || got.Patience != want.Patience {
		t.Errorf("best epoch %d loss %v patience %d, want %d, %v, %d", got.BestEpoch, got.BestLoss, got.Patience, want.BestEpoch, want.BestLoss, want.Patience)
	}
	for i, w := range want.Model {
		if g := got.Model[i]; g.Name != w.Name || !slices.Equal(g.Values, w.Values) || g.Count != w.Count {
			t.Errorf("%s differs", w.Name)
		}
	}
	for i := range want.FirstMoments {
		if !slices.Equal(got.FirstMoments[i], want.FirstMoments[i]) || !slices.Equal(got.SecondMoments[i], want.SecondMoments[i]) {
			t.Errorf("moments of parameter %d differ", i)
		}
	}
	if !slices.EqualFunc(got.Average, want.Average, slices.Equal) {
		t.Error("the averages of the weights differ")
	}
	sameHistory(t, &got.History, &want.History)
}

func sameHistory(t *testing.T, got, want *experiment.History) {
	t.Helper()
	equal := func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }
	for _, c := range []struct {
		name      string
		got, want experiment.Series
	}{
		{"train_loss", got.TrainLoss, want.TrainLoss}, {"train_l1", got.TrainL1, want.TrainL1}, {"train_ssim", got.TrainSSIM, want.TrainSSIM},
		{"val_loss", got.ValLoss, want.ValLoss}, {"val_l1", got.ValL1, want.ValL1}, {"val_ssim", got.ValSSIM, want.ValSSIM}, {"lr", got.LR, want.LR},
	} {
		if !slices.EqualFunc(c.got, c.want, equal) {
			t.Errorf("history %s is %v, want %v", c.name, c.got, c.want)
		}
	}
}

func TestARunInterruptedAnywhereEqualsTheStraightRun(t *testing.T) {
	cfg := tiny(t)
	cfg.ValEvery = 2
	straight, want := mustRun(t, context.Background(), newExperiment(t, cfg), cfg, Options{})
	if straight.Outcome != Completed {
		t.Fatalf("the straight run ended %q", straight.Outcome)
	}
	r := rand.New(rand.NewPCG(1, 2))
	exp := newExperiment(t, cfg)
	cfg.ResumeFromCheckpoint = true
	sessions := 0
	for outcome := Interrupted; outcome == Interrupted; sessions++ {
		ctx, cancel := context.WithCancel(context.Background())
		stopAfter := 1 + r.IntN(4)
		w := &watch{}
		w.onBatch = func(int, int) {
			if w.batches == stopAfter {
				cancel()
			}
		}
		cfg.NumWorkers = 1 + r.IntN(4)
		result, _ := mustRun(t, ctx, exp, cfg, Options{Reporter: w})
		outcome = result.Outcome
		cancel()
	}
	if sessions < 4 {
		t.Errorf("the run was interrupted only %d times: the test is too weak", sessions-1)
	}
	sameTraining(t, newest(t, exp), want)
	onDisk, err := experiment.LoadHistory(exp.HistoryPath())
	if err != nil {
		t.Fatal(err)
	}
	sameHistory(t, onDisk, &want.History)
}

func TestAStepThatTakesLongIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	hang := make(chan struct{})
	defer close(hang)
	time.AfterFunc(10*time.Millisecond, cancel)
	start := time.Now()
	if _, err := within(ctx, &memory{}, func() int { <-hang; return 1 }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("giving up took %v; the program is killed 5 s after the signal", took)
	}
}

func TestOutOfMemoryLosesNothing(t *testing.T) {
	for _, c := range []struct {
		name string
		arm  func(*faulty)
	}{
		{"first compilation", func(f *faulty) { f.compile.Store(1) }},
		{"first step", func(f *faulty) { f.execute.Store(1) }},
		{"mid-epoch", func(f *faulty) { f.execute.Store(3) }},
		{"compilation for the last partial batch", func(f *faulty) { f.compile.Store(2) }},
		{"last partial batch", func(f *faulty) { f.execute.Store(5) }},
		{"validation", func(f *faulty) { f.execute.Store(6) }},
		{"second epoch", func(f *faulty) { f.execute.Store(9) }},
		{"transfer of a batch", func(f *faulty) { f.transfer.Store(215) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := tiny(t)
			cfg.NumEpochs = 2
			exp := newExperiment(t, cfg)
			f := &faulty{Backend: goEngine(t)}
			c.arm(f)
			w := &watch{}
			result, err := Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: f, Reporter: w})
			if !errors.Is(err, ErrOutOfMemory) || result == nil || result.Outcome != OutOfMemory {
				t.Fatalf("got %+v, %v, want out of memory", result, err)
			}
			if !w.said("OUT OF MEMORY") || !w.said("BatchSize = 2") {
				t.Errorf("no advice was printed: %q", w.messages)
			}
			if !strings.Contains(filepath.Base(result.Checkpoint), "emergency_checkpoint_oom_epoch_") {
				t.Errorf("saved as %s", result.Checkpoint)
			}
			saved := newest(t, exp)
			if saved.Epoch*18+saved.Position < (w.batches-1)*4 {
				t.Errorf("%d batches were trained, the checkpoint is at epoch %d position %d", w.batches, saved.Epoch, saved.Position)
			}

			cfg.ResumeFromCheckpoint, cfg.BatchSize = true, 2
			result, _ = mustRun(t, context.Background(), exp, cfg, Options{})
			if result.Outcome != Completed || result.History.Len() != 2 {
				t.Errorf("going on with a smaller batch ended %q with %d epochs", result.Outcome, result.History.Len())
			}
		})
	}
}

func TestTheMemoryLimitSpeaksBeforeTheKernel(t *testing.T) {
	cfg := tiny(t)
	cfg.ModelFeatures, cfg.BatchSize = 16, 16
	now, _ := machine.ProcessMemory()
	cfg.MemoryLimitMB = int(now/machine.MB) + 20
	defer debug.SetMemoryLimit(math.MaxInt64)
	exp := newExperiment(t, cfg)
	w := &watch{}
	result, err := Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: goEngine(t), Reporter: w})
	if !errors.Is(err, ErrOutOfMemory) || result == nil || result.Outcome != OutOfMemory {
		t.Fatalf("got %+v, %v, want out of memory", result, err)
	}
	if !w.said("the limit is") || !w.said("should fit") {
		t.Errorf("no numbers in the advice: %q", w.messages)
	}
	if saved := newest(t, exp); saved.Epoch != 0 {
		t.Errorf("saved at epoch %d", saved.Epoch)
	}
}

func TestOutOfMemoryDuringResumeLosesNothing(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs = 2
	_, want := mustRun(t, context.Background(), newExperiment(t, cfg), cfg, Options{})
	exp := newExperiment(t, cfg)
	f := &faulty{Backend: goEngine(t)}
	f.execute.Store(8)
	Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: f})
	cfg.ResumeFromCheckpoint = true
	before := newest(t, exp)
	for _, arm := range []func(*faulty){
		func(f *faulty) { f.compile.Store(1) }, func(f *faulty) { f.transfer.Store(1) }, func(f *faulty) { f.execute.Store(1) },
	} {
		f := &faulty{Backend: goEngine(t)}
		arm(f)
		if result, err := Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: f}); !errors.Is(err, ErrOutOfMemory) || result == nil {
			t.Fatalf("got %v, %v", result, err)
		}
		sameTraining(t, newest(t, exp), before)
	}
	_, got := mustRun(t, context.Background(), exp, cfg, Options{})
	sameTraining(t, got, want)
}

// A learning rate beyond all measure makes the loss overflow after a step or two.
func TestALossThatIsNotANumberStopsWithTheStateBefore(t *testing.T) {
	cfg := tiny(t)
	cfg.LearningRate, cfg.GradientClip, cfg.WarmupEpochs = 1e30, 0, 0
	exp := newExperiment(t, cfg)
	w := &watch{}
	result, err := Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: goEngine(t), Reporter: w})
	if !errors.Is(err, ErrDiverged) || result == nil || result.Outcome != Diverged {
		t.Fatalf("got %+v, %v, want diverged", result, err)
	}
	if !w.said("Not a number") || !w.said("3 of at most 3") {
		t.Errorf("messages: %q", w.messages)
	}
	for _, tensor := range newest(t, exp).Model {
		for _, v := range tensor.Values {
			if !isFinite(float64(v)) {
				t.Fatalf("the saved %s holds %v", tensor.Name, v)
			}
		}
	}
}

func TestAfterOutOfMemoryTheSameBatchSizeGivesTheStraightRun(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs = 2
	_, want := mustRun(t, context.Background(), newExperiment(t, cfg), cfg, Options{})
	exp := newExperiment(t, cfg)
	f := &faulty{Backend: goEngine(t)}
	f.execute.Store(8)
	if result, _ := Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: f}); result == nil || result.Outcome != OutOfMemory {
		t.Fatal("memory did not run out")
	}
	cfg.ResumeFromCheckpoint = true
	_, got := mustRun(t, context.Background(), exp, cfg, Options{})
	sameTraining(t, got, want)
}

func TestHalvePolicyGoesOnWithTheSameBatchesAndSchedule(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs, cfg.OOMPolicy = 2, "halve"
	exp := newExperiment(t, cfg)
	f := &faulty{Backend: goEngine(t)}
	f.execute.Store(3)
	w := &watch{}
	result, saved := mustRun(t, context.Background(), exp, cfg, Options{Backend: f, Reporter: w})
	if result.Outcome != Completed || saved.MicroBatch != 2 || saved.Step != 10 {
		t.Errorf("ended %q with micro-batches of %d after %d steps, want completed, 2, 10", result.Outcome, saved.MicroBatch, saved.Step)
	}
	if !w.said("parts of 2 samples") {
		t.Errorf("the change was not announced: %q", w.messages)
	}
}

func TestAResumedRunKeepsItsBestModel(t *testing.T) {
	cfg := tiny(t)
	exp := newExperiment(t, cfg)
	mustRun(t, context.Background(), exp, cfg, Options{})
	s := newest(t, exp)
	s.BestEpoch, s.BestLoss = 1, 1e-9 // nothing will ever be better
	for _, name := range []string{checkpoint.Last, checkpoint.Best} {
		if err := checkpoint.Save(checkpoint.Path(exp.CheckpointsDir(), name), s); err != nil {
			t.Fatal(err)
		}
	}
	before, _ := os.ReadFile(checkpoint.Path(exp.CheckpointsDir(), checkpoint.Best))
	cfg.ResumeFromCheckpoint, cfg.NumEpochs = true, 5
	result, _ := mustRun(t, context.Background(), exp, cfg, Options{})
	after, _ := os.ReadFile(checkpoint.Path(exp.CheckpointsDir(), checkpoint.Best))
	if result.BestEpoch != 1 || result.BestLoss != 1e-9 || !slices.Equal(before, after) {
		t.Errorf("best epoch %d loss %v, file changed %v; want 1, 1e-9, false", result.BestEpoch, result.BestLoss, !slices.Equal(before, after))
	}
}

func TestEarlyStoppingSurvivesResume(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs, cfg.Patience, cfg.LearningRate = 50, 2, 1e-12 // learns nothing, so patience runs out
	exp := newExperiment(t, cfg)
	result, first := mustRun(t, context.Background(), exp, cfg, Options{})
	if result.Outcome != EarlyStopped {
		t.Fatalf("ended %q after %d epochs", result.Outcome, first.Epoch)
	}
	cfg.ResumeFromCheckpoint = true
	w := &watch{}
	result, again := mustRun(t, context.Background(), exp, cfg, Options{Reporter: w})
	if result.Outcome != EarlyStopped || again.Epoch != first.Epoch || w.batches != 0 {
		t.Errorf("resume trained %d batches to epoch %d, want none", w.batches, again.Epoch)
	}
}

func TestChangedNetworkIsRefusedByKey(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs = 1
	exp := newExperiment(t, cfg)
	mustRun(t, context.Background(), exp, cfg, Options{})
	cfg.ResumeFromCheckpoint, cfg.ModelFeatures = true, 3
	_, err := Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: goEngine(t)})
	if err == nil || !strings.Contains(err.Error(), "model_features was 2") || !strings.Contains(err.Error(), "is 3 now") {
		t.Errorf("got %v, want an error with the key and both values", err)
	}
}

func TestOtherChangesArePrinted(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs = 1
	exp := newExperiment(t, cfg)
	mustRun(t, context.Background(), exp, cfg, Options{})
	cfg.ResumeFromCheckpoint, cfg.NumEpochs, cfg.BatchSize = true, 2, 3
	w := &watch{}
	mustRun(t, context.Background(), exp, cfg, Options{Reporter: w})
	if !w.said("batch_size: 4 → 3") || !w.said("num_epochs: 1 → 2") {
		t.Errorf("messages: %q", w.messages)
	}
}

func TestTrainingOverAnExistingRunIsRefused(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs = 1
	exp := newExperiment(t, cfg)
	mustRun(t, context.Background(), exp, cfg, Options{})
	_, err := Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: goEngine(t)})
	if err == nil || !strings.Contains(err.Error(), "ResumeFromCheckpoint") {
		t.Errorf("got %v, want a refusal that names ResumeFromCheckpoint", err)
	}
}

func TestAForkGoesOnFromItsParentAndLeavesItAlone(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs = 2
	parent := newExperiment(t, cfg)
	mustRun(t, context.Background(), parent, cfg, Options{})
	before := newest(t, parent)
	cfg.NumEpochs, cfg.LearningRate = 3, 5e-4
	child, err := experiment.Fork(parent, checkpoint.Path(parent.CheckpointsDir(), checkpoint.Last), cfg, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w := &watch{}
	result, _ := mustRun(t, context.Background(), child, cfg, Options{Reporter: w})
	if result.Outcome != Completed || result.History.Len() != 3 || w.batches != 5 {
		t.Errorf("the fork ended %q with %d epochs after %d batches", result.Outcome, result.History.Len(), w.batches)
	}
	sameTraining(t, newest(t, parent), before)
	if stats, err := child.LoadStats(); err != nil || stats.Parent != parent.Name() || len(stats.Sessions) != 1 {
		t.Errorf("the fork's record is %+v, %v", stats, err)
	}
}

func TestResumeWithoutAnyCheckpointStartsFreshInTheSameFolder(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs, cfg.ResumeFromCheckpoint = 1, true
	exp := newExperiment(t, cfg)
	w := &watch{}
	result, _ := mustRun(t, context.Background(), exp, cfg, Options{Reporter: w})
	if result.Outcome != Completed || !w.said("no checkpoint yet") {
		t.Errorf("ended %q, messages %q", result.Outcome, w.messages)
	}
}

func TestDamagedNewestCheckpointFallsBackAndHistoryFollows(t *testing.T) {
	cfg := tiny(t)
	exp := newExperiment(t, cfg)
	_, want := mustRun(t, context.Background(), exp, cfg, Options{})
	dir := exp.CheckpointsDir()
	for _, name := range []string{checkpoint.Last, checkpoint.Best} { // leaves checkpoint_epoch_002.pth
		path := checkpoint.Path(dir, name)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, info.Size()/2); err != nil {
			t.Fatal(err)
		}
	}
	cfg.ResumeFromCheckpoint = true
	w := &watch{}
	_, got := mustRun(t, context.Background(), exp, cfg, Options{Reporter: w})
	if !w.said("last_checkpoint.pth is damaged") || !w.said("checkpoint_epoch_002.pth") {
		t.Errorf("messages: %q", w.messages)
	}
	sameTraining(t, got, want)
}

func TestABrokenHistoryIsSetAsideAndRestoredFromTheCheckpoint(t *testing.T) {
	cfg := tiny(t)
	exp := newExperiment(t, cfg)
	_, want := mustRun(t, context.Background(), exp, cfg, Options{})
	if err := os.WriteFile(exp.HistoryPath(), []byte(`{"train_loss": [1`), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg.ResumeFromCheckpoint = true
	w := &watch{}
	result, _ := mustRun(t, context.Background(), exp, cfg, Options{Reporter: w})
	if !w.said("Previous history has invalid structure") {
		t.Errorf("messages: %q", w.messages)
	}
	sameHistory(t, &result.History, &want.History)
	if kept, _ := filepath.Glob(exp.HistoryPath() + "*invalid*"); len(kept) != 1 {
		kept, _ = filepath.Glob(filepath.Join(exp.Dir, "*invalid*"))
		if len(kept) != 1 {
			t.Errorf("the broken file was not kept")
		}
	}
}

func TestBestModelIsMadeAgainFromTheNewestCheckpoint(t *testing.T) {
	cfg := tiny(t)
	exp := newExperiment(t, cfg)
	mustRun(t, context.Background(), exp, cfg, Options{})
	best := checkpoint.Path(exp.CheckpointsDir(), checkpoint.Best)
	if err := os.Remove(best); err != nil {
		t.Fatal(err)
	}
	cfg.ResumeFromCheckpoint = true
	w := &watch{}
	mustRun(t, context.Background(), exp, cfg, Options{Reporter: w})
	for _, line := range []string{"best_model.pth not found in", "Found alternative checkpoint: last_checkpoint.pth", "Copying to best_model.pth", "may not be the actual best"} {
		if !w.said(line) {
			t.Errorf("not printed: %q", line)
		}
	}
	if _, err := checkpoint.Load(best); err != nil {
		t.Error(err)
	}
}

func TestAReadOnlyFolderIsReportedBeforeTraining(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root can write to read-only folders")
	}
	cfg := tiny(t)
	exp := newExperiment(t, cfg)
	if err := os.Chmod(exp.CheckpointsDir(), 0o500); err != nil {
		t.Fatal(err)
	}
	w := &watch{}
	if _, err := Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: goEngine(t), Reporter: w}); err == nil || w.batches != 0 {
		t.Errorf("got error %v after %d batches, want an error before the first", err, w.batches)
	}
}

func TestMoreEpochsNeverRaiseTheLearningRate(t *testing.T) {
	old := config.Default()
	for _, stoppedAt := range []int{3, 5, 6, 12, 30, 36} {
		extended := old
		extended.NumEpochs = 67
		anchor := replan(old, extended, checkpoint.Anchor{}, stoppedAt)
		rate := learningRate(old, checkpoint.Anchor{}, stoppedAt)
		for epoch := stoppedAt + 1; epoch <= 67; epoch++ {
			next := learningRate(extended, anchor, epoch)
			if epoch > old.WarmupEpochs+1 && next > rate {
				t.Fatalf("extended at epoch %d: the rate rises from %g to %g at epoch %d", stoppedAt, rate, next, epoch)
			}
			rate = next
		}
	}
}

func TestAChangedLearningRateIsUsed(t *testing.T) {
	old := config.Default()
	lower := old
	lower.LearningRate = 1e-5
	if got := learningRate(lower, replan(old, lower, checkpoint.Anchor{}, 10), 11); got > 1e-5 {
		t.Errorf("after lowering LearningRate to 1e-5 epoch 11 uses %g", got)
	}
}
