package export

import (
	"fmt"

	"rekindle/pkg/export/onnx"
	"rekindle/pkg/model"
)

// The networks of the literature, as ONNX operations.

// stack is convolutions with ReLU between them, counted as in a Sequential of PyTorch:
// with batch norm behind each but the first and the last, or none.
func (b *builder) stack(x onnx.Value, prefix string, normed bool) onnx.Value {
	name := func(at int) string { return fmt.Sprintf("%s.%d", prefix, at) }
	at, depth := 0, b.net.Options.Depth
	for i := range depth {
		norm, next := "", at+2
		if normed && i > 0 && i < depth-1 {
			norm, next = name(at+1), at+3
		}
		x = b.conv(x, name(at), name(at), norm)
		if i < depth-1 {
			x = b.relu(x)
		}
		at = next
	}
	return x
}

func (b *builder) dnCNN(x onnx.Value, prefix string, normed bool) {
	b.g.Node("Sub", Output, []onnx.Value{x, b.times("noise", b.stack(b.unit(x), prefix, normed), 2)})
}

func (b *builder) ffdNet(x onnx.Value, prefix string, normed bool) {
	pixels := b.unshuffle(b.fill(b.unit(x), 2, "edge"))
	var in []onnx.Value
	if normed {
		in = []onnx.Value{b.levels(pixels, b.net.Options.Channels), pixels}
	} else {
		in = []onnx.Value{pixels, b.levels(pixels, 1)}
	}
	y := b.stack(b.g.Node("Concat", "told", in, onnx.Int("axis", 1)), prefix, normed)
	b.g.Node("Sub", Output, []onnx.Value{x, b.times("noise", b.cropTo(b.shuffle(y, "shuffled"), x), 2)})
}

func (b *builder) shuffleUNet(x onnx.Value) {
	blocks := func(y onnx.Value, name string) onnx.Value {
		for i := range 2 {
			y = b.residual(y, fmt.Sprintf("%s.%d", name, i), ".0", ".2")
		}
		return y
	}
	y := b.conv(b.unshuffle(b.fill(x, 8, "edge")), "entry", "entry", "")
	var skips []onnx.Value
	for i := range 2 {
		skips = append(skips, blocks(y, fmt.Sprintf("encoder.%d", i)))
		y = b.halve(skips[i], fmt.Sprintf("down.%d", i))
	}
	y = blocks(y, "middle")
	for i := range 2 {
		y = b.add(b.double2(y, fmt.Sprintf("up.%d", i)), skips[1-i])
		y = blocks(y, fmt.Sprintf("decoder.%d", i))
	}
	noise := b.shuffle(b.conv(y, "exit", "exit", ""), "shuffled")
	b.g.Node("Sub", Output, []onnx.Value{x, b.cropTo(noise, x)})
}

func (b *builder) drUNet(x onnx.Value) {
	depth := b.net.Options.Depth
	blocks := func(y onnx.Value, name string, first int) onnx.Value {
		for i := range depth {
			y = b.residual(y, fmt.Sprintf("%s.%d.res", name, first+i), ".0", ".2")
		}
		return y
	}
	padded := b.fill(b.unit(x), 8, "edge")
	y := b.g.Node("Concat", "told", []onnx.Value{padded, b.levels(padded, 1)}, onnx.Int("axis", 1))
	skips := []onnx.Value{b.conv(y, "m_head", "m_head", "")}
	for i := range 3 {
		name := fmt.Sprintf("m_down%d", i+1)
		skips = append(skips, b.halve(blocks(skips[i], name, 0), fmt.Sprintf("%s.%d", name, depth)))
	}
	y = blocks(skips[3], "m_body", 0)
	for i := 2; i >= 0; i-- {
		name := fmt.Sprintf("m_up%d", i+1)
		y = blocks(b.double2(b.add(y, skips[i+1]), name+".0"), name, 1)
	}
	y = b.cropTo(b.conv(b.add(y, skips[0]), "m_tail", "m_tail", ""), x)
	b.g.Node("Sub", Output, []onnx.Value{b.times("twice", y, 2), b.number("one", 1)})
}

