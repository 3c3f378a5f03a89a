package restore

import (
	"context"
	"image"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekindle/pkg/model"
)

// Files of the networks' authors, beside the repository.
const genuine = "../../../shared/weights"

// theirs skips the test where a file is missing.
func theirs(t *testing.T, path string) string {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no weights or pictures of others beside the repository: %v", err)
	}
	return path
}

func TestWeightsOfTheAuthorsAreRecognised(t *testing.T) {
	for file, want := range map[string]struct {
		network string
		options model.Options
		says    string
	}{
		"dncnn_s25_gray.pth":             {"dncnn", model.Options{Features: 64, Channels: 1, Depth: 17}, "dncnn with 64 features, depth 17, for grey pictures"},
		"dncnn_blind_gray.pth":           {"dncnn", model.Options{Features: 64, Channels: 1, Depth: 20}, ""},
		"dncnn_25_gray_bn_merged.pth":    {"dncnn_merged", model.Options{Features: 64, Channels: 1, Depth: 17}, ""},
		"ffdnet_rgb.pth":                 {"ffdnet", model.Options{Features: 96, Channels: 3, Depth: 12}, "ffdnet with 96 features, depth 12"},
		"dncnn20_colour_bgr_blind55.pth": {"dncnn", model.Options{Features: 64, Channels: 3, Depth: 20}, ""},
	} {
		r, err := Opening{Backend: engine(t)}.Open(theirs(t, filepath.Join(genuine, file)))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if r.About.Network != want.network || r.About.Options != want.options || !strings.Contains(r.About.String(), want.says) {
			t.Errorf("%s is opened as %s (%+v)", file, r.About, r.About.Options)
		}
	}
}

// A corner of a picture of Set12 with noise of sigma 25, 20.2 dB, through networks
// that were trained for it.
func TestNetworksOfTheAuthorsRestore(t *testing.T) {
	clean := grey(t, theirs(t, "../../../shared/photos/Set12_gray/01.png"), 96)
	r := rand.New(rand.NewPCG(1, 2))
	noisy := make([]float32, len(clean))
	for i, v := range clean {
		noisy[i] = v + float32(2*25.0/255*r.NormFloat64())
	}
	for _, file := range []string{"dncnn_s25_gray.pth", "dncnn_blind_gray.pth", "dncnn_25_gray_bn_merged.pth"} {
		net, err := Opening{Backend: engine(t)}.Open(theirs(t, filepath.Join(genuine, file)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := net.Planes(context.Background(), noisy, 96, 96, tiles(96, 0, 1))
		if err != nil {
			t.Fatal(err)
		}
		before, after := psnr(noisy, clean), psnr(got, clean)
		t.Logf("%s: %.2f dB, of %.2f", file, after, before)
		if after < 36 {
			t.Errorf("%s: %.2f dB, of %.2f; want 36 at least", file, after, before)
		}
	}
}

// psnr is that of values in [-1, 1].
func psnr(a, b []float32) float64 {
	sum := 0.0
	for i := range a {
		d := float64(a[i]-b[i]) / 2
		sum += d * d
	}
	return -10 * math.Log10(sum/float64(len(a)))
}

// grey reads a corner of a grey picture, [side, side] in [-1, 1].
func grey(t *testing.T, path string, side int) []float32 {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	im, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float32, 0, side*side)
	for y := range side {
		for x := range side {
			out = append(out, float32(im.(*image.Gray).GrayAt(x, y).Y)/127.5-1)
		}
	}
	return out
}

// A network for grey pictures sees each colour of a picture by itself.
func TestANetworkForGreyPicturesRestoresColoursOneByOne(t *testing.T) {
	net, err := model.New("dncnn", model.Options{Features: 3, Channels: 1, Depth: 3})
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(engine(t), net, net.Init(4))
	if err != nil {
		t.Fatal(err)
	}
	const h, w = 37, 45
	colour := make([]float32, 3*h*w)
	for i := range colour {
		colour[i] = float32(math.Sin(float64(i * i)))
	}
	o := tiles(32, 8, 2)
	got, err := r.Planes(context.Background(), colour, h, w, o)
	if err != nil {
		t.Fatal(err)
	}
	for c := range 3 {
		alone, err := r.Planes(context.Background(), colour[c*h*w:(c+1)*h*w], h, w, o)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range alone {
			if v := got[c*h*w+i]; math.Abs(float64(v-want)) > 1e-6 {
				t.Fatalf("colour %d at %d: %g, alone %g", c, i, v, want)
			}
		}
	}
	// Pictures: a grey one is the same as each colour of its double in colour.
	plain, rgba := image.NewGray(image.Rect(0, 0, w, h)), image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			v := uint8(x*5 ^ y*3)
			plain.Pix[y*plain.Stride+x] = v
			copy(rgba.Pix[y*rgba.Stride+4*x:], []uint8{v, v, v, 255})
		}
	}
	one, err := r.Image(context.Background(), plain)
	if err != nil {
		t.Fatal(err)
	}
	three, err := r.Image(context.Background(), rgba)
	if err != nil {
		t.Fatal(err)
	}
	for y := range h {
		for x := range w {
			r, g, b, _ := three.At(x, y).RGBA()
			if v, _, _, _ := one.At(x, y).RGBA(); v != r || v != g || v != b {
				t.Fatalf("at %d,%d the grey picture is %d, the colour one %d %d %d", x, y, v, r, g, b)
			}
		}
	}
}
