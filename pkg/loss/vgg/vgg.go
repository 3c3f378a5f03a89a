// Package vgg reads the weights of VGG16 (Simonyan and Zisserman, "Very Deep
// Convolutional Networks for Large-Scale Image Recognition", ICLR 2015), as far
// as the perceptual loss needs them: the seven convolutions up to relu3_3.
//
//	weights, err := vgg.Open("data/vgg16-397923af.pth")
//
// The file is torchvision's state_dict, or the same names in a safetensors file;
// the other layers in it are not read.
package vgg

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"

	"rekindle/pkg/checkpoint/pth"
	"rekindle/pkg/checkpoint/safetensors"
)

// Source is where torchvision gets its weights from, 553 MB.
const Source = "https://download.pytorch.org/models/vgg16-397923af.pth"

// Indices are the convolutions' places in torchvision's "features": conv1_1,
// conv1_2, conv2_1, conv2_2, conv3_1, conv3_2, conv3_3.
var Indices = [7]int{0, 2, 5, 7, 10, 12, 14}

// vgg19 has a convolution there, VGG16 a pooling.
const vgg19 = "features.16.weight"

// Weights are the convolutions in order.
type Weights [len(Indices)]Conv

// Conv is one convolution with kernel 3 and padding 1.
type Conv struct {
	In, Out int
	Weight  []float32 // [Out, In, 3, 3]
	Bias    []float32 // [Out]
}

// array is a tensor in a file of either format.
type array struct {
	shape []int
	read  func() ([]float32, error)
}

// Open reads the weights. The error says what to do.
func Open(path string) (*Weights, error) {
	find, close, err := open(path)
	if err != nil {
		return nil, err
	}
	defer close()
	if _, ok := find(vgg19); ok {
		return nil, fmt.Errorf("%s: it holds VGG19, the perceptual loss takes VGG16; torchvision's is at %s", path, Source)
	}
	var w Weights
	in := 3
	for i, index := range Indices {
		c, err := conv(find, fmt.Sprintf("features.%d", index), in)
		if err != nil {
			return nil, fmt.Errorf("%s: it does not hold the weights of torchvision's vgg16 (%w); they are at %s", path, err, Source)
		}
		w[i], in = c, c.Out
	}
	return &w, nil
}

// open returns a way to find tensors by name, whichever the format.
func open(path string) (find func(name string) (array, bool), close func() error, err error) {
	s, err := safetensors.Open(path)
	if err == nil {
		return func(name string) (array, bool) {
			t, ok := s.Tensor(name)
			if !ok {
				return array{}, false
			}
			return array{t.Shape, t.Float32s}, true
		}, s.Close, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("there is no file %s; get torchvision's weights of vgg16 from %s", path, Source)
	}
	if !errors.Is(err, safetensors.ErrNotSafetensors) {
		return nil, nil, err
	}
	p, err := pth.Open(path)
	if err != nil {
		return nil, nil, err
	}
	root, ok := p.Root.(*pth.Dict)
	if !ok {
		p.Close()
		return nil, nil, fmt.Errorf("%s: it holds no state_dict; torchvision's is at %s", path, Source)
	}
	return func(name string) (array, bool) {
		v, _ := root.Get(name)
		t, ok := v.(*pth.Tensor)
		if !ok {
			return array{}, false
		}
		return array{t.Shape, t.Float32s}, true
	}, p.Close, nil
}

// conv reads one convolution with in channels.
func conv(find func(string) (array, bool), name string, in int) (c Conv, err error) {
	weight, ok := find(name + ".weight")
	bias, ok2 := find(name + ".bias")
	switch {
	case !ok:
		return c, fmt.Errorf("%s.weight is missing", name)
	case len(weight.shape) != 4 || weight.shape[0] < 1 || !slices.Equal(weight.shape[1:], []int{in, 3, 3}):
		return c, fmt.Errorf("%s.weight has shape %v, want [… %d 3 3]", name, weight.shape, in)
	case !ok2 || !slices.Equal(bias.shape, weight.shape[:1]):
		return c, fmt.Errorf("%s.bias is missing or does not fit", name)
	}
	c = Conv{In: in, Out: weight.shape[0]}
	if c.Weight, err = weight.read(); err != nil {
		return c, err
	}
	if c.Bias, err = bias.read(); err != nil {
		return c, err
	}
	for _, v := range slices.Concat(c.Weight, c.Bias) {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return c, fmt.Errorf("%s holds a value that is no number", name)
		}
	}
	return c, nil
}
