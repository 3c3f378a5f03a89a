package notebook

import (
	"math"
	"strings"
	"testing"

	"rekindle/pkg/experiment"
)

func TestTheTableOfScoresHasARowForEachPictureAndTheMean(t *testing.T) {
	e := &experiment.Evaluation{}
	for _, name := range []string{"a.png", "b.png"} {
		e.PerImage = append(e.PerImage, experiment.ImageScores{Filename: name, Scores: experiment.Scores{PSNR: 30, SSIM: 0.9, SSIMBox: 0.8}})
		e.Degraded.PerImage = append(e.Degraded.PerImage, experiment.ImageScores{Filename: name, Scores: experiment.Scores{PSNR: 20, SSIM: 0.5, SSIMBox: 0.4}})
	}
	e.PerImage[1].PSNR = experiment.Number(math.Inf(1))
	e.Summary.Summarise()
	e.Degraded.Summarise()
	table := scoresTable(e)
	if len(table.Rows) != 3 {
		t.Fatalf("two pictures: got %d rows, want two and the mean", len(table.Rows))
	}
	if got := strings.Join(table.Rows[0], " "); got != "a.png 20.00 30.00 10.00 0.5000 0.9000 0.4000 0.8000" {
		t.Errorf("got %q", got)
	}
	if !table.Sorts {
		t.Error("the columns cannot be sorted")
	}
}
