package onnx

import (
	"fmt"
	"unicode/utf8"
)

// Graph is a network under construction: operations in the order in which they
// are computed, and the weights they use. The first mistake, such as a name
// given twice, is kept and returned when the graph is written.
type Graph struct {
	name                                 string
	nodes, initializers, inputs, outputs []message
	known                                map[Value]bool
	err                                  error
}

// Value is something computed, given or constant, by its name. The empty Value
// stands for an optional input that is left out.
type Value string

// NewGraph begins a graph.
func NewGraph(name string) *Graph { return &Graph{name: name, known: map[Value]bool{}} }

// define notes a new name.
func (g *Graph) define(name string) Value {
	g.check(name)
	if v := Value(name); name != "" && !g.known[v] {
		g.known[v] = true
		return v
	}
	g.Fail(fmt.Errorf("onnx: the name %q is empty or given twice", name))
	return ""
}

func (g *Graph) given(name string, dims []Dim) message {
	for _, d := range dims {
		g.check(d.name)
	}
	return valueInfo(name, dims)
}

// check refuses a text that no reader of protobuf takes.
func (g *Graph) check(text string) {
	if !utf8.ValidString(text) {
		g.Fail(fmt.Errorf("onnx: the text %.50q is not UTF-8", text))
	}
}

// Fail makes writing the graph fail with err, unless it would already.
func (g *Graph) Fail(err error) {
	if g.err == nil {
		g.err = err
	}
}

// Input declares what is given to the network, floats.
func (g *Graph) Input(name string, dims ...Dim) Value {
	g.inputs = append(g.inputs, g.given(name, dims))
	return g.define(name)
}

// Output declares a value of that name, as Node returned it, to be a result.
func (g *Graph) Output(v Value, dims ...Dim) {
	if !g.known[v] {
		g.Fail(fmt.Errorf("onnx: the output %q is not computed", v))
	}
	g.outputs = append(g.outputs, g.given(string(v), dims))
}

// Floats adds weights, row-major.
func (g *Graph) Floats(name string, shape []int, values []float32) Value {
	n := 1
	for _, d := range shape {
		n *= d
	}
	if n != len(values) {
		g.Fail(fmt.Errorf("onnx: %q has %d numbers, but the shape %v", name, len(values), shape))
	}
	g.initializers = append(g.initializers, tensor(name, shape, typeFloat, floatBytes(values)))
	return g.define(name)
}

// Integers adds a list of integers.
func (g *Graph) Integers(name string, values ...int64) Value {
	g.initializers = append(g.initializers, tensor(name, []int{len(values)}, typeInt64, intBytes(values)))
	return g.define(name)
}

// Node adds an operation with one result, which gets the node's name.
func (g *Graph) Node(op, name string, inputs []Value, attributes ...Attribute) Value {
	var m message
	for _, v := range inputs {
		if v != "" && !g.known[v] {
			g.Fail(fmt.Errorf("onnx: %s %q uses %q, which is not there yet", op, name, v))
		}
		m.text(1, string(v))
	}
	g.check(op)
	m.text(2, name)
	m.text(3, name)
	m.text(4, op)
	for _, a := range attributes {
		m.nested(5, a.encoded)
	}
	g.nodes = append(g.nodes, m)
	return g.define(name)
}
