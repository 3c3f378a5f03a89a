package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"rekindle/pkg/machine"
)

// TestChecksWorkOnTheGoEngine rehearses what a lent GPU must not be the first to run.
func TestChecksWorkOnTheGoEngine(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", "")
	s := setting{device: "go", python: "/nonexistent", tiny: true}
	for _, name := range []string{"engine", "convolution", "numbers", "resume", "memory", "mixed", "recomputing", "again"} {
		t.Run(name, func(t *testing.T) {
			for _, c := range checks {
				if c.name == name {
					answer, err := c.run(t.Context(), s)
					if err != nil {
						t.Fatalf("%s: %v", answer, err)
					}
					t.Log(answer)
				}
			}
		})
	}
}

func TestSpeedWithoutPyTorchStillSaysOurs(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", "")
	answer, err := speed(16)(t.Context(), setting{device: "go", python: "/nonexistent", tiny: true})
	if err != nil || strings.Count(answer, "images/s") != 2 || strings.Count(answer, "PyTorch not measured") != 2 {
		t.Errorf("%q, %v", answer, err)
	}
}

func TestTheEnvironmentOfACheck(t *testing.T) {
	none := func(string) string { return "" }
	some := func(key string) string {
		return map[string]string{"GOMLX_BACKEND": "xla:/p.so", "XLA_FLAGS": "--a=1"}[key]
	}
	c := check{options: "tf32=false", flags: []string{deterministic}}
	for _, test := range []struct {
		s    setting
		get  func(string) string
		want string
	}{
		{setting{device: "auto"}, none, "GOMLX_BACKEND=xla:cuda,tf32=false XLA_FLAGS=" + deterministic},
		{setting{device: "auto"}, some, "GOMLX_BACKEND=xla:/p.so,tf32=false XLA_FLAGS=--a=1 " + deterministic},
		{setting{device: "go"}, none, "XLA_FLAGS=" + deterministic},
	} {
		if got := strings.Join(environment(c, test.s, test.get), " "); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
	if got := environment(check{}, setting{}, some); len(got) != 0 {
		t.Errorf("a check without wishes gets %v", got)
	}
}

func TestTheMemoryCheckHasTheSamePoolOnEveryGPU(t *testing.T) {
	none := func(string) string { return "" }
	c := check{pool: smallPool}
	for gpu, want := range map[int64]string{
		81559 * machine.MB: "0.0147", 24564 * machine.MB: "0.0489", 1000 * machine.MB: "0.9000", 0: "0.0150",
	} {
		got := strings.Join(environment(c, setting{gpu: gpu}, none), " ")
		if got != "GOMLX_BACKEND=xla:cuda,preallocate=true,memory_fraction="+want {
			t.Errorf("of %d MB: got %s, want a fraction of %s", gpu/machine.MB, got, want)
		}
	}
}

// hangs makes this test binary a check that neither answers nor ends, as one
// that waits for a process of its own, whose number is in the file that it names.
const hangs = "REKINDLE_TEST_HANGS"

// Asked for one measurement, it is the program.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-once" {
		main()
		return
	}
	if os.Getenv(hangs) != "" {
		cmd := exec.Command("sleep", "60")
		cmd.Stdout = os.Stdout
		if err := cmd.Start(); err == nil {
			os.WriteFile(os.Getenv(hangs), []byte(strconv.Itoa(cmd.Process.Pid)), 0o666)
			cmd.Wait()
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestACheckThatDiesIsReported runs this test binary as the program,
// which knows no -check and so ends without an answer.
func TestACheckThatDiesIsReported(t *testing.T) {
	r := runApart(t.Context(), check{name: "engine", asks: "?", limit: time.Minute}, setting{device: "go"})
	if r.OK || r.NotRun || !strings.Contains(r.Answer, "without an answer") {
		t.Errorf("%+v", r)
	}
	text := report([]result{r, {Name: "engine", Asks: "a", OK: true, Answer: "H | X"}, {Asks: "b", OK: true, NotRun: true}}, setting{tiny: true})
	for _, want := range []string{"H | X.", "| a | yes | H / X |", "| ? | **no** |", "| b | not run |", "rehearsal"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report has no %q:\n%s", want, text)
		}
	}
}

func TestACheckThatHangsIsEndedWithAllThatItStarted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	t.Setenv(hangs, file)
	r := runApart(t.Context(), check{limit: 300 * time.Millisecond}, setting{})
	if r.OK || r.NotRun || !strings.Contains(r.Answer, "no answer within") {
		t.Errorf("over its own limit: %+v", r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	os.Remove(file)
	started := make(chan string, 1)
	go func() {
		defer cancel()
		var pid []byte
		for ; len(pid) == 0 && ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
			pid, _ = os.ReadFile(file)
		}
		started <- string(pid)
	}()
	runApart(ctx, check{limit: time.Minute}, setting{})
	cancel()
	pid := <-started
	if pid == "" {
		t.Fatal("it started nothing")
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if line, _ := os.ReadFile("/proc/" + pid + "/cmdline"); len(line) == 0 { // gone, or all but
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("what it started lives on")
		}
	}
}

func TestWhatTheBudgetDoesNotReachIsNotRun(t *testing.T) {
	t.Setenv(hangs, filepath.Join(t.TempDir(), "pid"))
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errors.New("no time left"))
	defer cancel()
	rows, err := runAll(ctx, []check{{name: "a", limit: time.Hour}, {name: "b", limit: time.Hour}}, setting{}, func([]result) error { return nil })
	if err != nil || len(rows) != 2 || !rows[0].NotRun || !rows[1].NotRun || rows[0].OK || rows[1].OK {
		t.Fatalf("%+v, %v; want two rows that are neither yes nor no", rows, err)
	}
	if !strings.HasPrefix(rows[0].Answer, "stopped after") || !strings.HasSuffix(rows[0].Answer, "no time left") || rows[1].Answer != "no time left" {
		t.Errorf("got %q and %q, want that the first was stopped and why the second never began", rows[0].Answer, rows[1].Answer)
	}
}

