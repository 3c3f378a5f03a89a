package score

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"testing"

	"rekindle/pkg/restore"
)

// wholeVariable asks for all pictures and levels: minutes a network.
const wholeVariable = "REKINDLE_SCORES"

// published are PSNRs in dB of weights by the networks' authors: what papers and the
// authors' own pages say of whole sets, and what two pictures of the set have here,
// with the seed of this test, since the whole was right.
var published = []struct {
	file, set string
	o         Options
	blueFirst bool
	want      float64 // dB over the whole set, to 0.05
	off       float64 // more that it may be off by, where it is known to be
	two       float64 // every 34th picture; 0: these are not asked
}{
	{file: "dncnn_s25_gray.pth", set: "CBSD68", o: Options{Sigma: 25, Grey: true}, want: 29.21, two: 27.03},
	{file: "dncnn_s25_gray.pth", set: "Set12_gray", o: Options{Sigma: 25}, want: 30.40},
	{file: "dncnn_blind_gray.pth", set: "CBSD68", o: Options{Sigma: 15, Grey: true}, want: 31.60},
	{file: "dncnn_blind_gray.pth", set: "CBSD68", o: Options{Sigma: 25, Grey: true}, want: 29.15},
	{file: "dncnn_blind_gray.pth", set: "CBSD68", o: Options{Sigma: 50, Grey: true}, want: 26.20, two: 24.26},
	{file: "dncnn_25_gray_bn_merged.pth", set: "CBSD68", o: Options{Sigma: 25, Grey: true}, want: 29.23, two: 27.03},
	{file: "ffdnet_rgb.pth", set: "CBSD68", o: Options{Sigma: 15}, want: 33.87, off: 0.02}, // the paper's weights are other ones
	{file: "ffdnet_rgb.pth", set: "CBSD68", o: Options{Sigma: 25}, want: 31.21, two: 29.15},
	{file: "ffdnet_rgb.pth", set: "CBSD68", o: Options{Sigma: 50}, want: 27.96},
	{file: "dncnn20_colour_bgr_blind55.pth", set: "CBSD68", o: Options{Sigma: 15, Clip: true}, blueFirst: true, want: 33.57},
	{file: "dncnn20_colour_bgr_blind55.pth", set: "CBSD68", o: Options{Sigma: 25, Clip: true}, blueFirst: true, want: 30.66, two: 28.96},
	{file: "dncnn20_colour_bgr_blind55.pth", set: "CBSD68", o: Options{Sigma: 50, Clip: true}, blueFirst: true, want: 26.48},
}

// Network, file reader, noise and metric in one stroke.
func TestWeightsOfTheAuthorsHaveTheirPublishedNumbers(t *testing.T) {
	const shared = "../../../shared"
	whole := os.Getenv(wholeVariable) != ""
	for _, p := range published {
		if p.two == 0 && !whole {
			continue
		}
		file, set := filepath.Join(shared, "weights", p.file), filepath.Join(shared, "photos", p.set)
		for _, path := range []string{file, set} {
			if _, err := os.Stat(path); err != nil {
				t.Skipf("no weights or pictures of others beside the repository: %v", err)
			}
		}
		r, err := restore.Opening{BlueFirst: p.blueFirst}.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		want, bound := p.two, 0.01
		p.o.Seed, p.o.Every = 42, 34
		if whole {
			want, bound, p.o.Every = p.want, 0.05+p.off, 1
		}
		got, err := Folder(context.Background(), set, Network(r), p.o)
		if err != nil {
			t.Fatal(err)
		}
		psnr := float64(got.Mean.PSNR)
		t.Logf("%s, %s: %.3f dB, want %.2f", p.file, got, psnr, want)
		if !(math.Abs(psnr-want) <= bound+0.005) { // published to two digits
			t.Errorf("%s, %s: %.3f dB, want %.2f to %.2f", p.file, got, psnr, want, bound)
		}
	}
}
