"""Writes what the tests of the perceptual loss compare with: perceptual.py DIRECTORY.

vgg_small.pth, vgg_small.safetensors and perceptual.json beside this script were written by it with PyTorch 1.13. The
network has VGG16's first ten layers with torchvision's names and few channels, random weights and a classifier that
must be ignored. Weights and pictures are multiples of 2^-12, so that float32 holds them exactly; everything is computed
in float64. A picture is described by a formula, not stored: value(i) for its i-th number in row-major order.
"""
import json
import os
import struct
import sys

import torch
import torch.nn.functional as F

out = sys.argv[1]
torch.manual_seed(3)
torch.set_num_threads(1)
INDICES = (0, 2, 5, 7, 10, 12, 14)
CHANNELS = (3, 4, 4, 6, 6, 8, 8, 8)
MEAN = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64).view(1, 3, 1, 1)


def exact(t):
    return (t * 4096).round() / 4096


state = {}
for index, fan, c in zip(INDICES, CHANNELS, CHANNELS[1:]):
    state[f"features.{index}.weight"] = exact(torch.randn(c, fan, 3, 3) * (2 / (9 * fan)) ** 0.5)
    state[f"features.{index}.bias"] = exact(torch.randn(c) * 0.1)
state["classifier.0.weight"] = torch.zeros(2, 3)
torch.save(state, os.path.join(out, "vgg_small.pth"))

header, at, body = {}, 0, b""
for name, t in state.items():
    raw = t.contiguous().numpy().astype("<f4").tobytes()
    header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [at, at + len(raw)]}
    at, body = at + len(raw), body + raw
text = json.dumps(header).encode()
with open(os.path.join(out, "vgg_small.safetensors"), "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text + body)


def picture(shape, step):
    i = torch.arange(torch.Size(shape).numel(), dtype=torch.int64)
    return (((i * i * 7 + i * step) % 8191).double() / 4096 - 1).view(shape)


def features(x):
    """relu2_2 and relu3_3: torchvision's features[:9] and features[:16]."""
    x = ((x + 1) / 2 - MEAN) / STD
    seen = []
    for index in INDICES:
        x = F.relu(F.conv2d(x, state[f"features.{index}.weight"].double(), state[f"features.{index}.bias"].double(), padding=1))
        if index in (7, 14):
            seen.append(x)
        if index in (2, 7):
            x = F.max_pool2d(x, 2)
    return seen


cases = []
# Widths that use each way the Go engine has of laying out a convolution; odd sides lose a row or column in pooling.
for shape in ((1, 3, 40, 64), (3, 3, 21, 35), (2, 3, 16, 16), (5, 3, 4, 9)):
    pred, target = picture(shape, 1237).requires_grad_(), picture(shape, 2741)
    layers = [F.l1_loss(a, b) for a, b in zip(features(pred), features(target))]
    loss = sum(layers) / 2
    (grad,) = torch.autograd.grad(loss, pred)
    g = grad.flatten()
    k = min(60, g.numel())
    cases.append({
        "shape": shape, "loss": loss.item(), "layers": [v.item() for v in layers],
        "grad_norm": g.norm().item(), "grad_sum": g.sum().item(), "grad_max": g.abs().max().item(),
        "grad_every": g.numel() // k, "grad": g[:: g.numel() // k].tolist(),
    })
with open(os.path.join(out, "perceptual.json"), "w") as f:
    json.dump({"pred_step": 1237, "target_step": 2741, "cases": cases}, f, indent=1)
print("ok")
