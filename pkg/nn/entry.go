package nn

import (
	"math"
	"math/rand/v2"
)

const (
	Weight    Role = iota // trained
	Statistic             // batch norm's running mean or variance
	Counter               // num_batches_tracked, kept on the host
)

// Role says what a tensor is for.
type Role int

// Entry is one tensor of a state_dict.
type Entry struct {
	Name  string // PyTorch's
	Shape []int  // PyTorch's layout; empty for a Counter
	Role  Role

	// Initialisation: uniform in ±bound where bound > 0, else the constant.
	bound, constant float64
}

// Init returns the first value of the tensor, as PyTorch's constructors draw
// it. The numbers come from r; a Counter has none.
func (e Entry) Init(r *rand.Rand) []float32 {
	if e.Role == Counter {
		return nil
	}
	n := 1
	for _, d := range e.Shape {
		n *= d
	}
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(e.constant)
		if e.bound > 0 {
			out[i] = float32(e.bound * (2*r.Float64() - 1))
		}
	}
	return out
}

// uniform is a trained tensor with PyTorch's default for convolutions,
// kaiming_uniform with a = sqrt(5), which is ±1/sqrt(fan_in) for weights and biases.
func uniform(name string, fanIn int, shape ...int) Entry {
	return Entry{Name: name, Shape: shape, bound: 1 / math.Sqrt(float64(fanIn))}
}
