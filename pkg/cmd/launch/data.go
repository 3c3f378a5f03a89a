package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"rekindle/pkg/config"
	"rekindle/pkg/notebook"
)

// data downloads DIV2K into the clean folders of the configuration: the usual
// ones, or those that the environment names.
func data() error {
	cfg := config.Default()
	if text := os.Getenv(notebook.ConfigVariable); text != "" {
		var err error
		if cfg, err = cfg.Override(text); err != nil {
			return fmt.Errorf("%s: %w", notebook.ConfigVariable, err)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := notebook.DownloadDIV2K(ctx, cfg)
	if ctx.Err() != nil {
		fmt.Println("⚠️  Interrupted. What has arrived is kept; to go on, run the same again")
		return exitStatus(130)
	}
	return err
}
