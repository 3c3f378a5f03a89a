package deadleaves

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"

	"rekindle/pkg/derived"
	"rekindle/pkg/rgb"
)

// format is raised when Image begins to draw other pictures from the same
// numbers, so that existing folders are drawn anew.
const format = 1

// recipe begins the name of the recipe in the folder's manifest, prefix and .png
// are around a picture's number.
const (
	recipe = "leaves/"
	prefix = "leaf_"
)

// Folder fills dir with n pictures of w by h pixels, leaf_0000.png and so on.
// Each depends on the seed, its number and its size alone: asking for more
// pictures adds some, asking for fewer removes the last. What is there already
// and right is kept, see [derived.Fill]; an interrupted call is completed by
// the next. report, if not nil, is called after each picture drawn, from one
// goroutine at a time, with the number in place and n.
func Folder(ctx context.Context, dir string, n, w, h int, seed int64, report func(done, total int)) error {
	if n < 1 || w < 1 || h < 1 {
		return fmt.Errorf("leaves: %d pictures of %d x %d: all must be at least 1", n, w, h)
	}
	f := derived.Folder{
		Dir:    dir,
		Recipe: derived.Recipe{Name: fmt.Sprintf("%s%dx%d", recipe, w, h), Seed: seed, Format: format},
		Report: report,
	}
	number := make(map[string]int, n)
	for i := range n {
		name := fmt.Sprintf("%s%04d.png", prefix, i)
		number[name] = i
		f.Items = append(f.Items, derived.Item{Name: name})
	}
	f.Make = func(item derived.Item, _ []byte, out io.Writer) error {
		r := rand.New(rand.NewPCG(uint64(seed), uint64(number[item.Name])))
		return Image(w, h, r).WritePNG(out)
	}
	_, err := derived.Fill(ctx, f)
	return err
}

// IsName tells the names that [Folder] gives from others.
func IsName(name string) bool { return strings.HasPrefix(name, prefix) }

// Drew reports whether all pictures of a folder were drawn by [Folder]: they can
// be had again at any time.
func Drew(dir string) bool {
	made, ok := derived.RecipeOf(dir)
	if !ok || !strings.HasPrefix(made.Name, recipe) {
		return false
	}
	names, err := rgb.List(dir)
	for _, name := range names {
		if !IsName(name) {
			return false
		}
	}
	return err == nil
}
