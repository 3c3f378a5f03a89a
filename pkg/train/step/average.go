package step

import (
	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/backend"
)

// With EMADecay the run keeps a moving average of the weights beside them, as in
// Polyak and Juditsky, "Acceleration of stochastic approximation by averaging"
// (1992), with exponential weights. Training itself does not see it; validation
// and everything that restores pictures use it. Batch norm's running statistics
// are averaged alike: those of the trained weights do not fit averaged ones.

// moveAverage gives next the average after optimizer step t (1-based):
//
//	average = d * average + (1 - d) * weights, d = min(decay, (1+t)/(10+t))
//
// The smaller d of the first steps lets go of the weights that training began with.
func (e *Engine) moveAverage(at, next *Arrays, t int64) (err error) {
	defer backend.Catch(&err)
	decay := min(e.EMADecay, float64(1+t)/float64(10+t))
	out, err := e.average.call([]float32{float32(decay), float32(1 - decay)}, at.average, at.averageStatistics, next.weights, next.statistics)
	if err != nil {
		return err
	}
	next.average, next.averageStatistics = out.take(len(e.weights)), out.take(len(e.statistics))
	return nil
}

// averageGraph is one step of the average.
//
//	in:  d, 1-d, averages of weights and statistics, weights and statistics
//	out: averages
func (e *Engine) averageGraph(in []*graph.Node) []*graph.Node {
	keep, add, in := in[0], in[1], in[2:]
	averages, values := take(in, len(in)/2)
	out := make([]*graph.Node, len(averages))
	for i := range averages {
		out[i] = graph.Add(graph.Mul(averages[i], keep), graph.Mul(values[i], add))
	}
	return out
}
