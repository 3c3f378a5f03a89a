package checkpoint_test

import (
	"fmt"
	"math"
	"os"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
)

// A folder with three checkpoints, the newest of which is cut off: the next best
// is taken.
func ExampleFolder_Newest() {
	dir, err := os.MkdirTemp("", "checkpoints")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	save := func(name string, epoch, position int) {
		state := &checkpoint.State{Cursor: checkpoint.Cursor{Epoch: epoch, Position: position}, BestLoss: math.NaN(), Config: config.Default()}
		if err := checkpoint.Save(checkpoint.Folder(dir).Path(name), state); err != nil {
			panic(err)
		}
	}
	save(checkpoint.Periodic(9), 9, 0)
	save(checkpoint.Emergency("interrupt", 11), 10, 64) // in the middle of epoch 11
	save(checkpoint.Last, 12, 0)
	if err := os.Truncate(checkpoint.Folder(dir).Path(checkpoint.Last), 500); err != nil {
		panic(err)
	}

	state, from, err := checkpoint.Folder(dir).Newest(func(string) { fmt.Println("a damaged file was passed over") })
	fmt.Println(from.Name(), state.Epoch, state.Position, err)
	// Output:
	// a damaged file was passed over
	// emergency_checkpoint_interrupt_epoch_11.pth 10 64 <nil>
}
