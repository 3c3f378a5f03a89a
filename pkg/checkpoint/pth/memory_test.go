package pth

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"rekindle/pkg/durable"
)

// network is a checkpoint of float32 tensors like a U-Net's with its optimizer:
// a third weights, two thirds moments. It holds size bytes of numbers.
func network(size int) *Dict {
	const tensors = 60
	root := NewDict()
	for _, part := range []string{"model_state_dict", "exp_avg", "exp_avg_sq"} {
		d := NewOrderedDict()
		for i := range tensors {
			data := make([]float32, size/(8*4*3*tensors)*8)
			for j := range data {
				data[j] = float32(i*j) * 1e-3
			}
			d.Set(fmt.Sprintf("layer%d.weight", i), FromFloat32(data, len(data)/8, 8))
		}
		root.Set(part, d)
	}
	return root
}

// overhead is what the structure of such a checkpoint may take besides its numbers.
const overhead = 2 << 20

func TestSavingAndLoadingMakeNoSecondCopyOfTheNumbers(t *testing.T) {
	const size = 48 << 20
	root := network(size)
	path := filepath.Join(t.TempDir(), "a.pth")
	var err error
	if spent := allocated(func() { err = Save(path, root) }); err != nil || spent > overhead {
		t.Errorf("saving %d bytes allocated %d, want at most %d (%v)", size, spent, overhead, err)
	}
	if spent := allocated(func() { _, err = Inspect(path) }); err != nil || spent > overhead {
		t.Errorf("listing %d bytes allocated %d, want at most %d (%v)", size, spent, overhead, err)
	}
	if spent := allocated(func() { err = load(path) }); err != nil || spent > size+overhead {
		t.Errorf("loading %d bytes allocated %d, want at most %d (%v)", size, spent, size+overhead, err)
	}
	f := must(t, path)
	if spent := allocated(func() { err = Save(filepath.Join(t.TempDir(), "b.pth"), f.Root) }); err != nil || spent > 180*pieceSize+overhead {
		t.Errorf("copying %d bytes from file to file allocated %d (%v)", size, spent, err)
	}
}

// load reads every tensor.
func load(path string) error {
	f, err := Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	walkTensors(f.Root, func(t *Tensor) {
		if _, e := t.Float32s(); e != nil {
			err = e
		}
	})
	return err
}

// benchmarkSize is a checkpoint of the default network: 31 million parameters
// and their two moments.
const benchmarkSize = 370 << 20

// BenchmarkSave compares Save with writing the same bytes just as durably and
// in pieces of the same size. On a busy machine single rounds differ by a factor
// of three: look at many.
func BenchmarkSave(b *testing.B) {
	root := network(benchmarkSize)
	var numbers []byte
	walkTensors(root, func(t *Tensor) { numbers = append(numbers, t.raw...) })
	dir := b.TempDir()
	takeTurns(b, "save", func() error { return Save(filepath.Join(dir, "a.pth"), root) }, func() error {
		f, err := durable.Create(filepath.Join(dir, "plain"))
		if err != nil {
			return err
		}
		defer f.Abort()
		for piece := range slices.Chunk(numbers, pieceSize) {
			if _, err := f.Write(piece); err != nil {
				return err
			}
		}
		return f.Commit()
	})
}

// BenchmarkLoad compares reading every tensor, checksums included, with reading
// as many bytes in one piece.
func BenchmarkLoad(b *testing.B) {
	path := filepath.Join(b.TempDir(), "a.pth")
	if err := Save(path, network(benchmarkSize)); err != nil {
		b.Fatal(err)
	}
	takeTurns(b, "load", func() error { return load(path) }, func() error {
		_, err := os.ReadFile(path)
		return err
	})
}

// BenchmarkInspect lists the same file without its tensors.
func BenchmarkInspect(b *testing.B) {
	path := filepath.Join(b.TempDir(), "a.pth")
	if err := Save(path, network(benchmarkSize)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Inspect(path); err != nil {
			b.Fatal(err)
		}
	}
}

// takeTurns times both, each of them first in every other round, and reports
// what one takes of the other's time and the memory that ours allocates.
func takeTurns(b *testing.B, name string, ours, plain func() error) {
	var times [2]time.Duration
	var spent uint64
	for round := 0; b.Loop(); round++ {
		for turn := range 2 {
			which := (round + turn) % 2
			f := [2]func() error{ours, plain}[which]
			var err error
			start := time.Now()
			used := allocated(func() { err = f() })
			times[which] += time.Since(start)
			if err != nil {
				b.Fatal(err)
			}
			if which == 0 {
				spent += used
			}
		}
	}
	b.ReportMetric(0, "ns/op") // of both together: nothing that anybody wants to know
	b.ReportMetric(times[0].Seconds()*1e3/float64(b.N), "ms/"+name)
	b.ReportMetric(times[1].Seconds()*1e3/float64(b.N), "ms/plain")
	b.ReportMetric(times[0].Seconds()/times[1].Seconds(), name+"/plain")
	b.ReportMetric(float64(spent)/float64(b.N)/(1<<20), "MiB-allocated/"+name)
}
