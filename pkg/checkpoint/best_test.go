package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"rekindle/pkg/internal/disk"
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/checkpoint/pth"
)

// cut truncates a checkpoint; flip changes a bit of its first tensor.
func cut(t *testing.T, path string) {
	t.Helper()
	if err := os.Truncate(path, 1000); err != nil {
		t.Fatal(err)
	}
}

func flip(t *testing.T, path string, s *State) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw[bytes.Index(raw, bytesOf(s.Model[0].Values))+5] ^= 1
	if err := os.WriteFile(path, raw, 0o666); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestADamagedBestModelIsKeptAndMadeFromTheNewestGoodOne(t *testing.T) {
	for what, damage := range map[string]func(string){
		"cut":     func(path string) { cut(t, path) },
		"flipped": func(path string) { flip(t, path, sample(2, 0)) },
	} {
		dir := t.TempDir()
		best := save(t, dir, Best, sample(2, 0))
		save(t, dir, Last, sample(5, 0))
		flip(t, save(t, dir, Emergency("oom", 7), sample(6, 1)), sample(6, 1))
		damage(best)
		var lines []string
		s, err := Folder(dir).LoadBest(func(l string) { lines = append(lines, l) })
		if err != nil || s.Epoch != 5 {
			t.Fatalf("%s: got %v, %v, want the State of epoch 5\n%q", what, s, err, lines)
		}
		for i, want := range []string{
			"⚠️  emergency_checkpoint_oom_epoch_7.pth is damaged and is passed over (it is kept): ",
			"⚠️  best_model.pth is damaged (it is kept as best_model.pth.invalid-1): ",
			"   📋 Found alternative checkpoint: last_checkpoint.pth",
			"   🔄 Copying to best_model.pth...",
			"   ✅ Successfully created best_model.pth",
			"   ⚠️  Note: This may not be the actual best model, just the most recent checkpoint",
		} {
			if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
				t.Errorf("%s: printed %q, want line %d to be %q", what, lines, i, want)
			}
		}
		if got, err := Load(best); err != nil || got.Epoch != 5 {
			t.Errorf("%s: best_model.pth holds %v, %v", what, got, err)
		}
		want := []string{Best, Best + ".invalid-1", Emergency("oom", 7), Last}
		if got := names(t, dir); !slices.Equal(got, want) {
			t.Errorf("%s: the folder holds %q, want %q", what, got, want)
		}
		lines = nil
		if s, err := Folder(dir).LoadBest(func(l string) { lines = append(lines, l) }); err != nil || s.Epoch != 5 || len(lines) > 0 {
			t.Errorf("%s: the next time: %v, %v, %q", what, s, err, lines)
		}
	}
}

func TestABestModelThatIsCutOffIsFoundWithoutReadingItsTensors(t *testing.T) {
	dir := t.TempDir()
	cut(t, save(t, dir, Best, sample(2, 0)))
	save(t, dir, Last, sample(5, 0))
	if err := Folder(dir).EnsureBest(func(string) {}); err != nil {
		t.Fatal(err)
	}
	if got, err := Load(Folder(dir).Path(Best)); err != nil || got.Epoch != 5 {
		t.Errorf("best_model.pth holds %v, %v", got, err)
	}
}

func TestTheOnlyCheckpointStaysWhereItIsAlthoughItIsDamaged(t *testing.T) {
	dir := t.TempDir()
	cut(t, save(t, dir, Best, sample(2, 0)))
	_, err := Folder(dir).LoadBest(func(l string) { t.Error(l) })
	want := "checkpoint: best_model.pth is damaged: the zip archive is cut off or its directory was changed; " +
		"there is no whole checkpoint in " + dir + " to make it from: train again in a new experiment"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if got := names(t, dir); !slices.Equal(got, []string{Best}) {
		t.Errorf("the folder holds %q", got)
	}
}

func TestABestModelThatTrainingSavesMeanwhileIsNotReplaced(t *testing.T) {
	for _, damaged := range []bool{true, false} {
		dir := t.TempDir()
		if damaged {
			cut(t, save(t, dir, Best, sample(1, 0)))
		}
		save(t, dir, Last, sample(5, 0))
		s, err := Folder(dir).LoadBest(func(line string) {
			if strings.Contains(line, "Copying") {
				save(t, dir, Best, sample(4, 0))
			}
		})
		if err != nil || s.Epoch != 4 {
			t.Errorf("got %v, %v, want what training saved, of epoch 4", s, err)
		}
	}
}

