package tensorboard_test

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
	"rekindle/pkg/history"
	"rekindle/pkg/tensorboard"
)

// Two sessions of training, each with a file of its own.
func Example() {
	dir, err := os.MkdirTemp("", "")
	check(err)
	defer os.RemoveAll(dir)
	cfg := config.Default()
	cfg.ExperimentsDir = dir
	exp, err := experiment.Create(cfg, time.Now())
	check(err)

	for epoch := 1; epoch <= 2; epoch++ {
		log := tensorboard.New(exp)
		check(log.Start(epoch))
		check(log.EpochDone(epoch, history.Epoch{TrainLoss: 0.5, ValLoss: 0.4, LR: 1e-4}))
		log.Close()
	}
	files, err := filepath.Glob(filepath.Join(exp.LogsDir(), "events.out.tfevents.*"))
	check(err)
	fmt.Println(len(files), "files for tensorboard --logdir", filepath.Base(exp.LogsDir()))
	// Output:
	// 2 files for tensorboard --logdir tensorboard_logs
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
