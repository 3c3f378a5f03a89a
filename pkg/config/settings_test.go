package config

import (
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of docs/settings.md anew")

const (
	page       = "../../docs/settings.md"
	tableBegin = "<!-- The table is made from pkg/config/config.go: go test ./pkg/config -run TestTheTableOfSettings -update -->\n"
	tableEnd   = "<!-- end of the table -->\n"
)

func TestTheTableOfSettingsIsThatOfTheStruct(t *testing.T) {
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begun := strings.Cut(string(raw), tableBegin)
	_, after, ended := strings.Cut(rest, tableEnd)
	if !begun || !ended {
		t.Fatalf("%s has no place for the table, between %q and %q", page, tableBegin, tableEnd)
	}
	want := before + tableBegin + table(t) + tableEnd + after
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(raw) != want {
		t.Errorf("%s is not up to date; run: go test ./pkg/config -run TestTheTableOfSettings -update", page)
	}
}

// table makes a table of each group of fields, from their comments and tags.
func table(t *testing.T) string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var fields []*ast.Field
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.TypeSpec); ok && s.Name.Name == "Config" {
			fields = s.Type.(*ast.StructType).Fields.List
		}
		return true
	})
	gpu, xla, pure := reflect.ValueOf(Preset("xla:cuda")), reflect.ValueOf(Preset("xla:cpu")), reflect.ValueOf(Preset("go"))
	var b strings.Builder
	for i, f := range fields {
		if f.Doc != nil {
			fmt.Fprintf(&b, "\n### %s\n\n| Go | JSON | type | values | GPU / CPU | when resumed | meaning |\n|---|---|---|---|---|---|---|\n", strings.TrimSpace(f.Doc.Text()))
		}
		field := reflect.TypeFor[Config]().Field(i)
		if f.Comment == nil {
			t.Errorf("%s has no comment that says what it means", field.Name)
			continue
		}
		value := show(gpu.Field(i).Interface())
		onXLA, onGo := show(xla.Field(i).Interface()), show(pure.Field(i).Interface())
		if onXLA != onGo {
			value += " / " + onXLA + " / " + onGo
		} else if onGo != value {
			value += " / " + onGo
		}
		resumed := map[string]string{"": "kept", "machine": "the machine's", "session": "the session's"}[field.Tag.Get("scope")]
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s | %s | %s | %s |\n", field.Name, field.Tag.Get("json"), typeName(field.Type), valuesOf(field),
			"`"+value+"`", resumed, strings.ReplaceAll(strings.TrimSpace(f.Comment.Text()), "|", `\|`))
	}
	return b.String() + "\n"
}

func typeName(t reflect.Type) string {
	return map[reflect.Kind]string{reflect.Bool: "true or false", reflect.String: "text", reflect.Float64: "number"}[t.Kind()] +
		map[bool]string{true: "whole number"}[t.Kind() == reflect.Int || t.Kind() == reflect.Int64]
}

func valuesOf(f reflect.StructField) string {
	if list := f.Tag.Get("oneof"); list != "" {
		return "`" + strings.ReplaceAll(list, ",", "`, `") + "`"
	}
	tag := f.Tag.Get("range")
	low, high, _ := strings.Cut(strings.Trim(tag, "[]"), ",")
	switch {
	case strings.HasSuffix(tag, "]"):
		return low + " to " + high
	case f.Name == "Model":
		return "`" + strings.Join(Models, "`, `") + "`"
	case f.Name == "Degradation":
		return "see [degradations.md](degradations.md)"
	case tag == "":
		return "any"
	default:
		return strings.TrimPrefix(parseRange(tag).String(), "of ")
	}
}

