package ipynb

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// What the repository keeps of a notebook is bounded, because each run replaces
// it: all versions together are what a clone has to load.
const (
	MaxBytes    = 650_000   // one notebook
	MaxAllBytes = 5_900_000 // all of them
)

// ours is the key of a notebook's metadata that holds what this package notes.
const ours = "rekindle"

// Store takes the outputs of an executed copy, made small and free of what is
// different with every run: times of execution, and pictures larger than a
// page needs. It notes that they belong to the cells as they are now.
func (n *Notebook) Store(executed *Notebook) error {
	limit := min(maxPicture, maxPictures/max(1, executed.pictures()))
	for _, c := range n.Code() {
		ran := executed.Cell(c.ID)
		if ran == nil || ran.Source != c.Source {
			return fmt.Errorf("ipynb: the executed notebook has another cell %s", c.ID)
		}
		c.ExecutionCount, c.Outputs = ran.ExecutionCount, ran.Outputs
		for _, o := range c.Outputs {
			delete(o, "transient")
			if err := shrinkOutput(o, limit); err != nil {
				return fmt.Errorf("ipynb: a picture of the cell %s: %w", c.ID, err)
			}
		}
	}
	n.Metadata[ours] = map[string]any{"outputs_of": n.Sum(), "stored": n.outputsSum()}
	return nil
}

// outputsSum is a checksum of the outputs, by which it is known whether they are
// those that [Store] stored or those of a later run.
func (n *Notebook) outputsSum() string {
	h := sha256.New()
	for _, c := range n.Code() {
		raw, err := json.Marshal(c.Outputs)
		if err != nil { // what was read from JSON can be written as JSON
			panic(err)
		}
		h.Write(raw)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// WithStored returns a notebook file, now, with the outputs of another version of
// it, committed: what is left of a change when the notebook was run, too. Where the
// cells are the same that is committed itself. Outputs that [Store] has stored anew
// stay, and what is no notebook stays as it is.
func WithStored(now, committed []byte) []byte {
	n, old := new(Notebook), new(Notebook)
	if json.Unmarshal(now, n) != nil || json.Unmarshal(committed, old) != nil {
		return now
	}
	if note, _ := n.Metadata[ours].(map[string]any); note != nil {
		if before, _ := old.Metadata[ours].(map[string]any); fmt.Sprint(before) != fmt.Sprint(note) {
			return now
		}
	}
	same := len(n.Cells) == len(old.Cells)
	for i, c := range n.Cells {
		same = same && c.Type == old.Cells[i].Type && c.ID == old.Cells[i].ID && c.Source == old.Cells[i].Source
		was := old.Cell(c.ID)
		if was == nil {
			was = new(Cell)
		}
		// Of a cell's metadata front ends write all but the tags.
		tags, had := c.Metadata["tags"], was.Metadata["tags"]
		same = same && fmt.Sprint(tags) == fmt.Sprint(had)
		c.Outputs, c.ExecutionCount, c.Metadata = was.Outputs, was.ExecutionCount, maps.Clone(was.Metadata)
		if delete(c.Metadata, "tags"); tags != nil {
			if c.Metadata == nil {
				c.Metadata = map[string]any{}
			}
			c.Metadata["tags"] = tags
		}
	}
	if same {
		return committed
	}
	n.Metadata = old.Metadata
	raw, err := n.encode()
	if err != nil {
		return now
	}
	return raw
}

// pictures counts the pictures of all cells.
func (n *Notebook) pictures() (count int) {
	for _, c := range n.Code() {
		for _, o := range c.Outputs {
			if data, _ := o["data"].(map[string]any); data[pngType] != nil || data[jpegType] != nil {
				count++
			}
		}
	}
	return count
}

// shrinkOutput makes an output's picture small.
func shrinkOutput(output map[string]any, limit int) error {
	data, _ := output["data"].(map[string]any)
	for _, kind := range []string{pngType, jpegType} {
		text, found := data[kind].(string)
		if !found {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(text, "\n", ""))
		if err != nil {
			return err
		}
		small, smallKind, err := shrink(raw, limit)
		if err != nil {
			return err
		}
		delete(data, kind)
		data[smallKind] = base64.StdEncoding.EncodeToString(small)
	}
	return nil
}

// machinePath matches folders that are somebody's own.
var machinePath = regexp.MustCompile(`(?:^|[\s"'=(:])((?:/work|/tmp|/home|/root|/Users|/var/folders)/[^\s"']*)`)

// shownEverywhere are the kinds of output that every front end shows, and code
// hosting pages too; they take scripts out of HTML, so there must be none in it.
var shownEverywhere = []string{"text/plain", "text/html", pngType, jpegType}

// Check says what is wrong with a notebook as a clone should hold it: cells
// that were never run, errors, outputs of other cells, a size beyond
// [MaxBytes], paths of one machine, outputs that only some front ends show, and
// in a notebook that shows what others have trained, results that are missing.
func (n *Notebook) Check() error {
	var wrong []error
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	inTurn := true
	for i, c := range n.Code() {
		if inTurn && (c.ExecutionCount == nil || *c.ExecutionCount != i+1) {
			inTurn = false
			say("the cell %s was not run in its turn", c.ID)
		}
		for _, o := range c.Outputs {
			if o["output_type"] == "error" || o["name"] == "stderr" {
				say("the cell %s shows an error", c.ID)
			}
			data, _ := o["data"].(map[string]any)
			for kind := range data {
				if !slices.Contains(shownEverywhere, kind) {
					say("the cell %s shows %s, which not every front end does", c.ID, kind)
				}
			}
			if strings.Contains(shownText(o), "<script") {
				say("the cell %s shows HTML with a script, which few front ends run", c.ID)
			}
			if text := shownText(o); !n.Trains() && (strings.Contains(text, "⚠️") || strings.Contains(text, "not evaluated")) {
				say("the cell %s shows results of which some are missing", c.ID)
			}
			for _, found := range machinePath.FindAllStringSubmatch(shownText(o), -1) {
				say("the cell %s shows %s, a path of one machine", c.ID, found[1])
			}
		}
	}
	for _, c := range n.Cells {
		if fmt.Sprint(c.Metadata) != fmt.Sprint(n.cellMetadata(c)) {
			say("the cell %s has the metadata %v, want %v", c.ID, c.Metadata, n.cellMetadata(c))
		}
	}
	if note, _ := n.Metadata[ours].(map[string]any); note["outputs_of"] != n.Sum() {
		say("its outputs are not those of its present cells")
	}
	if raw, err := n.encode(); err != nil {
		wrong = append(wrong, err)
	} else if len(raw) > MaxBytes {
		say("it has %d kB, and %d are the limit", len(raw)/1000, MaxBytes/1000)
	}
	return errors.Join(wrong...)
}

// cellMetadata is what a cell should have: in a notebook with settings, the first
// cell is tagged as that behind which papermill puts parameters.
func (n *Notebook) cellMetadata(c *Cell) map[string]any {
	if c.ID == "control" && n.Cell(configuration) != nil {
		return map[string]any{"tags": []any{"parameters"}}
	}
	return map[string]any{}
}

// shownText is all text of an output, pictures left out.
func shownText(output map[string]any) string {
	var b strings.Builder
	var collect func(v any)
	collect = func(v any) {
		switch v := v.(type) {
		case string:
			b.WriteString(v + "\n")
		case []any:
			for _, line := range v {
				collect(line)
			}
		}
	}
	collect(output["text"])
	data, _ := output["data"].(map[string]any)
	for kind, v := range data {
		if !slices.Contains([]string{pngType, jpegType}, kind) {
			collect(v)
		}
	}
	return b.String()
}
