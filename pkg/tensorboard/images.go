package tensorboard

import (
	"bytes"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
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
// takes for a run beside that of the curves.
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
	text := appendRecord(nil, versionEvent(wall))
	text = appendRecord(text, imageEvent(wall, step, tag, size.Width, size.Height, encoded))
	defer l.Close()
	return l.create(dir, files, text)
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
