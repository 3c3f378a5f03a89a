package optim

import (
	"fmt"
	"math"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"rekindle/pkg/backend"
	"rekindle/pkg/internal/reference"
)

// advised by the reference data's README for AdamW in float32.
const tolerance = 1e-6

// trajectory runs AdamW over the given raw gradients, one parameter vector.
func trajectory(t *testing.T, o AdamW, lr float64, start []float32, gradients [][]float32) (params [][]float32, first, second []float32, norms []float32) {
	t.Helper()
	engine, err := backend.Open("go")
	if err != nil {
		t.Fatal(err)
	}
	exec, err := graph.NewExec(engine.Backend, func(in []*graph.Node) []*graph.Node {
		p, m, v, norm := o.Update([3]*graph.Node(in[:3]), in[3:4], in[4:5], in[5:6], in[6:7])
		return []*graph.Node{p[0], m[0], v[0], norm}
	})
	if err != nil {
		t.Fatal(err)
	}
	p, first, second := start, make([]float32, len(start)), make([]float32, len(start))
	for i, g := range gradients {
		s := o.Scalars(int64(i+1), lr)
		out, err := exec.Exec(float32(s[0]), float32(s[1]), float32(s[2]), p, g, first, second)
		if err != nil {
			t.Fatal(err)
		}
		p, first, second = tensors.MustCopyFlatData[float32](out[0]), tensors.MustCopyFlatData[float32](out[1]), tensors.MustCopyFlatData[float32](out[2])
		params = append(params, p)
		norms = append(norms, tensors.ToScalar[float32](out[3]))
	}
	return params, first, second, norms
}

func worst(got []float32, want []float64) float64 {
	w := 0.0
	for i := range got {
		w = math.Max(w, math.Abs(float64(got[i])-want[i])/math.Max(1, math.Abs(want[i])))
	}
	return w
}

func referenceCase(t *testing.T) (ref map[string]reference.Tensor, start []float32, gradients [][]float32) {
	ref = reference.Load(t, "layers.safetensors")
	all := ref["adamw.raw_grads"].Float32()
	for i := range 5 {
		gradients = append(gradients, all[i*17:(i+1)*17])
	}
	return ref, ref["adamw.param0"].Float32(), gradients
}

func TestAdamWFollowsPyTorch(t *testing.T) {
	ref, start, gradients := referenceCase(t)
	params, first, second, norms := trajectory(t, Default(), 1e-3, start, gradients)
	for i, p := range params {
		if w := worst(p, ref["adamw.params_after_each_step"].Data[i*17:(i+1)*17]); w > tolerance {
			t.Errorf("step %d: parameters differ by %g", i+1, w)
		}
	}
	for name, got := range map[string][]float32{"adamw.exp_avg": first, "adamw.exp_avg_sq": second, "adamw.preclip_norms": norms} {
		if w := worst(got, ref[name].Data); w > tolerance {
			t.Errorf("%s differs by %g", name, w)
		}
	}
	o := Default()
	o.WeightDecay, o.ClipNorm = 0.1, 0
	params, _, _, _ = trajectory(t, o, 1e-2, start, gradients)
	for i, p := range params {
		if w := worst(p, ref["adamw_wd0.1_lr1e-2_noclip.params_after_each_step"].Data[i*17:(i+1)*17]); w > tolerance {
			t.Errorf("weight decay 0.1, no clipping, step %d: parameters differ by %g", i+1, w)
		}
	}
}

// TestTheComparisonSeesMistakes: an optimizer that is slightly wrong must not pass.
func TestTheComparisonSeesMistakes(t *testing.T) {
	ref, start, gradients := referenceCase(t)
	for name, spoil := range map[string]func(*AdamW){
		"epsilon 1e-4":     func(o *AdamW) { o.Epsilon = 1e-4 },
		"beta1 0.89":       func(o *AdamW) { o.Beta1 = 0.89 },
		"beta2 0.99":       func(o *AdamW) { o.Beta2 = 0.99 },
		"no clipping":      func(o *AdamW) { o.ClipNorm = 0 },
		"decay 0.1":        func(o *AdamW) { o.WeightDecay = 0.1 },
		"clipping at half": func(o *AdamW) { o.ClipNorm = 0.5 },
	} {
		o := Default()
		spoil(&o)
		params, first, _, _ := trajectory(t, o, 1e-3, start, gradients)
		w := worst(params[4], ref["adamw.params_after_each_step"].Data[4*17:]) + worst(first, ref["adamw.exp_avg"].Data)
		if w <= tolerance {
			t.Errorf("%s passes: differs by only %g", name, w)
		}
	}
	// Coupled decay (plain Adam with L2) adds the decay to the gradients.
	coupled := make([][]float32, len(gradients))
	for i, g := range gradients {
		for j := range g {
			coupled[i] = append(coupled[i], g[j]+0.1*start[j])
		}
	}
	o := Default()
	o.WeightDecay, o.ClipNorm = 0, 0
	params, _, _, _ := trajectory(t, o, 1e-2, start, coupled)
	if w := worst(params[0], ref["adamw_wd0.1_lr1e-2_noclip.params_after_each_step"].Data[:17]); w <= tolerance {
		t.Errorf("coupled weight decay passes: differs by only %g", w)
	}
}

func TestTheScheduleIsPyTorchs(t *testing.T) {
	var raw map[string]any
	reference.JSON(t, "lr_schedule.json", &raw)
	for _, name := range []string{"main", "resume_after_epoch_12", "resume_after_epoch_3_inside_warmup"} {
		entry := raw[name].(map[string]any)
		first := 1
		if v, ok := entry["first_epoch"].(float64); ok {
			first = int(v)
		}
		for i, v := range entry["lr_used_in_epoch"].([]any) {
			want := v.(float64)
			got := Schedule{"cosine", 1e-4, 1e-6, 5, 36}.At(first + i)
			if math.Abs(got-want) > 1e-15 {
				t.Errorf("%s: epoch %d uses %v, want %v", name, first+i, got, want)
			}
		}
	}
}

func TestTheRateNeverRisesAfterTheWarmUp(t *testing.T) {
	for _, kind := range []string{"cosine", "none"} {
		s := Schedule{kind, 1e-3, 1e-6, 5, 36}
		for epoch := 7; epoch < 200; epoch++ {
			if s.At(epoch) > s.At(epoch-1) {
				t.Fatalf("%s: the rate rises in epoch %d", kind, epoch)
			}
		}
	}
}

func ExampleSchedule() {
	s := Schedule{Kind: "cosine", LearningRate: 1e-4, MinLR: 1e-6, WarmupEpochs: 5, NumEpochs: 36}
	for _, epoch := range []int{1, 5, 6, 36} {
		fmt.Printf("%d: %.3g\n", epoch, s.At(epoch))
	}
	// Output:
	// 1: 2e-05
	// 5: 0.0001
	// 6: 0.0001
	// 36: 1.25e-06
}
