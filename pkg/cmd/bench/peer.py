"""The PyTorch side of the benchmark: a U-Net, loss and optimizer equal to
Rekindle's, written for this comparison alone.

It does what its arguments ask for, several times, and prints a line of JSON:
how long each took and the most memory it held. Without arguments it says which
PyTorch this is."""
import json
import os
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

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


def window():
    x = torch.arange(11, dtype=torch.float32) - 5
    g = torch.exp(-x ** 2 / (2 * 1.5 ** 2))
    return g / g.sum()


WINDOW = window()


def ssim(a, b):
    def blur(x):
        for w in (WINDOW.view(1, 1, 11, 1), WINDOW.view(1, 1, 1, 11)):
            x = F.conv2d(x, w.expand(3, -1, -1, -1), groups=3)
        return x

    ma, mb = blur(a), blur(b)
    va, vb, cov = blur(a * a) - ma * ma, blur(b * b) - mb * mb, blur(a * b) - ma * mb
    c1, c2 = 0.01 ** 2, 0.03 ** 2
    return ((2 * ma * mb + c1) / (ma * ma + mb * mb + c1) * (2 * cov + c2) / (va + vb + c2)).mean()


class Training:
    """Optimizer steps on one batch, with everything a training loop measures."""

    def __init__(self, features, batch, patch):
        torch.manual_seed(1)
        self.net = UNet(features)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=1e-4, weight_decay=1e-5)
        self.clean = torch.rand(batch, 3, patch, patch) * 2 - 1
        self.degraded = (self.clean + 0.4 * torch.randn_like(self.clean)).clamp(-1, 1)

    def loss(self):
        y = self.net(self.degraded)
        l1, s = (y - self.clean).abs().mean(), ssim((y + 1) / 2, (self.clean + 1) / 2)
        return 0.84 * l1 + 0.16 * (1 - s), l1, s

    def step(self):
        self.net.train()
        loss, l1, s = self.loss()
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        return loss.item(), l1.item(), s.item()

    @torch.no_grad()
    def infer(self):
        self.net.eval()
        return self.net(self.degraded)


class Restoration:
    """A picture in overlapping tiles, four at a time, as the Go side does it."""

    def __init__(self, features, width, height, tile, overlap):
        torch.manual_seed(1)
        self.net = UNet(features).eval()
        self.image = torch.rand(3, height, width) * 2 - 1
        self.tile, self.overlap = tile, overlap
        w = torch.hann_window(tile + 2, periodic=False)[1:-1]
        self.weight = w[:, None] * w[None, :]

    def starts(self, side):
        step = self.tile - self.overlap
        at = list(range(0, side - self.tile, step))
        return at + [side - self.tile]

    @torch.no_grad()
    def restore(self):
        _, height, width = self.image.shape
        places = [(y, x) for y in self.starts(height) for x in self.starts(width)]
        out, total, t = torch.zeros_like(self.image), torch.zeros(height, width), self.tile
        for i in range(0, len(places), 4):
            group = places[i:i + 4]
            restored = self.net(torch.stack([self.image[:, y:y + t, x:x + t] for y, x in group]))
            for (y, x), r in zip(group, restored):
                out[:, y:y + t, x:x + t] += r * self.weight
                total[y:y + t, x:x + t] += self.weight
        return ((out / total).clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8)


def sync(path, write):
    """torch.save alone leaves the data in memory; a checkpoint that survives a
    power cut needs the sync, on both sides."""
    with open(path, "wb") as f:
        write(f)
        f.flush()
        os.fsync(f.fileno())


def request(name, *args):
    """step|infer FEATURES BATCH PATCH, restore FEATURES WIDTH HEIGHT TILE OVERLAP,
    load PATH, save FROM TO: something to call."""
    if name in ("step", "infer"):
        return getattr(Training(*map(int, args)), name)
    if name == "restore":
        return Restoration(*map(int, args)).restore
    if name == "load":
        return lambda: torch.load(args[0])
    if name == "save":
        content = torch.load(args[0])
        return lambda: sync(args[1], lambda f: torch.save(content, f))
    raise SystemExit(f"unknown request {name!r}")


def measure(call, times):
    """Seconds of each turn, after one that does not count."""
    seconds = []
    for _ in range(times + 1):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return seconds[1:]


def peak():
    """Bytes this process held at most. Not getrusage, whose figure begins with
    that of the process that started this one."""
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM:"))


THREADS = len(os.sched_getaffinity(0))
torch.set_num_threads(THREADS)
if len(sys.argv) > 1:
    *what, times = sys.argv[1:]
    seconds = measure(request(*what), int(times))
    print(json.dumps({"seconds": seconds, "peak": peak()}))
else:
    print(json.dumps({"torch": torch.__version__, "python": sys.version.split()[0], "threads": THREADS}))
