package restore

import "rekindle/pkg/model"

// symmetries is how many ways there are to lay a rectangle on a rectangle:
// mirrored or not, turned by quarters (the dihedral group of the square).
const symmetries = 8

// view is how an image is shown to the network: turned in one of eight ways,
// then framed by its own reflection.
type view struct {
	h, w   int // of the image
	turn   int // bit 0 mirrors left and right, bit 1 top and bottom, bit 2 exchanges rows and columns first
	margin int // pixels of reflection on each side
}

// turned is the size of the image after turning.
func (v view) turned() (h, w int) {
	if v.turn&4 != 0 {
		return v.w, v.h
	}
	return v.h, v.w
}

// framed is the size of the view: with its margin, and never smaller than any
// network takes. What is missing for that is reflected at the lower and right
// borders.
func (v view) framed() (h, w int) {
	h, w = v.turned()
	return max(h+2*v.margin, model.MinSide), max(w+2*v.margin, model.MinSide)
}

// inside says whether a place of the view shows the image itself, and not a
// reflection of it.
func (v view) inside(y, x int) bool {
	h, w := v.turned()
	y, x = y-v.margin, x-v.margin
	return y >= 0 && y < h && x >= 0 && x < w
}

// source is the row and column of the image that a place of the view shows.
func (v view) source(y, x int) (row, column int) {
	h, w := v.turned()
	y, x = reflect(y-v.margin, h), reflect(x-v.margin, w)
	if v.turn&1 != 0 {
		x = w - 1 - x
	}
	if v.turn&2 != 0 {
		y = h - 1 - y
	}
	if v.turn&4 != 0 {
		return x, y
	}
	return y, x
}

// reflect folds i into 0..n-1 without repeating the edge.
func reflect(i, n int) int {
	if n == 1 {
		return 0
	}
	i = max(i, -i) % (2 * (n - 1))
	return min(i, 2*(n-1)-i)
}
