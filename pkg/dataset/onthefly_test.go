package dataset

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/degrade"
	"rekindle/pkg/rgb"
)

// usual are strengths at which each degradation can be seen.
var usual = degrade.Settings{
	NoiseSigma: 50, NoiseCorrelation: 1, SensorGain: 2, ReadNoise: 5, SaltPepperDensity: 0.1, SaltRatio: 0.5, QuantizationBits: 2, BlurSigma: 1.5,
	MotionLength: 8, MotionAngle: 30, JPEGQuality: 10, LightFactor: 10,
}

// degradations makes one of each kind.
func degradations(t testing.TB) map[string]degrade.Degradation {
	t.Helper()
	all := map[string]degrade.Degradation{}
	for _, name := range degrade.Names() {
		d, err := degrade.New(name, usual)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = d
	}
	return all
}

// drawn is a set of one picture and its degraded copy.
func drawn(w, h int, d degrade.Degradation) *Set {
	im := deadleaves.Image(w, h, rand.New(rand.NewPCG(1, 2)))
	return &Set{pairs: []pair{{stem: "a", clean: held(im), degraded: held(d.Apply(im, degrade.Source(1, "a")))}}}
}

// What chance has no part in is the same on the fly as from files, at every
// place, next to the picture's border too. The sides are no multiples of any block.
func TestWithoutChancePatchesOnTheFlyAreThoseOfFiles(t *testing.T) {
	all := degradations(t)
	for _, name := range []string{"quantization", "dithering/bayer", "blur", "motion_blur", "jpeg"} {
		s := drawn(75, 59, all[name]).Train(20, 100, 7)
		fly := s.OnTheFly(all[name])
		for index := range s.Len() {
			degraded, clean := patch(s, 3, index)
			d, c := patch(fly, 3, index)
			if !slices.Equal(c, clean) {
				t.Fatalf("%s: clean patch %d is another", name, index)
			}
			if !slices.Equal(d, degraded) {
				t.Errorf("%s: degraded patch %d (%+v) is not the one cut from the degraded picture", name, index, s.choose(3, index))
				break
			}
		}
	}
}

// An error that is diffused depends on where that began, at the upper left
// corner of what is degraded: a dark grey stays black there at first. In a patch
// the corner must have the mean of the rest, as inside of a picture.
func TestErrorDiffusionHasSettledWhereAPatchBegins(t *testing.T) {
	dark, r := rgb.New(200, 200), rand.New(rand.NewPCG(1, 2))
	for i := range dark.Pix {
		dark.Pix[i] = uint8(16 + r.IntN(9)) // 20 on average; the next level is 85
	}
	set := &Set{pairs: []pair{{stem: "a", clean: held(dark), degraded: held(dark)}}}
	fly := set.Train(16, 1000, 1).OnTheFly(degradations(t)["dithering/floyd_steinberg"])
	var corner, all, n float64
	for index := range fly.Len() {
		c := fly.choose(1, index)
		if min(c.x, c.y) < 16 {
			continue // the picture's own corner is near
		}
		n++
		part, x, y, err := fly.around(c)
		if err != nil {
			t.Fatal(err)
		}
		spoiled := fly.degrade.Apply(part, nil)
		for row := range 16 {
			for i := range 3 * 16 {
				v := float64(spoiled.Pix[((y+row)*spoiled.W+x)*3+i])
				all += v / (3 * 16 * 16)
				if row < 2 && i < 6 {
					corner += v / 12
				}
			}
		}
	}
	// A value has a deviation of 36, 12 of them in 700 patches a standard error of 0.4.
	if corner, all := corner/n, all/n; corner < 18 || corner > 22 || all < 19 || all > 21 {
		t.Errorf("20 is %.1f on average in the corners of %v patches and %.1f in all of them", corner, n, all)
	}
}

// upright is the same for a patch in all eight symmetries.
func upright(planes []float32, size int) string {
	im := rgb.FromPlanes(planes, size, size)
	least := ""
	for turn := range symmetry(8) {
		cut(im, 0, 0, size, turn, planes)
		if turned := string(rgb.FromPlanes(planes, size, size).Pix); least == "" || turned < least {
			least = turned
		}
	}
	return least
}

func TestChanceIsAnotherInEachEpochForEachPatchAndSeed(t *testing.T) {
	all := degradations(t)
	for _, name := range []string{"gaussian", "correlated_gaussian", "poisson_gaussian", "gaussian_jpeg", "salt_pepper", "dithering/random", "low_light"} {
		grey := rgb.New(40, 40)
		for i := range grey.Pix {
			grey.Pix[i] = 100
		}
		set := &Set{pairs: []pair{{stem: "a", clean: held(grey), degraded: held(grey)}}}
		seen := map[string]bool{}
		total := 0
		for seed := range int64(2) {
			s := set.Train(16, 20, seed).OnTheFly(all[name])
			for epoch := range 3 {
				for index := range s.Len() {
					d, _ := patch(s, epoch, index)
					if again, _ := patch(s, epoch, index); !slices.Equal(again, d) {
						t.Fatalf("%s: patch %d of epoch %d is another when asked for again", name, index, epoch)
					}
					seen[upright(d, 16)] = true
					total++
				}
			}
		}
		if len(seen) < total {
			t.Errorf("%s: %d different noises in %d patches", name, len(seen), total)
		}
	}
}

