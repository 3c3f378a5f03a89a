package main

import (
	"flag"
	"fmt"

	"rekindle/pkg/config"
	"rekindle/pkg/restore"
)

// opening is how a sub-command that restores finds its network.
type opening struct {
	dir, network string
	blueFirst    bool
}

func (o *opening) flags(flags *flag.FlagSet) {
	flags.StringVar(&o.dir, "dir", config.Default().ExperimentsDir, "folder of all experiments")
	flags.StringVar(&o.network, "network", "", "name of the network, for a file whose tensors fit several")
	flags.BoolVar(&o.blueFirst, "bgr", false, "the network was trained on channels in the order blue, green, red")
}

// open opens what restores: "latest" and the like.
func (o opening) open(which string, s streams) (*restore.Restorer, error) {
	weights, err := restore.Weights(o.dir, which, s.warn)
	if err != nil {
		return nil, err
	}
	if weights == restore.Pretrained && which != restore.Pretrained {
		fmt.Fprintf(s.messages, "ℹ️  %s\n", restore.NothingTrained)
	}
	return restore.Opening{Network: o.network, BlueFirst: o.blueFirst, Say: s.warn}.Open(weights)
}

// network says what restores, and with what engine.
func (s streams) network(r *restore.Restorer) {
	fmt.Fprintf(s.out, "🔥 %s\n🖥️  %s\n", r.About, r.About.Engine)
}

func (s streams) warn(line string) { fmt.Fprintf(s.messages, "⚠️  %s\n", line) }
