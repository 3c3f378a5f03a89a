package machine_test

import (
	"fmt"

	"rekindle/pkg/machine"
)

// Is there room for a checkpoint, in memory and in a folder that does not exist yet?
func Example() {
	const needed = 100 * 1024 // bytes
	memory := machine.MainMemory()
	fmt.Println(memory.Total == 0 || memory.Available > needed) // 0: unknown

	free, err := machine.FreeDisk("experiments/new/checkpoints")
	fmt.Println(free > needed, err)

	fmt.Println(machine.Engine("go", true)) // "auto" depends on the machine
	// Output:
	// true
	// true <nil>
	// go
}
