package onnx

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"rekindle/pkg/internal/allocation"
)

// fieldsOf reads a protobuf message: its fields by number, lengths cut off.
func fieldsOf(t *testing.T, b []byte) map[protowire.Number][][]byte {
	t.Helper()
	fields := map[protowire.Number][][]byte{}
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatalf("no field where one should be: %v", protowire.ParseError(n))
		}
		b = b[n:]
		value, n := b, protowire.ConsumeFieldValue(number, kind, b)
		if n < 0 {
			t.Fatalf("field %d: %v", number, protowire.ParseError(n))
		}
		if value = b[:n]; kind == protowire.BytesType {
			value, _ = protowire.ConsumeBytes(value)
		}
		fields[number] = append(fields[number], value)
		b = b[n:]
	}
	return fields
}

// FuzzONNX: whatever names and numbers a network has, writing it is refused or the
// file says them again.
func FuzzONNX(f *testing.F) {
	f.Add("net", "x", "conv.weight", "y", "Conv", "doc", int64(-3), []byte{1, 2, 3, 4, 5, 6, 7, 8})
	f.Add("", "", "", "", "", "", int64(math.MinInt64), []byte{})
	f.Add("a\x00b", "ü", "ü", "\xff", "Relu", "\xfe", int64(math.MaxInt64), []byte{0, 0, 0xc0, 0x7f})
	f.Fuzz(func(t *testing.T, name, in, weight, out, op, doc string, setting int64, raw []byte) {
		values := make([]float32, len(raw)/4)
		for i := range values {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		var file bytes.Buffer
		var err error
		size := len(name) + 2*len(in) + 3*len(weight) + 4*len(out) + len(op) + 2*len(doc) + len(raw)
		allocation.Within(t, size, 60, 1<<17, func() {
			g := NewGraph(name)
			x := g.Input(in, Named("n"), Fixed(int(int32(setting))))
			w := g.Floats(weight, []int{len(values)}, values)
			g.Output(g.Node(op, out, []Value{x, w}, Int("a", setting), Ints("b", setting, 0), Text("c", doc)), Named(name))
			err = g.Write(&file, About{Producer: "p", Doc: doc, Metadata: map[string]string{name: doc}})
		})
		if err != nil {
			return
		}
		model := fieldsOf(t, file.Bytes())
		graph := fieldsOf(t, model[7][0])
		node, tensor := fieldsOf(t, graph[1][0]), fieldsOf(t, graph[5][0])
		attribute := fieldsOf(t, node[5][0])
		number, _ := protowire.ConsumeVarint(attribute[3][0])
		for _, c := range []struct{ what, got, want string }{
			{"graph", string(graph[2][0]), name}, {"doc", string(model[6][0]), doc}, {"operation", string(node[4][0]), op},
			{"first input", string(node[1][0]), in}, {"second input", string(node[1][1]), weight}, {"output", string(node[2][0]), out},
			{"weights", string(tensor[9][0]), string(raw[:4*len(values)])}, {"their name", string(tensor[8][0]), weight},
			{"given", string(fieldsOf(t, graph[11][0])[1][0]), in}, {"result", string(fieldsOf(t, graph[12][0])[1][0]), out},
			{"text", string(fieldsOf(t, node[5][2])[4][0]), doc}, {"metadata", string(fieldsOf(t, model[14][0])[1][0]), name},
		} {
			if c.got != c.want {
				t.Errorf("%s: %q was written as %q", c.what, c.want, c.got)
			}
		}
		if int64(number) != setting {
			t.Errorf("%d was written as %d", setting, int64(number))
		}
	})
}
