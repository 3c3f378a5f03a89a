package export

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"rekindle/pkg/internal/python"
	"rekindle/pkg/rgb"
)

// onnxruntime stands for a network that gives back what it is given.
const onnxruntime = `
class InferenceSession:
    def __init__(self, path): pass
    def run(self, outputs, inputs): return [inputs["degraded"]]
`

// The Python program of docs/export.md sees pictures as this library does: 16-bit
// grey is not white, and what a camera marked as turned is upright.
func TestTheProgramOfTheGuideReadsPicturesOfAllKinds(t *testing.T) {
	interpreter := python.With(t, "PIL")
	guide, err := os.ReadFile("../../docs/export.md")
	if err != nil {
		t.Fatal(err)
	}
	program := regexp.MustCompile("(?s)```python\n(.*?)```").FindSubmatch(guide)
	if program == nil {
		t.Fatal("docs/export.md has no program in Python")
	}
	for _, name := range []string{"rgb.png", "grey.png", "grey16.png", "grey16.tif", "turned.jpg", "turned.png", "greya.png", "rgba.png", "palette.png"} {
		dir, source := t.TempDir(), filepath.Join("../picture/testdata", name)
		raw, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		for file, content := range map[string][]byte{"noisy.png": raw, "onnxruntime.py": []byte(onnxruntime), "program.py": program[1]} {
			if err := os.WriteFile(filepath.Join(dir, file), content, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command(interpreter, "program.py")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		got, err := rgb.Load(filepath.Join(dir, "restored.png"))
		if err != nil {
			t.Fatal(err)
		}
		want, err := rgb.Load(source)
		if err != nil {
			t.Fatal(err)
		}
		if got.W != want.W || got.H != want.H {
			t.Errorf("%s: %d x %d pixels, want %d x %d", name, got.W, got.H, want.W, want.H)
			continue
		}
		for i, v := range want.Pix {
			if d := int(got.Pix[i]) - int(v); d < -4 || d > 4 { // decoders of JPEG differ a little
				t.Errorf("%s: value %d is %d, want %d", name, i, got.Pix[i], v)
				break
			}
		}
	}
}
