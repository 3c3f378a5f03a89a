package dataset

import "rekindle/pkg/rgb"

// symmetry is one of the eight ways to lay a square on itself: bit 0 mirrors
// left and right, bit 1 top and bottom, bit 2 exchanges rows and columns first.
// 0 leaves it as it is.
type symmetry uint8

// cut writes the square of the given size at column x, row y of im to dst,
// turned, as planes in [-1,1].
func cut(im *rgb.Image, x, y, size int, turn symmetry, dst []float32) {
	// From one value of dst to the next along a row, and from row to row, how far to go in Pix.
	start, across, down := (y*im.W+x)*3, 3, im.W*3
	last := size - 1
	if turn&4 != 0 {
		across, down = down, across
	}
	if turn&1 != 0 {
		start += last * across
		across = -across
	}
	if turn&2 != 0 {
		start += last * down
		down = -down
	}
	n := size * size
	red, green, blue := dst[:n], dst[n:2*n], dst[2*n:3*n]
	for row := range size {
		at := start + row*down
		r, g, b := red[row*size:][:size], green[row*size:][:size], blue[row*size:][:size]
		for i := range r {
			pixel := im.Pix[at : at+3 : at+3]
			r[i] = rgb.Levels[pixel[0]]
			g[i] = rgb.Levels[pixel[1]]
			b[i] = rgb.Levels[pixel[2]]
			at += across
		}
	}
}
