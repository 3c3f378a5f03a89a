package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// Batch is N patches of Size by Size pixels: the samples From to From+N-1 of an
// epoch. Degraded and Clean are laid out [N, 3, Size, Size], values in [-1,1].
// Levels are those of the noise in each patch, see [Sampler.Patch].
type Batch struct {
	N, Size  int
	From     int
	Degraded []float32
	Clean    []float32
	Levels   []float32
}

// pending is a batch that workers are filling.
type pending struct {
	*Batch
	missing atomic.Int32  // patches not yet cut
	whole   chan struct{} // closed when none is missing
}

// ErrClosed is returned by [Loader.Next] after [Loader.Close].
var ErrClosed = errors.New("dataset: the loader is closed")

// prefetch is how many batches are cut ahead of the one in use.
const prefetch = 3

// Loader hands out the batches of an epoch in order, while workers cut the next
// ones in the background. Next, Recycle and Close may be called from different
// goroutines.
type Loader struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	ready  chan *pending // in order
	places chan struct{} // one token for each batch that may be ahead
	free   chan *Batch
	wg     sync.WaitGroup
}

// Batches begins to cut the samples from, from+1, ... of an epoch into batches
// of batchSize, the last of which may be smaller. The batches do not depend on
// the number of workers; less than 1 means 1. The loader lives until the epoch
// has been read to its end, ctx ends, or Close is called: make sure of one.
func (s *Sampler) Batches(ctx context.Context, epoch, from, batchSize, workers int) *Loader {
	l := &Loader{
		ready:  make(chan *pending, prefetch),
		places: make(chan struct{}, prefetch),
		free:   make(chan *Batch, prefetch+1),
	}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	err := s.err
	switch {
	case err != nil:
	case batchSize < 1:
		err = fmt.Errorf("dataset: batch size is %d: must be at least 1", batchSize)
	case from < 0 || from > s.Len():
		err = fmt.Errorf("dataset: cannot begin at sample %d: an epoch has %d", from, s.Len())
	}
	if err != nil {
		l.cancel(err)
		return l
	}
	work := make(chan func())
	for range max(workers, 1) {
		l.wg.Go(func() {
			for cutOne := range work {
				cutOne()
			}
		})
	}
	l.wg.Go(func() {
		defer close(l.ready)
		defer close(work)
		for at := from; at < s.Len(); at += batchSize {
			if !l.plan(s, epoch, at, min(batchSize, s.Len()-at), work) {
				return
			}
		}
	})
	return l
}

// plan queues one batch and gives its patches to the workers. It is false when
// the loader has been stopped.
func (l *Loader) plan(s *Sampler, epoch, from, n int, work chan<- func()) bool {
	select {
	case l.places <- struct{}{}:
	case <-l.ctx.Done():
		return false
	}
	b := &pending{Batch: l.buffer(n, s.size), whole: make(chan struct{})}
	b.From = from
	b.missing.Store(int32(n))
	l.ready <- b // has room: there are as many places
	values := 3 * s.size * s.size
	for i := range n {
		cutOne := func() {
			level, err := s.Patch(epoch, from+i, b.Degraded[i*values:(i+1)*values], b.Clean[i*values:(i+1)*values])
			if err != nil {
				l.cancel(err)
				return
			}
			b.Levels[i] = float32(level)
			if b.missing.Add(-1) == 0 {
				close(b.whole)
			}
		}
		select {
		case work <- cutOne:
		case <-l.ctx.Done():
			return false
		}
	}
	return true
}

// buffer returns a recycled batch if there is one that is large enough.
func (l *Loader) buffer(n, size int) *Batch {
	values := n * 3 * size * size
	b := &Batch{N: n, Size: size, Levels: make([]float32, n)}
	select {
	case old := <-l.free:
		if cap(old.Degraded) >= values && cap(old.Clean) >= values {
			b.Degraded, b.Clean = old.Degraded[:values], old.Clean[:values]
			return b
		}
	default:
	}
	b.Degraded, b.Clean = make([]float32, values), make([]float32, values)
	return b
}

// Next returns the next batch, waiting for it if need be. It returns io.EOF
// after the last one of the epoch, [ErrClosed] after Close, and the context's
// cause once that has ended, even if batches are ready.
func (l *Loader) Next() (*Batch, error) {
	if err := l.stopped(); err != nil {
		return nil, err
	}
	b, ok := <-l.ready
	if !ok {
		if err := l.stopped(); err != nil {
			return nil, err
		}
		l.cancel(io.EOF) // which later calls return, too
		return nil, io.EOF
	}
	select {
	case <-b.whole:
	case <-l.ctx.Done():
		return nil, l.stopped()
	}
	<-l.places
	return b.Batch, nil
}

func (l *Loader) stopped() error {
	if l.ctx.Err() == nil {
		return nil
	}
	return context.Cause(l.ctx)
}

// Recycle gives a batch's memory back to the loader for a later batch. The
// batch must not be used afterwards. Calling it is optional.
func (l *Loader) Recycle(b *Batch) {
	if b == nil {
		return
	}
	select {
	case l.free <- &Batch{Degraded: b.Degraded, Clean: b.Clean}:
	default:
	}
	b.Degraded, b.Clean = nil, nil // whoever uses it again finds out at once
}

// Close stops the workers and waits until they are gone. It may be called more
// than once, at any time, and always returns nil.
func (l *Loader) Close() error {
	l.cancel(ErrClosed)
	l.wg.Wait()
	return nil
}
