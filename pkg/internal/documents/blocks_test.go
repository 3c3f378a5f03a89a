// Package documents tests that what the documents say is so: every block of code is
// run, every printed line is looked for in what the code really prints, and
// every table that describes the code is compared with it.
//
// The word after a fence's language says what a block is about:
//
//	go play=NAME        edits of the configuration cell; NAME is a play of this package
//	text said-by=NAME   lines that the play NAME prints, in this order
//	text in-source      lines whose wording stands in the source, for what cannot be played
//	text tree           an experiment's folder
//	python prints=NAME  run with PyTorch; text printed-by=NAME is what it prints
//	sh run=NAME         checked here, run in `make scenarios`
//	sh does=NAME        run where the example's experiment is
//	on-paper            not tested, and the document says so
//	go adds=FILE        a file of the source; go registers=NAME the line for its network
//	json file=NAME      the same keys and types as in a real file of that name
//
// In lines, "…" stands for anything, and numbers, dates and folders' names for
// others of their kind.
package documents

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	clone = "../../.."
	docs  = clone + "/docs"
)

// block is one fenced block of a document.
type block struct {
	file, language, attribute, value string
	line                             int // of its first line of text
	text                             string
}

func (b block) String() string { return fmt.Sprintf("%s:%d", b.file, b.line) }

// blocksOf returns the fenced blocks of documents.
func blocksOf(t *testing.T, files ...string) []block {
	t.Helper()
	var blocks []block
	for _, file := range files {
		raw, err := os.ReadFile(filepath.Join(docs, file))
		must(t, err)
		var open *block
		for i, line := range strings.Split(string(raw), "\n") {
			fence, isFence := strings.CutPrefix(line, "```")
			switch {
			case isFence && open == nil:
				language, rest, _ := strings.Cut(fence, " ")
				attribute, value, _ := strings.Cut(rest, "=")
				open = &block{file: file, language: language, attribute: attribute, value: value, line: i + 2}
			case isFence:
				blocks = append(blocks, *open)
				open = nil
			case open != nil:
				open.text += line + "\n"
			}
		}
		if open != nil {
			t.Fatalf("%s: the block is not closed", open)
		}
	}
	return blocks
}

// only returns the blocks with an attribute.
func only(blocks []block, attribute string) []block {
	var found []block
	for _, b := range blocks {
		if b.attribute == attribute {
			found = append(found, b)
		}
	}
	return found
}

var (
	stampedName = regexp.MustCompile(`\d{8}_\d{6}_[a-z0-9_]+`)
	figure      = regexp.MustCompile(`\d+([.:\-]\d+)*(e-\d+)?`)
)

// pattern matches lines that say the same as a document's line.
func pattern(line string) *regexp.Regexp {
	const any, stamp, number = "\x01", "\x02", "\x03"
	line = strings.ReplaceAll(line, "…", any)
	line = stampedName.ReplaceAllString(line, stamp)
	line = figure.ReplaceAllString(line, number)
	line = regexp.QuoteMeta(line)
	line = strings.NewReplacer(any, `.*`, stamp, `\d{8}_\d{6}_[a-z0-9_]+`, number, `\d+([.:\-]\d+)*(e-\d+)?`).Replace(line)
	return regexp.MustCompile(`^\s*` + strings.TrimSpace(line) + `\s*$`)
}

// says checks that a text has the lines of a block, in their order; other lines
// may stand between them.
func says(t *testing.T, b block, text string) {
	t.Helper()
	said := strings.Split(text, "\n")
	for i, want := range strings.Split(strings.TrimRight(b.text, "\n"), "\n") {
		p := pattern(want)
		for len(said) > 0 && !p.MatchString(said[0]) {
			said = said[1:]
		}
		if len(said) == 0 {
			t.Errorf("%s:%d: nothing prints the line\n\t%s\nin\n%s", b.file, b.line+i, want, text)
			return
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestALineStandsForOthersOfItsKindOnly(t *testing.T) {
	for _, c := range []struct {
		line, said string
		want       bool
	}{
		{"Total epochs: 3", "   Total epochs: 35", true},
		{"Total epochs: 3", "Total epochs: none", false},
		{"Total epochs: 3", "Total epochs: 3, says somebody", false},
		{"📁 Experiment: 20251230_153045_bilinear", "📁 Experiment: 20260102_080000_x_1", true},
		{"is damaged …", "is damaged (a.b)", true},
		{"a (b) [c]", "a (b) [c]", true},
		{"a.b", "aXb", false},
	} {
		if got := pattern(c.line).MatchString(c.said); got != c.want {
			t.Errorf("%q for %q: got %v, want %v", c.said, c.line, got, c.want)
		}
	}
}
