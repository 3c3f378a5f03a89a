package restore

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"rekindle/pkg/rgb"
)

// tiles are options without margin or self-ensemble.
func tiles(size, overlap, batch int) Options {
	return Options{TileSize: size, Overlap: overlap, BatchSize: batch}
}

// advised by the reference data's README where weights are not tiny.
const advised = 1e-5

// referenceWeights are what the tiles' unnormalised windows add up to.
func referenceWeights() []float64 {
	weights := make([]float64, 70*90)
	tile := window(32)
	ys, _ := starts(70, 32, 8)
	xs, _ := starts(90, 32, 8)
	for _, y := range ys {
		for _, x := range xs {
			for i := range 32 * 32 {
				weights[(y+i/32)*90+x+i%32] += tile[i/32] * tile[i%32]
			}
		}
	}
	return weights
}

func TestTilesAndWindowAreTheReferences(t *testing.T) {
	_, ref := trained(t)
	ys, _ := starts(70, 32, 8)
	xs, _ := starts(90, 32, 8)
	coords := ref["coords_yx"].Data
	if len(coords) != 2*len(ys)*len(xs) {
		t.Fatalf("there are %dx%d tiles, the reference has %d", len(ys), len(xs), len(coords)/2)
	}
	for i := range len(coords) / 2 {
		if y, x := ys[i/len(xs)], xs[i%len(xs)]; float64(y) != coords[2*i] || float64(x) != coords[2*i+1] {
			t.Errorf("tile %d is at row %d, column %d; want %v", i, y, x, coords[2*i:2*i+2])
		}
	}
	one := window(32)
	for i, want := range ref["better_window_hann_symmetric_nonzero"].Data {
		// PyTorch computes its window in float32.
		if got := one[i/32] * one[i%32]; math.Abs(got-want) > 3e-7 {
			t.Errorf("the window at row %d, column %d is %g, want %g", i/32, i%32, got, want)
		}
	}
}

func TestTilesBlendAsInTheReference(t *testing.T) {
	r, ref := trained(t)
	weights := referenceWeights()
	want := ref["better_output"].Data
	for _, batch := range []int{0, 1, 5, 12, 100} {
		out, err := r.Planes(context.Background(), ref["input"].Float32(), 70, 90, tiles(32, 8, batch))
		if err != nil {
			t.Fatal(err)
		}
		// The reference divides by the weight + 1e-8, which shows where weights
		// are tiny; here they add up exactly.
		worst := 0.0
		for i := range want {
			w := weights[i%(70*90)]
			worst = math.Max(worst, math.Abs(want[i]-float64(out[i])*w/(w+1e-8)))
		}
		if worst > advised {
			t.Errorf("in batches of %d the result differs by up to %g, advised %g", batch, worst, advised)
		}
	}
}

// The original's window is zero in its first row and column: a blend that keeps
// those zeros must not pass the comparison above.
func TestTheReferenceTellsWindowsApart(t *testing.T) {
	_, ref := trained(t)
	if off := largestDifference(ref["output"].Float32(), ref["better_output"].Data); off < 100*advised {
		t.Errorf("the original's blend differs by only %g", off)
	}
}

func random(w, h int) *rgb.Image {
	r := rand.New(rand.NewPCG(uint64(w), uint64(h)))
	im := rgb.New(w, h)
	for i := range im.Pix {
		im.Pix[i] = uint8(r.IntN(256))
	}
	return im
}

func TestAnIdentityNetworkReturnsThePictureAtAnySize(t *testing.T) {
	r := identity(t)
	framed, turned := tiles(32, 8, 3), tiles(32, 8, 3)
	framed.Margin, turned.SelfEnsemble = 16, true
	both := framed
	both.SelfEnsemble = true
	for _, c := range []struct {
		w, h int
		o    Options
	}{
		{70, 91, framed}, {5, 7, framed}, {1, 2, framed}, {70, 45, turned}, {5, 33, turned}, {33, 40, both},
		{64, 64, tiles(32, 8, 3)}, {70, 91, tiles(32, 8, 3)}, {33, 100, tiles(32, 0, 4)}, {91, 33, tiles(32, 31, 8)}, {100, 16, tiles(16, 15, 8)},
		{65, 129, tiles(64, 16, 0)}, {50, 40, tiles(33, 7, 2)}, // a tile of odd size
		{32, 16, tiles(32, 8, 3)}, {20, 20, tiles(32, 8, 3)}, // a picture smaller than a tile
		{15, 40, tiles(32, 8, 1)}, {40, 15, tiles(16, 0, 1)}, {1, 1, tiles(32, 8, 1)}, {3, 50, tiles(32, 8, 2)}, {2, 7, tiles(16, 8, 2)}, // smaller than any network takes
	} {
		im := random(c.w, c.h)
		out, err := r.RGB(context.Background(), im, c.o)
		if err != nil {
			t.Fatalf("%dx%d with %+v: %v", c.w, c.h, c.o, err)
		}
		if out.W != im.W || out.H != im.H {
			t.Fatalf("%dx%d with %+v: the result is %dx%d", c.w, c.h, c.o, out.W, out.H)
		}
		for i := range im.Pix {
			if im.Pix[i] != out.Pix[i] {
				t.Fatalf("%dx%d with %+v: value %d is %d, want %d", c.w, c.h, c.o, i, out.Pix[i], im.Pix[i])
			}
		}
	}
}

