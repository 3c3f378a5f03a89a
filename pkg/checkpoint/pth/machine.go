package pth

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

// machine runs one pickle. Its stack holds plain values and, while it runs,
// *list, mark, global, class, bigInt, encoded, []byte, *numpyType and *storage.
type machine struct {
	r       *bufio.Reader
	left    int64 // bytes that the pickle may still read
	read    int64
	made    int // values so far, and what takes memory like one
	stack   []any
	memo    map[uint32]any
	persist func(Tuple) (any, error) // the *storage, or *Opaque, that a persistent id stands for
}

type (
	mark struct{}
	list struct { // a list that may still grow
		items []any
		done  any // the List of the items, once nothing is added any more
	}
	bigInt string   // a whole number that needs more than 64 bits, little-endian
	class  struct { // a class or function that is not read
		made *Opaque // what all its objects are
	}
	encoded string // bytes as the text that has them as code points
)

// runPickle runs the pickle at the start of r, which holds at most size bytes,
// and returns its value, to be passed through plain, and how many bytes it took.
func runPickle(r io.Reader, size int64, persist func(Tuple) (any, error)) (any, int64, error) {
	m := &machine{r: bufio.NewReader(r), left: size, memo: map[uint32]any{}, persist: persist}
	for {
		op, err := m.byte()
		if err != nil {
			return nil, 0, err
		}
		if op == opStop {
			v, err := m.pop()
			return v, m.read, err
		}
		if err := m.do(op); err != nil {
			return nil, 0, err
		}
		if m.made > maxValues {
			return nil, 0, refused("the pickle has more than %d values", maxValues)
		}
	}
}

func (m *machine) push(v any) {
	m.made++
	m.stack = append(m.stack, v)
}

func (m *machine) top() (any, error) {
	if len(m.stack) == 0 {
		return nil, damaged("the pickle takes from an empty stack")
	}
	v := m.stack[len(m.stack)-1]
	if _, ok := v.(mark); ok {
		return nil, damaged("the pickle takes a mark for a value")
	}
	return v, nil
}

func (m *machine) pop() (any, error) {
	v, err := m.top()
	if err == nil {
		m.stack = m.stack[:len(m.stack)-1]
	}
	return v, err
}

