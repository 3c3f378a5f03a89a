package main

import (
	"context"
	"errors"
	"flag"
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
	flags := flag.NewFlagSet("photographs", flag.ContinueOnError)
	flags.SetOutput(s.messages)
	flags.Usage = func() {
		fmt.Fprint(s.messages, photographsHelp)
		flags.PrintDefaults()
	}
	out := flags.String("out", "data/photographs", "folder for them")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("what is %q? name the folder with -out", flags.Arg(0))
	}
	if err := photographs.Gather(ctx, *out, func(line string) { fmt.Fprintln(s.messages, line) }); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "✅ %s/train and %s/val\n", *out, *out)
	return nil
}
