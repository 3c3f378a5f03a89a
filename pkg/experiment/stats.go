package experiment

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"rekindle/pkg/config"
	"rekindle/pkg/durable"
)

// Stats is experiment_stats.json: how an experiment came to be where it is.
type Stats struct {
	Status          string    `json:"status"` // completed, early_stopped, interrupted, out_of_memory or failed
	EpochsCompleted int       `json:"epochs_completed"`
	BestEpoch       int       `json:"best_epoch"`          // 0: not validated yet
	BestValLoss     *float64  `json:"best_val_loss"`       // null: not validated yet
	TotalSeconds    float64   `json:"total_training_time"` // of all epochs completed
	Parent          string    `json:"parent,omitempty"`    // the experiment this one was forked from
	Sessions        []Session `json:"sessions"`
}

// Session is one call of training on an experiment.
type Session struct {
	Started   time.Time       `json:"started"`
	Ended     time.Time       `json:"ended"`
	FromEpoch int             `json:"from_epoch"` // the first one trained, 1-based
	ToEpoch   int             `json:"to_epoch"`   // the last one completed
	Status    string          `json:"status"`
	Changes   []config.Change `json:"changes,omitempty"` // keys changed before it
}

// LoadStats reads an experiment's statistics; where there are none yet they are empty.
func (e *Experiment) LoadStats() (Stats, error) {
	var s Stats
	raw, err := os.ReadFile(e.StatsPath())
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("experiment: %w", err)
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, fmt.Errorf("experiment: %s cannot be read: %w", e.StatsPath(), err)
	}
	return s, nil
}

// SaveStats writes an experiment's statistics, all or nothing.
func (e *Experiment) SaveStats(s Stats) error {
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("experiment: %w", err)
	}
	if err := durable.WriteFile(e.StatsPath(), append(raw, '\n')); err != nil {
		return fmt.Errorf("experiment: %w", err)
	}
	return nil
}
