package dataset

import (
	"math"
	"slices"
	"testing"

	"rekindle/pkg/rgb"
)

func patch(s *Sampler, epoch, index int) (degraded, clean []float32) {
	n := 3 * s.size * s.size
	degraded, clean = make([]float32, n), make([]float32, n)
	if _, err := s.Patch(epoch, index, degraded, clean); err != nil {
		panic(err)
	}
	return degraded, clean
}

func TestPermuteIsABijectionForEverySizeAndKey(t *testing.T) {
	for n := 1; n <= 300; n++ {
		for key := range uint64(4) {
			seen := make([]bool, n)
			for i := range n {
				p := permute(i, n, hash(key))
				if p < 0 || p >= n || seen[p] {
					t.Fatalf("n %d key %d: place %d goes to %d, which is outside or taken", n, key, i, p)
				}
				seen[p] = true
			}
		}
	}
}

// chiSquare compares counts with all-equal expectation, in standard deviations
// from the mean of the distribution.
func chiSquare(counts []int) float64 {
	total := 0
	for _, c := range counts {
		total += c
	}
	expected := float64(total) / float64(len(counts))
	var x float64
	for _, c := range counts {
		x += (float64(c) - expected) * (float64(c) - expected) / expected
	}
	freedom := float64(len(counts) - 1)
	return (x - freedom) / math.Sqrt(2*freedom)
}

func TestEveryPatchIsEquallyLikelyAtEveryPlaceOfTheOrder(t *testing.T) {
	for _, n := range []int{2, 3, 5, 16, 37} {
		counts := make([]int, n*n)
		for key := range uint64(400 * n) {
			for i := range n {
				counts[i*n+permute(i, n, hash(key))]++
			}
		}
		if z := chiSquare(counts); math.Abs(z) > 5 {
			t.Errorf("n %d: counts are %.1f standard deviations from uniform", n, z)
		}
	}
}

func TestNeighboursInTheOrderAreUnrelated(t *testing.T) {
	const n = 1000
	counts := make([]int, 20)
	for key := range uint64(20) {
		for i := range n - 1 {
			d := permute(i+1, n, hash(key)) - permute(i, n, hash(key))
			counts[(d+n)%n*20/n]++
		}
	}
	if z := chiSquare(counts); math.Abs(z) > 5 {
		t.Errorf("distances between neighbours are %.1f standard deviations from uniform", z)
	}
}

func TestAnEpochShowsEachPictureAsOftenAsAskedInMixedOrder(t *testing.T) {
	s := openSet(t, 5, 40, 30, 8).Train(8, 7, 1)
	if s.Len() != 35 {
		t.Fatalf("an epoch has %d patches, want 35", s.Len())
	}
	count := map[*photo]int{}
	var order []*photo
	for i := range s.Len() {
		c := s.choose(3, i)
		count[c.clean]++
		order = append(order, c.clean)
	}
	for _, n := range count {
		if n != 7 {
			t.Errorf("a picture is shown %d times, want 7", n)
		}
	}
	if len(count) != 5 {
		t.Errorf("%d pictures are shown, want 5", len(count))
	}
	changes := 0
	for i := 1; i < len(order); i++ {
		if order[i] != order[i-1] {
			changes++
		}
	}
	if changes < 15 { // sorted by picture there would be 4, at random about 28
		t.Errorf("the picture changes only %d times in an epoch", changes)
	}
}

func TestPatchesDependOnSeedEpochAndIndexAlone(t *testing.T) {
	set := openSet(t, 4, 40, 30, 8)
	a, b := set.Train(8, 5, 11), set.Train(8, 5, 11)
	for i := a.Len() - 1; i >= 0; i-- { // backwards: no state is carried along
		d1, c1 := patch(a, 2, i)
		d2, c2 := patch(b, 2, i)
		if !slices.Equal(d1, d2) || !slices.Equal(c1, c2) {
			t.Fatalf("patch %d differs between two samplers of one seed", i)
		}
	}
	differs := func(name string, x, y *Sampler, ex, ey int) {
		same := 0
		for i := range x.Len() {
			if x.choose(ex, i) == y.choose(ey, i) {
				same++
			}
		}
		if same > 2 {
			t.Errorf("%s: %d of %d patches are the same", name, same, x.Len())
		}
	}
	differs("another epoch", a, a, 2, 3)
	differs("another seed", a, set.Train(8, 5, 12), 2, 2)
}

func TestCropsReachEveryPlaceEquallyOften(t *testing.T) {
	s := openSet(t, 2, 12, 10, 8).Train(8, 500, 1)
	const wide, high = 12 - 8 + 1, 10 - 8 + 1
	counts := make([]int, wide*high*8)
	for epoch := range 12 {
		for i := range s.Len() {
			c := s.choose(epoch, i)
			if c.x < 0 || c.x >= wide || c.y < 0 || c.y >= high || c.turn > 7 {
				t.Fatalf("a patch is cut at (%d,%d) turned %d", c.x, c.y, c.turn)
			}
			counts[(c.y*wide+c.x)*8+int(c.turn)]++
		}
	}
	if z := chiSquare(counts); math.Abs(z) > 5 {
		t.Errorf("places and symmetries are %.1f standard deviations from uniform", z)
	}
}

