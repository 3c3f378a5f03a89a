package experiment

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"

	"rekindle/pkg/durable"
)

// Scores of one picture or their mean; a number that is not finite is null in JSON.
type Scores struct {
	PSNR    Number `json:"psnr"`     // dB; 100 where the pictures are equal
	SSIM    Number `json:"ssim"`     // Gaussian window, as published
	SSIMBox Number `json:"ssim_box"` // the Python original's: a box for a window, black beyond the borders
	MAE     Number `json:"mae"`      // of values in [0, 1]
	MSE     Number `json:"mse"`      // the same
}

// Number is a float64 whose JSON is null where it is not finite.
type Number float64

// MarshalJSON writes null for NaN and infinities.
func (n Number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON reads null as NaN.
func (n *Number) UnmarshalJSON(raw []byte) error {
	if string(raw) == "null" {
		*n = Number(math.NaN())
		return nil
	}
	return json.Unmarshal(raw, (*float64)(n))
}

// ImageScores are the scores of one file.
type ImageScores struct {
	Filename string `json:"filename"`
	Scores
}

// Summary is one set of pictures, scored against the clean ones.
type Summary struct {
	Mean     Scores        `json:"mean"` // over the pictures where a score is finite
	Std      Scores        `json:"std"`  // of the same pictures, divided by their number
	PerImage []ImageScores `json:"per_image"`
}

// Evaluation is evaluation_metrics.json: the restored pictures under the
// original's keys, and the degraded ones they were made from.
type Evaluation struct {
	NImages      int     `json:"n_images"`
	Epoch        int     `json:"epoch"`         // of the weights
	SelfEnsemble bool    `json:"self_ensemble"` // each picture is the mean of eight restorations
	TileSize     int     `json:"tile_size"`     // pixels, as are the next two
	TileOverlap  int     `json:"tile_overlap"`
	Margin       int     `json:"margin"`              // reflected around each picture
	Seconds      float64 `json:"seconds"`             // for restoring, without scoring
	MadeFrom     string  `json:"made_from,omitempty"` // checksum of weights, pictures and options; equal: the same scores
	Summary
	Degraded Summary `json:"degraded"`
}

// Summarise computes mean and standard deviation from the single pictures.
func (s *Summary) Summarise() {
	for _, field := range []func(*Scores) *Number{
		func(s *Scores) *Number { return &s.PSNR }, func(s *Scores) *Number { return &s.SSIM },
		func(s *Scores) *Number { return &s.SSIMBox }, func(s *Scores) *Number { return &s.MAE }, func(s *Scores) *Number { return &s.MSE },
	} {
		var values []float64
		for i := range s.PerImage {
			if v := float64(*field(&s.PerImage[i].Scores)); !math.IsNaN(v) && !math.IsInf(v, 0) {
				values = append(values, v)
			}
		}
		mean, variance := math.NaN(), math.NaN()
		if len(values) > 0 {
			mean, variance = 0, 0
			for _, v := range values {
				mean += v / float64(len(values))
			}
			for _, v := range values {
				variance += (v - mean) * (v - mean) / float64(len(values))
			}
		}
		*field(&s.Mean), *field(&s.Std) = Number(mean), Number(math.Sqrt(variance))
	}
}

// Save writes evaluation_metrics.json, all or nothing.
func (e *Evaluation) Save(path string) error {
	if err := durable.WriteJSON(path, e); err != nil {
		return fmt.Errorf("experiment: %w", err)
	}
	return nil
}

// LoadEvaluation reads an evaluation_metrics.json.
func LoadEvaluation(path string) (*Evaluation, error) {
	raw, err := durable.ReadText(path)
	if err != nil {
		return nil, fmt.Errorf("experiment: %w", err)
	}
	e := &Evaluation{}
	err = json.Unmarshal(raw, e)
	if err == nil && e.NImages == 0 && len(e.PerImage) == 0 {
		err = errors.New("it has no pictures")
	}
	if err != nil {
		return nil, fmt.Errorf("experiment: %s cannot be read: %w; evaluate again to replace it", path, err)
	}
	e.Summary.mend()
	e.Degraded.mend()
	return e, nil
}

// equal is the PSNR of equal pictures, metrics.BestPSNR. Files of before have null.
const equal = 100

func (s *Summary) mend() {
	mended := false
	for i := range s.PerImage {
		if p := &s.PerImage[i]; math.IsNaN(float64(p.PSNR)) && p.MSE == 0 && p.SSIM > 0 {
			p.PSNR, mended = equal, true
		}
	}
	if mended {
		s.Summarise()
	}
}

// SaveCSV writes the scores of each picture as a table for spreadsheets, all or
// nothing. A number that is not finite is an empty field.
func (e *Evaluation) SaveCSV(path string) error {
	var text bytes.Buffer
	w := csv.NewWriter(&text)
	rows := [][]string{{"picture", "psnr_degraded", "psnr", "ssim_degraded", "ssim", "ssim_box_degraded", "ssim_box", "mae", "mse"}}
	for i, after := range e.PerImage {
		before := e.Degraded.PerImage[i]
		row := []string{after.Filename}
		for _, n := range []Number{before.PSNR, after.PSNR, before.SSIM, after.SSIM, before.SSIMBox, after.SSIMBox, after.MAE, after.MSE} {
			cell := ""
			if v := float64(n); !math.IsNaN(v) && !math.IsInf(v, 0) {
				cell = strconv.FormatFloat(v, 'g', 8, 64)
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	if err := w.WriteAll(rows); err != nil {
		return fmt.Errorf("experiment: %w", err)
	}
	if err := durable.WriteFile(path, text.Bytes()); err != nil {
		return fmt.Errorf("experiment: %w", err)
	}
	return nil
}
