package pth

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
)

// Operations of the pickle machine that state dictionaries use.
const (
	opProto        = 0x80
	opStop         = '.'
	opMark         = '('
	opGlobal       = 'c'
	opReduce       = 'R'
	opBuild        = 'b'
	opAppend       = 'a'
	opAppends      = 'e'
	opSetItem      = 's'
	opSetItems     = 'u'
	opTuple        = 't'
	opTuple1       = 0x85
	opTuple2       = 0x86
	opTuple3       = 0x87
	opNone         = 'N'
	opNewTrue      = 0x88
	opNewFalse     = 0x89
	opEmptyTuple   = ')'
	opEmptyList    = ']'
	opEmptyDict    = '}'
	opBinInt       = 'J'
	opBinInt1      = 'K'
	opBinInt2      = 'M'
	opLong1        = 0x8a
	opBinFloat     = 'G'
	opBinUnicode   = 'X'
	opShortUnicode = 0x8c
	opBinPersID    = 'Q'
	opBinGet       = 'h'
	opLongBinGet   = 'j'
	opBinPut       = 'q'
	opLongBinPut   = 'r'
	opMemoize      = 0x94
	opFrame        = 0x95
	opStackGlobal  = 0x93
)

// maxDepth bounds how deep dictionaries and lists may nest: genuine files need
// six levels, and what walks the result should not run out of stack.
const maxDepth = 100

// global is a class or function that a pickle names; only those in allowed.
type global string

var allowed = func() map[global]bool {
	m := map[global]bool{
		"collections OrderedDict":         true,
		"torch._utils _rebuild_tensor_v2": true,
		"torch._utils _rebuild_parameter": true,
	}
	for _, t := range dtypes {
		m[global("torch "+t.storage)] = true
	}
	return m
}()

// machine runs one pickle.
type machine struct {
	r       *bufio.Reader
	left    int64 // bytes that the pickle may still read
	read    int64
	stack   []any
	memo    map[uint32]any
	persist func(Tuple) (any, error) // what a persistent id stands for
}

type mark struct{}

// runPickle runs the pickle at the start of r, which holds at most size bytes,
// and returns its value and how many bytes it took.
func runPickle(r io.Reader, size int64, persist func(Tuple) (any, error)) (v any, n int64, err error) {
	m := &machine{r: bufio.NewReader(r), left: size, memo: map[uint32]any{}, persist: persist}
	for {
		op, err := m.bytes(1)
		if err != nil {
			return nil, 0, err
		}
		if op[0] == opStop {
			v, err := m.pop()
			if err != nil {
				return nil, 0, err
			}
			return v, m.read, checkSize(v, 0, new(int))
		}
		if err := m.do(op[0]); err != nil {
			return nil, 0, err
		}
	}
}

// maxValues bounds how many values the result has when everything that is shared
// is counted each time it appears, so that whoever walks it comes to an end.
const maxValues = 10_000_000

// checkSize refuses values that nest too deep, contain themselves, or unfold
// into too many.
func checkSize(v any, depth int, count *int) error {
	if *count++; depth > maxDepth || *count > maxValues {
		return errors.New("the pickle nests too deep or unfolds into too many values")
	}
	switch v := v.(type) {
	case *Dict:
		for _, item := range v.All() {
			if err := checkSize(item, depth+1, count); err != nil {
				return err
			}
		}
	case List:
		return checkAll(v, depth, count)
	case Tuple:
		return checkAll(v, depth, count)
	}
	return nil
}

func checkAll(items []any, depth int, count *int) error {
	for _, item := range items {
		if err := checkSize(item, depth+1, count); err != nil {
			return err
		}
	}
	return nil
}

// list is a list that may still grow; it becomes a List when something takes it in.
type list struct{ items []any }

