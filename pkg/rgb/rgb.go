// Package rgb holds pictures as plain 8-bit RGB and moves them between files,
// Go's image package and the float planes that networks read.
//
// Use it wherever a picture is data. It reads what package picture reads, writes
// PNG, and rounds when it comes back from floats, so that a picture survives the round
// trip through a network's value range unchanged.
//
//	im, err := rgb.Load("photo.jpg")
//	planes := make([]float32, 3*im.W*im.H)
//	im.Planes(planes)                            // red, green, blue planes in [-1,1]
//	err = rgb.FromPlanes(planes, im.W, im.H).SavePNG("same.png")
package rgb

// Image is an 8-bit RGB picture of W columns and H rows. The three values of
// column x, row y begin at Pix[(y*W+x)*3]; rows run from the top.
type Image struct {
	W, H int
	Pix  []uint8
}

// New returns a black picture of w columns and h rows.
func New(w, h int) *Image {
	return &Image{W: w, H: h, Pix: make([]uint8, 3*w*h)}
}

// Crop copies the w by h rectangle whose upper left corner is column x, row y.
// The rectangle must lie inside the picture.
func (im *Image) Crop(x, y, w, h int) *Image {
	out := New(w, h)
	for row := range h {
		from := ((y+row)*im.W + x) * 3
		copy(out.Pix[row*w*3:(row+1)*w*3], im.Pix[from:from+w*3])
	}
	return out
}

// Levels maps an 8-bit value v to v/127.5-1, the value range of the networks:
// 0 becomes -1, 255 becomes 1.
var Levels = levels()

func levels() (t [256]float32) {
	for v := range t {
		t[v] = float32(float64(v)/127.5 - 1)
	}
	return t
}

// Planes writes the picture to dst as three planes (red, green, blue), each H
// rows of W values in [-1,1], see [Levels]. dst must have 3*H*W elements.
func (im *Image) Planes(dst []float32) {
	n := im.W * im.H
	red, green, blue := dst[:n], dst[n:2*n], dst[2*n:3*n]
	pix := im.Pix[:3*n]
	for i := range n {
		red[i] = Levels[pix[3*i]]
		green[i] = Levels[pix[3*i+1]]
		blue[i] = Levels[pix[3*i+2]]
	}
}

// FromPlanes makes a picture of w columns and h rows from three planes in
// [-1,1], as [Image.Planes] writes them. Values outside are clamped, values
// between two levels go to the nearer one, NaN becomes 0.
func FromPlanes(src []float32, w, h int) *Image {
	n := w * h
	im := New(w, h)
	for c := range 3 {
		for i, v := range src[c*n : (c+1)*n] {
			im.Pix[3*i+c] = Level(v)
		}
	}
	return im
}

// Level is the inverse of [Levels]: values outside of [-1,1] are clamped, those
// between two levels go to the nearer one, NaN becomes 0. Truncating instead of rounding would lose
// about half a level on average and a quarter of all levels on a round trip.
func Level(v float32) uint8 {
	x := (float64(v) + 1) * 127.5
	switch {
	case x >= 255:
		return 255
	case x > 0:
		return uint8(x + 0.5)
	}
	return 0
}
