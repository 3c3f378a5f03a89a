package checkpoint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"path/filepath"
	"slices"

	"rekindle/pkg/checkpoint/pth"
	"rekindle/pkg/durable"
	"rekindle/pkg/schedule"
)

// format is the version of what stands under metadata.rekindle. Version 1 kept no
// averages of batch norm's statistics: those in its ema_state_dict are not averaged.
const format = 2

// extra is what stands under metadata.rekindle as plain dicts, lists and numbers.
type extra struct {
	Format   int      `json:"format"`
	Checksum string   `json:"tensors_crc32c"`
	BestLoss *float64 `json:"best_val_loss"` // null: not validated yet
	*State
	Config json.RawMessage `json:"config"` // the State's
}

// Save writes the State as a PyTorch checkpoint, all or nothing: after an error
// the file of that name is what it was.
func Save(path string, s *State) error {
	root, err := encode(s)
	if err != nil {
		return fmt.Errorf("checkpoint: %s: %w", path, err)
	}
	if err := pth.Save(path, root); err != nil {
		return fmt.Errorf("checkpoint: save %s: %w", filepath.Base(path), err)
	}
	return nil
}

// encode lays a State out as the dictionary that the Python original saves.
func encode(s *State) (*pth.Dict, error) {
	meta, err := encodeExtra(s)
	if err != nil {
		return nil, err
	}
	root := pth.NewDict()
	root.Set("epoch", int64(s.Epoch))
	root.Set("model_state_dict", stateDict(s.Model))
	if s.HasAverage() {
		root.Set("ema_state_dict", stateDict(s.Network()))
	}
	root.Set("optimizer_state_dict", optimizerDict(s))
	root.Set("scheduler_state_dict", schedulerDict(s))
	root.Set("metrics", metricsDict(s))
	root.Set("metadata", dict("total_epochs_completed", int64(s.Epoch), "best_epoch", int64(s.BestEpoch), "rekindle", meta))
	return root, nil
}

// stateDict is what a network's state_dict returns.
func stateDict(tensors []Tensor) *pth.Dict {
	d := pth.NewOrderedDict()
	for _, t := range tensors {
		if t.IsCounter() {
			d.Set(t.Name, pth.FromInt64([]int64{t.Count}))
		} else {
			d.Set(t.Name, pth.FromFloat32(t.Values, t.Shape...))
		}
	}
	return d
}

// optimizerDict is what torch.optim.AdamW's state_dict returns.
func optimizerDict(s *State) *pth.Dict {
	state := pth.NewDict()
	indices := pth.List{}
	for i, p := range s.Parameters() {
		if s.Step > 0 { // PyTorch creates the moments with the first step
			state.Set(int64(i), dict(
				"step", pth.FromFloat32([]float32{float32(s.Step)}),
				"exp_avg", pth.FromFloat32(p.First, p.Shape...),
				"exp_avg_sq", pth.FromFloat32(p.Second, p.Shape...)))
		}
		indices = append(indices, int64(i))
	}
	group := dict(
		"lr", s.nextRate(), "betas", pth.Tuple{0.9, 0.999}, "eps", 1e-8, "weight_decay", s.Config.WeightDecay,
		"amsgrad", false, "foreach", nil, "maximize", false, "capturable", false,
		"initial_lr", s.Config.LearningRate, "params", indices)
	return dict("state", state, "param_groups", pth.List{group})
}

// schedulerDict is what torch.optim.lr_scheduler.CosineAnnealingLR's state_dict
// returns when it is stepped at the end of each epoch after the warm-up, or after
// the epoch from which the curve goes on since it was planned anew.
func schedulerDict(s *State) any {
	if s.Config.Scheduler != "cosine" {
		return nil
	}
	epochs, steps, base := s.Config.NumEpochs-s.Config.WarmupEpochs, int64(max(0, s.Epoch-s.Config.WarmupEpochs)), s.Config.LearningRate
	if a := s.Anchor; a.Epoch > 0 { // that epoch had the rate of step 0, the first after the warm-up has it
		epochs, steps, base = s.Config.NumEpochs-a.Epoch, int64(max(0, s.Epoch-a.Epoch+1)), a.LR
	}
	return dict(
		"T_max", int64(max(1, epochs)), "eta_min", min(s.Config.MinLR, base),
		"base_lrs", pth.List{base}, "last_epoch", steps, "verbose", false,
		"_step_count", steps+1, "_get_lr_called_within_step", false, "_last_lr", pth.List{s.nextRate()})
}

// nextRate is the learning rate as PyTorch's optimizer would hold it after the
// epochs of s: that of the cosine after its last step, or the last warm-up rate.
func (s *State) nextRate() float64 {
	c := s.Config
	if s.Anchor.Epoch > 0 || s.Epoch > c.WarmupEpochs && c.Scheduler == "cosine" {
		return schedule.Rate(c, s.Anchor, s.Epoch+1)
	}
	if n := s.History.Len(); n > 0 && !math.IsNaN(s.History.LR[n-1]) {
		return s.History.LR[n-1]
	}
	return c.LearningRate
}

// metricsDict holds the last epoch's numbers, and the last validated ones.
func metricsDict(s *State) *pth.Dict {
	metrics := pth.NewDict()
	n := s.History.Len()
	if n == 0 {
		return metrics
	}
	e := s.History.At(n - 1)
	metrics.Set("train", dict("loss", e.TrainLoss, "l1", e.TrainL1, "ssim", e.TrainSSIM))
	if !math.IsNaN(e.ValLoss) {
		metrics.Set("val", dict("loss", e.ValLoss, "l1", e.ValL1, "ssim", e.ValSSIM))
	}
	return metrics
}

func encodeExtra(s *State) (*pth.Dict, error) {
	cfg, err := json.Marshal(s.Config)
	if err != nil {
		return nil, err
	}
	x := extra{Format: format, Checksum: s.checksum(), State: s, Config: cfg}
	if s.HasBest() {
		x.BestLoss = &s.BestLoss
	}
	text, err := json.Marshal(x)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var tree map[string]any
	if err := decoder.Decode(&tree); err != nil {
		return nil, err
	}
	return toPickle(tree).(*pth.Dict), nil
}

// toPickle turns decoded JSON into pickle's types, keys sorted.
func toPickle(v any) any {
	switch v := v.(type) {
	case map[string]any:
		d := pth.NewDict()
		for _, k := range slices.Sorted(maps.Keys(v)) {
			d.Set(k, toPickle(v[k]))
		}
		return d
	case []any:
		list := pth.List{}
		for _, e := range v {
			list = append(list, toPickle(e))
		}
		return list
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64() // JSON of ours has no number beyond it
		return f
	}
	return v // string, bool, nil
}

func dict(pairs ...any) *pth.Dict {
	d := pth.NewDict()
	for i := 0; i < len(pairs); i += 2 {
		d.Set(pairs[i], pairs[i+1])
	}
	return d
}

// TrialSave writes the State into dir, flushes it to the disk and removes it
// again. It returns the size of the file in bytes.
func TrialSave(dir string, s *State) (size int64, err error) {
	root, err := encode(s)
	if err != nil {
		return 0, fmt.Errorf("checkpoint: %w", err)
	}
	f, err := durable.Create(filepath.Join(dir, "trial"))
	if err != nil {
		return 0, err
	}
	defer f.Abort()
	if err = pth.Write(f, root); err == nil {
		err = f.Sync()
	}
	if err != nil {
		return 0, err
	}
	return f.Seek(0, io.SeekEnd)
}
