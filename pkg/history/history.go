// Package history holds what was measured in each epoch of a run. It is part of a
// checkpoint, and history.json is written from it.
//
//	h, err := history.Load(experiment.HistoryPath())
//	epoch, loss, ok := h.Best()
package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"rekindle/pkg/durable"
)

// Series is one column of a history, a value for each epoch. NaN means that the
// epoch was not measured and is null in the file. Reading also accepts the NaN
// and Infinity that Python writes; only valid JSON is written.
type Series []float64

// MarshalJSON writes what is not a finite number as null.
func (s Series) MarshalJSON() ([]byte, error) {
	values := make([]*float64, len(s))
	for i := range s {
		if !math.IsNaN(s[i]) && !math.IsInf(s[i], 0) {
			values[i] = &s[i]
		}
	}
	return json.Marshal(values)
}

// UnmarshalJSON reads null as NaN.
func (s *Series) UnmarshalJSON(raw []byte) error {
	var values []*float64
	if err := json.Unmarshal(raw, &values); err != nil {
		return err
	}
	*s = make(Series, len(values))
	for i, v := range values {
		(*s)[i] = math.NaN()
		if v != nil {
			(*s)[i] = *v
		}
	}
	return nil
}

// History holds what was measured in each epoch, in columns of equal length;
// entry i belongs to epoch i+1. Losses and L1 are of values in [-1, 1], SSIM is at
// most 1, PSNR is in dB, times are in seconds, memory is in MB of 2^20 bytes.
type History struct {
	TrainLoss         Series `json:"train_loss"`
	TrainL1           Series `json:"train_l1"`
	TrainSSIM         Series `json:"train_ssim"`
	ValLoss           Series `json:"val_loss"`
	ValL1             Series `json:"val_l1"`
	ValSSIM           Series `json:"val_ssim"`
	LR                Series `json:"lr"`                  // the rate used in the epoch
	EpochTime         Series `json:"epoch_time"`          // training and validation
	InferenceTime     Series `json:"inference_time"`      // of validation
	MemoryAllocatedMB Series `json:"memory_allocated_mb"` // held by the process at the end of the epoch
	MemoryReservedMB  Series `json:"memory_reserved_mb"`  // held at most so far
	ValPSNR           Series `json:"val_psnr"`            // mean over the validation patches
}

// requiredColumns are those that a history must have to be continued.
const requiredColumns = 7

// Epoch is one row of a history, in the same units.
type Epoch struct {
	TrainLoss, TrainL1, TrainSSIM       float64
	ValLoss, ValL1, ValSSIM             float64 // NaN where not validated
	LR                                  float64
	EpochTime, InferenceTime            float64
	MemoryAllocatedMB, MemoryReservedMB float64
	ValPSNR                             float64
}

// ErrInvalid is returned, wrapped with the reason, for a history that
// cannot be continued.
var ErrInvalid = errors.New("invalid history")

func (h *History) columns() []*Series {
	return []*Series{
		&h.TrainLoss, &h.TrainL1, &h.TrainSSIM, &h.ValLoss, &h.ValL1, &h.ValSSIM, &h.LR,
		&h.EpochTime, &h.InferenceTime, &h.MemoryAllocatedMB, &h.MemoryReservedMB, &h.ValPSNR,
	}
}

// UnmarshalJSON reads a history. Columns beyond the guide's seven that are not
// there, because an earlier version did not know them, are unmeasured.
func (h *History) UnmarshalJSON(raw []byte) error {
	type columns History // without this method
	if err := json.Unmarshal(raw, (*columns)(h)); err != nil {
		return err
	}
	for _, c := range h.columns()[requiredColumns:] {
		if len(*c) == 0 {
			*c = slices.Repeat(Series{math.NaN()}, h.Len())
		}
	}
	return nil
}

// Len is the number of epochs recorded.
func (h *History) Len() int { return len(h.TrainLoss) }

// Append adds the next epoch.
func (h *History) Append(e Epoch) {
	for i, v := range []float64{
		e.TrainLoss, e.TrainL1, e.TrainSSIM, e.ValLoss, e.ValL1, e.ValSSIM, e.LR,
		e.EpochTime, e.InferenceTime, e.MemoryAllocatedMB, e.MemoryReservedMB, e.ValPSNR,
	} {
		c := h.columns()[i]
		*c = append(*c, v)
	}
}

