// Package export writes a trained network as a file that other programs can
// use: ONNX, which holds the network itself and runs anywhere, or safetensors,
// its weights alone under PyTorch's names.
//
//	state, err := checkpoint.Load(".../best_model.pth")
//	err = export.ONNX(state, "best_model.onnx")
//
// docs/export.md says how to call the files from Python, JavaScript and others.
package export

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/checkpoint/safetensors"
	"rekindle/pkg/config"
	"rekindle/pkg/durable"
	"rekindle/pkg/experiment"
	"rekindle/pkg/export/onnx"
	"rekindle/pkg/model"
)

// format is a kind of file.
type format struct {
	ending string
	write  func(s *checkpoint.State, path string) error
}

var formats = map[string]format{"onnx": {".onnx", ONNX}, "safetensors": {".safetensors", Safetensors}, "fp16": {".fp16.safetensors", HalfSafetensors}}

// Formats lists the formats' names.
func Formats() []string { return []string{"onnx", "safetensors", "fp16"} }

// rule tells whoever opens an ONNX file how to call the network.
func rule(net *model.Network) string {
	s := "Restores pictures. The input " + Input + " is [batch, 3, height, width], RGB in [-1, 1] (v/127.5-1 for 8-bit v), sides of at least 16. "
	if net.TakesSigma() {
		s += "The input " + Sigma + " is [batch], the standard deviation of each picture's noise in grey levels of 0 to 255. "
	}
	return s + "The output " + Output + " has the same shape; clip it to [-1, 1]."
}

// ONNX writes the network of a checkpoint with its weights, float32.
func ONNX(s *checkpoint.State, path string) error {
	net, err := network(s)
	if err != nil {
		return err
	}
	g, err := graph(net, s.Network())
	if err != nil {
		return err
	}
	return g.Save(path, onnx.About{Producer: "rekindle", Doc: rule(net), Metadata: metadata(s, net)})
}

// Safetensors writes the weights of a checkpoint as PyTorch's state_dict has
// them, batch norm's statistics and counters included.
func Safetensors(s *checkpoint.State, path string) error { return saveSafetensors(s, path, false) }

// HalfSafetensors is [Safetensors] with numbers of 16 bits: half the size.
func HalfSafetensors(s *checkpoint.State, path string) error { return saveSafetensors(s, path, true) }

func saveSafetensors(s *checkpoint.State, path string, half bool) error {
	net, err := network(s)
	if err != nil {
		return err
	}
	items := make([]safetensors.Item, len(s.Model))
	for i, t := range s.Network() {
		items[i] = safetensors.Item{Name: t.Name, Shape: t.Shape, Float32: t.Values, Half: half}
		if t.IsCounter() {
			items[i].Int64 = []int64{t.Count}
		}
	}
	about := metadata(s, net)
	about["format"] = "pt" // what PyTorch's users of the format look for
	return safetensors.Save(path, items, about)
}

// metadata says what the weights belong to and what they were trained for.
func metadata(s *checkpoint.State, net *model.Network) map[string]string {
	about := map[string]string{
		"strength":    strength(s.Config),
		"trained":     strconv.FormatBool(hasLearnt(s)),
		"model":       net.Name,
		"features":    strconv.Itoa(net.Options.Features),
		"bilinear":    strconv.FormatBool(net.Options.Bilinear),
		"depth":       strconv.Itoa(net.Options.Depth),
		"degradation": s.Config.Degradation,
		"epoch":       strconv.Itoa(s.Epoch),
		"value_range": "[-1, 1]",
	}
	if low, high := s.Config.NoiseLevels(); high > 0 {
		about["noise_levels"] = fmt.Sprintf("%g-%g", low, high)
	}
	return about
}

// hasLearnt tells a network that has learnt something from fresh weights.
func hasLearnt(s *checkpoint.State) bool {
	return s.Epoch > 0 || s.Step > 0 || s.Config.InitialWeights != ""
}

