package cell

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html"
	"image"
	"image/jpeg"
	"image/png"

	"golang.org/x/image/draw"
)

// BeforeAfter shows two pictures of one size on top of each other, with a control
// that moves the border between them. It is plain HTML, which works in a saved
// notebook and in an exported page without a server: a slider where scripts are
// allowed, and elsewhere the grip in the picture's lower corner. Pictures wider
// than the page are made smaller; the file gets JPEGs where they are photographs.
func BeforeAfter(title string, before, after image.Image) error {
	size := before.Bounds().Size()
	if size != after.Bounds().Size() {
		return fmt.Errorf("%s: pictures of %v and %v pixels cannot be shown on top of each other", title, size, after.Bounds().Size())
	}
	text, err := sliderHTML(title, before, after)
	if err != nil {
		return err
	}
	NewDisplay().HTML(text, title)
	Flush()
	return nil
}

// PageWidth is how wide a picture is shown at most, in pixels.
const PageWidth = 900

func sliderHTML(title string, before, after image.Image) (string, error) {
	w := min(before.Bounds().Dx(), PageWidth)
	first, err := dataURI(before, w)
	if err != nil {
		return "", err
	}
	second, err := dataURI(after, w)
	if err != nil {
		return "", err
	}
	shown := w // small pictures are enlarged, so that there is something to see
	for shown*2 <= PageWidth/2 {
		shown *= 2
	}
	name := html.EscapeString(title)
	picture := func(uri, what string) string {
		return fmt.Sprintf(`<img src="%s" alt="%s, %s" style="display:block;width:%dpx;max-width:none;image-rendering:auto">`, uri, name, what, shown)
	}
	return fmt.Sprintf(`<div style="overflow-x:auto"><b>%s</b>
<div style="position:relative;width:%dpx;line-height:0;margin-top:4px">%s
<div style="position:absolute;top:0;left:0;bottom:0;width:50%%;max-width:100%%;overflow:hidden;resize:horizontal;border-right:2px solid #ffd400;box-sizing:border-box">%s</div></div>
<div style="width:%dpx"><input type="range" min="0" max="100" value="50" step="0.5" aria-label="border between before and after" style="width:100%%;margin:4px 0" oninput="this.parentNode.previousElementSibling.lastElementChild.style.width=this.value+'%%'">
<div style="display:flex;justify-content:space-between"><span>before</span><span>after</span></div></div></div>`,
		name, shown, picture(second, "after"), picture(first, "before"), shown), nil
}

// dataURI is a picture, made smaller to a width, as an address that holds it.
func dataURI(im image.Image, width int) (string, error) {
	if b := im.Bounds(); b.Dx() > width {
		small := image.NewNRGBA(image.Rect(0, 0, width, max(1, b.Dy()*width/b.Dx())))
		draw.CatmullRom.Scale(small, small.Bounds(), im, b, draw.Src, nil)
		im = small
	}
	var exact, photo bytes.Buffer
	if err := png.Encode(&exact, im); err != nil {
		return "", err
	}
	kind, encoded := "png", exact.Bytes()
	if exact.Len() > 64<<10 {
		if err := jpeg.Encode(&photo, im, &jpeg.Options{Quality: 92}); err == nil && photo.Len() < exact.Len()/2 {
			kind, encoded = "jpeg", photo.Bytes()
		}
	}
	return "data:image/" + kind + ";base64," + base64.StdEncoding.EncodeToString(encoded), nil
}
