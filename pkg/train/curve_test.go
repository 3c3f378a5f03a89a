package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"rekindle/pkg/checkpoint/pth"
	"rekindle/pkg/durable"
	"rekindle/pkg/internal/python"
	"rekindle/pkg/schedule"
)

// curveVariable names a file for the figure of docs/quality.md; the run is then a
// longer one.
const curveVariable = "REKINDLE_CURVE"

// One network, the same pictures, noise, order and number of steps in PyTorch and
// here, in float32: the PSNR of the validation patches goes the same way. Rounding
// drives the two apart as it does two runs of PyTorch on different machines.
func TestTheCurveOfValidationIsPyTorchs(t *testing.T) {
	cfg := tinyUNet(t)
	cfg.PatchSize, cfg.BatchSize, cfg.ModelFeatures, cfg.NumEpochs = 32, 4, 4, 6
	cfg.PatchesPerImage, cfg.ValPatchesPerImage, cfg.Patience, cfg.LearningRate = 12, 4, 0, 4e-3
	bound := 0.1 // dB; the largest difference that was seen is 0.01
	figure := os.Getenv(curveVariable)
	if figure != "" {
		cfg.ModelFeatures, cfg.NumEpochs, cfg.PatchesPerImage, cfg.LearningRate, bound = 8, 40, 20, 1e-3, 0.5
	}
	exp := newExperiment(t, cfg)
	ctx, w := interruptAfter(1)
	mustRun(t, ctx, exp, cfg, Options{Reporter: w})
	begun, newest, err := exp.Checkpoints().Newest(func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	start := filepath.Join(t.TempDir(), "start.pth")
	if err := durable.Copy(newest.Path, start); err != nil {
		t.Fatal(err)
	}

	given := pth.NewDict()
	given.Set("features", int64(cfg.ModelFeatures))
	given.Set("epochs", int64(cfg.NumEpochs))
	data := load(t, cfg)
	for epoch := range cfg.NumEpochs {
		from := 0
		if epoch == 0 {
			from = begun.Position
		}
		loader := data.Train.Batches(context.Background(), epoch+1, from, cfg.BatchSize, 1)
		steps := int64(0)
		for {
			b, err := loader.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			given.Set(fmt.Sprintf("degraded.%d.%d", epoch, steps), pth.FromFloat32(b.Degraded, b.N, 3, b.Size, b.Size))
			given.Set(fmt.Sprintf("clean.%d.%d", epoch, steps), pth.FromFloat32(b.Clean, b.N, 3, b.Size, b.Size))
			steps++
		}
		given.Set(fmt.Sprintf("steps.%d", epoch), steps)
		given.Set(fmt.Sprintf("rate.%d", epoch), schedule.Rate(cfg, schedule.Anchor{}, epoch+1))
	}
	val := data.Val.Batches(context.Background(), 0, 0, data.Val.Len(), 1)
	b, err := val.Next()
	if err != nil {
		t.Fatal(err)
	}
	given.Set("val.degraded", pth.FromFloat32(b.Degraded, b.N, 3, b.Size, b.Size))
	given.Set("val.clean", pth.FromFloat32(b.Clean, b.N, 3, b.Size, b.Size))
	val.Close()
	dir := t.TempDir()
	batches, out := filepath.Join(dir, "batches.pth"), filepath.Join(dir, "out.pth")
	if err := pth.Save(batches, given); err != nil {
		t.Fatal(err)
	}
	args := []string{"testdata/step.py", start, batches, out}
	if figure != "" {
		args = append(args, "1e-7") // a rounding error
	}
	python.Run(t, "torch", "testdata/curve.py", args...)
	f, err := pth.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	read := func(key string) []float32 {
		stored, _ := f.Root.(*pth.Dict).Get(key)
		curve, err := stored.(*pth.Tensor).Float32s()
		if err != nil {
			t.Fatal(err)
		}
		return curve
	}
	theirs := read("psnr")

	cfg.ResumeFromCheckpoint = true
	_, end := mustRun(t, context.Background(), exp, cfg, Options{})
	ours := end.History.ValPSNR
	largest := 0.0
	for i, v := range ours {
		off := math.Abs(v - float64(theirs[i]))
		largest = max(largest, off)
		if !(off <= bound) {
			t.Errorf("after epoch %d PyTorch has %.3f dB, Go %.3f", i+1, theirs[i], v)
		}
	}
	if gained := ours[len(ours)-1] - ours[0]; gained < 0.3 {
		t.Errorf("there is little to compare: training gained %.2f dB", gained)
	}
	t.Logf("%d steps, to %.2f dB; the largest difference is %.3f dB", end.Step, slices.Max(ours), largest)
	if figure != "" {
		disturbed := read("psnr_disturbed")
		apart := 0.0
		for i := range theirs {
			apart = max(apart, math.Abs(float64(theirs[i]-disturbed[i])))
		}
		t.Logf("PyTorch differs from itself by up to %.3f dB", apart)
		drawCurves(t, figure, ours, theirs, disturbed)
	}
}

func drawCurves(t *testing.T, path string, ours []float64, theirs, disturbed []float32) {
	t.Helper()
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = "epoch", "PSNR of the validation patches, dB"
	var line, dots, others plotter.XYs
	for i, v := range ours {
		line = append(line, plotter.XY{X: float64(i + 1), Y: v})
		dots = append(dots, plotter.XY{X: float64(i + 1), Y: float64(theirs[i])})
		others = append(others, plotter.XY{X: float64(i + 1), Y: float64(disturbed[i])})
	}
	here, err := plotter.NewLine(line)
	if err != nil {
		t.Fatal(err)
	}
	there, err := plotter.NewScatter(dots)
	if err != nil {
		t.Fatal(err)
	}
	again, err := plotter.NewScatter(others)
	if err != nil {
		t.Fatal(err)
	}
	again.Shape, again.Radius = draw.CrossGlyph{}, vg.Points(3)
	here.Width, there.Shape, there.Radius = vg.Points(2), draw.RingGlyph{}, vg.Points(3)
	p.Add(plotter.NewGrid(), here, there, again)
	p.Legend.Add("Rekindle", here)
	p.Legend.Add("PyTorch", there)
	p.Legend.Add("PyTorch, weights first disturbed by 1e-7", again)
	p.Legend.Padding = vg.Points(4)
	if err := p.Save(16*vg.Centimeter, 9*vg.Centimeter, path); err != nil {
		t.Fatal(err)
	}
}
