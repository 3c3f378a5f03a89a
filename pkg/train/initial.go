package train

import (
	"fmt"
	"strings"

	"rekindle/pkg/checkpoint/weights"
	"rekindle/pkg/model"
)

// takeWeights replaces the fresh weights by those of the file InitialWeights: the
// beginning of a fine-tuning. All of them must fit, for a network that is half
// trained and half random restores nothing.
func (b *start) takeWeights() error {
	w, err := weights.Open(b.cfg.InitialWeights)
	if err != nil {
		return fmt.Errorf("train: InitialWeights: %w", err)
	}
	want := make([]weights.Want, len(b.state.Model))
	for i, t := range b.state.Model {
		want[i] = weights.Want{Name: t.Name, Shape: t.Shape}
	}
	for _, e := range b.net.Constants() {
		if w.Has(e.Name) {
			want = append(want, weights.Want{Name: e.Name, Shape: e.Shape})
		}
	}
	fitting, err := w.Fit(want)
	if err != nil {
		shapes := make(map[string][]int, len(w.Tensors))
		for _, t := range w.Tensors {
			shapes[t.Name] = t.Shape
		}
		if guess := model.Guess(shapes); guess != "" {
			err = fmt.Errorf("%w; %s", err, guess)
		}
		return fmt.Errorf("train: InitialWeights do not fit %s with ModelFeatures = %d, ModelBilinear = %t%s: %w",
			b.net.Name, b.net.Options.Features, b.net.Options.Bilinear, whose(w), err)
	}
	for i, t := range fitting[:len(b.state.Model)] {
		for _, v := range t.Values {
			if !isFinite(float64(v)) {
				return fmt.Errorf("train: InitialWeights: %s: %s holds %v: these weights are spoiled, take an earlier checkpoint", w.Origin(), t.Name, v)
			}
		}
		own := &b.state.Model[i]
		if own.IsCounter() {
			own.Count = t.Whole[0]
		} else {
			own.Values = t.Values
		}
	}
	b.report.Message("🌱 Training begins with the weights of %s: all %d tensors fit", w.Origin(), len(fitting))
	if len(w.Unused) > 0 {
		b.report.Message("   Not used: %s", strings.Join(w.Unused, ", "))
	}
	return nil
}

// whose says which network the weights may be of, if that can be told.
func whose(w *weights.Weights) string {
	if of := w.LooksLike(); of != "" {
		return fmt.Sprintf(" (they look like those of %s; known are %s)", of, strings.Join(model.Names(), ", "))
	}
	return ""
}
