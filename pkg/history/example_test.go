package history_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"

	"rekindle/pkg/history"
)

// An epoch that was not validated has no number, and null in the file.
func Example() {
	dir, err := os.MkdirTemp("", "")
	check(err)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "history.json")

	var h history.History
	h.Append(history.Epoch{TrainLoss: 0.51, ValLoss: math.NaN(), LR: 1e-4})
	h.Append(history.Epoch{TrainLoss: 0.48, ValLoss: 0.47, LR: 1e-4})
	check(h.Save(path))

	again, err := history.Load(path)
	check(err)
	epoch, loss, ok := again.Best()
	fmt.Println(again.Len(), "epochs, the best:", epoch, loss, ok)
	column, err := again.ValLoss.MarshalJSON()
	fmt.Println(string(column), err)
	// Output:
	// 2 epochs, the best: 2 0.47 true
	// [null,0.47] <nil>
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
