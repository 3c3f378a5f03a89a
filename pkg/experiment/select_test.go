package experiment

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestExperimentsAreSelectedByNamePatternPlaceAndPath(t *testing.T) {
	cfg := settings(t)
	root := cfg.ExperimentsDir
	var made []*Experiment
	for i, kind := range [][2]string{{"unet", "gaussian"}, {"attention_unet", "gaussian"}, {"unet", "quantization/bits_3"}} {
		cfg.Model, cfg.Degradation, cfg.ExperimentName = kind[0], kind[1], string(rune('a'+i))
		made = append(made, create(t, cfg, noon.Add(time.Duration(i)*time.Hour)))
	}
	cfg.ExperimentsDir = t.TempDir()
	elsewhere := create(t, cfg, noon)
	for _, c := range []struct{ patterns, want string }{
		{"", "c b a"}, {"latest", "c"}, {made[1].Name(), "b"}, {"*_a", "a"}, {"*_[ab]", "b a"}, {"unet/gaussian/*", "a"}, {"unet/*/*/*", "c"},
		{"*_a *_c *_a", "c a"}, {made[0].Dir, "a"}, {elsewhere.Dir + " latest", "c elsewhere"},
	} {
		got, err := Select(root, strings.Fields(c.patterns)...)
		if err != nil {
			t.Errorf("%q: %v", c.patterns, err)
			continue
		}
		var names []string
		for _, e := range got {
			i := slices.IndexFunc(made, func(m *Experiment) bool { return m.Dir == e.Dir })
			if i < 0 {
				names = append(names, "elsewhere")
			} else {
				names = append(names, string(rune('a'+i)))
			}
		}
		if strings.Join(names, " ") != c.want {
			t.Errorf("%q means %v, want %s", c.patterns, names, c.want)
		}
	}
	var missing *NotFoundError
	if _, err := Select(root, made[1].Name()+"x"); !errors.As(err, &missing) || missing.Have[0] != made[1].Name() {
		t.Errorf("a name that does not exist: got %v, want the nearest", err)
	}
	if _, err := Select(root, "[x"); err == nil || !strings.Contains(err.Error(), "no pattern") {
		t.Errorf("a broken pattern: got %v", err)
	}
	if _, err := Select(filepath.Join(root, "nothing"), "latest"); !errors.Is(err, ErrNone) {
		t.Errorf("no experiment at all: got %v, want ErrNone", err)
	}
	if all, err := All(filepath.Join(root, "nothing")); err != nil || len(all) != 0 {
		t.Errorf("a folder that is not there: got %v, %v", all, err)
	}
}