// At returns row i, counted from 0.
func (h *History) At(i int) Epoch {
	return Epoch{
		h.TrainLoss[i], h.TrainL1[i], h.TrainSSIM[i], h.ValLoss[i], h.ValL1[i], h.ValSSIM[i], h.LR[i],
		h.EpochTime[i], h.InferenceTime[i], h.MemoryAllocatedMB[i], h.MemoryReservedMB[i], h.ValPSNR[i],
	}
}

// Resize cuts the history to n epochs, or fills it up with unmeasured ones.
func (h *History) Resize(n int) {
	for _, c := range h.columns() {
		for len(*c) < n {
			*c = append(*c, math.NaN())
		}
		*c = (*c)[:n:n]
	}
}

// Clone returns a history that shares nothing with h.
func (h *History) Clone() History {
	out := *h
	for _, c := range out.columns() {
		*c = slices.Clone(*c)
	}
	return out
}

// Best returns the 1-based epoch of the lowest validation loss; ok is false
// where no epoch was validated.
func (h *History) Best() (epoch int, valLoss float64, ok bool) {
	for i, v := range h.ValLoss {
		if !math.IsNaN(v) && (!ok || v < valLoss) {
			epoch, valLoss, ok = i+1, v, true
		}
	}
	return epoch, valLoss, ok
}

// Validated returns how many epochs have a validation loss.
func (h *History) Validated() int {
	n := 0
	for _, v := range h.ValLoss {
		if !math.IsNaN(v) {
			n++
		}
	}
	return n
}

// pythonNumbers matches what Python's json module writes for numbers that JSON
// has no word for. History files hold no strings but their keys, none of which
// contains these words.
var pythonNumbers = regexp.MustCompile(`-?\b(NaN|Infinity)\b`)

// Load reads a history.json. A missing file is fs.ErrNotExist; one that
// cannot be continued is [ErrInvalid], wrapped with the reason. Columns
// beyond the guide's seven may be missing: their values are then unmeasured.
func Load(path string) (*History, error) {
	raw, err := durable.ReadText(path)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	raw = pythonNumbers.ReplaceAll(raw, []byte("null"))
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return nil, fmt.Errorf("history: %s: %w: not JSON: %v", path, ErrInvalid, err)
	}
	var missing []string
	for i := range requiredColumns {
		if key := reflect.TypeFor[History]().Field(i).Tag.Get("json"); keys[key] == nil {
			missing = append(missing, key)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("history: %s: %w: it lacks %s", path, ErrInvalid, strings.Join(missing, ", "))
	}
	h := &History{}
	if err := json.NewDecoder(bytes.NewReader(raw)).Decode(h); err != nil {
		return nil, fmt.Errorf("history: %s: %w: %v", path, ErrInvalid, err)
	}
	n := h.Len()
	for i, c := range h.columns() {
		if len(*c) != n {
			return nil, fmt.Errorf("history: %s: %w: %s has %d epochs, train_loss %d", path, ErrInvalid,
				reflect.TypeFor[History]().Field(i).Tag.Get("json"), len(*c), n)
		}
	}
	return h, nil
}

// Covers reports whether a history.json holds nothing that h does not: no other
// number, no more epochs, and no key of a person's own.
func (h *History) Covers(path string) (bool, error) {
	raw, err := durable.ReadText(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	on, err := Load(path)
	if err != nil {
		return false, nil
	}
	var keys map[string]json.RawMessage
	if json.Unmarshal(pythonNumbers.ReplaceAll(raw, []byte("null")), &keys) != nil {
		return false, nil
	}
	known := 0
	for i, theirs := range on.columns() {
		mine := *h.columns()[i]
		if _, has := keys[reflect.TypeFor[History]().Field(i).Tag.Get("json")]; has {
			known++
		}
		if len(*theirs) > len(mine) {
			return false, nil
		}
		for j, v := range *theirs {
			if !math.IsNaN(v) && v != mine[j] && !math.IsInf(mine[j], 0) {
				return false, nil
			}
		}
	}
	return known == len(keys), nil
}

// Save writes the history, all or nothing.
func (h *History) Save(path string) error {
	if err := durable.WriteJSON(path, h); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return nil
}
