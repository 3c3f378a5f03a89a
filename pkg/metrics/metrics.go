// Package metrics scores a restored picture against the clean one: PSNR, SSIM,
// MAE and MSE, accumulated in float64.
//
// Use [Compare] on pictures as they are saved, with 8 bits for a value: what a
// reader of the files would measure. The other functions take planes of floats
// in [0, 1], as PyTorch's tensors hold them.
//
//	scores, err := metrics.Compare(restored, clean)
//	fmt.Printf("%.2f dB, SSIM %.4f\n", scores.PSNR, scores.SSIM)
package metrics

import (
	"fmt"
	"math"

	"rekindle/pkg/rgb"
)

// BestPSNR is what equal pictures have, in dB, and nearly equal ones: so it is a
// number everywhere, in tables, means and files. The training's validation has the
// same bound.
const BestPSNR = 100

// Scores of a picture.
type Scores struct {
	PSNR    float64 // peak signal-to-noise ratio in dB, at most [BestPSNR]
	SSIM    float64 // structural similarity with a Gaussian window, as published; at most 1
	BoxSSIM float64 // the original's SSIM: a box for a window, black beyond the borders
	MAE     float64 // mean absolute error of values in [0, 1]
	MSE     float64 // mean squared error of values in [0, 1]
}

// Compare scores a picture against the clean one of the same size, values
// divided by 255. Different sizes and pictures without pixels are an error.
func Compare(restored, clean *rgb.Image) (Scores, error) {
	if restored.W != clean.W || restored.H != clean.H {
		return Scores{}, fmt.Errorf("metrics: pictures of %dx%d and %dx%d cannot be compared; they must have one size", restored.W, restored.H, clean.W, clean.H)
	}
	if len(clean.Pix) == 0 {
		return Scores{}, fmt.Errorf("metrics: there is nothing to compare: the pictures have no pixels")
	}
	var absolute, squared int64
	for i, v := range clean.Pix {
		d := int64(v) - int64(restored.Pix[i])
		absolute += max(d, -d)
		squared += d * d
	}
	n := float64(len(clean.Pix))
	mse := float64(squared) / (255 * 255 * n)
	p := planes{3, clean.H, clean.W, picture(restored), picture(clean)}
	return Scores{psnr(mse), p.similarity(gaussian), p.similarity(box), float64(absolute) / (255 * n), mse}, nil
}

// MAE is the mean absolute error between two lists of values.
func MAE[T float32 | float64](a, b []T) (float64, error) {
	return mean(a, b, math.Abs)
}

// MSE is the mean squared error between two lists of values.
func MSE[T float32 | float64](a, b []T) (float64, error) {
	return mean(a, b, func(d float64) float64 { return d * d })
}

// PSNR is the peak signal-to-noise ratio in dB between two lists of values with
// a range of 1, all planes and pictures together: -10 log10 MSE, at most [BestPSNR].
func PSNR[T float32 | float64](a, b []T) (float64, error) {
	mse, err := MSE(a, b)
	return psnr(mse), err
}

// SSIM is the mean structural similarity of planes of h rows of w values, one
// after another, with a range of 1: Wang et al., "Image Quality Assessment: From
// Error Visibility to Structural Similarity" (IEEE TIP 2004), a Gaussian window
// of 11 by 11 with standard deviation 1.5, no padding. As in pytorch_msssim a
// side shorter than the window is not smoothed. Each colour counts alike.
func SSIM[T float32 | float64](a, b []T, h, w int) (float64, error) {
	return similarity(a, b, h, w, gaussian)
}

// BoxSSIM is what the Python original reports as SSIM: the same formula, but
// means over a box of 11 by 11, in which values beyond the border count as 0.
// It is here to compare with the original's numbers, not with published ones.
func BoxSSIM[T float32 | float64](a, b []T, h, w int) (float64, error) {
	return similarity(a, b, h, w, box)
}

func psnr(mse float64) float64 {
	return min(10*math.Log10(1/mse), BestPSNR)
}

func mean[T float32 | float64](a, b []T, f func(float64) float64) (float64, error) {
	if len(a) != len(b) || len(a) == 0 {
		return math.NaN(), fmt.Errorf("metrics: %d and %d values cannot be compared; they must be equally many and not none", len(a), len(b))
	}
	total := 0.0
	for i := range a {
		total += f(float64(a[i]) - float64(b[i]))
	}
	return total / float64(len(a)), nil
}
