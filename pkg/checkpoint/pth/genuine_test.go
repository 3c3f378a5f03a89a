package pth

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/internal/reference"
)

var genuine = []string{"unet_f4_zip.pth", "unet_f4_legacy.pth"}

type expectedTensor struct {
	Shape       []int
	Sum         float64
	AbsSum      float64 `json:"abs_sum"`
	First, Last float64
	DType       string
}

func (want expectedTensor) compare(t *testing.T, name string, v any) {
	t.Helper()
	tensor, ok := v.(*Tensor)
	if !ok || !slices.Equal(tensor.Shape, want.Shape) || want.DType != "" && "torch."+tensor.DType.String() != want.DType {
		t.Errorf("%s: got %v, want a tensor of %s %v", name, v, want.DType, want.Shape)
		return
	}
	var values []float64
	if tensor.DType == Int64 {
		counts, err := tensor.Int64s()
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range counts {
			values = append(values, float64(n))
		}
	} else {
		var err error
		if values, err = tensor.Float64s(); err != nil {
			t.Fatal(err)
		}
	}
	sum, absSum := 0.0, 0.0
	for _, x := range values {
		sum += x
		absSum += math.Abs(x)
	}
	// PyTorch added the same numbers in float64 too, in another order.
	off := math.Max(math.Abs(sum-want.Sum), math.Abs(absSum-want.AbsSum))
	if values[0] != want.First || values[len(values)-1] != want.Last || off > 1e-12*math.Max(1, want.AbsSum) {
		t.Errorf("%s: got %v ... %v, sum %v, want %v ... %v, sum %v", name, values[0], values[len(values)-1], sum, want.First, want.Last, want.Sum)
	}
}

func TestGenuineFilesOfBothFormatsAreReadCompletely(t *testing.T) {
	var want struct {
		Model     map[string]expectedTensor `json:"model_state_dict"`
		Optimizer map[string]struct {
			Step     float64
			ExpAvg   expectedTensor `json:"exp_avg"`
			ExpAvgSq expectedTensor `json:"exp_avg_sq"`
		} `json:"optimizer_state"`
		Epoch, Metrics, Metadata, ParamGroups, Scheduler json.RawMessage
	}
	var raw map[string]json.RawMessage
	reference.JSON(t, "pth_expected.json", &want)
	reference.JSON(t, "pth_expected.json", &raw)
	for _, name := range genuine {
		root := must(t, reference.Path(t, name)).Root
		model := at(t, root, "model_state_dict").(*Dict)
		if !model.Ordered || model.Len() != len(want.Model) || len(want.Model) == 0 {
			t.Errorf("%s: %d weights (ordered %v), want %d in an OrderedDict", name, model.Len(), model.Ordered, len(want.Model))
		}
		for key, v := range model.All() {
			want.Model[key.(string)].compare(t, name+": "+key.(string), v)
		}
		states := at(t, root, "optimizer_state_dict", "state").(*Dict)
		if states.Len() != len(want.Optimizer) || states.Len() == 0 {
			t.Errorf("%s: %d optimizer states, want %d", name, states.Len(), len(want.Optimizer))
		}
		for key, state := range states.All() {
			w := want.Optimizer[fmt.Sprint(key)]
			step, err := at(t, state, "step").(*Tensor).Float32s()
			if err != nil || len(step) != 1 || float64(step[0]) != w.Step || len(at(t, state, "step").(*Tensor).Shape) != 0 {
				t.Errorf("%s: step %v of parameter %v (%v), want the single number %v", name, step, key, err, w.Step)
			}
			w.ExpAvg.compare(t, fmt.Sprintf("%s: exp_avg %v", name, key), at(t, state, "exp_avg"))
			w.ExpAvgSq.compare(t, fmt.Sprintf("%s: exp_avg_sq %v", name, key), at(t, state, "exp_avg_sq"))
		}
		for key, path := range map[string][]any{
			"epoch": {"epoch"}, "metrics": {"metrics"}, "metadata": {"metadata"},
			"scheduler_state_dict": {"scheduler_state_dict"}, "param_groups": {"optimizer_state_dict", "param_groups"},
		} {
			if d := differenceToJSON(at(t, root, path...), raw[key]); d != "" {
				t.Errorf("%s: %s%s", name, key, d)
			}
		}
	}
}

// differenceToJSON compares plain values, numbers also by kind: 1 is no 1.0.
func differenceToJSON(v any, text json.RawMessage) string {
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	var want any
	if err := decoder.Decode(&want); err != nil {
		return err.Error()
	}
	var compare func(v, want any) string
	items := func(list []any, want any) string {
		w, ok := want.([]any)
		if !ok || len(w) != len(list) {
			return fmt.Sprintf(": got %v, want %v", list, want)
		}
		for i := range list {
			if d := compare(list[i], w[i]); d != "" {
				return fmt.Sprintf("[%d]%s", i, d)
			}
		}
		return ""
	}
	compare = func(v, want any) string {
		switch v := v.(type) {
		case *Dict:
			w, ok := want.(map[string]any)
			if !ok || len(w) != v.Len() {
				return fmt.Sprintf(": got a dict of %v, want %v", v.keys, want)
			}
			for key, item := range v.All() {
				if d := compare(item, w[fmt.Sprint(key)]); d != "" {
					return fmt.Sprintf("[%v]%s", key, d)
				}
			}
			return ""
		case List:
			return items(v, want)
		case Tuple:
			return items(v, want)
		case int64:
			if n, ok := want.(json.Number); ok && n.String() == fmt.Sprint(v) {
				return ""
			}
		case float64:
			if n, ok := want.(json.Number); ok && strings.ContainsAny(n.String(), ".e") {
				if w, err := n.Float64(); err == nil && w == v {
					return ""
				}
			}
		default:
			if v == want {
				return ""
			}
		}
		return fmt.Sprintf(": got %#v, want %v", v, want)
	}
	return compare(v, want)
}

func TestALegacyFileSavedAgainHoldsTheSame(t *testing.T) {
	old := must(t, reference.Path(t, "unet_f4_legacy.pth"))
	path := filepath.Join(t.TempDir(), "new.pth")
	if err := Save(path, old.Root); err != nil { // its tensors go from file to file
		t.Fatal(err)
	}
	for _, name := range []string{reference.Path(t, "unet_f4_zip.pth"), reference.Path(t, "unet_f4_legacy.pth")} {
		if d := difference(must(t, path).Root, must(t, name).Root); d != "" {
			t.Errorf("the file saved again differs from %s at %s", filepath.Base(name), d)
		}
	}
}

func TestInspectListsWhatAGenuineFileHolds(t *testing.T) {
	for _, name := range genuine {
		entries, err := Inspect(reference.Path(t, name))
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, e := range entries {
			lines = append(lines, e.String())
		}
		for _, want := range []string{
			"epoch: 3",
			"model_state_dict/inc.double_conv.0.weight: float32 [4 3 3 3]",
			"model_state_dict/inc.double_conv.1.num_batches_tracked: int64 []",
			"optimizer_state_dict/state/0/step: float32 []",
			"optimizer_state_dict/param_groups/0/betas/1: 0.999",
			"optimizer_state_dict/param_groups/0/foreach: none",
			"scheduler_state_dict/verbose: false",
		} {
			if !slices.Contains(lines, want) {
				t.Errorf("%s: no line %q among %d", name, want, len(lines))
			}
		}
	}
}
