package notebook

import (
	"fmt"
	"os"
	"strings"

	"rekindle/pkg/config"
)

// ConfigVariable names an environment variable with a JSON object of keys that
// override those of the configuration cell, for runs without an editor:
//
//	REKINDLE_CONFIG='{"num_epochs": 2}' make run
const ConfigVariable = "REKINDLE_CONFIG"

// Configure completes a configuration: it applies [ConfigVariable], names the
// folders of degraded copies that are left empty, and checks every key. A configuration that cannot work ends the cell with a sentence for
// each problem. It prints nothing, because GoNB runs it again before every
// later cell.
func Configure(cfg config.Config) config.Config {
	cfg, err := configure(cfg)
	Check(err)
	return cfg
}

func configure(cfg config.Config) (config.Config, error) {
	if err := enterClone(); err != nil {
		return cfg, err
	}
	if text := os.Getenv(ConfigVariable); text != "" {
		var err error
		if cfg, err = cfg.Override(text); err != nil {
			return cfg, fmt.Errorf("%s: %w", ConfigVariable, err)
		}
	}
	return cfg.WithFolders(), cfg.Validate()
}

// HasGPU reports whether training with Device "auto" will run on a GPU. It
// decides how large a run the configuration cell chooses.
func HasGPU() bool { return Engine("auto") == "xla:cuda" }

// ShowConfig prints what differs from the original's settings, and every key
// that [ConfigVariable] overrides.
func ShowConfig(cfg config.Config) {
	Check(markConfigured())
	say("📋 Configuration: every key is valid")
	if text := os.Getenv(ConfigVariable); text != "" {
		say("   %s: %s", ConfigVariable, strings.Join(strings.Fields(text), " "))
	}
	changes := config.Diff(config.Default().WithFolders(), cfg)
	if len(changes) == 0 {
		say("   The original's settings, for DIV2K on a GPU")
	} else {
		say("   Other than the original's settings for DIV2K on a GPU:")
	}
	for _, c := range changes {
		say("      %-22s %s instead of %s", c.Key, c.New, c.Old)
	}
	if cfg.ResumeFromCheckpoint {
		say("   Resume: %s", cfg.ResumeExperiment)
	}
}
