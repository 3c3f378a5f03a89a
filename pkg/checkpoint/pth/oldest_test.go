package pth

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"
)

// oldest is a checkpoint as PyTorch wrote it before version 0.4: five pickles,
// tensors from _rebuild_tensor. With python2 its texts are bytes and an
// OrderedDict is made of a list of pairs, as Python 2 pickled them. Such are
// torchvision's first weights, vgg16-397923af.pth among them.
func oldest(python2 bool) []byte {
	str := text
	if python2 {
		str = func(s string) string { return "U" + string(rune(len(s))) + s }
	}
	const start = "\x80\x02"
	storage := "(" + str("storage") + "ctorch\nFloatStorage\n" + str("7") + str("cpu") + "K\x04NtQ"
	tensor := "ctorch._utils\n_rebuild_tensor\n(" + storage + "K\x00K\x02K\x02\x86K\x02K\x01\x86tR"
	state := "ccollections\nOrderedDict\n)R" + str("features.0.weight") + tensor + "s"
	if python2 {
		state = "ccollections\nOrderedDict\n]](" + str("features.0.weight") + tensor + "ea\x85R"
	}
	out := start + "\x8a\x0a" + string(legacyMagic) + "." + start + "M\xe9\x03." + start + "}" + str("little_endian") + "\x88s." +
		start + state + "." + start + "]" + str("7") + "a."
	raw := binary.LittleEndian.AppendUint64([]byte(out), 4)
	for i := range 4 {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(i)+0.5))
	}
	return raw
}

func TestTheOldestFilesAreRead(t *testing.T) {
	for name, python2 := range map[string]bool{"Python 3": false, "Python 2": true} {
		root, err := parseBytes(oldest(python2))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		d, ok := root.(*Dict)
		if !ok || !d.Ordered {
			t.Fatalf("%s: got %T, want an OrderedDict", name, root)
		}
		v, _ := d.Get("features.0.weight")
		x, ok := v.(*Tensor)
		if !ok || !slices.Equal(x.Shape, []int{2, 2}) {
			t.Fatalf("%s: got %v, want a tensor of 2 x 2", name, v)
		}
		if got, err := x.Float32s(); err != nil || !slices.Equal(got, []float32{0.5, 1.5, 2.5, 3.5}) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}

func TestAnOrderedDictOfSomethingElseIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		argument string
		kind     error
	}{
		"number": {"K\x01", ErrRefused}, "list of numbers": {"]K\x01a", ErrDamaged}, "list of three": {"]](K\x01K\x01K\x01ea", ErrDamaged},
		"key that is no text": {"]](K\x01K\x01ea", ErrRefused}, "key that is a list": {"]](]K\x01ea", ErrRefused},
	} {
		if _, err := parseBytes(pickleZip("ccollections\nOrderedDict\n" + c.argument + "\x85R.")); !errors.Is(err, c.kind) {
			t.Errorf("%s: got %v, want %v", name, err, c.kind)
		}
	}
}
