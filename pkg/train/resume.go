package train

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strings"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/durable"
	"rekindle/pkg/experiment"
	"rekindle/pkg/model"
)

// findState chooses the State to start from: the newest good one of the
// experiment when resuming, a fresh one otherwise.
func (r *run) findState() error {
	dir := r.exp.CheckpointsDir()
	found, entry, err := checkpoint.Recover(dir, func(line string) { r.report.Message("⚠️  %s", line) })
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	switch {
	case found == nil && r.cfg.ResumeFromCheckpoint:
		r.report.Message("ℹ️  %s has no checkpoint yet: training starts from the beginning in this folder", r.exp.Name())
		fallthrough
	case found == nil:
		r.state = fresh(r.engine.net, r.cfg.Seed)
		return nil
	case !r.cfg.ResumeFromCheckpoint && !r.forked():
		return fmt.Errorf("train: %s already holds training up to epoch %d; set ResumeFromCheckpoint = true to go on with it, "+
			"or run \"Create Output Directories\" again for a new experiment", r.exp.Dir, found.Epoch)
	}
	if err := r.adopt(found); err != nil {
		return fmt.Errorf("train: %s cannot be resumed: %w", entry.Path, err)
	}
	r.lastFile = entry.Path
	r.fitPosition()
	if err := r.takeUpHistory(); err != nil {
		return err
	}
	r.takeUpBest()
	r.sayResumed(entry)
	return r.ensureBest()
}

// ensureBest makes best_model.pth if it is missing, and sees to it that a State
// does not hold on to a best loss that nothing on disk has, or that later losses
// cannot be compared with: no epoch might ever beat it.
func (r *run) ensureBest() error {
	dir, s := r.exp.CheckpointsDir(), r.state
	if err := checkpoint.EnsureBest(dir, func(line string) { r.report.Message("%s", line) }); err != nil {
		return err
	}
	entries, err := checkpoint.List(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == checkpoint.Best && (e.Epoch != s.BestEpoch || e.Position > 0) { // made from another, here or by a cell
			s.BestEpoch, s.BestLoss = 0, nan
		}
	}
	var keys []string
	for _, c := range r.changes {
		if c.ShapesLoss {
			keys = append(keys, c.Key)
		}
	}
	if len(keys) == 0 || !s.HasBest() {
		return nil
	}
	kept := fmt.Sprintf("best_model_until_epoch_%03d.pth", s.Epoch)
	if err := durable.Copy(checkpoint.Path(dir, checkpoint.Best), checkpoint.Path(dir, kept)); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	r.report.Message("ℹ️  Validation losses from here on cannot be compared with those before (%s changed): the best epoch is looked for anew", strings.Join(keys, ", "))
	r.report.Message("   The best model until now is kept as %s", kept)
	s.BestEpoch, s.BestLoss, s.Patience = 0, nan, 0
	return nil
}

// forked reports whether the experiment began with another one's checkpoint.
func (r *run) forked() bool {
	stats, err := r.exp.LoadStats()
	return err == nil && stats.Parent != ""
}

// adopt checks a State found on disk against the configuration and makes it
// the run's own.
func (r *run) adopt(found *checkpoint.State) error {
	if found.Config.Model == "" { // the file was made by PyTorch
		found.Anchor = r.anchorOfPyTorch(found)
	} else {
		r.changes = config.Diff(found.Config, r.cfg)
		var wrong []string
		for _, c := range r.changes {
			if c.ShapesNetwork {
				wrong = append(wrong, fmt.Sprintf("%s was %s when it was saved and is %s now", c.Key, c.Old, c.New))
			}
		}
		if len(wrong) > 0 {
			return fmt.Errorf("%s; set it back, or start a new experiment", strings.Join(wrong, "; "))
		}
		found.Anchor = replan(found.Config, r.cfg, found.Anchor, found.Epoch)
	}
	found.Seed = r.cfg.Seed
	if found.Reason == reasonDiverged {
		found.Partial.Rejected = 0 // or the first such batch would end this session, whatever was changed
	}
	if r.cfg.OOMPolicy != "halve" {
		found.MicroBatch = 0
	}
	if name := model.NameOf(r.cfg.Model, found.Has); name != r.cfg.Model {
		net, err := model.New(name, r.engine.net.Options)
		if err != nil {
			return err
		}
		engine, err := newEngine(r.engine.backend, net, r.engine.loss, r.engine.optimizer, r.engine.ways)
		if err != nil {
			return err
		}
		r.engine = engine
		r.report.Message("ℹ️  The network of this experiment is what is called %s now: training goes on with that one", name)
	}
	if err := fits(r.engine.net, found); err != nil {
		return err
	}
	r.state = found
	return nil
}

