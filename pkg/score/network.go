package score

import (
	"context"

	"rekindle/pkg/model"
	"rekindle/pkg/restore"
)

// Network is a trained network as a [Denoiser]. It sees whole pictures, without a
// frame, as papers have it; one that takes a noise level is told the right one. A
// colour network sees a grey picture as three equal colours, a grey one a colour
// picture colour by colour.
func Network(r *restore.Restorer) Denoiser {
	return func(ctx context.Context, noisy Image, sigma float64) (Image, error) {
		at := r
		if r.TakesLevel() {
			var err error
			if at, err = r.At(sigma); err != nil {
				return Image{}, err
			}
		}
		values := make([]float32, len(noisy.Values))
		for i, v := range noisy.Values {
			values[i] = float32(v/127.5 - 1)
		}
		whole := restore.Options{TileSize: max(noisy.W, noisy.H, model.MinSide), BatchSize: 1}
		values, err := at.Planes(ctx, values, noisy.H, noisy.W, whole)
		if err != nil {
			return Image{}, err
		}
		out := Image{noisy.W, noisy.H, make([]float64, len(values))}
		for i, v := range values {
			out.Values[i] = (float64(v) + 1) * 127.5
		}
		return out, nil
	}
}
