package notebook

import (
	"context"
	"fmt"
	"os"

	"rekindle/pkg/config"
	"rekindle/pkg/dataset/div2k"
	"rekindle/pkg/fetch"
	"rekindle/pkg/machine"
	"rekindle/pkg/meter"
	"rekindle/pkg/notebook/cell"
)

// DIV2KVariable names an environment variable: the address of a folder that has
// DIV2K's two archives, for when their home does not answer. The checksums are
// compared all the same.
const DIV2KVariable = "REKINDLE_DIV2K"

// DownloadDIV2K brings the photographs of DIV2K into the configuration's clean
// folders, unless they are there. It shows how far it is: on a terminal with a bar,
// in a notebook with a line now and then.
func DownloadDIV2K(ctx context.Context, cfg config.Config) error {
	bar := meter.Meter{To: cell.Out, Terminal: !cell.InNotebook() && machine.IsTerminal(os.Stdout), Bytes: true}
	defer bar.End()
	err := div2k.Get(ctx, div2k.Parts(cfg.TrainCleanDir, cfg.ValCleanDir), div2k.Options{From: os.Getenv(DIV2KVariable), Job: fetch.Job{
		Say:      func(line string) { bar.Aside(func() { cell.Say("%s", line) }) },
		Progress: bar.Set,
	}})
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("DIV2K: %w", err)
	}
	return err
}

// downloadIfWanted is what section 5 does about it.
func downloadIfWanted(ctx context.Context, cfg config.Config) error {
	if !cfg.DownloadDIV2K {
		return nil
	}
	err := DownloadDIV2K(ctx, cfg)
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted; what has arrived of DIV2K is kept, run the cell again to go on")
	}
	return err
}