// popN takes the newest n values, oldest first.
func (m *machine) popN(n int) ([]any, error) {
	items := make([]any, n)
	for i := n - 1; i >= 0; i-- {
		var err error
		if items[i], err = m.pop(); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// popToMark takes everything above the newest mark.
func (m *machine) popToMark() ([]any, error) {
	for i := len(m.stack) - 1; i >= 0; i-- {
		if _, ok := m.stack[i].(mark); ok {
			items := slices.Clone(m.stack[i+1:])
			m.stack = m.stack[:i]
			return items, nil
		}
	}
	return nil, damaged("the pickle has no mark where it needs one")
}

func (m *machine) do(op byte) error {
	switch op {
	case opProto:
		v, err := m.byte()
		if err == nil && v > 5 {
			err = damaged("the pickle has protocol %d", v)
		}
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
		m.push(&list{items: []any{}})
	case opEmptyDict:
		m.push(NewDict())
	case opEmptySet:
		m.push(aSet)
	case opBinInt, opBinInt1, opBinInt2, opLong1, opLong4, opBinFloat:
		return m.number(op)
	case opBinUnicode, opShortUnicode, opBinUnicode8, opBinString, opShortBinString:
		return m.text(op)
	case opBinBytes, opShortBinBytes, opBinBytes8, opByteArray8:
		return m.octets(op)
	case opTuple, opTuple1, opTuple2, opTuple3:
		return m.tuple(op)
	case opAppend:
		return m.appendItems(1)
	case opAppends, opAddItems:
		return m.appendItems(0)
	case opSetItem:
		return m.setItems(2)
	case opSetItems:
		return m.setItems(0)
	case opBinPut, opLongBinPut, opMemoize:
		return m.store(op)
	case opBinGet, opLongBinGet:
		return m.recall(op)
	case opGlobal, opStackGlobal:
		return m.global(op)
	case opBinPersID:
		return m.persistent()
	case opReduce, opNewObj:
		return m.reduce()
	case opNewObjEx:
		return m.newObject()
	case opFrozenSet:
		_, err := m.popToMark()
		m.push(aSet)
		return err
	case opPop:
		if n := len(m.stack); n > 0 {
			m.stack = m.stack[:n-1]
			return nil
		}
		return damaged("the pickle takes from an empty stack")
	case opPopMark:
		_, err := m.popToMark()
		return err
	case opDup:
		v, err := m.top()
		m.push(v)
		return err
	case opBuild:
		return m.build()
	default:
		return refused("the pickle uses operation 0x%02x, which plain dictionaries of tensors do not need", op)
	}
	return nil
}

func (m *machine) tuple(op byte) error {
	var items []any
	var err error
	if op == opTuple {
		items, err = m.popToMark()
	} else {
		items, err = m.popN(int(op - opTuple1 + 1))
	}
	m.push(Tuple(items))
	return err
}

// addition is what an instruction adds to the object below it: n items, 0 for those
// up to the mark.
func (m *machine) addition(n int) (items []any, to any, err error) {
	if n == 0 {
		items, err = m.popToMark()
	} else {
		items, err = m.popN(n)
	}
	if err != nil {
		return nil, nil, err
	}
	to, err = m.top()
	return items, to, err
}

func (m *machine) appendItems(n int) error {
	items, to, err := m.addition(n)
	if err != nil {
		return err
	}
	switch to := to.(type) {
	case *Opaque:
	case *list:
		to.items = append(to.items, items...)
	default:
		return damaged("the pickle appends to %s", kind(to))
	}
	return nil
}

func (m *machine) setItems(n int) error {
	items, to, err := m.addition(n)
	if err != nil {
		return err
	}
	if _, skipped := to.(*Opaque); skipped {
		return nil
	}
	d, ok := to.(*Dict)
	if !ok || len(items)%2 != 0 {
		return damaged("the pickle sets %d keys and values of %s", len(items), kind(to))
	}
	for i := 0; i < len(items); i += 2 {
		switch items[i].(type) {
		case string, int64: // others are never a tensor's name
			d.Set(items[i], items[i+1])
		}
	}
	return nil
}

func (m *machine) store(op byte) error {
	key := uint32(len(m.memo))
	if op != opMemoize {
		var err error
		if key, err = m.unsigned(width(op)); err != nil {
			return err
		}
	}
	v, err := m.top()
	if err == nil {
		m.made++
		m.memo[key] = v
	}
	return err
}

func (m *machine) recall(op byte) error {
	key, err := m.unsigned(width(op))
	if err != nil {
		return err
	}
	v, ok := m.memo[key]
	if !ok {
		return damaged("the pickle recalls value %d, which it never stored", key)
	}
	m.push(v)
	return nil
}

func (m *machine) global(op byte) error {
	var module, name string
	if op == opGlobal {
		var err error
		if module, err = m.line(); err != nil {
			return err
		}
		if name, err = m.line(); err != nil {
			return err
		}
	} else {
		names, err := m.popN(2)
		if err != nil {
			return err
		}
		var ok1, ok2 bool
		module, ok1 = names[0].(string)
		name, ok2 = names[1].(string)
		if !ok1 || !ok2 {
			return damaged("the pickle names a class without a text")
		}
	}
	if len(module)+len(name) > maxClass {
		return refused("the pickle names a class with more than %d letters", maxClass)
	}
	if g := global(module + " " + name); classes[g] {
		m.push(g)
		return nil
	}
	full := module + "." + name
	if top, _, _ := strings.Cut(module, "."); attacks[top] || attacks[full] {
		return refused("the pickle wants to call %q, which no checkpoint needs: it may be an attack on whoever loads it with Python", full)
	}
	m.push(class{&Opaque{full}})
	return nil
}

// kind says what a value is, without ever printing the value, which may be huge.
func kind(v any) string {
	switch v.(type) {
	case nil:
		return "None"
	case string:
		return "a text"
	case *Opaque:
		return "an object of a class that is not read"
	case []byte, encoded:
		return "bytes"
	case int64, bigInt:
		return "a whole number"
	case float64:
		return "a fraction"
	case bool:
		return "a truth value"
	case *Dict:
		return "a dictionary"
	case *list, List:
		return "a list"
	case Tuple:
		return "a tuple"
	case *Tensor:
		return "a tensor"
	case *storage:
		return "a bare storage"
	case global, class:
		return "a class"
	}
	return fmt.Sprintf("a %T", v)
}
