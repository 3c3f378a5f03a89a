package restore

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute"

	"rekindle/pkg/backend"
	"rekindle/pkg/internal/reference"
	"rekindle/pkg/model"
	"rekindle/pkg/nn"
	"rekindle/pkg/rgb"
)

func engine(t testing.TB) compute.Backend {
	t.Helper()
	e, err := backend.Open("go")
	if err != nil {
		t.Fatal(err)
	}
	return e.Backend
}

func network(t testing.TB, name string, features int) *model.Network {
	t.Helper()
	net, err := model.New(name, model.Options{Features: features, Bilinear: true})
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// identity is a residual network whose noise is zero: it returns its input.
func identity(t testing.TB) *Restorer {
	t.Helper()
	net := network(t, "unet_residual", 2)
	values := net.Init(1)
	for _, e := range net.Weights() {
		if strings.HasPrefix(e.Name, "outc.") {
			clear(values[e.Name])
		}
	}
	r, err := New(engine(t), net, values)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// trained is the network of the reference data, and the data.
func trained(t testing.TB) (*Restorer, map[string]reference.Tensor) {
	t.Helper()
	ref := reference.Load(t, "sliding_window.safetensors")
	net := network(t, "unet_residual", 4)
	values := map[string][]float32{}
	for _, e := range net.Entries() {
		if e.Role != nn.Counter {
			values[e.Name] = ref["model."+e.Name].Float32()
		}
	}
	r, err := New(engine(t), net, values)
	if err != nil {
		t.Fatal(err)
	}
	return r, ref
}

func largestDifference(got []float32, want []float64) float64 {
	worst := 0.0
	for i := range want {
		off := math.Abs(float64(got[i]) - want[i])
		if off > worst || math.IsNaN(off) {
			worst = off
		}
	}
	return worst
}

func TestABatchIsWhatTheNetworkSays(t *testing.T) {
	r, ref := trained(t)
	input := ref["input"].Float32()
	want := ref["whole_image_output_no_tiling"].Data
	out, err := r.Batch(context.Background(), append(input, input...), 2, 70, 90)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if off := largestDifference(out[i*len(want):], want); off > 1e-5 {
			t.Errorf("patch %d differs by %g, advised 1e-5", i, off)
		}
	}
}

func TestWeightsOfAnotherNetworkAreRefused(t *testing.T) {
	net := network(t, "unet", 2)
	for what, c := range map[string]struct {
		values map[string][]float32
		want   string
	}{
		"no weights":    {nil, "have no inc.double_conv.0.weight"},
		"other size":    {network(t, "unet", 4).Init(1), "Features 2"},
		"other network": {without(net.Init(1), "down4.maxpool_conv.1.double_conv.4.running_var"), "have no down4.maxpool_conv.1.double_conv.4.running_var"},
	} {
		if _, err := New(engine(t), net, c.values); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", what, err, c.want)
		}
	}
	more := net.Init(1)
	more["num_batches_tracked"] = []float32{3}
	if _, err := New(engine(t), net, more); err != nil {
		t.Errorf("weights that the network does not use: got %v, want no error", err)
	}
}

func without(values map[string][]float32, name string) map[string][]float32 {
	delete(values, name)
	return values
}

func TestWrongBatchesAreErrorsNotPanics(t *testing.T) {
	r := identity(t)
	for what, c := range map[string]struct {
		numbers, n, h, w int
		want             string
	}{
		"too few numbers": {5, 1, 16, 16, "5 numbers"},
		"no patches":      {0, 0, 16, 16, "at least one patch"},
		"too small":       {3 * 15 * 40, 1, 15, 40, "at least 16x16"},
	} {
		if _, err := r.Batch(context.Background(), make([]float32, c.numbers), c.n, c.h, c.w); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", what, err, c.want)
		}
	}
}

// throwing is an engine that panics when something is compiled, as GoMLX does.
type throwing struct{ compute.Backend }

func (throwing) Builder(string) compute.Builder { panic("no memory left") }

func TestWhatGoMLXThrowsBecomesAnError(t *testing.T) {
	net := network(t, "unet", 2)
	r, err := New(throwing{engine(t)}, net, net.Init(1))
	if err == nil {
		_, err = r.Batch(context.Background(), make([]float32, 3*16*16), 1, 16, 16)
	}
	if err == nil || !strings.Contains(err.Error(), "no memory left") {
		t.Errorf("got %v, want the engine's words", err)
	}
}

func TestAWeightThatIsNoNumberIsReported(t *testing.T) {
	net := network(t, "unet", 2)
	values := net.Init(1)
	values["outc.conv.bias"][0] = float32(math.NaN())
	r, err := New(engine(t), net, values)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.RGB(context.Background(), rgb.New(20, 20), Options{TileSize: 16}); err == nil || !strings.Contains(err.Error(), "not finite") {
		t.Errorf("got %v, want an error instead of a black picture", err)
	}
}

// A folder of small pictures has a shape for each: all must work, and not all
// may stay in memory.
func TestManyShapesDoNotPileUp(t *testing.T) {
	r := identity(t)
	for w := 16; w < 16+2*maxShapes+5; w++ {
		if _, err := r.Batch(context.Background(), make([]float32, 3*16*w), 1, 16, w); err != nil {
			t.Fatalf("shape number %d: %v", w-15, err)
		}
		if len(r.patches.shapes) > maxShapes {
			t.Fatalf("%d shapes are compiled, want at most %d", len(r.patches.shapes), maxShapes)
		}
	}
}

func TestCancellingStopsBetweenBatches(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	batches := 0
	tl := tiling{planes: 3, h: 64, w: 64, options: Options{TileSize: 16, BatchSize: 1}, emit: func(int, int, []float32) {}, cut: func([]float32, int, int, int, int) {}}
	tl.batch = func(ctx context.Context, patches []float32, n, h, w int) ([]float32, error) {
		batches++
		if batches == 3 {
			cancel()
		}
		return patches, ctx.Err()
	}
	if err := tl.run(ctx); !errors.Is(err, context.Canceled) || batches != 3 {
		t.Errorf("got %v after %d batches, want context.Canceled after 3", err, batches)
	}
	if _, err := identity(t).RGB(ctx, rgb.New(64, 64), tiles(32, 8, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}
