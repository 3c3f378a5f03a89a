package restore

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/gomlx/compute"

	"rekindle/pkg/backend"
	"rekindle/pkg/checkpoint"
	"rekindle/pkg/checkpoint/weights"
	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
	"rekindle/pkg/model"
	"rekindle/pkg/pretrained"
)

// About says what a [Restorer] was opened from.
type About struct {
	Path        string // of the file that the weights are from
	Network     string // by name, see package model
	Options     model.Options
	Epoch       int        // of training; 0 where the file does not say
	Degradation string     // that it was trained for, "" where the file does not say
	Levels      [2]float64 // of noise that it was trained for, the lowest and the highest, in grey levels; both 0 where that is not known
	Engine      backend.Choice
}

// String is a line such as "best_model.pth: unet with 16 features, epoch 36, trained for gaussian".
func (a About) String() string {
	s := fmt.Sprintf("%s: %s with %d features", a.Path, a.Network, a.Options.Features)
	if a.Options.Depth > 0 {
		s += fmt.Sprintf(", depth %d", a.Options.Depth)
	}
	if a.Options.Channels == 1 {
		s += ", for grey pictures"
	}
	if a.Epoch > 0 {
		s += fmt.Sprintf(", epoch %d", a.Epoch)
	}
	if a.Degradation != "" {
		s += ", trained for " + a.Degradation
	}
	return s
}

// Opening are choices that a file may leave to the caller. Its zero value leaves
// everything to the file and this machine.
type Opening struct {
	Network   string          // by name, where a file's tensors fit several
	BlueFirst bool            // the network was trained on colours in the order blue, green, red, as OpenCV reads them
	Backend   compute.Backend // computes; nil: the one that backend.Open gives for Device
	Device    string          // as in a configuration; "": "auto", one engine for all
	Say       func(line string)
}

// ErrUntrained is returned for an experiment without a checkpoint.
var ErrUntrained = errors.New("has no checkpoint yet; train it first")

// Open makes a Restorer of an experiment's folder (its best weights, else the
// newest), of a checkpoint (.pth, ours or PyTorch's) or of a .safetensors file.
// What network the weights are of is read from the file: from what it says of
// itself, from the config.json of the experiment that it lies in, or from names
// and shapes of its tensors. Where two networks fit, the error names them, and
// [Opening].Network decides.
//
// All Restorers share one engine unless told otherwise.
func Open(path string) (*Restorer, error) { return Opening{}.Open(path) }

// Open is [Open] with these choices.
func (o Opening) Open(path string) (*Restorer, error) {
	found, err := o.find(path)
	if err != nil {
		return nil, err
	}
	about := found.about
	engine := o.Backend
	if engine == nil {
		open := sharedEngine
		if o.Device != "" {
			open = func() (*backend.Engine, error) { return backend.Open(o.Device) }
		}
		opened, err := open()
		if err != nil {
			return nil, fmt.Errorf("restore: %w", err)
		}
		engine, about.Engine = opened.Backend, opened.Choice
	}
	about.Network, about.Options = found.network.Name, found.network.Options
	if about.Levels == [2]float64{} {
		about.Levels = published[about.Network]
	}
	r, err := New(engine, found.network, found.values)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", found.about.Path, err)
	}
	r.About, r.blueFirst = about, o.BlueFirst
	return r, nil
}

var sharedEngine = sync.OnceValues(func() (*backend.Engine, error) { return backend.Open("auto") })

// found is a network with its weights.
type found struct {
	network *model.Network
	values  map[string][]float32
	about   About
}