func TestTheTableIsKeptAfterEachCheck(t *testing.T) {
	var tables []string
	list := []check{{name: "a", asks: "a", limit: time.Minute}, {name: "b", asks: "b", limit: time.Minute}}
	_, err := runAll(t.Context(), list, setting{}, func(rows []result) error {
		tables = append(tables, report(rows, setting{}))
		return nil
	})
	if err != nil || len(tables) != 3 {
		t.Fatalf("two checks: %d tables, %v; want one before, and one after each", len(tables), err)
	}
	if !strings.Contains(tables[1], "| a | **no** |") || !strings.Contains(tables[1], "| b | not run |") {
		t.Errorf("after the first of two checks the table is\n%s", tables[1])
	}
	full := errors.New("disk full")
	rows, err := runAll(t.Context(), list, setting{}, func([]result) error { return full })
	if !errors.Is(err, full) || rows != nil {
		t.Errorf("a table that cannot be written: %v, %+v; want that known before anything runs", err, rows)
	}
}

func TestThePluginsVersionStandsBesideThatOfTheHeader(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/gomlx/go-xla").Output()
	if err != nil {
		t.Fatal(err)
	}
	header, err := os.ReadFile(strings.TrimSpace(string(dir)) + "/pjrt/pjrt_c_api.h")
	if err != nil {
		t.Fatal(err)
	}
	number := func(name string) string {
		found := regexp.MustCompile(`#define ` + name + ` (\d+)`).FindSubmatch(header)
		if found == nil {
			t.Fatalf("go-xla's header has no %s", name)
		}
		return string(found[1])
	}
	if want := number("PJRT_API_MAJOR") + "." + number("PJRT_API_MINOR"); headerVersion != want {
		t.Errorf("go-xla's header is of PJRT %s, not %s", want, headerVersion)
	}
	for _, c := range [][3]string{{"go", "", ""}, {"auto", "xla:cuda,tf32=false", "cuda"}, {"auto", "xla:/a/plugin.so", "/a/plugin.so"}, {"auto", "go", ""}} {
		if got := pluginName(c[0], c[1]); got != c[2] {
			t.Errorf("Device %q, GOMLX_BACKEND %q: the plugin is %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

func TestTheCauseIsSaidInXLAsWords(t *testing.T) {
	var l lastError
	for _, part := range []string{"I1127 23:40:37.1 1 a.cc:1] started\nE1127 23:40:37.1 12 cuda_d", "nn.cc:456] Could not create cudnn handle: CUDNN_STATUS_NOT_INITIALIZED\n", "W1127 23:40:37.1 1 a.cc:2] slow\nEnd"} {
		if n, err := l.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	if want := "Could not create cudnn handle: CUDNN_STATUS_NOT_INITIALIZED"; l.text != want {
		t.Errorf("the cause is %q, want %q", l.text, want)
	}
}