func (b *builder) nafNet(x onnx.Value) {
	down, middle, up := [4]int{2, 2, 4, 8}, 12, 2
	if d := b.net.Options.Depth; d > 0 {
		down, middle, up = [4]int{d, d, d, d}, d, d
	}
	y := b.conv(b.fill(b.unit(x), 16, "constant"), "intro", "intro", "")
	var skips []onnx.Value
	for i, n := range down {
		skips = append(skips, b.nafBlocks(y, fmt.Sprintf("encoders.%d", i), n))
		y = b.halve(skips[i], fmt.Sprintf("downs.%d", i))
	}
	y = b.nafBlocks(y, "middle_blks", middle)
	for i := range 4 {
		name := fmt.Sprintf("ups.%d", i)
		y = b.add(b.shuffle(b.conv(y, name+".0", name+".0", ""), name+".1"), skips[3-i])
		y = b.nafBlocks(y, fmt.Sprintf("decoders.%d", i), up)
	}
	b.g.Node("Add", Output, []onnx.Value{x, b.times("found", b.cropTo(b.conv(y, "ending", "ending", ""), x), 2)})
}

func (b *builder) nafBlocks(x onnx.Value, name string, n int) onnx.Value {
	for i := range n {
		part := func(what string) string { return fmt.Sprintf("%s.%d.%s", name, i, what) }
		conv := func(x onnx.Value, what string) onnx.Value { return b.conv(x, part(what), part(what), "") }
		y := conv(b.layerNorm(x, part("norm1")), "conv1")
		each := int64(b.tensors[part("conv2")+".weight"].Shape[0]) // channels, each convolved by itself
		y = b.simpleGate(b.conv(y, part("conv2"), part("conv2"), "", onnx.Int("group", each)))
		attention := conv(b.g.Node("GlobalAveragePool", part("sca.0"), []onnx.Value{y}), "sca.1")
		y = conv(b.g.Node("Mul", part("attended"), []onnx.Value{y, attention}), "conv3")
		x = b.add(x, b.g.Node("Mul", part("scaled"), []onnx.Value{y, b.floats(part("beta"))}))
		y = conv(b.simpleGate(conv(b.layerNorm(x, part("norm2")), "conv4")), "conv5")
		x = b.add(x, b.g.Node("Mul", part("scaled again"), []onnx.Value{y, b.floats(part("gamma"))}))
	}
	return x
}

func (b *builder) layerNorm(x onnx.Value, name string) onnx.Value {
	mean := func(x onnx.Value, what string) onnx.Value {
		return b.g.Node("ReduceMean", name+what, []onnx.Value{x}, onnx.Ints("axes", 1), onnx.Int("keepdims", 1))
	}
	centred := b.g.Node("Sub", name+".centred", []onnx.Value{x, mean(x, ".mean")})
	variance := mean(b.g.Node("Mul", name+".squares", []onnx.Value{centred, centred}), ".variance")
	deviation := b.g.Node("Sqrt", name+".deviation", []onnx.Value{b.g.Node("Add", name+".positive", []onnx.Value{variance, b.number("1e-6", 1e-6)})})
	normal := b.g.Node("Div", name+".normal", []onnx.Value{centred, deviation})
	scaled := b.g.Node("Mul", name+".scaled", []onnx.Value{normal, b.perChannel(name + ".weight")})
	return b.g.Node("Add", name, []onnx.Value{scaled, b.perChannel(name + ".bias")})
}

// simpleGate is the first half of the channels times the second: those that the
// convolution before it makes.
func (b *builder) simpleGate(x onnx.Value) onnx.Value {
	c := int64(b.tensors[string(x)+".weight"].Shape[0])
	half := func(what string, from, to int64) onnx.Value {
		name := string(x) + what
		return b.g.Node("Slice", name, []onnx.Value{x, b.g.Integers(name+".from", from), b.g.Integers(name+".to", to), b.axis()})
	}
	return b.g.Node("Mul", string(x)+".gate", []onnx.Value{half(".first", 0, c/2), half(".second", c/2, c)})
}

