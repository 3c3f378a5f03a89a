package ipynb

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// notebook makes one of a title, a text, a configuration and a training cell.
func notebook(model, title string) *Notebook {
	return &Notebook{Metadata: map[string]any{}, Format: 4, FormatMinor: 5, Cells: []*Cell{
		{Type: "markdown", ID: "title", Source: Text("# " + title + "\n\nThis one trains " + title + ".\n\nWhat all say.")},
		{Type: "code", ID: "configuration", Source: Text("!*rm mark\n%%\nConfigure(func(cfg *Config) {\n    cfg.Model = \"" + model + "\" // a network\n    // cfg.NoiseSigma = 50 // strength\n    cfg.NumEpochs = 7\n})")},
		{Type: "markdown", ID: "data-text", Source: "## 5. Data\n\nNoise."},
		{Type: "code", ID: "training", Source: "%%\nTrain(c)"},
	}}
}

func TestAFileIsWrittenAsItWasRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.ipynb")
	n := notebook("unet", "A <b> & a ü")
	one := 1
	n.Cells[1].ExecutionCount = &one
	n.Cells[1].Outputs = []map[string]any{{"output_type": "stream", "name": "stdout", "text": []any{"1 < 2\n"}}}
	if err := n.Save(path); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The order of keys, the indentation and the letters are those of Jupyter.
	for _, part := range []string{"{\n \"cells\": [\n  {\n   \"cell_type\": \"markdown\",\n   \"id\": \"title\",\n   \"metadata\": {},\n   \"source\": [\n    \"# A <b> & a ü\\n\",\n", "\"execution_count\": 1,\n   \"id\"", "\"1 < 2\\n\""} {
		if !strings.Contains(string(first), part) {
			t.Errorf("the file lacks %q:\n%s", part, first)
		}
	}
	again, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Save(path); err != nil {
		t.Fatal(err)
	}
	if second, err := os.ReadFile(path); err != nil || !bytes.Equal(first, second) {
		t.Errorf("reading and writing changed the file (%v):\n%s\n%s", err, first, second)
	}
}

func TestOtherFilesAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.ipynb")
	for _, text := range []string{"", "[]", `{"nbformat": 3, "nbformat_minor": 0}`} {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: got %v, want an error that names the file", text, err)
		}
	}
}

func TestSyncSpreadsTheMainNotebookAndKeepsWhatIsOwn(t *testing.T) {
	main, other := notebook("unet", "UNet"), notebook("attention_unet", "Attention")
	cell := other.Cell("configuration")
	cell.Source = Text(strings.Replace(string(cell.Source), "// cfg.NoiseSigma = 50 // strength", "// cfg.QuantizationBits = 3 // bits", 1))
	main.Cell("title").Source += "\n\nMore that all say."
	main.Cell("configuration").Source = "!*rm mark\n%%\nConfigure(func(cfg *Config) {\n\tcfg.Model = \"unet\" // a network by name\n\t// cfg.NoiseSigma = 25 // how strong\n\tcfg.NumEpochs  = 9\n\tcfg.Seed = 1\n})"
	main.Cell("training").Source = "%%\nTrain( c )"
	main.Cells = append(main.Cells, &Cell{Type: "code", ID: "new", Source: "%%\nNew(c)"})
	one := 1
	other.Cell("training").ExecutionCount = &one
	synced := other.Sync(main)
	for id, want := range map[string]Text{
		"title":         "# Attention\n\nThis one trains Attention.\n\nWhat all say.\n\nMore that all say.",
		"configuration": "!*rm mark\n%%\nConfigure(func(cfg *Config) {\n    cfg.Model = \"attention_unet\" // a network by name\n    // cfg.QuantizationBits = 3 // bits\n    cfg.NumEpochs = 9\n    cfg.Seed = 1\n})",
		"data-text":     "## 5. Data\n\nNoise.",
		"training":      "%%\nTrain(c)",
		"new":           "%%\nNew(c)",
	} {
		if got := synced.Cell(id).Source; got != want {
			t.Errorf("%s is\n%s\nwant\n%s", id, got, want)
		}
	}
	if synced.Cell("training").ExecutionCount != &one {
		t.Error("outputs were lost")
	}
	if again := synced.Sync(main); again.Sum() != synced.Sum() {
		t.Error("syncing twice gives something else")
	}
}

func TestTextsAboutAnotherDegradationAreOwn(t *testing.T) {
	for _, c := range []struct {
		degradation string
		want        Text
	}{{"gaussian", "## 5. Data\n\nNoise."}, {"salt_and_pepper", "## 5. Data\n\nDots."}} {
		main, other := notebook("unet", "UNet"), notebook("unet", "UNet")
		for n, degradation := range map[*Notebook]string{main: "gaussian", other: c.degradation} {
			cell := n.Cell("configuration")
			cell.Source = Text(strings.Replace(string(cell.Source), "})", "    cfg.Degradation = \""+degradation+"\"\n})", 1))
		}
		other.Cell("data-text").Source = "## 5. Data\n\nDots."
		if got := other.Sync(main).Cell("data-text").Source; got != c.want {
			t.Errorf("%s: got %q, want %q", c.degradation, got, c.want)
		}
	}
}

