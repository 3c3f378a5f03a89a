package main

import "rekindle/pkg/config"

// recipe is a way to train: what it changes in the settings of its group.
type recipe struct {
	name, group string
	change      func(*config.Config)
	later       func(*config.Config) // for the second half of the steps; nil: nothing changes
	sameStep    bool                 // a step takes as long as one of the group's first recipe
}

// group is what recipes are compared in.
type group struct {
	name, title, text, conclusion string
	photographs                   bool // to learn from; otherwise the built-in pictures
	base                          func() config.Config
	sigma                         float64 // of the noise that is judged by
	clip                          bool    // and whether it is rounded and clipped
	steps                         int     // of the first recipe
}

const preface = `# What a recipe gives at equal time

Which network, loss, batch, patch and rate to train with when there are a few minutes on a processor. All recipes of a table had the same processor time, three
minutes on two cores for the built-in pictures and six for photographs, and so as many steps as they find time for in it; what they are judged by are photographs
they have never seen (every sixth of CBSD68).
` + "`go run ./pkg/cmd/recipes -photos folder`" + ` measures what is missing. Each row is one run, so small differences say little.
`

// shipped ends the page.
const shipped = `
## The network that comes with the program

Three trainings, each from the weights of the one before (` + "`InitialWeights`" + `) with the rate falling to 1e-6 along a cosine after a warm-up of one epoch (in
the third over 28 epochs for the first eight, then over 22); all else is as in its notebook.

| | patches a batch | epochs | patches | rate | sigma 25, every sixth of CBSD68 |
|---|---:|---:|---:|---:|---:|
| all of ` + "`make photographs`" + ` | 16 | 23 | 59,000 | 1e-3 | 29.61 dB |
| the same | 16 | 18 | 41,000 | 5e-4 | 29.79 dB |
| 45 of the 60 drawn pictures left out | 8 | 22 | 52,000 | 8e-4 | 29.88 dB |

In place of the third, 16,000 patches in batches of 4 with a rate of 4e-4 gave 29.82 dB. The network is not at its end: before the third, FFDNet's weights by its authors,
trained for far longer, were 0.9 dB ahead even on the photographs that this one was trained with. What it lacks is training, not photographs.
`

var groups = []group{
	{
		name: "unet", title: "Built-in pictures, sigma 100", sigma: 100, clip: true, steps: 1630,
		conclusion: "For the U-Net the original's recipe stays the preset: a wider network, a higher rate and averaged weights change little, larger patches and L1 alone are worse, and finding the noise instead of the picture is far worse where the noise was clipped. shuffle_unet is 0.85 dB ahead of it at the same time. The main notebook keeps the U-Net, which is the original's; `cfg.Model = \"shuffle_unet\"` with `ModelFeatures = 32`, `LossAlpha = 1`, `LossBeta = 0` and `EMADecay = 0.99` in it make it the other.",
		text:       "What a new experiment on a computer without a GPU begins with: 32 drawn pictures, noise of sigma 100, rounded and clipped. The first row is the Python original's recipe in a small network.",
		base: func() config.Config {
			c := config.Preset("xla:cpu")
			c.EMADecay, c.LossAlpha, c.LossBeta = 0, 0.84, 0.16
			c.ModelFeatures, c.BatchSize, c.PatchSize, c.LearningRate, c.MinLR = 16, 8, 64, 1e-3, 1e-5
			return c
		},
	},
	{
		name: "photo", title: "Photographs, sigma 25", sigma: 25, photographs: true, steps: 300,
		text:       "195 photographs and drawn pictures (`make photographs`), noise of sigma 25, new for each patch and neither rounded nor clipped. The first row is the recipe of the network that comes with the program, for one level. Other programs wanted the two cores as well, so that a step took more processor time than alone; rows that keep its length are comparable all the same, as they have as many steps.",
		conclusion: "Small batches give most by far: they are more steps, each hardly worse. A rate that stays high (with averaged weights), growing patches, SSIM in the loss, flips and turns help as well; averaging by itself and Charbonnier's loss change nothing yet. Only one thing was changed at a time: the gains need not add up. The original's U-Net is 2 dB behind, 3 behind the best. So the notebook of shuffle_unet trains with batches of 4, and with the U-Net where `Model` says so. In a long training the difference shrinks, as the next table shows.",
		base: func() config.Config {
			c := config.Preset("xla:cpu")
			c.Model, c.ModelFeatures, c.PatchSize, c.BatchSize = "shuffle_unet", 48, 96, 16
			c.NoiseSigma, c.NoiseUnclipped, c.DegradeOnTheFly = 25, 1, true
			c.LossAlpha, c.LossBeta, c.EMADecay, c.LearningRate, c.MinLR = 1, 0, 0.99, 1e-3, 1e-6
			return c
		},
	},
}

