// Package config is what a person edits before pressing Run All: one struct, with
// the keys of the configuration cell and their JSON names.
//
//	cfg := config.Default()
//	cfg.BatchSize = 4
//	cfg.ResumeFromCheckpoint = true
//	if err := cfg.Validate(); err != nil { ... }
//
// The zero value is not usable; start from [Default] or from [Load].
package config

import (
	"fmt"

	"rekindle/pkg/durable"
)

// Config describes one training run. Two runs with equal Configs and equal data
// give equal weights.
//
// The comment of a field and its tags are the table in docs/settings.md: json is
// the key in files, range an interval and oneof a list of values that [Config.Validate]
// accepts. A field with the tag scope belongs to one session or to the machine: a
// run that is resumed does not keep it, see [Config.Resumed].
type Config struct {
	// Resume
	ResumeFromCheckpoint bool   `json:"resume_from_checkpoint" scope:"session"` // go on with an existing experiment
	ResumeExperiment     string `json:"resume_experiment" scope:"session"`      // "latest": the newest of this Model, Degradation and ExperimentName that has a checkpoint; "auto": the same, or a new one; or the name of a folder, e.g. "20251230_153045_v1"
	ForkExperiment       string `json:"fork_experiment" scope:"session"`        // start a new experiment from the newest checkpoint of this one; "" for none
	InitialWeights       string `json:"initial_weights" scope:"session"`        // start a new experiment from the weights in this file; "" for fresh ones

	// Experiment
	Model          string `json:"model"`                           // network by name, e.g. "unet"
	Degradation    string `json:"degradation"`                     // corruption by name, e.g. "gaussian"
	ExperimentName string `json:"experiment_name"`                 // ends the folder's name; may be ""
	ExperimentsDir string `json:"experiments_dir" scope:"machine"` // where all experiments lie

	// Data: folders of PNG or JPEG pictures, degraded and clean ones under the same names
	TrainDegradedDir   string `json:"train_degraded_dir"`                           // "" is named after the degradation and its strength, e.g. data/degraded/gaussian/sigma_100/train
	TrainCleanDir      string `json:"train_clean_dir"`                              // photographs to learn from
	ValDegradedDir     string `json:"val_degraded_dir"`                             // as TrainDegradedDir
	ValCleanDir        string `json:"val_clean_dir"`                                // photographs to validate with
	DownloadDIV2K      bool   `json:"download_div2k" scope:"session"`               // fill the clean folders with DIV2K (4 GB) if its pictures are not there
	PatchSize          int    `json:"patch_size" range:"[16,8192]"`                 // side of the square crops in pixels
	PatchesPerImage    int    `json:"patches_per_image" range:"[1,1000000]"`        // random crops of each image in an epoch
	Augment            bool   `json:"augment"`                                      // show each training patch flipped and turned at random, one of eight ways; not where the degradation has a direction, as motion_blur
	ValPatchesPerImage int    `json:"val_patches_per_image" range:"[1,1000000]"`    // fixed crops of each validation image
	NumWorkers         int    `json:"num_workers" range:"[1,1024]" scope:"machine"` // goroutines that prepare batches; no effect on results

	// Training
	BatchSize         int     `json:"batch_size" range:"[1,65536]"`         // patches computed at once
	AccumulationSteps int     `json:"accumulation_steps" range:"[0,65536]"` // add up the gradients of so many batches for one step of the optimizer; 0 and 1 do not. After out of memory, half the BatchSize and twice the AccumulationSteps train nearly alike (batch norm sees single batches)
	NumEpochs         int     `json:"num_epochs" range:"[1,1000000]"`       // in all, those of earlier sessions included
	LearningRate      float64 `json:"learning_rate" range:"(0,)"`           // at the end of the warm-up
	WeightDecay       float64 `json:"weight_decay" range:"[0,)"`            // decoupled (AdamW)
	GradientClip      float64 `json:"gradient_clip" range:"[0,)"`           // largest global norm of the gradients; 0 never clips
	EMADecay          float64 `json:"ema_decay" range:"[0,1)"`              // validate and restore with a moving average of the weights, e.g. 0.999; 0 for none

	// Network
	ModelFeatures int  `json:"model_features" range:"[1,4096]"` // channels of the first level; docs/models.md says how many a network was published with
	ModelBilinear bool `json:"model_bilinear"`                  // bilinear upsampling; false: transposed convolutions. Other networks than the U-Nets ignore it
	ModelDepth    int  `json:"model_depth" range:"[0,1000]"`    // layers of dncnn and ffdnet, blocks at each level of drunet, nafnet and ridnet; 0: as many as published

	// Loss: LossAlpha * L1 + LossBeta * (1 - SSIM) + LossGamma * perceptual
	LossAlpha       float64 `json:"loss_alpha" range:"[0,)"`        // weight of L1
	LossCharbonnier float64 `json:"loss_charbonnier" range:"[0,2]"` // Charbonnier's loss instead of L1 where training follows it: sqrt(d² + LossCharbonnier²) for a difference d of values in [-1, 1], e.g. 0.001; 0 for L1
	LossBeta        float64 `json:"loss_beta" range:"[0,)"`         // weight of 1 - SSIM
	LossGamma       float64 `json:"loss_gamma" range:"[0,)"`        // weight of the perceptual loss; 0 leaves it out
	VGGWeights      string  `json:"vgg_weights"`                    // file with the weights of VGG16 that the perceptual loss needs

	// Strength of the degradation; each kind looks at its own
	NoiseSigma          float64 `json:"noise_sigma" range:"[0,)" of:"gaussian"`                         // gaussian, correlated_gaussian, and with JPEG: standard deviation, in grey levels of 0 to 255
	NoiseSigmaMax       float64 `json:"noise_sigma_max" range:"[0,)" of:"gaussian"`                     // if more than NoiseSigma, each patch on the fly, and each copy, has a level of its own between the two
	NoiseUnclipped      float64 `json:"noise_unclipped" range:"[0,1]" of:"gaussian"`                    // gaussian, DegradeOnTheFly: share of patches that keep values between levels and outside of 0 to 255, as papers measure
	NoiseCorrelation    float64 `json:"noise_correlation" range:"[0,100]" of:"correlated_gaussian"`     // correlated_gaussian: pixels; values d pixels apart have the correlation exp(-d²/(4·NoiseCorrelation²))
	NoiseCorrelationMax float64 `json:"noise_correlation_max" range:"[0,100]" of:"correlated_gaussian"` // as NoiseSigmaMax
	SensorGain          float64 `json:"sensor_gain" range:"[0,255]" of:"poisson_gaussian"`              // poisson_gaussian: grey levels an electron; the noise of a value v has the variance SensorGain·v + ReadNoise²
	SensorGainMax       float64 `json:"sensor_gain_max" range:"[0,255]" of:"poisson_gaussian"`          // as NoiseSigmaMax
	ReadNoise           float64 `json:"read_noise" range:"[0,255]" of:"poisson_gaussian"`               // poisson_gaussian: standard deviation of what does not depend on the light, in grey levels
	ReadNoiseMax        float64 `json:"read_noise_max" range:"[0,255]" of:"poisson_gaussian"`           // as NoiseSigmaMax
	SaltPepperDensity   float64 `json:"salt_pepper_density" range:"[0,1]" of:"salt_pepper"`             // salt_pepper: share of values that are replaced
	SaltRatio           float64 `json:"salt_ratio" range:"[0,1]" of:"salt_pepper"`                      // salt_pepper: share of white among them
	QuantizationBits    int     `json:"quantization_bits" range:"[1,8]" of:"dithering/random"`          // quantization, dithering/…: bits a channel
	BlurSigma           float64 `json:"blur_sigma" range:"[0,100]" of:"blur"`                           // blur: standard deviation in pixels
	MotionLength        int     `json:"motion_length" range:"[1,1000]" of:"motion_blur"`                // motion_blur: pixels
	MotionAngle         float64 `json:"motion_angle" range:"[-360,360]" of:"motion_blur"`               // motion_blur: degrees to the rows
	JPEGQuality         int     `json:"jpeg_quality" range:"[1,100]" of:"jpeg"`                         // jpeg, and after noise: 1 is worst
	JPEGQualityMax      int     `json:"jpeg_quality_max" range:"[0,100]" of:"jpeg"`                     // as NoiseSigmaMax
	LightFactor         float64 `json:"light_factor" range:"[1,1000]" of:"low_light"`                   // low_light: so many times less light
	DegradeOnTheFly     bool    `json:"degrade_on_the_fly"`                                             // degrade each training patch anew instead of reading copies

	// Learning-rate schedule
	Scheduler    string  `json:"scheduler" oneof:"cosine,none"`     // how the rate falls after the warm-up
	WarmupEpochs int     `json:"warmup_epochs" range:"[0,1000000]"` // linear warm-up; at most NumEpochs
	MinLR        float64 `json:"min_lr" range:"[0,)"`               // the cosine ends here

	// Early stopping, checkpoints, messages
	Patience         int     `json:"patience" range:"[0,1000000]"`         // stop after so many validations without improvement; 0 never
	SaveEvery        int     `json:"save_every" range:"[0,1000000]"`       // keep a checkpoint every so many epochs; 0 keeps none
	SaveEveryMinutes float64 `json:"save_every_minutes" range:"[0,)"`      // also save in mid-epoch after so many minutes; 0 never
	KeepCheckpoints  int     `json:"keep_checkpoints" range:"[0,1000000]"` // keep only the last so many of those that SaveEvery makes; 0 keeps all
	ValEvery         int     `json:"val_every" range:"[1,1000000]"`        // validate every so many epochs, and after the last
	NotifyEvery      int     `json:"notify_every" range:"[0,1000000]"`     // a Telegram message every so many validations, see docs/telegram.md; 0 none

	// A session that ends before the last epoch, with a checkpoint: for queues and trials
	MaxSteps   int     `json:"max_steps" range:"[0,1000000000]" scope:"session"` // stop after so many steps of the optimizer in this session; 0 for no limit
	MaxMinutes float64 `json:"max_minutes" range:"[0,)" scope:"session"`         // stop after so many minutes of training in this session; 0 for no limit

	// Machine
	OOMPolicy             string `json:"oom_policy" oneof:"stop,halve"`                          // out of memory: stop, or halve the batch and accumulate gradients
	MemoryLimitMB         int    `json:"memory_limit_mb" range:"[0,1000000000]" scope:"machine"` // on the CPU: stop as out of memory above this; 0 for none
	GradientCheckpointing bool   `json:"gradient_checkpointing"`                                 // on XLA: keep fewer maps for the way back and compute them again: less memory, about a third more time
	UseAMP                bool   `json:"use_amp"`                                                // bfloat16 on a GPU; no effect on a CPU
	Device                string `json:"device" oneof:"auto,cuda,cpu,go" scope:"machine"`        // which engine computes
	Devices               string `json:"devices" oneof:"one,all" scope:"machine"`                // all: each batch is divided over all GPUs of the machine
	Seed                  int64  `json:"seed"`                                                   // of fresh weights, of the noise, and of which patch comes when

	// Evaluation of full images
	TileOverlap   int  `json:"tile_overlap" range:"[0,8191]"`       // pixels that neighbouring tiles share; smaller than PatchSize
	MaxEvalImages int  `json:"max_eval_images" range:"[0,1000000]"` // 0 for all
	SelfEnsemble  bool `json:"self_ensemble"`                       // the mean over all eight flips and turns: a little better, eight times as long
}

