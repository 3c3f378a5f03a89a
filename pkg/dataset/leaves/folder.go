package leaves

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
)

// Folder fills dir with n pictures of w by h, leaf_0000.png and so on. Each
// depends on (seed, number) alone. Pictures that are there already are kept, so
// an interrupted call is completed by the next. report is called after each
// picture, from several goroutines in turn, and may be nil.
func Folder(dir string, n, w, h int, seed int64, report func(done, total int)) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("leaves: %w", err)
	}
	var (
		mutex sync.Mutex
		done  int
		first error
		next  = make(chan int)
		wait  sync.WaitGroup
	)
	for range min(n, runtime.GOMAXPROCS(0)) {
		wait.Go(func() {
			for i := range next {
				err := file(dir, i, w, h, seed)
				mutex.Lock()
				done++
				if err != nil && first == nil {
					first = err
				}
				if report != nil {
					report(done, n)
				}
				mutex.Unlock()
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wait.Wait()
	return first
}

func file(dir string, i, w, h int, seed int64) error {
	path := filepath.Join(dir, fmt.Sprintf("leaf_%04d.png", i))
	if _, err := os.Stat(path); err == nil {
		return nil // written whole or not at all
	}
	if err := Image(w, h, rand.New(rand.NewPCG(uint64(seed), uint64(i)))).SavePNG(path); err != nil {
		return fmt.Errorf("leaves: %w", err)
	}
	return nil
}
