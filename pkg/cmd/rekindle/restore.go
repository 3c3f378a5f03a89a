package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"rekindle/pkg/config"
	"rekindle/pkg/figures"
	"rekindle/pkg/machine"
	"rekindle/pkg/meter"
	"rekindle/pkg/restore"
)

const restoreHelp = `Restore a picture, or all pictures of a folder, with a trained network.

  rekindle restore -in photo.jpg -out restored.png
  rekindle restore -in holiday -out restored
  rekindle restore -in holiday -out restored -experiment 20251230_153045_v1
  rekindle restore -in holiday -out restored -experiment net_g_latest.pth
  rekindle restore -in archive -out restored -shard 3/16

It reads PNG, JPEG, TIFF, WebP, BMP and the first picture of a GIF, whatever the
ending of a name says, and writes PNG, JPEG, TIFF and BMP, as the ending of -out
says. Of a folder, sub-folders and names are kept; for WebP and GIF, which cannot be
written, ".png" is added.

What is there already under -out stays: stopped by Ctrl+C, the same call goes on
with the rest. -overwrite makes all of it anew. -in is never written to. Pictures
that cannot be read are named at the end, and the exit status is 1; the others are
restored.

`

// restoreOptions are what the command line says.
type restoreOptions struct {
	opening
	in, out, experiment, shard, sigma string
	overwrite                         bool
	tiles                             restore.Tiles
}

func runRestore(ctx context.Context, args []string, s streams) error {
	var o restoreOptions
	flags := newFlags("restore", restoreHelp, s)
	flags.StringVar(&o.in, "in", "", "picture or folder to restore")
	flags.StringVar(&o.out, "out", "", "file or folder for the result")
	flags.StringVar(&o.experiment, "experiment", "latest", "what restores: \"latest\", the name or folder of an experiment, a .pth or .safetensors file, or \"pretrained\", which comes with this program")
	o.flags(flags)
	flags.BoolVar(&o.overwrite, "overwrite", false, "restore again what is there already")
	flags.StringVar(&o.shard, "shard", "", "restore a part of the pictures: 3/16 is every sixteenth, from the third on; several may share one -out")
	flags.StringVar(&o.sigma, "sigma", "", "noise level, in grey levels of 0..255, for networks that take one")
	flags.IntVar(&o.tiles.Size, "tile", 0, "side of the tiles that large pictures are divided into (default: what docs/restore.md advises)")
	flags.IntVar(&o.tiles.Overlap, "overlap", 0, "pixels that neighbouring tiles share")
	if err := parse(flags, args, "name the picture or folder with -in, the result with -out"); err != nil {
		return err
	}
	return o.run(ctx, s)
}

func (o restoreOptions) run(ctx context.Context, s streams) error {
	k, n, err := parseShard(o.shard)
	if err != nil {
		return err
	}
	for _, path := range []*string{&o.in, &o.out} {
		if strings.HasPrefix(*path, "~") { // between quotation marks a shell leaves it
			if *path, err = config.ExpandPath(*path); err != nil {
				return err
			}
		}
	}
	work, passed, err := restore.Plan(o.in, o.out)
	if err != nil {
		return err
	}
	if work = restore.Shard(work, k, n); k == 1 { // the first one names them
		for _, why := range passed {
			fmt.Fprintf(s.messages, "⚠️  Passed over: %v\n", why)
		}
	}
	r, err := o.open(o.experiment, s)
	if err != nil {
		return err
	}
	if r, err = o.level(r, s.warn); err != nil {
		return err
	}
	s.network(r)
	return o.files(ctx, s, r, work)
}

// level tells the network the level of the noise, where it takes one.
func (o restoreOptions) level(r *restore.Restorer, warn func(string)) (*restore.Restorer, error) {
	if o.sigma == "" && r.TakesLevel() {
		return nil, fmt.Errorf("%s must be told the level of the noise: its standard deviation in grey levels of 0 to 255, such as SIGMA=25", r.About.Network)
	}
	if o.sigma == "" {
		return r, nil
	}
	sigma, err := strconv.ParseFloat(o.sigma, 64)
	if err != nil {
		return nil, fmt.Errorf("SIGMA is %q; it must be a number of 0 to 255 grey levels", o.sigma)
	}
	at, err := r.At(sigma)
	if err != nil {
		return nil, err
	}
	if outside := r.About.Outside(sigma); outside != "" {
		warn(outside)
	}
	return at, nil
}

// parseShard reads "3/16"; "" is the only one of one.
func parseShard(s string) (k, n int, err error) {
	if s == "" {
		return 1, 1, nil
	}
	first, of, ok := strings.Cut(s, "/")
	k, err1 := strconv.Atoi(first)
	n, err2 := strconv.Atoi(of)
	if !ok || err1 != nil || err2 != nil || k < 1 || n < k {
		return 0, 0, fmt.Errorf("SHARD is %q; it must be two numbers such as 3/16, the first from 1 to the second", s)
	}
	return k, n, nil
}

func (o restoreOptions) files(ctx context.Context, s streams, r *restore.Restorer, work []restore.Work) error {
	f, _ := s.messages.(*os.File)
	bar := meter.Meter{To: s.messages, Terminal: f != nil && machine.IsTerminal(f)}
	restored, wanted, total := 0, 0, int64(0)
	failed, err := r.Files(ctx, work, restore.FileOptions{
		Overwrite: o.overwrite, Tiles: o.tiles,
		Begin: func(pictures, there int, pixels int64) {
			if there > 0 {
				fmt.Fprintf(s.out, "⏭️  %d of %d are there already; OVERWRITE=1 restores them again\n", there, len(work))
			}
			wanted, total = pictures, pixels
			bar.Set("restoring", 0, pixels)
		},
		Pixels: func(done int64) { bar.Set("restoring", done, total) },
		Done: func(d restore.FileDone) {
			if d.Err != nil {
				return // named at the end
			}
			restored++
			bar.Aside(func() {
				if d.There {
					fmt.Fprintf(s.out, "⏭️  %s was made meanwhile\n", d.To)
					return
				}
				fmt.Fprintf(s.out, "✅ %s  %dx%d  %.1f s", d.To, d.W, d.H, d.Seconds)
				if !bar.Terminal && restored < wanted {
					fmt.Fprintf(s.out, "  %d of %d, %s left", restored, wanted, figures.Duration(bar.Left()))
				}
				if d.Lost != "" {
					fmt.Fprintf(s.out, "  (%s)", d.Lost)
				}
				fmt.Fprintln(s.out)
			})
		},
	})
	bar.End()
	for _, d := range failed {
		fmt.Fprintf(s.messages, "❌ %v\n", d.Err)
	}
	bad := len(failed)
	switch {
	case err != nil:
		return err
	case bad > 0:
		fmt.Fprintf(s.messages, "❌ %d of %d could not be restored\n", bad, len(work))
		return errFailed
	}
	return nil
}
