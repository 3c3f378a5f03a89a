"""Checks what Go wrote: read.py FILE FILE_WITHOUT_FRACTIONS FILE_CONVERTED.

PyTorch 2.6 and later load every file with weights_only=True. 1.13 can do that only with files
that hold no fractions (its restricted unpickler lacks BINFLOAT), so there it is asked of the second.
"""
import math
import pickletools
import re
import sys
import zipfile
from collections import OrderedDict

import torch

version = tuple(int(n) for n in re.findall(r"\d+", torch.__version__)[:2])
restricted = {} if version < (2, 6) else {"weights_only": True}

# What the restricted unpickler of PyTorch 2.6 accepts (torch/_weights_only_unpickler.py).
operations = set("""PROTO STOP MARK GLOBAL NEWOBJ REDUCE BUILD APPEND APPENDS SETITEM SETITEMS TUPLE TUPLE1 TUPLE2 TUPLE3
NONE NEWFALSE NEWTRUE EMPTY_TUPLE EMPTY_LIST EMPTY_DICT EMPTY_SET BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE
SHORT_BINSTRING BINPERSID BINGET LONG_BINGET BINPUT LONG_BINPUT""".split())

for path in sys.argv[1:]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None, path
        assert archive.read("archive/version") == b"3\n" and archive.read("archive/byteorder") == b"little"
        for op, _, at in pickletools.genops(archive.read("archive/data.pkl")):
            assert op.name in operations, (path, op.name, at)
            assert op.proto <= 2, (path, op.name)


def check(value):
    assert type(value) is dict, type(value)
    t = value["tensors"]
    assert type(t) is OrderedDict and list(t) == ["a", "scalar", "count", "empty"], t
    assert t["a"].shape == (2, 3) and t["a"].dtype == torch.float32 and t["a"].tolist() == [[0.5, -1, 2], [3, 4, 5]]
    assert t["scalar"].shape == () and t["scalar"].item() == 7 and t["scalar"].dtype == torch.float32
    assert t["count"].dtype == torch.int64 and t["count"].shape == (1,) and t["count"].item() == 1 << 40
    assert t["empty"].shape == (0, 4)
    one, two = value["same"]
    assert one.data_ptr() == two.data_ptr() and one.tolist() == [1, 2]
    for tensor in t.values():
        assert tensor.is_contiguous() and not tensor.requires_grad and tensor.device.type == "cpu"
    t["a"] += 1  # writable
    for name, tensor in value["dtypes"].items():
        assert tensor.dtype == getattr(torch, name), (name, tensor.dtype)
        want = {"bool": [True, False, True, True], "uint8": [254, 0, 1, 3]}.get(name, [-2, 0, 1, 3])
        assert tensor.tolist() == want, (name, tensor)
    assert len(value["dtypes"]) == 10
    plain = value["plain"]
    want = {"small": 5, "byte": 255, "word": 300, "words": 65535, "long": 1 << 20, "negative": -7, "int32": -(1 << 31),
            "uint32": 1 << 31, "huge": 1 << 50, "tiny": -(1 << 50), "least": -(1 << 63),
            "none": None, "yes": True, "no": False, "text": "grün", "": "", "list": [1, [], {}, (), "x"], "tuple": (1, 2, 3, 4, ())}
    assert plain == want, plain
    for key in want:
        assert type(plain[key]) is type(want[key]), key
    assert value[3] == "by number" and value[-4] == {}, value


value = torch.load(sys.argv[1], **restricted)
check(value)
assert value["fractions"][:4] == (0.9, 0.999, math.inf, -0.0) and math.isnan(value["fractions"][4])
assert math.copysign(1, value["fractions"][3]) == -1
check(torch.load(sys.argv[2], weights_only=True))

# The third file is what Go made of a file by write.py, tensor by tensor.
value = torch.load(sys.argv[3], **restricted)
base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
want = [base, base[1:3, ::2], base.t(), base[2], base[3, 4], base[:, 1:2].expand(4, 3), base[2:2]]
assert len(want) == len(value["views"]) and all(torch.equal(a, b) for a, b in zip(value["views"], want))
assert value["dtypes"]["bfloat16"].tolist() == [-2, 0, 1, 3] and value["half"].dtype == torch.float16
assert value["same"][0].data_ptr() == value["same"][1].data_ptr()
print("ok")
