package documents

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/internal/reference"
)

// plays act out what the documents describe; each returns what was printed.
var plays = map[string]func(t *testing.T, s *stage) string{
	"oom": func(t *testing.T, s *stage) string {
		_, text := outOfMemory(t, s)
		return text
	},
	"oom-open": func(t *testing.T, s *stage) string {
		k, _ := outOfMemory(t, s)
		defer func() { k.epochs(k.only(), 3) }()
		return k.works(k.run("oom-open configuration training"))
	},
	"oom-closed": func(t *testing.T, s *stage) string {
		k, _ := outOfMemory(t, s)
		k.restart()
		defer func() { k.epochs(k.only(), 3) }()
		return k.works(k.run("oom-closed" + runAll))
	},
	"interrupt": func(t *testing.T, s *stage) string {
		k := s.kernel(t, nil)
		return k.works(k.stopped(os.Interrupt))
	},
	"interrupted": func(t *testing.T, s *stage) string {
		k := s.kernel(t, nil)
		k.works(k.stopped(syscall.SIGTERM))
		k.goesOnTo()
		k.restart()
		text := k.works(k.run("interrupted" + runAll))
		if !strings.Contains(text, "Resuming from emergency_checkpoint_interrupt_epoch_") && !strings.Contains(text, "Resuming from last_checkpoint.pth") {
			t.Errorf("training did not go on:\n%s", text)
		}
		k.epochs(k.only(), k.cfg.NumEpochs)
		return text
	},
	"killed": func(t *testing.T, s *stage) string {
		k := s.kernel(t, nil)
		k.fails(k.stopped(syscall.SIGKILL))
		k.goesOnTo()
		k.restart()
		defer func() { k.epochs(k.only(), k.cfg.NumEpochs) }()
		return k.works(k.run("killed" + runAll))
	},
	"look": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		text := k.works(k.run("look" + runAll))
		if names := k.all(); len(names) != 1 {
			t.Errorf("looking made the experiments %q", names)
		}
		if !strings.Contains(text, "Training curves saved") {
			t.Errorf("no curves:\n%s", text)
		}
		return text
	},
	"named": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		k.works(k.run("configuration directories")) // a newer one
		text := k.works(k.run("named" + runAll))
		if !strings.Contains(text, "Experiment: "+exampleName) {
			t.Errorf("another experiment was opened:\n%s", text)
		}
		return text
	},
	"longer": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		defer func() { k.epochs(k.only(), 6) }()
		return k.works(k.run("longer" + runAll))
	},
	"fork": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		text := k.works(k.run("fork" + runAll))
		k.epochs(k.experiment(exampleName), 3)
		k.epochs(k.experiment(k.all()[0]), 6)
		return text
	},
	"from-pytorch": func(t *testing.T, s *stage) string {
		k := s.kernel(t, nil)
		dir := filepath.Join(k.top, "experiments/unet/gaussian/20251230_153045_v1")
		must(t, os.MkdirAll(filepath.Join(dir, "checkpoints"), 0o777))
		for from, to := range map[string]string{"unet_f4_zip.pth": "checkpoints/best_model.pth", "history_example.json": "history.json"} {
			raw, err := os.ReadFile(reference.Path(t, from))
			must(t, err)
			must(t, os.WriteFile(filepath.Join(dir, to), raw, 0o666))
		}
		defer func() { k.epochs(k.only(), 6) }()
		return k.works(k.run("from-pytorch" + runAll))
	},
	"read-checkpoint": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		return k.works(k.run("read-checkpoint"))
	},
	"nothing": func(t *testing.T, s *stage) string {
		k := s.kernel(t, nil)
		k.cfg.ResumeFromCheckpoint = true
		return k.fails(k.run(runAll))
	},
	"misnamed": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		k.cfg.ResumeFromCheckpoint, k.cfg.ResumeExperiment = true, "20251230_153054_bilinear"
		return k.fails(k.run(runAll))
	},
	"mismatch": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		must(t, os.CopyFS(filepath.Join(filepath.Dir(k.only().Dir), "20251231_080000_bilinear"), os.DirFS(k.only().Dir)))
		k.cfg.ResumeFromCheckpoint, k.cfg.ResumeExperiment = true, exampleName
		k.works(k.run("configuration directories"))
		k.cfg.ResumeExperiment = "latest"
		return k.works(k.run("configuration curves"))
	},
	"again": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		k.cfg.ResumeFromCheckpoint = true
		k.works(k.run("configuration directories"))
		k.cfg.ResumeFromCheckpoint = false
		return k.fails(k.run("configuration training"))
	},
	"locked": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		lock, err := k.only().Lock()
		must(t, err)
		defer lock.Release()
		k.cfg.ResumeFromCheckpoint = true
		return k.fails(k.run(runAll))
	},
	"reshaped": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		k.cfg.ResumeFromCheckpoint, k.cfg.ModelFeatures = true, 3
		return k.fails(k.run(runAll))
	},
	"damaged": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		truncate(t, k, checkpoint.Last)
		k.cfg.ResumeFromCheckpoint, k.cfg.NumEpochs = true, 6
		return k.works(k.run(runAll))
	},
	"hopeless": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		truncate(t, k, checkpoint.Last, checkpoint.Best, checkpoint.Periodic(2))
		k.cfg.ResumeFromCheckpoint = true
		return k.fails(k.run(runAll))
	},
	"unsaved": func(t *testing.T, s *stage) string {
		k := s.kernel(t, nil)
		k.works(k.run("configuration directories"))
		k.cfg.ResumeFromCheckpoint = true
		return k.works(k.run(runAll))
	},
	"bestless": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		must(t, os.Remove(checkpoint.Path(k.only().CheckpointsDir(), checkpoint.Best)))
		k.cfg.ResumeFromCheckpoint = true
		return k.works(k.run(runAll))
	},
	"unhistoric": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		must(t, os.WriteFile(k.only().HistoryPath(), []byte(`{"train_loss": [0.5`), 0o666))
		k.cfg.ResumeFromCheckpoint = true
		return k.works(k.run(runAll))
	},
	"diverging": func(t *testing.T, s *stage) string {
		k := s.kernel(t, nil)
		k.cfg.LearningRate, k.cfg.GradientClip, k.cfg.WarmupEpochs, k.cfg.PatchesPerImage = 1e30, 0, 0, 20
		return k.fails(k.run(runAll))
	},
	"patient": func(t *testing.T, s *stage) string {
		k := s.kernel(t, nil)
		k.cfg.Patience, k.cfg.LearningRate, k.cfg.MinLR, k.cfg.NumEpochs = 1, 1e-12, 0, 50 // learns nothing
		first := k.works(k.run(runAll))
		k.cfg.ResumeFromCheckpoint = true
		if again := k.works(k.run(runAll)); strings.Contains(again, "Training epochs") {
			t.Errorf("a resume went on:\n%s", again)
		}
		return first
	},
	"unconfigured": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		return k.fails(k.run("directories"))
	},
	"fresh-kernel": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		return k.fails(k.run("configuration curves"))
	},
}

