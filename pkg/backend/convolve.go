package backend

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/core/tensors/images"
)

// Convolve computes one 3x3 convolution and its gradients in a number format, as
// training does. The error says why an engine cannot.
func Convolve(on compute.Backend, format dtypes.DType) (err error) {
	defer Catch(&err)
	const n, side, channels = 2, 16, 8
	exec, err := graph.NewExec(on, func(g *graph.Graph) []*graph.Node {
		x := graph.IotaFull(g, shapes.Make(dtypes.Float32, n, side, side, channels))
		x = graph.ConvertDType(graph.MulScalar(x, 1e-4), format)
		w := graph.ConvertDType(graph.MulScalar(graph.IotaFull(g, shapes.Make(dtypes.Float32, 3, 3, channels, channels)), 1e-3), format)
		y := graph.Convolve(x, w).ChannelsAxis(images.ChannelsLast).PadSame().Done()
		loss := graph.ReduceAllMean(graph.ConvertDType(y, dtypes.Float32))
		return append(graph.Gradient(loss, x, w), loss)
	})
	if err != nil {
		return &Error{err}
	}
	out, err := exec.Call()
	if err != nil {
		return &Error{err}
	}
	defer func() {
		for _, t := range out {
			t.FinalizeAll()
		}
	}()
	tensors.MustCopyFlatData[float32](out[2]) // a device may fail only when a result is fetched
	return nil
}
