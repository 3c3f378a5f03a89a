package train

import (
	"context"
	"encoding/json"
	"fmt"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/dataset"
	"rekindle/pkg/figures"
)

// compareData compares the pictures with those that the State was trained on. It
// refuses to go on where none of these is left. Otherwise an epoch under way ends
// where it was stopped, because the rest of its patches would come in another
// order, some twice and some never; and a loss on other validation pictures is
// not what later ones may be compared with.
func (b *start) compareData() error {
	now := b.data.Identity
	if now == nil || b.state.Data == nil {
		return nil // not known, as in checkpoints of before: known from here on
	}
	var was dataset.Identity
	if err := json.Unmarshal(b.state.Data, &was); err != nil {
		b.report.Message("⚠️  The checkpoint does not say which pictures it was trained on (%v)", err)
		return nil
	}
	b.known = true
	train, val := now.Train.Since(was.Train), now.Val.Since(was.Val)
	if _, err := dataset.LoadIdentity(b.exp.DataPath()); err == nil || !b.forked() { // a fork may begin with other pictures
		for _, part := range []struct {
			key      string
			was, now dataset.Pictures
		}{{"TrainCleanDir", was.Train, now.Train}, {"ValCleanDir", was.Val, now.Val}} {
			if !dataset.Continues(part.was, part.now, part.key == "ValCleanDir") {
				return fmt.Errorf("it was trained on %s, and none of them is in %s now; %s", part.was, part.now.Folder, dataset.Remedy(part.key, b.exp.Name()))
			}
		}
	}
	for _, part := range []struct {
		name    string
		changes dataset.Changes
		now     int
	}{{"Training", train, len(now.Train.Pictures)}, {"Validation", val, len(now.Val.Pictures)}} {
		if part.changes.Any() {
			b.others = append(b.others, fmt.Sprintf("%s pictures since then: %s; there are %d now", part.name, part.changes, part.now))
		}
	}
	b.reordered = train.Any()
	b.remeasure = val.Any() || was.Val.Degraded != now.Val.Degraded
	return nil
}

// comparable says whether losses before and after a change of a key can be
// compared as far as that key goes: where the pictures are known, their folders
// tell nothing.
func (b *start) comparable(key string) bool {
	return b.known && (key == "val_clean_dir" || key == "val_degraded_dir")
}

// takeUpData makes the pictures of now those of the State and of data.json. It
// comes when nothing in the State is of the pictures of before any more.
func (l *loop) takeUpData(ctx context.Context) error {
	if l.data.Identity == nil {
		return nil
	}
	if l.remeasure && l.state.HasBest() {
		if err := l.measureBest(ctx); err != nil {
			return err
		}
	}
	raw, err := json.Marshal(l.data.Identity)
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	l.state.Data = raw
	return l.data.Identity.Save(l.exp.DataPath())
}

// measureBest puts the loss of best_model.pth on the validation pictures of now
// in the place of that on those of before.
func (l *loop) measureBest(ctx context.Context) error {
	path := l.exp.Checkpoints().Path(checkpoint.Best)
	best, err := checkpoint.Load(path)
	if err == nil {
		err = fits(l.net, best)
	}
	if err != nil {
		return fmt.Errorf("train: measure %s on other validation pictures: %w; move it away to do without it", path, err)
	}
	at := l.device.at
	l.device.at = l.device.engine.Upload(best)
	v, err := l.validate(ctx, l.state.BestEpoch)
	if err == nil { // or a computation that was given up may still use them
		l.device.at.Release()
	}
	l.device.at = at
	if err != nil {
		return err
	}
	was, now := l.state.BestLoss, mean(v.Partial, v.Loss)
	if l.state.BestLoss = now; !isFinite(now) {
		l.state.BestEpoch, l.state.BestLoss = 0, nan
	}
	l.report.Message("📐 Epoch %d, the best so far, measured on the validation pictures of now: val_loss %s (%s on those before)", best.Epoch, figures.Loss(now), figures.Loss(was))
	return nil
}
