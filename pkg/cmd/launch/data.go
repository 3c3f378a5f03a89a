package main

import (
	"context"
	"fmt"
	"os"

	"rekindle/pkg/config"
	"rekindle/pkg/notebook"
)

// data downloads DIV2K into the clean folders of the configuration: the usual
// ones, or those that the environment names.
func data(ctx context.Context) error {
	cfg := config.Default()
	if text := os.Getenv(notebook.ConfigVariable); text != "" {
		var err error
		if cfg, err = cfg.Override(text); err != nil {
			return fmt.Errorf("%s: %w", notebook.ConfigVariable, err)
		}
	}
	return notebook.DownloadDIV2K(ctx, cfg)
}