// Each patch has a level of its own, the same whenever it is asked for; a batch
// carries it; and it is that of the noise, clipped or not.
func TestABatchKnowsTheLevelOfEachPatch(t *testing.T) {
	grey := rgb.New(64, 64)
	for i := range grey.Pix {
		grey.Pix[i] = 128
	}
	set := &Set{pairs: []pair{{stem: "a", clean: held(grey), degraded: held(grey)}}}
	s := set.Train(32, 64, 5).OnTheFly(degrade.Gaussian{Sigma: 2, Max: 30, Unclipped: 0.5})
	seen, whole := map[float32]bool{}, 0
	l := s.Batches(context.Background(), 2, 0, 9, 3)
	defer l.Close()
	for at := 0; at < s.Len(); {
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		for i, level := range b.Levels[:b.N] {
			again, _ := s.Patch(2, at+i, make([]float32, 3*32*32), make([]float32, 3*32*32))
			squares, clipped := 0.0, true
			for k, v := range b.Degraded[i*3*32*32 : (i+1)*3*32*32] {
				d := float64(v-b.Clean[i*3*32*32+k]) * 127.5
				squares += d * d / (3 * 32 * 32)
				clipped = clipped && rgb.Levels[rgb.Level(v)] == v
			}
			if clipped {
				whole++
			}
			if std := math.Sqrt(squares); float32(again) != level || math.Abs(std/float64(level)-1) > 0.08 {
				t.Errorf("patch %d: level %.2f, then %.2f; its noise has %.2f", at+i, level, again, std)
			}
			seen[level] = true
		}
		at += b.N
		l.Recycle(b)
	}
	if len(seen) < s.Len() || whole < 16 || whole > 48 {
		t.Errorf("%d levels in %d patches, %d of them clipped and rounded", len(seen), s.Len(), whole)
	}
}

func TestASetIsToldTheLevelsOfItsCopies(t *testing.T) {
	im := rgb.New(20, 20)
	set := &Set{pairs: []pair{{stem: "a", clean: held(im), degraded: held(im)}, {stem: "b", clean: held(im), degraded: held(im)}}}
	planes := make([]float32, 3*16*16)
	if level, err := set.Validation(16, 1, 1).Patch(0, 0, planes, planes); err != nil || level != 0 {
		t.Errorf("a level of %v that nobody told", level)
	}
	set.KnowLevels(func(stem string) float64 { return map[string]float64{"a": 10, "b": 30}[stem] })
	for i, want := range []float64{10, 30} {
		if got, err := set.Validation(16, 1, 1).Patch(0, i, planes, planes); err != nil || got != want || set.Level(i) != want {
			t.Errorf("picture %d: levels %v and %v, want %v", i, got, set.Level(i), want)
		}
	}
}

func TestBatchesOnTheFlyDoNotDependOnWorkers(t *testing.T) {
	d := degradations(t)["gaussian"]
	s := drawn(64, 64, d).Train(16, 40, 5).OnTheFly(d)
	for _, workers := range []int{1, 4} {
		l := s.Batches(context.Background(), 2, 3, 8, workers)
		defer l.Close()
		for at := 3; at < s.Len(); {
			b, err := l.Next()
			if err != nil {
				t.Fatal(err)
			}
			for i := range b.N {
				want, _ := patch(s, 2, at+i)
				if !slices.Equal(b.Degraded[i*768:(i+1)*768], want) {
					t.Errorf("%d workers: patch %d is not the one asked for by itself", workers, at+i)
				}
			}
			at += b.N
			l.Recycle(b)
		}
	}
}

func TestOnlyWhatIsNeededIsDegraded(t *testing.T) {
	for _, c := range []struct{ from, size, n, margin, grid, begin, end int }{
		{10, 16, 100, 0, 1, 10, 26},
		{10, 16, 100, 0, 0, 10, 26},
		{10, 16, 100, 3, 1, 7, 29},
		{1, 16, 100, 3, 1, 0, 20},
		{83, 16, 100, 3, 1, 80, 100},
		{20, 16, 100, 0, 16, 16, 48},
		{16, 16, 100, 0, 16, 16, 32},
		{84, 16, 100, 0, 16, 80, 100},
		{40, 16, 100, 5, 8, 32, 64},
	} {
		if begin, end := widened(c.from, c.size, c.n, c.margin, c.grid); begin != c.begin || end != c.end {
			t.Errorf("%+v: got %d to %d", c, begin, end)
		}
	}
}

func BenchmarkOnTheFly128(b *testing.B) {
	all := degradations(b)
	set := drawn(600, 400, all["quantization"])
	for _, name := range degrade.Names() {
		b.Run(strings.ReplaceAll(name, "/", " "), func(b *testing.B) {
			s := set.Train(128, 500, 1).OnTheFly(all[name])
			n := 0
			for epoch := 0; b.Loop(); epoch++ {
				n += readEpoch(b, s.Batches(context.Background(), epoch, 0, 16, 4))
			}
			reportPatches(b, n)
		})
	}
}
