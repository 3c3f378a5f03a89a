package train

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strings"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/durable"
	"rekindle/pkg/experiment"
	"rekindle/pkg/figures"
	"rekindle/pkg/history"
	"rekindle/pkg/model"
	"rekindle/pkg/schedule"
)

// start is where a run begins.
type start struct {
	task
	net     *model.Network
	state   *checkpoint.State
	file    string          // that holds it; "": none does
	changes []config.Change // since it was saved

	others    []string // sentences about pictures that are others now
	known     bool     // both it and the run know their pictures
	reordered bool     // patches come in another order than when it was saved
	remeasure bool     // its best loss is of other validation pictures
}

// find chooses the State to start from: the newest good one of the experiment
// when resuming, a fresh one otherwise.
func find(t task, net *model.Network) (*start, error) {
	b := &start{task: t, net: net}
	if _, err := t.exp.LoadStats(); err != nil && !errors.Is(err, experiment.ErrInvalidStats) { // this session could not be added to it
		return nil, fmt.Errorf("train: %w", err)
	}
	found, entry, err := t.exp.Checkpoints().Recover(func(line string) { t.report.Message("⚠️  %s", line) })
	switch {
	case err != nil:
		return nil, fmt.Errorf("train: %w", err)
	case found == nil:
		kept, err := t.exp.QuarantineHistory()
		if err != nil {
			return nil, fmt.Errorf("train: %w", err)
		}
		if kept != "" {
			t.report.Message("⚠️  history.json belongs to checkpoints that are gone; it is kept as %s", filepath.Base(kept))
		}
		if t.cfg.ResumeFromCheckpoint {
			t.report.Message("ℹ️  %s has no checkpoint yet: training starts from the beginning in this folder", t.exp.Name())
		}
		b.state = fresh(net, t.cfg.Seed)
		if t.cfg.InitialWeights != "" {
			if err := b.takeWeights(); err != nil {
				return nil, err
			}
		}
	case !t.cfg.ResumeFromCheckpoint && !b.forked():
		return nil, fmt.Errorf("train: %s already holds training up to epoch %d; set cfg.ResumeFromCheckpoint = true to go on with it, "+
			"or run \"Create Output Directories\" again for a new experiment", t.exp.Dir, found.Epoch)
	default:
		b.state, b.file = found, entry.Path
		if err := b.adopt(); err != nil {
			return nil, fmt.Errorf("train: %s cannot be resumed: %w", entry.Path, err)
		}
		b.fitPosition()
		if err := b.takeUpHistory(); err != nil {
			return nil, err
		}
		if err := b.takeUpBest(); err != nil {
			return nil, err
		}
		b.sayResumed(entry)
		if t.cfg.InitialWeights != "" {
			t.report.Message("ℹ️  InitialWeights is not read again: this checkpoint is newer")
		}
		if err := b.ensureBest(); err != nil {
			return nil, err
		}
	}
	b.sayNewerElsewhere()
	if prepareAverage(b.state, t.cfg.EMADecay) && b.state.Step > 0 {
		t.report.Message("ℹ️  EMADecay: the average of the weights begins with those of this checkpoint")
	}
	b.state.Config, b.state.Engine = t.cfg, t.engine
	return b, nil
}

// ensureBest makes best_model.pth if it is missing, and sees to it that a State
// does not hold on to a best loss that nothing on disk has, or that later losses
// cannot be compared with: no epoch might ever beat it.
func (b *start) ensureBest() error {
	dir, s := b.exp.Checkpoints(), b.state
	if err := dir.EnsureBest(func(line string) { b.report.Message("%s", line) }); err != nil {
		return err
	}
	if s.Epoch >= b.cfg.NumEpochs {
		return nil // nothing will be compared with it
	}
	entries, err := dir.List()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == checkpoint.Best && (e.Epoch != s.BestEpoch || e.Position > 0) { // made from another, here or by a cell
			s.BestEpoch, s.BestLoss = 0, nan
		}
	}
	var keys []string
	for _, c := range b.changes {
		if c.ShapesLoss && !b.comparable(c.Key) {
			keys = append(keys, config.Name(c.Key))
		}
	}
	if len(keys) == 0 || !s.HasBest() {
		return nil
	}
	kept := fmt.Sprintf("best_model_until_epoch_%03d.pth", s.Epoch)
	if err := durable.Link(dir.Path(checkpoint.Best), dir.Path(kept)); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	b.report.Message("ℹ️  Validation losses from here on cannot be compared with those before (%s changed): the best epoch is looked for anew", strings.Join(keys, ", "))
	b.report.Message("   The best model until now is kept as %s", kept)
	s.BestEpoch, s.BestLoss, s.Patience = 0, nan, 0
	return nil
}

// forked reports whether the experiment began with another one's checkpoint.
func (b *start) forked() bool {
	stats, err := b.exp.LoadStats()
	return err == nil && stats.Parent != ""
}

