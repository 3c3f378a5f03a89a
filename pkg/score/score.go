// Package score measures what takes noise off pictures the way papers do, so that
// its numbers may stand beside published ones: normal noise is added to the values
// of clean 8-bit pictures, whole pictures are restored, and the mean of the
// pictures' PSNR and SSIM counts.
//
//	r, err := restore.Open("ffdnet.pth")
//	result, err := score.Folder(ctx, "CBSD68", score.Network(r), score.Options{Sigma: 25, Seed: 42})
//	fmt.Printf("%.2f dB, SSIM %.4f\n", result.Mean.PSNR, result.Mean.SSIM)
package score

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"rekindle/pkg/degrade"
	"rekindle/pkg/experiment"
	"rekindle/pkg/machine"
	"rekindle/pkg/metrics"
	"rekindle/pkg/rgb"
)

// Image is a picture as planes of values in [0, 255], one after another: one of
// grey, or red, green and blue.
type Image struct {
	W, H   int
	Values []float64 // [len/(W*H), H, W]
}

// Planes is how many planes there are, 1 or 3.
func (im Image) Planes() int { return len(im.Values) / (im.W * im.H) }

// Denoiser takes noise of deviation sigma, in grey levels, off a picture. It must
// not change the picture.
type Denoiser func(ctx context.Context, noisy Image, sigma float64) (Image, error)

// Options say what is added to the pictures and which of them are used.
type Options struct {
	Sigma float64 // standard deviation of the noise, in grey levels of 0 to 255
	Clip  bool    // noisy values are rounded and clipped to 0..255, as in files; papers do neither
	Grey  bool    // colour pictures are made grey first, see [Grey]
	Seed  int64   // of the noise, together with each picture's name
	Every int     // only every so many pictures, from the first on; 0: all

	// Report, which may be nil, is told of each picture.
	Report func(done, total int, p Picture)
}

// Scores of a picture, and of the noisy one that it was made from.
type Scores struct {
	PSNR      experiment.Number `json:"psnr"` // dB, over all planes together
	SSIM      experiment.Number `json:"ssim"` // Gaussian window, see [metrics.SSIM]
	NoisyPSNR experiment.Number `json:"noisy_psnr"`
	NoisySSIM experiment.Number `json:"noisy_ssim"`
}

// Picture is a picture's scores.
type Picture struct {
	Name string `json:"name"` // of the file
	W    int    `json:"width"`
	H    int    `json:"height"`
	Grey bool   `json:"grey"`
	Scores
	Seconds float64 `json:"seconds"`     // by the clock
	CPU     float64 `json:"cpu_seconds"` // of all processors together; 0: not known
}

// Result is what [Folder] measured.
type Result struct {
	Set      string    `json:"set"`
	Sigma    float64   `json:"sigma"`
	Clip     bool      `json:"clip"`
	Grey     bool      `json:"grey"`
	Seed     int64     `json:"seed"`
	Mean     Scores    `json:"mean"`
	Pictures []Picture `json:"pictures"`
}

// String says what was measured: "CBSD68, 68 pictures, sigma 25".
func (r *Result) String() string {
	s := fmt.Sprintf("%s, %d pictures, sigma %g", r.Set, len(r.Pictures), r.Sigma)
	if len(r.Pictures) == 1 {
		s = fmt.Sprintf("%s, 1 picture, sigma %g", r.Set, r.Sigma)
	}
	if r.Grey {
		s += ", made grey"
	}
	if r.Clip {
		s += ", clipped"
	}
	return s
}

// Folder scores the pictures directly in a folder, in the order of their names.
// Pictures that are grey are scored as one plane. Noise depends on the seed, the
// picture's name without its ending, and sigma alone.
func Folder(ctx context.Context, dir string, d Denoiser, o Options) (*Result, error) {
	if !(o.Sigma >= 0 && o.Sigma <= 255) {
		return nil, fmt.Errorf("score: the noise level (SIGMA) is %v; it must be 0 to 255 grey levels", o.Sigma)
	}
	names, err := rgb.List(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("score: there is no folder %s; name one with pictures without noise (SET)", dir)
	case err != nil:
		return nil, fmt.Errorf("score: %w", err)
	case len(names) == 0:
		return nil, fmt.Errorf("score: there is no picture in %s (SET)", dir)
	}
	var chosen []string
	for i := 0; i < len(names); i += max(o.Every, 1) {
		if _, _, err := rgb.Size(filepath.Join(dir, names[i])); err != nil { // before hours of measuring
			return nil, fmt.Errorf("score: %w", err)
		}
		chosen = append(chosen, names[i])
	}
	r := &Result{Set: filepath.Base(dir), Sigma: o.Sigma, Clip: o.Clip, Grey: o.Grey, Seed: o.Seed}
	for i, name := range chosen {
		p, err := one(ctx, dir, name, d, o)
		if err != nil {
			return nil, err
		}
		r.Pictures = append(r.Pictures, p)
		if o.Report != nil {
			o.Report(i+1, len(chosen), p)
		}
	}
	r.Mean = mean(r.Pictures)
	return r, nil
}

