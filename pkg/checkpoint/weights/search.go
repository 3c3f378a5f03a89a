package weights

import (
	"fmt"
	"strings"

	"rekindle/pkg/checkpoint/pth"
)

// keys are what training programs call a network's state_dict, the better ones
// first: averaged weights give better pictures than those trained last (BasicSR,
// Rekindle, timm, MMEngine).
var keys = []string{
	"params_ema", "ema_state_dict", "state_dict_ema", "model_ema", "ema_model", "g_ema", "ema",
	"params", "model_state_dict", "state_dict", "model_state", "model", "network", "net", "net_g", "netG", "generator", "weights", "module", "shadow",
}

// maxNesting is how deep below the root a network is looked for.
const maxNesting = 4

// search finds the state_dict of a network in a checkpoint.
type search struct {
	parts     bool        // other modules, losses for example, may lie beside the network
	optimizer bool        // there is the state of one
	networks  []string    // keys of state_dicts that nothing tells apart
	objects   [][2]string // keys under which a whole object stands instead, and its class
}

// find returns the state_dict in v and the keys that lead to it, or nil.
func (s *search) find(v any, at string, depth int) (state *pth.Dict, key string) {
	if depth > maxNesting {
		return nil, ""
	}
	switch v := v.(type) {
	case pth.List:
		return s.first(v, at, depth)
	case pth.Tuple:
		return s.first(v, at, depth)
	case *pth.Opaque:
		s.objects = append(s.objects, [2]string{at, v.Class})
	case *pth.Dict:
		return s.dict(v, at, depth)
	}
	return nil, ""
}

// first looks into lists, [state_dict, optimizer] and the like.
func (s *search) first(items []any, at string, depth int) (*pth.Dict, string) {
	for i, item := range items {
		if state, key := s.find(item, join(at, fmt.Sprint(i)), depth+1); state != nil {
			return state, key
		}
	}
	return nil, ""
}

func (s *search) dict(d *pth.Dict, at string, depth int) (*pth.Dict, string) {
	if _, ok := d.Get("pytorch-lightning_version"); ok {
		s.parts = true
	}
	if meta, ok := d.Get("meta"); ok { // MMEngine
		if _, ok := meta.(*pth.Dict); ok {
			s.parts = true
		}
	}
	for _, k := range []string{"optimizer", "optimizers", "optimizer_states", "param_groups"} {
		if _, ok := d.Get(k); ok {
			s.optimizer = true
		}
	}
	for _, k := range keys {
		if v, ok := d.Get(k); ok {
			if state, key := s.find(v, join(at, k), depth+1); state != nil {
				return state, key
			}
		}
	}
	if isState(d) {
		return d, at
	}
	// An unknown name: it must be the only one.
	var found *pth.Dict
	var foundAt string
	for k, v := range d.All() {
		name, text := k.(string)
		if inside, ok := v.(*pth.Dict); text && ok && isState(inside) {
			found, foundAt = inside, join(at, name)
			s.networks = append(s.networks, foundAt)
		}
	}
	if len(s.networks) > 1 {
		return nil, ""
	}
	return found, foundAt
}

func join(at, key string) string {
	if at == "" {
		return key
	}
	return at + "/" + key
}

// isState reports whether tensors stand in d under names.
func isState(d *pth.Dict) bool {
	for k, v := range d.All() {
		_, name := k.(string)
		if _, ok := v.(*pth.Tensor); ok && name {
			return true
		}
	}
	return false
}

// why says why nothing was found.
func (s *search) why() string {
	switch {
	case len(s.networks) > 1:
		return fmt.Sprintf("it holds several networks (%s); save the one you want by itself, torch.save(model.state_dict(), \"weights.pth\")", strings.Join(s.networks, ", "))
	case len(s.objects) > 0:
		where := "it is"
		if at := s.objects[0][0]; at != "" {
			where = fmt.Sprintf("under %q it holds", at)
		}
		return fmt.Sprintf("%s an object of the class %s instead of its weights; save those, in Python: torch.save(model.state_dict(), \"weights.pth\")", where, s.objects[0][1])
	}
	if s.optimizer {
		return "it holds the state of an optimizer and no network, whose weights are in another file (BasicSR: models/net_g_latest.pth)"
	}
	return "no dictionary in it has tensors by name, as torch.save(model.state_dict(), \"weights.pth\") writes them"
}
