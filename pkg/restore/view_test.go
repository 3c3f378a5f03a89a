package restore

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/rgb"
)

// plane is a small image whose values tell its pixels apart.
type plane [][]float32

func (p plane) mirrored() plane {
	var out plane
	for _, row := range p {
		row = slices.Clone(row)
		slices.Reverse(row)
		out = append(out, row)
	}
	return out
}

func (p plane) turnedOver() plane {
	out := slices.Clone(p)
	slices.Reverse(out)
	return out
}

func (p plane) transposed() plane {
	out := make(plane, len(p[0]))
	for i := range out {
		for _, row := range p {
			out[i] = append(out[i], row[i])
		}
	}
	return out
}

func (p plane) seen(v view) plane {
	h, w := v.framed()
	var out plane
	for y := range h {
		out = append(out, nil)
		for x := range w {
			sy, sx := v.source(y, x)
			out[y] = append(out[y], p[sy][sx])
		}
	}
	return out
}

func same(a, b plane) bool {
	return slices.EqualFunc(a, b, func(x, y []float32) bool { return slices.Equal(x, y) })
}

// large returns an image that needs no extension to be taken by a network.
func large(h, w int) plane {
	p := make(plane, h)
	for y := range p {
		for x := range w {
			p[y] = append(p[y], float32(100*y+x))
		}
	}
	return p
}

func TestTheEightViewsAreTheSymmetriesOfARectangle(t *testing.T) {
	p := large(17, 19)
	for turn := range symmetries {
		want := p
		if turn&4 != 0 {
			want = want.transposed()
		}
		if turn&1 != 0 {
			want = want.mirrored()
		}
		if turn&2 != 0 {
			want = want.turnedOver()
		}
		if got := p.seen(view{h: 17, w: 19, turn: turn}); !same(got, want) {
			t.Errorf("view %d is %v, want %v", turn, got, want)
		}
	}
}

func TestAViewIsFramedByReflection(t *testing.T) {
	small := plane{{1, 2, 3}, {4, 5, 6}}
	got := small.seen(view{h: 2, w: 3, margin: 1})
	if len(got) != 16 || len(got[0]) != 16 {
		t.Fatalf("the view is %dx%d, want the smallest that networks take, 16x16", len(got), len(got[0]))
	}
	for y, want := range [][]float32{{5, 4, 5, 6, 5, 4, 5}, {2, 1, 2, 3, 2, 1, 2}, {5, 4, 5, 6, 5, 4, 5}, {2, 1, 2, 3, 2, 1, 2}} {
		if !slices.Equal(got[y][:7], want) {
			t.Errorf("row %d begins with %v, want %v", y, got[y][:7], want)
		}
	}
	v := view{h: 20, w: 30, margin: 7, turn: 4}
	if h, w := v.framed(); h != 44 || w != 34 {
		t.Errorf("the view is %dx%d, want 44x34", h, w)
	}
	count := 0
	for y := range 44 {
		for x := range 34 {
			if v.inside(y, x) {
				count++
			}
		}
	}
	if count != 600 {
		t.Errorf("%d places show the image itself, want each of its 600 pixels once", count)
	}
}

// planesOf makes an image [3, h, w] of three planes.
func planesOf(p [3]plane) (image []float32, h, w int) {
	for _, c := range p {
		for _, row := range c {
			image = append(image, row...)
		}
	}
	return image, len(p[0]), len(p[0][0])
}

func colours(image []float32, h, w int) (p [3]plane) {
	for c := range p {
		for y := range h {
			p[c] = append(p[c], image[(c*h+y)*w:(c*h+y+1)*w])
		}
	}
	return p
}

func (p plane) each(fs ...func(plane) plane) plane {
	for _, f := range fs {
		p = f(p)
	}
	return p
}

// noisy is an image with noise, sides not alike.
func noisy(t *testing.T, w, h int) []float32 {
	t.Helper()
	out := make([]float32, 3*w*h)
	deadleaves.Image(w, h, rand.New(rand.NewPCG(1, 2))).Planes(out)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range out {
		out[i] = max(-1, min(1, out[i]+float32(0.5*r.NormFloat64())))
	}
	return out
}

