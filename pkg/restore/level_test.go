package restore

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/model"
)

// fresh is a small network with first weights.
func fresh(t *testing.T, name string) *Restorer {
	t.Helper()
	net, err := model.New(name, model.Options{Features: 4, Depth: 3})
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(engine(t), net, net.Init(4))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestANetworkIsToldTheLevelOfTheNoise(t *testing.T) {
	r := fresh(t, "ffdnet")
	const side = 20
	image := make([]float32, 3*side*side)
	for i := range image {
		image[i] = float32(math.Sin(float64(i * i)))
	}
	o, ctx := tiles(side, 0, 1), context.Background()
	if _, err := r.Planes(ctx, image, side, side, o); err == nil || !strings.Contains(err.Error(), "SIGMA=25") {
		t.Errorf("without a level: %v", err)
	}
	at := func(sigma float64) []float32 {
		t.Helper()
		told, err := r.At(sigma)
		if err != nil {
			t.Fatal(err)
		}
		out, err := told.Planes(ctx, image, side, side, o)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	low, high := at(5), at(50)
	if slices.Equal(low, high) {
		t.Error("the level makes no difference")
	}
	if !slices.Equal(low, at(5)) { // whoever else asked in between
		t.Error("the same level gives another picture")
	}
	for _, sigma := range []float64{-1, 256, math.NaN()} {
		if _, err := r.At(sigma); err == nil || !strings.Contains(err.Error(), "0 to 255") {
			t.Errorf("level %v: %v", sigma, err)
		}
	}
	if _, err := fresh(t, "dncnn").At(25); err == nil || !strings.Contains(err.Error(), "dncnn takes no noise level (SIGMA); leave it out") {
		t.Errorf("a network that takes none: %v", err)
	}
}

// What a network was trained for is known from the metadata of an exported file,
// from the configuration of its experiment, and else from the paper.
func TestALevelOutsideOfTheTrainingIsSaid(t *testing.T) {
	net, err := model.New("ffdnet", model.Options{Features: 4, Depth: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		metadata        map[string]string
		config          string
		levels          [2]float64
		inside, outside float64
		says            string
	}{
		{map[string]string{"model": "ffdnet", "noise_levels": "5-55"}, "", [2]float64{5, 55}, 55, 56, "ffdnet was trained for noise levels of 5 to 55, and 56 is outside"},
		{nil, `{"model":"ffdnet","degradation":"gaussian_jpeg","noise_sigma":2,"noise_sigma_max":40}`, [2]float64{2, 40}, 2, 1, "noise levels of 2 to 40, and 1 is outside"},
		{nil, `{"model":"ffdnet","degradation":"poisson_gaussian","sensor_gain":0,"read_noise":12}`, [2]float64{12, 12}, 12, 13, "trained for a noise level of 12, and 13"},
		{nil, "", [2]float64{0, 75}, 75, 76, "noise levels of 0 to 75"},
	} {
		path := saved(t, net, c.metadata)
		if c.config != "" {
			write(t, filepath.Dir(filepath.Dir(path)), "config.json", []byte(c.config))
		}
		r, err := Opening{Backend: engine(t)}.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.About.Outside(c.outside); r.About.Levels != c.levels || r.About.Outside(c.inside) != "" || !strings.Contains(got, c.says) {
			t.Errorf("%+v: levels %v; %v is %q, %v is %q", c, r.About.Levels, c.inside, r.About.Outside(c.inside), c.outside, got)
		}
	}
	if got := (About{}).Outside(25); got != "" {
		t.Errorf("nothing is known: %q", got)
	}
}

func TestBlueComesFirstWhereTheNetworkWantsIt(t *testing.T) {
	r := fresh(t, "dncnn")
	const side = 16
	image := make([]float32, 3*side*side)
	for i := range image {
		image[i] = float32(math.Sin(float64(i * i)))
	}
	turned := func(planes []float32) []float32 {
		n := side * side
		return slices.Concat(planes[2*n:], planes[n:2*n], planes[:n])
	}
	restored := func(r *Restorer, image []float32) []float32 {
		t.Helper()
		out, err := r.Planes(context.Background(), image, side, side, tiles(side, 0, 1))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	other := *r
	other.blueFirst = true
	if want := turned(restored(r, turned(image))); !slices.Equal(restored(&other, image), want) || slices.Equal(restored(r, image), want) {
		t.Error("the colours do not reach the network in their order")
	}
}
