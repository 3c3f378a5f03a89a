//go:build cgo && ((linux && (amd64 || arm64)) || (darwin && arm64))

// Package dryrun is XLA without XLA: an engine on which graphs become StableHLO
// programs, as they do on a GPU, that are kept instead of compiled. Whatever runs
// on it computes zeros.
//
// Use it to show on any machine that a computation can be written down for XLA
// on a GPU: that it knows every operation, with these shapes and types, gradients
// included. What it means, XLA on the CPU can tell; what a GPU makes of it, only a
// machine with one.
//
//	engine := dryrun.New(1)
//	exec := graph.MustNewExec(engine, f)
//	exec.MustCall(x)
//	fmt.Println(engine.Programs()[0].Text)
package dryrun

import (
	"fmt"
	"reflect"
	"sync"
	"unsafe"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
	"github.com/gomlx/go-xla/stablehlo"
)

// Program is one computation as XLA would be given it.
type Program struct {
	Name, Text string
}

// Engine is a compute.Backend.
type Engine struct {
	compute.Backend // go-xla's, without a plugin behind it

	mu       sync.Mutex
	programs []Program
}

// New returns an engine of that many GPUs.
func New(devices int) *Engine {
	// go-xla asks its plugin for no more than its name while a program is written down.
	plugin := &pjrt.Plugin{}
	set(plugin, "name", "cuda")
	b := &xla.Backend{DotGeneralUseTF32: true}
	set(b, "plugin", plugin)
	set(b, "pluginName", "cuda")
	set(b, "capabilities", xla.Capabilities.Clone())
	set(b, "numDevices", devices)
	return &Engine{Backend: b}
}

// field is an unexported field of a struct of go-xla's.
func field(of any, name string) reflect.Value {
	f := reflect.ValueOf(of).Elem().FieldByName(name)
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
}

func set[T any](of any, name string, value T) { field(of, name).Set(reflect.ValueOf(value)) }

// Programs lists what would have been compiled, in order.
func (e *Engine) Programs() []Program {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]Program{}, e.programs...)
}

func (e *Engine) Description() string                          { return "xla:cuda, a dry run" }
func (e *Engine) DeviceDescription(d compute.DeviceNum) string { return fmt.Sprintf("dry run %d", d) }
func (e *Engine) Finalize()                                    {}
func (e *Engine) HasSharedBuffers() bool                       { return false }
func (e *Engine) Builder(name string) compute.Builder          { return &builder{e.Backend.Builder(name), e, 1} }
func (e *Engine) BufferFromFlatData(d compute.DeviceNum, flat any, s shapes.Shape) (compute.Buffer, error) {
	if n := reflect.ValueOf(flat).Len(); n != s.Size() {
		return nil, fmt.Errorf("dryrun: %d values for shape %s", n, s)
	}
	return &buffer{e, d, s}, nil
}

type builder struct {
	compute.Builder
	engine  *Engine
	devices int
}

func (b *builder) DistributedSPMD(n int) error {
	b.devices = n
	return b.Builder.DistributedSPMD(n)
}

func (b *builder) DistributedAutoSharding(meshes ...compute.Mesh) error {
	for _, m := range meshes {
		n := 1
		for _, size := range m.AxesSizes {
			n *= size
		}
		b.devices = max(b.devices, n)
	}
	return b.Builder.DistributedAutoSharding(meshes...)
}

// Compile does what go-xla does before it calls the compiler.
func (b *builder) Compile() (compute.Executable, error) {
	text, err := field(b.Builder, "builder").Interface().(*stablehlo.Builder).Build()
	if err != nil {
		return nil, fmt.Errorf("dryrun: %s: %w", b.Name(), err)
	}
	b.engine.mu.Lock()
	b.engine.programs = append(b.engine.programs, Program{b.Name(), string(text)})
	b.engine.mu.Unlock()
	main := field(b.Builder, "mainFn").Interface().(*xla.Function)
	x := &executable{engine: b.engine, devices: b.devices}
	x.names = field(main, "parameterNames").Interface().([]string)
	x.inputs = field(main, "parameterShapes").Interface().([]shapes.Shape)
	for _, o := range field(main, "outputs").Interface().([]*xla.Node) {
		shape, err := b.OpShape(o)
		if err != nil {
			return nil, err
		}
		x.outputs = append(x.outputs, shape)
	}
	return x, nil
}

type executable struct {
	engine          *Engine
	devices         int
	names           []string
	inputs, outputs []shapes.Shape
}

func (x *executable) Finalize()                          {}
func (x *executable) Inputs() ([]string, []shapes.Shape) { return x.names, x.inputs }
func (x *executable) Outputs() []shapes.Shape            { return x.outputs }

func (x *executable) Execute(inputs []compute.Buffer, _ []bool, d compute.DeviceNum) ([]compute.Buffer, error) {
	if want := len(x.inputs) * x.devices; len(inputs) != want {
		return nil, fmt.Errorf("dryrun: %d inputs, want %d", len(inputs), want)
	}
	var out []compute.Buffer
	for device := range x.devices {
		if x.devices > 1 {
			d = compute.DeviceNum(device)
		}
		for _, s := range x.outputs {
			out = append(out, &buffer{x.engine, d, s})
		}
	}
	return out, nil
}

// buffer has a shape and a place, and holds zeros.
type buffer struct {
	engine *Engine
	device compute.DeviceNum
	shape  shapes.Shape
}

func (b *buffer) Backend() compute.Backend              { return b.engine }
func (b *buffer) Finalize() error                       { return nil }
func (b *buffer) Shape() (shapes.Shape, error)          { return b.shape, nil }
func (b *buffer) DeviceNum() (compute.DeviceNum, error) { return b.device, nil }
func (b *buffer) Data() (any, error)                    { return nil, fmt.Errorf("dryrun: buffers are not shared") }
func (b *buffer) ToFlatData(flat any) error {
	reflect.ValueOf(flat).Clear()
	return nil
}

func (b *buffer) CopyToDevice(d compute.DeviceNum) (compute.Buffer, error) {
	return &buffer{b.engine, d, b.shape}, nil
}
