package config_test

import (
	"fmt"

	"rekindle/pkg/config"
)

func Example() {
	cfg := config.Default()
	cfg.BatchSize = 0
	cfg.Device = "tpu"
	fmt.Println(cfg.Validate())
	// Output:
	// config: BatchSize is 0; it must be at least 1
	// config: Device is "tpu"; it must be one of ["auto" "cuda" "cpu" "go"]
}

func ExampleConfig_Override() {
	cfg, err := config.Default().Override(`{"num_epochs": 2, "learning_rate": 1e-3}`)
	fmt.Println(cfg.NumEpochs, cfg.LearningRate, cfg.BatchSize, err)
	_, err = cfg.Override(`{"num_epoch": 2}`)
	fmt.Println(err)
	// Output:
	// 2 0.001 16 <nil>
	// config: there is no key "num_epoch"; did you mean "num_epochs"?
}

func ExampleDiff() {
	old := config.Default()
	new := old
	new.BatchSize, new.ModelFeatures = 4, 32
	for _, c := range config.Diff(old, new) {
		fmt.Printf("%s: %s → %s, another network: %v\n", c.Key, c.Old, c.New, c.ShapesNetwork)
	}
	// Output:
	// batch_size: 16 → 4, another network: false
	// model_features: 64 → 32, another network: true
}
