package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"rekindle/pkg/config"
	"rekindle/pkg/durable"
	"rekindle/pkg/rgb"
	"rekindle/pkg/score"
)

const scoreHelp = `Measure what a network makes of noise, as papers do.

  rekindle score -set CBSD68 -sigma 15,25,50
  rekindle score -net ffdnet.pth -set CBSD68 -sigma 25 -out scores
  rekindle score -net dncnn.pth -set Set12 -sigma 25 -grey

Normal noise is added to the values of the pictures in a folder (PNG, JPEG, TIFF,
WebP, BMP, GIF), neither rounded nor clipped unless -clip says so; whole pictures
are restored; the result is clipped to 0..255. PSNR is over all colours of a
picture, SSIM has the Gaussian window of the paper, and the mean of the pictures
counts. Grey pictures are scored as one plane; -grey makes colour pictures grey by
the formula that makes BSD68 of CBSD68. Noise depends on the seed and each
picture's name alone.

-out scores writes scores.json and scores.csv.

`

type scoreOptions struct {
	opening
	net, set, sigma, out string
	score.Options
}

func runScore(ctx context.Context, args []string, s streams) error {
	var o scoreOptions
	flags := newFlags("score", scoreHelp, s)
	flags.StringVar(&o.net, "net", "latest", "what restores: \"latest\", the name or folder of an experiment, or a .pth or .safetensors file")
	o.flags(flags)
	flags.StringVar(&o.set, "set", "", "folder of pictures without noise")
	flags.StringVar(&o.sigma, "sigma", "25", "noise levels, standard deviations in grey levels of 0..255, with commas between them")
	flags.BoolVar(&o.Clip, "clip", false, "round and clip the noisy pictures, as copies on disk are")
	flags.BoolVar(&o.Grey, "grey", false, "make colour pictures grey first")
	flags.Int64Var(&o.Seed, "seed", config.Default().Seed, "of the noise")
	flags.IntVar(&o.Every, "every", 1, "take only every so many pictures, from the first on")
	flags.StringVar(&o.out, "out", "", "also write the numbers to this file, as .json and .csv")
	if err := parse(flags, args, "name the folder of pictures with -set, the network with -net"); err != nil {
		return err
	}
	return o.run(ctx, s)
}

func (o scoreOptions) run(ctx context.Context, s streams) error {
	levels, err := score.Levels(o.sigma)
	if err != nil {
		return err
	}
	if o.set == "" {
		return errors.New("which pictures? name a folder of pictures without noise as SET (-set)")
	}
	if o.Every < 1 {
		return fmt.Errorf("-every is %d; it must be at least 1", o.Every)
	}
	if o.out != "" {
		asJSON, _, err := score.Paths(o.out)
		if err != nil {
			return err
		}
		// Tried now: measuring may take hours.
		f, err := durable.Create(asJSON)
		if err != nil {
			return fmt.Errorf("score: nothing can be written to %s (%w); name another place as OUT (-out)", filepath.Dir(asJSON), err)
		}
		f.Abort()
	}
	for _, line := range rgb.Dangling(o.set) {
		s.warn(line)
	}
	r, err := o.open(o.net, s)
	if err != nil {
		return err
	}
	s.network(r)
	report := score.Report{Network: r.About.String(), Weights: r.About.Path, Engine: r.About.Engine.String()}
	d := score.Network(r)
	for _, sigma := range levels {
		if outside := r.About.Outside(sigma); outside != "" {
			s.warn(outside)
		}
		o.Sigma = sigma
		o.Report = func(done, total int, p score.Picture) {
			fmt.Fprintf(s.out, "   %*d/%d  %-24s %5dx%-5d  %5.2f → %5.2f dB   SSIM %.4f → %.4f   %.1f s\n",
				len(fmt.Sprint(total)), done, total, p.Name, p.W, p.H, p.NoisyPSNR, p.PSNR, p.NoisySSIM, p.SSIM, p.Seconds)
		}
		result, err := score.Folder(ctx, o.set, d, o.Options)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.out, "📏 %s: %.2f dB, SSIM %.4f   (noisy %.2f dB, %.4f)\n", result, result.Mean.PSNR, result.Mean.SSIM, result.Mean.NoisyPSNR, result.Mean.NoisySSIM)
		report.Results = append(report.Results, result)
	}
	if o.out == "" {
		return nil
	}
	if err := report.Save(o.out); err != nil {
		return err
	}
	asJSON, asCSV, _ := score.Paths(o.out)
	fmt.Fprintf(s.out, "💾 %s, %s\n", asJSON, asCSV)
	return nil
}
