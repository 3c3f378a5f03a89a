package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"

	"rekindle/pkg/checkpoint/pth"
	"rekindle/pkg/config"
	"rekindle/pkg/durable"
)

// Load reads a checkpoint written by [Save] or by the Python original and
// checks all of it. A file made by PyTorch has no position, seed, history or
// configuration: those are zero in the State.
func Load(path string) (*State, error) {
	f, err := pth.Open(path)
	if err != nil {
		return nil, unusable(path, err)
	}
	defer f.Close()
	s, err := decode(f.Root)
	if err != nil {
		return nil, unusable(path, err)
	}
	return s, nil
}

// peek reads how far a checkpoint's training had come, not its tensors.
func peek(path string) (c Cursor, err error) {
	f, err := pth.Open(path)
	if err != nil {
		return c, unusable(path, err)
	}
	defer f.Close()
	root, ok := f.Root.(*pth.Dict)
	if !ok {
		return c, unusable(path, errNoDictionary)
	}
	if c.Epoch, err = integer(root, "epoch"); err != nil {
		return c, unusable(path, err)
	}
	x, err := decodeExtra(root)
	if err != nil {
		return c, unusable(path, err)
	}
	c.Position, c.Step = x.Position, x.Step
	return c, nil
}

var errNoDictionary = errors.New("it holds no dictionary")

func decode(v any) (*State, error) {
	root, ok := v.(*pth.Dict)
	if !ok {
		return nil, errNoDictionary
	}
	s := &State{BestLoss: math.NaN()}
	var err error
	if s.Epoch, err = integer(root, "epoch"); err != nil {
		return nil, err
	}
	if err := s.readModel(root); err != nil {
		return nil, err
	}
	if err := s.readMoments(root); err != nil {
		return nil, err
	}
	x, err := decodeExtra(root)
	if err != nil {
		return nil, err
	}
	if err := s.readAverage(root, x.Format > 1); err != nil {
		return nil, err
	}
	if x.Format == 0 {
		s.readPythonBest(root)
		s.readCosine(root)
		return s, nil
	}
	if got := fmt.Sprintf("%08x", s.checksum()); got != x.Checksum {
		return nil, fmt.Errorf("its tensors have checksum %s, it was saved with %s", got, x.Checksum)
	}
	s.Position, s.Step, s.Seed, s.MicroBatch = x.Position, x.Step, x.Seed, x.MicroBatch
	s.BestEpoch, s.Patience, s.Partial, s.Anchor = x.BestEpoch, x.Patience, x.Partial, x.Anchor
	s.Engine, s.Reason, s.Data, s.History = x.Engine, x.Reason, x.Data, x.History
	if x.BestLoss != nil {
		s.BestLoss = *x.BestLoss
	}
	s.Config = config.Default() // for the keys that came later than the file
	if err := json.Unmarshal(x.Config, &s.Config); err != nil {
		return nil, fmt.Errorf("its configuration: %w", err)
	}
	return s, nil
}

