package experiment

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rekindle/pkg/config"
	"rekindle/pkg/durable"
)

// mark is what config.json says besides the settings: which experiment this is.
// In a copy of the folder it is still the name of the original.
type mark struct {
	Experiment string `json:"experiment"`
	Maker
}

// Maker says which kernel made an experiment, so that a folder in which nothing
// was trained can be used again when its kernel is gone, or by that kernel itself.
type Maker struct {
	Kernel string `json:"kernel,omitempty"` // the kernel's own folder, which goes with it; "" for programs that are no kernel
	Host   string `json:"host,omitempty"`
}

// MakerIn is the kernel with this folder on this machine.
func MakerIn(kernel string) Maker {
	if kernel == "" {
		return Maker{}
	}
	host, _ := os.Hostname()
	return Maker{kernel, host}
}

// sign writes config.json, with the name that the experiment is to have.
func (e *Experiment) sign(name string, cfg config.Config, maker Maker) error {
	if err := durable.WriteJSON(e.ConfigPath(), struct {
		Mark mark `json:"rekindle"`
		config.Config
	}{mark{name, maker}, cfg}); err != nil {
		return fmt.Errorf("experiment: %w", err)
	}
	return nil
}

// origin reads who an experiment's files say it is. Experiments from before there
// was a mark have only the name that ends the folder's.
func (e *Experiment) origin() (m mark, ours bool) {
	var file struct {
		Mark      *mark   `json:"rekindle"`
		OOMPolicy *string `json:"oom_policy"` // in the files of all releases, and of nobody else
		Name      string  `json:"experiment_name"`
	}
	if raw, err := durable.ReadText(e.ConfigPath()); err == nil && json.Unmarshal(raw, &file) == nil {
		switch {
		case file.Mark != nil:
			return *file.Mark, true
		case file.OOMPolicy != nil:
			if stamped.MatchString(e.Name()) {
				m.Experiment = e.Name()[:len(stampLayout)]
				if file.Name != "" {
					m.Experiment += "_" + file.Name
				}
			}
			return m, true
		}
	}
	// A damaged config.json does not hide what was trained.
	stats, err := e.LoadStats()
	return m, err == nil && (len(stats.Sessions) > 0 || stats.Parent != "")
}

// copyOf names the experiment that this folder is a copy of, "" if it is none: the
// original must lie beside it, or else somebody has given it another name.
func (e *Experiment) copyOf() string {
	m, _ := e.origin()
	if m.Experiment == "" || m.Experiment == e.Name() || m.Experiment != filepath.Base(m.Experiment) {
		return ""
	}
	if info, err := os.Stat(filepath.Join(filepath.Dir(e.Dir), m.Experiment)); err != nil || !info.IsDir() {
		return ""
	}
	return m.Experiment
}

// HasCheckpoint reports whether there is a State to go on with, as far as names tell.
func (e *Experiment) HasCheckpoint() bool {
	files, err := os.ReadDir(e.CheckpointsDir())
	if err != nil { // a link to a disk that is not mounted is not known to be empty
		_, err := os.Lstat(e.CheckpointsDir())
		return err == nil
	}
	for _, f := range files {
		if strings.HasSuffix(f.Name(), ".pth") && !strings.HasPrefix(f.Name(), ".") {
			if info, err := f.Info(); err == nil && info.Size() > 0 {
				return true
			}
		}
	}
	return false
}

// unused reports whether nothing was ever trained in the folder and nobody can be
// about to, so that maker may use it.
func (e *Experiment) unused(maker Maker) bool {
	m, ours := e.origin()
	if !ours || m.Kernel == "" || m.Host != maker.Host || e.copyOf() != "" {
		return false
	}
	if m.Kernel != maker.Kernel {
		if _, err := os.Stat(m.Kernel); !errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}
	files, err := os.ReadDir(e.CheckpointsDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) || len(files) > 0 {
		return false
	}
	if _, err := os.Stat(e.HistoryPath()); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	stats, err := e.LoadStats()
	if err != nil || len(stats.Sessions) > 0 || stats.Parent != "" {
		return false
	}
	lock, err := e.Lock()
	if err != nil {
		return false
	}
	return lock.Release() == nil
}

// Begin is [Create] for a kernel. Where there is a folder of the same ExperimentName
// in which nothing was ever trained, made by this kernel or by one that is gone, it
// becomes the new experiment; reused is the name that it had.
func Begin(cfg config.Config, now time.Time, maker Maker) (e *Experiment, reused string, err error) {
	var free *Experiment
	if maker != (Maker{}) {
		parent, err := Folder(cfg)
		if err != nil {
			return nil, "", err
		}
		names, err := List(cfg)
		if err != nil {
			return nil, "", err
		}
		for _, name := range names {
			if old := (&Experiment{filepath.Join(parent, name)}); name[len(stampLayout):] == suffix(cfg) && old.unused(maker) {
				free, reused = old, name
				break
			}
		}
	}
	e, err = createFrom(cfg, now, maker, free)
	return e, reused, err
}
