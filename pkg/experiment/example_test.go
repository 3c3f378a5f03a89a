package experiment_test

import (
	"errors"
	"fmt"
	"os"
	"time"

	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
)

// settings returns a configuration whose experiments lie in a folder that is
// removed at the end.
func settings() (cfg config.Config, remove func()) {
	dir, err := os.MkdirTemp("", "experiments")
	if err != nil {
		panic(err)
	}
	cfg = config.Default()
	cfg.ExperimentsDir = dir
	return cfg, func() { os.RemoveAll(dir) }
}

func Example() {
	cfg, remove := settings()
	defer remove()

	_, err := experiment.Find(cfg)
	fmt.Println("nothing to resume:", errors.Is(err, experiment.ErrNone))

	exp, err := experiment.Create(cfg, time.Date(2025, 12, 30, 15, 30, 45, 0, time.Local))
	fmt.Println(exp.Name(), err)

	cfg.ResumeExperiment = "latest"
	exp, err = experiment.Find(cfg)
	fmt.Println(exp.Name(), err)
	// Output:
	// nothing to resume: true
	// 20251230_153045_bilinear <nil>
	// 20251230_153045_bilinear <nil>
}

func ExampleFind_notFound() {
	cfg, remove := settings()
	defer remove()
	if _, err := experiment.Create(cfg, time.Date(2025, 12, 30, 15, 30, 45, 0, time.Local)); err != nil {
		panic(err)
	}

	cfg.ResumeExperiment = "20251230_153054_bilinear"
	_, err := experiment.Find(cfg)
	var missing *experiment.NotFoundError
	if errors.As(err, &missing) {
		fmt.Println("nearest:", missing.Have[0])
	}
	// Output: nearest: 20251230_153045_bilinear
}

func ExampleExperiment_Lock() {
	cfg, remove := settings()
	defer remove()
	exp, err := experiment.Create(cfg, time.Now())
	if err != nil {
		panic(err)
	}

	lock, err := exp.Lock()
	fmt.Println("first:", err)
	_, err = exp.Lock()
	var locked *experiment.LockedError
	fmt.Println("second is refused:", errors.As(err, &locked))
	fmt.Println("released:", lock.Release())
	// Output:
	// first: <nil>
	// second is refused: true
	// released: <nil>
}