func TestPatchesShowThePicturesRows(t *testing.T) {
	im := marked(20, 15, 77)
	got := make([]float32, 3*8*8)
	cut(im, 12, 7, 8, 0, got) // up to the last row and column
	for y := range 8 {
		for x := range 8 {
			for c, want := range []int{12 + x, 7 + y, 77} {
				if g := got[c*64+y*8+x]; g != rgb.Levels[want] {
					t.Fatalf("channel %d of (%d,%d) is %v, want %v", c, x, y, g, rgb.Levels[want])
				}
			}
		}
	}
}

func TestTheEightSymmetriesAreThoseOfTheSquare(t *testing.T) {
	im := marked(9, 9, 0)
	// Where the corners of the picture go, named in reading order.
	corners := []string{"abcd", "badc", "cdab", "dcba", "acbd", "cadb", "bdac", "dbca"}
	name := map[[2]int]string{{2, 1}: "a", {6, 1}: "b", {2, 5}: "c", {6, 5}: "d"}
	for turn, want := range corners {
		got := make([]float32, 3*5*5)
		cut(im, 2, 1, 5, symmetry(turn), got)
		seen := ""
		for _, at := range []int{0, 4, 20, 24} {
			x, y := int(math.Round(float64(got[at]+1)*127.5)), int(math.Round(float64(got[25+at]+1)*127.5))
			seen += name[[2]int{x, y}]
		}
		if seen != want {
			t.Errorf("symmetry %d shows corners %q, want %q", turn, seen, want)
		}
		values := slices.Sorted(slices.Values(got[:25]))
		if plain := slices.Sorted(slices.Values(cutPlain(im))); !slices.Equal(values, plain) {
			t.Errorf("symmetry %d loses or repeats pixels", turn)
		}
	}
}

func cutPlain(im *rgb.Image) []float32 {
	dst := make([]float32, 3*5*5)
	cut(im, 2, 1, 5, 0, dst)
	return dst[:25]
}

func TestDegradedAndCleanShareThePlaceAndTheSymmetry(t *testing.T) {
	set := openSet(t, 3, 40, 30, 8)
	for kind, s := range map[string]*Sampler{"training": set.Train(8, 20, 1), "validation": set.Validation(8, 20, 1)} {
		for i := range s.Len() {
			degraded, clean := patch(s, 0, i)
			if !slices.Equal(degraded[:128], clean[:128]) { // red and green tell the place
				t.Fatalf("%s patch %d: degraded and clean are cut differently", kind, i)
			}
			d, c := math.Round(float64(degraded[128]+1)*127.5), math.Round(float64(clean[128]+1)*127.5)
			if d != c+1 { // the marks of one pair
				t.Fatalf("%s patch %d: picture %v is paired with %v", kind, i, d, c)
			}
		}
	}
}

func TestUprightPatchesAreTheSameWithoutFlipsAndTurns(t *testing.T) {
	s := openSet(t, 3, 40, 30, 8).Train(8, 20, 1)
	up, turned := s.Upright(), 0
	for i := range s.Len() {
		want, got := s.choose(3, i), up.choose(3, i)
		if want.turn != 0 {
			turned++
		}
		want.turn = 0
		if got != want {
			t.Errorf("patch %d is %+v, want %+v", i, got, want)
		}
	}
	if turned < 40 {
		t.Errorf("only %d of 60 patches are turned otherwise", turned)
	}
}

func TestValidationPatchesAreUprightAndTheSameInEveryEpoch(t *testing.T) {
	set := openSet(t, 3, 40, 30, 8)
	s := set.Validation(8, 4, 5)
	places := map[[2]int]bool{}
	for i := range s.Len() {
		a, b := s.choose(0, i), s.choose(17, i)
		if a != b {
			t.Errorf("patch %d is another one in another epoch", i)
		}
		if a.turn != 0 {
			t.Errorf("patch %d is turned", i)
		}
		if a.clean != set.pairs[i/4].clean {
			t.Errorf("patch %d is not from picture %d", i, i/4)
		}
		places[[2]int{a.x, a.y}] = true
	}
	if len(places) < 10 {
		t.Errorf("12 patches come from only %d places", len(places))
	}
}

func TestAPicturesValidationPlacesDoNotDependOnItsNeighbours(t *testing.T) {
	few, many := openSet(t, 2, 40, 30, 8), openSet(t, 6, 40, 30, 8)
	a, b := few.Validation(8, 4, 5), many.Validation(8, 4, 5)
	for i := range a.Len() {
		if x, y := a.choose(0, i), b.choose(0, i); x.x != y.x || x.y != y.y {
			t.Errorf("patch %d moved when pictures were added", i)
		}
	}
}

func TestASamplerForLargerPatchesLeavesSmallPicturesOut(t *testing.T) {
	set := openSet(t, 2, 20, 20, 8)
	set.pairs = append(set.pairs, pair{stem: "big", degraded: held(marked(50, 50, 1)), clean: held(marked(50, 50, 0))})
	if n := set.Train(32, 3, 1).Len(); n != 3 {
		t.Errorf("%d patches, want the 3 of the only picture large enough", n)
	}
}
