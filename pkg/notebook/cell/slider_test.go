package cell

import (
	"image"
	"image/color"
	"os"
	"strings"
	"testing"

	"rekindle/pkg/rgb"
)

func TestTheSliderHoldsBothPictures(t *testing.T) {
	before, after := image.NewNRGBA(image.Rect(0, 0, 1800, 40)), image.NewNRGBA(image.Rect(0, 0, 1800, 40))
	before.Set(3, 3, color.White)
	text, err := sliderHTML(`a "b" <c>.png`, before, after)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(text, `src="data:image/`); n != 2 {
		t.Errorf("%d pictures, want 2", n)
	}
	if strings.Contains(text, "<c>") || strings.Contains(text, `alt="a "`) {
		t.Error("a file's name breaks the page")
	}
	if !strings.Contains(text, "width:900px") {
		t.Error("a picture wider than the page is not made smaller")
	}
	if strings.Contains(text, "http") || strings.Contains(text, "<script") {
		t.Error("the slider needs something outside itself")
	}
	if path := os.Getenv("REKINDLE_SLIDER"); path != "" { // for people to look at
		noisy, err := rgb.Load("../../../shared/photos/CBSD68/3096.png")
		if err != nil {
			t.Fatal(err)
		}
		grey, err := rgb.Load("../../../shared/photos/CBSD68/3096.png")
		if err != nil {
			t.Fatal(err)
		}
		for i := range grey.Pix {
			grey.Pix[i] = grey.Pix[i]/2 + 60
		}
		text, err := sliderHTML("3096.png", grey.ToImage(), noisy.ToImage())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("<body style='font-family:sans-serif'>"+text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPicturesOfDifferentSizesAreNotLaidOnEachOther(t *testing.T) {
	if err := BeforeAfter("x", image.NewGray(image.Rect(0, 0, 2, 2)), image.NewGray(image.Rect(0, 0, 3, 2))); err == nil {
		t.Error("no error")
	}
}
