package main

import (
	"errors"
	"io/fs"
	"slices"

	"rekindle/pkg/durable"
	"rekindle/pkg/score"
)

// row is what one method was measured to do at several levels of noise.
type row struct {
	Name    string    `json:"name"`
	Kind    string    `json:"kind"` // "ours", "theirs" (networks), "peer"
	About   string    `json:"about,omitempty"`
	Set     string    `json:"set"`
	Grey    bool      `json:"grey,omitempty"`
	Clip    bool      `json:"clip,omitempty"`
	Every   int       `json:"every"`
	Numbers []numbers `json:"numbers"`
}

// numbers of one level: means over the pictures.
type numbers struct {
	Sigma    float64 `json:"sigma"`
	Pictures int     `json:"pictures"`
	PSNR     float64 `json:"psnr"`
	SSIM     float64 `json:"ssim"`
	Seconds  float64 `json:"seconds"`     // a megapixel, by the clock
	CPU      float64 `json:"cpu_seconds"` // a megapixel, of all processors together
}

func (r row) same(o row) bool {
	return r.Name == o.Name && r.Set == o.Set && r.Grey == o.Grey && r.Clip == o.Clip && r.Every == o.Every
}

// numbersOf sums up; seconds is what each picture took, nil: as measured. A
// network's first picture of each size is compiled for, so the median counts.
func numbersOf(r *score.Result) numbers {
	n := numbers{Sigma: r.Sigma, Pictures: len(r.Pictures), PSNR: float64(r.Mean.PSNR), SSIM: float64(r.Mean.SSIM)}
	var clock, cpu []float64
	for _, p := range r.Pictures {
		megapixels := float64(p.W*p.H) / 1e6
		clock, cpu = append(clock, p.Seconds/megapixels), append(cpu, p.CPU/megapixels)
	}
	n.Seconds, n.CPU = median(clock), median(cpu)
	return n
}

func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	if len(list) == 0 {
		return 0
	}
	return (list[(len(list)-1)/2] + list[len(list)/2]) / 2
}

// load reads the rows that were measured.
func load(path string) (rows []row, err error) {
	if err := durable.ReadJSON(path, &rows); !errors.Is(err, fs.ErrNotExist) {
		return rows, err
	}
	return nil, nil
}

// put adds what was measured to the file, in the place of an older measurement of
// the same level.
func put(path string, r row) error {
	rows, err := load(path)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(rows, r.same)
	if i < 0 {
		rows, i = append(rows, row{}), len(rows)
	} else {
		for _, n := range rows[i].Numbers {
			if !slices.ContainsFunc(r.Numbers, func(m numbers) bool { return m.Sigma == n.Sigma }) {
				r.Numbers = append(r.Numbers, n)
			}
		}
	}
	slices.SortFunc(r.Numbers, func(a, b numbers) int { return int(a.Sigma - b.Sigma) })
	rows[i] = r
	return durable.WriteJSON(path, rows)
}