func TestEveryRangeIsChecked(t *testing.T) {
	form := regexp.MustCompile(`^[\[(]-?\d+,\d*[\])]$`)
	c := reflect.TypeFor[Config]()
	for i := range c.NumField() {
		f := c.Field(i)
		numeric := f.Type.Kind() == reflect.Float64 || f.Type.Kind() == reflect.Int
		if tag := f.Tag.Get("range"); numeric != (tag != "") || tag != "" && !form.MatchString(tag) {
			t.Errorf("%s has the range %q", f.Name, tag)
			continue
		}
		if !numeric {
			continue
		}
		l := parseRange(f.Tag.Get("range"))
		complains := func(value float64) bool {
			cfg := Default()
			cfg.PatchSize, cfg.LearningRate, cfg.VGGWeights = 8192, 1e9, "vgg.pth" // out of the way of contradictions
			if kind := f.Tag.Get("of"); kind != "" {
				cfg.Degradation, cfg.DegradeOnTheFly = kind, true
			}
			if low, ok := strings.CutSuffix(f.Name, "Max"); ok { // the other end of a range
				if v := reflect.ValueOf(&cfg).Elem().FieldByName(low); v.CanInt() {
					v.SetInt(1)
				} else {
					v.SetFloat(0)
				}
			}
			if v := reflect.ValueOf(&cfg).Elem().Field(i); v.CanInt() {
				v.SetInt(int64(value))
			} else {
				v.SetFloat(value)
			}
			err := cfg.Validate()
			return err != nil && strings.Contains(err.Error(), f.Name+" is ")
		}
		step := 1.0
		if f.Type.Kind() == reflect.Float64 {
			step = 1e-3
		}
		if !complains(l.low-step) || !complains(l.low) != !l.openLow || complains(l.low+step) {
			t.Errorf("%s: the lower end of %+v is not what Validate refuses", f.Name, l)
		}
		if !math.IsInf(l.high, 1) && f.Name != "WarmupEpochs" && (!complains(l.high+step) || complains(l.high) != l.openHigh || complains(l.high-step)) {
			t.Errorf("%s: the upper end of %+v is not what Validate refuses", f.Name, l)
		}
		if f.Type.Kind() == reflect.Float64 && (!complains(math.NaN()) || !complains(math.Inf(1))) {
			t.Errorf("%s may be NaN or infinite", f.Name)
		}
	}
}

func TestContradictionsAreOneSentenceEach(t *testing.T) {
	for _, c := range []struct {
		says  []string
		spoil func(*Config)
	}{
		{[]string{"WarmupEpochs is 5, longer than the whole run of 3 epochs"}, func(c *Config) { c.NumEpochs = 3 }},
		{[]string{"MinLR is 0.01", "LearningRate (0.0001)"}, func(c *Config) { c.MinLR = 0.01 }},
		{[]string{`TrainDegradedDir and ValDegradedDir are both "noisy"`}, func(c *Config) { c.TrainDegradedDir, c.ValDegradedDir = "noisy", "./noisy" }},
		{[]string{"TrainDegradedDir and TrainCleanDir are both"}, func(c *Config) { c.TrainDegradedDir = c.TrainCleanDir + "/" }},
		{[]string{"ValDegradedDir and ValCleanDir are both"}, func(c *Config) { c.ValDegradedDir = c.ValCleanDir }},
		{[]string{"ForkExperiment", "InitialWeights"}, func(c *Config) { c.ForkExperiment, c.InitialWeights = "a", "b" }},
		{[]string{"NoiseSigmaMax is 50, below NoiseSigma (100)"}, func(c *Config) { c.NoiseSigmaMax = 50 }},
		{[]string{"JPEGQualityMax is 5, below JPEGQuality (10)"}, func(c *Config) { c.Degradation, c.JPEGQualityMax = "poisson_gaussian_jpeg", 5 }},
		{[]string{"NoiseUnclipped is 0.5", "DegradeOnTheFly = true"}, func(c *Config) { c.NoiseUnclipped = 0.5 }},
		{[]string{`Model is "unet2"; it must be one of`, "attention_unet"}, func(c *Config) { c.Model = "unet2" }},
	} {
		cfg := Default()
		c.spoil(&cfg)
		if c.says[0][0] == 'T' { // the folders are named
			c.says[0] = strings.Replace(c.says[0], `"noisy"`, fmt.Sprintf("%q", cfg.TrainDegradedDir), 1)
		}
		err := cfg.Validate()
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("want one sentence that says %q, got %v", c.says, err)
			continue
		}
		for _, part := range c.says {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("got %q, want it to say %q", err, part)
			}
		}
	}
	both := Default() // the same pictures for both sets
	both.ValCleanDir, both.TrainDegradedDir, both.ValDegradedDir = both.TrainCleanDir, "noisy", "noisy"
	if err := both.Validate(); err != nil {
		t.Errorf("one set of pictures for both: %v", err)
	}
}

func TestErrorsInJSONSpeakOfJSON(t *testing.T) {
	for text, want := range map[string]string{
		`{"num_epochs": "many"}`:               `"num_epochs" is "many"; it must be a whole number`,
		`{"num_epochs": 2.5}`:                  `"num_epochs" is 2.5; it must be a whole number`,
		`{"num_epochs": 99999999999999999999}`: `it must be a whole number, at most 9223372036854775807`,
		`{"num_epochs": null}`:                 `"num_epochs" is null`,
		`{"use_amp": 1}`:                       `it must be true or false`,
		`{"model": 3}`:                         `it must be a text in quotes`,
		`{"learning_rate": "fast"}`:            `it must be a number`,
		`{"learning_rate": 1e999}`:             `it must be a number`,
		`{"num_epochs": 2, "num_epochs": 3}`:   `the key "num_epochs" is given twice`,
		`{"num_epochs": 2} {"batch_size": 2}`:  `follows the JSON object`,
		`{"num_epochs": 2`:                     `ends too early`,
		`{"num_epochs": 2,}`:                   `malformed`,
		`[2]`:                                  `not a JSON object`,
		``:                                     `not a JSON object`,
		`{"model": ["` + strings.Repeat("x", 999) + `"]}`: `xxx…`,
	} {
		_, err := Default().Override(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
			continue
		}
		for _, word := range []string{"Go ", "struct", "unmarshal", "Config.", "\n\n"} {
			if strings.Contains(err.Error(), word) {
				t.Errorf("%s: %q speaks of Go", text, err)
			}
		}
	}
}

