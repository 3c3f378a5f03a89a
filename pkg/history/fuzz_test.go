package history

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"rekindle/pkg/internal/allocation"
)

// FuzzHistory: a history.json of any content is refused or can be written and read
// again to the same numbers.
func FuzzHistory(f *testing.F) {
	f.Add([]byte(`{"train_loss":[1,2],"train_l1":[1,NaN],"train_ssim":[1,-Infinity],"val_loss":[null,2],"val_l1":[1,2],"val_ssim":[1,2],"lr":[1e-4,1e400]}`))
	h := History{}
	h.Append(Epoch{TrainLoss: 1, ValLoss: math.NaN()})
	path := filepath.Join(f.TempDir(), "history.json")
	if err := h.Save(path); err != nil {
		f.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"train_loss":[],"train_l1":[],"train_ssim":[],"val_loss":[],"val_l1":[],"val_ssim":[],"lr":[]}`))
	f.Add([]byte(`{"train_loss":{},"train_l1":[[]],"lr":"x"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if err := os.WriteFile(path, raw, 0o666); err != nil {
			t.Fatal(err)
		}
		var h *History
		var err error
		allocation.Within(t, len(raw), 400, 1<<18, func() { h, err = Load(path) })
		if err != nil {
			return
		}
		for i := range h.Len() {
			h.At(i)
		}
		h.Best()
		if err := h.Save(path); err != nil {
			t.Fatal(err)
		}
		again, err := Load(path)
		if err != nil {
			t.Fatalf("written again it cannot be read: %v", err)
		}
		for i, c := range h.columns() {
			for k, v := range *c {
				if w := (*again.columns()[i])[k]; v != w && (v == v || w == w) {
					t.Fatalf("written again, column %d of epoch %d is %v and not %v", i, k+1, w, v)
				}
			}
		}
	})
}
