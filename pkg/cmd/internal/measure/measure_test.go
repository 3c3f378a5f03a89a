package measure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"rekindle/pkg/internal/python"
)

// TestMain makes the test binary the program that measures once.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "-once" {
		if err := Once(context.Background(), os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func ExampleTable() {
	ours := Turns{Seconds: []float64{0.3, 0.2, 0.1}}.Figure()
	theirs := Turns{Seconds: []float64{0.4}}.Figure()
	fmt.Print(Table([]string{"What", "Ratio:", "Of the fastest:"}, [][]string{
		{"training | step", fmt.Sprintf("%.2f", ours.Median/theirs.Median), fmt.Sprintf("%.2f", ours.Best/theirs.Best)},
	}))
	// Output:
	// | What | Ratio | Of the fastest |
	// |---|---:|---:|
	// | training / step | 0.50 | 0.25 |
}

func TestSidesTakeTurns(t *testing.T) {
	order, failed := "", errors.New("broken")
	side := func(name string, peak int64) func() (Turns, error) {
		return func() (Turns, error) {
			order += name
			if len(order) == 7 {
				return Turns{}, failed
			}
			return Turns{First: 9, Seconds: []float64{float64(len(order)), 8}, Peak: peak - int64(len(order))}, nil
		}
	}
	turns, err := InTurn(t.Context(), Enough{Turns: 3}, side("a", 10), nil, side("b", 20))
	if err != nil || order != "ababab" {
		t.Fatalf("in the order %s, %v", order, err)
	}
	if got, want := fmt.Sprint(turns), "[{0 [1 8 3 8 5 8] 9} {0 [] 0} {0 [2 8 4 8 6 8] 18}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if f := turns[1].Figure(); f.N != 0 || turns[1].Megabytes().N != 0 || f.Per(3).Median != 0 {
		t.Errorf("nothing was measured, and it is %+v", f)
	}
	if _, err := InTurn(t.Context(), Enough{Turns: 3}, side("a", 0)); !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := InTurn(ctx, Enough{Turns: 3}, side("a", 0)); !errors.Is(err, context.Canceled) || len(order) != 7 {
		t.Errorf("interrupted: %v after %s", err, order)
	}
}

func TestMeasuringEndsAfterBothTurnsAndTime(t *testing.T) {
	for _, e := range []Enough{{Turns: 3}, {Time: 30 * time.Millisecond}, {}} {
		n := 0
		turns, err := repeat(e, func() error { n++; time.Sleep(10 * time.Millisecond); return nil })
		sum := 0.0
		for _, s := range turns.Seconds {
			sum += s
		}
		if err != nil || len(turns.Seconds) != n-1 || len(turns.Seconds) < e.Turns || sum < e.Time.Seconds() || turns.First < 0.01 || turns.Peak == 0 {
			t.Errorf("until %+v: %+v of %d, %v", e, turns, n, err)
		}
		if e.Time == 0 && len(turns.Seconds) != e.Turns {
			t.Errorf("until %+v: %d turns after the first", e, len(turns.Seconds))
		}
	}
}

// TestBothSidesDoWhatIsAsked measures the smallest of everything.
func TestBothSidesDoWhatIsAsked(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", "")
	whole := func(t *testing.T, turns Turns, err error) {
		t.Helper()
		if err != nil || turns.First <= 0 || len(turns.Seconds) != 2 || turns.Figure().Best <= 0 || turns.Peak < 1<<20 {
			t.Errorf("got %+v, %v", turns, err)
		}
	}
	for _, request := range []string{"step 4 2 32", "step 4 2 32 mixed", "step 4 2 32 recompute", "infer 4 2 32", "restore 4 80 70 32 8"} {
		t.Run("go "+request, func(t *testing.T) {
			turns, err := Ask(t.Context(), "go", Enough{Turns: 2}, request)
			whole(t, turns, err)
		})
	}
	t.Run("PyTorch", func(t *testing.T) {
		peer, err := FindPeer(t.Context(), python.With(t, "torch"))
		if err != nil || !strings.HasPrefix(peer.Version, "PyTorch ") {
			t.Fatalf("%+v, %v", peer, err)
		}
		for _, request := range []string{"step 4 2 32 mixed", "restore 4 80 70 32 8"} {
			turns, err := peer.Ask(t.Context(), "cpu", Enough{Turns: 2}, request)
			whole(t, turns, err)
		}
		if _, err := peer.Ask(t.Context(), "cpu", Enough{}, "dance"); err == nil || !strings.Contains(err.Error(), "unknown request 'dance'") {
			t.Errorf("got %v", err)
		}
	})
}

func TestWhatCannotBeAskedIsSaid(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", "")
	if _, err := FindPeer(t.Context(), "/nonexistent"); err == nil || !strings.Contains(err.Error(), "/nonexistent") {
		t.Errorf("got %v", err)
	}
	for line, want := range map[string]string{"go 1 0 step 1": "-once takes a line", "go 1 0 dance 1 2 3": "not \"dance\"", "abacus 1 0 step 1 2 3": "abacus"} {
		if err := Once(t.Context(), line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", line, err)
		}
	}
}
