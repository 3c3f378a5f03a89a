package watch_test

import (
	"fmt"
	"os"
	"time"

	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
	"rekindle/pkg/watch"
)

// What somebody sees who looks from elsewhere while a run is in its first epoch.
func ExampleLook() {
	dir, err := os.MkdirTemp("", "")
	check(err)
	defer os.RemoveAll(dir)
	cfg := config.Default()
	cfg.ExperimentsDir = dir
	exp, err := experiment.Create(cfg, time.Now())
	check(err)
	before := watch.Look(exp, nil)
	fmt.Println(before.State())

	check(exp.SaveProgress(experiment.Progress{ // as training does every second
		Owner: experiment.Myself(), Updated: time.Now(), FromEpoch: 1, Epoch: 1, NumEpochs: 2, Batch: 78, Batches: 156, Loss: 0.4211,
	}))
	v := watch.Look(exp, before)
	fmt.Println(v.Phase, v.Ended())
	fmt.Println(v.Where())
	fmt.Println(watch.Bar(v.Fraction(), 20))
	// Output:
	// is new; waiting for its training to begin
	// running false
	// epoch 1 of 2, batch 78 of 156
	// █████░░░░░░░░░░░░░░░
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
