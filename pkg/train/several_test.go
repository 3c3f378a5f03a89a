package train

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"

	"rekindle/pkg/internal/bitwise"
)

// several is the Go engine in the clothes of an engine with n devices: it joins
// the parts that the devices have, checks that what each should have all of is
// the same everywhere, computes once, and gives every device the results. It shows
// that each device is given the right things, not what XLA makes of them.
type several struct {
	compute.Backend
	n int
}

func (s *several) NumDevices() int        { return s.n }
func (s *several) HasSharedBuffers() bool { return false }
func (s *several) Builder(name string) compute.Builder {
	return &severalBuilder{Builder: s.Backend.Builder(name), s: s}
}

func (s *several) BufferFromFlatData(d compute.DeviceNum, flat any, shape shapes.Shape) (compute.Buffer, error) {
	if int(d) >= s.n {
		return nil, fmt.Errorf("there is no device %d", d)
	}
	b, err := s.Backend.BufferFromFlatData(0, flat, shape)
	return &severalBuffer{b, s, d}, err
}

type severalBuffer struct {
	compute.Buffer
	s *several
	d compute.DeviceNum
}

func (b *severalBuffer) Backend() compute.Backend              { return b.s }
func (b *severalBuffer) DeviceNum() (compute.DeviceNum, error) { return b.d, nil }

func (b *severalBuffer) values() ([]float32, error) {
	shape, err := b.Shape()
	if err != nil {
		return nil, err
	}
	values := make([]float32, shape.Size())
	return values, b.ToFlatData(values)
}

type severalBuilder struct {
	compute.Builder
	s     *several
	n     int // devices of the computation
	specs []*compute.ShardingSpec
}

func (b *severalBuilder) DistributedAutoSharding(m ...compute.Mesh) error {
	b.n = m[0].AxesSizes[0]
	return nil
}
func (b *severalBuilder) DeviceAssignment(...compute.DeviceNum) error { return nil }
func (b *severalBuilder) Main() compute.Function                      { return &severalFunction{b.Builder.Main(), b} }
func (b *severalBuilder) Compile() (compute.Executable, error) {
	e, err := b.Builder.Compile()
	return &severalExecutable{e, b}, err
}

type severalFunction struct {
	compute.Function
	b *severalBuilder
}

func (f *severalFunction) Parameter(name string, shape shapes.Shape, spec *compute.ShardingSpec) (compute.Value, error) {
	f.b.specs = append(f.b.specs, spec)
	return f.Function.Parameter(name, shape, nil)
}

func (f *severalFunction) Return(out []compute.Value, _ []*compute.ShardingSpec) error {
	return f.Function.Return(out, nil)
}

type severalExecutable struct {
	compute.Executable
	b *severalBuilder
}

func (e *severalExecutable) Execute(in []compute.Buffer, _ []bool, _ compute.DeviceNum) ([]compute.Buffer, error) {
	s, n := e.b.s, max(e.b.n, 1)
	_, want := e.Inputs()
	var joined []compute.Buffer
	for i, spec := range e.b.specs {
		divided := spec != nil && len(spec.Axes) > 0 && len(spec.Axes[0]) > 0
		var all []float32
		for d := range n {
			b := in[d*len(e.b.specs)+i].(*severalBuffer)
			if int(b.d) != d {
				return nil, fmt.Errorf("input %d of device %d lies on device %d", i, d, b.d)
			}
			values, err := b.values()
			switch {
			case err != nil:
				return nil, err
			case divided || d == 0:
				all = append(all, values...)
			case !slices.Equal(values, all):
				return nil, fmt.Errorf("input %d differs from device to device", i)
			}
		}
		b, err := s.Backend.BufferFromFlatData(0, all, want[i])
		if err != nil {
			return nil, err
		}
		joined = append(joined, b)
	}
	out, err := e.Executable.Execute(joined, nil, 0)
	if err != nil {
		return nil, err
	}
	var all []compute.Buffer
	for d := range n {
		for _, o := range out {
			values, err := (&severalBuffer{Buffer: o}).values()
			if err != nil {
				return nil, err
			}
			shape, err := o.Shape()
			if err != nil {
				return nil, err
			}
			b, err := s.BufferFromFlatData(compute.DeviceNum(d), values, shape)
			if err != nil {
				return nil, err
			}
			all = append(all, b)
		}
	}
	return all, nil
}

// TestABatchDividedOverDevicesTrainsAsOnOne: 18 patches in batches of 4, which
// three devices cannot share evenly, and 4 to validate with. The runs are stopped
// on their way.
func TestABatchDividedOverDevicesTrainsAsOnOne(t *testing.T) {
	cfg := tiny(t)
	cfg.EMADecay, cfg.NumEpochs, cfg.ValPatchesPerImage = 0.9, 2, 4
	for _, c := range []struct{ accumulate, devices int }{{1, 1}, {1, 2}, {2, 2}, {1, 3}} {
		cfg.AccumulationSteps, cfg.ResumeFromCheckpoint = c.accumulate, false
		_, want := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{FillUp: true})
		exp := newExperiment(t, cfg)
		cfg.ResumeFromCheckpoint = true
		for outcome := Interrupted; outcome == Interrupted; {
			ctx, w := interruptAfter(3)
			result, _ := mustRun(t, ctx, exp, cfg, Options{Backend: &several{goEngine(t), c.devices}, Devices: c.devices, Reporter: w, GPU: c.devices == 2})
			outcome = result.Outcome
		}
		got := newest(t, exp)
		if c.devices < 3 {
			bitwise.SameTraining(t, got, want)
			continue
		}
		// A batch of 6 instead of 4 is rounded otherwise.
		for i, loss := range want.History.TrainLoss {
			if off := math.Abs(got.History.TrainLoss[i]-loss) / loss; off > 1e-4 {
				t.Errorf("epoch %d on %d devices: the loss is off by %g of it", i+1, c.devices, off)
			}
		}
	}
}