// Beyond 8 bits: nothing but float32's rounding may show, at borders neither.
func TestBlendingAddsNothingButRounding(t *testing.T) {
	r := identity(t)
	h, w := 70, 90
	image := make([]float32, 3*h*w)
	for i := range image {
		image[i] = 0.8
	}
	out, err := r.Planes(context.Background(), image, h, w, tiles(32, 8, 12))
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range out {
		if math.Abs(float64(v)-float64(float32(0.8))) > 3e-7 {
			t.Fatalf("a constant image has %v at row %d, column %d; want 0.8", v, i/w%h, i%w)
		}
	}
}

func TestPicturesAndPlanesAreRestoredAlike(t *testing.T) {
	r, _ := trained(t)
	for _, size := range [][2]int{{70, 45}, {9, 20}} {
		im := random(size[0], size[1])
		planes := make([]float32, 3*im.W*im.H)
		im.Planes(planes)
		o := Options{TileSize: 32, Overlap: 8, Margin: 10, SelfEnsemble: size[0] == 9}
		out, err := r.Planes(context.Background(), planes, im.H, im.W, o)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.RGB(context.Background(), im, o)
		if err != nil {
			t.Fatal(err)
		}
		want := rgb.FromPlanes(out, im.W, im.H)
		for i := range want.Pix {
			if got.Pix[i] != want.Pix[i] {
				t.Fatalf("%v: value %d is %d, want %d", size, i, got.Pix[i], want.Pix[i])
			}
		}
	}
}

func TestWrongOptionsAndPicturesAreRefused(t *testing.T) {
	r := identity(t)
	for want, o := range map[string]Options{
		"Overlap is 32": tiles(32, 32, 1), "Overlap is 40": tiles(32, 40, 1), "Overlap is -1": tiles(32, -1, 1), "TileSize is 8": tiles(8, 2, 1), "TileSize is 0": {}, "BatchSize is -1": tiles(32, 8, -1), "Margin is -1": {TileSize: 32, Margin: -1},
	} {
		for _, side := range []int{50, 4} {
			if _, err := r.RGB(context.Background(), rgb.New(side, side), o); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v on a picture of %d: got %v, want %q", o, side, err, want)
			}
		}
	}
	if _, err := r.RGB(context.Background(), rgb.New(0, 5), tiles(32, 8, 1)); err == nil {
		t.Error("a picture without pixels: got no error")
	}
	if _, err := r.Planes(context.Background(), make([]float32, 7), 1, 1, tiles(32, 8, 1)); err == nil {
		t.Error("7 numbers for one pixel: got no error")
	}
}

// A graph is compiled for each number of tiles in a batch: all batches of a
// picture have one, and a picture of few tiles computes no more than those.
func TestBatchesOfAPictureHaveOneSize(t *testing.T) {
	for _, c := range []struct{ h, w, batch, size, count int }{
		{16, 16, 8, 1, 1}, {16, 32, 8, 2, 1}, {48, 48, 8, 8, 2}, {48, 48, 4, 4, 3}, {32, 32, 0, 4, 1},
	} {
		count := 0
		tl := tiling{planes: 3, h: c.h, w: c.w, options: tiles(16, 0, c.batch), emit: func(int, int, []float32) {}, cut: func([]float32, int, int, int, int) {}}
		tl.batch = func(_ context.Context, patches []float32, n, h, w int) ([]float32, error) {
			if n != c.size || len(patches) != n*3*h*w {
				t.Errorf("%+v: a batch has %d tiles in %d numbers, want %d tiles", c, n, len(patches), c.size)
			}
			count++
			return patches, nil
		}
		if err := tl.run(context.Background()); err != nil || count != c.count {
			t.Errorf("%+v: %d batches (%v), want %d", c, count, err, c.count)
		}
	}
}

func TestMemoryDoesNotGrowWithTheHeightOfAPicture(t *testing.T) {
	const w, tile = 64, 64
	held := func(h int) (most uint64) {
		var rows int
		tl := tiling{planes: 3, h: h, w: w, options: tiles(tile, 16, 4), cut: func([]float32, int, int, int, int) {}}
		tl.batch = func(_ context.Context, patches []float32, n, h, w int) ([]float32, error) {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
			return patches, nil
		}
		tl.emit = func(y, n int, _ []float32) {
			if y != rows {
				t.Fatalf("rows come from %d on, want %d", y, rows)
			}
			rows += n
		}
		runtime.GC()
		var before runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := tl.run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if rows != h {
			t.Fatalf("%d rows came out of %d", rows, h)
		}
		return most - min(most, before.HeapAlloc)
	}
	held(256)
	low, high := held(256), held(16*256)
	whole := uint64(3 * w * 16 * 256 * 4)
	if high > low+whole/8 {
		t.Errorf("a picture 16 times as high holds %d bytes instead of %d; all its rows would be %d", high, low, whole)
	}
}

func BenchmarkImage(b *testing.B) {
	net := network(b, "unet", 16)
	r, err := New(engine(b), net, net.Init(1))
	if err != nil {
		b.Fatal(err)
	}
	im := random(512, 384)
	for _, batch := range []int{1, 4, 16} {
		b.Run(fmt.Sprintf("batch%d", batch), func(b *testing.B) {
			for b.Loop() {
				if _, err := r.RGB(context.Background(), im, tiles(128, 32, batch)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
