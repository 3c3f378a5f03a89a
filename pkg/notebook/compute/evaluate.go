package compute

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/dataset"
	"rekindle/pkg/durable"
	"rekindle/pkg/experiment"
	"rekindle/pkg/interrupt"
	"rekindle/pkg/notebook"
	"rekindle/pkg/notebook/cell"
	"rekindle/pkg/restore"
)

// Evaluate restores whole validation pictures, scores them and their degraded
// inputs, and writes restored_images/ and evaluation_metrics.json. Where those
// are there already, made from the same weights and pictures with the same
// options, it shows the scores and leaves both as they are.
func Evaluate(cfg config.Config) {
	if cell.PassedOver("evaluation", "evaluation") {
		return
	}
	exp := notebook.Experiment(cfg)
	ctx, check, stop := heavy("Evaluation interrupted; pictures and scores are as they were before it")
	defer stop()
	state, err := interrupt.Do(ctx, func() (*checkpoint.State, error) { return loadBest(exp) })
	check(err)
	set, err := notebook.OpenValidation(cfg, 1, cell.Warn)
	if errors.Is(err, cell.ErrNothing) { // only looking, and the pictures are elsewhere
		if e, none := experiment.LoadEvaluation(exp.MetricsPath()); none == nil {
			cell.Say("ℹ️  %v\n⏭️  The scores that are on disk, of the weights of epoch %d:", err, e.Epoch)
			notebook.ShowScores(e)
			return
		}
	}
	check(err)
	options := restore.Options{TileSize: cfg.PatchSize, Overlap: cfg.TileOverlap, BatchSize: cfg.BatchSize, Margin: restore.Margin, SelfEnsemble: cfg.SelfEnsemble}
	from, err := interrupt.Do(ctx, func() (string, error) { return madeFrom(cfg, state, set, options) })
	check(err)
	if e := stored(exp, from); e != nil {
		cell.Say("⏭️  The weights of epoch %d are evaluated already with these pictures and options; to do it again, delete %s", e.Epoch, cell.Short(exp.MetricsPath()))
		notebook.ShowScores(e)
		return
	}
	r, err := interrupt.Do(ctx, func() (*restore.Restorer, error) { return newRestorer(cfg, exp, state) })
	check(err)
	cell.Say("🔍 Evaluating the weights of %s in tiles of %d with %d pixels of overlap", state.Cursor, cfg.PatchSize, cfg.TileOverlap)
	if cfg.SelfEnsemble {
		cell.Say("   SelfEnsemble: the mean of eight restorations of each picture, which takes eight times as long")
	}
	draft, err := exp.Draft()
	check(err)
	if draft.Warning != "" {
		cell.Warn(draft.Warning)
	}
	count := cell.NewCounter("restored")
	e, err := interrupt.Do(ctx, func() (*experiment.Evaluation, error) {
		return r.Evaluate(ctx, set, draft.Dir, options, cfg.MaxEvalImages, count.Set)
	})
	count.End()
	if err == nil {
		e.Epoch, e.MadeFrom = state.Epoch, from
		err = draft.Commit(e)
	}
	err = errors.Join(err, draft.Close())
	check(err)
	notebook.ShowScores(e)
	if n := len(draft.Kept); n > 0 {
		cell.Say("ℹ️  What no evaluation has made stays in %s: %s", cell.Short(exp.RestoredDir()), strings.Join(draft.Kept[:min(n, 5)], ", "))
	}
	cell.Say("\n✅ Scores saved to %s, and as %s for spreadsheets\n   Pictures in %s", cell.Short(exp.MetricsPath()), filepath.Base(exp.ScoresCSVPath()), cell.Short(exp.RestoredDir()))
}

// scoring is the version of how pictures are restored and scored: raised when
// either changes, it makes evaluations of before count as different.
const scoring = 1

// madeFrom is a checksum of all that an evaluation depends on: weights, pictures
// and options. The engine is left out: it changes no more than the last digits,
// and results of a GPU are to be looked at on a machine without one.
func madeFrom(cfg config.Config, state *checkpoint.State, set *dataset.Set, o restore.Options) (string, error) {
	h := sha256.New() // writing to it never fails
	name, network := networkOf(cfg, state)
	o.BatchSize = 0 // how many tiles at once
	fmt.Fprintf(h, "%d %s %+v %+v\n", scoring, name, network, o)
	for _, t := range state.Network() {
		fmt.Fprintf(h, "%s %v\n", t.Name, t.Shape)
		_ = binary.Write(h, binary.LittleEndian, t.Values)
	}
	for i := range evaluated(set, cfg) {
		name, degraded, clean, err := set.Pair(i)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d %d\n", name, clean.W, clean.H)
		h.Write(degraded.Pix)
		h.Write(clean.Pix)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// evaluated is how many pictures of a set are restored.
func evaluated(set *dataset.Set, cfg config.Config) int {
	if cfg.MaxEvalImages > 0 {
		return min(set.Images(), cfg.MaxEvalImages)
	}
	return set.Images()
}

// stored returns the evaluation on disk if it was made from what is given here
// and all its pictures are there, else nil.
func stored(exp *experiment.Experiment, from string) *experiment.Evaluation {
	e, err := experiment.LoadEvaluation(exp.MetricsPath())
	if err != nil || e.MadeFrom != from || len(e.PerImage) != len(e.Degraded.PerImage) {
		return nil
	}
	for _, im := range e.PerImage {
		if _, err := os.Stat(filepath.Join(exp.RestoredDir(), durable.Unprintable(im.Filename))); err != nil {
			return nil
		}
	}
	return e
}
