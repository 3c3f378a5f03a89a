package notebook

import (
	"bytes"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"rekindle/pkg/config"
	"rekindle/pkg/dataset/deadleaves"
)

func TestADegradationIsShownInItsStrengths(t *testing.T) {
	t.Chdir(t.TempDir())
	strengths := []Degradations{{JPEGQuality: 5}, {JPEGQuality: 10}, {JPEGQuality: 40}}
	drawn, err := degradedGrid("jpeg", strengths)
	if err != nil {
		t.Fatal(err)
	}
	// With a photograph there, that is the example, and a small one is no trouble.
	dir := config.Default().ValCleanDir
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := deadleaves.Image(50, 300, rand.New(rand.NewPCG(9, 9))).SavePNG(filepath.Join(dir, "a.png")); err != nil {
		t.Fatal(err)
	}
	photograph, err := degradedGrid("jpeg", strengths)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(drawn, photograph) {
		t.Error("the photograph is not used")
	}
	if im, err := png.Decode(bytes.NewReader(drawn)); err != nil || im.Bounds().Dx() < 4*exampleSide || im.Bounds().Dy() < 2*exampleSide {
		t.Errorf("the picture is %v, %v", im.Bounds(), err)
	}
	sheet, err := degradationSheet()
	if err != nil {
		t.Fatal(err)
	}
	if im, err := png.Decode(bytes.NewReader(sheet)); err != nil || im.Bounds().Dx() > 1040 || im.Bounds().Dy() < 2*sheetSide {
		t.Errorf("the sheet is %v, %v", im.Bounds(), err)
	}
	if _, err := degradedGrid("jpeg", []Degradations{{JPEGQuality: 500}}); err == nil {
		t.Error("quality 500 was accepted")
	}
}
