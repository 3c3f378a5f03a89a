// Command quality writes docs/quality.md: how well and how fast networks take noise
// off, beside published numbers and beside what people take instead.
//
//	go run ./pkg/cmd/quality                               writes the page from what was measured
//	go run ./pkg/cmd/quality -net blind.safetensors -name "shuffle_unet, blind"
//	                                                   measures a network first
//	go run ./pkg/cmd/quality -peers all -every 6           measures BM3D and others first
//
// What was measured stays in pkg/cmd/quality/testdata/measured.json, so that the page
// can be written anew without waiting for BM3D, which takes three minutes a
// megapixel. The noise of a picture depends on its name and the seed alone: all
// methods see the same.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"rekindle/pkg/restore"
	"rekindle/pkg/score"
)

// noise is the seed of all measurements.
const noise = 42

type options struct {
	net, name, kind, peers, python, set, out, measured string
	levels                                             []float64
	every                                              int
	clip, grey, blueFirst                              bool
}

func main() {
	var o options
	flag.StringVar(&o.net, "net", "", "measure this network: a .pth or .safetensors file, or the folder of an experiment")
	flag.StringVar(&o.name, "name", "", "what the page calls the network (its file's name)")
	flag.StringVar(&o.kind, "kind", "ours", "of the network: \"ours\", or \"theirs\" for weights by its authors")
	flag.StringVar(&o.peers, "peers", "", "measure these methods of peers.py, such as \"bm3d,opencv\", or \"all\"")
	flag.StringVar(&o.python, "python", "build/python/bin/python", "the Python that has them")
	flag.StringVar(&o.set, "set", "../shared/photos/CBSD68", "folder of pictures without noise")
	sigmas := flag.String("sigma", "15,25,50", "noise levels")
	flag.IntVar(&o.every, "every", 1, "take only every so many pictures of the set")
	flag.BoolVar(&o.clip, "clip", false, "round and clip the noisy pictures")
	flag.BoolVar(&o.grey, "grey", false, "make the pictures grey")
	flag.BoolVar(&o.blueFirst, "bgr", false, "the network was trained on channels in the order blue, green, red")
	flag.StringVar(&o.out, "out", "docs/quality.md", "the page")
	flag.StringVar(&o.measured, "measured", "pkg/cmd/quality/testdata/measured.json", "what was measured")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if o.levels, err = score.Levels(*sigmas); err == nil {
		err = o.run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "❌", err)
		os.Exit(1)
	}
}

func (o options) run(ctx context.Context) error {
	if o.net != "" {
		if err := o.network(ctx); err != nil {
			return err
		}
	}
	for _, p := range peers {
		if o.peers == "all" || strings.Contains(","+o.peers+",", ","+p.method+",") {
			if err := o.peer(ctx, p.method, p.name); err != nil {
				return err
			}
		}
	}
	rows, err := load(o.measured)
	if err != nil {
		return err
	}
	return writePage(o.out, rows)
}

func (o options) network(ctx context.Context) error {
	r, err := restore.Opening{BlueFirst: o.blueFirst}.Open(o.net)
	if err != nil {
		return err
	}
	if o.name == "" {
		o.name = filepath.Base(o.net)
	}
	fmt.Printf("🔥 %s\n", r.About)
	return o.measure(ctx, row{Name: o.name, Kind: o.kind}, score.Network(r), nil)
}

func (o options) peer(ctx context.Context, method, name string) error {
	p, err := startPeer(ctx, o.python, method)
	if err != nil {
		return err
	}
	defer p.close()
	fmt.Printf("🐍 %s\n", p.version)
	return o.measure(ctx, row{Name: name, Kind: "peer", About: p.version}, p.denoise, func(picture *score.Picture) {
		picture.Seconds, picture.CPU = p.last.Seconds, p.last.CPU // without reading and writing files
	})
}

// measure scores d at all levels and keeps each result. took may correct the times.
func (o options) measure(ctx context.Context, r row, d score.Denoiser, took func(*score.Picture)) error {
	r.Set, r.Grey, r.Clip, r.Every = filepath.Base(o.set), o.grey, o.clip, o.every
	for _, sigma := range o.levels {
		var seconds []score.Picture
		result, err := score.Folder(ctx, o.set, d, score.Options{Sigma: sigma, Clip: o.clip, Grey: o.grey, Seed: noise, Every: o.every, Report: func(done, total int, p score.Picture) {
			if took != nil {
				took(&p)
			}
			seconds = append(seconds, p)
			fmt.Printf("   %s sigma %v  %d of %d  %s  %.2f dB  %.1f s\n", r.Name, sigma, done, total, p.Name, p.PSNR, p.Seconds)
		}})
		if err != nil {
			return err
		}
		result.Pictures = seconds
		r.Numbers = []numbers{numbersOf(result)}
		if err := put(o.measured, r); err != nil {
			return err
		}
	}
	return nil
}
