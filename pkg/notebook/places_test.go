package notebook

import (
	"testing"

	"rekindle/pkg/rgb"
)

// spoilt is a copy with a bright square whose upper left corner is at x, y.
func spoilt(im *rgb.Image, x, y, side int) *rgb.Image {
	out := im.Crop(0, 0, im.W, im.H)
	for row := y; row < y+side; row++ {
		for column := x; column < x+side; column++ {
			out.Pix[3*(row*im.W+column)] = 255
		}
	}
	return out
}

func TestThePlaceShownIsWhereTheErrorIs(t *testing.T) {
	clean := rgb.New(700, 400)
	for _, at := range [][2]int{{0, 0}, {320, 200}, {639, 339}, {0, 300}} {
		bad := spoilt(clean, at[0], at[1], 60)
		for what, f := range map[string]func(d, r, c *rgb.Image) (x, y, w, h int){"left": mostLeft, "gained": mostGained} {
			degraded, restored := bad, clean
			if what == "left" {
				degraded, restored = clean, bad
			}
			x, y, w, h := f(degraded, restored, clean)
			if w != placeSide || h != placeSide || x+w > clean.W || y+h > clean.H {
				t.Fatalf("most %s with the error at %v: got a place of %d x %d at %d, %d, which does not fit", what, at, w, h, x, y)
			}
			if at[0]+30 < x || at[0]+30 >= x+w || at[1]+30 < y || at[1]+30 >= y+h {
				t.Errorf("most %s with the error at %v: got the place at %d, %d, which does not show it", what, at, x, y)
			}
		}
	}
}

func TestNarrowPicturesHaveAPlaceToo(t *testing.T) {
	for _, size := range [][2]int{{161, 5}, {7, 400}, {19, 170}, {160, 160}, {3, 3}} {
		clean := rgb.New(size[0], size[1])
		x, y, w, h := mostLeft(nil, clean, clean)
		if x < 0 || y < 0 || w < 1 || h < 1 || x+w > clean.W || y+h > clean.H {
			t.Errorf("in %v: got %d x %d at %d, %d", size, w, h, x, y)
		}
		withPlace([]*rgb.Image{clean, clean, clean}, []string{"a", "b", "c"}, mostLeft)
	}
}
