package weights

import "strings"

// inner are what torch.compile, FSDP and checkpointing put into names, also in
// the middle of them; no network has such names of its own.
var inner = []string{"_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."}

// outer are what wrappers and the modules of Lightning and MMEngine call the network that they hold;
// and a network with others around it its part that is a DnCNN.
var outer = []string{"module.", "model.", "net.", "network.", "net_g.", "netG.", "generator.", "denoiser.", "dncnn."}

// averaged are the outer names of moving averages, which are preferred to what lies beside them.
var averaged = []string{"ema_model.", "model_ema.", "generator_ema.", "ema."}

// unwrap takes off what wrappers put in front of the names of a network.
func (w *Weights) unwrap() {
	for w.takeOff() {
	}
}

// takeOff takes one wrapper off all names and reports whether there was one.
func (w *Weights) takeOff() bool {
	for _, part := range inner {
		if found := w.rename(func(name string) string { return strings.ReplaceAll(name, part, "") }); found {
			w.Prefix += part
			return true
		}
	}
	for _, prefix := range averaged {
		if w.only(prefix) {
			return true
		}
	}
	for _, prefix := range outer {
		if (w.parts || w.all(prefix)) && w.only(prefix) {
			return true
		}
	}
	return false
}

// rename changes names and reports whether any was changed.
func (w *Weights) rename(to func(name string) string) (changed bool) {
	for i := range w.Tensors {
		t := &w.Tensors[i]
		if name := to(t.Name); name != t.Name {
			t.Name, changed = name, true
		}
	}
	return changed
}

// all reports whether all names begin with prefix, but for the counter that
// PyTorch's AveragedModel puts beside its module.
func (w *Weights) all(prefix string) bool {
	for _, t := range w.Tensors {
		if !strings.HasPrefix(t.Name, prefix) && t.Name != "n_averaged" {
			return false
		}
	}
	return true
}

// only takes prefix off the names that have it and leaves out all others. It does
// nothing if there are none, or if one would begin with a number: layers of a
// plain sequence have no other name than the sequence's (KAIR's "model.0.weight").
func (w *Weights) only(prefix string) bool {
	var kept []Tensor
	var others []string
	for _, t := range w.Tensors {
		name, ok := strings.CutPrefix(t.Name, prefix)
		if !ok {
			others = append(others, t.Name)
			continue
		}
		if name == "" || name[0] >= '0' && name[0] <= '9' {
			return false
		}
		t.Name = name
		kept = append(kept, t)
	}
	if len(kept) == 0 {
		return false
	}
	w.Tensors, w.Prefix = kept, w.Prefix+prefix
	w.Unused = append(w.Unused, others...)
	return true
}