func TestSelfEnsembleIsTheMeanOfEightRestorationsLaidBack(t *testing.T) {
	r, _ := trained(t)
	const h, w = 52, 41
	input := colours(noisy(t, w, h), h, w)
	o := Options{TileSize: 32, Overlap: 8, Margin: 4}
	want := make([]float64, 3*h*w)
	type step = func(plane) plane
	for _, way := range []struct{ there, back []step }{
		{nil, nil},
		{[]step{plane.mirrored}, []step{plane.mirrored}},
		{[]step{plane.turnedOver}, []step{plane.turnedOver}},
		{[]step{plane.mirrored, plane.turnedOver}, []step{plane.mirrored, plane.turnedOver}},
		{[]step{plane.transposed}, []step{plane.transposed}},
		{[]step{plane.transposed, plane.mirrored}, []step{plane.mirrored, plane.transposed}},
		{[]step{plane.transposed, plane.turnedOver}, []step{plane.turnedOver, plane.transposed}},
		{[]step{plane.transposed, plane.mirrored, plane.turnedOver}, []step{plane.turnedOver, plane.mirrored, plane.transposed}},
	} {
		var turned, back [3]plane
		for c := range turned {
			turned[c] = input[c].each(way.there...)
		}
		image, th, tw := planesOf(turned)
		out, err := r.Planes(context.Background(), image, th, tw, o)
		if err != nil {
			t.Fatal(err)
		}
		for c, p := range colours(out, th, tw) {
			back[c] = p.each(way.back...)
		}
		laid, _, _ := planesOf(back)
		for i, v := range laid {
			want[i] += float64(v) / 8
		}
	}
	o.SelfEnsemble = true
	image, _, _ := planesOf(input)
	got, err := r.Planes(context.Background(), image, h, w, o)
	if err != nil {
		t.Fatal(err)
	}
	if off := largestDifference(got, want); off > 1e-6 {
		t.Errorf("the result differs from the mean by up to %g, want rounding only", off)
	}
	o.SelfEnsemble = false
	plain, err := r.Planes(context.Background(), image, h, w, o)
	if err != nil {
		t.Fatal(err)
	}
	if off := largestDifference(plain, want); off < 1e-3 {
		t.Errorf("a single restoration differs from the mean by %g only: this test would not notice", off)
	}
}

func TestSelfEnsembleCommutesWithTurning(t *testing.T) {
	r, _ := trained(t)
	const h, w = 40, 56
	input := colours(noisy(t, w, h), h, w)
	for _, ensemble := range []bool{true, false} {
		o := Options{TileSize: 32, Overlap: 8, SelfEnsemble: ensemble}
		worst := 0.0
		for _, f := range []func(plane) plane{plane.mirrored, plane.turnedOver, plane.transposed} {
			restored := func(p [3]plane) [3]plane {
				image, h, w := planesOf(p)
				out, err := r.Planes(context.Background(), image, h, w, o)
				if err != nil {
					t.Fatal(err)
				}
				return colours(out, h, w)
			}
			turn := func(p [3]plane) [3]plane { return [3]plane{f(p[0]), f(p[1]), f(p[2])} }
			a, _, _ := planesOf(turn(restored(input)))
			b, _, _ := planesOf(restored(turn(input)))
			for i := range a {
				worst = math.Max(worst, math.Abs(float64(a[i]-b[i])))
			}
		}
		if ensemble && worst > 1e-6 {
			t.Errorf("turning before or after restoring differs by up to %g, want rounding only", worst)
		}
		if !ensemble && worst < 1e-3 {
			t.Errorf("without the ensemble the order matters by %g only: this test would not notice", worst)
		}
	}
}

// The network knows nothing of what lies beyond an image but zeros; a margin
// changes what it makes of the border, and hardly what lies far inside.
func TestAMarginChangesTheBorderOnly(t *testing.T) {
	r, _ := trained(t)
	const side = 200
	im := rgb.FromPlanes(noisy(t, side, side), side, side)
	differences := func(o Options) (border, middle float64) {
		plain, err := r.RGB(context.Background(), im, tiles(side, 0, 1))
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.RGB(context.Background(), im, o)
		if err != nil {
			t.Fatal(err)
		}
		for y := range side {
			for x := range side {
				d := math.Abs(float64(got.Pix[3*(y*side+x)]) - float64(plain.Pix[3*(y*side+x)]))
				if min(x, y, side-1-x, side-1-y) == 0 {
					border = max(border, d)
				} else if min(x, y, side-1-x, side-1-y) >= 96 {
					middle = max(middle, d)
				}
			}
		}
		return border, middle
	}
	border, middle := differences(Options{TileSize: side + 32, Margin: 16, BatchSize: 1})
	if border < 2 || middle > 1 {
		t.Errorf("values at the border change by up to %g, in the middle by %g; want a change at the border only", border, middle)
	}
}
