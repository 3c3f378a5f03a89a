package network_test

import (
	"io"
	"os"

	"rekindle/pkg/config"
	"rekindle/pkg/notebook"
	"rekindle/pkg/notebook/cell"
	"rekindle/pkg/notebook/network"
)

// What the cell says of a new experiment.
func ExampleDescribe() {
	dir, err := os.MkdirTemp("", "")
	check(err)
	defer os.RemoveAll(dir)
	out := cell.Out
	defer func() { cell.Out = out }()

	cfg := config.Default()
	cfg.ExperimentsDir, cfg.Model, cfg.UseAMP = dir, "unet_residual", false
	cell.Out = io.Discard
	notebook.SetUp(cfg, false)

	cell.Out = os.Stdout
	network.Describe(cfg)
	// Output:
	// 🤖 Model: unet_residual (64 features, bilinear upsampling)
	//    Parameters: 17,263,107
	//
	// 📉 Loss: 0.84 × L1 + 0.16 × (1 − SSIM)
	//
	// ⚙️  Optimizer: AdamW, learning rate 0.0001, weight decay 1e-05, gradients clipped to a norm of 1
	//
	// 📅 Schedule: cosine over 36 epochs, warm-up 5, down to 1e-06
	//
	// 🆕 Training will start from the beginning
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
