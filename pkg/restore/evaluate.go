package restore

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"rekindle/pkg/dataset"
	"rekindle/pkg/durable"
	"rekindle/pkg/experiment"
	"rekindle/pkg/metrics"
	"rekindle/pkg/rgb"
)

// Evaluate restores the first limit pictures of a set (all for 0), writes them
// into dir as <name>.png, and scores them and the degraded pictures they were
// made from against the clean ones, all as 8-bit pictures. report is called
// after each picture and may be nil. A network that takes the level of the noise is
// told that of each picture, see [dataset.Set.KnowLevels].
//
// The first picture that cannot be restored, saved or scored ends it with an
// error that names the picture; those before it stay in dir. When ctx has ended
// its error is wrapped.
func (r *Restorer) Evaluate(ctx context.Context, set *dataset.Set, dir string, o Options, limit int, report func(done, total int)) (*experiment.Evaluation, error) {
	n := set.Images()
	if limit > 0 {
		n = min(n, limit)
	}
	if n == 0 {
		return nil, fmt.Errorf("restore: there is no picture to evaluate")
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	e := &experiment.Evaluation{NImages: n, SelfEnsemble: o.SelfEnsemble, TileSize: o.TileSize, TileOverlap: o.Overlap, Margin: o.Margin}
	for i := range n {
		name, degraded, clean, err := set.Pair(i)
		if err != nil {
			return nil, fmt.Errorf("restore: evaluating %s: %w", name, err)
		}
		at := r
		if r.TakesLevel() {
			at, err = r.At(set.Level(i))
		}
		if err != nil {
			return nil, err
		}
		began := time.Now()
		restored, err := at.RGB(ctx, degraded, o)
		e.Seconds += time.Since(began).Seconds()
		if err != nil {
			return nil, fmt.Errorf("restore: evaluating %s: %w", name, err)
		}
		file := name + ".png"
		if err := restored.SavePNG(filepath.Join(dir, file)); err != nil {
			return nil, fmt.Errorf("restore: evaluating %s: %w", name, err)
		}
		for _, side := range []struct {
			of      *rgb.Image
			summary *experiment.Summary
		}{{restored, &e.Summary}, {degraded, &e.Degraded}} {
			s, err := metrics.Compare(side.of, clean)
			if err != nil {
				return nil, fmt.Errorf("restore: evaluating %s: %w", name, err)
			}
			side.summary.PerImage = append(side.summary.PerImage, experiment.ImageScores{Filename: durable.Printable(file), Scores: experiment.Scores{
				PSNR: experiment.Number(s.PSNR), SSIM: experiment.Number(s.SSIM), SSIMBox: experiment.Number(s.BoxSSIM), MAE: experiment.Number(s.MAE), MSE: experiment.Number(s.MSE),
			}})
		}
		if report != nil {
			report(i+1, n)
		}
	}
	e.Summary.Summarise()
	e.Degraded.Summarise()
	return e, nil
}
