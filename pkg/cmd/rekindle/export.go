package main

import (
	"context"
	"fmt"
	"strings"

	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
	"rekindle/pkg/export"
	"rekindle/pkg/interrupt"
)

const exportHelp = `Write a trained network as a file for other programs.

  rekindle export
  rekindle export -experiment 20251230_153045_bilinear -format safetensors

It is the network of best_model.pth, or of the newest checkpoint where there is
none; with EMADecay, its averaged weights. docs/export.md says what the files hold
and how to use them. fp16 is safetensors with 16-bit numbers, half the size.

`

func runExport(ctx context.Context, args []string, s streams) error {
	flags := newFlags("export", exportHelp, s)
	name := flags.String("experiment", "latest", "\"latest\", a name such as 20251230_153045_v1, or a folder")
	root := flags.String("dir", config.Default().ExperimentsDir, "folder of all experiments")
	format := flags.String("format", "onnx", strings.Join(export.Formats(), " or "))
	path := flags.String("out", "", "file to write (default: export/ in the experiment's folder)")
	if err := parse(flags, args, "name the experiment with -experiment"); err != nil {
		return err
	}
	warn := func(line string) { fmt.Fprintln(s.messages, "⚠️  "+line) }
	found, err := experiment.Select(*root, warn, *name)
	if err != nil {
		return err
	}
	if len(found) > 1 {
		return fmt.Errorf("-experiment %s means %d experiments; name one, such as %s", *name, len(found), found[0].Dir)
	}
	made, err := interrupt.AtOnce(ctx, func() (*export.Exported, error) { return export.Experiment(found[0], *format, *path, warn) })
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "✅ %s of %s: %s\n   → %s\n", made.From, found[0].Name(), made.About, made.Path)
	return nil
}