func (b *builder) ridNet(x onnx.Value) {
	shift := func(name string, sign float32) onnx.Value {
		means := make([]float32, 3)
		for c, mean := range model.RIDNetMeans {
			means[c] = sign * float32(mean)
		}
		return b.g.Floats(name, []int{3, 1, 1}, means)
	}
	conv := func(x onnx.Value, name string) onnx.Value { return b.relu(b.conv(x, name, name, "")) }
	levels := b.times("levels", b.unit(x), 255)
	y := conv(b.g.Node("Add", "sub_mean", []onnx.Value{levels, shift("sub_mean.bias", -1)}), "head.body.0")
	for i := range b.net.Options.Depth {
		name := fmt.Sprintf("b%d", i+1)
		dilated := func(x onnx.Value, part string, distance int64) onnx.Value {
			b.distance = distance
			defer func() { b.distance = 1 }()
			return conv(x, name+part)
		}
		near := dilated(conv(y, name+".r1.body1.0"), ".r1.body1.2", 2)
		far := dilated(dilated(y, ".r1.body2.0", 3), ".r1.body2.2", 4)
		y = b.add(conv(b.g.Node("Concat", name+".both", []onnx.Value{near, far}, onnx.Int("axis", 1)), name+".r1.body3.0"), y)
		y = b.relu(b.residual(y, name+".r2.body", ".0", ".2"))
		y = b.relu(b.residual(y, name+".r3.body", ".0", ".2", ".4"))
		attention := conv(b.g.Node("GlobalAveragePool", name+".ca.avg_pool", []onnx.Value{y}), name+".ca.c1.body.0")
		attention = b.g.Node("Sigmoid", name+".ca.c2.body.1", []onnx.Value{b.conv(attention, name+".ca.c2.body.0", name+".ca.c2.body.0", "")})
		y = b.g.Node("Mul", name+".ca", []onnx.Value{y, attention})
	}
	y = b.g.Node("Add", "add_mean", []onnx.Value{b.conv(y, "tail", "tail", ""), shift("add_mean.bias", 1)})
	b.g.Node("Add", Output, []onnx.Value{x, b.times("found", y, 2.0/255)})
}

// residual is x + convolutions with ReLU between them.
func (b *builder) residual(x onnx.Value, name string, layers ...string) onnx.Value {
	y := x
	for i, l := range layers {
		if i > 0 {
			y = b.relu(y)
		}
		y = b.conv(y, name+l, name+l, "")
	}
	return b.add(y, x)
}

// add names a sum after what is added to.
func (b *builder) add(x, y onnx.Value) onnx.Value {
	return b.g.Node("Add", string(x)+" + "+string(y), []onnx.Value{x, y})
}

// halve is a strided convolution, double2 a transposed one, with kernel 2.
func (b *builder) halve(x onnx.Value, name string) onnx.Value {
	w := b.tensors[name+".weight"]
	return b.g.Node("Conv", name, []onnx.Value{x, b.floats(name + ".weight"), b.biasOf(name, w.Shape[0])}, onnx.Ints("kernel_shape", 2, 2), onnx.Ints("strides", 2, 2))
}

func (b *builder) double2(x onnx.Value, name string) onnx.Value {
	w := b.tensors[name+".weight"]
	return b.g.Node("ConvTranspose", name, []onnx.Value{x, b.floats(name + ".weight"), b.biasOf(name, w.Shape[1])},
		onnx.Ints("kernel_shape", 2, 2), onnx.Ints("strides", 2, 2), onnx.Ints("pads", 0, 0, 0, 0))
}

// biasOf is a layer's bias, zeros where it has none.
func (b *builder) biasOf(layer string, out int) onnx.Value {
	bias := make([]float32, out)
	copy(bias, b.tensors[layer+".bias"].Values)
	return b.g.Floats(layer+".bias", []int{out}, bias)
}

