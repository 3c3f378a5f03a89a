// Command gpucheck finds out in ten minutes how Rekindle does on a GPU: right
// numbers, running out of memory, speed beside PyTorch, resume, mixed precision,
// sharing. Every check is a process of its own with a time limit, so that one
// that crashes or hangs leaves the others alone, and the table is written after
// each of them. What matters most comes first; what the budget (-budget) does
// not reach is "not run".
//
//	go build -o gpucheck ./pkg/cmd/gpucheck      # where Go is; needs gcc
//	./gpucheck -out gpu.md                   # on the machine with the GPU
//	./gpucheck -device go -tiny              # rehearsal on a computer without one
//
// The engine is found as anywhere in Rekindle; GOMLX_BACKEND names another, such
// as xla:/path/to/xla_cuda_plugin.so. See docs/gpu.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"rekindle/pkg/cmd/internal/measure"
	"rekindle/pkg/durable"
	"rekindle/pkg/machine"
)

// setting is what every check is told.
type setting struct {
	device, python string
	tiny           bool
	gpu            int64 // bytes of the GPU's memory; 0: unknown
}

// check is one question to the machine. It prints what it sees and returns one
// line that answers.
type check struct {
	name    string
	asks    string
	limit   time.Duration
	options string   // added to GOMLX_BACKEND where the engine is XLA
	pool    int64    // bytes of the GPU's memory that the check may have; 0: all
	flags   []string // added to XLA_FLAGS
	run     func(ctx context.Context, s setting) (answer string, err error)
}

const logLevel = "TF_CPP_MIN_LOG_LEVEL"

const deterministic = "--xla_gpu_deterministic_ops=true"

// The pool of the memory check: a batch of 64 at 32 features wants about twice
// as much, by the maps that the way back needs, so that halving it once or twice
// is enough. Each size is compiled anew.
const smallPool = 1200 * machine.MB

var checks = []check{
	{name: "engine", asks: "Which engine and which device?", limit: time.Minute, run: whichEngine},
	{name: "convolution", asks: "Does one convolution with its gradients work, in float32 and in bfloat16?", limit: 2 * time.Minute, run: convolutions},
	{name: "numbers", asks: "Do all networks train like on the Go engine?", limit: 3 * time.Minute, run: sameNumbers},
	{name: "memory", asks: "Is nothing lost when the device runs out of memory?", limit: 3 * time.Minute, pool: smallPool, run: outOfMemory},
	{name: "speed-16", asks: "Images a second: features 64, patch 128, batch 16", limit: 3 * time.Minute, run: speed(16)},
	{name: "speed-64", asks: "Images a second: features 64, patch 128, batch 64", limit: 3 * time.Minute, run: speed(64)},
	{name: "resume", asks: "Is an interrupted run the straight run, bit for bit?", limit: 2 * time.Minute, run: interrupted},
	{name: "mixed", asks: "Does UseAMP cost quality?", limit: 3 * time.Minute, run: mixedQuality},
	{name: "again", asks: "How long is the first step in a second process?", limit: 3 * time.Minute, run: again},
	{name: "recomputing", asks: "What does GradientCheckpointing save and cost, batch 64?", limit: 2 * time.Minute, run: recomputing},
	{name: "divided", asks: "Does a run go the same with batches divided over all devices?", limit: 2 * time.Minute, run: divided},
	{name: "sharing", asks: "Do two runs fit on one device?", limit: 2 * time.Minute, run: sharing},
	{name: "numbers-tf32-off", asks: "The networks again, without TF32", limit: 3 * time.Minute, options: "tf32=false", run: sameNumbers},
	{name: "resume-deterministic", asks: "The interrupted run again, with " + deterministic, limit: 2 * time.Minute, flags: []string{deterministic}, run: interrupted},
	{name: "pytorch", asks: "Does this PyTorch open our checkpoint, weights_only=True?", limit: time.Minute, run: opensInPyTorch},
}

