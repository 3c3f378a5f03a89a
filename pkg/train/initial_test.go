package train

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/checkpoint/pth"
)

// wrapped saves a State's network as another program would have: under params,
// its names beginning with module.
func wrapped(t *testing.T, s *checkpoint.State, change func(*pth.Dict)) string {
	t.Helper()
	d := pth.NewOrderedDict()
	for _, x := range s.Network() {
		if x.IsCounter() {
			d.Set("module."+x.Name, pth.FromInt64([]int64{x.Count}))
		} else {
			d.Set("module."+x.Name, pth.FromFloat32(x.Values, x.Shape...))
		}
	}
	change(d)
	root := pth.NewDict()
	root.Set("params", d)
	path := filepath.Join(t.TempDir(), "theirs.pth")
	if err := pth.Save(path, root); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFineTuningStartsAtTheValidationLossOfItsWeights(t *testing.T) {
	cfg := tiny(t)
	cfg.EMADecay = 0.5 // the averages are what was validated
	result, s := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{})
	path := wrapped(t, s, func(*pth.Dict) {})
	last := result.History.ValLoss[len(result.History.ValLoss)-1]

	tune := cfg
	tune.InitialWeights, tune.NumEpochs, tune.Seed, tune.LearningRate = path, 1, cfg.Seed, 1e-6
	exp := newExperiment(t, tune)
	seen := &watch{}
	_, tuned := mustRun(t, t.Context(), exp, tune, Options{Reporter: seen})
	if !seen.said(fmt.Sprintf("Before training: val_loss: %.4f", last)) {
		t.Errorf("said %q, want a validation loss of %.4f", seen.messages, last)
	}
	if !seen.said(fmt.Sprintf(`theirs.pth, "params", names without "module.": all %d tensors fit`, len(s.Model))) {
		t.Errorf("said %q", seen.messages)
	}
	counted := false
	for i, x := range tuned.Model {
		if x.IsCounter() {
			counted = true
			if was := s.Model[i].Count; x.Count != was+5 {
				t.Errorf("%s is %d after 5 steps from %d", x.Name, x.Count, was)
			}
		}
	}
	if !counted || tuned.Epoch != 1 || tuned.Step != 5 {
		t.Errorf("counters %t, epoch %d, step %d", counted, tuned.Epoch, tuned.Step)
	}

	// Going on takes the experiment's own weights, whatever has become of the file.
	tune.ResumeFromCheckpoint, tune.NumEpochs, tune.InitialWeights = true, 2, filepath.Join(t.TempDir(), "gone.pth")
	seen = &watch{}
	if _, s := mustRun(t, t.Context(), exp, tune, Options{Reporter: seen}); s.Epoch != 2 || !seen.said("InitialWeights is not read again") || seen.said("Before training") {
		t.Errorf("epoch %d after resuming, and said %q", s.Epoch, seen.messages)
	}
}

// A run that begins with weights is the same whether it is interrupted or not, so
// what it begins with is the same as well.
func TestInitialWeightsAreTheNetworksOwn(t *testing.T) {
	cfg := tiny(t)
	net := mustNetwork(t, cfg)
	theirs := fresh(net, 7)
	for i := range theirs.Model {
		theirs.Model[i].Count = int64(i)
	}
	cfg.InitialWeights = wrapped(t, theirs, func(*pth.Dict) {})
	b, err := find(task{exp: newExperiment(t, cfg), cfg: cfg, report: Silent{}}, net)
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range b.state.Model {
		want := theirs.Model[i]
		if fmt.Sprint(x.Values) != fmt.Sprint(want.Values) || x.IsCounter() && x.Count != int64(i) {
			t.Errorf("%s differs", x.Name)
		}
	}
}

func TestWeightsThatDoNotFitStartNothing(t *testing.T) {
	cfg := tinyUNet(t)
	s := fresh(mustNetwork(t, cfg), 1)
	other := cfg
	other.ModelFeatures = 3
	larger := fresh(mustNetwork(t, other), 1)
	for name, c := range map[string]struct {
		path string
		kind error
		want []string
	}{
		"none":    {filepath.Join(t.TempDir(), "none.pth"), fs.ErrNotExist, []string{"InitialWeights", "none.pth"}},
		"picture": {filepath.Join(cfg.TrainCleanDir, "0.png"), pth.ErrNotCheckpoint, []string{"InitialWeights", "PNG picture"}},
		"features": {wrapped(t, larger, func(*pth.Dict) {}), nil, []string{
			"do not fit unet with ModelFeatures = 2, ModelBilinear = true", "inc.double_conv.0.weight is [3 3 3 3], want [2 3 3 3]"}},
		"DnCNN": {wrapped(t, s, func(d *pth.Dict) {
			d.Set("module.dncnn.0.weight", pth.FromFloat32([]float32{1}, 1))
		}), nil, []string{"look like those of DnCNN; known are attention_unet,", "1 do not belong to the network (dncnn.0.weight)"}},
		"NaN": {wrapped(t, s, func(d *pth.Dict) {
			d.Set("module.outc.conv.bias", pth.FromFloat32([]float32{1, float32(math.NaN()), 1}, 3))
		}), nil, []string{"outc.conv.bias holds NaN", "take an earlier checkpoint"}},
	} {
		bad := cfg
		bad.InitialWeights = c.path
		exp := newExperiment(t, bad)
		result, err := Run(t.Context(), exp, bad, load(t, bad), Options{Backend: goEngine(t)})
		if err == nil || result != nil || c.kind != nil && !errors.Is(err, c.kind) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, %v", name, result, err)
			continue
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: got %v, want %q", name, err, part)
			}
		}
		if entries, err := exp.Checkpoints().List(); err != nil || len(entries) > 0 {
			t.Errorf("%s: %d checkpoints were written, %v", name, len(entries), err)
		}
	}
}
