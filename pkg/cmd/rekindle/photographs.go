package main

import (
	"context"
	"fmt"

	"rekindle/pkg/dataset/photographs"
)

const photographsHelp = `Gather the pictures that the network which comes with this program was trained
with: photographs with free terms from Debian's wallpapers and elementary OS, dead
leaves and texts, 230 MB of downloads. Called again, it goes on.

  rekindle photographs -out data/photographs

Training takes them with TrainCleanDir = "data/photographs/train" and ValCleanDir =
"data/photographs/val".

`

func runPhotographs(ctx context.Context, args []string, s streams) error {
	flags := newFlags("photographs", photographsHelp, s)
	out := flags.String("out", "data/photographs", "folder for them")
	if err := parse(flags, args, "name the folder with -out"); err != nil {
		return err
	}
	if err := photographs.Gather(ctx, *out, func(line string) { fmt.Fprintln(s.messages, line) }); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "✅ %s/train and %s/val\n", *out, *out)
	return nil
}