// unshuffle makes four channels of each, one for each pixel of its blocks of 2x2: a
// convolution with one tap, since SpaceToDepth has another order of channels.
func (b *builder) unshuffle(x onnx.Value) onnx.Value {
	c := b.net.Options.Channels
	taps := make([]float32, 16*c)
	for i := range 4 * c {
		taps[4*i+i%4] = 1
	}
	return b.g.Node("Conv", "unshuffled", []onnx.Value{x, b.g.Floats("unshuffled.weight", []int{4 * c, 1, 2, 2}, taps), b.g.Floats("unshuffled.bias", []int{4 * c}, make([]float32, 4*c))},
		onnx.Ints("kernel_shape", 2, 2), onnx.Ints("strides", 2, 2), onnx.Int("group", int64(c)))
}

func (b *builder) shuffle(x onnx.Value, name string) onnx.Value {
	return b.g.Node("DepthToSpace", name, []onnx.Value{x}, onnx.Int("blocksize", 2), onnx.Text("mode", "CRD"))
}

// levels spreads the input for the noise level over c channels of the size of x.
func (b *builder) levels(x onnx.Value, c int) onnx.Value {
	share := b.times("share", b.sigma, 1.0/255)
	each := b.g.Node("Reshape", "level", []onnx.Value{share, b.g.Integers("level.shape", -1, 1, 1, 1)})
	size := b.g.Node("Concat", "levels.shape", []onnx.Value{b.g.Integers("levels.channels", 1, int64(c)), b.size(x, "levels.size")}, onnx.Int("axis", 0))
	return b.g.Node("Expand", "levels", []onnx.Value{each, size})
}

// fill pads behind the last row and column until both sides are multiples of something.
func (b *builder) fill(x onnx.Value, multiple int64, mode string) onnx.Value {
	negative := b.g.Node("Sub", "filled.negative", []onnx.Value{b.g.Integers("filled.zero", 0), b.size(x, "filled.size")})
	missing := b.g.Node("Mod", "filled.missing", []onnx.Value{negative, b.g.Integers("filled.multiple", multiple)})
	pads := b.g.Node("Concat", "filled.pads", []onnx.Value{b.g.Integers("filled.none", 0, 0, 0, 0, 0, 0), missing}, onnx.Int("axis", 0))
	return b.g.Node("Pad", "filled", []onnx.Value{x, pads}, onnx.Text("mode", mode))
}

// cropTo takes away again what fill has added.
func (b *builder) cropTo(x, like onnx.Value) onnx.Value {
	return b.g.Node("Slice", "cropped", []onnx.Value{x, b.g.Integers("cropped.from", 0, 0), b.size(like, "cropped.to"), b.g.Integers("cropped.axes", 2, 3)})
}

// unit takes pictures from [-1, 1] to [0, 1].
func (b *builder) unit(x onnx.Value) onnx.Value {
	half := b.number("half", 0.5)
	return b.g.Node("Add", "unit", []onnx.Value{b.g.Node("Mul", "halved", []onnx.Value{x, half}), half})
}

func (b *builder) times(name string, x onnx.Value, by float32) onnx.Value {
	return b.g.Node("Mul", name, []onnx.Value{x, b.number(name+".factor", by)})
}

// number is a constant, which is there once.
func (b *builder) number(name string, v float32) onnx.Value {
	return b.once(name, func() onnx.Value { return b.g.Floats(name, []int{1}, []float32{v}) })
}

func (b *builder) axis() onnx.Value {
	return b.once("channels", func() onnx.Value { return b.g.Integers("channels", 1) })
}

func (b *builder) once(name string, add func() onnx.Value) onnx.Value {
	if _, ok := b.constants[name]; !ok {
		b.constants[name] = add()
	}
	return b.constants[name]
}

// floats is a tensor as it is, perChannel one of [C] for maps [n, C, h, w].
func (b *builder) floats(name string) onnx.Value {
	t := b.tensors[name]
	return b.g.Floats(name, t.Shape, t.Values)
}

func (b *builder) perChannel(name string) onnx.Value {
	t := b.tensors[name]
	return b.g.Floats(name, []int{t.Shape[0], 1, 1}, t.Values)
}
