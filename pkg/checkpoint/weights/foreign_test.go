package weights

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/checkpoint/pth"
)

// TestFilesOfOtherProgramsAreRead opens what testdata/write.py made with PyTorch,
// BasicSR's and Lightning's layouts among them, all of one network.
func TestFilesOfOtherProgramsAreRead(t *testing.T) {
	want := []Want{{"inc.weight", []int{2, 2, 1, 1}}, {"inc.bias", []int{2}}, {"norm.weight", []int{2}}, {"norm.bias", []int{2}},
		{"norm.running_mean", []int{2}}, {"norm.running_var", []int{2}}, {"norm.num_batches_tracked", nil}}
	for name, c := range map[string]struct{ key, prefix, unused string }{
		"averaged.bin":            {"", "module.", "n_averaged"},
		"basicsr.pth":             {"params_ema", "", ""},
		"compiled_protocol_4.pth": {"model", "_orig_mod.", ""},
		"deflated.pth":            {"state_dict", "", ""},
		"everything.pt":           {"net", "module.", ""},
		"half.pth":                {"state_dict", "", ""},
		"lightning.ckpt":          {"state_dict", "model.", "loss.weight loss.bias"},
		"unaligned.pth":           {"state_dict", "", ""},
	} {
		w, err := Open(filepath.Join("testdata", name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := strings.Join(w.Unused, " "); w.Key != c.key || w.Prefix != c.prefix || got != c.unused {
			t.Errorf("%s: found under %q without %q and %q, want %+v", name, w.Key, w.Prefix, got, c)
		}
		got, err := w.Fit(want)
		if err != nil || !slices.Equal(got[0].Values, []float32{1, 2, 3, 4}) || !slices.Equal(got[1].Values, []float32{1, 1}) || got[6].Whole[0] != 7 {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	w, err := Open("testdata/legacy.pth") // parameters alone, beside a class with its source
	if got, fits := w.Fit(want[:4]); err != nil || fits != nil || got[0].Values[3] != 4 {
		t.Errorf("legacy.pth: got %v, %v, %v", got, err, fits)
	}
}

func TestFilesThatHoldCodeAreRefused(t *testing.T) {
	const instead = `in Python: torch.save(model.state_dict(), "weights.pth")`
	for name, c := range map[string]struct {
		kind error
		want []string
	}{
		"whole.pth":        {pth.ErrRefused, []string{"class __main__.Net", instead}},
		"whole_inside.pth": {ErrNoWeights, []string{`under "model"`, "class __main__.Net", instead}},
		"script.pt":        {pth.ErrRefused, []string{"TorchScript", instead}},
		"attack.pth":       {pth.ErrRefused, []string{`"posix.system"`, "may be an attack"}},
		"bzip2.pth":        {pth.ErrRefused, []string{"only deflate is read"}},
		"basicsr.state":    {ErrNoWeights, []string{"state of an optimizer", "net_g_latest.pth"}},
	} {
		_, err := Open(filepath.Join("testdata", name))
		for _, part := range append(c.want, name) {
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: got %v, want %q", name, err, part)
			}
		}
	}
	if _, err := os.Stat("/tmp/rekindle-was-attacked"); err == nil {
		t.Error("attack.pth was run")
	}
}
