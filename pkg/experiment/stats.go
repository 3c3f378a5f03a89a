package experiment

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"rekindle/pkg/config"
	"rekindle/pkg/durable"
)

// Stats is experiment_stats.json: how an experiment came to be where it is.
type Stats struct {
	Status          string    `json:"status"` // completed, early_stopped, interrupted, limit_reached, out_of_memory or failed
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
	Engine    string          `json:"engine,omitempty"`  // that computed it, e.g. "xla:cpu"
	Changes   []config.Change `json:"changes,omitempty"` // keys changed before it
}

// ErrInvalidStats is returned, wrapped with the reason, for statistics that are
// damaged: [Experiment.SaveStats] keeps the file under another name.
var ErrInvalidStats = errors.New("training keeps it under another name and writes a new one")

// LoadStats reads an experiment's statistics; where there are none yet they are empty.
func (e *Experiment) LoadStats() (Stats, error) {
	var s Stats
	raw, err := durable.ReadText(e.StatsPath())
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("experiment: %w", err)
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return Stats{}, fmt.Errorf("experiment: %s is damaged (%w); %w", e.StatsPath(), err, ErrInvalidStats)
	}
	return s, nil
}

// SaveStats writes an experiment's statistics, all or nothing. A damaged file of
// the name is set aside first: its sessions may still be legible to a person. One
// that cannot be read may be whole, and is not replaced.
func (e *Experiment) SaveStats(s Stats) error {
	_, err := e.LoadStats()
	if errors.Is(err, ErrInvalidStats) {
		_, err = durable.Quarantine(e.StatsPath(), durable.Invalid)
	}
	if err != nil {
		return err
	}
	if err := durable.WriteJSON(e.StatsPath(), s); err != nil {
		return fmt.Errorf("experiment: %w", err)
	}
	return nil
}

// Applied returns the settings that the newest session used, from those that the
// experiment began with. A change that does not fit any more is left out.
func (s Stats) Applied(began config.Config) config.Config {
	for _, session := range s.Sessions {
		for _, c := range session.Changes {
			if now, err := began.Apply([]config.Entry{{Key: c.Key, Value: json.RawMessage(c.New)}}); err == nil {
				began = now
			}
		}
	}
	return began
}
