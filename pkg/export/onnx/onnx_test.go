package onnx

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func build(spoil func(g *Graph)) error {
	g := NewGraph("net")
	x := g.Input("x", Named("n"), Fixed(3))
	y := g.Node("Add", "y", []Value{x, g.Floats("w", []int{3}, []float32{1, 2, 3})})
	g.Output(y, Named("n"), Fixed(3))
	spoil(g)
	return g.Write(&bytes.Buffer{}, About{})
}

func TestMistakesInAGraphAreFoundWhenItIsWritten(t *testing.T) {
	if err := build(func(*Graph) {}); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*Graph){
		`Relu "r" uses "z"`:      func(g *Graph) { g.Node("Relu", "r", []Value{"z"}) },
		`"y" is empty or given`:  func(g *Graph) { g.Node("Relu", "y", []Value{"x"}) },
		`"" is empty`:            func(g *Graph) { g.Integers("", 1) },
		`output "z" is not`:      func(g *Graph) { g.Output("z") },
		`"v" has 2 numbers, but`: func(g *Graph) { g.Floats("v", []int{3}, []float32{1, 2}) },
		"first":                  func(g *Graph) { g.Fail(errors.New("first")); g.Output("z") },
	} {
		if err := build(spoil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %s", err, want)
		}
	}
}

func TestANetworkOfMoreThanTwoGigabytesIsRefused(t *testing.T) {
	err := build(func(g *Graph) {
		// One piece of 512 MB, five times: the size counts, nothing is copied.
		piece := make([]byte, 1<<29)
		g.initializers = append(g.initializers, message{piece, piece, piece, piece, piece})
	})
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
}

// The bytes are spelt out here from the definitions in onnx.proto.
func TestAFileIsWhatProtobufSays(t *testing.T) {
	var out bytes.Buffer
	g := NewGraph("g")
	g.Output(g.Node("Relu", "y", []Value{g.Input("x", Named("n"), Fixed(3))}, Int("a", -1), Ints("b", 2, 300), Text("c", "d")), Fixed(3))
	if err := g.Write(&out, About{"p", "doc", map[string]string{"k": "v"}}); err != nil {
		t.Fatal(err)
	}
	neg := "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
	node := "\x0a\x01x\x12\x01y\x1a\x01y\x22\x04Relu" +
		"\x2a\x11\x0a\x01a\x18" + neg + "\xa0\x01\x02" +
		"\x2a\x0b\x0a\x01b\x40\x02\x40\xac\x02\xa0\x01\x07" +
		"\x2a\x09\x0a\x01c\x22\x01d\xa0\x01\x03"
	input := "\x0a\x01x\x12\x0f\x0a\x0d\x08\x01\x12\x09\x0a\x03\x12\x01n\x0a\x02\x08\x03"
	output := "\x0a\x01y\x12\x0a\x0a\x08\x08\x01\x12\x04\x0a\x02\x08\x03"
	field := func(tag byte, content string) string { return string([]byte{tag, byte(len(content))}) + content }
	graph := field(0x0a, node) + field(0x12, "g") + field(0x5a, input) + field(0x62, output)
	want := "\x08\x08" + field(0x12, "p") + field(0x32, "doc") + field(0x3a, graph) + field(0x42, "\x0a\x00\x10\x11") + field(0x72, "\x0a\x01k\x12\x01v")
	if out.String() != want {
		t.Errorf("got\n%q, want\n%q", out.String(), want)
	}
}