func TestAFileThatCannotBeReadIsNotCalledDamaged(t *testing.T) {
	dir := t.TempDir()
	save(t, dir, Periodic(5), sample(5, 0))
	path := Folder(dir).Path(Last)
	if err := os.Symlink(Last, path); err != nil { // to itself: refused by the system to everybody
		t.Fatal(err)
	}
	check := func(why string) {
		t.Helper()
		for what, read := range map[string]func() error{
			"Newest":   func() error { _, _, err := Folder(dir).Newest(func(l string) { t.Error(l) }); return err },
			"Recover":  func() error { _, _, err := Folder(dir).Recover(func(l string) { t.Error(l) }); return err },
			"LoadBest": func() error { _, err := Folder(dir).LoadBest(func(l string) { t.Error(l) }); return err },
			"Load":     func() error { _, err := Load(path); return err },
		} {
			want := "checkpoint: " + path + " " + why + ", or move it out of the folder to do without it"
			if err := read(); err == nil || errors.Is(err, ErrDamaged) || err.Error() != want {
				t.Errorf("%s: got %v, want %s", what, err, want)
			}
		}
		if got := names(t, dir); !slices.Equal(got, []string{Periodic(5), Last}) {
			t.Errorf("the folder holds %q", got)
		}
	}
	check("cannot be read: too many levels of symbolic links; make it readable")
	os.Remove(path)
	if err := os.Symlink("/none/last", path); err != nil { // to a disk that is not mounted
		t.Fatal(err)
	}
	check("cannot be read: it is a link to /none/last, which is not there; mount its disk")
	os.Remove(path)
	root, err := encode(sample(9, 0))
	if err != nil {
		t.Fatal(err)
	}
	meta, _ := root.Get("metadata")
	extra, _ := meta.(*pth.Dict).Get("rekindle")
	extra.(*pth.Dict).Set("format", format+1)
	if err := pth.Save(path, root); err != nil {
		t.Fatal(err)
	}
	check(fmt.Sprintf("was written by a newer version (format %d, this one knows %d): update this clone to read it", format+1, format))
	if os.Getuid() != 0 { // to root nothing is forbidden
		save(t, dir, Last, sample(9, 0))
		if err := os.Chmod(path, 0); err != nil {
			t.Fatal(err)
		}
		check("cannot be read: permission denied; make it readable")
	}
	if _, err := Load(Folder(dir).Path("none.pth")); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrDamaged) {
		t.Errorf("a file that is not there: %v", err)
	}
	moved := filepath.Join(t.TempDir(), "checkpoints")
	if err := os.Symlink("/none/checkpoints", moved); err != nil {
		t.Fatal(err)
	}
	if _, err := Folder(moved).List(); err == nil || !strings.Contains(err.Error(), "a link to /none/checkpoints, which is not there") {
		t.Errorf("a folder on a disk that is not mounted: %v", err)
	}
}

func TestDamagedFilesAreOutOfTheWayOfWhatIsSavedNext(t *testing.T) {
	dir := t.TempDir()
	last := save(t, dir, Last, sample(9, 0))
	cut(t, last)
	before, _ := os.ReadFile(last)
	if _, _, err := Folder(dir).Recover(func(string) {}); err == nil || !slices.Equal(names(t, dir), []string{Last}) {
		t.Errorf("nothing to go on from: %v, and the folder holds %q", err, names(t, dir))
	}
	save(t, dir, Periodic(5), sample(5, 0))
	var lines []string
	s, from, err := Folder(dir).Recover(func(l string) { lines = append(lines, l) })
	if err != nil || s.Epoch != 5 || from.Name() != Periodic(5) {
		t.Fatalf("took %v, %v", from, err)
	}
	want := "last_checkpoint.pth is damaged and is passed over (it is kept as last_checkpoint.pth.invalid-1): the zip archive is cut off or its directory was changed"
	if !slices.Equal(lines, []string{want}) {
		t.Errorf("printed %q, want %q", lines, want)
	}
	save(t, dir, Last, sample(6, 0))
	if kept, err := os.ReadFile(last + ".invalid-1"); err != nil || !bytes.Equal(kept, before) {
		t.Errorf("the damaged file was not kept: %v", err)
	}
}

func TestEmergencyCheckpointsGoWhenALaterStateIsSaved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "[1]")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	step := func(want ...string) {
		t.Helper()
		if err := Folder(dir).RemoveSuperseded(); err != nil {
			t.Fatal(err)
		}
		if got := names(t, dir); !slices.Equal(got, want) {
			t.Errorf("the folder holds %q, want %q", got, want)
		}
	}
	step()
	save(t, dir, Emergency("oom", 3), sample(2, 8))
	save(t, dir, Emergency("interrupt", 3), sample(2, 4))
	save(t, dir, Periodic(1), sample(1, 0))
	step(Periodic(1), Emergency("interrupt", 3), Emergency("oom", 3)) // no later state
	save(t, dir, Last, sample(2, 0))
	step(Periodic(1), Emergency("interrupt", 3), Emergency("oom", 3), Last)
	save(t, dir, Last, sample(2, 6)) // in mid-epoch
	step(Periodic(1), Emergency("oom", 3), Last)
	save(t, dir, Last, sample(3, 0))
	save(t, dir, Emergency("interrupt", 4), sample(3, 0))
	cut(t, save(t, dir, Emergency("error", 2), sample(1, 4)))
	step(Periodic(1), Emergency("error", 2), Emergency("interrupt", 4), Last)
	save(t, dir, Last, sample(10, 0))
	cut(t, Folder(dir).Path(Last))
	step(Periodic(1), Emergency("error", 2), Emergency("interrupt", 4), Last)
}

func TestTheBestIsNotMadeWhereNothingMayBeWritten(t *testing.T) {
	for _, damaged := range []bool{false, true} {
		dir := t.TempDir()
		save(t, dir, Last, sample(5, 0))
		if damaged {
			if err := os.WriteFile(Folder(dir).Path(Best), []byte("half"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		writable := disk.ReadOnly(t, dir)
		var said []string
		s, err := Folder(dir).LoadBest(func(line string) { said = append(said, line) })
		if err != nil || s.Epoch != 5 || !strings.Contains(strings.Join(said, "\n"), "may only be read") {
			t.Errorf("damaged %v: %v, said %q", damaged, err, said)
		}
		writable()
	}
}
