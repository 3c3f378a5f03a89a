package restore

import (
	"context"
	"errors"
	"image"
	"image/color"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/picture"
)

// kinds are pictures of all types, filled with noise.
func kinds(w, h int) []image.Image {
	bounds := image.Rect(3, 5, 3+w, 5+h) // not from 0: sub-images are not
	r := rand.New(rand.NewPCG(1, 1))
	all := []image.Image{image.NewGray(bounds), image.NewGray16(bounds), image.NewRGBA(bounds), image.NewNRGBA(bounds), image.NewNRGBA64(bounds), image.NewRGBA64(bounds)}
	for _, im := range all {
		for y := range h {
			for x := range w {
				c := color.NRGBA64{uint16(r.Uint32()), uint16(r.Uint32()), uint16(r.Uint32()), 0xFFFF}
				switch im.(type) {
				case *image.NRGBA, *image.NRGBA64:
					c.A = uint16(r.Uint32())
				}
				im.(interface{ Set(x, y int, c color.Color) }).Set(3+x, 5+y, c)
			}
		}
	}
	return all
}

func samples(t *testing.T, im image.Image) ([]uint16, picture.Info) {
	t.Helper()
	r := picture.Of(im)
	out := make([]uint16, r.W*r.H*r.Channels())
	if err := r.Read(out); err != nil {
		t.Fatal(err)
	}
	return out, r.Info
}

// Whatever the tiles, the identity must give back every pixel of every kind.
func TestAnIdentityNetworkReturnsEveryKindOfPicture(t *testing.T) {
	r := identity(t)
	for _, size := range [][2]int{{1, 1}, {7, 40}, {100, 33}, {70, 150}} {
		for _, im := range kinds(size[0], size[1]) {
			want, info := samples(t, im)
			for _, tiles := range []Tiles{{}, {Size: 64, Overlap: 16, Batch: 3}, {Size: 50, Overlap: 20}} {
				var got []uint16
				var last int64
				read := picture.Of(im).Read
				err := r.Rows(context.Background(), info, read, func(rows []uint16) error { got = append(got, rows...); return nil }, tiles, func(done int64) {
					if done < last {
						t.Errorf("%d pixels are done after %d", done, last)
					}
					last = done
				})
				if err != nil {
					t.Fatal(err)
				}
				if last != int64(info.W)*int64(info.H) {
					t.Errorf("%d pixels are done of %dx%d", last, info.W, info.H)
				}
				for i := range want {
					// 16 bits are more than float32 keeps of -1 to 1, by a level.
					if d := int(got[i]) - int(want[i]); d != 0 && (!info.Deep || max(d, -d) > 1) {
						t.Fatalf("%T of %v with %+v: sample %d is %d, want %d", im, size, tiles, i, got[i], want[i])
					}
				}
			}
			out, err := r.Image(context.Background(), im)
			if err != nil {
				t.Fatal(err)
			}
			if _, after := samples(t, out); after.W != info.W || after.H != info.H || after.Gray != info.Gray || after.Deep != info.Deep || after.Alpha != info.Alpha {
				t.Errorf("%T became %T", im, out)
			}
		}
	}
}

func TestGreyComesOutGreyAsTheMeanOfThreeColours(t *testing.T) {
	r, _ := trained(t)
	grey, colour := image.NewGray(image.Rect(0, 0, 40, 30)), image.NewRGBA(image.Rect(0, 0, 40, 30))
	for i := range grey.Pix {
		grey.Pix[i] = uint8(i * 7)
	}
	for y := range 30 {
		for x := range 40 {
			colour.Set(x, y, grey.At(x, y))
		}
	}
	one, err := r.Image(context.Background(), grey)
	if err != nil {
		t.Fatal(err)
	}
	three, err := r.Image(context.Background(), colour)
	if err != nil {
		t.Fatal(err)
	}
	changed := false
	for y := range 30 {
		for x := range 40 {
			c := three.(*image.RGBA).RGBAAt(x, y)
			mean := (float64(c.R) + float64(c.G) + float64(c.B)) / 3
			if got := float64(one.(*image.Gray).GrayAt(x, y).Y); got-mean > 1 || mean-got > 1 {
				t.Fatalf("at %d, %d it is %g, want about %g", x, y, got, mean)
			}
			changed = changed || one.(*image.Gray).GrayAt(x, y) != grey.GrayAt(x, y)
		}
	}
	if !changed {
		t.Error("nothing was restored: this test would not notice")
	}
}