// strength says how strongly the pictures were degraded that the network was
// trained with: "sigma_100", or that they were somebody's own, whose folder is
// nobody else's business.
func strength(c config.Config) string {
	d, err := c.NewDegradation()
	if err != nil {
		return ""
	}
	if c.OwnCopies() {
		return "own pictures"
	}
	name := d.Name() // "dithering/bayer/2_bits": the last part is the strength
	return name[strings.LastIndex(name, "/")+1:]
}

// about says in a line what the network is for.
func about(s *checkpoint.State) string {
	c := s.Config
	line := fmt.Sprintf("%s for %s", c.Model, c.Degradation)
	if how := strength(c); how != "" {
		line += " (" + strings.ReplaceAll(how, "_", " ") + ")"
	}
	return fmt.Sprintf("%s, %d epochs", line, s.Epoch)
}

func network(s *checkpoint.State) (*model.Network, error) {
	net, err := model.New(model.NameOf(s.Config.Model, s.Has), model.OptionsOf(s.Config))
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	return net, nil
}

// Experiment writes the best weights of an experiment, or the newest where there
// are no best ones yet or they are damaged, in a format of [Formats]; "fp16" is
// safetensors of 16-bit numbers. path may be
// "": then the file goes to the experiment's folder export. say is told which
// checkpoints are damaged, and of a network that was never trained.
func Experiment(exp *experiment.Experiment, format, path string, say func(line string)) (*Exported, error) {
	kind, ok := formats[format]
	if !ok {
		return nil, fmt.Errorf("export: there is no format %q; there are %s", format, strings.Join(Formats(), ", "))
	}
	state, from, err := weights(exp, say)
	if err != nil {
		return nil, err
	}
	if !hasLearnt(state) {
		say(from + " was never trained: its weights are still the random ones it began with, and it restores nothing")
	}
	var noFolder error
	if path == "" {
		path = filepath.Join(exp.Dir, "export", strings.TrimSuffix(from, ".pth")+kind.ending)
		noFolder = os.MkdirAll(filepath.Dir(path), 0o777)
	}
	err = noFolder
	if err == nil {
		_ = durable.Sweep(filepath.Dir(path)) // of what a killed export left; whether anything can be written there shows below
		err = kind.write(state, path)
	}
	if durable.Full(err) {
		return nil, fmt.Errorf("export: the disk of %s is full (%w); make room there, or name a place on another one: make export OUT=file, or rekindle export -out file", filepath.Dir(path), err)
	}
	if durable.MayOnlyRead(err) {
		return nil, fmt.Errorf("export: nothing can be written to %s (%w); name another place: make export OUT=file, or rekindle export -out file", filepath.Dir(path), err)
	}
	if err != nil {
		return nil, err
	}
	return &Exported{Path: path, From: from, About: about(state)}, nil
}

// Exported is a file that was written.
type Exported struct {
	Path  string
	From  string // the checkpoint that it was made of
	About string // a line for people: "unet for gaussian (sigma 100), 36 epochs"
}

// weights loads the checkpoint to export, with the configuration of its network.
func weights(exp *experiment.Experiment, say func(line string)) (s *checkpoint.State, from string, err error) {
	dir := exp.Checkpoints()
	from = checkpoint.Best
	s, err = checkpoint.Load(dir.Path(from))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, checkpoint.ErrDamaged) {
		var entry checkpoint.Entry
		s, entry, err = dir.Newest(say)
		from = entry.Name()
	}
	if err != nil {
		return nil, "", err
	}
	if s == nil {
		return nil, "", fmt.Errorf("export: %s has no checkpoint yet; train it first", exp.Name())
	}
	if s.Config.Model == "" { // made by PyTorch: only the experiment knows the network
		if s.Config, err = config.Load(exp.ConfigPath()); err != nil {
			return nil, "", errors.Join(fmt.Errorf("export: %s does not say which network it is of", from), err)
		}
	}
	return s, from, nil
}
