package documents

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"rekindle/pkg/backend"
	"rekindle/pkg/model"
	"rekindle/pkg/nn"
)

var networkRow = regexp.MustCompile(`(?m)^\| (.*) \| ([0-9,]+ / [0-9,]+) \| ([0-9,]+ / [0-9,]+) \| (\d+ / \d+ pixels) \|$`)

func TestTheTableOfNetworksIsTrue(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(docs, "models.md"))
	must(t, err)
	rows := networkRow.FindAllStringSubmatch(string(raw), -1)
	if len(rows) < 4 {
		t.Fatalf("models.md has %d rows with numbers, want one for each network", len(rows))
	}
	for _, row := range rows {
		name := strings.Trim(row[1], "`")
		parameters := func(bilinear bool) string {
			return thousands(network(t, name, 64, bilinear).NumParams()) + " / " + thousands(network(t, name, 16, bilinear).NumParams())
		}
		sees := fmt.Sprintf("%d / %d pixels", reach(t, network(t, name, 4, true), 384, false), reach(t, network(t, name, 4, false), 384, false))
		if want := fmt.Sprintf("| `%s` | %s | %s | %s |", name, parameters(true), parameters(false), sees); row[0] != want {
			t.Errorf("models.md says\n\t%s\nwhich is\n\t%s", row[0], want)
		}
	}
}

var publishedRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (\\d+) \\| (\\d+|as below) \\| .*$")

// The networks of the literature, one row each, with the features that they were
// published with for colour.
func TestTheTableOfPublishedNetworksIsTrue(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(docs, "models.md"))
	must(t, err)
	missing := map[string]bool{}
	for _, name := range model.Names() {
		missing[name] = true
	}
	for _, row := range networkRow.FindAllStringSubmatch(string(raw), -1) {
		delete(missing, strings.Trim(row[1], "`"))
	}
	for _, row := range publishedRow.FindAllStringSubmatch(string(raw), -1) {
		name := row[1]
		delete(missing, name)
		features, err := strconv.Atoi(row[2])
		must(t, err)
		net := network(t, name, features, false)
		depth := "as below"
		if net.Options.Depth > 0 {
			depth = fmt.Sprint(net.Options.Depth)
		}
		sees := "everything"
		small := network(t, name, 4, false)
		// A ReLU may be closed where weights are random, a sigmoid saturated where all are positive.
		if far := max(reach(t, small, 768, true), reach(t, small, 768, false)); far < 380 {
			sees = fmt.Sprintf("%d pixels", far)
		}
		told := "no"
		if net.TakesSigma() {
			told = "yes"
		}
		want := fmt.Sprintf("| `%s` | %d | %s | %s / %s | %s | %s |", name, features, depth, thousands(net.NumParams()), thousands(network(t, name, 16, false).NumParams()), told, sees)
		if row[0] != want {
			t.Errorf("models.md says\n\t%s\nwhich is\n\t%s", row[0], want)
		}
	}
	for name := range missing {
		t.Errorf("models.md has no row for %s", name)
	}
}

func network(t *testing.T, name string, features int, bilinear bool) *model.Network {
	t.Helper()
	net, err := model.New(name, model.Options{Features: features, Bilinear: bilinear})
	must(t, err)
	return net
}