func TestARestorerServesManyAtOnce(t *testing.T) {
	r, _ := trained(t)
	im := deadleaves.Image(80, 60, rand.New(rand.NewPCG(1, 1))).ToImage()
	alone, err := r.Image(context.Background(), im)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := samples(t, alone)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			got, err := r.Image(context.Background(), im)
			if err != nil {
				t.Error(err)
				return
			}
			if got, _ := samples(t, got); !slices.Equal(got, want) {
				t.Error("beside others it is restored as something else")
			}
		})
	}
	wait.Wait()
}

func TestWhatFailsWhileRowsAreReadOrWrittenIsReturned(t *testing.T) {
	r := identity(t)
	broken := errors.New("broken")
	info := picture.Info{W: 40, H: 300}
	fine := func([]uint16) error { return nil }
	calls := 0
	later := func([]uint16) error {
		if calls++; calls > 3 {
			return broken
		}
		return nil
	}
	if err := r.Rows(context.Background(), info, later, fine, Tiles{Size: 64}, nil); !errors.Is(err, broken) {
		t.Errorf("reading: %v, want the reader's error", err)
	}
	if err := r.Rows(context.Background(), info, fine, func([]uint16) error { return broken }, Tiles{Size: 64}, nil); !errors.Is(err, broken) {
		t.Errorf("writing: %v, want the writer's error", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.Rows(ctx, info, fine, fine, Tiles{Size: 64}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v, want context.Canceled", err)
	}
}

// The rows of a picture that are held are those of two tiles at most.
func TestRowsAreReadWhenTheyAreNeeded(t *testing.T) {
	r := identity(t)
	const w, h, tile = 16, 1200, 64
	read, written, most := 0, 0, 0
	err := r.Rows(context.Background(), picture.Info{W: w, H: h, Gray: true}, func(rows []uint16) error {
		read += len(rows) / w
		most = max(most, read-written)
		return nil
	}, func(rows []uint16) error {
		written += len(rows) / w
		return nil
	}, Tiles{Size: tile}, nil)
	if err != nil || read != h || written != h {
		t.Fatalf("%d rows read, %d written of %d (%v)", read, written, h, err)
	}
	if most > 2*tile {
		t.Errorf("%d rows were held at once, want at most those of two tiles of %d", most, tile)
	}
}

// Away from the edges of tiles the result does not depend on their size. ReceptiveMargin is
// how far that is.
func TestTilesOfAnySizeGiveTheSame(t *testing.T) {
	r, _ := trained(t)
	const w, h = 416, 32 // and 16 of a frame on each side: two tiles of 304 from 0 and 144 on, or one of 448
	im := image.NewRGBA64(image.Rect(0, 0, w, h))
	noise := rand.New(rand.NewPCG(1, 1))
	for i := range im.Pix {
		if im.Pix[i] = uint8(noise.Uint32()); i%8 >= 6 {
			im.Pix[i] = 0xFF
		}
	}
	restored := func(size int) (out []uint16) {
		in := picture.Of(im)
		write := func(rows []uint16) error { out = append(out, rows...); return nil }
		if err := r.Rows(context.Background(), in.Info, in.Read, write, Tiles{Size: size}, nil); err != nil {
			t.Fatal(err)
		}
		return out
	}
	worst := func() (away, near int) {
		one, two := restored(448), restored(304)
		for i := range one {
			d := int(one[i]) - int(two[i])
			if x := i/3%w + Margin; x < 304-ReceptiveMargin && x < 144 || x >= 144+ReceptiveMargin && x >= 304 {
				away = max(away, d, -d)
			} else {
				near = max(near, d, -d)
			}
		}
		return away, near
	}
	if away, near := worst(); away > 3 || near == 0 {
		t.Errorf("away from tiles' edges values of 16 bits differ by %d, want rounding only; near them by %d, want something", away, near)
	}
	// As trained, what a place is depends on where its tile begins.
	r.tiles.tiled = false
	if err := r.reset(&r.tiles); err != nil {
		t.Fatal(err)
	}
	if away, _ := worst(); away < 257 {
		t.Errorf("with maps stretched as in training the difference is %d: this test would not notice", away)
	}
}
