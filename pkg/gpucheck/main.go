// Command gpucheck finds out in a few minutes how Rekindle does on a GPU: right
// numbers, resume, mixed precision, running out of memory, sharing, and speed
// beside PyTorch. Every check is a process of its own with a time limit, so
// that one that crashes or hangs leaves the others alone.
//
//	go build -o gpucheck ./pkg/gpucheck      # where Go is; needs gcc
//	./gpucheck -out gpu.md                   # on the machine with the GPU
//	./gpucheck -device go -tiny              # rehearsal on a computer without one
//
// The engine is found as anywhere in Rekindle; GOMLX_BACKEND names another, such
// as xla:/path/to/xla_cuda_plugin.so. See docs/gpu.md.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"rekindle/pkg/durable"
)

// setting is what every check is told.
type setting struct {
	device, python string
	tiny           bool
}

// check is one question to the machine. It prints what it sees and returns one
// line that answers.
type check struct {
	name    string
	asks    string
	limit   time.Duration
	options string   // added to GOMLX_BACKEND where the engine is XLA
	flags   []string // added to XLA_FLAGS
	run     func(ctx context.Context, s setting) (answer string, err error)
}

const deterministic = "--xla_gpu_deterministic_ops=true"

var checks = []check{
	{name: "engine", asks: "Which engine and which device?", limit: 60 * time.Second, run: whichEngine},
	{name: "numbers", asks: "Do all networks train like on the Go engine?", limit: 4 * time.Minute, run: sameNumbers},
	{name: "numbers-tf32-off", asks: "The same without TF32", limit: 4 * time.Minute, options: "tf32=false", run: sameNumbers},
	{name: "resume", asks: "Is an interrupted run the straight run, bit for bit?", limit: 2 * time.Minute, run: interrupted},
	{name: "resume-deterministic", asks: "The same with " + deterministic, limit: 2 * time.Minute, flags: []string{deterministic}, run: interrupted},
	{name: "memory", asks: "Is nothing lost when the device runs out of memory?", limit: 2 * time.Minute, options: "preallocate=true,memory_fraction=0.03", run: outOfMemory},
	{name: "mixed", asks: "Does UseAMP cost quality?", limit: 3 * time.Minute, run: mixedQuality},
	{name: "sharing", asks: "Do two runs fit on one device?", limit: 2 * time.Minute, run: sharing},
	{name: "speed-16", asks: "Images a second: features 64, patch 128, batch 16", limit: 3 * time.Minute, run: speed(16)},
	{name: "speed-64", asks: "Images a second: features 64, patch 128, batch 64", limit: 3 * time.Minute, run: speed(64)},
	{name: "recomputing", asks: "What does GradientCheckpointing save and cost, batch 64?", limit: 2 * time.Minute, run: recomputing},
	{name: "again", asks: "How long is the first step in a second process?", limit: 3 * time.Minute, run: again},
	{name: "pytorch", asks: "Does this PyTorch open our checkpoint, weights_only=True?", limit: time.Minute, run: opensInPyTorch},
}

func main() {
	var s setting
	flag.StringVar(&s.device, "device", "auto", "Device of the configuration")
	flag.StringVar(&s.python, "python", "python3", "the Python that has PyTorch")
	flag.BoolVar(&s.tiny, "tiny", false, "the smallest sizes, to see that the checks themselves work")
	one := flag.String("check", "", "run this check only, in this process")
	out := flag.String("out", "", "file for the table, as Markdown")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *one != "" {
		os.Exit(runHere(ctx, *one, s))
	}
	rows := runAll(ctx, s)
	text := report(rows)
	fmt.Println("\n" + text)
	if *out != "" {
		if err := durable.WriteFile(*out, []byte(text)); err != nil {
			fmt.Fprintln(os.Stderr, "❌", err)
			os.Exit(1)
		}
	}
	for _, r := range rows {
		if !r.OK {
			os.Exit(1)
		}
	}
}

