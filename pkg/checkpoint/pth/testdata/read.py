"""Loads what Go wrote and compares it with what Go says it wrote."""
import json, sys
import torch

value = torch.load(sys.argv[1])
want = json.loads(sys.argv[2])
t = value["tensors"]
assert isinstance(value, dict) and type(t).__name__ == "OrderedDict", type(t)
assert list(t) == ["a", "scalar", "count", "empty"], list(t)
assert t["a"].shape == (2, 3) and t["a"].dtype == torch.float32 and t["a"].tolist() == [[0.5, -1, 2], [3, 4, 5]]
assert t["scalar"].shape == () and t["scalar"].item() == 7
assert t["count"].dtype == torch.int64 and t["count"].item() == 1 << 40
assert t["empty"].shape == (0, 4)
t["a"] += 1  # writable
for key in want:
    got = value["plain"][key]
    assert got == want[key] and type(got) is type(want[key]), (key, got, want[key])
assert value["plain"]["tuple"] == (0.9, 0.999) if "tuple" in value["plain"] else True
assert value["pair"] == (0.9, 0.999), value["pair"]
assert value[3] == "by number"
print("ok")
