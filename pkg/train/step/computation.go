package step

import (
	"fmt"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/distributed"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"rekindle/pkg/backend"
	"rekindle/pkg/figures"
)

// computation is a function of numbers, a batch and arrays that the engine
// compiles for the shapes it is called with.
//
// On several devices it is written down as on one, for the whole batch, which
// each device has a part of; numbers and arrays each device has all of. XLA finds
// out what follows (Xu et al., "GSPMD", 2021): the means of loss and batch norm
// are those of the whole batch. Lists of tensors hold device after device.
type computation struct {
	graph   func(in []*graph.Node) []*graph.Node
	scalars int // inputs before those of the batch
	batch   int // inputs that are divided, along their first axis

	exec     *graph.Exec
	devices  int
	compiled map[int]bool // by samples in the batch
}

// prepare forgets what was compiled, with the memory it holds: nothing may be
// running. devices 0 is the engine's first one; 1 is divided all the same, into one part.
func (c *computation) prepare(engine compute.Backend, devices int) (err error) {
	if c.exec != nil {
		c.exec.Finalize()
	}
	c.devices, c.compiled = max(devices, 1), map[int]bool{}
	if c.exec, err = graph.NewExec(engine, c.graph); err != nil || devices == 0 {
		return err
	}
	mesh, err := distributed.NewDeviceMesh([]int{devices}, []string{"batch"})
	if err != nil {
		return err
	}
	part, err := distributed.BuildSpec(mesh).S("batch").Done()
	if err != nil {
		return err
	}
	whole := distributed.NewReplicatedShardingSpec(mesh)
	var specs []*distributed.ShardingSpec
	for range c.scalars {
		specs = append(specs, whole)
	}
	for range c.batch {
		specs = append(specs, part)
	}
	numbers := make([]compute.DeviceNum, devices)
	for i := range numbers {
		numbers[i] = compute.DeviceNum(i)
	}
	// The last one holds for all that follow.
	c.exec.AutoSharding(mesh).WithInputShardingSpecs(append(specs, whole)...).WithOutputShardingSpecs(whole).WithDeviceAssignment(numbers)
	return nil
}

// call computes. Nothing of what it is given is changed or given away.
func (c *computation) call(scalars []float32, lists ...[]*tensors.Tensor) (*outputs, error) {
	var args []any
	for d := range c.devices {
		for _, s := range scalars {
			args = append(args, s)
		}
		for _, list := range lists {
			for _, t := range c.of(d, list) {
				args = append(args, t)
			}
		}
	}
	all, err := c.exec.Call(args...)
	if err != nil {
		return nil, &backend.Error{Err: err}
	}
	return &outputs{all: all, devices: c.devices}, nil
}

// of is device d's share of a list.
func (c *computation) of(d int, list []*tensors.Tensor) []*tensors.Tensor {
	n := len(list) / c.devices
	return list[d*n : (d+1)*n]
}

// Compilation is what is known of a computation before it runs.
type Compilation struct {
	Samples int
	Took    time.Duration
	Bytes   int64 // on each device: program, inputs, results and what lies between; 0: unknown
}

// compile does ahead what call would do first.
func (c *computation) compile(b *Input, lists ...[]*tensors.Tensor) (*Compilation, error) {
	began := time.Now()
	var list []shapes.Shape
	for d := range c.devices {
		for range c.scalars {
			list = append(list, shapes.Make(dtypes.Float32))
		}
		list = append(list, b.shapes()...)
		for _, l := range lists {
			for _, t := range c.of(d, l) {
				list = append(list, t.Shape())
			}
		}
	}
	g, err := c.exec.Compile(list...)
	if err != nil {
		return nil, &backend.Error{Err: err}
	}
	c.compiled[b.samples()] = true
	return &Compilation{b.samples(), time.Since(began), backend.ProgramMemory(g.Executable())}, nil
}

// outputs of a computation.
type outputs struct {
	all            []*tensors.Tensor
	devices, taken int
}

// take returns the next n results, those of the first device first.
func (o *outputs) take(n int) []*tensors.Tensor {
	var list []*tensors.Tensor
	for d := range o.devices {
		from := d*len(o.all)/o.devices + o.taken
		list = append(list, o.all[from:from+n]...)
	}
	o.taken += n
	return list
}

func (c Compilation) String() string {
	text := fmt.Sprintf("compiled for %d images in %.1f s", c.Samples, c.Took.Seconds())
	if c.Bytes > 0 {
		text += fmt.Sprintf("; it needs %s", figures.Gigabytes(c.Bytes))
	}
	return text
}
