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
	"encoding/json"
	"fmt"
	"os"

	"rekindle/pkg/durable"
)

// Config describes one training run. Two runs with equal Configs and equal data
// give equal weights.
type Config struct {
	// Resume
	ResumeFromCheckpoint bool   `json:"resume_from_checkpoint"` // go on with an existing experiment
	ResumeExperiment     string `json:"resume_experiment"`      // "latest", the name of a folder, e.g. "20251230_153045_v1", or "auto": the latest called ExperimentName, and a new one where there is none
	ForkExperiment       string `json:"fork_experiment"`        // start a new experiment from the newest checkpoint of this one; "" for none
	InitialWeights       string `json:"initial_weights"`        // start a new experiment from the weights in this file; "" for fresh ones

	// Experiment
	Model          string `json:"model"`           // network by name, e.g. "unet"
	Degradation    string `json:"degradation"`     // corruption by name, e.g. "gaussian"
	ExperimentName string `json:"experiment_name"` // ends the folder's name; may be ""
	ExperimentsDir string `json:"experiments_dir"` // where all experiments lie

	// Data: folders of PNG or JPEG pictures, degraded and clean ones under the same names
	TrainDegradedDir   string `json:"train_degraded_dir"` // "" is named after the degradation and its strength, see WithFolders
	TrainCleanDir      string `json:"train_clean_dir"`
	ValDegradedDir     string `json:"val_degraded_dir"` // likewise
	ValCleanDir        string `json:"val_clean_dir"`
	DownloadDIV2K      bool   `json:"download_div2k"`        // fill the clean folders with DIV2K (4 GB) if its pictures are not there
	PatchSize          int    `json:"patch_size"`            // side of the square crops in pixels, at least 16
	PatchesPerImage    int    `json:"patches_per_image"`     // random crops of each image in an epoch
	ValPatchesPerImage int    `json:"val_patches_per_image"` // fixed crops of each validation image
	NumWorkers         int    `json:"num_workers"`           // goroutines that prepare batches; no effect on results

	// Training
	BatchSize int `json:"batch_size"` // patches computed at once
	// AccumulationSteps adds up the gradients of so many batches for one step of
	// the optimizer; 0 and 1 do not. After out of memory, half the BatchSize and
	// twice the AccumulationSteps train nearly alike (batch norm sees single batches).
	AccumulationSteps int     `json:"accumulation_steps"`
	NumEpochs         int     `json:"num_epochs"`    // in all, those of earlier sessions included
	LearningRate      float64 `json:"learning_rate"` // at the end of the warm-up
	WeightDecay       float64 `json:"weight_decay"`  // decoupled (AdamW)
	GradientClip      float64 `json:"gradient_clip"` // largest global norm of the gradients; 0 never clips
	EMADecay          float64 `json:"ema_decay"`     // validate and restore with a moving average of the weights, e.g. 0.999; 0 for none

	// Network
	ModelFeatures int  `json:"model_features"` // channels of the first level; the deepest has 8 or 16 times as many
	ModelBilinear bool `json:"model_bilinear"` // bilinear upsampling; false: transposed convolutions

	// Loss: LossAlpha * L1 + LossBeta * (1 - SSIM) + LossGamma * perceptual
	LossAlpha  float64 `json:"loss_alpha"`
	LossBeta   float64 `json:"loss_beta"`
	LossGamma  float64 `json:"loss_gamma"`  // 0 leaves the perceptual loss out
	VGGWeights string  `json:"vgg_weights"` // file with the weights of VGG16 that it needs

	// Strength of the degradation; each kind looks at its own
	NoiseSigma        float64 `json:"noise_sigma"`         // gaussian: standard deviation, in grey levels of 0..255
	SaltPepperDensity float64 `json:"salt_pepper_density"` // salt_pepper: share of values that are replaced, 0..1
	SaltRatio         float64 `json:"salt_ratio"`          // salt_pepper: share of white among them, 0..1
	QuantizationBits  int     `json:"quantization_bits"`   // quantization, dithering/...: bits a channel, 1..8
	BlurSigma         float64 `json:"blur_sigma"`          // blur: standard deviation in pixels
	MotionLength      int     `json:"motion_length"`       // motion_blur: pixels
	MotionAngle       float64 `json:"motion_angle"`        // motion_blur: degrees to the rows
	JPEGQuality       int     `json:"jpeg_quality"`        // jpeg: 1 (worst) to 100
	LightFactor       float64 `json:"light_factor"`        // low_light: so many times less light
	DegradeOnTheFly   bool    `json:"degrade_on_the_fly"`  // degrade each training patch anew instead of reading copies

	// Learning-rate schedule
	Scheduler    string  `json:"scheduler"`     // "cosine" or "none"
	WarmupEpochs int     `json:"warmup_epochs"` // linear warm-up
	MinLR        float64 `json:"min_lr"`        // the cosine ends here

	Patience         int     `json:"patience"`           // stop after so many validations without improvement; 0 never
	SaveEvery        int     `json:"save_every"`         // keep a checkpoint every so many epochs; 0 keeps none
	SaveEveryMinutes float64 `json:"save_every_minutes"` // also save in mid-epoch after so many minutes; 0 never
	KeepCheckpoints  int     `json:"keep_checkpoints"`   // keep only the last so many of those that SaveEvery makes; 0 keeps all
	ValEvery         int     `json:"val_every"`          // validate every so many epochs, and after the last

	// A session that ends before the last epoch, with a checkpoint: for queues and trials
	MaxSteps   int     `json:"max_steps"`   // stop after so many steps of the optimizer in this session; 0 for no limit
	MaxMinutes float64 `json:"max_minutes"` // stop after so many minutes of training in this session; 0 for no limit

	NotifyEvery int `json:"notify_every"` // a Telegram message every so many validations, see docs/telegram.md; 0 none

	// Machine
	OOMPolicy     string `json:"oom_policy"`      // out of memory: "stop", or "halve" the batch and accumulate gradients
	MemoryLimitMB int    `json:"memory_limit_mb"` // on the CPU: stop as out of memory above this; 0 for none
	// GradientCheckpointing keeps fewer maps for the way back and computes them
	// again, on XLA: less memory, about a third more time.
	GradientCheckpointing bool   `json:"gradient_checkpointing"`
	UseAMP                bool   `json:"use_amp"` // bfloat16 on a GPU; no effect on a CPU
	Device                string `json:"device"`  // "auto", "cuda", "cpu" or "go"
	Devices               string `json:"devices"` // "one", or "all": each batch is divided over all GPUs of the machine
	Seed                  int64  `json:"seed"`    // of fresh weights, of the noise, and of which patch comes when

	// Evaluation of full images
	TileOverlap   int  `json:"tile_overlap"`    // pixels that neighbouring tiles share
	MaxEvalImages int  `json:"max_eval_images"` // 0 for all
	SelfEnsemble  bool `json:"self_ensemble"`   // the mean over all eight flips and turns: a little better, eight times as long
}

