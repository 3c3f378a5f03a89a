package pth

import (
	"math"
	"strings"
)

// persistent replaces a persistent id on the stack by the storage it stands for.
func (m *machine) persistent() error {
	v, err := m.pop()
	if err != nil {
		return err
	}
	id, ok := v.(Tuple)
	if !ok {
		return damaged("a persistent id is %s, want a tuple", kind(v))
	}
	s, err := m.persist(id)
	if err != nil {
		return err
	}
	m.push(s)
	return nil
}

// build sets attributes: of an OrderedDict (_metadata) and of objects that are
// skipped, nothing that tensors need; of a numpy.dtype, its byte order.
func (m *machine) build() error {
	items, err := m.popN(2)
	if err != nil {
		return err
	}
	switch v := items[0].(type) {
	case *Opaque:
		m.push(v)
		return nil
	case *numpyType:
		v.order(items[1])
		m.push(v)
		return nil
	case *Dict:
		if _, dict := items[1].(*Dict); dict && v.Ordered {
			m.push(v)
			return nil
		}
	}
	return refused("the pickle sets attributes of %s", kind(items[0]))
}

// reduce calls one of the functions that are known. What others would return
// cannot be known without running them: it is skipped, whatever the arguments.
func (m *machine) reduce() error {
	items, err := m.popN(2)
	if err != nil {
		return err
	}
	args, ok := items[1].(Tuple)
	if !ok {
		return damaged("the pickle calls a function with %s, want a tuple of arguments", kind(items[1]))
	}
	var f global
	switch v := items[0].(type) {
	case global:
		f = v
	case class:
		m.push(v.object(args))
		return nil
	case *Opaque:
		m.push(v)
		return nil
	default:
		return refused("the pickle calls %s", kind(v))
	}
	if f == rebuildFromType && len(args) == 4 { // (function, class, its arguments, attributes)
		inner, ok := args[0].(global)
		if args, _ = args[2].(Tuple); !ok || args == nil || inner == rebuildFromType {
			return refused("the pickle calls %q with other arguments than PyTorch's", f)
		}
		f = inner
	}
	return m.call(f, args)
}

// newObject is reduce with named arguments.
func (m *machine) newObject() error {
	items, err := m.popN(3)
	if err != nil {
		return err
	}
	c, ok := items[0].(class)
	args, ok2 := items[1].(Tuple)
	if !ok || !ok2 {
		return refused("the pickle makes an object of %s", kind(items[0]))
	}
	m.push(c.object(args))
	return nil
}

// object is what calling the class makes. Python 2's way of making objects and
// NumPy's of making arrays name their class as an argument.
func (c class) object(args Tuple) *Opaque {
	if strings.HasSuffix(c.made.Class, "._reconstructor") || strings.HasSuffix(c.made.Class, "._reconstruct") {
		if len(args) == 0 {
			return c.made
		}
		if of, ok := args[0].(class); ok {
			return of.made
		}
	}
	return c.made
}

func (m *machine) call(f global, args Tuple) error {
	if len(args) > 0 {
		if skipped, ok := args[0].(*Opaque); ok && f != orderedDict { // a tensor whose numbers are of a type that is not read
			m.push(skipped)
			return nil
		}
	}
	switch {
	case f == orderedDict && len(args) == 0:
		m.push(NewOrderedDict())
		return nil
	case f == orderedDict && len(args) == 1:
		return m.orderedDict(args[0])
	case f == rebuildTensor, f == rebuildOldTensor && len(args) == 4:
		t, err := newView(args)
		if err != nil {
			return err
		}
		m.made += 2 * len(t.Shape)
		m.push(t)
		return nil
	case f == rebuildParameter && len(args) == 3, f == rebuildWithState && len(args) == 4:
		if t, ok := args[0].(*Tensor); ok {
			m.push(t)
			return nil
		}
	case f == torchSize && len(args) == 1:
		if sizes, ok := args[0].(Tuple); ok {
			m.push(sizes)
			return nil
		}
	case f == defaultDict && len(args) <= 1, f == counter && len(args) == 0:
		m.push(NewDict())
		return nil
	case f == counter && len(args) == 1:
		if d, ok := args[0].(*Dict); ok {
			m.push(d)
			return nil
		}
	case f == encode && len(args) == 2:
		if s, ok := args[0].(string); ok && args[1] == "latin1" {
			m.push(encoded(s))
			return nil
		}
	case f == numpyDType && len(args) > 0:
		if code, ok := args[0].(string); ok {
			m.push(&numpyType{code: code})
			return nil
		}
	case (f == numpyScalar || f == numpyScalar2) && len(args) == 2:
		if t, ok := args[0].(*numpyType); ok {
			m.push(t.scalar(args[1]))
			return nil
		}
	}
	return refused("the pickle calls %q with %d arguments", f, len(args))
}

