package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/machine"
	"rekindle/pkg/model"
	"rekindle/pkg/nn"
)

// checkpoints compares saving and loading a whole training state with writing
// and reading as many bytes, and with PyTorch on the same content. Whatever is
// written is on the disk when the time stops.
func (b *bench) checkpoints(ctx context.Context) error {
	features := 64
	if b.short {
		features = 16
	}
	state, err := trainingState(features)
	if err != nil {
		return err
	}
	path := filepath.Join(b.dir, "state.pth")
	saving := timed(func() error { return checkpoint.Save(path, state) })
	if _, err := saving(); err != nil {
		return err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	size := fmt.Sprintf("%d MB", len(content)/machine.MB)
	plain := filepath.Join(b.dir, "plain")
	writing := timed(func() error { return writeSynced(plain, content) })
	loading := timed(func() error { _, err := checkpoint.Load(path); return err })
	reading := timed(func() error { _, err := os.ReadFile(path); return err })
	for _, c := range []struct {
		what         string
		ours, theirs side
		versus       string
	}{
		{"saving a checkpoint of " + size, saving, writing, "a plain write"},
		{"saving a checkpoint of " + size, saving, b.asking(ctx, 3, "save "+path+" "+filepath.Join(b.dir, "theirs.pth")), "torch.save"},
		{"loading a checkpoint of " + size, loading, reading, "a plain read"},
		{"loading a checkpoint of " + size, loading, b.asking(ctx, 3, "load "+path), "torch.load"},
	} {
		ours, theirs, err := b.pairs(ctx, 10*time.Second, c.ours, c.theirs)
		if err != nil {
			return err
		}
		b.add(line{what: c.what, unit: "s", ours: ours, theirs: theirs, versus: c.versus})
	}
	return nil
}

func writeSynced(path string, content []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(content); err != nil {
		return err
	}
	return f.Sync()
}

// trainingState is that of the original's largest network, moments included.
func trainingState(features int) (*checkpoint.State, error) {
	cfg := config.Default()
	cfg.ModelFeatures, cfg.ModelBilinear = features, false
	net, err := model.New(cfg.Model, model.Options{Features: features, Bilinear: false})
	if err != nil {
		return nil, err
	}
	values := net.Init(1)
	state := &checkpoint.State{Cursor: checkpoint.Cursor{Epoch: 1, Step: 100}, Config: cfg, Reason: "epoch"}
	for _, e := range net.Entries() {
		t := checkpoint.Tensor{Name: e.Name, Shape: e.Shape, Values: values[e.Name]}
		if e.Role == nn.Weight {
			t.First, t.Second = t.Values, t.Values
		}
		state.Model = append(state.Model, t)
	}
	return state, nil
}