// Default returns the original's settings: DIV2K on a GPU.
func Default() Config {
	return Config{
		ResumeExperiment: "latest",
		Model:            "unet", Degradation: "gaussian", ExperimentName: "bilinear", ExperimentsDir: "experiments",
		TrainCleanDir: "data/raw/train", ValCleanDir: "data/raw/val",
		PatchSize: 128, PatchesPerImage: 20, ValPatchesPerImage: 4, NumWorkers: 4,
		BatchSize: 16, AccumulationSteps: 1, NumEpochs: 36, LearningRate: 1e-4, WeightDecay: 1e-5, GradientClip: 1,
		ModelFeatures: 64, ModelBilinear: true,
		LossAlpha: 0.84, LossBeta: 0.16,
		NoiseSigma: 100, SaltPepperDensity: 0.05, SaltRatio: 0.5, QuantizationBits: 2, BlurSigma: 2,
		MotionLength: 15, JPEGQuality: 10, LightFactor: 10,
		Scheduler: "cosine", WarmupEpochs: 5, MinLR: 1e-6,
		Patience: 5, SaveEvery: 5, SaveEveryMinutes: 10, ValEvery: 2,
		OOMPolicy: "stop", UseAMP: true, Device: "auto", Devices: "one", Seed: 42,
		TileOverlap: 32, MaxEvalImages: 10,
	}
}

// SamplesPerStep is how many patches one step of the optimizer sees.
func (c Config) SamplesPerStep() int { return c.BatchSize * max(1, c.AccumulationSteps) }

// Load reads a config.json. Keys that are missing keep their defaults and keys
// that are unknown are ignored, so that files of other versions can be read.
func Load(path string) (Config, error) {
	cfg := Default()
	raw, err := os.ReadFile(path)
	if err != nil {
		return cfg, fmt.Errorf("config: %w", err)
	}
	if err := json.Unmarshal(raw, &cfg); err != nil {
		return cfg, fmt.Errorf("config: %s is not a configuration: %w", path, err)
	}
	return cfg, nil
}

// Save writes the configuration as indented JSON, all or nothing.
func (c Config) Save(path string) error {
	raw, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	if err := durable.WriteFile(path, append(raw, '\n')); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	return nil
}
