package export

import (
	"fmt"
	"math"
	"slices"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/export/onnx"
	"rekindle/pkg/model"
)

// Names of the network's input and output in an ONNX file.
const (
	Input  = "degraded"
	Sigma  = "sigma" // of networks that take the level of the noise
	Output = "restored"
)

// networks writes down each network of package model as ONNX operations. It
// must compute what Forward does there; tests compare the two.
var networks = map[string]func(b *builder, x onnx.Value){
	"unet":                      func(b *builder, x onnx.Value) { b.unet(x, Output) },
	"unet_residual":             func(b *builder, x onnx.Value) { b.g.Node("Sub", Output, []onnx.Value{x, b.unet(x, "noise")}) },
	"attention_unet":            func(b *builder, x onnx.Value) { b.attentionUNet(x, 4) },
	"attention_unet_bottleneck": func(b *builder, x onnx.Value) { b.attentionUNet(x, 1) },
	"shuffle_unet":              func(b *builder, x onnx.Value) { b.shuffleUNet(x) },
	"dncnn":                     func(b *builder, x onnx.Value) { b.dnCNN(x, "dncnn", true) },
	"dncnn_merged":              func(b *builder, x onnx.Value) { b.dnCNN(x, "model", false) },
	"ffdnet":                    func(b *builder, x onnx.Value) { b.ffdNet(x, "intermediate_dncnn.itermediate_dncnn", true) },
	"ffdnet_merged":             func(b *builder, x onnx.Value) { b.ffdNet(x, "model", false) },
	"drunet":                    func(b *builder, x onnx.Value) { b.drUNet(x) },
	"nafnet":                    func(b *builder, x onnx.Value) { b.nafNet(x) },
	"ridnet":                    func(b *builder, x onnx.Value) { b.ridNet(x) },
}

// graph makes the ONNX graph of a network for inference. Batch norm is part of
// the convolution before it. Batch, height and width are free.
func graph(net *model.Network, tensors []checkpoint.Tensor) (*onnx.Graph, error) {
	build, ok := networks[net.Name]
	if !ok {
		return nil, fmt.Errorf("export: %s cannot be written as ONNX yet; use safetensors", net.Name)
	}
	b := &builder{g: onnx.NewGraph(net.Name), net: net, distance: 1, tensors: map[string]checkpoint.Tensor{}, constants: map[string]onnx.Value{}}
	for _, t := range tensors {
		b.tensors[t.Name] = t
	}
	for _, e := range net.Entries() {
		t, ok := b.tensors[e.Name]
		if !ok {
			return nil, fmt.Errorf("export: the weights have no %s, which %s needs; they belong to another network", e.Name, net.Name)
		}
		if !slices.Equal(t.Shape, e.Shape) {
			return nil, fmt.Errorf("export: %s has the shape %v in the weights, but %v in %s with %d features", e.Name, t.Shape, e.Shape, net.Name, net.Options.Features)
		}
	}
	dims := []onnx.Dim{onnx.Named("batch"), onnx.Fixed(net.Options.Channels), onnx.Named("height"), onnx.Named("width")}
	x := b.g.Input(Input, dims...)
	if net.TakesSigma() {
		b.sigma = b.g.Input(Sigma, dims[0])
	}
	build(b, x)
	b.g.Output(Output, dims...)
	return b.g, nil
}

// builder adds layers, which are named as in PyTorch, to a graph.
type builder struct {
	g         *onnx.Graph
	net       *model.Network
	tensors   map[string]checkpoint.Tensor
	sigma     onnx.Value            // the level of the noise
	distance  int64                 // of the taps of a convolution that is added
	constants map[string]onnx.Value // that are there once
}

// names of the blocks of two networks that are built alike.
type names struct{ first, down, up string }

func (b *builder) unet(x onnx.Value, out string) onnx.Value {
	n := names{"inc.double_conv", "down%d.maxpool_conv.1.double_conv", "up%d.conv.double_conv"}
	levels := b.encoder(n, x)
	y := levels[4]
	for i := 1; i <= 4; i++ {
		skip := levels[4-i]
		y = b.padTo(b.upsample(i, y), skip, fmt.Sprintf("up%d.pad", i))
		y = b.doubleConv(fmt.Sprintf(n.up, i), b.join(i, skip, y))
	}
	return b.conv(y, out, "outc.conv", "")
}

// attentionUNet has its gates from the deepest level on.
func (b *builder) attentionUNet(x onnx.Value, gates int) {
	n := names{"inc.block", "down%d.block.1.block", "up%d.conv.block"}
	levels := b.encoder(n, x)
	y := levels[4]
	for i := 1; i <= 4; i++ {
		skip := levels[4-i]
		y = b.resizeTo(b.upsample(i, y), skip, fmt.Sprintf("up%d.resize", i))
		if i <= gates {
			skip = b.gate(fmt.Sprintf("up%d.attention", i), y, skip)
		}
		y = b.doubleConv(fmt.Sprintf(n.up, i), b.join(i, skip, y))
	}
	b.conv(y, Output, "outc", "")
}

// encoder returns the five levels, the finest first.
func (b *builder) encoder(n names, x onnx.Value) []onnx.Value {
	levels := []onnx.Value{b.doubleConv(n.first, x)}
	for i := 1; i <= 4; i++ {
		pooled := b.g.Node("MaxPool", fmt.Sprintf("down%d.pool", i), levels[i-1:i], onnx.Ints("kernel_shape", 2, 2), onnx.Ints("strides", 2, 2))
		levels = append(levels, b.doubleConv(fmt.Sprintf(n.down, i), pooled))
	}
	return levels
}

