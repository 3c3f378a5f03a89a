package export

import (
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/checkpoint/safetensors"
	"rekindle/pkg/config"
	"rekindle/pkg/durable"
	"rekindle/pkg/experiment"
	"rekindle/pkg/internal/disk"
	"rekindle/pkg/internal/reference"
	"rekindle/pkg/model"
)

// message is a decoded protobuf message: numbers and byte strings by field.
type message struct {
	ints  map[protowire.Number][]int64
	texts map[protowire.Number][]string
}

func decode(t *testing.T, raw string) message {
	t.Helper()
	m := message{map[protowire.Number][]int64{}, map[protowire.Number][]string{}}
	for b := []byte(raw); len(b) > 0; {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		b = b[n:]
		switch kind {
		case protowire.VarintType:
			v, n := protowire.ConsumeVarint(b)
			m.ints[field], b = append(m.ints[field], int64(v)), b[max(n, 0):]
		case protowire.BytesType:
			v, n := protowire.ConsumeBytes(b)
			if n < 0 {
				t.Fatal(protowire.ParseError(n))
			}
			m.texts[field], b = append(m.texts[field], string(v)), b[n:]
		default:
			t.Fatalf("field %d has wire type %d", field, kind)
		}
	}
	return m
}

func TestTheFileDescribesACompleteGraph(t *testing.T) {
	for _, kind := range kinds() {
		s, err := state(kind.Name, kind.Options)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "net.onnx")
		if err := ONNX(s, path); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		m := decode(t, string(raw))
		about := map[string]string{}
		for _, pair := range m.texts[14] {
			p := decode(t, pair)
			about[p.texts[1][0]] = p.texts[2][0]
		}
		if about["model"] != kind.Name || about["features"] != "4" || about["value_range"] != "[-1, 1]" || about["epoch"] != "4" || !strings.Contains(m.texts[6][0], "[batch, 3, height, width]") {
			t.Errorf("%s: the file says %v, %v", kind.Name, about, m.texts[6])
		}
		if opset := decode(t, m.texts[8][0]); m.ints[1][0] != 8 || opset.ints[2][0] != 17 {
			t.Errorf("%s: versions %v, %v", kind.Name, m.ints[1], opset.ints)
		}
		g := decode(t, m.texts[7][0])
		for field, want := range map[protowire.Number]string{11: "degraded", 12: "restored"} {
			info := decode(t, g.texts[field][0])
			shape := decode(t, decode(t, decode(t, info.texts[2][0]).texts[1][0]).texts[2][0])
			var dims []string
			for _, d := range shape.texts[1] {
				dim := decode(t, d)
				dims = append(dims, strings.Join(dim.texts[2], ""))
				if len(dim.ints[1]) > 0 && dim.ints[1][0] == 3 {
					dims[len(dims)-1] = "3"
				}
			}
			inputs := 1
			if field == 11 && kind.TakesSigma() {
				inputs = 2
			}
			if len(g.texts[field]) != inputs || info.texts[1][0] != want || !slices.Equal(dims, []string{"batch", "3", "height", "width"}) {
				t.Errorf("%s: field %d is %v of %v, want %s", kind.Name, field, info.texts[1], dims, want)
			}
		}
		checkOrder(t, kind.Name, g)
	}
}

// checkOrder checks that everything used is there before, and everything there is used.
func checkOrder(t *testing.T, name string, g message) {
	t.Helper()
	used := map[string]bool{}
	for _, raw := range g.texts[11] {
		used[decode(t, raw).texts[1][0]] = false
	}
	for _, raw := range g.texts[5] {
		init := decode(t, raw)
		size := map[int64]int{1: 4, 7: 8}[init.ints[2][0]]
		for _, d := range init.ints[1] {
			size *= int(d)
		}
		if len(init.texts[9][0]) != size || size == 0 {
			t.Errorf("%s: %s has %d bytes for the shape %v", name, init.texts[8], len(init.texts[9][0]), init.ints[1])
		}
		used[init.texts[8][0]] = false
	}
	for _, raw := range g.texts[1] {
		node := decode(t, raw)
		for _, in := range node.texts[1] {
			if _, there := used[in]; !there && in != "" {
				t.Errorf("%s: %s uses %s before it is there", name, node.texts[3], in)
			}
			used[in] = true
		}
		for _, out := range node.texts[2] {
			if _, there := used[out]; there {
				t.Errorf("%s: %s is there twice", name, out)
			}
			used[out] = false
		}
	}
	used["restored"] = true
	delete(used, "")
	for v, ok := range used {
		if !ok {
			t.Errorf("%s: %s is never used", name, v)
		}
	}
}

