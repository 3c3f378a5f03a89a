// Package ipynb reads and writes notebook files, and keeps those of a clone in
// step: the training notebooks have the same cells ([Sync]), and each is stored
// with the small outputs of its last run ([Store]).
//
// Files are written as Jupyter itself writes them, so that a diff shows only
// what has changed.
package ipynb

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"go/scanner"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"rekindle/pkg/durable"
)

// Notebook is the content of a notebook file (nbformat 4.5). Fields are in the
// order in which Jupyter writes them.
type Notebook struct {
	Cells       []*Cell        `json:"cells"`
	Metadata    map[string]any `json:"metadata"`
	Format      int            `json:"nbformat"`
	FormatMinor int            `json:"nbformat_minor"`
}

// Cell is one cell. Outputs and ExecutionCount are those of code cells.
type Cell struct {
	Type           string
	ExecutionCount *int
	ID             string
	Metadata       map[string]any
	Outputs        []map[string]any
	Source         Text
}

// Text is a text that a file holds as one string or as a list of lines.
type Text string

// Load reads a notebook file.
func Load(path string) (*Notebook, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("ipynb: %w", err)
	}
	n := new(Notebook)
	if err := json.Unmarshal(raw, n); err != nil {
		return nil, fmt.Errorf("ipynb: %s is not a notebook: %w", path, err)
	}
	if n.Format != 4 || n.FormatMinor < 5 {
		return nil, fmt.Errorf("ipynb: %s is of format %d.%d; open and save it in Jupyter for 4.5", path, n.Format, n.FormatMinor)
	}
	return n, nil
}

// Save writes the notebook, all or nothing.
func (n *Notebook) Save(path string) error {
	raw, err := n.encode()
	if err != nil {
		return fmt.Errorf("ipynb: %s: %w", path, err)
	}
	if err := durable.WriteFile(path, raw); err != nil {
		return fmt.Errorf("ipynb: %w", err)
	}
	return nil
}

func (n *Notebook) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	err := e.Encode(n)
	return b.Bytes(), err
}

// Cell returns the cell with an id, nil if there is none.
func (n *Notebook) Cell(id string) *Cell {
	for _, c := range n.Cells {
		if c.ID == id {
			return c
		}
	}
	return nil
}

// Code returns the code cells.
func (n *Notebook) Code() []*Cell {
	return slices.DeleteFunc(slices.Clone(n.Cells), func(c *Cell) bool { return c.Type != "code" })
}

// Sum is a checksum of the code cells, by which stored outputs are known to
// belong to them: of what they do, not of comments, blanks and line breaks.
func (n *Notebook) Sum() string {
	h := sha256.New()
	for _, c := range n.Code() {
		words := code(string(c.Source))
		fmt.Fprintf(h, "%s %d\n%s\n", c.ID, len(words), words)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// code is a cell's Go, a token a line, and its lines for the kernel as they are.
func code(source string) string {
	var b, goCode strings.Builder
	tokens := func() {
		text := []byte(goCode.String())
		goCode.Reset()
		files := token.NewFileSet()
		var s scanner.Scanner
		s.Init(files.AddFile("", files.Base(), len(text)), text, func(token.Position, string) {}, 0)
		for {
			_, kind, literal := s.Scan()
			switch {
			case kind == token.EOF:
				return
			case kind == token.SEMICOLON: // written, or found at the end of a line
				b.WriteString(";\n")
			case literal != "":
				b.WriteString(literal + "\n")
			default:
				b.WriteString(kind.String() + "\n")
			}
		}
	}
	for line := range strings.Lines(source) {
		if strings.HasPrefix(line, "%") || strings.HasPrefix(line, "!") {
			tokens()
			b.WriteString(strings.TrimSpace(line) + "\n")
			continue
		}
		goCode.WriteString(line)
	}
	tokens()
	return b.String()
}

// List returns the notebooks of a clone, relative to it, the main one first and
// the others by name. Where git can tell, only those that it knows: notebooks
// that somebody has made for himself are his own.
func List(clone string) ([]string, error) {
	var files []string
	git := exec.Command("git", "ls-files", "-z", "--", "notebooks")
	git.Dir = clone
	if said, err := git.Output(); err == nil {
		files = strings.FieldsFunc(string(said), func(r rune) bool { return r == 0 })
	}
	if len(files) == 0 { // no git, or no repository
		err := filepath.WalkDir(filepath.Join(clone, "notebooks"), func(path string, d os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && strings.HasPrefix(d.Name(), ".") {
				return filepath.SkipDir // Jupyter's own copies
			}
			rel, err := filepath.Rel(clone, path)
			files = append(files, rel)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("ipynb: %w", err)
		}
	}
	files = slices.DeleteFunc(files, func(f string) bool {
		_, err := os.Stat(filepath.Join(clone, f)) // git lists what was removed just now
		return filepath.Ext(f) != ".ipynb" || err != nil
	})
	slices.Sort(files)
	if i := slices.Index(files, Main); i > 0 {
		files = slices.Insert(slices.Delete(files, i, i+1), 0, Main)
	}
	return files, nil
}

// markdownCell and codeCell are cells as files hold them.
type (
	markdownCell struct {
		Type     string         `json:"cell_type"`
		ID       string         `json:"id"`
		Metadata map[string]any `json:"metadata"`
		Source   Text           `json:"source"`
	}
	codeCell struct {
		Type           string           `json:"cell_type"`
		ExecutionCount *int             `json:"execution_count"`
		ID             string           `json:"id"`
		Metadata       map[string]any   `json:"metadata"`
		Outputs        []map[string]any `json:"outputs"`
		Source         Text             `json:"source"`
	}
)

func (c *Cell) MarshalJSON() ([]byte, error) {
	if c.Metadata == nil {
		c.Metadata = map[string]any{}
	}
	if c.Outputs == nil {
		c.Outputs = []map[string]any{}
	}
	if c.Type == "code" {
		return plain(codeCell(*c))
	}
	return plain(markdownCell{c.Type, c.ID, c.Metadata, c.Source})
}

// UnmarshalJSON reads a notebook, without the nulls that nbformat does not know.
func (n *Notebook) UnmarshalJSON(raw []byte) error {
	type fields Notebook // without this method
	if err := json.Unmarshal(raw, (*fields)(n)); err != nil {
		return err
	}
	if slices.Contains(n.Cells, nil) {
		return errors.New("one of its cells is null")
	}
	if n.Metadata == nil {
		n.Metadata = map[string]any{}
	}
	return nil
}

func (c *Cell) UnmarshalJSON(raw []byte) error {
	var read codeCell
	err := json.Unmarshal(raw, &read)
	*c = Cell(read)
	return err
}

// MarshalJSON writes the lines, each with its end.
func (t Text) MarshalJSON() ([]byte, error) { return plain(t.lines()) }

func (t Text) lines() []string {
	lines := strings.SplitAfter(string(t), "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

func (t *Text) UnmarshalJSON(raw []byte) error {
	var lines []string
	if json.Unmarshal(raw, &lines) == nil {
		*t = Text(strings.Join(lines, ""))
		return nil
	}
	return json.Unmarshal(raw, (*string)(t))
}

// plain is JSON in which "<" stays "<".
func plain(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}
