package documents

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/config"
	"rekindle/pkg/internal/python"
)

// documents whose blocks are played.
var documents = []string{"resume.md", "settings.md", "scaling.md", "coming-from-pytorch.md"}

func TestEveryBlockOfTheGuidesIsTrue(t *testing.T) {
	t.Parallel()
	blocks := blocksOf(t, documents...)
	s := build(t, blocks)
	lines := map[string][]block{}
	for _, b := range blocks {
		switch b.attribute {
		case "play":
			if _, known := lines[b.value]; !known {
				lines[b.value] = nil
			}
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
			t.Errorf("there is no play %q in plays_test.go", name)
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
	out := python.Run(t, "torch", script)
	printed := slices.IndexFunc(all, func(o block) bool { return o.attribute == "printed-by" && o.value == b.value })
	if printed < 0 {
		t.Fatalf("%s: nothing says what this prints", b)
	}
	says(t, all[printed], out)
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
			text := overrides.ReplaceAllStringFunc(b.text, func(found string) string {
				small, err := k.cfg.Override(overrides.FindStringSubmatch(found)[1])
				must(t, err)
				object, err := json.Marshal(small)
				must(t, err)
				return fmt.Sprintf("REKINDLE_CONFIG='%s'", object)
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
