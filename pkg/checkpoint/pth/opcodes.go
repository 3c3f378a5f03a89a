package pth

import "strings"

// Operations of the pickle machine that checkpoints use. Those from opFrame on appear only in protocols 3 and 4, which torch.save can be told to
// write; they are read, never written.
const (
	opProto      = 0x80
	opStop       = '.'
	opMark       = '('
	opGlobal     = 'c'
	opReduce     = 'R'
	opBuild      = 'b'
	opAppend     = 'a'
	opAppends    = 'e'
	opSetItem    = 's'
	opSetItems   = 'u'
	opTuple      = 't'
	opTuple1     = 0x85
	opTuple2     = 0x86
	opTuple3     = 0x87
	opNone       = 'N'
	opNewTrue    = 0x88
	opNewFalse   = 0x89
	opEmptyTuple = ')'
	opEmptyList  = ']'
	opEmptyDict  = '}'
	opBinInt     = 'J'
	opBinInt1    = 'K'
	opBinInt2    = 'M'
	opLong1      = 0x8a
	opBinFloat   = 'G'
	opBinUnicode = 'X'
	opBinPersID  = 'Q'
	opBinGet     = 'h'
	opLongBinGet = 'j'
	opBinPut     = 'q'
	opLongBinPut = 'r'

	// Texts of Python 2, which wrote the oldest files that are still in use.
	opBinString      = 'T'
	opShortBinString = 'U'

	opFrame        = 0x95
	opShortUnicode = 0x8c
	opMemoize      = 0x94
	opStackGlobal  = 0x93

	// What stands around the tensors of other training programs: objects of their
	// classes, which are skipped, bytes and sets.
	opPop           = '0'
	opPopMark       = '1'
	opDup           = '2'
	opLong4         = 0x8b
	opNewObj        = 0x81
	opNewObjEx      = 0x92
	opBinBytes      = 'B'
	opShortBinBytes = 'C'
	opBinBytes8     = 0x8e
	opByteArray8    = 0x96
	opBinUnicode8   = 0x8d
	opEmptySet      = 0x8f
	opAddItems      = 0x90
	opFrozenSet     = 0x91
)

const (
	// maxDepth bounds how deep dictionaries and lists may nest: genuine files need
	// six levels, and what walks the result should not run out of stack.
	maxDepth = 100

	// maxValues bounds how many values a pickle may make, and how many its result
	// has when what is shared is counted each time it appears. A network of a
	// thousand tensors with its optimizer needs a hundred thousand.
	maxValues = 2_000_000

	// maxSharing bounds how many times larger than the file the numbers of all
	// tensors together may be, each counted as often as it appears: layers that
	// share their weights repeat them a few dozen times at most.
	maxSharing = 64

	// maxName is the length of a module's or class's name in bytes, and maxClass that
	// of both together where the class is skipped.
	maxName  = 1024
	maxClass = 256

	// maxUnpacking bounds how many times larger than the whole file its pickle may
	// become when it is decompressed. Pickles shrink to a tenth, but the file also has
	// the tensors, which hardly shrink.
	maxUnpacking = 8
)

// global is a class or function that a pickle names: module, space, name.
type global string

const (
	orderedDict      global = "collections OrderedDict"
	rebuildTensor    global = "torch._utils _rebuild_tensor_v2"
	rebuildOldTensor global = "torch._utils _rebuild_tensor" // before PyTorch 0.4: torchvision's vgg16-397923af.pth
	rebuildParameter global = "torch._utils _rebuild_parameter"

	rebuildWithState global = "torch._utils _rebuild_parameter_with_state"
	rebuildFromType  global = "torch._tensor _rebuild_from_type_v2"
	torchSize        global = "torch Size"
	defaultDict      global = "collections defaultdict"
	counter          global = "collections Counter"
	numpyDType       global = "numpy dtype"
	numpyScalar      global = "numpy.core.multiarray scalar"
	numpyScalar2     global = "numpy._core.multiarray scalar" // NumPy 2
	encode           global = "_codecs encode"                // bytes, in protocol 2
)

// classes are the globals that mean something here.
var classes = func() map[global]bool {
	m := map[global]bool{}
	for _, g := range []global{orderedDict, rebuildTensor, rebuildOldTensor, rebuildParameter, rebuildWithState, rebuildFromType,
		torchSize, defaultDict, counter, numpyDType, numpyScalar, numpyScalar2, encode} {
		m[g] = true
	}
	for g := range storageClasses {
		m[g] = true
	}
	return m
}()

// attacks are modules, and functions of the built-in one, that no checkpoint
// needs. Nothing is ever called, but a file that wants to call these is not to
// be trusted by PyTorch either.
var attacks = func() map[string]bool {
	m := map[string]bool{}
	for _, name := range strings.Fields(`os posix nt subprocess sys shutil socket runpy importlib pty commands webbrowser ctypes pickle code pdb
		builtins.eval builtins.exec builtins.compile builtins.__import__ builtins.open builtins.input builtins.breakpoint`) {
		m[name] = true
		if rest, ok := strings.CutPrefix(name, "builtins."); ok { // Python 2's name of the module
			m["__builtin__."+rest] = true
		}
	}
	return m
}()

// storageClasses are the classes of blocks of numbers.
var storageClasses = func() map[global]DType {
	m := map[global]DType{}
	for d := Float32; d.valid(); d++ {
		m[global("torch "+dtypes[d].storage)] = d
	}
	return m
}()
