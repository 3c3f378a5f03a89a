package main

import (
	"fmt"
	"slices"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/train"
)

// record is a Reporter that remembers losses, and can stop the run.
type record struct {
	train.Silent
	losses  []float64
	onBatch func(n int)
	says    bool
}

func (r *record) Message(format string, args ...any) {
	if r.says {
		fmt.Printf(format+"\n", args...)
	}
}
func (r *record) Batch(_, _ int, loss, _ float64) {
	r.losses = append(r.losses, loss)
	if r.onBatch != nil {
		r.onBatch(len(r.losses))
	}
}

// difference is the largest difference of two States' weights, relative to the
// largest weight, and whether they are equal bit for bit.
func difference(a, b *checkpoint.State) (relative float64, equal bool) {
	var largest, off float64
	equal = len(a.Model) == len(b.Model)
	for i := range a.Model {
		x, y := a.Model[i].Values, b.Model[i].Values
		equal = equal && slices.Equal(x, y)
		for j := range x {
			largest = max(largest, abs(x[j]))
			off = max(off, abs(x[j]-y[j]))
		}
	}
	return off / largest, equal
}

func abs(v float32) float64 {
	if v < 0 {
		v = -v
	}
	return float64(v)
}
