package tensorboard

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"reflect"
	"testing"

	"rekindle/pkg/internal/python"
)

// shownByPython is what TensorBoard's own reader makes of a folder.
func shownByPython(t *testing.T, dir string) (curves map[string][][2]any) {
	t.Helper()
	out := python.Run(t, "tensorboard", "testdata/show.py", dir)
	if err := json.Unmarshal([]byte(out), &curves); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return curves
}

func TestTensorBoardsOwnReaderShowsTheSameCurves(t *testing.T) {
	r := newTrial(t)
	r.epochs(r.begin(0), 1, 4)
	r.epochs(r.begin(2), 2, 3) // resumed at an earlier epoch
	r.epochs(r.begin(5), 3, 1)
	want := map[string][][2]any{}
	for tag, points := range curves(t, r.exp) {
		for _, p := range points {
			want[tag] = append(want[tag], [2]any{float64(p.step), float64(p.value)})
		}
	}
	if got := shownByPython(t, r.exp.LogsDir()); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTensorBoardsOwnReaderShowsEachPictureOnce(t *testing.T) {
	r := newTrial(t)
	want := map[string][][2]any{}
	for _, p := range []struct {
		step  int
		level uint8
	}{{3, 1}, {3, 1}, {3, 2}, {7, 3}, {5, 4}, {5, 4}} {
		if err := AddImage(r.exp, "Samples/validation", p.step, drawn(t, p.level)); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []struct {
		step  int
		level uint8
	}{{3, 2}, {5, 4}, {7, 3}} {
		sum := sha256.Sum256(drawn(t, p.level))
		want["Samples/validation"] = append(want["Samples/validation"], [2]any{float64(p.step), hex.EncodeToString(sum[:])})
	}
	if got := shownByPython(t, filepath.Join(r.exp.LogsDir(), "samples")); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
