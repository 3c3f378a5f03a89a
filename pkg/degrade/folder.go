package degrade

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"rekindle/pkg/derived"
	"rekindle/pkg/rgb"
)

// ErrNoPictures is returned when the clean folder holds no PNG or JPEG file.
var ErrNoPictures = errors.New("no PNG or JPEG pictures")

// format is raised when a degradation begins to give other pictures for the
// same seed, so that existing folders are made anew.
const format = 1

// formatOf is 2 where pictures may be among those whose colours were read wrong: lossy
// WebP and faxes. Folders of others need not be made anew.
func formatOf(items []derived.Item) int {
	for _, item := range items {
		switch strings.ToLower(filepath.Ext(item.Source)) {
		case ".webp", ".tif", ".tiff":
			return format + 1
		}
	}
	return format
}

// Folder fills outDir with a degraded copy of every picture directly in
// cleanDir, under the same stem, as PNG. What is done to a picture depends on
// d, seed and the file's stem alone.
//
// Only what is missing or stale is made: see [derived.Fill] for what counts as
// stale, for interruptions, and for files in outDir that were not made here
// ([derived.ErrForeign]). A complete folder costs a look at sizes and times.
//
// Folder returns how many copies it made. report, if not nil, is called after
// each, from one goroutine at a time, with the number of copies in place and
// the number there will be.
func Folder(ctx context.Context, cleanDir, outDir string, d Degradation, seed int64, report func(done, total int)) (n int, err error) {
	items, err := copies(cleanDir)
	if err != nil {
		return 0, err
	}
	if SameFolder(cleanDir, outDir) {
		return 0, fmt.Errorf("degrade: clean and degraded folder are both %s: choose another for the degraded copies", cleanDir)
	}
	return derived.Fill(ctx, derived.Folder{
		Dir:    outDir,
		Recipe: derived.Recipe{Name: d.Name(), Seed: seed, Format: formatOf(items)},
		Items:  items,
		Make: func(item derived.Item, source []byte, w io.Writer) error {
			im, err := rgb.Decode(source)
			if err != nil {
				return fmt.Errorf("degrade: %s: %w", item.Source, err)
			}
			return d.Apply(im, Source(seed, item.Name)).WritePNG(w)
		},
		Report: report,
	})
}

// copies lists the degraded copies to be had of a folder.
func copies(cleanDir string) ([]derived.Item, error) {
	names, err := rgb.List(cleanDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("degrade: no folder of clean pictures at %s: %w", cleanDir, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("degrade: %w", err)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("degrade: %s: %w", cleanDir, ErrNoPictures)
	}
	taken := map[string]string{}
	var items []derived.Item
	for _, name := range names {
		copied := rgb.Stem(name) + ".png"
		if other, ok := taken[copied]; ok {
			return nil, fmt.Errorf("degrade: %s holds both %s and %s, whose degraded copies would have the same name: rename one", cleanDir, other, name)
		}
		taken[copied] = name
		items = append(items, derived.Item{Name: copied, Source: filepath.Join(cleanDir, name)})
	}
	return items, nil
}

// SameFolder says whether two paths lead to one folder.
func SameFolder(a, b string) bool {
	ia, err := os.Stat(a)
	if err != nil {
		return false
	}
	ib, err := os.Stat(b)
	return err == nil && os.SameFile(ia, ib)
}
