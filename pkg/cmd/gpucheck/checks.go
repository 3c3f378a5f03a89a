package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gomlx/compute/dtypes"

	"rekindle/pkg/backend"
	"rekindle/pkg/checkpoint"
	"rekindle/pkg/cmd/internal/measure"
	"rekindle/pkg/config"
	"rekindle/pkg/dataset"
	"rekindle/pkg/machine"
	"rekindle/pkg/model"
	"rekindle/pkg/restore"
	"rekindle/pkg/train"
)

// headerVersion is the version of PJRT's interface that go-xla is built with; a
// plugin of another one works as far as both have what is called.
const headerVersion = "0.104"

func whichEngine(_ context.Context, s setting) (string, error) {
	if name := pluginName(s.device, os.Getenv("GOMLX_BACKEND")); name != "" {
		file, version, err := backend.Plugin(name)
		if err != nil {
			return "", fmt.Errorf("the plugin %q does not load: %w", name, err)
		}
		fmt.Printf("%s speaks PJRT %s, go-xla was built for %s\n", file, version, headerVersion)
	}
	engine, err := backend.Open(s.device)
	if err != nil {
		return "", err
	}
	fmt.Println(engine.Description())
	answer := engine.Choice.String()
	if models := machine.GPUs(); len(models) > 0 {
		answer = strings.Join(models, ", ") + ", " + answer
	}
	if out, err := exec.Command("nvidia-smi", "--query-gpu=driver_version,memory.total", "--format=csv,noheader").Output(); err == nil {
		answer += ", driver and memory " + strings.TrimSpace(string(out))
	}
	if s.device != "go" && !engine.OnGPU() {
		return answer, errors.New("this is no GPU")
	}
	return answer, nil
}

// pluginName is what XLA will load for a Device key and a value of GOMLX_BACKEND;
// "" for the Go engine.
func pluginName(device, config string) string {
	if config == "" {
		config = machine.Engine(device, true)
	}
	name, plugin, _ := strings.Cut(config, ":")
	if name != "xla" {
		return ""
	}
	plugin, _, _ = strings.Cut(plugin, ",")
	return plugin
}

// convolutions tries the smallest thing that training is made of.
func convolutions(_ context.Context, s setting) (string, error) {
	engine, err := backend.Open(s.device)
	if err != nil {
		return "", err
	}
	if err := backend.Convolve(engine.Backend, dtypes.Float32); err != nil {
		return "float32 does not work", err
	}
	fmt.Println("float32 works")
	if err := backend.Convolve(engine.Backend, dtypes.BFloat16); err != nil {
		return "float32 works, bfloat16 does not, so UseAMP would train in float32", err
	}
	return "both", nil
}

// sameNumbers trains every network a few steps on the engine and on the Go
// engine, from the same weights and batches.
func sameNumbers(ctx context.Context, s setting) (string, error) {
	engine, err := backend.Open(s.device)
	if err != nil {
		return "", err
	}
	plain, err := goEngine()
	if err != nil {
		return "", err
	}
	var worstLoss, worstWeight float64
	for _, name := range model.Names() {
		for _, bilinear := range []bool{true, false} {
			cfg := measure.Small()
			cfg.Model, cfg.ModelBilinear, cfg.NumEpochs, cfg.ModelDepth = name, bilinear, 1, shallow(name)
			if !bilinear && options(name, true) == options(name, false) {
				continue // the same once more
			}
			cfg.PatchesPerImage = 5 // batches of 4, 4 and 2: XLA fills the last one up
			if s.tiny {
				cfg.ModelFeatures, cfg.PatchSize = 4, 16
			}
			l, err := measure.NewLab(2, 48, 48, cfg)
			if err != nil {
				return "", err
			}
			defer l.Close()
			var here, there record
			_, a, _, err := l.Train(ctx, engine, l.Config, nil, &here)
			if err != nil {
				return "", fmt.Errorf("%s: %w", name, err)
			}
			_, b, _, err := l.Train(ctx, plain, l.Config, nil, &there)
			if err != nil {
				return "", fmt.Errorf("%s: %w", name, err)
			}
			loss := 0.0
			for i := range here.losses {
				loss = max(loss, math.Abs(here.losses[i]-there.losses[i])/there.losses[i])
			}
			weight, _ := difference(a, b)
			fmt.Printf("%s, bilinear %v: losses differ by %.1e, weights by %.1e of the largest, after %d steps\n", name, bilinear, loss, weight, len(here.losses))
			worstLoss, worstWeight = max(worstLoss, loss), max(worstWeight, weight)
		}
	}
	answer := fmt.Sprintf("losses within %.1e, weights within %.1e of the largest", worstLoss, worstWeight)
	// A step of AdamW moves each weight by up to the learning rate, whichever
	// sign a gradient near 0 has: three steps, both ways.
	if worstLoss > 5e-3 || worstWeight > 0.02 {
		return answer, errors.New("more than rounding explains")
	}
	return answer, nil
}

// options are what a network makes of these.
func options(name string, bilinear bool) model.Options {
	net, err := model.New(name, model.Options{Features: 2, Bilinear: bilinear})
	if err != nil {
		return model.Options{}
	}
	return net.Options
}