var recipes = []recipe{
	{name: "unet: U-Net, 16 features, 8 patches of 64x64, rate 1e-3, L1 and SSIM", group: "unet"},
	{name: "unet: rate 2e-3", sameStep: true, group: "unet", change: func(c *config.Config) { c.LearningRate = 2e-3 }},
	{name: "unet: 24 features", group: "unet", change: func(c *config.Config) { c.ModelFeatures = 24 }},
	{name: "unet: 4 patches of 128x128", group: "unet", change: func(c *config.Config) { c.BatchSize, c.PatchSize = 4, 128 }},
	{name: "unet: L1 alone", sameStep: true, group: "unet", change: func(c *config.Config) { c.LossAlpha, c.LossBeta = 1, 0 }},
	{name: "unet: averaged weights (0.99)", sameStep: true, group: "unet", change: func(c *config.Config) { c.EMADecay = 0.99 }},
	{name: "unet: it finds the noise (unet_residual)", group: "unet", change: func(c *config.Config) { c.Model = "unet_residual" }},
	{name: "unet: shuffle_unet, 32 features, L1 alone, averaged", group: "unet", change: func(c *config.Config) {
		c.Model, c.ModelFeatures, c.LossAlpha, c.LossBeta, c.EMADecay = "shuffle_unet", 32, 1, 0, 0.99
	}},

	{name: "photo: shuffle_unet, 48 features, 16 patches of 96x96, rate 1e-3, L1, averaged (0.99)", group: "photo"},
	{name: "photo: not averaged", sameStep: true, group: "photo", change: func(c *config.Config) { c.EMADecay = 0 }},
	{name: "photo: Charbonnier (1e-3)", sameStep: true, group: "photo", change: func(c *config.Config) { c.LossCharbonnier = 1e-3 }},
	{name: "photo: a constant rate", sameStep: true, group: "photo", change: func(c *config.Config) { c.MinLR = c.LearningRate }},
	{name: "photo: 8 patches of 96x96", group: "photo", change: func(c *config.Config) { c.BatchSize = 8 }},
	{name: "photo: 4 patches of 96x96", group: "photo", change: func(c *config.Config) { c.BatchSize = 4 }},
	{name: "photo: neither flipped nor turned", sameStep: true, group: "photo", change: func(c *config.Config) { c.Augment = false }},
	{name: "photo: L1 and SSIM", group: "photo", change: func(c *config.Config) { c.LossAlpha, c.LossBeta = 0.84, 0.16 }},
	{name: "photo: 16 patches of 64x64, then 8 of 128x128", group: "photo", change: func(c *config.Config) { c.PatchSize, c.BatchSize = 64, 16 },
		later: func(c *config.Config) { c.PatchSize, c.BatchSize = 128, 8 }},
	{name: "photo: the original's U-Net, 32 features, L1 and SSIM, not averaged", group: "photo", change: func(c *config.Config) {
		c.Model, c.ModelFeatures, c.BatchSize, c.LossAlpha, c.LossBeta, c.EMADecay = "unet", 32, 8, 0.84, 0.16, 0
	}},
}