func one(ctx context.Context, dir, name string, d Denoiser, o Options) (Picture, error) {
	file, err := rgb.Load(filepath.Join(dir, name))
	if err != nil {
		return Picture{}, fmt.Errorf("score: %w", err)
	}
	clean := Of(file)
	if o.Grey {
		clean = Grey(clean)
	}
	noisy := Noisy(clean, o.Sigma, o.Clip, degrade.Source(o.Seed, name))
	began, used := time.Now(), machine.ProcessorTime()
	restored, err := d(ctx, noisy, o.Sigma)
	if err != nil {
		return Picture{}, fmt.Errorf("score: %s: %w", name, err)
	}
	p := Picture{Name: name, W: clean.W, H: clean.H, Grey: clean.Planes() == 1, Seconds: time.Since(began).Seconds(), CPU: (machine.ProcessorTime() - used).Seconds()}
	p.Scores, err = compare(restored, noisy, clean)
	if err != nil {
		return Picture{}, fmt.Errorf("score: %s: %w", name, err)
	}
	return p, nil
}

// compare scores what was restored with its values clipped to 0..255, but not
// rounded, and the noisy picture as it is.
func compare(restored, noisy, clean Image) (s Scores, err error) {
	want := unit(clean.Values)
	clipped := slices.Clone(restored.Values)
	for i, v := range clipped {
		clipped[i] = min(max(v, 0), 255)
	}
	for _, side := range []struct {
		values     []float64
		psnr, ssim *experiment.Number
	}{{unit(clipped), &s.PSNR, &s.SSIM}, {unit(noisy.Values), &s.NoisyPSNR, &s.NoisySSIM}} {
		psnr, err := metrics.PSNR(side.values, want)
		if err != nil {
			return s, err
		}
		ssim, err := metrics.SSIM(side.values, want, clean.H, clean.W)
		if err != nil {
			return s, err
		}
		*side.psnr, *side.ssim = experiment.Number(psnr), experiment.Number(ssim)
	}
	return s, nil
}

// unit divides values by 255.
func unit(values []float64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = v / 255
	}
	return out
}

// mean is that of the pictures' scores.
func mean(pictures []Picture) (m Scores) {
	n := experiment.Number(len(pictures))
	for _, p := range pictures {
		m.PSNR += p.PSNR / n
		m.SSIM += p.SSIM / n
		m.NoisyPSNR += p.NoisyPSNR / n
		m.NoisySSIM += p.NoisySSIM / n
	}
	return m
}

// Of are the planes of a picture: one, where all pixels are grey.
func Of(im *rgb.Image) Image {
	n, grey := im.W*im.H, true
	out := Image{im.W, im.H, make([]float64, 3*n)}
	for i := range n {
		p := im.Pix[3*i:][:3]
		out.Values[i], out.Values[n+i], out.Values[2*n+i] = float64(p[0]), float64(p[1]), float64(p[2])
		grey = grey && p[0] == p[1] && p[1] == p[2]
	}
	if grey {
		out.Values = out.Values[:n]
	}
	return out
}

// Grey is round(0.298936 R + 0.587043 G + 0.114021 B), which makes BSD68, the grey
// set of the literature, of the colour pictures of CBSD68.
func Grey(im Image) Image {
	if im.Planes() == 1 {
		return im
	}
	n := im.W * im.H
	out := Image{im.W, im.H, make([]float64, n)}
	for i := range n {
		out.Values[i] = math.Round(0.298936*im.Values[i] + 0.587043*im.Values[n+i] + 0.114021*im.Values[2*n+i])
	}
	return out
}

// Noisy adds independent normal noise of deviation sigma to all values, and with
// clip rounds and clips them to 0..255.
func Noisy(im Image, sigma float64, clip bool, r *rand.Rand) Image {
	out := Image{im.W, im.H, make([]float64, len(im.Values))}
	for i, v := range im.Values {
		x := v + sigma*r.NormFloat64()
		if clip {
			x = math.Round(min(max(x, 0), 255))
		}
		out.Values[i] = x
	}
	return out
}
