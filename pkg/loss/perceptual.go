package loss

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/loss/vgg"
	"rekindle/pkg/nn"
)

// ImageNet's mean and standard deviation of red, green and blue in [0, 1], to
// which VGG16 was trained.
var (
	imageNetMean = [3]float64{0.485, 0.456, 0.406}
	imageNetStd  = [3]float64{0.229, 0.224, 0.225}
)

// perceptual compares what VGG16 sees in two pictures [n, 3, h, w] in [-1, 1],
// sides of at least 4: the mean absolute difference of its features at relu2_2
// and at relu3_3, and of the two the mean. That is the feature loss of Johnson
// et al., "Perceptual Losses for Real-Time Style Transfer and Super-Resolution"
// (ECCV 2016), with the absolute instead of the squared difference.
//
// The network is a constant of the graph: it is not trained.
func perceptual(weights *vgg.Weights, pred, target *graph.Node) *graph.Node {
	values := map[string]*graph.Node{}
	layers := make([]nn.Conv3x3, len(weights))
	for i, c := range weights {
		name := fmt.Sprintf("features.%d", vgg.Indices[i])
		layers[i] = nn.Conv3x3{Name: name, In: c.In, Out: c.Out, Bias: true}
		values[name+".weight"] = constant(pred, c.Weight, c.Out, c.In, 3, 3)
		values[name+".bias"] = constant(pred, c.Bias, c.Out)
	}
	scope := nn.NewScope(pred.Graph(), false, values)
	a2, a3 := features(scope, layers, pred)
	b2, b3 := features(scope, layers, target)
	total := graph.Add(nn.MeanAbsDifference(scope, a2, b2), nn.MeanAbsDifference(scope, a3, b3))
	return graph.MulScalar(total, 0.5)
}

// features returns relu2_2 and relu3_3.
func features(s *nn.Scope, layers []nn.Conv3x3, images *graph.Node) (relu2, relu3 nn.Map) {
	// ((x+1)/2 - mean) / std
	scale, shift := make([]float64, 3), make([]float64, 3)
	for i := range 3 {
		scale[i], shift[i] = 0.5/imageNetStd[i], (0.5-imageNetMean[i])/imageNetStd[i]
	}
	x := nn.ScaleShift(s, s.Enter(images), scale, shift)
	x = layers[1].ReLU(s, layers[0].ReLU(s, x))
	relu2 = layers[3].ReLU(s, layers[2].ReLU(s, nn.MaxPool(s, x)))
	x = layers[5].ReLU(s, layers[4].ReLU(s, nn.MaxPool(s, relu2)))
	return relu2, layers[6].ReLU(s, x)
}
