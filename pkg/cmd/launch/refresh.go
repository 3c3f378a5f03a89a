package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rekindle/pkg/durable"
	"rekindle/pkg/notebook"
	"rekindle/pkg/notebook/cell"
	"rekindle/pkg/notebook/ipynb"
	"rekindle/pkg/setup"
)

// quick is the configuration of stored runs: the main notebook trains as long as
// it does by itself, the others only until they show what they can.
const quick = `{"num_epochs": 3, "warmup_epochs": 1}`

// syncAll spreads the cells of the main notebook to all training notebooks, and
// formats those of the others, which may show what was trained.
func syncAll(clone string) (training, others []string, err error) {
	files, err := ipynb.List(clone)
	if err != nil {
		return nil, nil, err
	}
	main, err := ipynb.Load(filepath.Join(clone, ipynb.Main))
	if err != nil {
		return nil, nil, err
	}
	for _, file := range files {
		path := filepath.Join(clone, file)
		n, err := ipynb.Load(path)
		if err != nil {
			return nil, nil, err
		}
		if n.Trains() {
			n = n.Sync(main)
			training = append(training, file)
		} else {
			n.FormatCells()
			others = append(others, file)
		}
		if err := n.Save(path); err != nil {
			return nil, nil, err
		}
	}
	return training, others, nil
}

// refresh runs every notebook and stores its outputs in it. They run in a folder
// that looks like a clone in which nothing has been done yet, so that neither
// somebody's photographs nor his experiments are part of it. Notebooks that do
// not train show what the others have trained: where one of those has failed,
// they are not run, and keep their outputs. With only, the path of a notebook, it
// is that one alone: one that compares or restores then finds nothing trained.
func refresh(ctx context.Context, s *setup.Clone, only string) error {
	training, others, err := syncAll(s.Dir)
	if err != nil {
		return err
	}
	if only != "" {
		file := filepath.ToSlash(filepath.Clean(only))
		all := slices.Concat(training, others)
		if !slices.Contains(all, file) {
			return fmt.Errorf("%s is no notebook of this clone; there are %s", only, strings.Join(all, ", "))
		}
		training, others = []string{file}, nil
	}
	scratch, remove, err := durable.Scratch(filepath.Join(s.Dir, "build"), "refresh")
	if err != nil {
		return err
	}
	defer remove()
	goMod, err := os.ReadFile(filepath.Join(s.Dir, "go.mod"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(scratch, "go.mod"), goMod, 0o666); err != nil {
		return err
	}
	var failed error
	for i, file := range slices.Concat(training, others) {
		if i == len(training) && failed != nil {
			fmt.Fprintf(os.Stderr, "❌ %s: not run, because there would be results missing in what they show\n", strings.Join(others, ", "))
			break
		}
		began := time.Now()
		size, err := refreshOne(ctx, s, scratch, file)
		var ended exitStatus
		if errors.As(err, &ended) { // interrupted
			return err
		}
		if err != nil {
			failed = exitStatus(1)
			fmt.Fprintf(os.Stderr, "❌ %s keeps its outputs: %v\n", file, err)
			continue
		}
		fmt.Printf("✅ %s: %d kB, %s\n", file, size/1000, time.Since(began).Round(time.Second))
	}
	return failed
}

// refreshOne runs a notebook and stores its outputs. It returns the file's size.
func refreshOne(ctx context.Context, s *setup.Clone, scratch, file string) (size int64, err error) {
	path, copied := filepath.Join(s.Dir, file), filepath.Join(scratch, file)
	n, err := ipynb.Load(path)
	if err != nil {
		return 0, err
	}
	if err := os.MkdirAll(filepath.Dir(copied), 0o777); err != nil {
		return 0, err
	}
	if err := n.Save(copied); err != nil {
		return 0, err
	}
	overrides := ""
	if n.Trains() && file != ipynb.Main {
		overrides = quick
	}
	var messages bytes.Buffer
	out := filepath.Join(scratch, "executed", filepath.Base(file))
	cmd := execution(s, copied, out)
	cmd.Dir = scratch
	cmd.Env = append(cmd.Env, notebook.ConfigVariable+"="+overrides, cell.RunDirVariable+"=")
	cmd.Stdout, cmd.Stderr = &messages, &messages
	interrupted, err := untilDone(ctx, cmd)
	if interrupted {
		return 0, exitStatus(130)
	}
	if err != nil {
		return 0, fmt.Errorf("a cell failed\n%s", setup.LastLines(messages.String(), 40))
	}
	executed, err := ipynb.Load(out)
	if err != nil {
		return 0, err
	}
	if err := n.Store(executed); err != nil {
		return 0, err
	}
	if err := n.Check(); err != nil {
		return 0, err
	}
	if err := n.Save(path); err != nil {
		return 0, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
