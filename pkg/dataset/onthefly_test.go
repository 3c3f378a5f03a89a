package dataset

import (
	"math/rand/v2"
	"slices"
	"testing"

	"rekindle/pkg/rgb"
)

// TestOnTheFly: the same place and turn as from files, spoiled by chance that
// depends on seed, epoch and number alone.
func TestOnTheFly(t *testing.T) {
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(1, 2))
	im := rgb.New(40, 40)
	for i := range im.Pix {
		im.Pix[i] = uint8(r.IntN(256))
	}
	save(t, im, dir, "a.png")
	set, err := Open(dir, dir, 16, nil)
	if err != nil {
		t.Fatal(err)
	}
	invert := func(im *rgb.Image, r *rand.Rand) *rgb.Image { // and one value by chance
		out := rgb.New(im.W, im.H)
		for i, v := range im.Pix {
			out.Pix[i] = 255 - v
		}
		out.Pix[0] = uint8(r.IntN(256))
		return out
	}
	files := set.Train(16, 50, 7)
	fly := set.Train(16, 50, 7).OnTheFly(invert)
	patch := func(s *Sampler, epoch, index int) (degraded, clean []float32) {
		degraded, clean = make([]float32, 3*256), make([]float32, 3*256)
		s.Patch(epoch, index, degraded, clean)
		return degraded, clean
	}
	for index := range 50 {
		_, want := patch(files, 3, index)
		degraded, clean := patch(fly, 3, index)
		if !slices.Equal(clean, want) {
			t.Fatalf("patch %d: the clean one is another", index)
		}
		differ := 0
		for i := range clean {
			if d := degraded[i] + clean[i]; d > 1e-6 || d < -1e-6 {
				differ++
			}
		}
		if differ > 1 { // the value by chance
			t.Fatalf("patch %d: %d values are not the clean ones inverted, at the same place and turn", index, differ)
		}
		if again, _ := patch(fly, 3, index); !slices.Equal(again, degraded) {
			t.Fatalf("patch %d is another when asked for again", index)
		}
	}
	// Chance is new in each epoch and for each patch, and another with another seed.
	noise := func(im *rgb.Image, r *rand.Rand) *rgb.Image {
		out := rgb.New(im.W, im.H)
		for i := range out.Pix {
			out.Pix[i] = uint8(r.IntN(256))
		}
		return out
	}
	seen := map[float32]bool{}
	total := 0
	for _, s := range []*Sampler{set.Train(16, 50, 7).OnTheFly(noise), set.Train(16, 50, 8).OnTheFly(noise)} {
		for epoch := range 3 {
			for index := range 20 {
				d, _ := patch(s, epoch, index)
				var sum float32
				for i, v := range d {
					sum += v * float32(i%97)
				}
				seen[sum] = true
				total++
			}
		}
	}
	if len(seen) < total-2 {
		t.Errorf("%d different noises in %d patches", len(seen), total)
	}
}
