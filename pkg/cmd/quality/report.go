package main

import (
	"fmt"
	"strings"

	"rekindle/pkg/durable"
)

// published are mean PSNRs of colour Gaussian denoising on CBSD68 (RGB, noise not
// clipped): Zhang et al., "FFDNet", TIP 2018, table 2; Liang et al., "SwinIR",
// 2021, table 5; Restormer (Zamir et al., CVPR 2022) as mmagic measured it again.
var published = []struct {
	name string
	psnr [3]float64 // sigma 15, 25, 50
}{
	{"CBM3D", [3]float64{33.52, 30.71, 27.38}},
	{"CDnCNN-B", [3]float64{33.89, 31.23, 27.92}},
	{"FFDNet", [3]float64{33.87, 31.21, 27.96}},
	{"DRUNet", [3]float64{34.30, 31.69, 28.51}},
	{"SwinIR", [3]float64{34.42, 31.78, 28.56}},
	{"Restormer", [3]float64{34.35, 31.75, 28.56}},
}

const preface = `# How well it takes noise off

Normal noise is added to the values of 8-bit photographs, neither rounded nor clipped, as papers do; the result is clipped; PSNR is over all three colours, and the
mean of the pictures counts. ` + "`make score NET=file-or-experiment SET=folder SIGMA=15,25,50`" + ` measures any network so, on any pictures (` + "`CLIP=1`" + ` rounds and clips
the noisy ones, as files hold them; ` + "`GREY=1`" + ` makes colour pictures grey; ` + "`BGR=1`" + ` is for networks whose channels are blue, green, red; ` + "`OUT=scores`" + ` also writes
scores.json and scores.csv). Before, at sigma 15, 25 and 50 a noisy picture has 24.61, 20.17 and 14.15 dB.

This page is written by ` + "`make quality`" + `. ` + "`make quality NET=file NAME=\"what it is\"`" + ` measures a network first and adds a row, ` + "`make quality PEERS=all EVERY=6`" + ` measures the other
methods (they need ` + "`pip install bm3d opencv-python-headless scikit-image PyWavelets`" + `; BM3D takes three minutes a megapixel).
`

// seen is what numbers do not tell of the network that comes with the program.
const seen = `
In pictures of CBSD68, looked at in full size and larger, restored by the network that comes with the program: edges are clean at sigma 25, without
halos, and no borders of tiles show. Fine texture (leaves, grass, fur, stone) becomes smooth patches, more so at sigma 50, where small letters and faces lose their
shapes as well. In dark, smooth places faint blotches of colour stay.
`

const beside = `
## The same training in PyTorch

One U-Net of 8 features, float32, from the same weights on the same patches in the same order with the same rates, here and in PyTorch 2.15: 400 steps, the PSNR of the
validation patches after each of 40 epochs. The first epochs are the same to 0.01 dB. Later rounding drives the two apart, by 0.23 dB at most; so it does PyTorch and
itself: crosses are PyTorch once more with weights that were off by a ten-millionth at the beginning, up to 0.74 dB away from the circles.

![PSNR of validation over epochs: a line for Rekindle, circles for PyTorch on it, crosses for PyTorch from disturbed weights above](curve.png)

` + "`REKINDLE_CURVE=curve.png go test -run TestTheCurveOf -v ./pkg/train`" + ` draws it; ` + "`make test`" + ` compares a shorter run, to 0.1 dB.
`

// writePage writes the page, all or nothing.
func writePage(path string, rows []row) error {
	var b strings.Builder
	b.WriteString(preface)
	section := func(title, text string, keep func(row) bool) {
		var lines []string
		for _, r := range rows {
			if keep(r) {
				lines = append(lines, r.line())
			}
		}
		if len(lines) == 0 {
			lines = []string{"| nothing measured yet | | | | | |"}
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| | pictures | sigma 15 | sigma 25 | sigma 50 | processor seconds a megapixel |\n|---|---|---:|---:|---:|---:|\n%s\n", title, text, strings.Join(lines, "\n"))
	}
	section("Networks of Rekindle", "PSNR in dB and SSIM.", func(r row) bool { return r.Kind == "ours" })
	b.WriteString(seen)
	section("What else there is", "The same noisy pictures, each method told the right sigma. OpenCV takes 8-bit pictures only, so its noise is rounded and clipped.",
		func(r row) bool { return r.Kind == "peer" })
	section("Weights by their authors, run here", "Network, file reader, noise and metric together: what papers report is in the next table, and for grey pictures (BSD68, Set12) 29.23 and 30.44 dB "+
		"at sigma 25 for DnCNN-S.", func(r row) bool { return r.Kind == "theirs" })
	b.WriteString("\nA processor second is what one core does in a second, so that it does not matter what else the machine was doing; two idle cores need about half as long. It is the median\nof the pictures.\n")
	b.WriteString(beside)
	b.WriteString("\n## Published\n\nCBSD68, PSNR in dB: Zhang et al., FFDNet, TIP 2018, table 2; Liang et al., SwinIR, 2021, table 5; Restormer as measured again in mmagic.\n\n| | sigma 15 | sigma 25 | sigma 50 |\n|---|---:|---:|---:|\n")
	for _, p := range published {
		fmt.Fprintf(&b, "| %s | %.2f | %.2f | %.2f |\n", p.name, p.psnr[0], p.psnr[1], p.psnr[2])
	}
	return durable.WriteFile(path, []byte(b.String()))
}

// line is a row of a table.
func (r row) line() string {
	at := map[float64]string{15: "", 25: "", 50: ""}
	pictures, seconds := 0, 0.0
	for _, n := range r.Numbers {
		at[n.Sigma] = fmt.Sprintf("%.2f, %.4f", n.PSNR, n.SSIM)
		if pictures = n.Pictures; n.Sigma == 25 || seconds == 0 {
			seconds = n.CPU
		}
	}
	set := fmt.Sprintf("%d of %s", pictures, r.Set)
	if r.Every > 1 {
		set += fmt.Sprintf(", every %dth", r.Every)
	}
	for _, what := range []struct {
		is   bool
		says string
	}{{r.Grey, "grey"}, {r.Clip, "noise clipped"}} {
		if what.is {
			set += ", " + what.says
		}
	}
	name := r.Name
	if r.About != "" {
		name += " (" + r.About + ")"
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %.1f |", name, set, at[15], at[25], at[50], seconds)
}
