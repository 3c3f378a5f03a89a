package dataset

import (
	"context"
	"io"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/degrade"
	"rekindle/pkg/rgb"
)

// The size of the pictures of DIV2K.
const wide, high = 2040, 1356

// photographs makes n pairs with the detail and the noise of real use.
func photographs(b *testing.B, n int) (degraded, clean string) {
	b.Helper()
	dir := b.TempDir()
	degraded, clean = filepath.Join(dir, "degraded"), filepath.Join(dir, "clean")
	for i := range n {
		r := rand.New(rand.NewPCG(1, uint64(i)))
		im := deadleaves.Image(wide, high, r)
		name := string(rune('a'+i)) + ".png"
		save(b, im, clean, name)
		save(b, degrade.Gaussian{Sigma: 100}.Apply(im, r), degraded, name)
	}
	return degraded, clean
}

func reportPatches(b *testing.B, n int) {
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "patches/s")
	b.ReportMetric(0, "ns/op")
}

// Compare the two below: "decoding" is how the Python original gets a patch.

func BenchmarkPatches128(b *testing.B) {
	degraded, clean := photographs(b, 4)
	set, err := Open(degraded, clean, 128, nil)
	if err != nil {
		b.Fatal(err)
	}
	s := set.Train(128, 250, 1)
	b.Run("one core, from the cache", func(b *testing.B) {
		set, err := Look(degraded, clean, 128, nil)
		if err != nil {
			b.Fatal(err)
		}
		c, err := openCache(b.TempDir(), 1<<40)
		if err == nil {
			err = set.load(c, 0, nil)
		}
		if err != nil {
			b.Fatal(err)
		}
		s := set.Train(128, 250, 1)
		var d, c2 [3 * 128 * 128]float32
		i := 0
		for ; b.Loop(); i++ {
			s.Patch(i/s.Len(), i%s.Len(), d[:], c2[:])
		}
		reportPatches(b, i)
	})
	b.Run("batches", func(b *testing.B) {
		n := 0
		for epoch := 0; b.Loop(); epoch++ {
			n += readEpoch(b, s.Batches(context.Background(), epoch, 0, 16, 4))
		}
		reportPatches(b, n)
	})
	b.Run("one core", func(b *testing.B) {
		var d, c [3 * 128 * 128]float32
		i := 0
		for ; b.Loop(); i++ {
			s.Patch(i/s.Len(), i%s.Len(), d[:], c[:])
		}
		reportPatches(b, i)
	})
	b.Run("decoding both pictures for every patch", func(b *testing.B) {
		n := 0
		for b.Loop() {
			err := parallel(8, func(i int) error {
				var d, c [3 * 128 * 128]float32
				name := string(rune('a'+i%4)) + ".png"
				for path, dst := range map[string][]float32{filepath.Join(degraded, name): d[:], filepath.Join(clean, name): c[:]} {
					im, err := rgb.Load(path)
					if err != nil {
						return err
					}
					cut(im, 100, 100, 128, 0, dst)
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			n += 8
		}
		reportPatches(b, n)
	})
}

func readEpoch(b *testing.B, l *Loader) (n int) {
	defer l.Close()
	for {
		batch, err := l.Next()
		if err == io.EOF {
			return n
		}
		if err != nil {
			b.Fatal(err)
		}
		n += batch.N
		l.Recycle(batch)
	}
}