// orderedDict makes OrderedDict([[key, value], ...]), as Python 2 wrote it.
func (m *machine) orderedDict(pairs any) error {
	l, ok := pairs.(*list)
	if !ok {
		return refused("the pickle makes an OrderedDict of %s", kind(pairs))
	}
	d := NewOrderedDict()
	for _, item := range l.items {
		pair, ok := item.(*list)
		if !ok || len(pair.items) != 2 {
			return damaged("the pickle makes an OrderedDict of something else than pairs")
		}
		key, ok := pair.items[0].(string)
		if !ok {
			return refused("an OrderedDict has %s as a key; only text is read", kind(pair.items[0]))
		}
		d.Set(key, pair.items[1])
	}
	m.made += d.Len()
	m.push(d)
	return nil
}

// describe reads a persistent id: ('storage', class, key, device, count), in the
// old format also a part of another storage, which was never more than None.
// room is how many bytes it may have.
func (src source) describe(id Tuple, room int64) (*storage, error) {
	if len(id) < 5 || id[0] != "storage" {
		return nil, damaged("a persistent id names no storage")
	}
	if c, ok := id[1].(class); ok {
		return nil, refused("its numbers are in a %s, which is not read", c.made.Class)
	}
	class, ok1 := id[1].(global)
	key, ok2 := id[2].(string)
	numel, ok3 := id[4].(int64)
	if !ok1 || !ok2 || !ok3 || len(key) > maxName {
		return nil, damaged("a storage is described wrongly")
	}
	if len(id) > 5 && id[5] != nil {
		return nil, refused("storage %q is a part of another storage", key)
	}
	dtype, ok := storageClasses[class]
	if !ok {
		return nil, damaged("storage %q has no type of numbers", key)
	}
	if numel < 0 || numel > room/int64(dtype.Size()) || numel > math.MaxInt/8 {
		return nil, damaged("storage %q should hold %d numbers of %v, more than the file has room for", key, numel, dtype)
	}
	return &storage{dtype: dtype, numel: int(numel), key: key, source: src}, nil
}

// newView makes the tensor _rebuild_tensor_v2(storage, offset, shape, strides,
// requires_grad, hooks, metadata), of which _rebuild_tensor has the first four, and checks that it stays inside its storage.
func newView(args Tuple) (*Tensor, error) {
	if len(args) < 4 {
		return nil, damaged("a tensor is described by %d values, want at least 4", len(args))
	}
	s, ok := args[0].(*storage)
	offset, ok2 := args[1].(int64)
	shape, err := integers(args[2])
	strides, err2 := integers(args[3])
	if !ok || !ok2 || err != nil || err2 != nil || len(shape) != len(strides) || offset < 0 {
		return nil, damaged("a tensor is described wrongly")
	}
	if len(args) > 6 {
		if d, ok := args[6].(*Dict); args[6] != nil && (!ok || d.Len() > 0) {
			return nil, refused("a tensor is stored negated or conjugated")
		}
	}
	count, err := product(shape)
	if err != nil || int64(count) > math.MaxInt64/8 {
		return nil, damaged("a tensor has the impossible shape %v", shape)
	}
	t := &Tensor{DType: s.dtype, Shape: shape, view: &view{storage: s, offset: int(offset), strides: strides, count: count}}
	if count == 0 {
		t.view.offset = 0
		return t, nil
	}
	room := int64(s.numel) - 1 - offset // numbers behind the first
	for i, d := range shape {
		if d > 1 && strides[i] > 0 && room >= 0 {
			if int64(d-1) > room/int64(strides[i]) {
				room = -1
			} else {
				room -= int64(d-1) * int64(strides[i])
			}
		}
	}
	if room < 0 {
		return nil, damaged("a tensor of shape %v, strides %v and offset %d overruns storage %q of %d numbers", shape, strides, offset, s.key, s.numel)
	}
	return t, nil
}

