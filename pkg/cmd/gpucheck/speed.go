package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"rekindle/pkg/backend"
	"rekindle/pkg/machine"
)

//go:embed peer.py
var peer []byte

// measured is one side of a comparison.
type measured struct {
	ImagesPerSecond float64 `json:"images_per_second"`
	FirstStep       float64 `json:"first_step"` // seconds, compilation included
	PeakMB          float64 `json:"peak_mb"`    // on the device; 0: unknown
}

func (m measured) String() string {
	text := fmt.Sprintf("%.0f images/s, first step %.1f s", m.ImagesPerSecond, m.FirstStep)
	if m.PeakMB > 0 {
		text += fmt.Sprintf(", %.0f MB", m.PeakMB)
	}
	return text
}

// speed measures whole training steps, data pipeline included, against PyTorch.
func speed(batch int) func(context.Context, setting) (string, error) {
	return func(ctx context.Context, s setting) (string, error) {
		features, patch := 64, 128
		if s.tiny {
			features, patch, batch = 8, 32, 4
		}
		var answers []string
		ratio := 0.0
		for _, mixed := range []bool{true, false} {
			ours, err := steps(ctx, s, features, batch, patch, mixed, false)
			if err != nil {
				return "", err
			}
			precision := map[bool]string{true: "AMP", false: "float32"}[mixed]
			fmt.Println(precision, "Rekindle:", ours)
			theirs, err := pytorch(ctx, s, features, batch, patch, mixed)
			if err != nil {
				fmt.Println("PyTorch:", err)
				answers = append(answers, fmt.Sprintf("%s: %s, PyTorch not measured", precision, ours))
				continue
			}
			fmt.Println(precision, "PyTorch: ", theirs)
			r := ours.ImagesPerSecond / theirs.ImagesPerSecond
			answers = append(answers, fmt.Sprintf("%s: %s; PyTorch %s; %.2f times", precision, ours, theirs, r))
			if mixed {
				ratio = r
			}
		}
		answer := strings.Join(answers, ". ")
		if ratio > 0 && ratio < 1 && s.device != "go" {
			return answer, errors.New("slower than PyTorch")
		}
		return answer, nil
	}
}

// recomputing measures what GradientCheckpointing saves and costs.
func recomputing(ctx context.Context, s setting) (string, error) {
	features, batch, patch := 64, 64, 128
	if s.tiny {
		features, batch, patch = 8, 4, 32
	}
	plain, err := steps(ctx, s, features, batch, patch, true, false)
	if err != nil {
		return "", err
	}
	again, err := steps(ctx, s, features, batch, patch, true, true)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s; without: %s", again, plain), nil
}

// steps trains for a while and takes the median step of the second half.
func steps(ctx context.Context, s setting, features, batch, patch int, mixed, recompute bool) (measured, error) {
	engine, err := backend.Open(s.device)
	if err != nil {
		return measured{}, err
	}
	cfg := small()
	cfg.ModelFeatures, cfg.BatchSize, cfg.PatchSize, cfg.UseAMP, cfg.GradientCheckpointing, cfg.NumWorkers = features, batch, patch, mixed, recompute, 8
	cfg.TileOverlap, cfg.NumEpochs, cfg.PatchesPerImage = 8, 1, 1_000_000
	l, err := newLaboratory(2, 4*patch, cfg)
	if err != nil {
		return measured{}, err
	}
	defer l.close()
	long, stop := context.WithCancel(ctx)
	defer stop()
	least, budget := 60, 8*time.Second // some hundred steps
	if s.tiny {
		least, budget = 6, time.Second
	}
	r := &record{}
	began := time.Now()
	var peakMB float64
	r.onBatch = func(n int) {
		if n%20 == 1 {
			peakMB = max(peakMB, float64(machine.ProcessGPUMemory()/machine.MB))
		}
		if n >= least && time.Since(r.times[0]) > budget {
			stop()
		}
	}
	if _, _, _, err := l.train(long, engine, l.cfg, nil, r); err != nil {
		return measured{}, err
	}
	var took []time.Duration
	for i := len(r.times) / 2; i < len(r.times); i++ {
		took = append(took, r.times[i].Sub(r.times[i-1]))
	}
	slices.Sort(took)
	if !slices.IsSortedFunc(r.times, time.Time.Compare) || len(took) == 0 {
		return measured{}, errors.New("no steps were taken")
	}
	return measured{float64(batch) / took[len(took)/2].Seconds(), r.times[0].Sub(began).Seconds(), peakMB}, nil
}

