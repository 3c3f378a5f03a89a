package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gomlx/compute"

	"rekindle/pkg/backend"
	"rekindle/pkg/config"
	"rekindle/pkg/dataset"
	"rekindle/pkg/dataset/leaves"
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

// networks compares whole training steps and inference.
func (b *bench) networks(ctx context.Context) error {
	for _, s := range b.sizes() {
		r, err := startRun(ctx, b.engine.Backend, b.dir, s)
		if err != nil {
			return err
		}
		err = b.threads(ctx, "training step", "step", s, r.steps(3), "at most 5 times")
		if e := r.stop(); err == nil {
			err = e
		}
		if err != nil {
			return err
		}
		infer, err := inference(ctx, b.engine.Backend, s)
		if err != nil {
			return err
		}
		if err := b.threads(ctx, "inference", "infer", s, timed(infer), "at most 4 times"); err != nil {
			return err
		}
	}
	return nil
}

// threads compares by the clock with all cores, and by the processor's time on one.
func (b *bench) threads(ctx context.Context, what, request string, s size, ours side, bound string) error {
	mine, other, err := b.pairs(ctx, 30*time.Second, ours, b.asking("%s %d %d %d 3", request, s.features, s.batch, s.patch))
	if err != nil {
		return err
	}
	b.add(line{what: what + ", " + s.String(), unit: "ms", ours: mine, theirs: other, bound: bound})
	mine, other, err = b.pairs(ctx, 10*time.Second, oneCore(ours), b.asking("one %s %d %d %d 3", request, s.features, s.batch, s.patch))
	if err != nil {
		return err
	}
	b.add(line{what: what + ", " + s.String() + ", one core, processor's time", unit: "ms", ours: mine, theirs: other})
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
type hold struct{ *session }

func (h hold) Start(int, int, int)                           {}
func (h hold) EpochDone(int, experiment.Epoch, int, float64) {}
func (h hold) Message(string, ...any)                        {}
func (h hold) Close()                                        {}
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
	cfg.Device, cfg.UseAMP, cfg.PatchesPerImage = "go", false, 1<<24
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
		_, err := train.Run(ctx, exp, cfg, data, train.Options{Backend: engine, Reporter: hold{r}})
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

// steps is a side: n steps, each from the end of the one before.
func (r *session) steps(n int) side {
	return func() (out []time.Duration, err error) {
		for range n {
			began := time.Now()
			r.release <- struct{}{}
			if err := r.wait(); err != nil {
				return nil, err
			}
			out = append(out, time.Since(began))
		}
		return out, nil
	}
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
		im, name := leaves.Image(w, h, r), strconv.Itoa(i)+".png"
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

// restoration compares a whole picture in tiles.
func (b *bench) restoration(ctx context.Context) error {
	const features, tile, overlap = 16, 128, 32
	w, h := 2040, 1356
	if b.short {
		w, h = 510, 339
	}
	r, err := restorer(b.engine.Backend, features)
	if err != nil {
		return err
	}
	im := leaves.Image(w, h, rand.New(rand.NewPCG(1, 1)))
	ours, theirs, err := b.pairs(ctx, 30*time.Second, timed(func() error {
		_, err := r.Image(ctx, im, restore.Options{TileSize: tile, Overlap: overlap, BatchSize: 4})
		return err
	}), b.asking("restore %d %d %d %d %d", features, w, h, tile, overlap))
	if err != nil {
		return err
	}
	b.add(line{what: fmt.Sprintf("restoration of %dx%d, features %d", w, h, features), unit: "s", ours: ours, theirs: theirs})
	return nil
}

// memory compares what a process of its own takes at most.
func (b *bench) memory(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, s := range b.sizes() {
		for _, what := range []string{"step", "infer"} {
			args := fmt.Sprintf("%s,%d,%d,%d", what, s.features, s.batch, s.patch)
			raw, err := exec.CommandContext(ctx, self, "-once", args).Output()
			if err != nil {
				return fmt.Errorf("peak memory of %s: %w", args, err)
			}
			var ours int64
			if err := json.Unmarshal(raw, &ours); err != nil {
				return err
			}
			l := line{what: "peak memory, " + map[string]string{"step": "training, ", "infer": "inference, "}[what] + s.String(), unit: "MB", ours: megabytes(ours), bound: "at most 1.6 times"}
			if b.peer != nil {
				theirs, err := b.peer.peak(fmt.Sprintf("%s %d %d %d %d", what, s.features, s.batch, s.patch, repetitions))
				if err != nil {
					return err
				}
				l.theirs = megabytes(theirs)
			}
			b.add(l)
		}
	}
	return nil
}

func megabytes(bytes int64) figure {
	mb := float64(bytes) / machine.MB
	return figure{mb, mb, 1}
}

// repetitions is enough for memory to reach its peak.
const repetitions = 10

// measureOnce prints the most memory that this process held while it took a few
// steps or restored a few batches.
func measureOnce(ctx context.Context, args []string) error {
	if len(args) != 4 {
		return fmt.Errorf("-once takes what,features,batch,patch, not %q", args)
	}
	var n [3]int
	for i := range n {
		var err error
		if n[i], err = strconv.Atoi(args[1+i]); err != nil {
			return err
		}
	}
	engine, err := backend.Open("go")
	if err != nil {
		return err
	}
	s := size{n[0], n[1], n[2]}
	if args[0] == "step" {
		dir, err := os.MkdirTemp("", "rekindle-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		r, err := startRun(ctx, engine.Backend, dir, s)
		if err != nil {
			return err
		}
		if _, err := r.steps(repetitions)(); err != nil {
			return err
		}
		if err := r.stop(); err != nil {
			return err
		}
	} else {
		infer, err := inference(ctx, engine.Backend, s)
		if err != nil {
			return err
		}
		for range repetitions {
			if err := infer(); err != nil {
				return err
			}
		}
	}
	_, peak := machine.ProcessMemory()
	fmt.Println(peak)
	return nil
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
