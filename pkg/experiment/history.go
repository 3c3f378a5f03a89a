package experiment

import (
	"errors"
	"fmt"
	"io/fs"

	"rekindle/pkg/durable"
	"rekindle/pkg/history"
)

// History reads history.json; one that does not exist yet is empty.
func (e *Experiment) History() (*history.History, error) {
	h, err := history.Load(e.HistoryPath())
	if errors.Is(err, fs.ErrNotExist) {
		return &history.History{}, nil
	}
	if errors.Is(err, history.ErrInvalid) {
		err = fmt.Errorf("%w; resume training: it makes a new one from the newest checkpoint and keeps this file", err)
	}
	return h, err
}

// SaveHistory writes history.json, all or nothing. Where the file of before holds
// what h does not, because a person has edited it, or because training went back to
// an older checkpoint, it is copied first; kept is the copy's path.
func (e *Experiment) SaveHistory(h *history.History) (kept string, err error) {
	path := e.HistoryPath()
	covered, err := h.Covers(path)
	if err != nil {
		return "", fmt.Errorf("experiment: %w", err)
	}
	for n := 1; !covered && kept == ""; n++ {
		copied := fmt.Sprintf("%s.before-%d", path, n)
		switch err := durable.CopyNew(path, copied); {
		case err == nil:
			kept = copied
		case !errors.Is(err, fs.ErrExist):
			return "", fmt.Errorf("experiment: %w", err)
		}
	}
	return kept, h.Save(path)
}

// QuarantineHistory gives a history.json that no checkpoint goes with another name,
// before training begins anew in the folder, and returns its new path; "" where
// there is none, or none with an epoch in it. One that cannot be read stays.
func (e *Experiment) QuarantineHistory() (string, error) {
	h, err := e.History()
	if err == nil && h.Len() == 0 || err != nil && !errors.Is(err, history.ErrInvalid) {
		return "", err
	}
	return durable.Quarantine(e.HistoryPath(), "before")
}