func (s *State) readModel(root *pth.Dict) error {
	model, err := subDict(root, "model_state_dict")
	if err != nil {
		return err
	}
	for key, v := range model.All() {
		name, ok := key.(string)
		t, isTensor := v.(*pth.Tensor)
		if !ok || !isTensor {
			return fmt.Errorf("model_state_dict[%v] is no tensor", key)
		}
		out := Tensor{Name: name, Shape: t.Shape}
		if out.IsCounter() {
			counts, err := t.Int64s()
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if len(counts) != 1 {
				return fmt.Errorf("%s holds %d numbers, want one", name, len(counts))
			}
			out.Count = counts[0]
		} else if out.Values, err = t.Float32s(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		s.Model = append(s.Model, out)
	}
	return nil
}

// readMoments reads AdamW's state, keyed by parameter index; a checkpoint from
// before the first step has none, which means zeros.
func (s *State) readMoments(root *pth.Dict) error {
	optimizer, err := subDict(root, "optimizer_state_dict")
	if err != nil {
		return err
	}
	states, err := subDict(optimizer, "state")
	if err != nil {
		return err
	}
	index := int64(0)
	for i := range s.Model {
		t := &s.Model[i]
		if !t.IsParameter() {
			continue
		}
		v, ok := states.Get(index)
		index++
		if !ok {
			t.First, t.Second = make([]float32, len(t.Values)), make([]float32, len(t.Values))
			continue
		}
		d, ok := v.(*pth.Dict)
		if !ok {
			return fmt.Errorf("optimizer state of %s is no dictionary", t.Name)
		}
		var step []float32
		if step, err = floats(d, "step", 1); err == nil {
			t.First, err = floats(d, "exp_avg", len(t.Values))
		}
		if err == nil {
			t.Second, err = floats(d, "exp_avg_sq", len(t.Values))
		}
		if err != nil {
			return fmt.Errorf("optimizer state of %s: %w", t.Name, err)
		}
		s.Step = int64(step[0])
	}
	return nil
}

// readAverage reads averages, which few checkpoints have.
func (s *State) readAverage(root *pth.Dict, statistics bool) error {
	if _, ok := root.Get("ema_state_dict"); !ok {
		return nil
	}
	averages, err := subDict(root, "ema_state_dict")
	if err != nil {
		return err
	}
	for i := range s.Model {
		t := &s.Model[i]
		if t.IsCounter() || !t.IsParameter() && !statistics {
			continue
		}
		if t.Average, err = floats(averages, t.Name, len(t.Values)); err != nil {
			return fmt.Errorf("ema_state_dict: %w", err)
		}
	}
	return nil
}

// readPythonBest takes the best loss from a best_model.pth of the original,
// whose own validation loss it is. In other files of the original it is unknown.
func (s *State) readPythonBest(root *pth.Dict) {
	meta, err := subDict(root, "metadata")
	if err != nil {
		return
	}
	best, err := integer(meta, "best_epoch")
	if err != nil || best != s.Epoch {
		return
	}
	metrics, err := subDict(root, "metrics")
	if err != nil {
		return
	}
	val, err := subDict(metrics, "val")
	if err != nil {
		return
	}
	if loss, ok := val.Get("loss"); ok {
		if loss, ok := loss.(float64); ok {
			s.BestEpoch, s.BestLoss = best, loss
		}
	}
}

// readCosine reads the scheduler's plan, where it has one that is understood.
func (s *State) readCosine(root *pth.Dict) {
	scheduler, err := subDict(root, "scheduler_state_dict")
	if err != nil {
		return
	}
	epochs, err := integer(scheduler, "T_max")
	if err != nil || epochs < 1 {
		return
	}
	steps, err := integer(scheduler, "last_epoch")
	if err != nil || steps < 0 || steps > s.Epoch {
		return
	}
	rates, _ := scheduler.Get("base_lrs")
	floor, _ := scheduler.Get("eta_min")
	list, ok := rates.(pth.List)
	if !ok || len(list) != 1 {
		return
	}
	base, ok := number(list[0])
	least, also := number(floor)
	if ok && also {
		s.Cosine = &Cosine{BaseLR: base, MinLR: least, Epochs: epochs, Steps: steps}
	}
}

// number reads what Python writes as 0.5 or as 0.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int64:
		return float64(v), true
	}
	return 0, false
}

func decodeExtra(root *pth.Dict) (x extra, err error) {
	meta, err := subDict(root, "metadata")
	if err != nil {
		return x, nil // made by PyTorch
	}
	v, ok := meta.Get("rekindle")
	if !ok {
		return x, nil
	}
	text, err := json.Marshal(fromPickle(v))
	if err != nil {
		return x, fmt.Errorf("its metadata: %w", err)
	}
	err = json.Unmarshal(text, &x)
	if x.Format > format { // what else it says may mean something else
		return x, fmt.Errorf("was written by a newer version (format %d, this one knows %d): %w", x.Format, format, errNewer)
	}
	if err != nil {
		return x, fmt.Errorf("its metadata: %w", err)
	}
	return x, nil
}

func fromPickle(v any) any {
	switch v := v.(type) {
	case *pth.Dict:
		m := map[string]any{}
		for key, item := range v.All() {
			m[fmt.Sprint(key)] = fromPickle(item)
		}
		return m
	case pth.List:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = fromPickle(item)
		}
		return list
	}
	return v
}

func subDict(d *pth.Dict, key string) (*pth.Dict, error) {
	v, ok := d.Get(key)
	if !ok {
		return nil, fmt.Errorf("it has no %s", key)
	}
	sub, ok := v.(*pth.Dict)
	if !ok {
		return nil, fmt.Errorf("its %s is no dictionary", key)
	}
	return sub, nil
}

func integer(d *pth.Dict, key string) (int, error) {
	v, ok := d.Get(key)
	if !ok {
		return 0, fmt.Errorf("it has no %s", key)
	}
	i, ok := v.(int64)
	if !ok {
		return 0, fmt.Errorf("its %s is no whole number", key)
	}
	return int(i), nil
}

// floats reads a tensor of n numbers; PyTorch before 1.12 kept step as a plain number.
func floats(d *pth.Dict, key string, n int) ([]float32, error) {
	v, _ := d.Get(key)
	switch v := v.(type) {
	case *pth.Tensor:
		values, err := v.Float32s()
		if err == nil && len(values) != n {
			err = fmt.Errorf("%s holds %d numbers, want %d", key, len(values), n)
		}
		return values, err
	case int64:
		if n == 1 {
			return []float32{float32(v)}, nil
		}
	}
	return nil, fmt.Errorf("it has no tensor %s", key)
}

func trial(dir string, write func(io.Writer) error) (int64, error) {
	f, err := durable.Create(filepath.Join(dir, "trial"))
	if err != nil {
		return 0, err
	}
	defer f.Abort()
	if err := write(f); err != nil {
		return 0, err
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