func outOfMemory(t *testing.T, s *stage) (*kernel, string) {
	t.Helper()
	k := s.kernel(t, nil)
	k.cfg.BatchSize, k.cfg.MemoryLimitMB, k.cfg.PatchesPerImage = 16, 20, 8 // less than the program itself
	text := k.fails(k.run(runAll))
	k.cfg.MemoryLimitMB = 0
	return k, text
}

func truncate(t *testing.T, k *kernel, names ...string) {
	t.Helper()
	for _, name := range names {
		must(t, os.Truncate(checkpoint.Path(k.only().CheckpointsDir(), name), 1000))
	}
}

// documents whose blocks are played.
var documents = []string{"resume.md", "scaling.md", "coming-from-pytorch.md"}

func TestEveryBlockOfTheGuidesIsTrue(t *testing.T) {
	t.Parallel()
	blocks := blocksOf(t, documents...)
	s := build(t, blocks)
	lines := map[string][]block{}
	for _, b := range blocks {
		switch b.attribute {
		case "play":
			lines[b.value] = lines[b.value]
		case "said-by":
			lines[b.value] = append(lines[b.value], b)
		case "prints":
			t.Run(b.value, func(t *testing.T) { t.Parallel(); runPython(t, s, b, blocks) })
		case "does":
			t.Run(b.value, func(t *testing.T) { t.Parallel(); doShell(t, s, b) })
		case "on-paper": // the document says so
		case "printed-by": // with the block that prints it
		case "in-source":
			inSource(t, b)
		case "tree":
			sameTree(t, s, b)
		case "file":
			sameKeys(t, s, b)
		case "run":
			checkShell(t, b)
		default:
			t.Errorf("%s: nothing tests this block; say after the language what it is (see blocks_test.go)", b)
		}
	}
	for name, lines := range lines {
		play, found := plays[name]
		if !found {
			t.Errorf("there is no play %q in resume_test.go", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := play(t, s)
			for _, b := range lines {
				says(t, b, text)
			}
		})
	}
}

