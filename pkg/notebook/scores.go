package notebook

import (
	"fmt"

	"rekindle/pkg/experiment"
	"rekindle/pkg/figures"
	"rekindle/pkg/notebook/cell"
)

// ShowScores shows an evaluation as a table: a row for each picture, and the mean
// of all at the end.
func ShowScores(e *experiment.Evaluation) {
	scoresTable(e).Show("PSNR in dB; degraded → restored")
	cell.Flush() // what is shown and what is printed reach the page by different ways
	cell.Say("   Gain: %.2f dB, in %.1f s of restoring", e.Gain(), e.Seconds)
	cell.Say("   SSIM is as published; SSIM box is the Python original's, to compare with its numbers only")
	cell.Flush()
}

func scoresTable(e *experiment.Evaluation) cell.Table {
	t := cell.Table{Head: []string{"picture", "PSNR", "→", "gain", "SSIM", "→", "SSIM box", "→"}, Text: 1, Sorts: true}
	add := func(name string, before, after experiment.Scores) {
		t.Rows = append(t.Rows, []string{name, figures.Decibels(float64(before.PSNR)), figures.Decibels(float64(after.PSNR)), figures.Decibels(float64(after.PSNR - before.PSNR)),
			figures.Loss(float64(before.SSIM)), figures.Loss(float64(after.SSIM)), figures.Loss(float64(before.SSIMBox)), figures.Loss(float64(after.SSIMBox))})
	}
	for i, after := range e.PerImage {
		add(after.Filename, e.Degraded.PerImage[i].Scores, after.Scores)
	}
	add(fmt.Sprintf("mean of %d", len(e.PerImage)), e.Degraded.Mean, e.Mean)
	return t
}
