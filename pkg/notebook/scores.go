package notebook

import (
	"fmt"

	"rekindle/pkg/experiment"
	"rekindle/pkg/figures"
)

// ShowScores shows an evaluation as a table: a row for each picture, and the mean
// of all at the end.
func ShowScores(e *experiment.Evaluation) {
	scoresTable(e).show("PSNR in dB; degraded → restored")
	flush() // what is shown and what is printed reach the page by different ways
	say("   Gain: %.2f dB, in %.1f s of restoring", e.Gain(), e.Seconds)
	say("   SSIM is as published; SSIM box is the Python original's, to compare with its numbers only")
	flush()
}

func scoresTable(e *experiment.Evaluation) table {
	t := table{head: []string{"picture", "PSNR", "→", "gain", "SSIM", "→", "SSIM box", "→"}, text: 1, sorts: true}
	add := func(name string, before, after experiment.Scores) {
		t.rows = append(t.rows, []string{name, figures.Decibels(float64(before.PSNR)), figures.Decibels(float64(after.PSNR)), figures.Decibels(float64(after.PSNR - before.PSNR)),
			figures.Loss(float64(before.SSIM)), figures.Loss(float64(after.SSIM)), figures.Loss(float64(before.SSIMBox)), figures.Loss(float64(after.SSIMBox))})
	}
	for i, after := range e.PerImage {
		add(after.Filename, e.Degraded.PerImage[i].Scores, after.Scores)
	}
	add(fmt.Sprintf("mean of %d", len(e.PerImage)), e.Degraded.Mean, e.Mean)
	return t
}
