package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"rekindle/pkg/checkpoint/pth"
	"rekindle/pkg/config"
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

// Peek reads how far a checkpoint's training had come, not its tensors.
func Peek(path string) (Cursor, error) {
	f, err := pth.Open(path)
	if err != nil {
		return Cursor{}, unusable(path, err)
	}
	defer f.Close()
	var s State
	if _, err := s.readNumbers(f.Root); err != nil {
		return Cursor{}, unusable(path, err)
	}
	return s.Cursor, nil
}

func decode(v any) (*State, error) {
	s := &State{BestLoss: math.NaN()}
	x, err := s.readNumbers(v)
	if err != nil {
		return nil, err
	}
	root := v.(*pth.Dict)
	if err := s.readModel(root); err != nil {
		return nil, err
	}
	if err := s.readMoments(root, x.Format == 0); err != nil {
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
	if got := s.checksum(); got != x.Checksum {
		return nil, fmt.Errorf("its tensors have checksum %s, it was saved with %s", got, x.Checksum)
	}
	if x.BestLoss != nil {
		s.BestLoss = *x.BestLoss
	}
	s.Config = config.Default() // for the keys that came later than the file
	if err := json.Unmarshal(x.Config, &s.Config); err != nil {
		return nil, fmt.Errorf("its configuration: %w", err)
	}
	return s, nil
}

// readNumbers reads all but tensors. A file made by PyTorch has no extra.
func (s *State) readNumbers(v any) (x extra, err error) {
	root, ok := v.(*pth.Dict)
	if !ok {
		return x, errors.New("it holds no dictionary")
	}
	epoch, ok := lookup(root, "epoch").(int64)
	if !ok {
		return x, errors.New("it has no epoch, or none that is a whole number")
	}
	s.Epoch = int(epoch)
	own := lookup(root, "metadata", "rekindle")
	if own == nil {
		return x, nil
	}
	text, err := json.Marshal(fromPickle(own))
	if err != nil {
		return x, fmt.Errorf("its metadata: %w", err)
	}
	x.State = s
	err = json.Unmarshal(text, &x)
	if x.Format > format { // what else it says may mean something else
		return x, fmt.Errorf("was written by a newer version (format %d, this one knows %d): %w", x.Format, format, errNewer)
	}
	if err != nil {
		return x, fmt.Errorf("its metadata: %w", err)
	}
	return x, nil
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
func (s *State) readMoments(root *pth.Dict, steps bool) error {
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
		if steps {
			s.Step = int64(step[0])
		}
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
	best, ok := lookup(root, "metadata", "best_epoch").(int64)
	loss, also := lookup(root, "metrics", "val", "loss").(float64)
	if ok && also && int(best) == s.Epoch {
		s.BestEpoch, s.BestLoss = s.Epoch, loss
	}
}

// readCosine reads the scheduler's plan, where it has one that is understood.
func (s *State) readCosine(root *pth.Dict) {
	plan := lookup(root, "scheduler_state_dict")
	epochs, hasEpochs := lookup(plan, "T_max").(int64)
	steps, hasSteps := lookup(plan, "last_epoch").(int64)
	base, hasBase := number(only(lookup(plan, "base_lrs")))
	least, hasLeast := number(lookup(plan, "eta_min"))
	if !hasEpochs || !hasSteps || !hasBase || !hasLeast || epochs < 1 || steps < 0 || int(steps) > s.Epoch {
		return
	}
	s.Cosine = &Cosine{BaseLR: base, MinLR: least, Epochs: int(epochs), Steps: int(steps), LR: base}
	if next, ok := number(only(lookup(plan, "_last_lr"))); ok {
		s.Cosine.LR = next
	}
	if whole, ok := number(lookup(only(lookup(root, "optimizer_state_dict", "param_groups")), "initial_lr")); ok {
		s.Cosine.BaseLR = whole // should the curve have been planned anew
	}
}

// lookup follows keys through dictionaries; nil is not there.
func lookup(v any, keys ...string) any {
	for _, key := range keys {
		d, ok := v.(*pth.Dict)
		if !ok {
			return nil
		}
		v, _ = d.Get(key)
	}
	return v
}

// only is what a list of one entry holds; nil is no such list.
func only(v any) any {
	if list, ok := v.(pth.List); ok && len(list) == 1 {
		return list[0]
	}
	return nil
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