func (o Opening) find(path string) (*found, error) {
	if path == Pretrained {
		w, err := weights.Read(Pretrained, bytes.NewReader(pretrained.Blind), int64(len(pretrained.Blind)))
		if err != nil {
			return nil, fmt.Errorf("restore: %w", err)
		}
		return o.weights(w)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	if info.IsDir() {
		return o.experiment(path)
	}
	// What this program saved says more, and is checked as a whole.
	if s, err := checkpoint.Load(path); err == nil && s.Config.Model != "" {
		return o.state(path, s)
	}
	return o.file(path)
}

// experiment takes the best weights of an experiment, or the newest where there
// are no best ones or they are damaged.
func (o Opening) experiment(dir string) (*found, error) {
	exp, err := experiment.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	path := exp.Checkpoints().Path(checkpoint.Best)
	s, err := checkpoint.Load(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, checkpoint.ErrDamaged) {
		say := o.Say
		if say == nil {
			say = func(string) {}
		}
		var from checkpoint.Entry
		if s, from, err = exp.Checkpoints().Newest(say); err == nil && s == nil || errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("restore: %s %w", exp.Name(), ErrUntrained)
		}
		path = from.Path
	}
	if err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	return o.state(path, s)
}

// state takes the weights of a checkpoint; those that training averaged, where it did.
func (o Opening) state(path string, s *checkpoint.State) (*found, error) {
	f := &found{values: map[string][]float32{}, about: About{Path: path, Epoch: s.Epoch, Degradation: s.Config.Degradation}}
	f.about.Levels[0], f.about.Levels[1] = s.Config.NoiseLevels()
	shapes := map[string][]int{}
	for _, t := range s.Network() {
		f.values[t.Name], shapes[t.Name] = t.Values, t.Shape
	}
	return f, o.recognise(f, shapes, s.Config.Model)
}

// file takes the weights of any other file.
func (o Opening) file(path string) (*found, error) {
	w, err := weights.Open(path)
	if err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	return o.weights(w)
}

func (o Opening) weights(w *weights.Weights) (*found, error) {
	f := &found{values: map[string][]float32{}, about: About{Path: w.Path, Degradation: w.Metadata["degradation"]}}
	f.about.Epoch, _ = strconv.Atoi(w.Metadata["epoch"])
	fmt.Sscanf(w.Metadata["noise_levels"], "%g-%g", &f.about.Levels[0], &f.about.Levels[1]) // as package export writes it
	shapes := map[string][]int{}
	for _, t := range w.Tensors {
		f.values[t.Name], shapes[t.Name] = t.Values, t.Shape
	}
	return f, o.recognise(f, shapes, w.Metadata["model"])
}

// recognise finds the network that tensors are of. named is what their file says.
func (o Opening) recognise(f *found, shapes map[string][]int, named string) error {
	has := func(tensor string) bool { _, ok := shapes[tensor]; return ok }
	if named == "" {
		// As the Python original leaves it, in EXPERIMENT/checkpoints.
		if cfg, err := config.Load(filepath.Join(filepath.Dir(f.about.Path), "..", "config.json")); err == nil {
			named = cfg.Model
			if f.about.Degradation == "" {
				f.about.Degradation = cfg.Degradation
				f.about.Levels[0], f.about.Levels[1] = cfg.NoiseLevels()
			}
		}
	}
	if o.Network != "" {
		named = o.Network
	}
	named = model.NameOf(named, has)
	fitting := model.Recognise(shapes)
	var names []string
	for _, net := range fitting {
		if net.Name == named || named == "" && len(fitting) == 1 {
			f.network = net
			return nil
		}
		names = append(names, net.Name)
	}
	switch {
	case len(names) == 0:
		guess := model.Guess(shapes)
		if guess != "" {
			guess = "; " + guess
		}
		return fmt.Errorf("restore: %s: its %d tensors are of no network that is known here (%s)%s", f.about.Path, len(shapes), strings.Join(model.Names(), ", "), guess)
	case named == "":
		return fmt.Errorf("restore: %s: its tensors fit %s alike, and it does not say which it is; name the network (NETWORK=%s)", f.about.Path, strings.Join(names, " and "), names[0])
	}
	return fmt.Errorf("restore: %s: its tensors are not those of %s, but of %s", f.about.Path, named, strings.Join(names, " or "))
}