// Default returns the original's settings: DIV2K on a GPU.
func Default() Config {
	return Config{
		ResumeExperiment: "latest",
		Model:            "unet", Degradation: "gaussian", ExperimentName: "bilinear", ExperimentsDir: "experiments",
		TrainCleanDir: "data/raw/train", ValCleanDir: "data/raw/val",
		PatchSize: 128, PatchesPerImage: 20, Augment: true, ValPatchesPerImage: 4, NumWorkers: 4,
		BatchSize: 16, AccumulationSteps: 1, NumEpochs: 36, LearningRate: 1e-4, WeightDecay: 1e-5, GradientClip: 1,
		ModelFeatures: 64, ModelBilinear: true,
		LossAlpha: 0.84, LossBeta: 0.16,
		NoiseSigma: 100, NoiseCorrelation: 1, SensorGain: 1, ReadNoise: 5, SaltPepperDensity: 0.05, SaltRatio: 0.5, QuantizationBits: 2, BlurSigma: 2,
		MotionLength: 15, JPEGQuality: 10, LightFactor: 10,
		Scheduler: "cosine", WarmupEpochs: 5, MinLR: 1e-6,
		Patience: 5, SaveEvery: 5, SaveEveryMinutes: 10, ValEvery: 2,
		OOMPolicy: "stop", UseAMP: true, Device: "auto", Devices: "one", Seed: 42,
		TileOverlap: 32, MaxEvalImages: 10,
	}
}