// shallow is a small depth for networks that have one.
func shallow(name string) int {
	if name == "nafnet" {
		return 1 // block at each of nine levels
	}
	return 3
}

func goEngine() (*backend.Engine, error) {
	if before, ok := os.LookupEnv("GOMLX_BACKEND"); ok {
		os.Unsetenv("GOMLX_BACKEND")
		defer os.Setenv("GOMLX_BACKEND", before)
	}
	return backend.Open("go")
}

// interrupted compares a straight run with one stopped in the middle of an epoch.
func interrupted(ctx context.Context, s setting) (string, error) {
	engine, err := backend.Open(s.device)
	if err != nil {
		return "", err
	}
	l, err := measure.NewLab(4, 64, 64, measure.Small())
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, straight, _, err := l.Train(ctx, engine, l.Config, nil, &record{})
	if err != nil {
		return "", err
	}
	_, again, _, err := l.Train(ctx, engine, l.Config, nil, &record{})
	if err != nil {
		return "", err
	}
	part, cancel := context.WithCancel(ctx)
	defer cancel()
	_, _, exp, err := l.Train(part, engine, l.Config, nil, &record{onBatch: func(n int) {
		if n == 4 {
			cancel()
		}
	}})
	if err != nil {
		return "", err
	}
	cfg := l.Config
	cfg.ResumeFromCheckpoint = true
	_, pieces, _, err := l.Train(ctx, engine, cfg, exp, &record{})
	if err != nil {
		return "", err
	}
	repeat, same := difference(straight, again)
	resume, equal := difference(straight, pieces)
	switch {
	case equal:
		return "bit for bit", nil
	case !same:
		return fmt.Sprintf("off by %.1e of the largest weight; but the engine does not repeat itself either (%.1e)", resume, repeat), nil
	}
	return "", fmt.Errorf("off by %.1e of the largest weight, on an engine that repeats itself", resume)
}

// outOfMemory asks for a batch that does not fit, and goes on in both ways.
func outOfMemory(ctx context.Context, s setting) (string, error) {
	engine, err := backend.Open(s.device)
	if err != nil {
		return "", err
	}
	cfg := measure.Small()
	cfg.ModelFeatures, cfg.BatchSize, cfg.PatchSize, cfg.PatchesPerImage, cfg.NumEpochs = 32, 64, 128, 128, 1
	if s.tiny {
		cfg.ModelFeatures, cfg.BatchSize, cfg.PatchSize, cfg.PatchesPerImage = 8, 32, 64, 32
		now, _ := machine.ProcessMemory()
		cfg.MemoryLimitMB = int(now/machine.MB) + 150 // there is no device whose memory could run out
	}
	l, err := measure.NewLab(1, 192, 192, cfg)
	if err != nil {
		return "", err
	}
	defer l.Close()
	result, state, exp, err := l.Train(ctx, engine, l.Config, nil, &record{says: true})
	if result == nil {
		return "", fmt.Errorf("it was not taken for out of memory: %w", err)
	}
	if result.Outcome != train.OutOfMemory {
		return "", fmt.Errorf("the run ended as %q; the batch fits, so nothing was tried", result.Outcome)
	}
	fmt.Println("the error:", err)
	if state == nil || !strings.Contains(filepath.Base(result.Checkpoint), "emergency") {
		return "", fmt.Errorf("the emergency checkpoint is %q", result.Checkpoint)
	}
	smaller := l.Config
	smaller.ResumeFromCheckpoint, smaller.BatchSize, smaller.PatchesPerImage = true, 2, 8
	result, _, _, err = l.Train(ctx, engine, smaller, exp, &record{says: true})
	if err != nil || result.Outcome != train.Completed {
		return "", fmt.Errorf("resuming with BatchSize 2 in the same process did not go on: %w", err)
	}
	halving := l.Config
	halving.OOMPolicy, halving.PatchesPerImage = "halve", halving.BatchSize
	result, _, _, err = l.Train(ctx, engine, halving, nil, &record{says: true})
	if err != nil || result.Outcome != train.Completed {
		return "", fmt.Errorf("OOMPolicy halve did not go on: %w", err)
	}
	return "recognised; emergency checkpoint read; resumed with a smaller batch in the same process; OOMPolicy halve completed", nil
}