func TestCellsThatAreNotGoStayAsTheyAre(t *testing.T) {
	for text, want := range map[string]string{
		"if x {\n\ty( 1 )\n}":             "if x {\n    y(1)\n}",
		"%env A b\n\nconst c  = 1":        "%env A b\n\nconst c = 1",
		"!ls\n%%\nf( )":                   "!ls\n%%\nf()",
		"%%\nf( )\n%env in the middle":    "%%\nf( )\n%env in the middle",
		"var s = `\n\ta tab in a text\n`": "var s = `\n\ta tab in a text\n`",
	} {
		if got := formatCell(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func encoded(t *testing.T, im image.Image) string {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, im); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// noise is a picture that no lossless format makes smaller.
func noise(w, h int) image.Image {
	im := image.NewRGBA(image.Rect(0, 0, w, h))
	r := rand.New(rand.NewPCG(1, 2))
	for i := range im.Pix {
		im.Pix[i] = uint8(r.Uint32() | 255*uint32(i&3/3))
	}
	return im
}

// executed returns a copy of a notebook, run, with an output of its last cell.
func executed(t *testing.T, n *Notebook, output map[string]any) *Notebook {
	t.Helper()
	raw, err := n.encode()
	if err != nil {
		t.Fatal(err)
	}
	ran := new(Notebook)
	if err := json.Unmarshal(raw, ran); err != nil {
		t.Fatal(err)
	}
	for i, c := range ran.Code() {
		count := i + 1
		c.ExecutionCount = &count
		c.Metadata = map[string]any{"execution": map[string]any{"iopub.status.busy": "2026-01-02T12:00:00Z"}}
	}
	ran.Cells[len(ran.Cells)-1].Outputs = []map[string]any{output}
	return ran
}

func stream(name, text string) map[string]any {
	return map[string]any{"output_type": "stream", "name": name, "text": []any{"first\n", text}}
}

func picture(kind, data string) map[string]any {
	return map[string]any{"output_type": "display_data", "metadata": map[string]any{}, "data": map[string]any{kind: data}}
}

func TestStoredOutputsAreSmallAndWithoutTimes(t *testing.T) {
	n := notebook("unet", "UNet")
	before, err := n.encode()
	if err != nil {
		t.Fatal(err)
	}
	ran := executed(t, n, picture("image/png", encoded(t, noise(1016, 1016))))
	if err := n.Store(ran); err != nil {
		t.Fatal(err)
	}
	if err := n.Check(); err != nil {
		t.Error(err)
	}
	data := n.Cell("training").Outputs[0]["data"].(map[string]any)
	text, isJPEG := data["image/jpeg"].(string)
	if !isJPEG || len(data) != 1 {
		t.Fatalf("a photograph is stored as %d kinds, JPEG: %v", len(data), isJPEG)
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	small, err := jpeg.Decode(bytes.NewReader(raw))
	if err != nil || small.Bounds().Dx() != enoughWidth || len(raw) > 400_000 {
		t.Errorf("3 MB of noise are stored in %d bytes, %v wide (%v)", len(raw), small.Bounds().Dx(), err)
	}
	after, err := n.encode()
	if err != nil || bytes.Contains(after, []byte("2026-01-02")) {
		t.Errorf("the time of execution is stored (%v)", err)
	}
	if len(before) == 0 {
		t.Error("nothing to compare")
	}
}

func TestDrawingsStaySharp(t *testing.T) {
	im := image.NewRGBA(image.Rect(0, 0, 1400, 900))
	for i := range im.Pix {
		im.Pix[i] = 255
	}
	blue := color.RGBA{37, 99, 235, 255}
	for x := range 1400 {
		im.SetRGBA(x, 100+x/2, blue)
	}
	text := encoded(t, im)
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	small, kind, err := shrink(raw, maxPicture)
	if err != nil || kind != "image/png" || len(small) > 20_000 {
		t.Fatalf("a drawing became %s of %d bytes (%v)", kind, len(small), err)
	}
	drawn, err := png.Decode(bytes.NewReader(small))
	if err != nil || drawn.Bounds() != im.Bounds() {
		t.Fatalf("got %v, %v, want the same size", drawn.Bounds(), err)
	}
	for _, x := range []int{0, 777, 1399} {
		r, g, b, _ := drawn.At(x, 100+x/2).RGBA()
		got := [3]int{int(r >> 8), int(g >> 8), int(b >> 8)}
		for i, want := range [3]int{37, 99, 235} {
			if d := got[i] - want; d < -8 || d > 8 {
				t.Errorf("at %d: got %v, want %v", x, got, blue)
			}
		}
		if r, _, _, _ := drawn.At(x, 99+x/2).RGBA(); r>>8 != 255 {
			t.Errorf("white became %d", r>>8)
		}
	}
}

func TestWhatMustNotBeStoredIsNamed(t *testing.T) {
	for _, c := range []struct {
		what   string
		output map[string]any
		spoil  func(*Notebook)
		want   string
	}{
		{"nothing wrong", stream("stdout", "saved to experiments/work/tmp, 3 of 4\n"), nil, ""},
		{"an error", map[string]any{"output_type": "error", "ename": "x"}, nil, "training shows an error"},
		{"a word on standard error", stream("stderr", "oh"), nil, "training shows an error"},
		{"a path", stream("stdout", "in /work/clone/data\n"), nil, "/work/clone/data"},
		{"a path in HTML", picture("text/html", "<b>\"/home/me/x\"</b>"), nil, "/home/me/x"},
		{"a widget", picture("application/vnd.jupyter.widget-view+json", "x"), nil, "not every front end"},
		{"a script", picture("text/html", "<script>draw()</script>"), nil, "a script"},
		{"a cell that was edited", stream("stdout", "ok"), func(n *Notebook) { n.Cell("training").Source += "\nmore()" }, "not those of its present cells"},
		{"a cell that was not run", stream("stdout", "ok"), func(n *Notebook) { n.Cell("training").ExecutionCount = nil }, "training was not run"},
		{"too much", stream("stdout", strings.Repeat("x", MaxBytes)), nil, "650 are the limit"},
	} {
		n := notebook("unet", "UNet")
		if err := n.Store(executed(t, n, c.output)); err != nil {
			t.Fatal(err)
		}
		if c.spoil != nil {
			c.spoil(n)
		}
		err := n.Check()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.what, err, c.want)
		}
	}
	n := notebook("unet", "UNet")
	ran := executed(t, n, stream("stdout", ""))
	n.Cell("training").Source = "%%\nTrain(c, 2)"
	if err := n.Store(ran); err == nil || !strings.Contains(err.Error(), "another cell training") {
		t.Errorf("outputs of another cell: got %v", err)
	}
}

func TestANotebookThatShowsOthersResultsShowsAllOfThem(t *testing.T) {
	for _, c := range []struct {
		id, says string
		ok       bool
	}{
		{"table", "3, upsample: not evaluated: evaluation_metrics.json does not exist", false},
		{"table", "⚠️  3, upsample: 0 of 3 epochs", false},
		{"table", "3 of 3 epochs", true},
		{"training", "⚠️  Worst result", true}, // its own
	} {
		n := notebook("unet", "UNet")
		n.Cell("training").ID = c.id
		if err := n.Store(executed(t, n, stream("stdout", c.says))); err != nil {
			t.Fatal(err)
		}
		if err := n.Check(); (err == nil) != c.ok || err != nil && !strings.Contains(err.Error(), "the cell table shows results of which some are missing") {
			t.Errorf("%s says %q: got %v", c.id, c.says, err)
		}
	}
}

func TestNotebooksThatGitDoesNotKnowAreSomebodysOwn(t *testing.T) {
	clone := t.TempDir()
	for _, f := range []string{"notebooks/a/a.ipynb", Main, "notebooks/a/.ipynb_checkpoints/a.ipynb", "notebooks/a/readme.md"} {
		path := filepath.Join(clone, f)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	files, err := List(clone)
	if err != nil || strings.Join(files, " ") != Main+" notebooks/a/a.ipynb" {
		t.Errorf("without git: got %q, %v", files, err)
	}
	git(t, clone, "init", "-q")
	git(t, clone, "add", Main)
	if files, err = List(clone); err != nil || strings.Join(files, " ") != Main {
		t.Errorf("with git: got %q, %v, want the one that was added", files, err)
	}
}

func TestOutputsBelongToWhatCellsDoNotToTheirComments(t *testing.T) {
	sum := func(source string) string {
		n := &Notebook{Cells: []*Cell{{ID: "a", Type: "code", Source: Text(source)}}}
		return n.Sum()
	}
	was := sum("%env A 1\nimport \"fmt\"\n%%\nfmt.Println(\"// no comment\") // one\n")
	for name, source := range map[string]string{
		"another comment": "%env A 1\nimport \"fmt\"\n\n%%\n// Says it.\nfmt.Println(\"// no comment\")\n",
		"a line break":    "%env A 1\nimport \"fmt\"\n%%\nfmt.Println(\n\t\"// no comment\")\n",
	} {
		if sum(source) != was {
			t.Errorf("%s makes outputs those of another cell", name)
		}
	}
	for name, source := range map[string]string{
		"another text":              "%env A 1\nimport \"fmt\"\n%%\nfmt.Println(\"// a comment\")\n",
		"another line for a kernel": "%env A 2\nimport \"fmt\"\n%%\nfmt.Println(\"// no comment\")\n",
		"a line more":               "%env A 1\nimport \"fmt\"\n%%\nfmt.Println(\"// no comment\")\nfmt.Println()\n",
	} {
		if sum(source) == was {
			t.Errorf("%s leaves outputs those of the cell", name)
		}
	}
}
