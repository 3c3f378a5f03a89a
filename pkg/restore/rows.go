package restore

import (
	"context"
	"fmt"
	"image"
	"math"

	"rekindle/pkg/backend"
	"rekindle/pkg/picture"
)

// Tiles say how a large picture is divided. The zero value is what measurements
// advise; other sizes change speed and memory, and the result by less than a grey
// level but for places near tiles' edges. Sides are rounded up to multiples of 16:
// the networks pool four times by two, so only such tiles see the same pools.
type Tiles struct {
	Size    int // side in pixels; 0: 512, and 256 for pictures wider than 8192
	Overlap int // that neighbours share; 0: 64
	Batch   int // computed at once; 0: 1
}

// grid is what poolings make of the plane: tiles that begin at its multiples see
// the same pixels pooled together.
const grid = 16

// ReceptiveMargin is how far from a tile's edge everything that the U-Nets see of a place
// lies inside the tile, in pixels (docs/models.md has the others): two 3x3 convolutions at each scale, down
// 2(1+2+4+8+16) and up 2(8+4+2+1), a neighbour in each interpolation, 16+8+4+2, and
// up to 15 where pools begin, together 137, rounded up to the grid.
const ReceptiveMargin = 144

func up(n int) int { return (n + grid - 1) / grid * grid }

// wide is from where on smaller tiles keep the memory below 1 GB: what is held of a
// picture is in proportion to its width and the height of a tile.
const wide = 8192

// options are these tiles for a picture of some width.
func (t Tiles) options(width int) Options {
	o := Options{TileSize: 512, Overlap: 64, BatchSize: 1, Margin: Margin}
	if width > wide {
		o.TileSize = 256
	}
	if t.Size > 0 {
		o.TileSize = up(t.Size)
		o.Overlap = min(o.Overlap, o.TileSize/4/grid*grid)
	}
	if t.Overlap > 0 {
		o.Overlap = up(t.Overlap)
	}
	if t.Batch > 0 {
		o.BatchSize = t.Batch
	}
	return o
}

// Image restores a picture. The result is of the same kind as far as that
// matters: grey stays grey, 16 bits stay 16 bits, alpha is kept as it is. Beside
// the two pictures it needs memory for one row of tiles, 40 bytes for each of its
// pixels or less, and for the network's own maps of one tile. Between tiles it
// looks whether ctx has ended, and returns ctx's error then.
func (r *Restorer) Image(ctx context.Context, im image.Image) (image.Image, error) {
	in := picture.Of(im)
	if in.W < 1 || in.H < 1 {
		return nil, fmt.Errorf("restore: the picture has no pixels (%dx%d)", in.W, in.H)
	}
	out, put := in.Image()
	y := 0
	write := func(rows []uint16) error {
		put(y, rows)
		y += len(rows) / (in.W * in.Channels())
		return nil
	}
	if err := r.Rows(ctx, in.Info, in.Read, write, Tiles{}, nil); err != nil {
		return nil, err
	}
	return out, nil
}