func TestAnotherVersionsFileIsReadAsFarAsItGoes(t *testing.T) {
	c, unread, err := Decode([]byte(`{"num_epochs": 50, "device": ["cuda:0"], "patience": null, "from_the_future": {"a": 1}, "noise_sigma": 25}`))
	want := Default()
	want.NumEpochs, want.NoiseSigma = 50, 25
	if err != nil || c != want || len(unread) != 2 || !strings.Contains(unread[0], "device") {
		t.Errorf("got %+v, %q, %v", c, unread, err)
	}
	if _, _, err := Decode([]byte(`{"num_epochs": 50, "num_epochs": 51}`)); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a key given twice: %v", err)
	}
}

func TestOnlyWhatAPersonWroteCountsAsEdited(t *testing.T) {
	base := Default()
	keys := func(edit func(*Config)) (list []string) {
		for _, e := range base.Edited(edit) {
			list = append(list, e.Key+"="+string(e.Value))
		}
		return list
	}
	for _, c := range []struct {
		want []string
		edit func(*Config)
	}{
		{nil, func(*Config) {}},
		{[]string{"batch_size=4"}, func(c *Config) { c.BatchSize = 4 }},
		{[]string{"resume_from_checkpoint=false", "batch_size=16"}, func(c *Config) { c.BatchSize, c.ResumeFromCheckpoint = 16, false }}, // the values that they have
		{[]string{"experiment_name=\"\""}, func(c *Config) { c.ExperimentName = "" }},
		{[]string{"batch_size=8"}, func(c *Config) { c.BatchSize /= 2 }},
		{[]string{"batch_size=4"}, func(c *Config) {
			if c.BatchSize = 4; c.PatchSize != 128 {
				panic("an unusual size")
			}
		}},
	} {
		if got := keys(c.edit); !slices.Equal(got, c.want) {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	other := base.unlike()
	for i, f := range other.Fields() {
		if f.Value == base.Fields()[i].Value {
			t.Errorf("%s is the same in settings that are to differ", f.Name)
		}
	}
}

func TestAResumedRunKeepsWhatIsItsOwn(t *testing.T) {
	own, machine := Default().unlike(), Default()
	got := machine.Resumed(own)
	var others []string
	for i, f := range got.Fields() {
		if f.Value == machine.Fields()[i].Value {
			others = append(others, f.Key)
		}
	}
	want := []string{"resume_from_checkpoint", "resume_experiment", "fork_experiment", "initial_weights", "experiments_dir", "download_div2k", "num_workers",
		"max_steps", "max_minutes", "memory_limit_mb", "device", "devices"}
	if !slices.Equal(others, want) {
		t.Errorf("of the machine and the session are %q, want %q", others, want)
	}
	named := Default().WithFolders()
	named.ValDegradedDir = "mine"
	edited := machine.Resumed(named)
	edited.NoiseSigma = 25
	if got := edited.WithFolders(); got.TrainDegradedDir != "data/degraded/gaussian/sigma_25/train" || got.ValDegradedDir != "mine" {
		t.Errorf("with another noise the folders are %s and %s", got.TrainDegradedDir, got.ValDegradedDir)
	}
}

func TestPresetsAreValidAndSmallOnACPU(t *testing.T) {
	if Preset("xla:cuda") != Default() {
		t.Error("the preset for a GPU is not the original's")
	}
	for _, engine := range []string{"xla:cpu", "go"} {
		c := Preset(engine)
		if err := c.Validate(); err != nil || c.ModelFeatures >= Default().ModelFeatures || c.PatchSize >= Default().PatchSize {
			t.Errorf("%s: %+v, %v", engine, c, err)
		}
	}
}

func TestFieldsAreThoseOfTheFile(t *testing.T) {
	raw, err := json.Marshal(Default())
	if err != nil {
		t.Fatal(err)
	}
	list, err := entries(raw)
	if err != nil || len(list) != len(Default().Fields()) {
		t.Fatalf("%d keys, %v", len(list), err)
	}
	for i, f := range Default().Fields() {
		if list[i].Key != f.Key || string(list[i].Value) != f.Value {
			t.Errorf("got %v, want %v", f, list[i])
		}
	}
	if got := show("<b> & 100%"); got != `"<b> & 100%"` { // for people, not for a page
		t.Errorf("got %s", got)
	}
}