// mixedQuality trains twice and compares what the networks restore.
func mixedQuality(ctx context.Context, s setting) (string, error) {
	engine, err := backend.Open(s.device)
	if err != nil {
		return "", err
	}
	cfg := measure.Small()
	cfg.ModelFeatures, cfg.BatchSize, cfg.PatchSize, cfg.PatchesPerImage, cfg.NumEpochs = 32, 16, 64, 200, 6
	if s.tiny {
		cfg.ModelFeatures, cfg.PatchSize, cfg.PatchesPerImage, cfg.NumEpochs = 4, 32, 4, 1
	}
	l, err := measure.NewLab(8, 256, 256, cfg)
	if err != nil {
		return "", err
	}
	defer l.Close()
	psnr := func(mixed bool) (float64, error) {
		cfg := l.Config
		cfg.UseAMP = mixed
		_, state, _, err := l.Train(ctx, engine, cfg, nil, &record{})
		if err != nil {
			return 0, err
		}
		return score(ctx, l, engine, cfg, state)
	}
	full, err := psnr(false)
	if err != nil {
		return "", err
	}
	half, err := psnr(true)
	if err != nil {
		return "", err
	}
	if !engine.OnGPU() {
		return fmt.Sprintf("nothing compared: UseAMP has no effect on a CPU (float32 twice: %.2f and %.2f dB)", half, full), nil
	}
	answer := fmt.Sprintf("%.2f dB in bfloat16, %.2f dB in float32", half, full)
	if half < full-0.05 {
		return answer, errors.New("more than 0.05 dB lost")
	}
	return answer, nil
}

// score is the mean PSNR of the restored validation pictures, in float32.
func score(ctx context.Context, l *measure.Lab, engine *backend.Engine, cfg config.Config, s *checkpoint.State) (float64, error) {
	net, err := model.New(cfg.Model, model.OptionsOf(cfg))
	if err != nil {
		return 0, err
	}
	values := map[string][]float32{}
	for _, t := range s.Network() {
		values[t.Name] = t.Values
	}
	r, err := restore.New(engine.Backend, net, values)
	if err != nil {
		return 0, err
	}
	set, err := dataset.Open(cfg.ValDegradedDir, cfg.ValCleanDir, 1, nil)
	if err != nil {
		return 0, err
	}
	dir := filepath.Join(l.Dir, "restored")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, err
	}
	e, err := r.Evaluate(ctx, set, dir, restore.Options{TileSize: cfg.PatchSize, Overlap: cfg.TileOverlap, BatchSize: 8}, 0, nil)
	if err != nil {
		return 0, err
	}
	return float64(e.Mean.PSNR), nil
}

// divided trains with batches divided over all devices, which may be one.
func divided(ctx context.Context, s setting) (string, error) {
	engine, err := backend.Open(s.device)
	if err != nil {
		return "", err
	}
	if engine.Name() != "xla" {
		return "not asked: only XLA divides", nil
	}
	l, err := measure.NewLab(4, 64, 64, measure.Small())
	if err != nil {
		return "", err
	}
	defer l.Close()
	var whole, parts record
	if _, _, _, err := l.Train(ctx, engine, l.Config, nil, &whole); err != nil {
		return "", err
	}
	l.Devices = engine.NumDevices()
	if _, _, _, err := l.Train(ctx, engine, l.Config, nil, &parts); err != nil {
		return "", err
	}
	if len(parts.losses) != len(whole.losses) {
		return "", fmt.Errorf("%d steps, %d without dividing", len(parts.losses), len(whole.losses))
	}
	off := 0.0
	for i, loss := range whole.losses {
		off = max(off, math.Abs(parts.losses[i]-loss)/loss)
	}
	answer := fmt.Sprintf("over %d: losses within %.1e", l.Devices, off)
	if !(off <= 5e-3) {
		return answer, errors.New("more than rounding explains")
	}
	return answer, nil
}

// sharing starts a second process on the device while this one trains.
func sharing(ctx context.Context, s setting) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	args := []string{"-check", "resume", "-device", s.device, "-python", s.python}
	other := exec.CommandContext(ctx, self, args...)
	var out strings.Builder
	other.Stdout, other.Stderr = &out, &out
	if err := other.Start(); err != nil {
		return "", err
	}
	_, mine := interrupted(ctx, s)
	if err := other.Wait(); err != nil || !strings.Contains(out.String(), `"ok":true`) {
		return "", fmt.Errorf("the other process: %v: %s", err, out.String())
	}
	if mine != nil {
		return "", mine
	}
	return "both completed", nil
}

// opensInPyTorch loads a checkpoint of ours with weights_only=True, the default
// since PyTorch 2.6.
func opensInPyTorch(ctx context.Context, s setting) (string, error) {
	engine, err := goEngine()
	if err != nil {
		return "", err
	}
	cfg := measure.Small()
	cfg.NumEpochs = 1
	l, err := measure.NewLab(1, 48, 48, cfg)
	if err != nil {
		return "", err
	}
	defer l.Close()
	result, _, _, err := l.Train(ctx, engine, l.Config, nil, &record{})
	if err != nil {
		return "", err
	}
	const script = `import sys, torch
c = torch.load(sys.argv[1], weights_only=True)
p = [torch.nn.Parameter(t) for n, t in c["model_state_dict"].items() if "running" not in n and "tracked" not in n]
o = torch.optim.AdamW(p); o.load_state_dict(c["optimizer_state_dict"])
print("PyTorch", torch.__version__, "read", len(c["model_state_dict"]), "tensors and the optimizer's state")`
	raw, err := exec.CommandContext(ctx, s.python, "-c", script, result.Checkpoint).CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	if err != nil {
		return "", fmt.Errorf("%s: %w", lines[len(lines)-1], err)
	}
	return lines[len(lines)-1], nil
}
