package progress_test

import (
	"os"
	"time"

	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
	"rekindle/pkg/history"
	"rekindle/pkg/notebook/progress"
)

// Outside of a notebook training is a table: a line when an epoch is finished.
func ExampleNew() {
	root, err := os.MkdirTemp("", "experiments")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(root)
	cfg := config.Default()
	cfg.ExperimentsDir, cfg.NumEpochs = root, 2
	exp, err := experiment.Create(cfg, time.Now())
	if err != nil {
		panic(err)
	}

	d := progress.New(exp, cfg, false)
	d.Start(1, cfg.NumEpochs, 10)
	d.Batch(1, 10, 0.21, 40)
	d.EpochDone(1, history.Epoch{TrainLoss: 0.21, ValLoss: 0.18, ValSSIM: 0.71, ValPSNR: 27.3, LR: 1e-3, EpochTime: 4}, 1, 0.18)
	d.Close()
	// Output:
	// 🚀 Training epochs 1 to 2, 10 batches each
	//   epoch    train loss    val loss   val SSIM   val PSNR         lr       time   images/s    memory
	//     1/2        0.2100      0.1800     0.7100      27.30    1.0e-03        4 s       40.0         –  ★ best
}