// Rows restores a picture that info describes row by row: read fills rows with
// the next ones, write takes the next restored ones, in the form of package
// picture. So a picture larger than memory can be restored: what is needed is in
// proportion to its width and the height of a tile. progress, which may be nil,
// is told after each batch how many pixels of the W*H are done.
//
// The picture is framed by its own reflection, so that borders come out as well
// as the middle. A grey picture goes through a network for colour as three equal
// colours, whose mean comes out; through one for grey pictures as it is, and a colour
// picture through that one colour by colour. What alpha a pixel has does not matter.
func (r *Restorer) Rows(ctx context.Context, info picture.Info, read, write func(rows []uint16) error, tiles Tiles, progress func(pixels int64)) error {
	o := tiles.options(info.W)
	w := &shelf{info: info, read: read}
	v := view{h: info.H, w: info.W, margin: o.Margin}
	// The frame ends at a multiple of 16 too, and no picture has a shape of its own:
	// each is compiled.
	t := tiling{planes: r.planes(info.Colours()), h: side(info.H+2*o.Margin, o.TileSize), w: side(info.W+2*o.Margin, o.TileSize), options: o}
	w.keep = max(0, info.H-1-(t.h-info.H-o.Margin))

	columns := make([]int, t.w) // of the picture, where the frame shows them
	for x := range columns {
		_, columns[x] = v.source(0, x)
	}
	colours, channels := info.Colours(), info.Channels()
	t.cut = func(dst []float32, y, x, h, tw int) {
		for i := range h {
			row, _ := v.source(y+i, 0)
			from := w.row(row)
			if from == nil {
				return
			}
			for c := range t.planes {
				to := dst[(c*h+i)*tw:][:tw]
				c := min(c, colours-1)
				for j := range to {
					to[j] = value(from[columns[x+j]*channels+c])
				}
			}
		}
	}
	line := info.W * channels
	t.emit = func(y, n int, rows []float32) {
		from, to := max(0, y-o.Margin), min(info.H, y+n-o.Margin)
		if from >= to || w.err != nil {
			return
		}
		out := make([]uint16, (to-from)*line)
		for row := from; row < to; row++ {
			source := w.row(row)
			if source == nil {
				return
			}
			line := out[(row-from)*line:][:line]
			plane := func(c int) []float32 { return rows[(c*n+row+o.Margin-y)*t.w+o.Margin:][:info.W] }
			red, green, blue := plane(0), plane(min(1, t.planes-1)), plane(t.planes-1)
			for x := range info.W {
				p := line[x*channels:][:channels]
				if info.Gray {
					p[0] = level((clip(red[x])+clip(green[x])+clip(blue[x]))/3, info.Deep)
				} else {
					p[0], p[1], p[2] = level(red[x], info.Deep), level(green[x], info.Deep), level(blue[x], info.Deep)
				}
				if info.Alpha {
					p[colours] = source[x*channels+colours]
				}
			}
		}
		if w.err = write(out); w.err == nil {
			w.done(to)
		}
	}
	ys, _ := starts(t.h, o.TileSize, o.Overlap)
	xs, _ := starts(t.w, o.TileSize, o.Overlap)
	done, all := 0, len(ys)*len(xs)
	t.batch = func(ctx context.Context, patches []float32, n, h, w0 int) ([]float32, error) {
		if w.err != nil {
			return nil, w.err
		}
		out, err := r.batch(ctx, &r.tiles, patches, n, h, w0)
		if done = min(all, done+n); err == nil && progress != nil {
			progress(int64(info.W) * int64(info.H) * int64(done) / int64(all))
		}
		return out, err
	}
	defer backend.LimitGarbage(r.engine)()
	if err := t.run(ctx); err != nil {
		return err
	}
	return w.err
}

// side is how long the frame of a picture is: a multiple of 16, and where it is
// less than a tile, of 64, so that few sizes are compiled.
func side(n, tile int) int {
	if n <= tile {
		return min(tile, (n+63)/64*64)
	}
	return up(n)
}

// shelf is the rows of a picture that are read and needed still.
type shelf struct {
	info  picture.Info
	read  func(rows []uint16) error
	keep  int // rows from here on are reflected below the picture: they stay
	first int
	rows  []uint16
	err   error
}

// chunk is how many rows are read at once.
const chunk = 16

// row returns a row, nil after an error.
func (w *shelf) row(y int) []uint16 {
	line := w.info.W * w.info.Channels()
	for w.err == nil && y >= w.first+len(w.rows)/line {
		at := len(w.rows)
		n := min(chunk, w.info.H-w.first-at/line)
		w.rows = append(w.rows, make([]uint16, n*line)...)
		w.err = w.read(w.rows[at:])
	}
	if w.err != nil {
		return nil
	}
	return w.rows[(y-w.first)*line:][:line]
}

// done says that no row above y is asked for any more, but to be reflected.
func (w *shelf) done(y int) {
	if n := min(y, w.keep) - w.first; n > 0 {
		w.rows = append(w.rows[:0], w.rows[n*w.info.W*w.info.Channels():]...)
		w.first += n
	}
}

// value is a sample in the networks' range: 0 becomes -1, 65535 becomes 1.
func value(v uint16) float32 { return float32(float64(v)/32767.5 - 1) }

func clip(v float32) float32 { return max(-1, min(1, v)) }

// level is the inverse of value, rounded to what a picture of 8 or 16 bits has.
func level(v float32, deep bool) uint16 {
	top := 255.0
	if deep {
		top = 65535
	}
	x := math.Min(math.Max((float64(v)+1)*top/2, 0), top)
	n := uint16(x + 0.5)
	if !deep {
		n *= 257
	}
	return n
}
