package degrade

import (
	"fmt"
	"math"
	"math/rand/v2"

	"rekindle/pkg/rgb"
)

// Blur is a convolution with a Gaussian of standard deviation Sigma pixels, cut
// off at four of them. Beyond its border the picture is mirrored.
type Blur struct {
	Sigma float64
}

func newBlur(s Settings) (Degradation, error) {
	if err := within("BlurSigma", s.BlurSigma, 0, 100); err != nil {
		return nil, err
	}
	return Blur{s.BlurSigma}, nil
}

// Name is "blur/sigma_2".
func (b Blur) Name() string { return "blur/sigma_" + number(b.Sigma) }

// Margin is the kernel's radius.
func (b Blur) Margin() (margin, grid int) { return b.radius(), 1 }

// Apply returns a blurred copy. Nothing is left to chance.
func (b Blur) Apply(im *rgb.Image, _ *rand.Rand) *rgb.Image {
	var across, down []tap
	for i, w := range b.weights() {
		at := i - b.radius()
		across, down = append(across, tap{at, 0, w}), append(down, tap{0, at, w})
	}
	return rounded(convolve(convolve(floats(im), im.W, im.H, across), im.W, im.H, down), im.W, im.H)
}

func (b Blur) radius() int { return int(math.Ceil(4 * b.Sigma)) }

// weights is the kernel in one direction; its sum is 1.
func (b Blur) weights() []float64 {
	radius := b.radius()
	w, sum := make([]float64, 2*radius+1), 0.0
	for i := range w {
		w[i] = 1
		if radius > 0 {
			w[i] = math.Exp(-math.Pow(float64(i-radius)/b.Sigma, 2) / 2)
		}
		sum += w[i]
	}
	for i := range w {
		w[i] /= sum
	}
	return w
}

// MotionBlur is the mean along a straight line of Length pixels through each
// pixel, at Angle degrees to the rows, counterclockwise: what a camera records
// that moves evenly while its shutter is open. Beyond its border the picture is
// mirrored.
type MotionBlur struct {
	Length int
	Angle  float64
}

func newMotionBlur(s Settings) (Degradation, error) {
	if s.MotionLength < 1 || s.MotionLength > 1000 {
		return nil, fmt.Errorf("degrade: MotionLength is %d; it must be 1 to 1000 pixels", s.MotionLength)
	}
	if err := within("MotionAngle", s.MotionAngle, -360, 360); err != nil {
		return nil, err
	}
	return MotionBlur{s.MotionLength, s.MotionAngle}, nil
}

// Name is "motion_blur/length_15", and the angle where it is not 0.
func (m MotionBlur) Name() string {
	name := fmt.Sprintf("motion_blur/length_%d", m.Length)
	if m.Angle != 0 {
		name += "_angle_" + number(m.Angle)
	}
	return name
}

// Margin is half the line, and the pixel that its end is shared with.
func (m MotionBlur) Margin() (margin, grid int) { return m.Length/2 + 1, 1 }

// Apply returns a blurred copy. Nothing is left to chance.
func (m MotionBlur) Apply(im *rgb.Image, _ *rand.Rand) *rgb.Image {
	return rounded(convolve(floats(im), im.W, im.H, m.taps()), im.W, im.H)
}

// taps are the line's points, eight for each pixel of its length, shared out to
// the four pixels around each by distance.
func (m MotionBlur) taps() []tap {
	points := 8 * m.Length
	sin, cos := math.Sincos(m.Angle * math.Pi / 180)
	weights := map[[2]int]float64{}
	for i := range points {
		along := (float64(i)+0.5)/8 - float64(m.Length)/2
		if m.Length == 1 {
			along = 0
		}
		x, y := along*cos, -along*sin
		left, top := math.Floor(x), math.Floor(y)
		fx, fy := x-left, y-top
		for _, c := range [4][3]float64{{0, 0, (1 - fx) * (1 - fy)}, {1, 0, fx * (1 - fy)}, {0, 1, (1 - fx) * fy}, {1, 1, fx * fy}} {
			if c[2] > 1e-12 {
				weights[[2]int{int(left + c[0]), int(top + c[1])}] += c[2] / float64(points)
			}
		}
	}
	var list []tap
	for y := -m.Length; y <= m.Length; y++ { // in a fixed order: sums of floats depend on it
		for x := -m.Length; x <= m.Length; x++ {
			if w := weights[[2]int{x, y}]; w > 0 {
				list = append(list, tap{x, y, w})
			}
		}
	}
	return list
}

// tap is one weight of a kernel: the value x columns right and y rows below.
type tap struct {
	x, y   int
	weight float64
}

// convolve sums shifted copies of an interleaved picture, mirrored at its border.
func convolve(pix []float64, w, h int, kernel []tap) []float64 {
	out := make([]float64, len(pix))
	columns := make([]int, w)
	for _, t := range kernel {
		for x := range columns {
			columns[x] = 3 * mirrored(x+t.x, w)
		}
		for y := range h {
			from, to := pix[mirrored(y+t.y, h)*3*w:][:3*w], out[y*3*w:][:3*w]
			for x, c := range columns {
				to[3*x] += t.weight * from[c]
				to[3*x+1] += t.weight * from[c+1]
				to[3*x+2] += t.weight * from[c+2]
			}
		}
	}
	return out
}

// mirrored maps any place to 0..n-1, the border pixels counted twice:
// c b a | a b c | c b a.
func mirrored(i, n int) int {
	i %= 2 * n
	if i < 0 {
		i += 2 * n
	}
	if i >= n {
		i = 2*n - 1 - i
	}
	return i
}

func floats(im *rgb.Image) []float64 {
	out := make([]float64, len(im.Pix))
	for i, v := range im.Pix {
		out[i] = float64(v)
	}
	return out
}

// rounded goes to the nearest levels.
func rounded(pix []float64, w, h int) *rgb.Image {
	out := rgb.New(w, h)
	for i, v := range pix {
		out.Pix[i] = nearest(v)
	}
	return out
}

// nearest rounds to a level; what is outside goes to 0 or 255.
func nearest(v float64) uint8 {
	switch {
	case v >= 255:
		return 255
	case v > 0:
		return uint8(v + 0.5)
	}
	return 0
}
