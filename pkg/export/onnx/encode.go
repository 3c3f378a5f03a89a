// Package onnx writes networks as ONNX files (onnx.ai): a graph of named
// operations and their weights, which ONNX Runtime and many other programs run.
//
//	g := onnx.NewGraph("net")
//	x := g.Input("image", onnx.Named("batch"), onnx.Fixed(3), onnx.Named("height"), onnx.Named("width"))
//	w := g.Floats("conv.weight", []int{8, 3, 3, 3}, weights)
//	y := g.Node("Conv", "conv", []onnx.Value{x, w}, onnx.Ints("pads", 1, 1, 1, 1))
//	g.Output(y, onnx.Named("batch"), onnx.Fixed(8), onnx.Named("height"), onnx.Named("width"))
//	err := g.Save("net.onnx", onnx.About{Producer: "rekindle"})
//
// Only what is needed for that is here. The numbers of fields and types are
// those of onnx/onnx.proto; there is no maintained Go package that writes it.
package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"rekindle/pkg/durable"
)

// Versions of the format and of the operations that files are written for; both
// are from 2022 and known to every program still in use.
const (
	irVersion = 8
	Opset     = 17
)

// ErrTooLarge is returned for a network that an ONNX file cannot hold: protobuf
// messages end at 2 GiB.
var ErrTooLarge = errors.New("an ONNX file holds at most 2 GiB")

// About describes a file to people and programs that open it.
type About struct {
	Producer string
	Doc      string
	Metadata map[string]string
}

// message is a protobuf message as pieces that follow each other, so that
// weights are not copied from message to message.
type message [][]byte

func (m message) size() int {
	n := 0
	for _, piece := range m {
		n += len(piece)
	}
	return n
}

func (m *message) integer(field protowire.Number, v int64) {
	*m = append(*m, protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.VarintType), uint64(v)))
}

func (m *message) text(field protowire.Number, v string) { m.nested(field, message{[]byte(v)}) }

func (m *message) nested(field protowire.Number, v message) {
	head := protowire.AppendTag(nil, field, protowire.BytesType)
	*m = append(*m, protowire.AppendVarint(head, uint64(v.size())))
	*m = append(*m, v...)
}

// Element types (TensorProto.DataType).
const (
	typeFloat = 1
	typeInt64 = 7
)

// tensor is a TensorProto: dims, data_type, name, raw_data.
func tensor(name string, shape []int, dataType int64, raw []byte) message {
	var m message
	for _, d := range shape {
		m.integer(1, int64(d))
	}
	m.integer(2, dataType)
	m.text(8, name)
	m.nested(9, message{raw})
	return m
}

func floatBytes(values []float32) []byte {
	raw := make([]byte, 0, 4*len(values))
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return raw
}

func intBytes(values []int64) []byte {
	raw := make([]byte, 0, 8*len(values))
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	return raw
}

// Attribute is a fixed setting of an operation.
type Attribute struct{ encoded message }

// Attribute types (AttributeProto.AttributeType).
const (
	attributeInt    = 2
	attributeString = 3
	attributeInts   = 7
)

// Int is an integer attribute.
func Int(name string, v int64) Attribute {
	var m message
	m.text(1, name)
	m.integer(3, v)
	m.integer(20, attributeInt)
	return Attribute{m}
}

// Text is a string attribute.
func Text(name, v string) Attribute {
	var m message
	m.text(1, name)
	m.text(4, v)
	m.integer(20, attributeString)
	return Attribute{m}
}

// Ints is an attribute of several integers.
func Ints(name string, vs ...int64) Attribute {
	var m message
	m.text(1, name)
	for _, v := range vs {
		m.integer(8, v)
	}
	m.integer(20, attributeInts)
	return Attribute{m}
}

// Dim is one side of an input or output: a number, or a name where it may be any.
type Dim struct {
	name string
	size int
}

// Fixed is a side of a given length.
func Fixed(n int) Dim { return Dim{size: n} }

// Named is a side of any length; sides of one name are equally long.
func Named(name string) Dim { return Dim{name: name} }

// valueInfo is a ValueInfoProto: a name and a float tensor type of a shape.
func valueInfo(name string, dims []Dim) message {
	var shape message
	for _, d := range dims {
		var dim message
		if d.name != "" {
			dim.text(2, d.name)
		} else {
			dim.integer(1, int64(d.size))
		}
		shape.nested(1, dim)
	}
	var tensorType, kind, info message
	tensorType.integer(1, typeFloat)
	tensorType.nested(2, shape)
	kind.nested(1, tensorType)
	info.text(1, name)
	info.nested(2, kind)
	return info
}

// encode makes the ModelProto.
func (g *Graph) encode(about About) (message, error) {
	for _, text := range []string{g.name, about.Producer, about.Doc} {
		g.check(text)
	}
	for key, value := range about.Metadata {
		g.check(key)
		g.check(value)
	}
	if g.err != nil {
		return nil, g.err
	}
	var graph message
	for _, part := range []struct {
		field    protowire.Number
		messages []message
	}{{1, g.nodes}, {5, g.initializers}, {11, g.inputs}, {12, g.outputs}} {
		for _, m := range part.messages {
			graph.nested(part.field, m)
		}
		if part.field == 1 {
			graph.text(2, g.name)
		}
	}
	var opset, model message
	opset.text(1, "") // ONNX's own operations
	opset.integer(2, Opset)
	model.integer(1, irVersion)
	model.text(2, about.Producer)
	model.text(6, about.Doc)
	model.nested(7, graph)
	model.nested(8, opset)
	for _, key := range slices.Sorted(maps.Keys(about.Metadata)) {
		var m message
		m.text(1, key)
		m.text(2, about.Metadata[key])
		model.nested(14, m)
	}
	if model.size() > math.MaxInt32 {
		return nil, fmt.Errorf("onnx: %w, this network has %d bytes", ErrTooLarge, model.size())
	}
	return model, nil
}

// Write writes the file's content.
func (g *Graph) Write(w io.Writer, about About) error {
	m, err := g.encode(about)
	if err != nil {
		return err
	}
	for _, piece := range m {
		if _, err := w.Write(piece); err != nil {
			return fmt.Errorf("onnx: %w", err)
		}
	}
	return nil
}

// Save writes the file, all or nothing.
func (g *Graph) Save(path string, about About) error {
	f, err := durable.Create(path)
	if err != nil {
		return fmt.Errorf("onnx: %w", err)
	}
	defer f.Abort()
	if err := g.Write(f, about); err != nil {
		return err
	}
	if err := f.Commit(); err != nil {
		return fmt.Errorf("onnx: %w", err)
	}
	return nil
}
