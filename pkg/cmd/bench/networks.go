package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gomlx/compute"

	"rekindle/pkg/backend"
	"rekindle/pkg/config"
	"rekindle/pkg/dataset"
	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/degrade"
	"rekindle/pkg/experiment"
	"rekindle/pkg/machine"
	"rekindle/pkg/model"
	"rekindle/pkg/restore"
	"rekindle/pkg/rgb"
	"rekindle/pkg/train"
)

// size is a network and a batch.
type size struct{ features, batch, patch int }

func (s size) String() string {
	return fmt.Sprintf("features %d, batch %d, patch %d", s.features, s.batch, s.patch)
}

func (b *bench) sizes() []size {
	if b.short {
		return []size{{16, 8, 64}}
	}
	return []size{{16, 8, 64}, {32, 4, 128}}
}

// bounds are those of the two sizes: the engine in pure Go beside PyTorch, and
// XLA's, which does the same work with the same instructions.
func (s size) bounds(what string) map[string]bound {
	wanted := map[string][2]string{"step": {"1.15", "1.4"}, "infer": {"1.0", "1.1"}}[what][s.features/32]
	of := map[string]string{"step": "5", "infer": "4"}[what]
	return map[string]bound{"go": {"at most " + of + " times", "at most 1.6 times"}, "cpu": {"at most " + wanted + " times", "at most once"}}
}

// networks compares whole training steps and inference.
func (b *bench) networks(ctx context.Context) error {
	for _, s := range b.sizes() {
		for _, what := range []string{"step", "infer"} {
			name := map[string]string{"step": "training step, ", "infer": "inference, "}[what] + s.String()
			if err := b.compare(ctx, name, "ms", fmt.Sprintf("%s %d %d %d", what, s.features, s.batch, s.patch), s.bounds(what)); err != nil {
				return err
			}
		}
	}
	return nil
}

// session is real training under way, held between two steps.
type session struct {
	cancel  context.CancelFunc
	held    chan struct{} // a step is done and training waits
	release chan struct{} // the next may begin
	done    chan error
}

// hold is the Reporter that stops training after each batch.
type hold struct {
	train.Silent
	*session
}

func (h hold) Batch(int, int, float64, float64) {
	h.held <- struct{}{}
	<-h.release
}

// startRun begins training as a notebook does, data pipeline and all, in an
// epoch that does not end.
func startRun(ctx context.Context, engine compute.Backend, dir string, s size) (*session, error) {
	dir, err := os.MkdirTemp(dir, "run-")
	if err != nil {
		return nil, err
	}
	cfg := config.Default()
	cfg.ModelFeatures, cfg.BatchSize, cfg.PatchSize = s.features, s.batch, s.patch
	cfg.UseAMP, cfg.PatchesPerImage = false, 1_000_000
	cfg.SaveEveryMinutes, cfg.WarmupEpochs, cfg.TileOverlap = 0, 0, 0
	cfg.ExperimentsDir = filepath.Join(dir, "experiments")
	set, err := pictures(dir, 1, 2*s.patch, 2*s.patch)
	if err != nil {
		return nil, err
	}
	exp, err := experiment.Create(cfg, time.Now())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &session{cancel, make(chan struct{}), make(chan struct{}), make(chan error, 1)}
	data := train.Data{Train: set.Train(s.patch, cfg.PatchesPerImage, cfg.Seed), Val: set.Validation(s.patch, 1, cfg.Seed)}
	go func() {
		_, err := train.Run(ctx, exp, cfg, data, train.Options{Backend: engine, Reporter: hold{session: r}})
		r.done <- err
	}()
	return r, r.wait() // the first step compiles
}

func (r *session) wait() error {
	select {
	case <-r.held:
		return nil
	case err := <-r.done:
		if err == nil {
			err = fmt.Errorf("training ended early")
		}
		r.done <- err
		return err
	}
}

// step is one step, from the end of the one before.
func (r *session) step() error {
	r.release <- struct{}{}
	return r.wait()
}

func (r *session) stop() error {
	r.cancel()
	close(r.release)
	for {
		select {
		case <-r.held:
		case err := <-r.done:
			return err
		}
	}
}

// pictures makes n pairs of pictures and opens them.
func pictures(dir string, n, w, h int) (*dataset.Set, error) {
	clean, noisy := filepath.Join(dir, "clean"), filepath.Join(dir, "noisy")
	for _, d := range []string{clean, noisy} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	for i := range n {
		r := rand.New(rand.NewPCG(1, uint64(i)))
		im, name := deadleaves.Image(w, h, r), strconv.Itoa(i)+".png"
		if err := im.SavePNG(filepath.Join(clean, name)); err != nil {
			return nil, err
		}
		if err := (degrade.Gaussian{Sigma: 100}).Apply(im, r).SavePNG(filepath.Join(noisy, name)); err != nil {
			return nil, err
		}
	}
	return dataset.Open(noisy, clean, 1, nil)
}

