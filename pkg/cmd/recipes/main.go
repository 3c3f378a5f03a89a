// Command recipes measures what a choice of a training recipe gives at equal time,
// and writes docs/recipes.md.
//
//	go run ./pkg/cmd/recipes -photos ../shared/photos/CBSD68          measures what is missing, and writes the page
//	go run ./pkg/cmd/recipes -only "unet: " -photos ../shared/photos/CBSD68
//
// A recipe may use as much processor time as another. How many steps that are is
// found before training, by timing some of its steps and some of the first recipe's
// of its group in turn; the learning rate's schedule is laid over them. So the result
// hardly depends on what else the machine does meanwhile. What was measured stays in
// testdata/measured.json.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"rekindle/pkg/durable"
)

func main() {
	l := laboratory{}
	flag.StringVar(&l.photos, "photos", "", "folder of photographs to judge by, of which every sixth is used")
	flag.StringVar(&l.learn, "photographs", "data/photographs", "what make photographs has fetched")
	only := flag.String("only", "", "measure only recipes whose names begin so")
	out := flag.String("out", "docs/recipes.md", "the page")
	kept := flag.String("measured", "pkg/cmd/recipes/testdata/measured.json", "what was measured")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, &l, *only, *kept, *out); err != nil {
		fmt.Fprintln(os.Stderr, "❌", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, l *laboratory, only, kept, out string) error {
	results := map[string]*result{}
	if err := durable.ReadJSON(kept, &results); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(kept), 0o777); err != nil { // before anything is measured
		return err
	}
	for _, r := range recipes {
		if l.photos == "" || results[r.name] != nil || !strings.HasPrefix(r.name, only) {
			continue
		}
		fmt.Printf("🧪 %s\n", r.name)
		m, err := l.measure(ctx, r)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		fmt.Printf("   %s\n", m)
		results[r.name] = m
		if err := durable.WriteJSON(kept, results); err != nil {
			return err
		}
	}
	return durable.WriteFile(out, page(results))
}

// result is what a recipe came to.
type result struct {
	Engine   string  `json:"engine"`
	Steps    int     `json:"steps"`
	StepCPU  float64 `json:"step_cpu_seconds"` // of all cores together
	Built    float64 `json:"built_in_psnr"`    // dB, the built-in validation pictures; 0: not measured
	Photos   float64 `json:"photos_psnr"`      // dB
	PhotoSim float64 `json:"photos_ssim"`
}

func (r result) String() string {
	return fmt.Sprintf("%d steps of %.0f ms of processor time: %.2f dB on photographs, %.2f dB on built-in pictures", r.Steps, r.StepCPU*1e3, r.Photos, r.Built)
}

// page is docs/recipes.md.
func page(results map[string]*result) []byte {
	var b strings.Builder
	b.WriteString(preface)
	for _, g := range groups {
		if results[first(g.name).name] == nil {
			fmt.Fprintf(&b, "\n## %s\n\nNot measured yet.\n", g.title)
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| | steps | processor time of a step | photographs, dB | difference | SSIM | %s |\n|---|---:|---:|---:|---:|---:|---:|\n", g.title, g.text, "built-in pictures, dB")
		base := results[first(g.name).name]
		for _, r := range recipes {
			m := results[r.name]
			if r.group != g.name || m == nil {
				continue
			}
			built := ""
			if m.Built != 0 {
				built = fmt.Sprintf("%.2f", m.Built)
			}
			_, short, _ := strings.Cut(r.name, ": ")
			fmt.Fprintf(&b, "| %s | %d | %.0f ms | %.2f | %+.2f | %.4f | %s |\n", short, m.Steps, m.StepCPU*1e3, m.Photos, m.Photos-base.Photos, m.PhotoSim, built)
		}
		if g.conclusion != "" {
			fmt.Fprintf(&b, "\n%s\n", g.conclusion)
		}
	}
	b.WriteString(shipped)
	return []byte(b.String())
}

// first is the recipe that others of a group are measured beside.
func first(group string) recipe {
	return recipes[slices.IndexFunc(recipes, func(r recipe) bool { return r.group == group })]
}