func (b *builder) join(i int, skip, y onnx.Value) onnx.Value {
	return b.g.Node("Concat", fmt.Sprintf("up%d.join", i), []onnx.Value{skip, y}, onnx.Int("axis", 1))
}

func (b *builder) doubleConv(name string, x onnx.Value) onnx.Value {
	x = b.relu(b.conv(x, name+".0", name+".0", name+".1"))
	return b.relu(b.conv(x, name+".3", name+".3", name+".4"))
}

func (b *builder) relu(x onnx.Value) onnx.Value {
	return b.g.Node("Relu", string(x)+".relu", []onnx.Value{x})
}

// epsilon is that of PyTorch's batch norm.
const epsilon = 1e-5

// conv adds the convolution called layer and the batch norm behind it, if that
// is not "", as one operation: norm(w x + b) = (s w) x + s (b - mean) + beta
// with s = gamma / sqrt(variance + epsilon).
func (b *builder) conv(x onnx.Value, name, layer, norm string, attributes ...onnx.Attribute) onnx.Value {
	w := b.tensors[layer+".weight"]
	weights, out := slices.Clone(w.Values), w.Shape[0]
	bias := make([]float32, out)
	copy(bias, b.tensors[layer+".bias"].Values) // none where a batch norm follows a 3x3 convolution
	if norm != "" {
		of := func(what string) []float32 { return b.tensors[norm+"."+what].Values }
		gamma, beta, mean, variance := of("weight"), of("bias"), of("running_mean"), of("running_var")
		for c := range out {
			scale := float64(gamma[c]) / math.Sqrt(float64(variance[c])+epsilon)
			bias[c] = float32(scale*(float64(bias[c])-float64(mean[c])) + float64(beta[c]))
			row := weights[c*len(weights)/out : (c+1)*len(weights)/out]
			for i := range row {
				row[i] = float32(scale * float64(row[i]))
			}
		}
	}
	side := int64(w.Shape[2])
	pad := side / 2 * b.distance
	attributes = append(attributes, onnx.Ints("kernel_shape", side, side), onnx.Ints("pads", pad, pad, pad, pad))
	if b.distance > 1 {
		attributes = append(attributes, onnx.Ints("dilations", b.distance, b.distance))
	}
	return b.g.Node("Conv", name, []onnx.Value{x, b.g.Floats(layer+".weight", w.Shape, weights), b.g.Floats(layer+".bias", []int{out}, bias)}, attributes...)
}

// upsample doubles both sides.
func (b *builder) upsample(i int, x onnx.Value) onnx.Value {
	name := fmt.Sprintf("up%d.up", i)
	if b.net.Options.Bilinear {
		double := b.once("double", func() onnx.Value { return b.g.Floats("double", []int{4}, []float32{1, 1, 2, 2}) })
		return b.g.Node("Resize", name, []onnx.Value{x, "", double}, onnx.Text("mode", "linear"), onnx.Text("coordinate_transformation_mode", "align_corners"))
	}
	w := b.tensors[name+".weight"] // [in, out, side, side]
	side := int64(w.Shape[2])
	pad := (side - 2) / 2
	return b.g.Node("ConvTranspose", name, []onnx.Value{x, b.g.Floats(name+".weight", w.Shape, w.Values), b.g.Floats(name+".bias", []int{w.Shape[1]}, b.tensors[name+".bias"].Values)},
		onnx.Ints("kernel_shape", side, side), onnx.Ints("strides", 2, 2), onnx.Ints("pads", pad, pad, pad, pad))
}

// size is the height and width of x.
func (b *builder) size(x onnx.Value, name string) onnx.Value {
	return b.g.Node("Shape", name, []onnx.Value{x}, onnx.Int("start", 2))
}

// padTo adds the row and the column of zeros that x lacks where pooling halved
// an odd side. It never lacks more, so all of them go behind.
func (b *builder) padTo(x, like onnx.Value, name string) onnx.Value {
	missing := b.g.Node("Sub", name+".missing", []onnx.Value{b.size(like, name+".wanted"), b.size(x, name+".size")})
	pads := b.g.Node("Concat", name+".pads", []onnx.Value{b.g.Integers(name+".none", 0, 0, 0, 0, 0, 0), missing}, onnx.Int("axis", 0))
	return b.g.Node("Pad", name, []onnx.Value{x, pads})
}

// resizeTo interpolates to the size of like, as PyTorch does without align_corners.
func (b *builder) resizeTo(x, like onnx.Value, name string) onnx.Value {
	rest := b.g.Node("Shape", name+".kept", []onnx.Value{x}, onnx.Int("end", 2))
	sizes := b.g.Node("Concat", name+".sizes", []onnx.Value{rest, b.size(like, name+".wanted")}, onnx.Int("axis", 0))
	return b.g.Node("Resize", name, []onnx.Value{x, "", "", sizes}, onnx.Text("mode", "linear"), onnx.Text("coordinate_transformation_mode", "half_pixel"))
}

// gate is the attention gate: each pixel of the skip times a weight in (0, 1).
func (b *builder) gate(name string, x, skip onnx.Value) onnx.Value {
	gate := b.conv(x, name+".W_g", name+".W_g.0", name+".W_g.1")
	from := b.conv(skip, name+".W_x", name+".W_x.0", name+".W_x.1")
	sum := b.relu(b.g.Node("Add", name+".sum", []onnx.Value{gate, from}))
	psi := b.g.Node("Sigmoid", name+".sigmoid", []onnx.Value{b.conv(sum, name+".psi", name+".psi.0", name+".psi.1")})
	return b.g.Node("Mul", name, []onnx.Value{skip, psi})
}
