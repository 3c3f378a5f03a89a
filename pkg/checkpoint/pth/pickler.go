package pth

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// pickler writes pickle protocol 2, with no operations but those that PyTorch's
// restricted unpickler (weights_only=True) accepts.
type pickler struct {
	out     []byte
	tensors []*Tensor       // in the order of their storages
	index   map[*Tensor]int // a tensor that appears twice is stored once, as PyTorch does
	depth   int

	count          int   // of what a reader counts against maxValues, or more
	stored, shared int64 // bytes of the tensors, and with those that appear again
}

// pickle appends the whole pickle of v to out.
func (p *pickler) pickle(v any) error {
	p.index = map[*Tensor]int{}
	p.op(opProto, 2)
	if err := p.value(v); err != nil {
		return err
	}
	p.op(opStop)
	// What could not be read again must not be written.
	if p.count > maxValues {
		return fmt.Errorf("it has more than %d values", maxValues)
	}
	if p.shared/maxSharing > p.stored {
		return fmt.Errorf("its tensors appear more than %d times each", maxSharing)
	}
	return nil
}

func (p *pickler) op(b ...byte) {
	p.count++
	p.out = append(p.out, b...)
}

func (p *pickler) value(v any) error {
	if p.depth++; p.depth > maxDepth {
		return fmt.Errorf("the values nest more than %d levels deep, or contain themselves", maxDepth)
	}
	defer func() { p.depth-- }()
	switch v := v.(type) {
	case nil:
		p.op(opNone)
	case bool:
		if v {
			p.op(opNewTrue)
		} else {
			p.op(opNewFalse)
		}
	case int64:
		p.integer(v)
	case int:
		p.integer(int64(v))
	case float64:
		p.op(opBinFloat)
		p.out = binary.BigEndian.AppendUint64(p.out, math.Float64bits(v))
	case string:
		return p.text(v)
	case List:
		p.op(opEmptyList)
		return p.items(v, opAppends)
	case Tuple:
		if len(v) == 0 {
			p.op(opEmptyTuple)
		}
		return p.items(v, opTuple)
	case *Dict:
		return p.dict(v)
	case *Tensor:
		return p.tensor(v)
	default:
		return fmt.Errorf("a %T cannot be written", v)
	}
	return nil
}

// items writes a list of values and what is to be done with them.
func (p *pickler) items(list []any, use byte) error {
	if len(list) == 0 {
		return nil
	}
	p.op(opMark)
	for i, item := range list {
		if err := p.value(item); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
	p.op(use)
	return nil
}

func (p *pickler) dict(d *Dict) error {
	if d == nil {
		return errors.New("a nil *Dict cannot be written")
	}
	if d.Ordered {
		p.emptyOrderedDict()
	} else {
		p.op(opEmptyDict)
	}
	if d.Len() == 0 {
		return nil
	}
	p.op(opMark)
	for key, value := range d.All() {
		switch key := key.(type) {
		case string:
			if err := p.text(key); err != nil {
				return err
			}
		case int64:
			p.integer(key)
		default:
			return fmt.Errorf("a %T cannot be a key; texts and whole numbers can", key)
		}
		if err := p.value(value); err != nil {
			return fmt.Errorf("[%v]: %w", key, err)
		}
	}
	p.op(opSetItems)
	return nil
}

func (p *pickler) integer(v int64) {
	switch {
	case v >= 0 && v < 1<<8:
		p.op(opBinInt1, byte(v))
	case v >= 0 && v < 1<<16:
		p.op(opBinInt2, byte(v), byte(v>>8))
	case v >= math.MinInt32 && v <= math.MaxInt32:
		p.op(opBinInt)
		p.out = binary.LittleEndian.AppendUint32(p.out, uint32(int32(v)))
	default:
		p.op(opLong1, 8)
		p.out = binary.LittleEndian.AppendUint64(p.out, uint64(v))
	}
}

func (p *pickler) text(s string) error {
	if !utf8.ValidString(s) || len(s) > math.MaxInt32 {
		return fmt.Errorf("the text %.50q is not UTF-8, or too long: Python could not load it", s)
	}
	p.op(opBinUnicode)
	p.out = binary.LittleEndian.AppendUint32(p.out, uint32(len(s)))
	p.out = append(p.out, s...)
	return nil
}

func (p *pickler) global(g global) {
	p.op(opGlobal)
	for _, c := range []byte(g) {
		if c == ' ' {
			c = '\n'
		}
		p.out = append(p.out, c)
	}
	p.out = append(p.out, '\n')
}

func (p *pickler) emptyOrderedDict() {
	p.global(orderedDict)
	p.op(opEmptyTuple, opReduce)
}

// tensor writes the call that rebuilds it:
// _rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks).
func (p *pickler) tensor(t *Tensor) error {
	if t == nil {
		return errors.New("a nil *Tensor cannot be written")
	}
	if err := t.check(); err != nil {
		return err
	}
	key, known := p.index[t]
	if !known {
		key = len(p.tensors)
		p.index[t] = key
		p.tensors = append(p.tensors, t)
		p.stored += int64(t.Len() * t.DType.Size())
	}
	p.shared += int64(t.Len() * t.DType.Size())
	p.count += 2 * len(t.Shape)
	p.global(rebuildTensor)
	p.op(opMark, opMark)
	p.text("storage")
	p.global(global("torch " + dtypes[t.DType].storage))
	p.text(strconv.Itoa(key))
	p.text("cpu")
	p.integer(int64(t.Len()))
	p.op(opTuple, opBinPersID)
	p.integer(0)
	strides := make([]int, len(t.Shape))
	stride := 1
	for i := len(t.Shape) - 1; i >= 0; i-- {
		strides[i] = stride
		stride *= max(1, t.Shape[i]) // PyTorch's strides of empty tensors
	}
	for _, list := range [][]int{t.Shape, strides} {
		p.op(opMark)
		for _, n := range list {
			p.integer(int64(n))
		}
		p.op(opTuple)
	}
	p.op(opNewFalse)
	p.emptyOrderedDict()
	p.op(opTuple, opReduce)
	return nil
}
