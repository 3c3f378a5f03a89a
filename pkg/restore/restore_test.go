package restore

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
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

// identity is a residual network whose noise is zero: it returns its input.
func identity(t testing.TB) *Restorer {
	t.Helper()
	net, err := model.New("unet_residual", model.Options{Features: 2, Bilinear: true})
	if err != nil {
		t.Fatal(err)
	}
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

func TestTilesBlendAsInTheReference(t *testing.T) {
	ref := reference.Load(t, "sliding_window.safetensors")
	net, err := model.New("unet_residual", model.Options{Features: 4, Bilinear: true})
	if err != nil {
		t.Fatal(err)
	}
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
	weights := make([]float64, 70*90)
	tile := window(32)
	for _, y := range starts(70, 32, 8) {
		for _, x := range starts(90, 32, 8) {
			for i := range 32 * 32 {
				weights[(y+i/32)*90+x+i%32] += float64(tile[i/32]) * float64(tile[i%32])
			}
		}
	}
	for _, batch := range []int{1, 5, 12} {
		out, err := r.Planes(context.Background(), ref["input"].Float32(), 70, 90, Options{32, 8, batch})
		if err != nil {
			t.Fatal(err)
		}
		want := ref["better_output"].Data
		// The reference divides by weight + 1e-8, which shows where the weight is
		// tiny; ours divides by the weight itself.
		worst := 0.0
		for i := range want {
			w := weights[i%(70*90)]
			worst = math.Max(worst, math.Abs(want[i]-float64(out[i])*w/(w+1e-8)))
		}
		if worst > 1e-5 {
			t.Errorf("in batches of %d the result differs by up to %g, advised 1e-5", batch, worst)
		}
	}
}

func TestAnIdentityNetworkReturnsThePictureAtAnySize(t *testing.T) {
	r := identity(t)
	random := rand.New(rand.NewPCG(1, 1))
	for _, size := range [][2]int{{64, 64}, {70, 91}, {33, 200}, {32, 16}, {20, 20}, {15, 40}, {1, 1}, {3, 50}} {
		im := rgb.New(size[0], size[1])
		for i := range im.Pix {
			im.Pix[i] = uint8(random.IntN(256))
		}
		for _, o := range []Options{{32, 8, 3}, {32, 0, 4}, {32, 31, 8}, {64, 16, 0}} {
			if o.Overlap == 31 && size[0]*size[1] > 32*200 {
				continue
			}
			out, err := r.Image(context.Background(), im, o)
			if err != nil {
				t.Fatal(err)
			}
			if out.W != im.W || out.H != im.H {
				t.Fatalf("%v: got %dx%d", size, out.W, out.H)
			}
			for i := range im.Pix {
				if im.Pix[i] != out.Pix[i] {
					t.Fatalf("%v with %+v: value %d is %d, want %d", size, o, i, out.Pix[i], im.Pix[i])
				}
			}
		}
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	r := identity(t)
	for want, o := range map[string]Options{"Overlap is 32": {32, 32, 1}, "Overlap is -1": {32, -1, 1}, "TileSize is 8": {8, 2, 1}} {
		if _, err := r.Image(context.Background(), rgb.New(50, 50), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", o, err, want)
		}
	}
	if _, err := New(engine(t), r.net, map[string][]float32{}); err == nil || !strings.Contains(err.Error(), "inc.double_conv.0.weight") {
		t.Errorf("missing weights: got %v", err)
	}
}

func TestCancellingStopsBetweenBatches(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := identity(t).Image(ctx, rgb.New(64, 64), Options{32, 8, 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}
