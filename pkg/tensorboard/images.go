package tensorboard

import (
	"bytes"
	"cmp"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"rekindle/pkg/experiment"
)

// Of tensorflow/core/framework/summary.proto.
const (
	valueImage = 4

	imageHeight     = 1
	imageWidth      = 2
	imageColorSpace = 3 // channels
	imageEncoded    = 4
)

// AddImage adds a PNG picture that TensorBoard shows under a tag at a step (an
// epoch). It has a file of its own, in a folder of its own, which TensorBoard
// takes for a run beside that of the curves. Each tag shows one picture at a
// step, the newest; one that is shown already is not added again.
func AddImage(exp *experiment.Experiment, tag string, step int, encoded []byte) error {
	size, err := png.DecodeConfig(bytes.NewReader(encoded))
	if err != nil {
		return fmt.Errorf("tensorboard: %s: %w", tag, err)
	}
	dir := filepath.Join(exp.LogsDir(), "samples")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("tensorboard: %w", err)
	}
	files, err := eventFiles(dir)
	if err != nil {
		return fmt.Errorf("tensorboard: %w", err)
	}
	l := &Log{exp: exp, now: time.Now}
	wall := seconds(l.now())
	event := imageEvent(wall, step, tag, size.Width, size.Height, encoded)
	var same, later []picture
	for _, p := range shown(files) {
		switch {
		case p.step == step && p.tag == tag:
			same = append(same, p)
		case p.step >= step:
			later = append(later, p)
		}
	}
	if outline, _ := parseOutline(event); len(same) == 1 && bytes.Equal(same[0].summary, outline.summary) {
		return nil
	}
	text := appendRecord(nil, versionEvent(wall))
	if len(same)+len(later) > 0 {
		// Readers forget them. They would, of later ones, without being told: to
		// some a step that goes back is a restart. So these come again.
		text = appendRecord(text, startEvent(wall, step))
	}
	text = appendRecord(text, event)
	for _, p := range later {
		text = appendRecord(text, p.event)
	}
	defer l.Close()
	return l.create(dir, files, text)
}

// picture is an event with one picture.
type picture struct {
	outline
	tag   string
	event []byte
}

// shown lists the pictures that TensorBoard shows of these files, by step.
func shown(files []string) (all []picture) {
	eachEvent(files, func(o outline, event []byte) {
		switch {
		case o.start:
			all = slices.DeleteFunc(all, func(p picture) bool { return p.step >= o.step })
		case o.summary != nil:
			all = append(all, picture{o, string(bytesOf(bytesOf(o.summary, summaryValue), valueTag)), event})
		}
	})
	slices.SortStableFunc(all, func(a, b picture) int { return cmp.Compare(a.step, b.step) })
	return all
}

// imageEvent holds one picture with red, green and blue.
func imageEvent(wallTime float64, step int, tag string, width, height int, encoded []byte) []byte {
	var picture []byte
	for _, f := range []struct {
		field protowire.Number
		value int
	}{{imageHeight, height}, {imageWidth, width}, {imageColorSpace, 3}} {
		picture = protowire.AppendTag(picture, f.field, protowire.VarintType)
		picture = protowire.AppendVarint(picture, uint64(f.value))
	}
	picture = protowire.AppendTag(picture, imageEncoded, protowire.BytesType)
	picture = protowire.AppendBytes(picture, encoded)

	value := protowire.AppendTag(nil, valueTag, protowire.BytesType)
	value = protowire.AppendString(value, tag)
	value = protowire.AppendTag(value, valueImage, protowire.BytesType)
	value = protowire.AppendBytes(value, picture)
	summary := protowire.AppendTag(nil, summaryValue, protowire.BytesType)
	summary = protowire.AppendBytes(summary, value)
	b := protowire.AppendTag(newEvent(wallTime, step), eventSummary, protowire.BytesType)
	return protowire.AppendBytes(b, summary)
}
