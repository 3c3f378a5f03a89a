package main

import (
	"context"
	"strings"
	"testing"
	"time"
)

// TestChecksWorkOnTheGoEngine rehearses what a lent GPU must not be the first to run.
func TestChecksWorkOnTheGoEngine(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", "")
	s := setting{device: "go", python: "/nonexistent", tiny: true}
	for _, name := range []string{"engine", "numbers", "resume", "memory", "mixed", "recomputing", "first-step"} {
		t.Run(name, func(t *testing.T) {
			for _, c := range append(checks, check{name: "first-step", run: firstStep}) {
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

// TestACheckThatDiesIsReported runs this test binary as the program,
// which knows no -check and so ends without an answer.
func TestACheckThatDiesIsReported(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r := runApart(ctx, check{name: "engine", asks: "?", limit: 30 * time.Second}, setting{device: "go"})
	if r.OK || !strings.Contains(r.Answer, "without an answer") {
		t.Errorf("%+v", r)
	}
	text := report([]result{r, {Name: "engine", Asks: "a", OK: true, Answer: "H | X"}})
	if !strings.Contains(text, "H | X.") || !strings.Contains(text, "| a | yes | H / X |") || !strings.Contains(text, "**no**") {
		t.Errorf("the report is\n%s", text)
	}
}