// adopt checks the State found on disk against the configuration and makes it
// the run's own.
func (b *start) adopt() error {
	s := b.state
	if err := b.compareData(); err != nil {
		return err
	}
	if s.Config.Model == "" { // the file was made by PyTorch
		s.Anchor = anchorOfPyTorch(b.cfg, s)
	} else {
		b.changes = config.Diff(s.Config, b.cfg)
		var wrong []string
		for _, c := range b.changes {
			if c.ShapesNetwork {
				wrong = append(wrong, fmt.Sprintf("%s was %s when it was saved and is %s now", config.Name(c.Key), c.Old, c.New))
			}
		}
		if len(wrong) > 0 {
			return fmt.Errorf("%s; set it back, or start a new experiment", strings.Join(wrong, "; "))
		}
		s.Anchor = schedule.Replan(s.Config, b.cfg, s.Anchor, s.Epoch, s.Position)
	}
	s.Seed = b.cfg.Seed
	if s.Reason == reasonDiverged {
		s.Partial.Rejected = 0 // or the first such batch would end this session, whatever was changed
	}
	if b.cfg.OOMPolicy != "halve" {
		s.MicroBatch = 0
	}
	if name := model.NameOf(b.cfg.Model, s.Has); name != b.cfg.Model {
		net, err := model.New(name, b.net.Options)
		if err != nil {
			return err
		}
		b.net = net
		b.report.Message("ℹ️  The network of this experiment is what is called %s now: training goes on with that one", name)
	}
	return fits(b.net, s)
}

// anchorOfPyTorch is where the curve of a file made by PyTorch has come to, if its
// scheduler had another plan than the configuration has.
func anchorOfPyTorch(cfg config.Config, s *checkpoint.State) schedule.Anchor {
	if s.Cosine == nil || cfg.Scheduler != "cosine" {
		return schedule.Anchor{}
	}
	old := cfg
	old.LearningRate, old.MinLR = s.Cosine.BaseLR, s.Cosine.MinLR
	if s.Cosine.Steps > 0 { // it is stepped after the warm-up
		old.WarmupEpochs = s.Epoch - s.Cosine.Steps
	}
	old.NumEpochs = old.WarmupEpochs + s.Cosine.Epochs
	a := schedule.Replan(old, cfg, schedule.Anchor{}, s.Epoch, 0)
	a.LR = min(a.LR, s.Cosine.LR) // lower where a run from here was planned anew before
	return a
}

// fitPosition ends the epoch under way where the rest of its patches would come
// in another order than those it has used: none is to be used twice.
func (b *start) fitPosition() {
	s := b.state
	for _, c := range b.changes {
		b.reordered = b.reordered || c.Key == "seed" || c.Key == "patches_per_image"
	}
	n := b.data.Train.Len()
	if s.Position == 0 || s.Position <= n && !b.reordered {
		return
	}
	b.report.Message("ℹ️  An epoch has %d patches now, and %d were used in another order: epoch %d ends here", n, s.Position, s.Epoch+1)
	s.Position = n
}

// takeUpHistory makes history.json and the State agree. The State carries its
// own history, so a file that is broken, missing, too short or too long is
// replaced by it; only a State made by PyTorch has to trust the file.
func (b *start) takeUpHistory() error {
	path := b.exp.HistoryPath()
	onDisk, err := history.Load(path)
	switch {
	case errors.Is(err, history.ErrInvalid):
		kept, e := durable.Quarantine(path, durable.Invalid)
		if e != nil {
			return fmt.Errorf("train: %w", e)
		}
		b.report.Message("⚠️  Previous history has invalid structure (%v)", err)
		b.report.Message("   The old file is kept as %s", kept)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("train: %w", err)
	}
	if b.state.History.Len() == 0 && b.state.Epoch > 0 {
		if err == nil {
			b.state.History = *onDisk
		}
		b.state.History.Resize(b.state.Epoch) // a row for each epoch, known or not
	}
	if err := b.saveHistory(b.state); err != nil {
		return err
	}
	if n := b.state.History.Len(); n > 0 {
		b.report.Message("📊 Continuing from previous history (%d epochs recorded)", n)
	}
	return nil
}

// takeUpBest asks best_model.pth for the best loss where the State does not know
// it: of the original's files only that one says so. Otherwise the next
// validation would replace it, however bad.
func (b *start) takeUpBest() error {
	s := b.state
	if s.HasBest() || s.Config.Model != "" {
		return nil
	}
	best, err := checkpoint.Load(b.exp.Checkpoints().Path(checkpoint.Best))
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, checkpoint.ErrDamaged):
		return nil
	case err != nil:
		return fmt.Errorf("train: %w", err)
	case !best.HasBest() || best.BestEpoch > s.Epoch:
		return nil // a copy of some other checkpoint
	}
	s.BestEpoch, s.BestLoss = best.BestEpoch, best.BestLoss
	for _, loss := range s.History.ValLoss[best.BestEpoch:] {
		if !math.IsNaN(loss) {
			s.Patience++
		}
	}
	return nil
}

func (b *start) sayResumed(entry checkpoint.Entry) {
	b.report.Message("🔄 Resuming from %s: epoch %d of %d done", entry.Name(), b.state.Epoch, b.cfg.NumEpochs)
	if b.state.Position > 0 {
		b.report.Message("   and %d of %d patches of epoch %d", b.state.Position, b.data.Train.Len(), b.state.Epoch+1)
	}
	if b.state.MicroBatch > 0 {
		b.report.Message("   Batches are computed in parts of %d samples since memory ran out; OOMPolicy = \"stop\" ends that", b.state.MicroBatch)
	}
	if b.state.HasBest() {
		b.report.Message("   Best so far: epoch %d (val_loss: %s)", b.state.BestEpoch, figures.Loss(b.state.BestLoss))
	}
	if was := b.state.Engine; was != "" && was != b.engine {
		b.report.Message("   It was computed by %s, this run is by %s: sums are rounded otherwise, so losses differ in their last digits from those of a run that stays with one engine", was, b.engine)
	}
	for _, line := range b.others {
		b.report.Message("   🖼️  %s", line)
	}
	for _, c := range b.changes {
		b.report.Message("   ✏️  %s: %s → %s", config.Name(c.Key), c.Old, c.New)
	}
}
