package weights

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/checkpoint/pth"
	"rekindle/pkg/checkpoint/safetensors"
)

// dict makes a pth.Dict of keys and values.
func dict(pairs ...any) *pth.Dict {
	d := pth.NewDict()
	for i := 0; i < len(pairs); i += 2 {
		d.Set(pairs[i], pairs[i+1])
	}
	return d
}

// network is a state_dict of one convolution whose numbers are n, its names
// beginning with prefix.
func network(prefix string, n float32, more ...any) *pth.Dict {
	d := dict(append([]any{
		prefix + "inc.weight", pth.FromFloat32([]float32{n, 2, 3, 4}, 2, 2, 1, 1),
		prefix + "inc.bias", pth.FromFloat32([]float32{n, n}, 2),
		prefix + "norm.num_batches_tracked", pth.FromInt64([]int64{7}),
	}, more...)...)
	d.Ordered = true
	return d
}

// wanted is what network needs.
var wanted = []Want{{"inc.weight", []int{2, 2, 1, 1}}, {"inc.bias", []int{2}}, {"norm.num_batches_tracked", nil}}

func save(t *testing.T, root any) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.pth")
	if err := pth.Save(path, root); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheNetworkIsFoundWhereverItStands(t *testing.T) {
	optimizer := dict("state", dict(0, dict("exp_avg", pth.FromFloat32([]float32{9}, 1))), "param_groups", pth.List{dict("lr", 0.1)})
	for name, c := range map[string]struct {
		root        any
		key, prefix string
	}{
		"bare":                   {network("", 1), "", ""},
		"DataParallel":           {network("module.", 1), "", "module."},
		"compiled":               {network("_orig_mod.", 1), "", "_orig_mod."},
		"both":                   {network("module._orig_mod.", 1), "", "_orig_mod.module."},
		"BasicSR":                {dict("params", network("", 2), "params_ema", network("", 1)), "params_ema", ""},
		"BasicSR without ema":    {dict("params", network("", 1)), "params", ""},
		"Rekindle's averages":    {dict("epoch", 3, "model_state_dict", network("", 2), "ema_state_dict", network("", 1), "optimizer_state_dict", optimizer), "ema_state_dict", ""},
		"training":               {dict("epoch", 3, "state_dict", network("module.", 1), "optimizer", optimizer, "best", 31.2), "state_dict", "module."},
		"model":                  {dict("model", network("", 1), "optimizer", optimizer), "model", ""},
		"nested":                 {dict("model", dict("state_dict", network("", 1))), "model/state_dict", ""},
		"empty ema":              {dict("ema", nil, "model", network("", 1)), "model", ""},
		"list":                   {pth.List{network("", 1), optimizer}, "0", ""},
		"tuple":                  {pth.Tuple{3, dict("net", network("", 1))}, "1/net", ""},
		"a name of its own":      {dict("denoiser_a", network("", 1), "optimizer", optimizer), "denoiser_a", ""},
		"AveragedModel":          {network("module.", 1, "n_averaged", pth.FromInt64([]int64{4})), "", "module."},
		"Lightning":              {dict("pytorch-lightning_version", "2.5.0", "state_dict", network("model.", 1, "loss.vgg.weight", pth.FromFloat32([]float32{5}, 1))), "state_dict", "model."},
		"Lightning of one part":  {dict("pytorch-lightning_version", "2.5.0", "state_dict", network("net._orig_mod.", 1)), "state_dict", "_orig_mod.net."},
		"MMEngine":               {dict("meta", dict("epoch", 1), "state_dict", network("generator.", 1, "perceptual_loss.vgg.weight", pth.FromFloat32([]float32{5}, 1))), "state_dict", "generator."},
		"MMEngine's average":     {dict("meta", dict("epoch", 1), "state_dict", network("generator_ema.", 1, "generator.inc.weight", pth.FromFloat32([]float32{5}, 1))), "state_dict", "generator_ema."},
		"ema_pytorch":            {network("ema_model.", 1, "online_model.inc.weight", pth.FromFloat32([]float32{5}, 1), "step", pth.FromInt64([]int64{5})), "", "ema_model."},
		"state_dict of a module": {network("model.", 1), "", "model."},
	} {
		w, err := Open(save(t, c.root))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if w.Key != c.key || w.Prefix != c.prefix || w.Format != "PyTorch" {
			t.Errorf("%s: found under %q without %q, want %q without %q", name, w.Key, w.Prefix, c.key, c.prefix)
		}
		got, err := w.Fit(wanted)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.Equal(got[0].Values, []float32{1, 2, 3, 4}) || !slices.Equal(got[1].Values, []float32{1, 1}) || !slices.Equal(got[2].Whole, []int64{7}) {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestAPlainSequenceKeepsItsName(t *testing.T) {
	w, err := Open(save(t, dict("model.0.weight", pth.FromFloat32([]float32{1}, 1), "model.2.weight", pth.FromFloat32([]float32{2}, 1))))
	if err != nil {
		t.Fatal(err)
	}
	for _, names := range [][]string{{"model.0.weight", "model.2.weight"}, {"0.weight", "2.weight"}} {
		got, err := w.Fit([]Want{{names[0], []int{1}}, {names[1], []int{1}}})
		if err != nil || got[1].Values[0] != 2 || got[1].Name != names[1] {
			t.Errorf("%v: got %v, %v", names, got, err)
		}
	}
}

// A network whose own names begin like a wrapper's.
func TestWhatWasTakenOffIsFoundAgain(t *testing.T) {
	w, err := Open(save(t, network("module.model.", 1)))
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(wanted)
	for i := range want {
		want[i].Name = "model." + want[i].Name
	}
	if got, err := w.Fit(want); err != nil || got[0].Name != "model.inc.weight" || got[0].Values[0] != 1 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestNumbersOfOtherTypesAreConverted(t *testing.T) {
	w, err := Open(save(t, dict(
		"half", pth.FromBytes(pth.Float16, []byte{0, 0x3c, 0, 0xc0}, 2),
		"brain", pth.FromBytes(pth.BFloat16, []byte{0x80, 0x3f, 0, 0xc0}, 2),
		"double", pth.FromBytes(pth.Float64, []byte{0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0xc0}, 2))))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range w.Tensors {
		if !slices.Equal(x.Values, []float32{1, -2}) {
			t.Errorf("%s: got %v", x.Name, x.Values)
		}
	}
}

func TestSafetensorsAreRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weights.bin") // the name says nothing
	err := safetensors.Save(path, []safetensors.Item{
		{Name: "module.inc.weight", Shape: []int{2, 2, 1, 1}, Float32: []float32{1, 2, 3, 4}},
		{Name: "module.inc.bias", Shape: []int{2}, Float32: []float32{1, 1}},
		{Name: "module.norm.num_batches_tracked", Int64: []int64{7}},
	}, map[string]string{"model": "unet"})
	if err != nil {
		t.Fatal(err)
	}
	w, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.Fit(wanted)
	if err != nil || got[0].Values[3] != 4 || got[2].Whole[0] != 7 || w.Metadata["model"] != "unet" || w.Prefix != "module." || w.Format != "safetensors" {
		t.Errorf("got %v of %+v, %v", got, w, err)
	}
}

func TestNothingIsLoadedInPart(t *testing.T) {
	for name, c := range map[string]struct {
		state *pth.Dict
		want  string
	}{
		"missing":  {dict("inc.weight", pth.FromFloat32([]float32{1, 2, 3, 4}, 2, 2, 1, 1)), "2 tensors fit, 1 are missing (inc.bias)"},
		"shape":    {dict("inc.weight", pth.FromFloat32([]float32{1, 2}, 2, 1, 1, 1), "inc.bias", pth.FromFloat32([]float32{1, 2}, 2)), "1 have another shape (inc.weight is [2 1 1 1], want [2 2 1 1])"},
		"whole":    {dict("inc.weight", pth.FromInt64([]int64{1, 2, 3, 4}, 2, 2, 1, 1), "inc.bias", pth.FromFloat32([]float32{1, 2}, 2)), "inc.weight holds whole numbers"},
		"unneeded": {network("", 1, "a", pth.FromFloat32([]float32{1}, 1), "b", pth.FromFloat32([]float32{1}, 1), "c", pth.FromFloat32([]float32{1}, 1), "d", pth.FromFloat32([]float32{1}, 1)), "3 tensors fit, 4 do not belong to the network (a; b; c; ...)"},
	} {
		path := save(t, c.state)
		w, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Fit(wanted)
		var m *Misfit
		if !errors.As(err, &m) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestWhatHoldsNoWeightsIsSaidInOneSentence(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "picture.pth")
	if err := os.WriteFile(script, []byte("\x89PNG\r\n\x1a\n picture"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path string
		kind error
		want string
	}{
		"none":    {filepath.Join(dir, "none.pth"), fs.ErrNotExist, "none.pth"},
		"folder":  {dir, pth.ErrNotCheckpoint, "folder"},
		"picture": {script, pth.ErrNotCheckpoint, "PNG picture"},
		"numbers": {save(t, pth.List{1, 2}), ErrNoWeights, `as torch.save(model.state_dict(), "weights.pth") writes them`},
		"several": {save(t, dict("net_a", network("", 1), "net_b", network("", 1))), ErrNoWeights, "several networks (net_a, net_b)"},
	} {
		_, err := Open(c.path)
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// TestGenuineWeightsByOthersAreRead: what ../shared/weights/README.md says of each.
func TestGenuineWeightsByOthersAreRead(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "..", "shared", "weights")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no genuine weights here: %v", err)
	}
	for name, c := range map[string]struct {
		first, prefix   string
		tensors, layers int // layers: tensors of four dimensions
		in, out         int
		looks           string
	}{
		"dncnn_s25_gray.pth":             {"dncnn.0.weight", "module.", 77, 17, 1, 1, "DnCNN"},
		"dncnn_blind_gray.pth":           {"dncnn.0.weight", "module.", 92, 20, 1, 1, "DnCNN"},
		"dncnn_25_gray_bn_merged.pth":    {"model.0.weight", "", 34, 17, 1, 1, "a plain sequence of convolutions, as KAIR's DnCNN and FFDNet are"},
		"ffdnet_rgb.pth":                 {"intermediate_dncnn.itermediate_dncnn.0.weight", "module.", 52, 12, 15, 12, "FFDNet"},
		"dncnn20_colour_bgr_blind55.pth": {"dncnn.0.weight", "module.dncnn.", 110, 20, 3, 3, "DnCNN"},
	} {
		w, err := Open(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var convolutions []Tensor
		for _, x := range w.Tensors {
			if len(x.Shape) == 4 {
				convolutions = append(convolutions, x)
			}
		}
		got := fmt.Sprint(w.Tensors[0].Name, w.Prefix, len(w.Tensors), len(convolutions), convolutions[0].Shape[1], convolutions[len(convolutions)-1].Shape[0], w.LooksLike())
		if want := fmt.Sprint(c.first, c.prefix, c.tensors, c.layers, c.in, c.out, c.looks); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}
