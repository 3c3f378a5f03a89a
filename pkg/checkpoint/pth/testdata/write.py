"""Writes checkpoints with everything that must be readable: write.py DIRECTORY.

small_zip.pth and small_legacy.pth beside this script were written by it with PyTorch 1.13.
"""
import os
import sys
from collections import OrderedDict

import torch

out = sys.argv[1]
base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
state = OrderedDict(a=torch.nn.Parameter(base[:2].clone()))
state._metadata = OrderedDict([("", {"version": 1})])
shared = torch.ones(2)
value = {
    "state": state,
    "views": [base, base[1:3, ::2], base.t(), base[2], base[3, 4], base[:, 1:2].expand(4, 3), base[2:2]],
    "same": (shared, shared),
    "dtypes": {
        str(d)[6:]: torch.tensor([-2, 0, 1, 3]).to(d)
        for d in (torch.float32, torch.float64, torch.float16, torch.bfloat16,
                  torch.int64, torch.int32, torch.int16, torch.int8)
    },
    "bytes": torch.tensor([0, 200, 255], dtype=torch.uint8),
    "bools": torch.tensor([True, False]),
    "half": torch.tensor([6e-8, 65504.0, float("inf"), -0.1, -3e-6], dtype=torch.float16),
    "wide": torch.tensor([1 << 62, -(1 << 62)]),
    "empty": torch.zeros(0, 4),
    "numbers": [0, 255, 256, 65535, 65536, -1, (1 << 31) - 1, -(1 << 31), 1 << 31, 1 << 40, -(1 << 40), -129, 0.1, float("inf")],
    "others": (None, True, False, "grün", (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [], {}, ()),
    7: {-1: "negative"},
}
torch.save(value, os.path.join(out, "zip.pth"))
torch.save(value, os.path.join(out, "legacy.pth"), _use_new_zipfile_serialization=False)
torch.save(value, os.path.join(out, "zip_protocol_4.pth"), pickle_protocol=4)
torch.save(value, os.path.join(out, "legacy_protocol_4.pth"), pickle_protocol=4, _use_new_zipfile_serialization=False)
torch.save(torch.nn.Linear(2, 2), os.path.join(out, "module.pth"))
torch.save(torch.nn.Linear(2, 2), os.path.join(out, "module_legacy.pth"), _use_new_zipfile_serialization=False)
torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), os.path.join(out, "script.pth"))
print("ok")