// runPython runs a block in a folder where the example is, with PyTorch.
func runPython(t *testing.T, s *stage, b block, all []block) {
	script := filepath.Join(t.TempDir(), "block.py")
	k := s.kernel(t, example)
	// The original's network, as far as names and shapes go.
	network, err := os.ReadFile("../../train/testdata/step.py")
	must(t, err)
	classes, _, _ := strings.Cut(string(network), "def ssim")
	models := classes + "\nBase = UNet\nclass UNet(Base):\n    def __init__(self, features, bilinear):\n        assert bilinear\n        super().__init__(features)\n"
	must(t, os.WriteFile(filepath.Join(filepath.Dir(script), "models.py"), []byte(models), 0o666))
	must(t, os.WriteFile(script, fmt.Appendf(nil, "import os\nos.chdir(%q)\n%s", k.top, b.text), 0o666))
	out := reference.PythonFile(t, script)
	printed := slices.IndexFunc(all, func(o block) bool { return o.attribute == "printed-by" && o.value == b.value })
	if printed < 0 {
		t.Fatalf("%s: nothing says what this prints", b)
	}
	says(t, all[printed], out)
}

var verb = regexp.MustCompile(`%[+#]?[a-z]`)

// inSource checks that each line is the wording of a string in the source.
func inSource(t *testing.T, b block) {
	t.Helper()
	var wordings []*regexp.Regexp
	must(t, filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, err := strconv.Unquote(lit.Value); err == nil && len(text) > 20 {
					wordings = append(wordings, regexp.MustCompile("^"+strings.Join(quoted(verb.Split(text, -1)), ".*")+"$"))
				}
			}
			return true
		})
		return nil
	}))
	for line := range strings.Lines(b.text) {
		line = strings.TrimSpace(line)
		if !slices.ContainsFunc(wordings, func(w *regexp.Regexp) bool { return w.MatchString(line) }) {
			t.Errorf("%s: no message in the source reads\n\t%s", b, line)
		}
	}
}

func quoted(parts []string) []string {
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return parts
}

// sameTree checks that what a document shows of a folder exists, and that it
// leaves nothing out.
func sameTree(t *testing.T, s *stage, b block) {
	t.Helper()
	rows := strings.Split(strings.TrimRight(b.text, "\n"), "\n")
	shown := map[string]bool{}
	parent := ""
	for _, row := range rows[1:] {
		indent := len(row) - len(strings.TrimLeft(row, " "))
		name := strings.Fields(row)[0]
		if indent == 4 {
			parent = ""
		}
		shown[parent+strings.TrimSuffix(name, "/")] = true
		if strings.HasSuffix(name, "/") && indent == 4 {
			parent = name
		}
	}
	root := filepath.Join(s.done, strings.TrimPrefix(strings.TrimSpace(rows[0]), "experiments/"))
	for path := range shown {
		if _, err := os.Stat(filepath.Join(root, path)); err != nil && !strings.Contains(path, "emergency") {
			t.Errorf("%s: a real experiment has no %s", b, path)
		}
	}
	for _, dir := range []string{".", "checkpoints"} {
		entries, err := os.ReadDir(filepath.Join(root, dir))
		must(t, err)
		for _, e := range entries {
			if path := filepath.Join(dir, e.Name()); e.Name() != ".lock" && !shown[path] && !shown[path+"/tensorboard_logs"] {
				t.Errorf("%s: a real experiment also has %s", b, path)
			}
		}
	}
}

