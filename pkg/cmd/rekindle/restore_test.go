package main

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekindle/pkg/checkpoint/safetensors"
	"rekindle/pkg/model"
	"rekindle/pkg/nn"
)

// weights is a file of a small network.
func weights(t *testing.T) string { return weightsOf(t, "attention_unet") }

func weightsOf(t *testing.T, name string) string {
	t.Helper()
	net, err := model.New(name, model.Options{Features: 2, Bilinear: true, Depth: 3})
	if err != nil {
		t.Fatal(err)
	}
	values := net.Init(1)
	var items []safetensors.Item
	for _, e := range net.Entries() {
		if e.Role != nn.Counter {
			items = append(items, safetensors.Item{Name: e.Name, Shape: e.Shape, Float32: values[e.Name]})
		}
	}
	path := filepath.Join(t.TempDir(), "net.safetensors")
	if err := safetensors.Save(path, items, nil); err != nil {
		t.Fatal(err)
	}
	return path
}

func photo(t *testing.T, path string) {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 24, 18))); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

// call runs the program and returns its exit status and what it said.
func call(ctx context.Context, args ...string) (status int, out, messages string) {
	var o, m bytes.Buffer
	status = run(ctx, args, streams{&o, &m})
	return status, o.String(), m.String()
}

func TestAFolderIsRestored(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", "go")
	in, out, net := t.TempDir(), filepath.Join(t.TempDir(), "restored"), weights(t)
	photo(t, filepath.Join(in, "a.png"))
	photo(t, filepath.Join(in, "sub", "b.png"))
	args := []string{"restore", "-in", in, "-out", out, "-experiment", net}
	status, said, messages := call(context.Background(), args...)
	if status != 0 || strings.Count(said, "24x18") != 2 || !strings.Contains(said, "1 of 2") || !strings.Contains(said, "attention_unet with 2 features") {
		t.Fatalf("status %d:\n%s%s", status, said, messages)
	}
	if _, err := os.Stat(filepath.Join(out, "sub", "b.png")); err != nil {
		t.Error(err)
	}
	if status, said, _ = call(context.Background(), args...); status != 0 || !strings.Contains(said, "2 of 2 are there already") {
		t.Errorf("again: status %d:\n%s", status, said)
	}
	if err := os.WriteFile(filepath.Join(in, "bad.jpg"), []byte("text"), 0o666); err != nil {
		t.Fatal(err)
	}
	status, said, messages = call(context.Background(), append(args, "-overwrite")...)
	if status != 1 || strings.Count(said, "✅") != 2 || !strings.Contains(messages, "bad.jpg") || !strings.Contains(messages, "1 of 3 could not be restored") {
		t.Errorf("with a bad file: status %d:\n%s%s", status, said, messages)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if status, _, messages = call(ctx, append(args, "-overwrite")...); status != 130 || !strings.Contains(messages, "goes on with the rest") {
		t.Errorf("interrupted: status %d:\n%s", status, messages)
	}
}

func TestBeforeAnyTrainingWhatComesWithTheProgramRestores(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", "go")
	in, out := filepath.Join(t.TempDir(), "a.png"), filepath.Join(t.TempDir(), "b.png")
	photo(t, in)
	status, said, messages := call(context.Background(), "restore", "-in", in, "-out", out, "-dir", t.TempDir())
	if status != 0 || !strings.Contains(said, "pretrained: shuffle_unet") || !strings.Contains(messages, "Nothing was trained here yet") {
		t.Errorf("status %d:\n%s%s", status, said, messages)
	}
	if status, said, messages = call(context.Background(), "restore", "-in", in, "-out", out, "-overwrite", "-experiment", "pretrained"); status != 0 || strings.Contains(messages, "Nothing was trained") {
		t.Errorf("asked for: status %d:\n%s%s", status, said, messages)
	}
}

func TestWrongCallsGetOneSentence(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", "go")
	in, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
	empty := t.TempDir()
	photo(t, filepath.Join(in, "a.png"))
	unet, ffdnet := weights(t), weightsOf(t, "ffdnet")
	for _, c := range []struct {
		args   string
		status int
		words  string
	}{
		{"", 2, "Commands:"}, {"improve", 2, `no command "improve"`}, {"restore -nonsense", 2, "nonsense"},
		{"restore", 1, "IN"}, {"restore photo.png", 1, `what is "photo.png"`},
		{"restore -in IN -out OUT -dir EMPTY -experiment mine", 1, "no such experiment"},
		{"restore -in IN -out OUT -experiment none.pth", 1, "no file none.pth"},
		{"restore -in IN -out OUT -shard 0/3", 1, "SHARD"}, {"restore -in IN -out OUT -shard 4/3", 1, "SHARD"}, {"restore -in IN -out OUT -shard x", 1, "SHARD"},
		{"restore -in IN -out OUT -experiment UNET -sigma 25", 1, "attention_unet takes no noise level (SIGMA); leave it out"},
		{"restore -in IN -out OUT -experiment FFDNET", 1, "ffdnet must be told the level of the noise: its standard deviation in grey levels of 0 to 255, such as SIGMA=25"},
		{"restore -in IN -out OUT -experiment FFDNET -sigma strong", 1, `SIGMA is "strong"; it must be a number of 0 to 255`},
		{"restore -in IN -out OUT -experiment FFDNET -sigma 300", 1, "the noise level (SIGMA) is 300; it must be 0 to 255"},
		{"score", 1, "which pictures?"}, {"score IN", 1, "what is"}, {"score -set IN -net none.pth", 1, "no file none.pth"},
		{"score -set IN -net UNET -sigma 25,much", 1, `SIGMA is "25,much"; it must be a noise level of 0 to 255 grey levels`},
		{"score -set IN -net UNET -sigma -1", 1, "SIGMA"}, {"score -set IN -net UNET -every 0", 1, "-every is 0"},
		{"score -set IN -net UNET -out EMPTY/none/scores", 1, "no folder"},
		{"restore -in EMPTY -out OUT", 1, "no picture"},
		{"restore -in IN -out IN", 1, "same folder"},
	} {
		args := strings.Fields(strings.NewReplacer("IN", in, "OUT", out, "EMPTY", empty, "UNET", unet, "FFDNET", ffdnet).Replace(c.args))
		status, said, messages := call(context.Background(), args...)
		if status != c.status || !strings.Contains(messages, c.words) || said != "" {
			t.Errorf("%q: status %d, want %d and %q:\n%s%s", c.args, status, c.status, c.words, said, messages)
		}
	}
	if status, said, _ := call(context.Background(), "help"); status != 0 || !strings.Contains(said, "restore") {
		t.Errorf("help: status %d:\n%s", status, said)
	}
	if status, _, messages := call(context.Background(), "restore", "-help"); status != 0 || !strings.Contains(messages, "-experiment") || !strings.Contains(messages, "sub-folders") {
		t.Errorf("restore -help: status %d:\n%s", status, messages)
	}
}
