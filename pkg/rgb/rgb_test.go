package rgb

import (
	"math"
	"slices"
	"testing"
)

// ramp is a picture in which every value tells where it stands.
func ramp(w, h int) *Image {
	im := New(w, h)
	for i := range im.Pix {
		im.Pix[i] = uint8(i * 7)
	}
	return im
}

func TestAllLevelsSurviveTheRoundTripThroughPlanes(t *testing.T) {
	im := New(16, 16)
	for i := range 256 {
		im.Pix[3*i], im.Pix[3*i+1], im.Pix[3*i+2] = uint8(i), uint8(255-i), uint8(i*31)
	}
	planes := make([]float32, 3*256)
	im.Planes(planes)
	if got := FromPlanes(planes, 16, 16); !slices.Equal(got.Pix, im.Pix) {
		t.Error("a picture changed on its way through planes and back")
	}
}

func TestPlanesAreRedGreenBlueRowsFromTheTop(t *testing.T) {
	im := &Image{W: 2, H: 1, Pix: []uint8{0, 255, 51, 102, 153, 204}}
	got := make([]float32, 6)
	im.Planes(got)
	want := []float32{-1, -0.2, 1, 0.2, -0.6, 0.6}
	for i := range want {
		if math.Abs(float64(got[i]-want[i])) > 1e-6 {
			t.Fatalf("planes are %v, want %v", got, want)
		}
	}
	if got[0] != -1 || got[2] != 1 {
		t.Errorf("black and full are %v and %v, want -1 and 1 exactly", got[0], got[2])
	}
}

func TestFromPlanesRoundsToTheNearestLevelAndClamps(t *testing.T) {
	at := func(level float64) float32 { return float32(level/127.5 - 1) }
	for _, c := range []struct {
		in   float32
		want uint8
	}{
		{at(100.4), 100}, {at(100.6), 101}, {at(0.4), 0}, {at(0.6), 1}, {at(254.6), 255},
		{-7, 0}, {7, 255}, {float32(math.Inf(-1)), 0}, {float32(math.Inf(1)), 255}, {float32(math.NaN()), 0},
	} {
		if got := FromPlanes([]float32{c.in, -1, -1}, 1, 1).Pix[0]; got != c.want {
			t.Errorf("value %v became %d, want %d", c.in, got, c.want)
		}
	}
}

func TestCropTakesTheRectangleUpToTheLastRowAndColumn(t *testing.T) {
	im := ramp(7, 5)
	got := im.Crop(4, 3, 3, 2)
	if got.W != 3 || got.H != 2 {
		t.Fatalf("crop is %d x %d, want 3 x 2", got.W, got.H)
	}
	for y := range 2 {
		for x := range 3 {
			for c := range 3 {
				g, w := got.Pix[(y*3+x)*3+c], im.Pix[((3+y)*7+4+x)*3+c]
				if g != w {
					t.Errorf("pixel (%d,%d) channel %d is %d, want %d", x, y, c, g, w)
				}
			}
		}
	}
	got.Pix[0]++
	if im.Pix[(3*7+4)*3] == got.Pix[0] {
		t.Error("writing to the crop changed the picture")
	}
}
