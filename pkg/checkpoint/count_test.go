package checkpoint

import (
	"path/filepath"
	"testing"
)

func TestOnlyTrainedNumbersAreCounted(t *testing.T) {
	s := sample(2, 0)
	want := 0
	for _, p := range s.Parameters() {
		want += len(p.Values)
	}
	got, err := Weights(save(t, t.TempDir(), Last, s))
	if err != nil || got != want || want == 0 {
		t.Errorf("got %d, %v, want %d", got, err, want)
	}
	if len(s.Parameters()) == len(s.Model) {
		t.Error("the sample has no statistics: this test would not notice if they were counted")
	}
	if _, err := Weights(filepath.Join(t.TempDir(), "none.pth")); err == nil {
		t.Error("a file that is not there: got no error")
	}
}
