"""Writes what the test of attention_unet compares with: attention_unet.py DIRECTORY.

attention_unet.safetensors beside this script was written by it with PyTorch 1.13; attention_unet_transposed.safetensors is
compared where PyTorch is there, and not kept. Tensors are called and sampled as in pkg/internal/reference/testdata/README.md,
the training settings are those of its network cases. Two features, float64; weights and pictures are rounded to bfloat16,
which the files hold exactly.
"""
import json
import os
import struct
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F


def norm_conv(i, o, side=3):
    return [nn.Conv2d(i, o, side, padding=side // 2, bias=side == 1), nn.BatchNorm2d(o)]


def double(i, o):
    return nn.Sequential(*norm_conv(i, o), nn.ReLU(), *norm_conv(o, o), nn.ReLU())


class Block(nn.Module):
    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, x):
        return self.block(x)


class Gate(nn.Module):
    """The additive gate of Oktay et al., 2018."""

    def __init__(self, channels, middle):
        super().__init__()
        self.W_g = nn.Sequential(*norm_conv(channels, middle, 1))
        self.W_x = nn.Sequential(*norm_conv(channels, middle, 1))
        self.psi = nn.Sequential(*norm_conv(middle, 1, 1), nn.Sigmoid())

    def forward(self, g, x):
        return x * self.psi(F.relu(self.W_g(g) + self.W_x(x)))


class Up(nn.Module):
    def __init__(self, i, o, bilinear):
        super().__init__()
        if bilinear:
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        else:
            self.up = nn.ConvTranspose2d(i, i // 2, 2, stride=2)
        self.attention = Gate(i // 2, o)
        self.conv = Block(double(i, o))

    def forward(self, x, skip):
        x = self.up(x)
        if x.shape[2:] != skip.shape[2:]:
            x = F.interpolate(x, size=skip.shape[2:], mode="bilinear", align_corners=False)
        return self.conv(torch.cat([self.attention(x, skip), x], 1))


class AttentionUNet(nn.Module):
    def __init__(self, f, bilinear):
        super().__init__()
        h = 2 if bilinear else 1
        self.inc = Block(double(3, f))
        for k, (i, o) in enumerate(((f, 2 * f), (2 * f, 4 * f), (4 * f, 8 * f), (8 * f, 16 * f // h)), 1):
            setattr(self, f"down{k}", Block(nn.Sequential(nn.MaxPool2d(2), Block(double(i, o)))))
        for k, (i, o) in enumerate(((16 * f, 8 * f // h), (8 * f, 4 * f // h), (4 * f, 2 * f // h), (2 * f, f)), 1):
            setattr(self, f"up{k}", Up(i, o, bilinear))
        self.outc = nn.Conv2d(f, 3, 1)

    def forward(self, x):
        levels = [self.inc(x)]
        for k in range(1, 5):
            levels.append(getattr(self, f"down{k}")(levels[-1]))
        y = levels.pop()
        for k in range(1, 5):
            y = getattr(self, f"up{k}")(y, levels.pop())
        return self.outc(y)


def ssim(a, b):
    x = torch.arange(11, dtype=torch.float32) - 5
    g = torch.exp(-x ** 2 / (2 * 1.5 ** 2))
    g = (g / g.sum()).double()  # as pytorch_msssim: made in float32

    def blur(x):
        return F.conv2d(F.conv2d(x, g.view(1, 1, 11, 1).expand(3, -1, -1, -1), groups=3), g.view(1, 1, 1, 11).expand(3, -1, -1, -1), groups=3)

    ma, mb = blur(a), blur(b)
    va, vb, cov = blur(a * a) - ma * ma, blur(b * b) - mb * mb, blur(a * b) - ma * mb
    c1, c2 = 0.01 ** 2, 0.03 ** 2
    return ((2 * ma * mb + c1) / (ma * ma + mb * mb + c1) * (2 * cov + c2) / (va + vb + c2)).mean()


def losses(y, clean):
    l1, s = (y - clean).abs().mean(), ssim((y + 1) / 2, (clean + 1) / 2)
    return torch.stack([0.84 * l1 + 0.16 * (1 - s), l1, s])


def rounded(t):
    return t.bfloat16().double()


def sampled(t):
    v = t.flatten()
    k = min(12, v.numel())
    head = torch.stack([v.norm(), v.sum(), v.abs().sum(), v.min(), v.max()])
    return torch.cat([head, v[[i * v.numel() // k for i in range(k)]]])


def case(bilinear):
    torch.manual_seed(11)
    net = AttentionUNet(2, bilinear).double()
    with torch.no_grad():
        for name, t in net.state_dict().items():
            if t.dim() == 4:
                t.copy_(rounded(torch.randn_like(t) * (2 / t[0].numel()) ** 0.5))
            elif name.endswith("running_var") or name.endswith(".weight"):
                t.copy_(rounded(0.5 + torch.rand_like(t)))
            elif t.dim() == 1:
                t.copy_(rounded(0.3 * torch.randn_like(t)))
    out = {"init." + k: t.bfloat16() for k, t in net.state_dict().items() if t.dim()}
    clean, odd = rounded(torch.rand(2, 3, 16, 32).double() * 2 - 1), rounded(torch.rand(1, 3, 19, 37).double() * 2 - 1)
    noisy = rounded((clean + 0.4 * torch.randn_like(clean)).clamp(-1, 1))
    out.update(input=noisy.bfloat16(), target=clean.bfloat16(), odd_input=odd.bfloat16())

    def keep(name, t):
        t = t.detach()
        out.update({name: t.clone()} if t.numel() <= 17 else {"sampled." + name: sampled(t)})

    def evaluate(x):
        net.eval()
        with torch.no_grad():
            return net(x)

    out["eval_output"], out["odd_eval_output"] = evaluate(noisy), evaluate(odd)
    out["eval_loss"] = losses(out["eval_output"], clean)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-5)
    net.train()
    steps, norms = [], []
    for step in range(3):
        y = net(noisy)
        y.retain_grad()
        loss = losses(y, clean)
        optimizer.zero_grad()
        loss[0].backward()
        steps.append(loss.detach())
        if step == 0:
            keep("train_output", y)
            keep("train_output_grad", y.grad)
            for name, p in net.named_parameters():
                keep("grad." + name, p.grad)
            for name, t in net.named_buffers():
                if t.dim():
                    keep("after_first_forward." + name, t)
        norms.append(nn.utils.clip_grad_norm_(net.parameters(), 1.0))
        optimizer.step()
    out["step_losses"], out["step_grad_norms_preclip"] = torch.stack(steps), torch.stack(norms)
    for name, p in net.named_parameters():
        keep("final." + name, p)
        keep("exp_avg." + name, optimizer.state[p]["exp_avg"])
        keep("exp_avg_sq." + name, optimizer.state[p]["exp_avg_sq"])
    keep("final_eval_output", evaluate(noisy))
    return out


def save(path, tensors):
    header, body = {}, b""
    for name, t in tensors.items():
        half = t.dtype == torch.bfloat16
        raw = (t.view(torch.int16) if half else t).contiguous().numpy().tobytes()
        header[name] = {"dtype": "BF16" if half else "F64", "shape": list(t.shape), "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + body)


torch.set_num_threads(1)
for bilinear, name in ((True, "attention_unet"), (False, "attention_unet_transposed")):
    save(os.path.join(sys.argv[1], name + ".safetensors"), case(bilinear))
print("ok")
