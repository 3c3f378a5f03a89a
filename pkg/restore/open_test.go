package restore

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekindle/pkg/checkpoint/safetensors"
	"rekindle/pkg/model"
	"rekindle/pkg/nn"
)

// saved writes the first weights of a network as safetensors.
func saved(t *testing.T, net *model.Network, metadata map[string]string) string {
	t.Helper()
	values := net.Init(1)
	var items []safetensors.Item
	for _, e := range net.Entries() {
		item := safetensors.Item{Name: e.Name, Shape: e.Shape, Float32: values[e.Name]}
		if e.Role == nn.Counter {
			item = safetensors.Item{Name: e.Name, Shape: e.Shape, Int64: []int64{3}}
		}
		items = append(items, item)
	}
	path := filepath.Join(t.TempDir(), "checkpoints", "net.safetensors")
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := safetensors.Save(path, items, metadata); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheNetworkIsReadFromTheFile(t *testing.T) {
	for _, c := range []struct {
		network            string
		bilinear           bool
		says, config, asks string // of the file, of the config.json beside it, of the caller
		want, words        string
	}{
		{network: "attention_unet", bilinear: true, want: "attention_unet"},
		{network: "attention_unet_bottleneck", bilinear: false, want: "attention_unet_bottleneck"},
		{network: "attention_unet_bottleneck", bilinear: true, says: "attention_unet", want: "attention_unet_bottleneck"}, // its old name
		{network: "unet", bilinear: false, want: "unet"},
		{network: "unet_residual", bilinear: false, want: "unet_residual"},
		{network: "unet", bilinear: true, words: "fit unet and unet_residual alike"},
		{network: "unet", bilinear: true, says: "unet_residual", want: "unet_residual"},
		{network: "unet", bilinear: true, config: "unet_residual", want: "unet_residual"},
		{network: "unet", bilinear: true, says: "unet", config: "unet_residual", want: "unet"},
		{network: "unet", bilinear: true, asks: "unet_residual", want: "unet_residual"},
		{network: "unet", bilinear: true, asks: "attention_unet", words: "not those of attention_unet"},
	} {
		net, err := model.New(c.network, model.Options{Features: 3, Bilinear: c.bilinear})
		if err != nil {
			t.Fatal(err)
		}
		metadata := map[string]string{"epoch": "7"}
		if c.says != "" {
			metadata["model"] = c.says
		}
		path := saved(t, net, metadata)
		if c.config != "" {
			write(t, filepath.Dir(filepath.Dir(path)), "config.json", []byte(`{"model":"`+c.config+`"}`))
		}
		r, err := Opening{Network: c.asks, Backend: engine(t)}.Open(path)
		if c.words != "" {
			if err == nil || !strings.Contains(err.Error(), c.words) {
				t.Errorf("%+v: %v, want an error with %q", c, err, c.words)
			}
			continue
		}
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		if r.About.Network != c.want || r.About.Options != net.Options || r.About.Epoch != 7 {
			t.Errorf("%+v: opened as %+v", c, r.About)
		}
	}
}

func TestAFileOfPyTorchIsOpened(t *testing.T) {
	path := "../../../shared/reference/unet_f4_zip.pth"
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no reference data beside the repository: %v", err)
	}
	r, err := Opening{Network: "unet", Backend: engine(t)}.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if r.About.Options.Features != 4 || !strings.Contains(r.About.String(), "unet with 4 features") {
		t.Errorf("opened as %s", r.About)
	}
}

func TestWhatHoldsNoWeightsIsRefused(t *testing.T) {
	exp := filepath.Join(t.TempDir(), "20260101_000000_x")
	write(t, exp, "config.json", []byte(`{}`))
	if _, err := Open(exp); !errors.Is(err, ErrUntrained) {
		t.Errorf("an experiment without a checkpoint: %v, want ErrUntrained", err)
	}
	text := write(t, t.TempDir(), "a.pth", []byte("hello"))
	if _, err := Open(text); err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("a text: %v, want an error that names it", err)
	}
	other := filepath.Join(t.TempDir(), "other.safetensors")
	if err := safetensors.Save(other, []safetensors.Item{{Name: "a.weight", Shape: []int{1}, Float32: []float32{1}}}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(other); err == nil || !strings.Contains(err.Error(), "no network that is known") {
		t.Errorf("another network: %v", err)
	}
}

func TestTheDeviceThatIsNamedComputes(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", "")
	r, err := Opening{Device: "go"}.Open(Pretrained)
	if err != nil || r.About.Engine.Name != "go" {
		t.Errorf(`Device "go": %v, %v`, r.About.Engine, err)
	}
	if _, err := (Opening{Device: "abacus"}).Open(Pretrained); err == nil || !strings.Contains(err.Error(), `"abacus"`) {
		t.Errorf("an unknown device: %v", err)
	}
}