// fitPosition ends the epoch under way where it has fewer patches now than it
// had used when it stopped.
func (r *run) fitPosition() {
	if n := r.data.Train.Len(); r.state.Position > n {
		r.report.Message("ℹ️  An epoch has %d patches now, and %d were used: epoch %d ends here", n, r.state.Position, r.state.Epoch+1)
		r.state.Position = n
	}
}

// takeUpHistory makes history.json and the State agree. The State carries its
// own history, so a file that is broken, missing, too short or too long is
// replaced by it; only a State made by PyTorch has to trust the file.
func (r *run) takeUpHistory() error {
	path := r.exp.HistoryPath()
	onDisk, err := experiment.LoadHistory(path)
	switch {
	case errors.Is(err, experiment.ErrInvalidHistory):
		kept, e := experiment.SetAside(path)
		if e != nil {
			return fmt.Errorf("train: %w", e)
		}
		r.report.Message("⚠️  Previous history has invalid structure (%v)", err)
		r.report.Message("   The old file is kept as %s", kept)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("train: %w", err)
	}
	if r.state.History.Len() == 0 && r.state.Epoch > 0 {
		if err == nil {
			r.state.History = *onDisk
		}
		r.state.History.Resize(r.state.Epoch) // a row for each epoch, known or not
	}
	if err := r.state.History.Save(path); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	if n := r.state.History.Len(); n > 0 {
		r.report.Message("📊 Continuing from previous history (%d epochs recorded)", n)
	}
	return nil
}

// takeUpBest asks best_model.pth for the best loss where the State does not know
// it: of the original's files only that one says so. Otherwise the next
// validation would replace it, however bad.
func (r *run) takeUpBest() {
	s := r.state
	if s.HasBest() || s.Config.Model != "" {
		return
	}
	best, err := checkpoint.Load(checkpoint.Path(r.exp.CheckpointsDir(), checkpoint.Best))
	if err != nil || !best.HasBest() || best.BestEpoch > s.Epoch {
		return // missing, damaged, or a copy of some other checkpoint
	}
	s.BestEpoch, s.BestLoss = best.BestEpoch, best.BestLoss
	for _, loss := range s.History.ValLoss[best.BestEpoch:] {
		if !math.IsNaN(loss) {
			s.Patience++
		}
	}
}

func (r *run) sayResumed(entry checkpoint.Entry) {
	r.report.Message("🔄 Resuming from %s: epoch %d of %d done", entry.Name(), r.state.Epoch, r.cfg.NumEpochs)
	if r.state.Position > 0 {
		r.report.Message("   and %d of %d patches of epoch %d", r.state.Position, r.data.Train.Len(), r.state.Epoch+1)
	}
	if r.state.MicroBatch > 0 {
		r.report.Message("   Batches are computed in parts of %d samples since memory ran out; OOMPolicy = \"stop\" ends that", r.state.MicroBatch)
	}
	if r.state.HasBest() {
		r.report.Message("   Best so far: epoch %d (val_loss: %.4f)", r.state.BestEpoch, r.state.BestLoss)
	}
	for _, c := range r.changes {
		r.report.Message("   ✏️  %s: %s → %s", c.Key, c.Old, c.New)
	}
}
