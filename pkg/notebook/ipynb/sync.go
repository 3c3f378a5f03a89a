package ipynb

import (
	"go/format"
	"regexp"
	"slices"
	"strings"
)

// Main is the notebook whose cells all other training notebooks share.
const Main = "notebooks/unet/gaussian/unet_gaussian_bilinear.ipynb"

// The training notebooks are the same but for these: the first paragraph of
// texts about the network and, where the degradation is another, of texts about
// that; keys of the configuration cell; its line with the strength; and what a
// notebook adds to the configuration under a comment that begins with [Recipe].
var (
	OwnTexts         = []string{"title", "model-text"}
	DegradationTexts = []string{"data-text", "inference-text", "extremes-text"}
	OwnKeys          = []string{"Model", "Degradation", "ExperimentName", "ModelBilinear"}
	StrengthKeys     = []string{"NoiseSigma", "SaltPepperDensity", "QuantizationBits", "BlurSigma", "MotionLength", "JPEGQuality", "LightFactor"}
)

// Recipe begins the lines at the end of a configuration cell that are the
// notebook's own.
const Recipe = "// Recipe"

// recipe is these lines, with the blank one before them.
var recipe = regexp.MustCompile(`(?s)\n\n[ \t]+` + Recipe + `.*\n\}\)`)

// configuration is the id of the cell with [OwnKeys].
const configuration = "configuration"

// Trains says whether this is a training notebook.
func (n *Notebook) Trains() bool { return n.Cell("training") != nil }

// Sync returns main with what is n's own, and n's outputs of cells that stay:
// how a change to the main notebook is spread to the others.
func (n *Notebook) Sync(main *Notebook) *Notebook {
	ownTexts := OwnTexts
	if n.key("Degradation") != main.key("Degradation") {
		ownTexts = slices.Concat(OwnTexts, DegradationTexts)
	}
	synced := &Notebook{Metadata: n.Metadata, Format: main.Format, FormatMinor: main.FormatMinor}
	for _, m := range main.Cells {
		c := *m
		c.Outputs, c.ExecutionCount = nil, nil
		if own := n.Cell(c.ID); own != nil {
			c.Outputs, c.ExecutionCount = own.Outputs, own.ExecutionCount
			switch {
			case slices.Contains(ownTexts, c.ID):
				c.Source = withOwnParagraph(c.Source, own.Source)
			case c.ID == configuration:
				c.Source = withOwnKeys(c.Source, own.Source)
			}
		}
		synced.Cells = append(synced.Cells, &c)
	}
	synced.FormatCells()
	return synced
}

// keyLine is a line that assigns a key: whether it is commented out, the key, the
// value, and a comment.
var keyLine = regexp.MustCompile(`(?m)^[ \t]+(// )?cfg\.(\w+) += (.*?)( *//.*)?$`)

// withOwnParagraph returns text with the heading and the first paragraph of own.
func withOwnParagraph(text, own Text) Text {
	const shared = 2 // paragraphs from here on
	mine, all := strings.SplitN(string(own), "\n\n", shared+1), strings.SplitN(string(text), "\n\n", shared+1)
	return Text(strings.Join(append(mine[:min(len(mine), shared)], all[min(len(all), shared):]...), "\n\n"))
}

// key returns the value that the configuration cell gives a key.
func (n *Notebook) key(name string) string {
	if c := n.Cell(configuration); c != nil {
		for _, found := range keyLine.FindAllStringSubmatch(string(c.Source), -1) {
			if found[1] == "" && found[2] == name {
				return found[3]
			}
		}
	}
	return ""
}

// withOwnKeys returns text with the values of [OwnKeys] and the line of a strength
// as they are in own.
func withOwnKeys(text, own Text) Text {
	values, strength := map[string]string{}, ""
	for _, found := range keyLine.FindAllStringSubmatch(string(own), -1) {
		if found[1] == "" {
			values[found[2]] = found[3]
		}
		if slices.Contains(StrengthKeys, found[2]) {
			strength = found[0]
		}
	}
	shared := recipe.ReplaceAllLiteralString(string(text), "\n})")
	shared = keyLine.ReplaceAllStringFunc(shared, func(line string) string {
		found := keyLine.FindStringSubmatch(line)
		mine, has := values[found[2]]
		switch {
		case slices.Contains(StrengthKeys, found[2]) && strength != "":
			return strength
		case has && slices.Contains(OwnKeys, found[2]):
			return strings.Replace(line, "= "+found[3], "= "+mine, 1)
		}
		return line
	})
	if mine := recipe.FindString(string(own)); mine != "" {
		shared = strings.TrimSuffix(shared, "\n})") + mine
	}
	return Text(shared)
}

// FormatCells formats the Go code of all cells as gofmt does, but indented by four
// spaces: that is what front ends insert when somebody types a line, and the
// classic notebook shows tabs as arrows.
func (n *Notebook) FormatCells() {
	for _, c := range n.Code() {
		c.Source = Text(formatCell(string(c.Source)))
	}
}

// formatCell formats what GoNB takes: lines of its own commands, declarations,
// and after a line "%%" statements. A cell that is anything else stays as it is.
func formatCell(text string) string {
	lines := strings.Split(text, "\n")
	commands := 0
	for commands < len(lines) && isCommand(lines[commands]) {
		commands++
	}
	head, code := lines[:commands], lines[commands:]
	parts := [][]string{code}
	if i := slices.Index(code, "%%"); i >= 0 {
		parts = [][]string{code[:i], code[i+1:]}
	}
	for i, part := range parts {
		formatted, err := format.Source([]byte(strings.Join(part, "\n")))
		if err != nil {
			return text
		}
		spaced := spaces(string(formatted))
		if again, err := format.Source([]byte(spaced)); err != nil || string(again) != string(formatted) {
			return text // a literal holds tabs, which are no indentation
		}
		parts[i] = strings.Split(strings.TrimRight(spaced, "\n"), "\n")
	}
	if len(parts) == 1 {
		return strings.Join(slices.Concat(head, parts[0]), "\n")
	}
	if declarations := parts[0]; len(declarations) > 1 || declarations[0] != "" {
		head = slices.Concat(head, declarations, []string{""})
	}
	return strings.Join(slices.Concat(head, []string{"%%"}, parts[1]), "\n")
}

func isCommand(line string) bool {
	return line != "%%" && (strings.HasPrefix(line, "%") || strings.HasPrefix(line, "!"))
}

// tabs are those at the beginning of a line.
var tabs = regexp.MustCompile(`(?m)^\t+`)

func spaces(code string) string {
	return tabs.ReplaceAllStringFunc(code, func(t string) string { return strings.Repeat("    ", len(t)) })
}
