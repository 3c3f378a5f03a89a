package pth

// Operations of the pickle machine that state dictionaries use. Those after
// opFrame appear only in protocols 3 and 4, which torch.save can be told to
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

	// maxName is the length of a module's or class's name in bytes.
	maxName = 1024
)

// global is a class or function that a pickle names: module, space, name.
type global string

const (
	orderedDict      global = "collections OrderedDict"
	rebuildTensor    global = "torch._utils _rebuild_tensor_v2"
	rebuildOldTensor global = "torch._utils _rebuild_tensor" // before PyTorch 0.4: torchvision's vgg16-397923af.pth
	rebuildParameter global = "torch._utils _rebuild_parameter"
)

// storageClasses are the other globals that are allowed.
var storageClasses = func() map[global]DType {
	m := map[global]DType{}
	for d := Float32; d.valid(); d++ {
		m[global("torch "+dtypes[d].storage)] = d
	}
	return m
}()
