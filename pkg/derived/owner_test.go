package derived

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekindle/pkg/rgb"
)

// ones is the content of a picture that somebody made.
func ones(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	if err := rgb.New(3, 2).WritePNG(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Whatever the recipe does, what was not made here stays, and nothing else is
// changed before somebody has decided what is to become of it.
func TestAPictureOfOnesOwnAmongOursIsNeverOverwritten(t *testing.T) {
	for _, c := range []struct {
		name    string
		disturb func(t *testing.T, p *place)
	}{
		{"in the place of a copy", func(t *testing.T, p *place) { put(t, p.dir, "a01.out", ones(t)) }},
		{"in the place of a copy, with another recipe", func(t *testing.T, p *place) { put(t, p.dir, "a01.out", ones(t)); p.recipe.Seed++ }},
		{"in the place of a copy whose source changed", func(t *testing.T, p *place) { put(t, p.dir, "a01.out", ones(t)); flip(t, p.sources, "a01.txt") }},
		{"where a copy is missing that was never made", func(t *testing.T, p *place) {
			put(t, p.sources, "b.txt", "new")
			put(t, p.dir, "b.out", ones(t))
		}},
		{"no picture that we can read, where none was made", func(t *testing.T, p *place) {
			put(t, p.sources, "b.txt", "new")
			put(t, p.dir, "b.out", "somebody's, in a format of their own")
		}},
		{"and the manifest is damaged", func(t *testing.T, p *place) {
			put(t, p.dir, "a01.out", ones(t))
			truncate(t, p.dir, ManifestName)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlace(t, 4)
			p.fill(t)
			c.disturb(t, p)
			before := contents(t, p.dir)
			_, err := Fill(context.Background(), p.folder(t))
			if !errors.Is(err, ErrMixed) || errors.Is(err, ErrForeign) {
				t.Errorf("got %v, want ErrMixed", err)
			}
			if err != nil && !strings.Contains(err.Error(), "a01.out") && !strings.Contains(err.Error(), "b.out") {
				t.Errorf("%v does not name the picture", err)
			}
			if after := contents(t, p.dir); after != before {
				t.Errorf("the folder held\n%s\nand holds\n%s", before, after)
			}
		})
	}
}

// contents is every file of a folder but the lock.
func contents(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, e := range entries {
		if e.Name() != ".lock" {
			all.WriteString(e.Name() + ": " + get(t, dir, e.Name()) + "\n")
		}
	}
	return all.String()
}

// A kill comes between the picture and the manifest that lists it; then the
// person wants another strength.
func TestWhatAKilledProcessMadeIsKnownAsOursByAnotherRecipe(t *testing.T) {
	p := newPlace(t, 12)
	p.interrupted(t)
	edit(t, p.dir, func(m *manifest) { clear(m.Pictures) }) // as it was before the first picture
	if _, err := os.Stat(filepath.Join(p.dir, recordName)); err != nil {
		t.Fatal("an interrupted call keeps no record: ", err)
	}
	p.recipe.Name = "softer"
	p.fill(t)
	p.assertFresh(t)
	if _, err := os.Stat(filepath.Join(p.dir, recordName)); err == nil {
		t.Error("a complete folder still has a record beside its manifest")
	}
}

// Going from one recipe to another and back, stopped twice: copies of both lie
// there, and the manifest lists only those of the last.
func TestCopiesOfTheRecipeBeforeAreOursAfterTwoInterruptions(t *testing.T) {
	p := newPlace(t, 12)
	p.fill(t)
	for _, name := range []string{"softer", "louder", "softer"} {
		p.recipe.Name = name
		p.interrupted(t)
	}
	p.recipe.Name = "loudest"
	p.fill(t)
	p.assertFresh(t)
}
