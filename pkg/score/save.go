package score

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"rekindle/pkg/durable"
	"rekindle/pkg/experiment"
)

// Report is what [Report.Save] writes: the results of one network.
type Report struct {
	Network string    `json:"network"` // in words
	Weights string    `json:"weights"` // their file
	Engine  string    `json:"engine"`  // that computed
	Results []*Result `json:"results"` // by noise level
}

// Paths are the two files that [Report.Save] writes for a name with or without
// an ending. A folder that is missing is an error.
func Paths(name string) (asJSON, asCSV string, err error) {
	if ext := filepath.Ext(name); ext == ".json" || ext == ".csv" {
		name = strings.TrimSuffix(name, ext)
	}
	dir, base := filepath.Split(name)
	if base == "" {
		return "", "", fmt.Errorf("score: %q (OUT) names no file; name one such as scores.json", name)
	}
	if info, err := os.Stat(filepath.Join(dir, ".")); err != nil || !info.IsDir() {
		return "", "", fmt.Errorf("score: there is no folder %s for the results (OUT); make it first", filepath.Clean(dir))
	}
	return name + ".json", name + ".csv", nil
}

// Save writes the report as JSON and its pictures as a table (CSV), each file all
// or nothing. JSON has null where a number is not finite, the table is empty there.
func (r Report) Save(name string) error {
	asJSON, asCSV, err := Paths(name)
	if err != nil {
		return err
	}
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("score: %w", err)
	}
	_ = durable.Sweep(filepath.Dir(asJSON)) // of what a killed call left; whether anything can be written there shows below
	for _, f := range []struct {
		path string
		data []byte
	}{{asCSV, r.table()}, {asJSON, append(raw, '\n')}} {
		if err := durable.WriteFile(f.path, f.data); err != nil {
			return fmt.Errorf("score: %w", err)
		}
	}
	return nil
}

// table has a line for each picture and level, and one for the mean of each level.
func (r Report) table() []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Write([]string{"sigma", "picture", "width", "height", "planes", "psnr", "ssim", "noisy_psnr", "noisy_ssim", "seconds"})
	number := func(n experiment.Number) string {
		raw, _ := n.MarshalJSON() // null where it is not finite
		return strings.TrimSuffix(string(raw), "null")
	}
	for _, result := range r.Results {
		line := func(name, width, height, planes string, s Scores, seconds string) {
			w.Write([]string{strconv.FormatFloat(result.Sigma, 'g', -1, 64), name, width, height, planes, number(s.PSNR), number(s.SSIM), number(s.NoisyPSNR), number(s.NoisySSIM), seconds})
		}
		for _, p := range result.Pictures {
			planes := "3"
			if p.Grey {
				planes = "1"
			}
			line(p.Name, strconv.Itoa(p.W), strconv.Itoa(p.H), planes, p.Scores, strconv.FormatFloat(p.Seconds, 'f', 3, 64))
		}
		line("mean", "", "", "", result.Mean, "")
	}
	w.Flush()
	return b.Bytes()
}