// integers reads a tuple of sizes or strides.
func integers(v any) ([]int, error) {
	t, ok := v.(Tuple)
	if !ok || len(t) > maxRank {
		return nil, ErrDamaged
	}
	out := make([]int, len(t))
	for i, x := range t {
		n, ok := x.(int64)
		if !ok || n < 0 || n > math.MaxInt {
			return nil, ErrDamaged
		}
		out[i] = int(n)
	}
	return out, nil
}

// plain turns what a pickle made into the values that [Dict] lists, and refuses
// values that nest too deep, contain themselves, unfold into too many, or hold
// what is no value.
func (src source) plain(v any) (any, error) {
	p := plainer{bytes: src.unpacked()}
	v, err := p.value(v, 0)
	if o, ok := v.(*Opaque); ok {
		return nil, refused("it is an object of the class %s as a whole and not a dictionary of tensors; %s", o.Class, instead)
	}
	return v, err
}

// unpacked is how many bytes of numbers a file of this size may stand for.
func (src source) unpacked() int64 { return maxSharing*src.size + 1<<20 }

// instead says what to do about a file that is refused.
const instead = `save its weights instead, in Python: torch.save(model.state_dict(), "weights.pth")`

type plainer struct {
	count int
	bytes int64 // left for tensors
}

func (p *plainer) value(v any, depth int) (any, error) {
	if depth > maxDepth {
		return nil, refused("its values nest more than %d levels deep, or contain themselves", maxDepth)
	}
	if p.count++; p.count > maxValues {
		return nil, refused("it unfolds into more than %d values", maxValues)
	}
	// v is returned as it came: making a new interface value of a tuple each time
	// that it appears would take memory that the file does not have.
	switch x := v.(type) {
	case nil, bool, int64, float64, string, *Opaque:
		return v, nil
	case class:
		return x.made, nil
	case []byte, encoded:
		return someBytes, nil
	case *numpyType:
		return aNumpyType, nil
	case *Dict:
		for _, k := range x.keys {
			item, err := p.value(x.values[k], depth+1)
			if err != nil {
				return nil, err
			}
			x.values[k] = item
		}
		return v, nil
	case *list:
		if x.done == nil {
			x.done = List(x.items)
		}
		return x.done, p.items(x.items, depth)
	case List:
		return v, p.items(x, depth)
	case Tuple:
		return v, p.items(x, depth)
	case *Tensor:
		need := int64(x.view.count)
		if need > p.bytes/int64(x.DType.Size()) {
			return nil, refused("its tensors repeat the same numbers until they are many times larger than the file")
		}
		p.bytes -= need * int64(x.DType.Size())
		return v, nil
	case bigInt:
		return aBigInt, nil
	case global:
		return aClass, nil
	}
	return nil, refused("it holds %s as a value", kind(v))
}

func (p *plainer) items(items []any, depth int) error {
	for i := range items {
		item, err := p.value(items[i], depth+1)
		if err != nil {
			return err
		}
		items[i] = item
	}
	return nil
}
