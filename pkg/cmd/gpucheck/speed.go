package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rekindle/pkg/cmd/internal/measure"
)

// steps is what is asked to measure speed, and how long.
type steps struct {
	request string
	batch   int
	enough  measure.Enough
}

func (s setting) steps(batch int, options string) steps {
	features, patch, enough := 64, 128, measure.Enough{Turns: 60, Time: 8 * time.Second} // some hundred steps
	if s.tiny {
		features, batch, patch, enough = 8, 4, 32, measure.Enough{Turns: 5, Time: time.Second}
	}
	return steps{fmt.Sprintf("step %d %d %d %s", features, batch, patch, options), batch, enough}
}

// words is what was measured, for people: by the second half, when clocks are steady.
func (s steps) words(t measure.Turns) (text string, imagesPerSecond float64) {
	t.Seconds = t.Seconds[len(t.Seconds)/2:]
	imagesPerSecond = t.Figure().Per(float64(s.batch)).Median
	return fmt.Sprintf("%.0f images/s, first step %.1f s, %.0f MB", imagesPerSecond, t.First, t.Megabytes().Median), imagesPerSecond
}

// speed measures whole training steps, data pipeline included, against PyTorch.
func speed(batch int) func(context.Context, setting) (string, error) {
	return func(ctx context.Context, s setting) (string, error) {
		peer, missing := measure.FindPeer(ctx, s.python)
		var answers []string
		slower := error(nil)
		for _, options := range []string{"mixed", ""} {
			precision := map[string]string{"mixed": "AMP", "": "float32"}[options]
			steps := s.steps(batch, options)
			turns, err := measure.Ask(ctx, s.device, steps.enough, steps.request)
			if err != nil {
				return "", err
			}
			ours, rate := steps.words(turns)
			fmt.Println(precision, "Rekindle:", ours)
			if err = missing; err == nil {
				turns, err = peer.Ask(ctx, s.device, steps.enough, steps.request)
			}
			if err != nil {
				fmt.Println("PyTorch:", err)
				answers = append(answers, fmt.Sprintf("%s: %s, PyTorch not measured", precision, ours))
				continue
			}
			theirs, other := steps.words(turns)
			fmt.Println(precision, "PyTorch: ", theirs)
			answers = append(answers, fmt.Sprintf("%s: %s; PyTorch %s; %.2f times", precision, ours, theirs, rate/other))
			if options == "mixed" && rate < other && s.device != "go" {
				slower = errors.New("slower than PyTorch")
			}
		}
		return strings.Join(answers, ". "), slower
	}
}

// recomputing measures what GradientCheckpointing saves and costs.
func recomputing(ctx context.Context, s setting) (string, error) {
	var answers []string
	for _, options := range []string{"mixed recompute", "mixed"} {
		steps := s.steps(64, options)
		turns, err := measure.Ask(ctx, s.device, steps.enough, steps.request)
		if err != nil {
			return "", err
		}
		answer, _ := steps.words(turns)
		answers = append(answers, answer)
	}
	return strings.Join(answers, "; without: "), nil
}

// again measures the first step in three processes after each other: without
// XLA's cache of autotuning results, filling it, and with it.
func again(ctx context.Context, s setting) (string, error) {
	dir, err := os.MkdirTemp("", "rekindle-cache-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	const variable = "REKINDLE_CACHE_DIR"
	defer os.Setenv(variable, os.Getenv(variable))
	var took []any
	for _, cache := range []string{"off", dir, dir} {
		os.Setenv(variable, cache)
		turns, err := measure.Ask(ctx, s.device, measure.Enough{}, s.steps(16, "mixed").request)
		if err != nil {
			return fmt.Sprint(took...), fmt.Errorf("%s=%s: %w", variable, cache, err)
		}
		took = append(took, turns.First)
	}
	answer := fmt.Sprintf("%.1f s without a cache, %.1f s filling it, %.1f s with it", took...)
	if found, _ := os.ReadDir(filepath.Join(dir, "xla")); len(found) == 0 {
		answer += "; but nothing is in the cache: the engine is not XLA on a GPU, or XLA_FLAGS names another"
	}
	return answer, nil
}