func main() {
	var s setting
	flag.StringVar(&s.device, "device", "auto", "Device of the configuration")
	flag.StringVar(&s.python, "python", "python3", "the Python that has PyTorch")
	flag.BoolVar(&s.tiny, "tiny", false, "the smallest sizes, to see that the checks themselves work")
	one := flag.String("check", "", "run this check only, in this process")
	once := flag.String("once", "", "measure one thing, such as \"auto 10 0 step 16 8 64\" (the program calls itself with it)")
	out := flag.String("out", "", "file for the table, as Markdown, written after each check")
	budget := flag.Duration("budget", 9*time.Minute+30*time.Second, "time for all checks together; those that it does not reach are not run")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *one != "" {
		os.Exit(runHere(ctx, *one, s))
	}
	if *once != "" {
		if err := measure.Once(ctx, *once); err != nil {
			fmt.Fprintln(os.Stderr, "❌", err)
			os.Exit(1)
		}
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, *budget, fmt.Errorf("the budget of %v is used up", *budget))
	defer cancel()
	if err := runAndReport(ctx, s, *out); err != nil {
		fmt.Fprintln(os.Stderr, "❌", err)
		os.Exit(1)
	}
}

func runAndReport(ctx context.Context, s setting, out string) error {
	dir, err := os.MkdirTemp("", "rekindle-gpucheck-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	os.Setenv("TMPDIR", dir) // a check that is killed removes nothing
	// What an earlier run has left must not shorten a first step.
	os.Setenv("REKINDLE_CACHE_DIR", filepath.Join(dir, "cache"))
	// XLA's log has the causes of what fails; go-xla has turned it off when this program started.
	if os.Getenv(logLevel) == "3" {
		os.Setenv(logLevel, "1") // warnings and errors
	}
	if gpus := machine.GPUMemory(); len(gpus) > 0 {
		s.gpu = gpus[0].Total
	}
	rows, err := runAll(ctx, checks, s, func(rows []result) error {
		if out == "" {
			return nil
		}
		if err := durable.WriteFile(out, []byte(report(rows, s))); err != nil {
			return fmt.Errorf("-out %s cannot be written, name a file elsewhere: %w", out, err)
		}
		return nil
	})
	if rows == nil {
		return err
	}
	fmt.Println("\n" + report(rows, s))
	for _, r := range rows {
		if err == nil && !r.OK {
			err = errors.New("not every answer is yes; see the table")
		}
	}
	return err
}

// result is what a check's process prints last.
type result struct {
	Name    string  `json:"name"`
	Asks    string  `json:"asks"`
	OK      bool    `json:"ok"`
	Answer  string  `json:"answer"`
	Seconds float64 `json:"seconds"`
	NotRun  bool    `json:"-"` // or not to its end, through no fault of its own
}

// verdict is the answer in a word.
func (r result) verdict() string {
	switch {
	case r.NotRun:
		return "not run"
	case r.OK:
		return "yes"
	}
	return "**no**"
}

const mark = "RESULT "

// runHere answers one check in this process and returns its exit status.
func runHere(ctx context.Context, name string, s setting) int {
	for _, c := range checks {
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

// runAll asks one check after the other until ctx ends. save gets the whole
// table before the first, so that a name that cannot be written to is known at
// once, and after each.
func runAll(ctx context.Context, list []check, s setting, save func([]result) error) ([]result, error) {
	rows := make([]result, len(list))
	for i, c := range list {
		rows[i] = result{Name: c.name, Asks: c.asks, NotRun: true}
	}
	if err := save(rows); err != nil {
		return nil, err
	}
	var unsaved error
	for i, c := range list {
		if ctx.Err() != nil {
			rows[i].Answer = context.Cause(ctx).Error()
		} else {
			fmt.Printf("\n== %s: %s\n", c.name, c.asks)
			rows[i] = runApart(ctx, c, s)
			fmt.Printf("%s: %s (%.0f s)\n", rows[i].verdict(), rows[i].Answer, rows[i].Seconds)
		}
		unsaved = save(rows)
	}
	return rows, unsaved
}

// runApart runs a check in a process of its own, as long as its limit and all
// make possible.
func runApart(all context.Context, c check, s setting) result {
	ctx, cancel := context.WithTimeout(all, c.limit)
	defer cancel()
	r := result{Name: c.name, Asks: c.asks}
	self, err := os.Executable()
	if err != nil {
		r.Answer = err.Error()
		return r
	}
	args := []string{"-check", c.name, "-device", s.device, "-python", s.python}
	if s.tiny {
		args = append(args, "-tiny")
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), environment(c, s, os.Getenv)...)
	// What the check has started itself must not disturb the next one.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	var errors lastError
	cmd.Stderr = io.MultiWriter(os.Stderr, &errors)
	began := time.Now()
	raw, err := cmd.Output()
	r.Seconds = time.Since(began).Seconds()
	for line := range strings.Lines(string(raw)) {
		text, ok := strings.CutPrefix(line, mark)
		if !ok {
			fmt.Print("   ", line)
			continue
		}
		var answered result
		if json.Unmarshal([]byte(text), &answered) == nil {
			answered.Seconds = r.Seconds
			if !answered.OK && errors.text != "" {
				answered.Answer += "; XLA's log: " + errors.text
			}
			return answered
		}
	}
	switch {
	case all.Err() != nil:
		r.NotRun, r.Answer = true, fmt.Sprintf("stopped after %.0f s: %v", r.Seconds, context.Cause(all))
	case ctx.Err() != nil:
		r.Answer = fmt.Sprintf("no answer within %.0f s", c.limit.Seconds())
	case err != nil:
		r.Answer = "it ended without an answer: " + err.Error()
		if errors.text != "" {
			r.Answer += "; XLA's log: " + errors.text
		}
	default:
		r.Answer = "it ended without an answer"
	}
	return r
}

// lastError remembers the last error that XLA's log has shown: such a line begins
// with E or F, for fatal, and the date, as in "E1127 23:40:37.1 1 dnn.cc:45] text".
type lastError struct{ text, rest string }

var errorLine = regexp.MustCompile(`^[EF]\d{4} [^\]]*\] (.+)`)

func (l *lastError) Write(p []byte) (int, error) {
	l.rest += string(p)
	for {
		line, rest, ended := strings.Cut(l.rest, "\n")
		if !ended {
			return len(p), nil
		}
		if found := errorLine.FindStringSubmatch(line); found != nil {
			l.text = found[1]
		}
		l.rest = rest
	}
}

// environment is what a check's process gets on top of ours.
func environment(c check, s setting, get func(string) string) []string {
	var env []string
	options := c.options
	if c.pool > 0 {
		share := 0.015 // of 80 GB
		if s.gpu > 0 {
			share = min(0.9, float64(c.pool)/float64(s.gpu))
		}
		options = fmt.Sprintf("preallocate=true,memory_fraction=%.4f", share)
	}
	if engine := get("GOMLX_BACKEND"); options != "" && s.device != "go" {
		if engine == "" {
			engine = "xla:cuda"
		}
		env = append(env, "GOMLX_BACKEND="+engine+","+options)
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
func report(rows []result, s setting) string {
	var b strings.Builder
	device := "unknown device"
	for _, r := range rows {
		if r.Name == "engine" && r.OK {
			device = r.Answer
		}
	}
	fmt.Fprintf(&b, "Measured on %s: %s.\n", time.Now().Format("2 January 2006"), device)
	if s.tiny {
		b.WriteString("A rehearsal at the smallest sizes (-tiny): the figures say nothing about speed.\n")
	}
	var lines [][]string
	for _, r := range rows {
		lines = append(lines, []string{r.Asks, r.verdict(), r.Answer, fmt.Sprintf("%.0f", r.Seconds)})
	}
	return b.String() + "\n" + measure.Table([]string{"Question", "", "Answer", "Seconds:"}, lines)
}
