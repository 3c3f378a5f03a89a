package experiment

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rekindle/pkg/internal/disk"
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
		got, err := Select(root, nil, strings.Fields(c.patterns)...)
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
	cfg.ExperimentsDir, cfg.ExperimentName = root, "[1]"
	brackets := create(t, cfg, noon.Add(-time.Hour))
	place, err := filepath.Rel(root, brackets.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{brackets.Name(), place, brackets.Dir} {
		if got, err := Select(root, nil, pattern); err != nil || len(got) != 1 || got[0].Dir != brackets.Dir {
			t.Errorf("%q means %v, %v", pattern, got, err)
		}
	}
	var missing *NotFoundError
	if _, err := Select(root, nil, made[1].Name()+"x"); !errors.As(err, &missing) || missing.Have[0] != made[1].Name() {
		t.Errorf("a name that does not exist: got %v, want the nearest", err)
	}
	if _, err := Select(root, nil, "[x"); err == nil || !strings.Contains(err.Error(), "no pattern") {
		t.Errorf("a broken pattern: got %v", err)
	}
	if _, err := Select(filepath.Join(root, "nothing"), nil, "latest"); !errors.Is(err, ErrNone) {
		t.Errorf("no experiment at all: got %v, want ErrNone", err)
	}
	if all, err := All(filepath.Join(root, "nothing"), nil); err != nil || len(all) != 0 {
		t.Errorf("a folder that is not there: got %v, %v", all, err)
	}
}

func TestExperimentsBehindLinksAndUnderNamesOfAPersonsOwnAreFound(t *testing.T) {
	cfg := settings(t)
	a := create(t, cfg, noon)
	b := create(t, cfg, noon.Add(time.Hour))
	disk := t.TempDir()
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, from string) {
		t.Helper()
		if err := os.Symlink(to, from); err != nil {
			t.Fatal(err)
		}
	}
	parent := filepath.Dir(a.Dir)
	move(a.Dir, filepath.Join(disk, a.Name())) // one experiment lies on another disk,
	link(filepath.Join(disk, a.Name()), a.Dir)
	link(b.Dir, filepath.Join(disk, b.Name())) // another has a second name,
	link(disk, filepath.Join(cfg.ExperimentsDir, "old"))
	link(cfg.ExperimentsDir, filepath.Join(parent, "loop"))
	link("/none", filepath.Join(parent, "gone"))
	root := filepath.Join(t.TempDir(), "experiments")
	link(cfg.ExperimentsDir, root) // and the folder of all is a link itself.

	const mine = "-my best [run]"
	move(b.Dir, filepath.Join(parent, mine))
	var said []string
	all, err := Select(root, func(line string) { said = append(said, line) })
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range all {
		found = append(found, e.Name())
	}
	if want := []string{a.Name(), mine}; !slices.Equal(found, want) {
		t.Errorf("found %q, want %q", found, want)
	}
	if text := strings.Join(said, "\n"); !strings.Contains(text, "gone is a link to /none, which is not there") || !strings.Contains(text, "loop leads back") {
		t.Errorf("passed over with %q", text)
	}
	for _, pattern := range []string{mine, "unet/gaussian/-my*", filepath.Join(root, "unet/gaussian", mine)} {
		if got, err := Select(root, nil, pattern); err != nil || len(got) != 1 || got[0].Name() != mine {
			t.Errorf("%s: got %v, %v", pattern, got, err)
		}
	}
	if got, err := List(cfg); err != nil || !slices.Equal(got, []string{a.Name()}) {
		t.Errorf("beside each other lie %v (%v), want the linked one alone", got, err)
	}
	if got := Compare(all); len(got) != 2 || got[0].Config.Model != "unet" || got[1].Config.Model != "unet" {
		t.Error("they cannot be compared")
	}
}

func TestFoldersOfFileServersAreNoExperiments(t *testing.T) {
	cfg := settings(t)
	e := create(t, cfg, noon)
	for _, name := range []string{"@eaDir", "#snapshot", "lost+found"} { // thumbnails and indexes of a Synology, for instance
		index := filepath.Join(filepath.Dir(e.Dir), name, e.Name())
		if err := os.MkdirAll(index, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(index, "config.json@SynoEAStream"), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := Select(cfg.ExperimentsDir, nil, e.Name()); err != nil || len(found) != 1 || found[0].Dir != e.Dir {
		t.Errorf("the name means %v, %v", found, err)
	}
}

// What is not known must not look as if nothing was trained.
func TestAnExperimentThatMayNotBeLookedAtIsPassedOver(t *testing.T) {
	cfg := settings(t)
	older, newer := trained(t, create(t, cfg, noon)), trained(t, create(t, cfg, noon.Add(time.Hour)))
	for _, dir := range []string{newer.Dir, newer.CheckpointsDir()} {
		if err := os.Chmod(dir, 0); err != nil {
			t.Fatal(err)
		}
		disk.AsSomebody(t, cfg.ExperimentsDir, func() {
			var said []string
			found, err := Select(cfg.ExperimentsDir, func(line string) { said = append(said, line) }, Latest)
			if err != nil || len(found) != 1 || found[0].Dir != older.Dir || len(said) != 1 || !strings.Contains(said[0], "permission denied") {
				t.Errorf("%s: found %v, %v, said %q", dir, found, err, said)
			}
		})
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// A folder without a date is an experiment if its files say so. Where none of them can be
// read it is not taken for a folder of something else.
func TestAnExperimentUnderAnotherNameThatCannotBeReadIsPassedOverWithALine(t *testing.T) {
	e := create(t, settings(t), noon)
	root := filepath.Dir(e.Dir)
	mine := &Experiment{filepath.Join(root, "mine")}
	if err := errors.Join(os.Rename(e.Dir, mine.Dir), os.Chmod(mine.ConfigPath(), 0)); err != nil {
		t.Fatal(err)
	}
	disk.AsSomebody(t, root, func() {
		var said []string
		found, err := All(root, func(line string) { said = append(said, line) })
		if err != nil || len(found) != 0 || len(said) != 1 || !strings.Contains(said[0], mine.ConfigPath()) {
			t.Errorf("found %v, %v, said %q", found, err, said)
		}
	})
}
