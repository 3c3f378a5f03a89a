package measure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"rekindle/pkg/backend"
	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/machine"
	"rekindle/pkg/model"
	"rekindle/pkg/restore"
	"rekindle/pkg/train"
)

// Ask lets Rekindle do what a request says until e, in a process of its own: this
// program again, whose flag -once hands the line to [Once].
func Ask(ctx context.Context, device string, e Enough, request string) (t Turns, err error) {
	self, err := os.Executable()
	if err != nil {
		return t, err
	}
	return t, answer(exec.CommandContext(ctx, self, "-once", e.line(device, request)), os.Stderr, &t)
}

// Once does what a line says and prints the [Turns] as JSON:
//
//	DEVICE TURNS SECONDS step FEATURES BATCH PATCH [mixed] [recompute]
//	DEVICE TURNS SECONDS infer FEATURES BATCH PATCH
//	DEVICE TURNS SECONDS restore FEATURES WIDTH HEIGHT TILE OVERLAP (the tiles are the peer's)
func Once(ctx context.Context, line string) error {
	var device, what string
	var e Enough
	var seconds float64
	var n [3]int
	if _, err := fmt.Sscan(line, &device, &e.Turns, &seconds, &what, &n[0], &n[1], &n[2]); err != nil {
		return fmt.Errorf("-once takes a line such as \"cpu 10 0 step 16 8 64\", not %q: %w", line, err)
	}
	e.Time = time.Duration(seconds * float64(time.Second))
	engine, err := backend.Open(device)
	if err != nil {
		return err
	}
	var turns Turns
	switch what {
	case "step":
		words := strings.Fields(line)
		turns, err = steps(ctx, engine, e, n[0], n[1], n[2], slices.Contains(words, "mixed"), slices.Contains(words, "recompute"))
	case "infer", "restore":
		turns, err = restored(ctx, engine, e, what, n[0], n[1], n[2])
	default:
		err = fmt.Errorf("-once can step, infer and restore, not %q", what)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(turns)
}

// steps are whole training steps, data pipeline and all, as a notebook does them.
func steps(ctx context.Context, engine *backend.Engine, e Enough, features, batch, patch int, mixed, recompute bool) (Turns, error) {
	cfg := Small()
	cfg.ModelFeatures, cfg.BatchSize, cfg.PatchSize, cfg.UseAMP, cfg.GradientCheckpointing = features, batch, patch, mixed, recompute
	cfg.NumEpochs, cfg.PatchesPerImage = 1, 1_000_000 // an epoch that does not end
	if engine.OnGPU() {
		cfg.NumWorkers = 8
	}
	l, err := NewLab(1, 2*patch, 2*patch, cfg)
	if err != nil {
		return Turns{}, err
	}
	defer l.Close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	c := clock{last: time.Now()}
	_, _, _, err = l.Train(ctx, engine, l.Config, nil, onBatch{do: func() {
		if ctx.Err() != nil || !c.turn(e) {
			return
		}
		if _, c.Peak = machine.ProcessMemory(); engine.OnGPU() {
			c.Peak = machine.ProcessGPUMemory() // of which nothing is given back
		}
		stop()
	}})
	if err == nil && c.First == 0 {
		err = errors.New("no steps were taken")
	}
	return c.Turns, err
}

// onBatch is a Reporter that does something after each batch.
type onBatch struct {
	train.Silent
	do func()
}

func (o onBatch) Batch(int, int, float64, float64) { o.do() }

// restored is inference, for a batch of patches or a picture of a size.
func restored(ctx context.Context, engine *backend.Engine, e Enough, what string, features, a, b int) (Turns, error) {
	net, err := model.New("unet", model.Options{Features: features, Bilinear: true})
	if err != nil {
		return Turns{}, err
	}
	r, err := restore.New(engine.Backend, net, net.Init(1))
	if err != nil {
		return Turns{}, err
	}
	if what == "restore" {
		im := deadleaves.Image(a, b, rand.New(rand.NewPCG(1, 1))).ToImage()
		return repeat(e, func() error {
			_, err := r.Image(ctx, im)
			return err
		})
	}
	patches := make([]float32, a*3*b*b)
	for i := range patches {
		patches[i] = float32(math.Sin(float64(i)))
	}
	return repeat(e, func() error {
		_, err := r.Batch(ctx, patches, a, b, b)
		return err
	})
}

// repeat does something once and then until e, and measures this process.
func repeat(e Enough, once func() error) (Turns, error) {
	for c := (clock{last: time.Now()}); ; {
		if err := once(); err != nil {
			return Turns{}, err
		}
		if c.turn(e) {
			_, c.Peak = machine.ProcessMemory()
			return c.Turns, nil
		}
	}
}