// result is what a check's process prints last.
type result struct {
	Name    string  `json:"name"`
	Asks    string  `json:"asks"`
	OK      bool    `json:"ok"`
	Answer  string  `json:"answer"`
	Seconds float64 `json:"seconds"`
}

const mark = "RESULT "

// runHere answers one check in this process and returns its exit status.
func runHere(ctx context.Context, name string, s setting) int {
	for _, c := range append(checks, check{name: "first-step", run: firstStep}) {
		if c.name != name {
			continue
		}
		r := result{Name: c.name, Asks: c.asks}
		answer, err := c.run(ctx, s)
		if r.OK, r.Answer = err == nil, answer; err != nil {
			r.Answer = strings.TrimSpace(answer + " " + firstLine(err.Error()))
		}
		raw, err := json.Marshal(r)
		if err != nil {
			panic(err) // strings and numbers
		}
		fmt.Println(mark + string(raw))
		return 0
	}
	fmt.Fprintf(os.Stderr, "❌ there is no check %q\n", name)
	return 2
}

func runAll(ctx context.Context, s setting) []result {
	var rows []result
	for _, c := range checks {
		if ctx.Err() != nil {
			break
		}
		fmt.Printf("\n== %s: %s\n", c.name, c.asks)
		r := runApart(ctx, c, s)
		sign := "✅"
		if !r.OK {
			sign = "❌"
		}
		fmt.Printf("%s %s (%.0f s)\n", sign, r.Answer, r.Seconds)
		rows = append(rows, r)
	}
	return rows
}

// runApart runs a check in a process of its own.
func runApart(ctx context.Context, c check, s setting) result {
	ctx, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return result{c.name, c.asks, false, err.Error(), 0}
	}
	args := []string{"-check", c.name, "-device", s.device, "-python", s.python}
	if s.tiny {
		args = append(args, "-tiny")
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), environment(c, s, os.Getenv)...)
	cmd.Cancel = func() error { return cmd.Process.Kill() }
	cmd.WaitDelay = 5 * time.Second
	cmd.Stderr = os.Stderr
	began := time.Now()
	raw, err := cmd.Output()
	seconds := time.Since(began).Seconds()
	for line := range strings.Lines(string(raw)) {
		if text, ok := strings.CutPrefix(line, mark); ok {
			var r result
			if err := json.Unmarshal([]byte(text), &r); err == nil {
				r.Seconds = seconds
				return r
			}
		} else {
			fmt.Print("   ", line)
		}
	}
	why := "it ended without an answer"
	if ctx.Err() != nil {
		why = fmt.Sprintf("no answer within %.0f s", c.limit.Seconds())
	} else if err != nil {
		why += ": " + err.Error()
	}
	return result{c.name, c.asks, false, why, seconds}
}

// environment is what a check's process gets on top of ours.
func environment(c check, s setting, get func(string) string) []string {
	var env []string
	if engine := get("GOMLX_BACKEND"); c.options != "" && s.device != "go" {
		if engine == "" {
			engine = "xla:cuda"
		}
		env = append(env, "GOMLX_BACKEND="+engine+","+c.options)
	}
	if len(c.flags) > 0 {
		env = append(env, "XLA_FLAGS="+strings.TrimSpace(get("XLA_FLAGS")+" "+strings.Join(c.flags, " ")))
	}
	return env
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// report is the table for docs/benchmarks.md.
func report(rows []result) string {
	var b strings.Builder
	device := "unknown device"
	for _, r := range rows {
		if r.Name == "engine" && r.OK {
			device = r.Answer
		}
	}
	fmt.Fprintf(&b, "Measured on %s: %s.\n\n| Question | | Answer | Seconds |\n|---|---|---|---:|\n", time.Now().Format("2 January 2006"), device)
	for _, r := range rows {
		sign := "yes"
		if !r.OK {
			sign = "**no**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %.0f |\n", r.Asks, sign, strings.ReplaceAll(r.Answer, "|", "/"), r.Seconds)
	}
	return b.String()
}
