// Package checkpoint keeps the State of a training run in files that PyTorch
// can open, and finds the newest good one again.
//
// A run is a pure function of (config, State): nothing else carries information
// from one moment to the next. So resuming is
//
//	state, entry, err := checkpoint.Newest(dir, report)
//
// and going on from state gives the same weights, bit for bit, as never having
// stopped.
//
// A file is written whole or not at all (package durable). Reading checks the
// zip's own CRC of every entry and a checksum of all tensors; a file that fails
// is reported, kept and passed over for the next best. What is not promised:
// a file system that loses data after a successful fsync is beyond us.
package checkpoint

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strings"
	"unsafe"

	"rekindle/pkg/config"
	"rekindle/pkg/history"
	"rekindle/pkg/schedule"
)

// State is everything that training depends on, at the end of some optimizer
// step. Arrays are in PyTorch's layout: convolution weights [out, in, h, w],
// transposed convolutions [in, out, h, w]. What PyTorch's own dictionaries have no
// place for stands under metadata.rekindle, by the names of the JSON keys.
type State struct {
	Cursor
	Seed int64 `json:"seed"` // of the data's order and crops

	Model []Tensor `json:"-"` // as state_dict() lists it, counters and statistics included

	BestEpoch int     `json:"best_epoch"`       // epoch of the lowest validation loss; 0: none yet
	BestLoss  float64 `json:"-"`                // that loss; NaN: none yet
	Patience  int     `json:"patience_counter"` // validations since without improvement

	MicroBatch int `json:"micro_batch"` // samples computed at once since memory ran out; 0: whole batches

	Partial Partial         `json:"partial_epoch"`    // what the unfinished epoch has gathered so far
	History history.History `json:"history"`          // one entry for each completed epoch
	Anchor  schedule.Anchor `json:"lr_anchor"`        // where the learning-rate curve was last re-planned
	Config  config.Config   `json:"config"`           // in force when the State was saved
	Data    json.RawMessage `json:"data,omitempty"`   // what it was trained on; nil: not known
	Engine  string          `json:"engine,omitempty"` // that computed it, e.g. "go" or "xla:cpu, 4 devices"; "": not known
	Reason  string          `json:"saved_because"`    // e.g. "epoch" or "out of memory"

	Cosine *Cosine `json:"-"` // of a file made by PyTorch, which knows no Config; else nil
}

// Cursor is how far training has come.
type Cursor struct {
	Epoch    int   `json:"-"`        // completed epochs
	Position int   `json:"position"` // samples already used of epoch Epoch+1; 0 between epochs
	Step     int64 `json:"step"`     // optimizer steps taken
}

// String says in words how far that is.
func (c Cursor) String() string {
	text := fmt.Sprintf("epoch %d", c.Epoch)
	if c.Position > 0 {
		text += fmt.Sprintf(" and %d patches", c.Position)
	}
	return text
}

// Compare is negative where c is before d, as whoever resumes sees it.
func (c Cursor) Compare(d Cursor) int {
	return cmp.Or(cmp.Compare(c.Epoch, d.Epoch), cmp.Compare(c.Position, d.Position))
}

// Cosine is what a CosineAnnealingLR in a file made by PyTorch says of its plan.
type Cosine struct {
	BaseLR, MinLR float64 // that it begins and ends with
	Epochs        int     // that its last plan has (T_max)
	Steps         int     // epochs of these that are done
	LR            float64 // of the next one
}

// Tensor is one entry of a state_dict, and what training keeps of it besides.
type Tensor struct {
	Name   string    // as in PyTorch, e.g. "inc.double_conv.0.weight"
	Shape  []int     // in PyTorch's layout, empty for a counter
	Values []float32 // row-major; nil for a counter
	Count  int64     // value of a counter (num_batches_tracked)

	First, Second []float32 // AdamW's moments (exp_avg, exp_avg_sq) of a parameter; nil for the others
	Average       []float32 // moving average of Values; nil for a counter, and unless Config.EMADecay is set
}

// IsCounter tells num_batches_tracked from arrays of numbers.
func (t Tensor) IsCounter() bool { return strings.HasSuffix(t.Name, ".num_batches_tracked") }

// IsParameter tells what the optimizer trains from batch-norm statistics.
func (t Tensor) IsParameter() bool {
	return !t.IsCounter() && !strings.HasSuffix(t.Name, ".running_mean") && !strings.HasSuffix(t.Name, ".running_var")
}

// Partial sums over the samples of an epoch that is under way.
type Partial struct {
	Samples  int     `json:"samples"` // that the sums are over; rejected ones are not in them
	Loss     float64 `json:"loss"`    // sum over samples, divide by Samples
	L1       float64 `json:"l1"`
	SSIM     float64 `json:"ssim"`
	Seconds  float64 `json:"seconds"`  // spent training so far
	Rejected int     `json:"rejected"` // batches left out because their loss was not a number
}

// Parameters returns the trained tensors, in the optimizer's order.
func (s *State) Parameters() []Tensor {
	return slices.DeleteFunc(slices.Clone(s.Model), func(t Tensor) bool { return !t.IsParameter() })
}

// HasAverage reports whether a moving average of the weights is kept.
func (s *State) HasAverage() bool {
	return slices.ContainsFunc(s.Model, func(t Tensor) bool { return t.IsParameter() && t.Average != nil })
}

// Has reports whether there is a tensor of that name.
func (s *State) Has(name string) bool {
	return slices.ContainsFunc(s.Model, func(t Tensor) bool { return t.Name == name })
}

// Network returns the tensors to use the network with: Model, with averages in
// place of what was trained last where there are any. The values are shared.
func (s *State) Network() []Tensor {
	tensors := slices.Clone(s.Model)
	for i := range tensors {
		if t := &tensors[i]; t.Average != nil {
			t.Values = t.Average
		}
	}
	return tensors
}

// HasBest reports whether any epoch was validated yet.
func (s *State) HasBest() bool { return s.BestEpoch > 0 && !math.IsNaN(s.BestLoss) }

// checksum covers every number of the tensors, in order.
func (s *State) checksum() string {
	table := crc32.MakeTable(crc32.Castagnoli)
	var sum uint32
	add := func(values []float32) {
		if len(values) > 0 {
			sum = crc32.Update(sum, table, unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), 4*len(values)))
		}
	}
	for _, t := range s.Model {
		add(t.Values)
	}
	for _, t := range s.Model {
		add(t.First)
		add(t.Second)
	}
	for _, parameters := range []bool{true, false} {
		for _, t := range s.Model {
			if t.IsParameter() == parameters {
				add(t.Average)
			}
		}
	}
	return fmt.Sprintf("%08x", sum)
}