// Preset returns the settings that a new run begins with on an engine: those of
// [Default] on "xla:cuda", and a network small enough for minutes on a CPU, which
// is "xla:cpu" or "go".
func Preset(engine string) Config {
	c := Default()
	if engine == "xla:cuda" {
		return c
	}
	c.ModelFeatures = 16
	c.BatchSize, c.PatchSize, c.TileOverlap = 8, 64, 16
	c.NumEpochs, c.WarmupEpochs, c.ValEvery = 7, 1, 1
	c.LearningRate, c.MinLR = 1e-3, 1e-5
	if engine == "xla:cpu" {
		c.PatchesPerImage = 39 // it has time for twice the steps: 12.8 dB on the built-in pictures instead of 12.4
	}
	return c
}

// Models are the networks that package model makes, so that a name that is misspelt
// is noticed without it: it needs the engine that computes.
var Models = []string{
	"attention_unet",
	"attention_unet_bottleneck",
	"dncnn",
	"dncnn_merged",
	"drunet",
	"ffdnet",
	"ffdnet_merged",
	"nafnet",
	"ridnet",
	"shuffle_unet",
	"unet",
	"unet_residual",
}

// SamplesPerStep is how many patches one step of the optimizer sees.
func (c Config) SamplesPerStep() int { return c.BatchSize * max(1, c.AccumulationSteps) }

// Save writes the configuration as indented JSON, all or nothing.
func (c Config) Save(path string) error {
	if err := durable.WriteJSON(path, c); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	return nil
}
