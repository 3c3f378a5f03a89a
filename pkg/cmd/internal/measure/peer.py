"""PyTorch's side of what is measured: a U-Net, loss and optimizer equal to
Rekindle's, written for this comparison alone, and on a GPU with what PyTorch
recommends for speed there.

Arguments are DEVICE TURNS SECONDS and what request() takes. It does that so many
times after the first, at least, and for so long, and prints a line of JSON: how long
each turn took and the most memory it held. Without arguments it says which PyTorch
this is."""
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


def ssim(a, b, window):
    def blur(x):
        for w in (window.view(1, 1, 11, 1), window.view(1, 1, 1, 11)):
            x = F.conv2d(x, w.expand(3, -1, -1, -1), groups=3)
        return x

    ma, mb = blur(a), blur(b)
    va, vb, cov = blur(a * a) - ma * ma, blur(b * b) - mb * mb, blur(a * b) - ma * mb
    c1, c2 = 0.01 ** 2, 0.03 ** 2
    return ((2 * ma * mb + c1) / (ma * ma + mb * mb + c1) * (2 * cov + c2) / (va + vb + c2)).mean()


class Training:
    """Optimizer steps on one batch, with everything a training loop measures."""

    def __init__(self, device, features, batch, patch, mixed=""):
        torch.manual_seed(1)
        gpu = device in ("auto", "cuda") and torch.cuda.is_available()
        self.mixed, self.device = mixed == "mixed", "cuda" if gpu else "cpu"
        torch.backends.cudnn.benchmark = True
        self.layout = torch.channels_last if gpu else torch.contiguous_format
        self.net = UNet(int(features)).to(self.device, memory_format=self.layout)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=1e-4, weight_decay=1e-5, fused=gpu)
        self.window = window().to(self.device)
        clean = torch.rand(int(batch), 3, int(patch), int(patch)) * 2 - 1
        self.batch = [clean, (clean + 0.4 * torch.randn_like(clean)).clamp(-1, 1)]
        if gpu:  # as a data loader gives them
            self.batch = [x.pin_memory() for x in self.batch]

    def upload(self):
        return (x.to(self.device, non_blocking=True).contiguous(memory_format=self.layout) for x in self.batch)

    def step(self):
        self.net.train()
        clean, degraded = self.upload()
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.mixed):
            y = self.net(degraded)
        y = y.float()
        l1, s = (y - clean).abs().mean(), ssim((y + 1) / 2, (clean + 1) / 2, self.window)
        loss = 0.84 * l1 + 0.16 * (1 - s)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        return torch.stack((loss, l1, s)).tolist()

    @torch.no_grad()
    def infer(self):
        self.net.eval()
        _, degraded = self.upload()
        return self.net(degraded).cpu()


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


def request(device, name, *args):
    """step FEATURES BATCH PATCH [mixed], infer FEATURES BATCH PATCH, restore FEATURES
    WIDTH HEIGHT TILE OVERLAP, load PATH, save FROM TO: something to call."""
    if name in ("step", "infer"):
        return getattr(Training(device, *args), name)
    if name == "restore":
        return Restoration(*map(int, args)).restore
    if name == "load":
        return lambda: torch.load(args[0])
    if name == "save":
        content = torch.load(args[0])
        return lambda: sync(args[1], lambda f: torch.save(content, f))
    raise SystemExit(f"unknown request {name!r}")


def measure(call, turns, seconds):
    """Seconds of the first turn, and of each other: at least so many, and for so long."""
    took = []
    while len(took) <= turns or sum(took[1:]) < seconds:
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return took


def peak():
    """Bytes held at most, on the GPU where it computed there. Not getrusage, whose
    figure begins with that of the process that started this one."""
    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_reserved()
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM:"))


THREADS = len(os.sched_getaffinity(0))
torch.set_num_threads(THREADS)
if len(sys.argv) > 1:
    device, turns, seconds, *what = sys.argv[1:]
    first, *others = measure(request(device, *what), int(turns), float(seconds))
    print(json.dumps({"first": first, "seconds": others, "peak": peak()}))
else:
    print(json.dumps({"torch": torch.__version__, "python": sys.version.split()[0], "threads": THREADS}))
