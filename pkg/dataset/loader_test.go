package dataset

import (
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// drain reads a loader to its end and returns all clean values in order.
func drain(t *testing.T, l *Loader, recycle bool) (values []float32, sizes []int) {
	t.Helper()
	at := -1
	for {
		b, err := l.Next()
		if err == io.EOF {
			return values, sizes
		}
		if err != nil {
			t.Fatal(err)
		}
		if at >= 0 && b.From != at {
			t.Fatalf("a batch begins at sample %d, want %d", b.From, at)
		}
		at = b.From + b.N
		if want := b.N * 3 * b.Size * b.Size; len(b.Clean) != want || len(b.Degraded) != want {
			t.Fatalf("a batch of %d has %d and %d values, want %d", b.N, len(b.Degraded), len(b.Clean), want)
		}
		values = append(values, b.Clean...)
		values = append(values, b.Degraded...)
		sizes = append(sizes, b.N)
		if recycle {
			l.Recycle(b)
		}
	}
}

// goroutines waits until as many run as before, and fails if that does not come.
func goroutines(t *testing.T, before int) {
	t.Helper()
	for range 200 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("%d goroutines run, %d did before", runtime.NumGoroutine(), before)
}

func TestBatchesHoldTheSamplersPatchesInOrderTheLastOneSmaller(t *testing.T) {
	s := openSet(t, 3, 40, 30, 8).Train(8, 7, 1)
	l := s.Batches(context.Background(), 4, 0, 8, 3)
	defer l.Close()
	index := 0
	var sizes []int
	for {
		b, err := l.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if b.From != index || b.Size != 8 {
			t.Errorf("batch from %d of size %d, want from %d of size 8", b.From, b.Size, index)
		}
		sizes = append(sizes, b.N)
		for i := range b.N {
			degraded, clean := patch(s, 4, index)
			if !slices.Equal(b.Degraded[i*192:(i+1)*192], degraded) || !slices.Equal(b.Clean[i*192:(i+1)*192], clean) {
				t.Fatalf("sample %d differs from the sampler's patch", index)
			}
			index++
		}
		l.Recycle(b)
	}
	if !slices.Equal(sizes, []int{8, 8, 5}) {
		t.Errorf("batches have sizes %v, want 8, 8, 5", sizes)
	}
	if _, err := l.Next(); err != io.EOF {
		t.Errorf("after the end Next gives %v, want io.EOF again", err)
	}
}

func TestBatchesDoNotDependOnWorkersOrRecycling(t *testing.T) {
	s := openSet(t, 4, 40, 30, 8).Train(8, 11, 1)
	want, _ := drain(t, s.Batches(context.Background(), 1, 0, 6, 1), false)
	for _, workers := range []int{-1, 0, 2, 7, 32} {
		for _, recycle := range []bool{false, true} {
			if got, _ := drain(t, s.Batches(context.Background(), 1, 0, 6, workers), recycle); !slices.Equal(got, want) {
				t.Errorf("%d workers, recycle %v: other values than with one worker", workers, recycle)
			}
		}
	}
}

func TestAnEpochGoesOnWhereItStopped(t *testing.T) {
	s := openSet(t, 3, 40, 30, 8).Train(8, 7, 1) // 21 samples
	ctx := context.Background()
	whole, _ := drain(t, s.Batches(ctx, 2, 0, 1, 2), true)
	for from := range s.Len() + 1 {
		rest, sizes := drain(t, s.Batches(ctx, 2, from, 1, 2), true)
		if !slices.Equal(rest, whole[from*2*192:]) {
			t.Errorf("beginning at sample %d gives other patches than the whole epoch has there", from)
		}
		if len(sizes) != s.Len()-from {
			t.Errorf("beginning at sample %d gives %d batches, want %d", from, len(sizes), s.Len()-from)
		}
	}
	if _, sizes := drain(t, s.Batches(ctx, 2, 3, 8, 2), true); !slices.Equal(sizes, []int{8, 8, 2}) {
		t.Errorf("beginning at sample 3 in batches of 8 gives sizes %v, want 8, 8, 2", sizes)
	}
}

func TestABatchLargerThanTheEpochIsTheEpoch(t *testing.T) {
	s := openSet(t, 1, 40, 30, 8).Train(8, 3, 1)
	if _, sizes := drain(t, s.Batches(context.Background(), 0, 0, 100, 4), true); !slices.Equal(sizes, []int{3}) {
		t.Errorf("sizes are %v, want one batch of 3", sizes)
	}
}

func TestOnlyAFewBatchesAreCutAhead(t *testing.T) {
	s := openSet(t, 2, 40, 30, 8).Train(8, 500, 1)
	l := s.Batches(context.Background(), 0, 0, 2, 4)
	defer l.Close()
	first, err := l.Next()
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(30 * time.Millisecond)
	if n := len(l.ready); n > prefetch {
		t.Errorf("%d batches wait, want at most %d", n, prefetch)
	}
	if len(l.ready) == 0 {
		t.Error("no batch is cut ahead")
	}
	_ = first
}

func TestRecycledMemoryIsUsedAgain(t *testing.T) {
	s := openSet(t, 2, 40, 30, 8).Train(8, 100, 1)
	l := s.Batches(context.Background(), 0, 0, 4, 2)
	defer l.Close()
	buffers := map[*float32]bool{}
	for {
		b, err := l.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		buffers[&b.Clean[0]] = true
		l.Recycle(b)
	}
	if len(buffers) > prefetch+2 {
		t.Errorf("50 batches used %d buffers, want at most %d", len(buffers), prefetch+2)
	}
}

func TestABatchIsNotOverwrittenUntilItIsRecycled(t *testing.T) {
	s := openSet(t, 2, 40, 30, 8).Train(8, 100, 1)
	l := s.Batches(context.Background(), 0, 0, 4, 2)
	defer l.Close()
	kept, err := l.Next()
	if err != nil {
		t.Fatal(err)
	}
	was := slices.Clone(kept.Clean)
	for range 20 {
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		l.Recycle(b)
	}
	if !slices.Equal(kept.Clean, was) {
		t.Error("a batch in use was overwritten")
	}
}

func TestCloseEndsTheWorkersAtAnyMoment(t *testing.T) {
	s := openSet(t, 2, 40, 30, 8).Train(8, 300, 1)
	before := runtime.NumGoroutine()
	for taken := range 12 {
		l := s.Batches(context.Background(), 0, 0, 3, 4)
		for range taken {
			if _, err := l.Next(); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Next(); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close Next gives %v, want ErrClosed", err)
		}
		l.Close()
	}
	goroutines(t, before)
}

func TestReadingToTheEndLeavesNoWorkers(t *testing.T) {
	s := openSet(t, 2, 40, 30, 8).Train(8, 10, 1)
	before := runtime.NumGoroutine()
	drain(t, s.Batches(context.Background(), 0, 0, 3, 4), false)
	goroutines(t, before)
}

func TestEndingTheContextEndsTheLoader(t *testing.T) {
	s := openSet(t, 2, 40, 30, 8).Train(8, 300, 1)
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(context.Background())
	l := s.Batches(ctx, 0, 0, 3, 4)
	if _, err := l.Next(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := l.Next(); !errors.Is(err, context.Canceled) {
		t.Errorf("Next gives %v, want context.Canceled", err)
	}
	goroutines(t, before) // without Close
}

func TestCloseWakesAWaitingNext(t *testing.T) {
	s := openSet(t, 2, 40, 30, 8).Train(8, 1, 1)
	l := s.Batches(context.Background(), 0, 0, 1, 1)
	done := make(chan error, 1)
	go func() {
		for {
			if _, err := l.Next(); err != nil {
				done <- err
				return
			}
		}
	}()
	l.Close()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("Next still waits after Close")
	}
}

func TestAskingForTheImpossibleIsAnErrorOfNext(t *testing.T) {
	set := openSet(t, 2, 20, 20, 8)
	ctx := context.Background()
	good := set.Train(8, 5, 1)
	for _, c := range []struct {
		name string
		l    *Loader
		says string
	}{
		{"batch size 0", good.Batches(ctx, 0, 0, 0, 1), "batch size is 0"},
		{"negative start", good.Batches(ctx, 0, -1, 4, 1), "sample -1"},
		{"start beyond the epoch", good.Batches(ctx, 0, 11, 4, 1), "sample 11"},
		{"patches larger than all pictures", set.Train(64, 5, 1).Batches(ctx, 0, 0, 4, 1), "64 x 64"},
		{"no patches an image", set.Train(8, 0, 1).Batches(ctx, 0, 0, 4, 1), "0 patches"},
		{"patch size 0", set.Validation(0, 1, 1).Batches(ctx, 0, 0, 4, 1), "size 0"},
	} {
		if _, err := c.l.Next(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: Next gives %v, want an error that says %q", c.name, err, c.says)
		}
		c.l.Close()
	}
}
