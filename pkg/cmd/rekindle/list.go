package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"text/tabwriter"

	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
	"rekindle/pkg/figures"
)

const listHelp = `List experiments, the newest first: what was trained, how far, and how well.

  rekindle list
  rekindle list -experiment '*_bilinear'

`

func runList(_ context.Context, args []string, s streams) error {
	flags := newFlags("list", listHelp, s)
	name := flags.String("experiment", "*", "which: a name or a pattern such as '2025*'")
	root := flags.String("dir", config.Default().ExperimentsDir, "folder of all experiments")
	if err := parse(flags, args, "say which experiments with -experiment"); err != nil {
		return err
	}
	found, err := experiment.Select(*root, func(line string) { fmt.Fprintln(s.messages, "⚠️  "+line) }, *name)
	if err != nil {
		return err
	}
	all := experiment.Compare(found)
	slices.SortStableFunc(all, func(a, b *experiment.Outcome) int { return -cmp.Compare(a.Name(), b.Name()) })
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "experiment\tnetwork\tdegradation\tepochs\tstatus\tbest loss\tgain\tfolder")
	for _, o := range all {
		loss, gain := "", ""
		if _, best, ok := o.History.Best(); ok {
			loss = figures.Loss(best)
		}
		if g := o.Gain(); !math.IsNaN(g) {
			gain = fmt.Sprintf("%+.2f dB", g)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", o.Name(), o.Network(), o.Corruption(), o.Epochs(), o.Ending(), loss, gain, o.Dir)
		for _, damage := range o.Damaged {
			fmt.Fprintf(s.messages, "⚠️  %s: %s\n", o.Name(), damage)
		}
	}
	return w.Flush()
}