// sameKeys checks that a JSON block has the keys and types of a real file.
func sameKeys(t *testing.T, s *stage, b block) {
	t.Helper()
	var shown, real any
	if err := json.Unmarshal([]byte(b.text), &shown); err != nil {
		t.Errorf("%s: %v", b, err)
		return
	}
	raw, err := os.ReadFile(filepath.Join(s.done, "unet", "gaussian", exampleName, b.value))
	must(t, err)
	must(t, json.Unmarshal(raw, &real))
	if a, b2 := shape(shown), shape(real); !reflect.DeepEqual(a, b2) {
		t.Errorf("%s: the document shows\n\t%v\na real %s has\n\t%v", b, a, b.value, b2)
	}
}

// shape replaces the values of decoded JSON by their types.
func shape(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := map[string]any{}
		for key, item := range v {
			m[key] = shape(item)
		}
		return m
	case []any:
		if len(v) == 0 {
			return "empty list"
		}
		return []any{shape(v[0])}
	}
	return fmt.Sprintf("%T", v)
}

// doShell runs a block where the example is; /tmp is another folder.
func doShell(t *testing.T, s *stage, b block) {
	k := s.kernel(t, example)
	text := strings.ReplaceAll(b.text, "/tmp/", t.TempDir()+"/")
	cmd := exec.Command("bash", "-euc", text)
	cmd.Dir = k.top
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", b, err, out)
	}
}

// TestShellBlocks runs the shell blocks in a copy of this clone, at a small size.
func TestShellBlocks(t *testing.T) {
	if os.Getenv("REKINDLE_SCENARIOS") == "" {
		t.Skip("this needs Jupyter; set REKINDLE_SCENARIOS=1 to run it")
	}
	blocks := blocksOf(t, documents...)
	s := build(t, nil)
	for _, b := range only(blocks, "run") {
		t.Run(b.value, func(t *testing.T) {
			k := s.kernel(t, example)
			files, err := exec.Command("git", "-C", clone, "ls-files", "-co", "--exclude-standard").Output()
			must(t, err)
			for _, file := range strings.Fields(string(files)) {
				raw, err := os.ReadFile(filepath.Join(clone, file))
				must(t, err)
				must(t, os.MkdirAll(filepath.Dir(filepath.Join(k.top, file)), 0o777))
				must(t, os.WriteFile(filepath.Join(k.top, file), raw, 0o777))
			}
			small, err := json.Marshal(k.cfg)
			must(t, err)
			// The block's own keys come last and win.
			text := overrides.ReplaceAllStringFunc(b.text, func(found string) string {
				return fmt.Sprintf("REKINDLE_CONFIG='%s, %s", strings.TrimSuffix(string(small), "}"), strings.TrimPrefix(found, "REKINDLE_CONFIG='{"))
			})
			cmd := exec.Command("bash", "-euc", text)
			cmd.Dir = k.top
			out, err := cmd.CombinedOutput()
			words := map[string]string{"resume": "Resuming from last_checkpoint.pth", "auto": "Training completed"}[b.value]
			if err != nil || words == "" || !strings.Contains(string(out), words) {
				t.Errorf("%s: %v\n%s", b, err, out)
			}
		})
	}
}

var overrides = regexp.MustCompile(`REKINDLE_CONFIG='([^']*)'`)

// checkShell checks a block's syntax, its targets of make, and its overrides.
func checkShell(t *testing.T, b block) {
	t.Helper()
	cmd := exec.Command("bash", "-n")
	cmd.Stdin = strings.NewReader(b.text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", b, err, out)
	}
	for _, found := range overrides.FindAllStringSubmatch(b.text, -1) {
		if _, err := config.Default().Override(found[1]); err != nil {
			t.Errorf("%s: %v", b, err)
		}
	}
	for _, found := range regexp.MustCompile(`\bmake ([a-z]+)`).FindAllStringSubmatch(b.text, -1) {
		if out, err := exec.Command("make", "-n", "-C", clone, found[1]).CombinedOutput(); err != nil {
			t.Errorf("%s: make %s: %v\n%s", b, found[1], err, out)
		}
	}
}
