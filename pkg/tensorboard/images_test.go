package tensorboard

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"rekindle/pkg/experiment"
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

// pictures shows the folder of pictures as TensorBoard's two readers do: a START
// event, and for the newer reader also a step that goes back, purges its step and
// those after it. Both must show the same.
func pictures(t *testing.T, exp *experiment.Experiment) map[string]map[int]string {
	t.Helper()
	type shown struct {
		step int
		data string
	}
	files, err := filepath.Glob(filepath.Join(exp.LogsDir(), "samples", "*tfevents*"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	var all [2]map[string][]shown
	for reader := range all {
		tags := map[string][]shown{}
		purge := func(tag string, step int) {
			tags[tag] = slices.DeleteFunc(tags[tag], func(s shown) bool { return s.step >= step })
		}
		for _, path := range files {
			for _, e := range events(t, path) {
				if e.start {
					for tag := range tags {
						purge(tag, e.step)
					}
				}
				for i, tag := range e.tags {
					if reader == 1 {
						purge(tag, e.step)
					}
					tags[tag] = append(tags[tag], shown{e.step, string(e.images[i])})
				}
			}
		}
		all[reader] = tags
	}
	if !reflect.DeepEqual(all[0], all[1]) {
		t.Errorf("two readers show %d and %d pictures, or in another order", len(all[0]), len(all[1]))
	}
	out := map[string]map[int]string{}
	for tag, list := range all[0] {
		out[tag] = map[int]string{}
		for _, s := range list {
			if out[tag][s.step] != "" {
				t.Errorf("%s has two pictures at step %d", tag, s.step)
			}
			out[tag][s.step] = s.data
		}
	}
	return out
}

// drawn is a PNG picture, another for each level.
func drawn(t *testing.T, level uint8) []byte {
	t.Helper()
	im := image.NewGray(image.Rect(0, 0, 30, 20))
	for i := range im.Pix {
		im.Pix[i] = level
	}
	var encoded bytes.Buffer
	if err := png.Encode(&encoded, im); err != nil {
		t.Fatal(err)
	}
	return encoded.Bytes()
}

func TestEachPictureIsShownOnce(t *testing.T) {
	r := newTrial(t)
	want := map[string]map[int]string{"a": {}, "b": {}}
	for i, c := range []struct {
		tag   string
		step  int
		level uint8
		files int
	}{
		{"a", 3, 1, 1}, {"a", 3, 1, 1}, {"a", 3, 1, 1}, // the cell is run again
		{"b", 3, 1, 2}, {"a", 7, 2, 3}, {"a", 7, 2, 3},
		{"a", 3, 9, 4}, {"a", 3, 9, 4}, {"a", 3, 1, 5}, // another picture, and back
		{"b", 5, 4, 6}, {"a", 0, 5, 7}, {"a", 9, 6, 8}, {"b", 3, 1, 8},
	} {
		if err := AddImage(r.exp, c.tag, c.step, drawn(t, c.level)); err != nil {
			t.Fatal(err)
		}
		want[c.tag][c.step] = string(drawn(t, c.level))
		if got := pictures(t, r.exp); !maps.Equal(got["a"], want["a"]) || !maps.Equal(got["b"], want["b"]) {
			t.Errorf("after picture %d: %d and %d pictures are shown, want %d and %d, or others", i+1, len(got["a"]), len(got["b"]), len(want["a"]), len(want["b"]))
		}
		if files, _ := filepath.Glob(filepath.Join(r.exp.LogsDir(), "samples", "*")); len(files) != c.files {
			t.Errorf("after picture %d: %d files, want %d", i+1, len(files), c.files)
		}
	}
}

// An older version wrote a picture as often as it was asked to.
func TestRepeatedPicturesOfOlderFilesAreTidiedUp(t *testing.T) {
	r := newTrial(t)
	dir := filepath.Join(r.exp.LogsDir(), "samples")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		text := appendRecord(nil, versionEvent(1))
		text = appendRecord(text, imageEvent(float64(i), 2, "a", 30, 20, drawn(t, 1)))
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s%010d.host.1.0", prefix, i)), text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := AddImage(r.exp, "a", 2, drawn(t, 1)); err != nil {
		t.Fatal(err)
	}
	if got := pictures(t, r.exp); len(got["a"]) != 1 {
		t.Errorf("%d pictures, want one", len(got["a"]))
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