// A new network may do without ONNX; those there are do not.
func TestAllNetworksCanBeExported(t *testing.T) {
	for _, name := range model.Names() {
		if name == "srresnet" {
			continue // of docs/models.md
		}
		if networks[name] == nil {
			t.Errorf("%s cannot be written as ONNX", name)
		}
	}
}

// Checkpoints of attention_unet from when it had a single gate are those of attention_unet_bottleneck.
func TestAnOldAttentionUNetIsExportedAsWhatItIs(t *testing.T) {
	s, err := state("attention_unet_bottleneck", model.Options{Features: 4, Bilinear: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Config.Model = "attention_unet"
	for name, kind := range formats {
		path := filepath.Join(t.TempDir(), "net"+kind.ending)
		if err := kind.write(s, path); err != nil {
			t.Fatal(err)
		}
		if raw, err := os.ReadFile(path); err != nil || !strings.Contains(string(raw), "attention_unet_bottleneck") {
			t.Errorf("the %s file does not say which network it is (%v)", name, err)
		}
	}
}

func TestSafetensorsHoldTheStateDict(t *testing.T) {
	for _, name := range model.Names() {
		t.Run(name, func(t *testing.T) { safetensorsHoldTheStateDict(t, name) })
	}
}

func safetensorsHoldTheStateDict(t *testing.T, name string) {
	s, err := state(name, model.Options{Features: 4})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "net.safetensors")
	if err := Safetensors(s, path); err != nil {
		t.Fatal(err)
	}
	tensors := reference.LoadFile(t, path)
	if len(tensors) != len(s.Model) {
		t.Errorf("the file holds %d tensors, want %d", len(tensors), len(s.Model))
	}
	for _, want := range s.Model {
		got := tensors[want.Name]
		if !slices.Equal(got.Shape, want.Shape) && len(got.Shape)+len(want.Shape) > 0 {
			t.Errorf("%s has the shape %v, want %v", want.Name, got.Shape, want.Shape)
		}
		if want.IsCounter() {
			if got.DType != "I64" || len(got.Data) != 1 || got.Data[0] != float64(want.Count) {
				t.Errorf("%s is %v, want %d", want.Name, got, want.Count)
			}
			continue
		}
		if !slices.EqualFunc(got.Data, want.Values, func(a float64, b float32) bool { return a == float64(b) }) {
			t.Errorf("%s has other numbers", want.Name)
		}
	}
}

// trained makes an experiment with a checkpoint of that name.
func trained(t *testing.T, name string) *experiment.Experiment {
	t.Helper()
	cfg := config.Default()
	cfg.ExperimentsDir, cfg.ModelFeatures = t.TempDir(), 2
	exp, err := experiment.Create(cfg, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s, err := state(cfg.Model, model.Options{Features: 2, Bilinear: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Config, s.BestLoss = cfg, math.NaN()
	s.History.Resize(s.Epoch)
	for i := range s.Model {
		if t := &s.Model[i]; t.IsParameter() {
			t.First, t.Second = make([]float32, len(t.Values)), make([]float32, len(t.Values))
		}
	}
	if name != "" {
		if err := checkpoint.Save(exp.Checkpoints().Path(name), s); err != nil {
			t.Fatal(err)
		}
	}
	return exp
}

func silent(string) {}

func TestADamagedBestModelIsPassedOver(t *testing.T) {
	exp := trained(t, checkpoint.Best)
	best := exp.Checkpoints().Path(checkpoint.Best)
	if err := durable.Copy(best, exp.Checkpoints().Path(checkpoint.Last)); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(best, 1000); err != nil {
		t.Fatal(err)
	}
	said := ""
	made, err := Experiment(exp, "safetensors", "", func(line string) { said += line })
	if err != nil || made.From != checkpoint.Last || !strings.HasPrefix(said, "best_model.pth is damaged and is passed over") {
		t.Errorf("exported %v, %v, and said %q", made, err, said)
	}
}

func TestAnExperimentsBestWeightsAreExported(t *testing.T) {
	for _, name := range []string{checkpoint.Best, checkpoint.Last} {
		exp := trained(t, name)
		for format := range maps.Keys(formats) {
			made, err := Experiment(exp, format, "", func(line string) { t.Errorf("a good network: %s", line) })
			if err != nil {
				t.Fatal(err)
			}
			want := filepath.Join(exp.Dir, "export", strings.TrimSuffix(name, ".pth")+formats[format].ending)
			if info, err := os.Stat(made.Path); made.Path != want || made.From != name || err != nil || info.Size() < 1000 {
				t.Errorf("%s became %v: %v, want %s", name, made, err, want)
			}
		}
	}
	elsewhere := filepath.Join(t.TempDir(), "a.onnx")
	if made, err := Experiment(trained(t, checkpoint.Best), "onnx", elsewhere, silent); err != nil || made.Path != elsewhere {
		t.Errorf("got %v, %v, want %s", made, err, elsewhere)
	}
}

func TestWhatCannotBeExportedIsSaidInOneSentence(t *testing.T) {
	other, err := state("unet", model.Options{Features: 4, Bilinear: true})
	if err != nil {
		t.Fatal(err)
	}
	other.Config.ModelFeatures = 8
	lacking, err := state("unet", model.Options{Features: 4, Bilinear: true})
	if err != nil {
		t.Fatal(err)
	}
	lacking.Model = lacking.Model[1:]
	unknown := *other
	unknown.Config.Model = "resnet"
	path := filepath.Join(t.TempDir(), "a.onnx")
	_, noBuilder := graph(&model.Network{Name: "srresnet"}, nil)
	_, noFormat := Experiment(trained(t, checkpoint.Best), "pdf", "", silent)
	_, nothing := Experiment(trained(t, ""), "onnx", "", silent)
	_, noFolder := Experiment(trained(t, checkpoint.Best), "onnx", filepath.Join(t.TempDir(), "none", "a.onnx"), silent)
	for want, err := range map[string]error{
		"inc.double_conv.0.weight has the shape [4 3 3 3] in the weights, but [8 3 3 3] in unet with 8 features": ONNX(other, path),
		"the weights have no inc.double_conv.0.weight":                                                           ONNX(lacking, path),
		"srresnet cannot be written as ONNX yet; use safetensors":                                                noBuilder,
		`there is no network "resnet"`:                                                                           ONNX(&unknown, path),
		`there is no format "pdf"; there are onnx, safetensors, fp16`:                                            noFormat,
		"has no checkpoint yet; train it first":                                                                  nothing,
		"no such file or directory":                                                                              noFolder,
	} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want a sentence with %q", err, want)
		}
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file is there after errors")
	}
}

// metadataOf is what a safetensors file says of itself.
func metadataOf(t *testing.T, path string) map[string]string {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return f.Metadata
}

func TestAnExportSaysWhatTheNetworkWasTrainedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.safetensors")
	for _, c := range []struct {
		change   func(*checkpoint.State)
		strength string
		trained  string
		about    string
		levels   string
	}{
		{func(s *checkpoint.State) { s.Config.NoiseSigma = 25 }, "sigma_25", "true", "unet for gaussian (sigma 25), 4 epochs", "25-25"},
		{func(s *checkpoint.State) { s.Config.NoiseSigma, s.Config.NoiseSigmaMax = 0, 55 }, "sigma_0-55", "true", "unet for gaussian (sigma 0-55), 4 epochs", "0-55"},
		{func(s *checkpoint.State) { s.Config.Degradation = "jpeg" }, "quality_10", "true", "unet for jpeg (quality 10), 4 epochs", ""},
		{func(s *checkpoint.State) { s.Config = s.Config.WithFolders() }, "sigma_100", "true", "unet for gaussian (sigma 100), 4 epochs", "100-100"},
		{func(s *checkpoint.State) { s.Config.TrainDegradedDir = "my/noisy" }, "own pictures", "true", "unet for gaussian (own pictures), 4 epochs", ""},
		{func(s *checkpoint.State) { s.Config.Degradation = "my own" }, "", "true", "unet for my own, 4 epochs", ""},
		{func(s *checkpoint.State) { s.Epoch = 0 }, "sigma_100", "false", "unet for gaussian (sigma 100), 0 epochs", "100-100"},
		{func(s *checkpoint.State) { s.Epoch, s.Step = 0, 3 }, "sigma_100", "true", "unet for gaussian (sigma 100), 0 epochs", "100-100"},
		{func(s *checkpoint.State) { s.Epoch, s.Config.InitialWeights = 0, "a.pth" }, "sigma_100", "true", "unet for gaussian (sigma 100), 0 epochs", "100-100"},
	} {
		s, err := state("unet", model.Options{Features: 2, Bilinear: true})
		if err != nil {
			t.Fatal(err)
		}
		s.Config = config.Default()
		s.Config.ModelFeatures = 2
		c.change(s)
		if err := Safetensors(s, path); err != nil {
			t.Fatal(err)
		}
		got := metadataOf(t, path)
		if got["degradation"] != s.Config.Degradation || got["strength"] != c.strength || got["trained"] != c.trained || got["noise_levels"] != c.levels || about(s) != c.about {
			t.Errorf("the file says %v, the line is %q, want %+v", got, about(s), c)
		}
	}
}

func TestANetworkThatWasNeverTrainedIsWarnedOf(t *testing.T) {
	exp := trained(t, "")
	s, err := state("unet", model.Options{Features: 2, Bilinear: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Config, s.Epoch, s.BestLoss = config.Default(), 0, math.NaN()
	s.Config.ModelFeatures = 2
	for i := range s.Model {
		if t := &s.Model[i]; t.IsParameter() {
			t.First, t.Second = make([]float32, len(t.Values)), make([]float32, len(t.Values))
		}
	}
	if err := checkpoint.Save(exp.Checkpoints().Path(checkpoint.Last), s); err != nil {
		t.Fatal(err)
	}
	said := ""
	if _, err := Experiment(exp, "onnx", "", func(line string) { said += line }); err != nil || !strings.Contains(said, "last_checkpoint.pth was never trained") {
		t.Errorf("got %v and %q", err, said)
	}
}

func TestAveragedWeightsAreExportedWhereThereAreAny(t *testing.T) {
	s, err := state("unet", model.Options{Features: 2, Bilinear: true})
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.Model {
		switch t := &s.Model[i]; {
		case t.IsParameter():
			t.Average = slices.Repeat([]float32{0.5}, len(t.Values))
		case !t.IsCounter():
			t.Average = slices.Repeat([]float32{0.25}, len(t.Values))
		}
	}
	path := filepath.Join(t.TempDir(), "a.safetensors")
	if err := Safetensors(s, path); err != nil {
		t.Fatal(err)
	}
	tensors := reference.LoadFile(t, path)
	if w, m := tensors["outc.conv.weight"].Data[0], tensors["inc.double_conv.1.running_mean"].Data[0]; w != 0.5 || m != 0.25 {
		t.Errorf("the file holds a weight of %v and a mean of %v, want the averages 0.5 and 0.25", w, m)
	}
}

func TestAnExperimentThatMayOnlyBeReadIsExportedElsewhere(t *testing.T) {
	exp := trained(t, checkpoint.Best)
	disk.ReadOnly(t, exp.Dir)
	if _, err := Experiment(exp, "safetensors", "", func(string) {}); !durable.MayOnlyRead(err) || !strings.Contains(err.Error(), "make export OUT=file") {
		t.Errorf("into its own folder: %v", err)
	}
	if made, err := Experiment(exp, "safetensors", filepath.Join(t.TempDir(), "x.safetensors"), func(string) {}); err != nil {
		t.Errorf("elsewhere: %v, %v", made, err)
	}
}

func TestAFullDiskIsNamedAndKeepsTheExportBefore(t *testing.T) {
	exp := trained(t, checkpoint.Best)
	for _, format := range Formats() {
		small := disk.Small(t, "4m")
		path := filepath.Join(small, "net."+format)
		if err := os.WriteFile(path, []byte("of before"), 0o666); err != nil {
			t.Fatal(err)
		}
		makeRoom := disk.Fill(t, small)
		_, err := Experiment(exp, format, path, silent)
		if !durable.Full(err) || !strings.Contains(err.Error(), "the disk of "+small+" is full") || !strings.Contains(err.Error(), "make export OUT=file") {
			t.Errorf("%s: %v", format, err)
		}
		makeRoom()
		if there, _ := os.ReadDir(small); len(there) != 1 {
			t.Errorf("%s: it leaves %v", format, there)
		}
		if raw, _ := os.ReadFile(path); string(raw) != "of before" {
			t.Errorf("%s: the export before holds %d bytes", format, len(raw))
		}
		if _, err := Experiment(exp, format, path, silent); err != nil {
			t.Errorf("%s: with room again: %v", format, err)
		}
		if raw, _ := os.ReadFile(path); len(raw) < 1000 {
			t.Errorf("%s: then it has %d bytes", format, len(raw))
		}
	}
}
