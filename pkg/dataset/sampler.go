package dataset

import (
	"fmt"
	"math/rand/v2"

	"rekindle/pkg/config"
	"rekindle/pkg/rgb"
)

// Sampler says which patches make up an epoch. It has no state: it may be used
// by several goroutines at once, and any patch of any epoch can be asked for in
// any order.
type Sampler struct {
	pairs    []pair
	size     int
	perImage int
	seed     uint64
	shuffled bool
	upright  bool
	levelled bool     // the levels of the degraded pictures are known
	err      error    // why there are no patches
	degrade  Degrader // nil: the degraded pictures are used
}

// Degrader spoils pictures; those of package degrade are meant.
type Degrader interface {
	// Apply returns a spoiled copy and draws all chance from r. It may be called
	// from several goroutines at once.
	Apply(im *rgb.Image, r *rand.Rand) *rgb.Image
	// Margin says how much around a part must be given to Apply along with it.
	Margin() (margin, grid int)
}

// valueDegrader is a [Degrader] to which each pixel goes by itself and which may
// spoil the values of a patch, planes in [-1,1], in place: without rounding and
// clipping them. It says whether it did, and with what level.
type valueDegrader interface {
	Spoil(planes []float32, r *rand.Rand) (level float64, done bool)
}

// leveller is a [Degrader] that can tell the level of noise with which Apply will
// work if it is given a generator in the state of r.
type leveller interface {
	Level(r *rand.Rand) float64
}

// What a choice is for, so that choices for different things are unrelated.
const (
	forOrder = iota + 1
	forTraining
	forValidation
	forDegrading
)

// Train returns the patches for training: patchesPerImage from each picture, of
// patchSize by patchSize pixels, in an order that mixes the pictures. Each patch
// is cut at a random place and shown in one of the eight symmetries of the
// square (flips and quarter turns), all equally likely, anew in each epoch.
func (s *Set) Train(patchSize, patchesPerImage int, seed int64) *Sampler {
	t := s.sampler(patchSize, patchesPerImage, seed)
	t.shuffled = true
	return t
}

// Training returns the patches that a configuration trains with: those of [Set.Train],
// upright and spoiled on the fly if it says so.
func (s *Set) Training(c config.Config) (*Sampler, error) {
	t := s.Train(c.PatchSize, c.PatchesPerImage, c.Seed)
	if !c.Augment {
		t = t.Upright()
	}
	if !c.DegradeOnTheFly {
		return t, nil
	}
	d, err := c.NewDegradation()
	if err != nil {
		return nil, err
	}
	return t.OnTheFly(d), nil
}

// Validation returns patches to measure progress with: fixed places, upright,
// the same in every epoch and every run, picture by picture. Places depend on
// the seed, the picture's stem and its size, not on other pictures.
func (s *Set) Validation(patchSize, patchesPerImage int, seed int64) *Sampler {
	return s.sampler(patchSize, patchesPerImage, seed)
}

func (s *Set) sampler(patchSize, patchesPerImage int, seed int64) *Sampler {
	t := &Sampler{size: patchSize, perImage: patchesPerImage, seed: uint64(seed), levelled: s.levelled}
	if patchSize < 1 || patchesPerImage < 1 {
		t.err = fmt.Errorf("dataset: %d patches an image of size %d: both must be at least 1", patchesPerImage, patchSize)
		return t
	}
	for _, p := range s.pairs {
		if min(p.clean.w, p.clean.h) >= patchSize {
			t.pairs = append(t.pairs, p)
		}
	}
	if len(t.pairs) == 0 {
		t.err = fmt.Errorf("dataset: %w of %d x %d", ErrTooSmall, patchSize, patchSize)
	}
	return t
}

// Upright returns a sampler of the same patches in the same order that shows all
// of them as they are, neither flipped nor turned.
func (s *Sampler) Upright() *Sampler {
	t := *s
	t.upright = true
	return &t
}

// OnTheFly returns a sampler of the same patches that spoils the clean ones
// itself instead of cutting them from the degraded pictures: anew in each epoch,
// from the seed, the epoch and the patch's number alone. The patch is spoiled
// before it is turned, together with what is around it as far as d reaches, so
// that its border is not taken for the border of a picture: without chance in d,
// the patches are those that would be cut from degraded pictures.
func (s *Sampler) OnTheFly(d Degrader) *Sampler {
	t := *s
	t.degrade = d
	return &t
}

