"""Writes a checkpoint with everything that must be readable, in both formats."""
import sys
from collections import OrderedDict
import torch

base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
state = OrderedDict(a=torch.nn.Parameter(base[:2].clone()))
state._metadata = OrderedDict([("", {"version": 1})])
value = {
    "state": state,
    "shared": [base, base[1:3, ::2], base.t()],
    "dtypes": {str(d)[6:]: torch.tensor([-2, 0, 1, 3]).to(d) for d in
               (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8)},
    "bytes": torch.tensor([0, 200, 255], dtype=torch.uint8),
    "bools": torch.tensor([True, False]),
    "half": torch.tensor([6e-8, 65504.0, float("inf"), -0.1], dtype=torch.float16),
    "numbers": [0, 255, 256, 65536, -1, -(1 << 31), 1 << 40, -(1 << 40), 0.1, float("inf")],
    "others": (None, True, False, "grün", (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [], {}, ()),
}
torch.save(value, sys.argv[1])
torch.save(value, sys.argv[2], _use_new_zipfile_serialization=False)