func restorer(engine compute.Backend, features int) (*restore.Restorer, error) {
	net, err := model.New("unet", model.Options{Features: features, Bilinear: true})
	if err != nil {
		return nil, err
	}
	return restore.New(engine, net, net.Init(1))
}

func inference(ctx context.Context, engine compute.Backend, s size) (func() error, error) {
	r, err := restorer(engine, s.features)
	if err != nil {
		return nil, err
	}
	patches := make([]float32, s.batch*3*s.patch*s.patch)
	for i := range patches {
		patches[i] = float32(math.Sin(float64(i)))
	}
	return func() error {
		_, err := r.Batch(ctx, patches, s.batch, s.patch, s.patch)
		return err
	}, nil
}

// restoration compares a whole picture in tiles: ours as make restore chooses them,
// the peer's as the Python original does.
func (b *bench) restoration(ctx context.Context) error {
	const features, tile, overlap = 16, 128, 32
	w, h := 2040, 1356
	if b.short {
		w, h = 510, 339
	}
	what := fmt.Sprintf("restoration of %dx%d, features %d", w, h, features)
	return b.compare(ctx, what, "s", fmt.Sprintf("restore %d %d %d %d %d", features, w, h, tile, overlap), nil)
}

// measureOnce does one thing several times, after a turn that does not count, and
// prints how long each took and the most memory that this process held.
//
//	step|infer FEATURES BATCH PATCH TIMES
//	restore FEATURES WIDTH HEIGHT TILE OVERLAP TIMES (the tiles are the peer's)
func measureOnce(ctx context.Context, device, request string) error {
	words := strings.Fields(request)
	want := map[string]int{"step": 4, "infer": 4, "restore": 6}
	if len(words) == 0 || len(words)-1 != want[words[0]] {
		return fmt.Errorf("-once takes WHAT and its numbers, such as \"step 16 8 64 10\", not %q", request)
	}
	var n []int
	for _, word := range words[1:] {
		number, err := strconv.Atoi(word)
		if err != nil {
			return fmt.Errorf("-once: %w", err)
		}
		n = append(n, number)
	}
	engine, err := backend.Open(device)
	if err != nil {
		return err
	}
	var once func() error
	switch words[0] {
	case "step":
		dir, err := os.MkdirTemp("", "rekindle-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		r, err := startRun(ctx, engine.Backend, dir, size{n[0], n[1], n[2]})
		if err != nil {
			return err
		}
		defer r.stop()
		once = r.step
	case "infer":
		if once, err = inference(ctx, engine.Backend, size{n[0], n[1], n[2]}); err != nil {
			return err
		}
	case "restore":
		r, err := restorer(engine.Backend, n[0])
		if err != nil {
			return err
		}
		im := deadleaves.Image(n[1], n[2], rand.New(rand.NewPCG(1, 1))).ToImage()
		once = func() error {
			_, err := r.Image(ctx, im)
			return err
		}
	}
	var m measured
	for i := range n[len(n)-1] + 1 {
		began := time.Now()
		if err := once(); err != nil {
			return err
		}
		if i > 0 {
			m.Seconds = append(m.Seconds, time.Since(began).Seconds())
		}
	}
	_, m.Peak = machine.ProcessMemory()
	return json.NewEncoder(os.Stdout).Encode(m)
}

// pipeline compares patches from decoded pictures with decoding for each patch.
func (b *bench) pipeline(ctx context.Context) error {
	const patch, workers = 128, 4
	dir, err := os.MkdirTemp(b.dir, "pictures-")
	if err != nil {
		return err
	}
	set, err := pictures(dir, 1, 2040, 1356)
	if err != nil {
		return err
	}
	const patches, decodes = 2000, 8
	sampler := set.Train(patch, patches, 1)
	epoch := 0
	cutting := func() error {
		epoch++
		loader := sampler.Batches(ctx, epoch, 0, 16, workers)
		defer loader.Close()
		for {
			batch, err := loader.Next()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			loader.Recycle(batch)
		}
	}
	decoding := func() error {
		failed := make(chan error)
		for range workers {
			go func() {
				var planes [3 * patch * patch]float32
				var err error
				for i := 0; i < decodes/workers && err == nil; i++ {
					for _, which := range []string{"clean", "noisy"} {
						var im *rgb.Image
						if im, err = rgb.Load(filepath.Join(dir, which, "0.png")); err != nil {
							break
						}
						im.Crop(100, 100, patch, patch).Planes(planes[:])
					}
				}
				failed <- err
			}()
		}
		var err error
		for range workers {
			if e := <-failed; e != nil {
				err = e
			}
		}
		return err
	}
	ours, theirs, err := b.pairs(ctx, 20*time.Second, timed(cutting), timed(decoding))
	if err != nil {
		return err
	}
	b.add(line{what: "patches of 128x128 from 2040x1356, 4 workers", unit: "per second", ours: ours.per(patches), theirs: theirs.per(decodes),
		versus: "decoding both PNGs for each patch", bound: "at least 20 times and 3,000"})
	return nil
}
