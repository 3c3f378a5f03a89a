"""PyTorch's side of the comparison: a U-Net, loss and AdamW equal to Rekindle's,
with what PyTorch recommends for speed on a GPU. Arguments: features, batch,
patch, mixed precision (true or false), seconds."""
import json
import statistics
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

features, batch, patch, seconds = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[5])
mixed = sys.argv[4] == "true"
device = "cuda" if torch.cuda.is_available() else "cpu"
torch.backends.cudnn.benchmark = True


class Double(nn.Sequential):
    def __init__(self, i, m, o):
        super().__init__(
            nn.Conv2d(i, m, 3, padding=1, bias=False), nn.BatchNorm2d(m), nn.ReLU(inplace=True),
            nn.Conv2d(m, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True))


class UNet(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.first = Double(3, f, f)
        self.down = nn.ModuleList(Double(i, o, o) for i, o in ((f, 2 * f), (2 * f, 4 * f), (4 * f, 8 * f), (8 * f, 8 * f)))
        self.up = nn.ModuleList(Double(i, i // 2, o) for i, o in ((16 * f, 4 * f), (8 * f, 2 * f), (4 * f, f), (2 * f, f)))
        self.last = nn.Conv2d(f, 3, 1)
        self.pool = nn.MaxPool2d(2)
        self.larger = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)

    def forward(self, x):
        levels = [self.first(x)]
        for down in self.down:
            levels.append(down(self.pool(levels[-1])))
        x = levels.pop()
        for up in self.up:
            x = up(torch.cat([levels.pop(), self.larger(x)], 1))
        return self.last(x)


x = torch.arange(11, dtype=torch.float32, device=device) - 5
WINDOW = torch.exp(-x ** 2 / (2 * 1.5 ** 2))
WINDOW = WINDOW / WINDOW.sum()


def ssim(a, b):
    def blur(x):
        for w in (WINDOW.view(1, 1, 11, 1), WINDOW.view(1, 1, 1, 11)):
            x = F.conv2d(x, w.expand(3, -1, -1, -1), groups=3)
        return x

    ma, mb = blur(a), blur(b)
    va, vb, cov = blur(a * a) - ma * ma, blur(b * b) - mb * mb, blur(a * b) - ma * mb
    c1, c2 = 0.01 ** 2, 0.03 ** 2
    return ((2 * ma * mb + c1) / (ma * ma + mb * mb + c1) * (2 * cov + c2) / (va + vb + c2)).mean()


net = UNet(features).to(device, memory_format=torch.channels_last).train()
optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4, weight_decay=1e-5, fused=device == "cuda") if device == "cuda" else torch.optim.AdamW(net.parameters())
# As from a data loader with pinned memory: copied to the device in each step.
host = [(torch.rand(batch, 3, patch, patch) * 2 - 1) for _ in range(4)]
if device == "cuda":
    host = [h.pin_memory() for h in host]


def step(i):
    clean = host[i % len(host)].to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)
    degraded = host[(i + 1) % len(host)].to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)
    with torch.autocast(device, dtype=torch.bfloat16, enabled=mixed):
        y = net(degraded)
    y = y.float()
    loss = 0.84 * (y - clean).abs().mean() + 0.16 * (1 - ssim((y + 1) / 2, (clean + 1) / 2))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    return loss.item()


began = time.perf_counter()
step(0)
first = time.perf_counter() - began
took, began = [], time.perf_counter()
while time.perf_counter() - began < seconds or len(took) < 6:
    at = time.perf_counter()
    step(len(took) + 1)
    took.append(time.perf_counter() - at)
took = took[len(took) // 2:]
peak = torch.cuda.max_memory_reserved() / 2**20 if device == "cuda" else 0
print(json.dumps({"images_per_second": batch / statistics.median(took), "first_step": first, "peak_mb": peak}))