func (m *machine) bytes(n int64) ([]byte, error) {
	if n > m.left {
		return nil, errors.New("the pickle is cut off")
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(m.r, b); err != nil {
		return nil, err
	}
	m.left -= n
	m.read += n
	return b, nil
}

func (m *machine) line() (string, error) {
	var b strings.Builder
	for b.Len() < 1<<10 {
		c, err := m.bytes(1)
		if err != nil {
			return "", err
		}
		if c[0] == '\n' {
			return b.String(), nil
		}
		b.WriteByte(c[0])
	}
	return "", errors.New("a name of more than 1024 letters")
}

func (m *machine) push(v any) { m.stack = append(m.stack, v) }

func (m *machine) pop() (any, error) {
	if len(m.stack) == 0 {
		return nil, errors.New("the pickle takes from an empty stack")
	}
	v := m.stack[len(m.stack)-1]
	m.stack = m.stack[:len(m.stack)-1]
	if _, ok := v.(mark); ok {
		return nil, errors.New("the pickle takes a mark for a value")
	}
	return finish(v), nil
}

// finish turns a growing list into its value.
func finish(v any) any {
	if l, ok := v.(*list); ok {
		return List(l.items)
	}
	return v
}

// popToMark takes everything above the newest mark.
func (m *machine) popToMark() ([]any, error) {
	for i := len(m.stack) - 1; i >= 0; i-- {
		if _, ok := m.stack[i].(mark); ok {
			items := append([]any{}, m.stack[i+1:]...)
			m.stack = m.stack[:i]
			for j := range items {
				items[j] = finish(items[j])
			}
			return items, nil
		}
	}
	return nil, errors.New("the pickle has no mark where it needs one")
}

func (m *machine) top() (any, error) {
	if len(m.stack) == 0 {
		return nil, errors.New("the pickle looks at an empty stack")
	}
	return m.stack[len(m.stack)-1], nil
}

func (m *machine) do(op byte) error {
	switch op {
	case opProto:
		_, err := m.bytes(1)
		return err
	case opFrame:
		_, err := m.bytes(8)
		return err
	case opMark:
		m.push(mark{})
	case opNone:
		m.push(nil)
	case opNewTrue:
		m.push(true)
	case opNewFalse:
		m.push(false)
	case opEmptyTuple:
		m.push(Tuple{})
	case opEmptyList:
		m.push(&list{})
	case opEmptyDict:
		m.push(NewDict())
	case opBinInt, opBinInt1, opBinInt2, opLong1, opBinFloat:
		return m.number(op)
	case opBinUnicode, opShortUnicode:
		return m.text(op)
	case opTuple, opTuple1, opTuple2, opTuple3:
		return m.tuple(op)
	case opAppend, opAppends:
		return m.appendItems(op)
	case opSetItem, opSetItems:
		return m.setItems(op)
	case opBinGet, opLongBinGet, opBinPut, opLongBinPut, opMemoize:
		return m.remember(op)
	case opGlobal:
		module, err := m.line()
		if err != nil {
			return err
		}
		name, err := m.line()
		if err != nil {
			return err
		}
		return m.global(module + " " + name)
	case opStackGlobal:
		name, err := m.pop()
		if err != nil {
			return err
		}
		module, err := m.pop()
		if err != nil {
			return err
		}
		return m.global(fmt.Sprintf("%v %v", module, name))
	case opBinPersID:
		id, err := m.pop()
		if err != nil {
			return err
		}
		t, ok := id.(Tuple)
		if !ok {
			return errors.New("a persistent id that is no tuple")
		}
		v, err := m.persist(t)
		if err != nil {
			return err
		}
		m.push(v)
	case opReduce:
		return m.reduce()
	case opBuild: // attributes of an OrderedDict (_metadata): nothing that a State needs
		if _, err := m.pop(); err != nil {
			return err
		}
		v, err := m.top()
		if _, ok := v.(*Dict); err == nil && !ok {
			err = fmt.Errorf("the pickle sets attributes of a %T, which is not allowed", v)
		}
		return err
	default:
		return fmt.Errorf("the pickle uses operation 0x%02x, which checkpoints do not need and which is not allowed", op)
	}
	return nil
}

func (m *machine) global(name string) error {
	if !allowed[global(name)] {
		return fmt.Errorf("the pickle wants %q, which is not among the classes that a checkpoint may name", strings.Replace(name, " ", ".", 1))
	}
	m.push(global(name))
	return nil
}

func (m *machine) number(op byte) error {
	size := map[byte]int64{opBinInt: 4, opBinInt1: 1, opBinInt2: 2, opLong1: 1, opBinFloat: 8}[op]
	b, err := m.bytes(size)
	if err != nil {
		return err
	}
	switch op {
	case opBinInt:
		m.push(int64(int32(binary.LittleEndian.Uint32(b))))
	case opBinInt1:
		m.push(int64(b[0]))
	case opBinInt2:
		m.push(int64(binary.LittleEndian.Uint16(b)))
	case opBinFloat:
		m.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
	case opLong1:
		if b[0] > 8 {
			return fmt.Errorf("a whole number of %d bytes; at most 8 are read", b[0])
		}
		if b, err = m.bytes(int64(b[0])); err != nil {
			return err
		}
		var v uint64
		for i, x := range b {
			v |= uint64(x) << (8 * i)
		}
		if n := len(b); n > 0 && n < 8 && b[n-1] >= 0x80 { // negative: extend the sign
			v |= ^uint64(0) << (8 * n)
		}
		m.push(int64(v))
	}
	return nil
}

func (m *machine) text(op byte) error {
	size := int64(4)
	if op == opShortUnicode {
		size = 1
	}
	b, err := m.bytes(size)
	if err != nil {
		return err
	}
	n := int64(b[0])
	if size == 4 {
		n = int64(binary.LittleEndian.Uint32(b))
	}
	if b, err = m.bytes(n); err != nil {
		return fmt.Errorf("a text of %d bytes: %w", n, err)
	}
	m.push(string(b))
	return nil
}

func (m *machine) tuple(op byte) error {
	if op == opTuple {
		items, err := m.popToMark()
		m.push(Tuple(items))
		return err
	}
	t := make(Tuple, map[byte]int{opTuple1: 1, opTuple2: 2, opTuple3: 3}[op])
	for i := len(t) - 1; i >= 0; i-- {
		var err error
		if t[i], err = m.pop(); err != nil {
			return err
		}
	}
	m.push(t)
	return nil
}

// taken returns the operands of the singular or plural form of an operation.
func (m *machine) taken(plural bool, n int) ([]any, error) {
	if plural {
		return m.popToMark()
	}
	items := make([]any, n)
	for i := n - 1; i >= 0; i-- {
		var err error
		if items[i], err = m.pop(); err != nil {
			return nil, err
		}
	}
	return items, nil
}

func (m *machine) appendItems(op byte) error {
	items, err := m.taken(op == opAppends, 1)
	if err != nil {
		return err
	}
	v, err := m.top()
	if err != nil {
		return err
	}
	l, ok := v.(*list)
	if !ok {
		return fmt.Errorf("the pickle appends to a %T", v)
	}
	l.items = append(l.items, items...)
	return nil
}

func (m *machine) setItems(op byte) error {
	items, err := m.taken(op == opSetItems, 2)
	if err != nil {
		return err
	}
	v, err := m.top()
	if err != nil {
		return err
	}
	d, ok := v.(*Dict)
	if !ok || len(items)%2 != 0 {
		return fmt.Errorf("the pickle sets %d items of a %T", len(items), v)
	}
	for i := 0; i < len(items); i += 2 {
		switch items[i].(type) {
		case string, int64:
		default:
			return fmt.Errorf("a dictionary key of type %T; only text and whole numbers are read", items[i])
		}
		d.Set(items[i], items[i+1])
	}
	return nil
}

func (m *machine) remember(op byte) error {
	if op == opMemoize {
		v, err := m.top()
		m.memo[uint32(len(m.memo))] = v
		return err
	}
	size := int64(1)
	if op == opLongBinGet || op == opLongBinPut {
		size = 4
	}
	b, err := m.bytes(size)
	if err != nil {
		return err
	}
	key := uint32(b[0])
	if size == 4 {
		key = binary.LittleEndian.Uint32(b)
	}
	if op == opBinPut || op == opLongBinPut {
		v, err := m.top()
		m.memo[key] = v
		return err
	}
	v, ok := m.memo[key]
	if !ok {
		return fmt.Errorf("the pickle recalls value %d, which it never stored", key)
	}
	m.push(v)
	return nil
}

// reduce calls one of the allowed functions.
func (m *machine) reduce() error {
	v, err := m.pop()
	if err != nil {
		return err
	}
	f, err := m.pop()
	if err != nil {
		return err
	}
	args, ok := v.(Tuple)
	if !ok {
		return errors.New("the pickle calls a function without a tuple of arguments")
	}
	switch f {
	case global("collections OrderedDict"):
		if len(args) == 0 {
			m.push(NewOrderedDict())
			return nil
		}
	case global("torch._utils _rebuild_tensor_v2"):
		t, err := rebuildTensor(args)
		m.push(t)
		return err
	case global("torch._utils _rebuild_parameter"):
		if len(args) == 3 {
			if t, ok := args[0].(*Tensor); ok {
				m.push(t)
				return nil
			}
		}
	}
	return fmt.Errorf("the pickle calls %v with %d arguments, which is not allowed", f, len(args))
}
