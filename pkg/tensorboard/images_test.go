package tensorboard

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestAPictureIsShownAtItsEpoch(t *testing.T) {
	r := newTrial(t)
	r.epochs(r.begin(0), 1, 2)
	var encoded bytes.Buffer
	if err := png.Encode(&encoded, image.NewRGBA(image.Rect(0, 0, 30, 20))); err != nil {
		t.Fatal(err)
	}
	for _, epoch := range []int{2, 7} {
		if err := AddImage(r.exp, "Samples/validation", epoch, encoded.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(r.exp.LogsDir(), "samples", "events.out.tfevents.*"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%d files, %v; want one for each picture", len(files), err)
	}
	slices.Sort(files)
	for i, epoch := range []int{2, 7} {
		read := events(t, files[i])
		if len(read) != 2 || read[0].version != "brain.Event:2" || read[1].step != epoch || !slices.Equal(read[1].tags, []string{"Samples/validation"}) {
			t.Fatalf("the events are %+v", read)
		}
		width, height, channels, picture := pictureIn(t, files[i])
		if width != 30 || height != 20 || channels != 3 || !bytes.Equal(picture, encoded.Bytes()) {
			t.Errorf("%d x %d with %d channels, %d bytes", width, height, channels, len(picture))
		}
	}
	r.shows() // the curves are as they were
	if err := AddImage(r.exp, "x", 1, []byte("no picture")); err == nil {
		t.Error("what is no PNG was accepted")
	}
}

// pictureIn decodes the picture of a file's second record by hand.
func pictureIn(t *testing.T, path string) (width, height, channels int, picture []byte) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first := int(text[0]) | int(text[1])<<8 // length of the first record
	second := text[8+4+first+4:]
	length := int(second[0]) | int(second[1])<<8 | int(second[2])<<16
	for _, f := range fields(t, second[12:12+length]) {
		if f.id != 5 {
			continue
		}
		for _, v := range fields(t, fields(t, f.bytes)[0].bytes) {
			if v.id != 4 {
				continue
			}
			for _, p := range fields(t, v.bytes) {
				switch p.id {
				case 1:
					height = int(p.number)
				case 2:
					width = int(p.number)
				case 3:
					channels = int(p.number)
				case 4:
					picture = p.bytes
				}
			}
		}
	}
	return width, height, channels, picture
}
