package checkpoint

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Names grow by a digit at the thousandth epoch; from there on none was removed once.
func TestOldCheckpointsAreRemovedInLongRunsToo(t *testing.T) {
	dir := Folder(t.TempDir())
	for epoch := 997; epoch <= 1003; epoch++ {
		if err := os.WriteFile(dir.Path(Periodic(epoch)), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	others := []string{Last, "checkpoint_epoch_7.pth", "checkpoint_epoch_1000.pth.invalid", "checkpoint_epoch_0998.pth"}
	for _, name := range others {
		if err := os.WriteFile(dir.Path(name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := dir.Prune(1002, 2); err != nil {
		t.Fatal(err)
	}
	// Of epoch 1003 is a run that this one has gone back behind.
	want := slices.Sorted(slices.Values(append(others, Periodic(1001), Periodic(1002), Periodic(1003))))
	left, err := filepath.Glob(dir.Path("*"))
	for i := range left {
		left[i] = filepath.Base(left[i])
	}
	if slices.Sort(left); err != nil || !slices.Equal(left, want) {
		t.Errorf("left are %q (%v), want %q", left, err, want)
	}
}