// pytorch asks the script for the same.
func pytorch(ctx context.Context, s setting, features, batch, patch int, mixed bool) (m measured, err error) {
	dir, err := os.MkdirTemp("", "rekindle-peer-")
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(dir)
	script := filepath.Join(dir, "peer.py")
	if err := os.WriteFile(script, peer, 0o644); err != nil {
		return m, err
	}
	seconds := "8"
	if s.tiny {
		seconds = "1"
	}
	cmd := exec.CommandContext(ctx, s.python, script, strconv.Itoa(features), strconv.Itoa(batch), strconv.Itoa(patch), strconv.FormatBool(mixed), seconds)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	raw, err := cmd.Output()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(complaints.String()), "\n")
		return m, fmt.Errorf("%s: %w", lines[len(lines)-1], err)
	}
	return m, json.Unmarshal(raw, &m)
}

// again measures the first step in three processes after each other: without
// XLA's cache of autotuning results, filling it, and with it.
func again(ctx context.Context, s setting) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "rekindle-cache-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	var took []string
	for _, cache := range []string{"off", dir, dir} {
		cmd := exec.CommandContext(ctx, self, "-check", "first-step", "-device", s.device, "-python", s.python)
		if s.tiny {
			cmd.Args = append(cmd.Args, "-tiny")
		}
		cmd.Env = append(os.Environ(), "REKINDLE_CACHE_DIR="+cache)
		raw, err := cmd.CombinedOutput()
		_, text, ok := strings.Cut(string(raw), mark)
		var r result
		if !ok || json.Unmarshal([]byte(firstLine(text)), &r) != nil || !r.OK {
			return strings.Join(took, ", "), fmt.Errorf("REKINDLE_CACHE_DIR=%s: %v: %s", cache, err, lastLine(string(raw)))
		}
		took = append(took, r.Answer)
	}
	answer := fmt.Sprintf("%s without a cache, %s filling it, %s with it", took[0], took[1], took[2])
	if found, _ := filepath.Glob(filepath.Join(dir, "xla", "*")); len(found) == 0 {
		answer += "; but nothing is in the cache: the engine is not XLA on a GPU, or XLA_FLAGS names another"
	}
	return answer, nil
}

// firstStep is what again asks of its processes.
func firstStep(ctx context.Context, s setting) (string, error) {
	features, batch, patch := 64, 16, 128
	if s.tiny {
		features, batch, patch = 8, 4, 32
	}
	engine, err := backend.Open(s.device)
	if err != nil {
		return "", err
	}
	cfg := small()
	cfg.ModelFeatures, cfg.BatchSize, cfg.PatchSize, cfg.UseAMP, cfg.TileOverlap = features, batch, patch, true, 8
	cfg.PatchesPerImage, cfg.NumEpochs = 4*batch, 1
	l, err := newLaboratory(1, 2*patch, cfg)
	if err != nil {
		return "", err
	}
	defer l.close()
	part, stop := context.WithCancel(ctx)
	defer stop()
	began, took := time.Now(), ""
	if _, _, _, err := l.train(part, engine, l.cfg, nil, &record{onBatch: func(n int) {
		if n == 1 {
			took = since(began)
			stop()
		}
	}}); err != nil {
		return "", err
	}
	return took, nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