// Len is the number of patches in an epoch. It is 0 if the sampler was asked
// for the impossible; [Loader.Next] then says why.
func (s *Sampler) Len() int { return len(s.pairs) * s.perImage }

// PatchSize is the side of a patch in pixels.
func (s *Sampler) PatchSize() int { return s.size }

// KnowsLevels says whether [Sampler.Patch] knows the level of the noise.
func (s *Sampler) KnowsLevels() bool {
	if s.degrade != nil {
		_, ok := s.degrade.(leveller)
		return ok
	}
	return s.levelled
}

// Patch writes patch index (0 to Len-1) of an epoch, degraded and clean with
// the same place and symmetry, as planes red, green, blue in [-1,1]. Both
// slices have 3*size*size elements. It returns the level of the patch's noise, a
// standard deviation in 8-bit levels, 0 where it has none or none is known. The
// error is one of reading a picture's file.
func (s *Sampler) Patch(epoch, index int, degraded, clean []float32) (level float64, err error) {
	c := s.choose(epoch, index)
	if s.degrade == nil {
		if err := s.copy(c.clean, c, clean); err != nil {
			return 0, err
		}
		return c.level, s.copy(c.degraded, c, degraded)
	}
	chance := stream(hash(forDegrading, s.seed, uint64(epoch), uint64(index)))
	source := rand.NewPCG(chance.next(), chance.next())
	part, x, y, err := s.around(c)
	if err != nil {
		return 0, err
	}
	cut(part, x, y, s.size, c.turn, clean)
	if d, ok := s.degrade.(valueDegrader); ok {
		copy(degraded, clean)
		if level, done := d.Spoil(degraded, rand.New(source)); done {
			return level, nil
		}
	}
	if d, ok := s.degrade.(leveller); ok {
		ahead := *source
		level = d.Level(rand.New(&ahead))
	}
	cut(s.degrade.Apply(part, rand.New(source)), x, y, s.size, c.turn, degraded)
	return level, nil
}

// copy writes the part of a picture that c chose.
func (s *Sampler) copy(p *photo, c choice, dst []float32) error {
	im, x, y, err := p.part(c.x, c.y, s.size, s.size)
	if err == nil {
		cut(im, x, y, s.size, c.turn, dst)
	}
	return err
}

// around copies the part of a clean picture that decides about a degraded patch.
// The patch begins at column x, row y of it.
func (s *Sampler) around(c choice) (part *rgb.Image, x, y int, err error) {
	margin, grid := s.degrade.Margin()
	left, right := widened(c.x, s.size, c.clean.w, margin, grid)
	top, bottom := widened(c.y, s.size, c.clean.h, margin, grid)
	im, x0, y0, err := c.clean.part(left, top, right-left, bottom-top)
	if err != nil {
		return nil, 0, 0, err
	}
	return im.Crop(x0, y0, right-left, bottom-top), c.x - left, c.y - top, nil
}

// widened adds a margin to the pixels from..from+size-1 of a row of n, and then
// what is missing to whole blocks of a grid.
func widened(from, size, n, margin, grid int) (begin, end int) {
	grid = max(grid, 1)
	begin = max(from-margin, 0) / grid * grid
	end = min((from+size+margin+grid-1)/grid*grid, n)
	return begin, end
}

// choice is where and how a patch is cut.
type choice struct {
	degraded, clean *photo
	level           float64 // of the noise of degraded
	x, y            int
	turn            symmetry
}

func (s *Sampler) choose(epoch, index int) choice {
	var chance stream
	if s.shuffled {
		index = permute(index, s.Len(), hash(forOrder, s.seed, uint64(epoch)))
		chance = stream(hash(forTraining, s.seed, uint64(epoch), uint64(index)))
	}
	p := &s.pairs[index/s.perImage]
	if !s.shuffled {
		chance = stream(hash(forValidation, s.seed, hashText(p.stem), uint64(index%s.perImage)))
	}
	c := choice{degraded: p.degraded, clean: p.clean, level: p.level}
	c.x = chance.below(p.clean.w - s.size + 1)
	c.y = chance.below(p.clean.h - s.size + 1)
	if s.shuffled && !s.upright {
		c.turn = symmetry(chance.below(8))
	}
	return c
}