func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// reach is how many pixels away the input still matters: how far the gradient
// of one column of the result goes, one beside the border of the coarsest pixels,
// from where it goes farthest.
// Where it is said to be open, no weight is negative or 0, so that neither a ReLU
// nor a factor that begins with 0 stops it.
func reach(t *testing.T, net *model.Network, width int, open bool) int {
	t.Helper()
	const height = 16
	at := width/32*16 - 9
	engine, err := backend.Open("go")
	must(t, err)
	pixels := make([]float32, 3*height*width)
	for i := range pixels {
		pixels[i] = float32((i*i*7+i*5)%8191)/4096 - 1
	}
	args := []any{tensors.FromFlatDataAndDimensions(pixels, 1, 3, height, width)}
	var names []string
	first := net.Init(3)
	for _, e := range net.Entries() {
		if e.Role != nn.Counter {
			v := first[e.Name]
			for i := range v {
				if open {
					v[i] = max(v[i], -v[i], 0.01)
				}
			}
			names, args = append(names, e.Name), append(args, tensors.FromFlatDataAndDimensions(v, e.Shape...))
		}
	}
	exec, err := graph.NewExec(engine.Backend, func(in []*graph.Node) *graph.Node {
		values := map[string]*graph.Node{}
		for i, name := range names {
			values[name] = in[1+i]
		}
		y := net.Forward(nn.NewScope(in[0].Graph(), false, values), in[0], nil)
		column := graph.Slice(y, graph.AxisRange(), graph.AxisRange(), graph.AxisRange(), graph.AxisElem(at))
		return graph.Gradient(graph.ReduceAllSum(column), in[0])[0]
	})
	must(t, err)
	out, err := exec.Call(args...)
	must(t, err)
	farthest := 0
	for i, g := range tensors.MustCopyFlatData[float32](out[0]) {
		if g != 0 {
			farthest = max(farthest, i%width-at, at-i%width)
		}
	}
	return farthest
}

// trial trains the network that models.md adds.
const trial = `package train

import (
	"context"
	"testing"
)

func TestTheNetworkOfTheDocuments(t *testing.T) {
	cfg := tiny(t)
	cfg.Model = %q
	result, _ := mustRun(t, context.Background(), newExperiment(t, cfg), cfg, Options{})
	if loss := result.History.TrainLoss; len(loss) != 3 || loss[2] >= loss[0] {
		t.Errorf("it does not learn: %%v", loss)
	}
}
`

// TestANewNetworkIsOneFileAndTwoLines builds the packages with what models.md
// adds, and runs their tests of all networks.
func TestANewNetworkIsOneFileAndTwoLines(t *testing.T) {
	t.Parallel()
	top, err := filepath.Abs(clone)
	must(t, err)
	dir, overlay := t.TempDir(), map[string]string{}
	replace := func(path, text string) {
		file := filepath.Join(dir, filepath.Base(path))
		must(t, os.WriteFile(file, []byte(text), 0o666))
		overlay[filepath.Join(top, path)] = file
	}
	blocks := blocksOf(t, "models.md")
	added, lines, names := only(blocks, "adds"), only(blocks, "registers"), only(blocks, "names")
	if len(added) != 1 || len(lines) != 1 || len(names) != 1 || len(blocks) != 3 {
		t.Fatalf("models.md has %d blocks, want a file, a line of the registry and one of the names", len(blocks))
	}
	replace(added[0].value, added[0].text)
	for _, line := range []struct{ file, after, text string }{
		{"pkg/model/model.go", "architecture{\n", lines[0].text},
		{"pkg/config/config.go", "var Models = []string{\n", names[0].text},
	} {
		source, err := os.ReadFile(filepath.Join(top, line.file))
		must(t, err)
		replace(line.file, strings.Replace(string(source), line.after, line.after+line.text, 1))
	}
	name := lines[0].value
	replace("pkg/train/documented_test.go", fmt.Sprintf(trial, name))
	raw, err := json.Marshal(map[string]any{"Replace": overlay})
	must(t, err)
	file := filepath.Join(dir, "overlay.json")
	must(t, os.WriteFile(file, raw, 0o666))

	tests := []string{"TestTheNetworkOfTheDocuments", "TestEveryComputationCanBeWrittenDownForXLA/" + name, "TestTheFileDescribesACompleteGraph", "TestSafetensorsHoldTheStateDict/" + name, "TestWhatCannotBeExportedIsSaidInOneSentence"}
	cmd := exec.Command("go", "test", "-v", "-overlay", file, "-run", strings.Join(tests, "|"), "./pkg/train", "./pkg/export")
	cmd.Dir = top
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for _, test := range tests {
		if !strings.Contains(string(out), "--- PASS: "+test) && !strings.Contains(test, "XLA") { // for which not every machine is built
			t.Errorf("%s did not run:\n%s", test, out)
		}
	}
}
