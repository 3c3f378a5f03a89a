"""Writes what the tests of DnCNN, FFDNet, DRUNet, NAFNet and RIDNet compare with: family.py DIRECTORY.

family.safetensors beside this script was written by it with PyTorch 2. The networks are put together from their papers, with
the names that their authors' code gives to tensors. Weights, pictures and the gradient of the result are computed by a formula
that the test knows, too (value), so the file holds results alone, all of them float64:

    CASE/eval, CASE/odd       result for pictures of 2x3x16x24 and 1x3x19x37: norm, sum, and 30 values from all over it
    CASE/input                the same of the gradient of the picture, batch norm in training
    CASE/gradients            norm, sum and three values of the gradient of each parameter, a row each

Colour networks get pictures in [-1, 1]; the noise of the two pictures has the levels 25 and 50, that of the odd one 15.
"""
import json
import os
import struct
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F


def value(tensor, shape):
    n = 1
    for d in shape:
        n *= d
    k = torch.arange(n, dtype=torch.int64)
    return (((k * k * 7 + k * 5 + tensor * tensor * 31 + tensor * 17 + 3) % 8191).double() / 4095.5 - 1).reshape(shape)


def fill(net):
    number = 0
    with torch.no_grad():
        for name, t in net.state_dict().items():
            if t.dim() == 0 or name.split(".")[0] in ("sub_mean", "add_mean"):
                continue
            u = value(number, t.shape)
            if t.dim() == 4 and t.shape[0] > 1 or t.dim() == 4 and t.shape[2] > 1:
                t.copy_(u * (3 / t[0].numel()) ** 0.5)
            elif t.dim() == 4:
                t.copy_(0.5 * u)
            elif name.endswith("running_var"):
                t.copy_(1 + 0.5 * u)
            elif name.endswith("weight"):
                t.copy_(1 + 0.3 * u)
            else:
                t.copy_(0.2 * u)
            number += 1


def conv(i, o, side=3, **kw):
    return nn.Conv2d(i, o, side, padding=kw.pop("padding", side // 2), **kw)


def sequence(i, f, o, depth, norm):
    layers = [conv(i, f, bias=not norm), nn.ReLU()]
    for _ in range(depth - 2):
        layers += [conv(f, f, bias=not norm)] + [nn.BatchNorm2d(f)] * norm + [nn.ReLU()]
    return nn.Sequential(*layers, conv(f, o, bias=not norm))


def pad(x, multiple, **how):
    return F.pad(x, (0, -x.shape[3] % multiple, 0, -x.shape[2] % multiple), **how)


def plane(x, sigma, channels, h, w):
    return (sigma / 255).view(-1, 1, 1, 1).expand(x.shape[0], channels, h, w)


class DnCNN(nn.Module):
    def __init__(self, f, depth, norm, c=3):
        super().__init__()
        self.norm = norm
        setattr(self, "dncnn" if norm else "model", sequence(c, f, c, depth, norm))

    def forward(self, x, sigma):
        x = (x + 1) / 2
        return 2 * (x - (self.dncnn if self.norm else self.model)(x)) - 1


class FFDNet(nn.Module):
    def __init__(self, f, depth, norm):
        super().__init__()
        self.norm = norm
        if norm:
            self.intermediate_dncnn = nn.Module()
            self.intermediate_dncnn.itermediate_dncnn = sequence(15, f, 12, depth, True)
        else:
            self.model = sequence(13, f, 12, depth, False)

    def forward(self, x, sigma):
        x = (x + 1) / 2
        h, w = x.shape[2:]
        y = F.pixel_unshuffle(pad(x, 2, mode="replicate"), 2)
        if self.norm:
            y = self.intermediate_dncnn.itermediate_dncnn(torch.cat([plane(x, sigma, 3, *y.shape[2:]), y], 1))
        else:
            y = self.model(torch.cat([y, plane(x, sigma, 1, *y.shape[2:])], 1))
        return 2 * (x - F.pixel_shuffle(y, 2)[:, :, :h, :w]) - 1


class Res(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.res = nn.Sequential(conv(c, c, bias=False), nn.ReLU(), conv(c, c, bias=False))

    def forward(self, x):
        return x + self.res(x)


class DRUNet(nn.Module):
    def __init__(self, f, depth):
        super().__init__()
        blocks = lambda c: [Res(c) for _ in range(depth)]
        self.m_head = conv(4, f, bias=False)
        for k in range(3):
            setattr(self, f"m_down{k + 1}", nn.Sequential(*blocks(f << k), nn.Conv2d(f << k, f << k + 1, 2, 2, bias=False)))
        self.m_body = nn.Sequential(*blocks(8 * f))
        for k in (2, 1, 0):
            setattr(self, f"m_up{k + 1}", nn.Sequential(nn.ConvTranspose2d(f << k + 1, f << k, 2, 2, bias=False), *blocks(f << k)))
        self.m_tail = conv(f, 3, bias=False)

    def forward(self, x, sigma):
        x = (x + 1) / 2
        h, w = x.shape[2:]
        y = pad(x, 8, mode="replicate")
        y1 = self.m_head(torch.cat([y, plane(x, sigma, 1, *y.shape[2:])], 1))
        y2 = self.m_down1(y1)
        y3 = self.m_down2(y2)
        y4 = self.m_down3(y3)
        y = self.m_up3(self.m_body(y4) + y4)
        y = self.m_up1(self.m_up2(y + y3) + y2)
        return 2 * self.m_tail(y + y1)[:, :, :h, :w] - 1


class Norm(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(c)), nn.Parameter(torch.zeros(c))

    def forward(self, x):
        return F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, 1e-6).permute(0, 3, 1, 2)


class NAFBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.beta, self.gamma = nn.Parameter(torch.zeros(1, c, 1, 1)), nn.Parameter(torch.zeros(1, c, 1, 1))
        self.conv1, self.conv2, self.conv3 = conv(c, 2 * c, 1), conv(2 * c, 2 * c, groups=2 * c), conv(c, c, 1)
        self.sca = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv(c, c, 1))
        self.conv4, self.conv5, self.norm1, self.norm2 = conv(c, 2 * c, 1), conv(c, c, 1), Norm(c), Norm(c)

    def forward(self, x):
        gate = lambda y: y.chunk(2, 1)[0] * y.chunk(2, 1)[1]
        y = gate(self.conv2(self.conv1(self.norm1(x))))
        x = x + self.beta * self.conv3(y * self.sca(y))
        return x + self.gamma * self.conv5(gate(self.conv4(self.norm2(x))))


class NAFNet(nn.Module):
    def __init__(self, f, down, middle, up):
        super().__init__()
        blocks = lambda c, n: nn.Sequential(*[NAFBlock(c) for _ in range(n)])
        self.intro, self.ending = conv(3, f), conv(f, 3)
        self.encoders = nn.ModuleList(blocks(f << k, n) for k, n in enumerate(down))
        self.decoders = nn.ModuleList(blocks(f << 3 - k, n) for k, n in enumerate(up))
        self.middle_blks = blocks(16 * f, middle)
        self.ups = nn.ModuleList(nn.Sequential(conv(f << 4 - k, f << 5 - k, 1, bias=False), nn.PixelShuffle(2)) for k in range(4))
        self.downs = nn.ModuleList(nn.Conv2d(f << k, f << k + 1, 2, 2) for k in range(4))

    def forward(self, x, sigma):
        x = (x + 1) / 2
        h, w = x.shape[2:]
        whole = pad(x, 16)
        y, skips = self.intro(whole), []
        for encoder, down in zip(self.encoders, self.downs):
            skips.append(encoder(y))
            y = down(skips[-1])
        y = self.middle_blks(y)
        for decoder, up in zip(self.decoders, self.ups):
            y = decoder(up(y) + skips.pop())
        return 2 * (whole + self.ending(y))[:, :, :h, :w] - 1


class Body(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.body = nn.Sequential(*layers)

    def forward(self, x):
        return self.body(x)


class MergeAndRun(nn.Module):
    def __init__(self, c):
        super().__init__()
        at = lambda d: conv(c, c, padding=d, dilation=d)
        self.body1 = nn.Sequential(at(1), nn.ReLU(), at(2), nn.ReLU())
        self.body2 = nn.Sequential(at(3), nn.ReLU(), at(4), nn.ReLU())
        self.body3 = nn.Sequential(conv(2 * c, c), nn.ReLU())

    def forward(self, x):
        return self.body3(torch.cat([self.body1(x), self.body2(x)], 1)) + x


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c1, self.c2 = Body(conv(c, c // 16, 1), nn.ReLU()), Body(conv(c // 16, c, 1), nn.Sigmoid())

    def forward(self, x):
        return x * self.c2(self.c1(x.mean((2, 3), keepdim=True)))


class Module(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.r1, self.r2 = MergeAndRun(c), Body(conv(c, c), nn.ReLU(), conv(c, c))
        self.r3, self.ca = Body(conv(c, c), nn.ReLU(), conv(c, c), nn.ReLU(), conv(c, c, 1)), Attention(c)

    def forward(self, x):
        x = self.r1(x)
        x = F.relu(self.r2(x) + x)
        return self.ca(F.relu(self.r3(x) + x))


class RIDNet(nn.Module):
    def __init__(self, f, depth):
        super().__init__()
        self.sub_mean, self.add_mean = conv(3, 3, 1), conv(3, 3, 1)
        with torch.no_grad():
            for shift, sign in ((self.sub_mean, -1), (self.add_mean, 1)):
                shift.weight.copy_(torch.eye(3).view(3, 3, 1, 1))
                shift.bias.copy_(sign * 255 * torch.tensor([0.4488, 0.4371, 0.4040], dtype=torch.float64))
                shift.requires_grad_(False)
        self.head, self.depth = Body(conv(3, f), nn.ReLU()), depth
        for k in range(depth):
            setattr(self, f"b{k + 1}", Module(f))
        self.tail = conv(f, 3)

    def forward(self, x, sigma):
        x = 255 * (x + 1) / 2
        y = self.head(self.sub_mean(x))
        for k in range(self.depth):
            y = getattr(self, f"b{k + 1}")(y)
        return (self.add_mean(self.tail(y)) + x) / 127.5 - 1


def sampled(t, k):
    v = t.detach().flatten()
    return torch.stack([v.norm(), v.sum(), *(v[i * v.numel() // k] for i in range(k))])


def case(net):
    fill(net)
    channels = next(net.parameters()).shape[1] if isinstance(net, DnCNN) else 3
    x, odd = value(1000, (2, channels, 16, 24)), value(1002, (1, channels, 19, 37))
    sigma = torch.tensor([25.0, 50.0], dtype=torch.float64)
    net.eval()
    with torch.no_grad():
        out = {"eval": sampled(net(x, sigma), 30), "odd": sampled(net(odd, torch.tensor([15.0]).double()), 30)}
    net.train()
    x.requires_grad_()
    (net(x, sigma) * value(1001, x.shape)).sum().backward()
    out["input"] = sampled(x.grad, 30)
    out["gradients"] = torch.stack([sampled(p.grad, 3) for p in net.parameters() if p.requires_grad])
    return out


def save(path, tensors):
    header, body = {}, b""
    for name, t in tensors.items():
        raw = t.contiguous().numpy().tobytes()
        header[name] = {"dtype": "F64", "shape": list(t.shape), "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + body)


torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
cases = {
    "dncnn": DnCNN(4, 5, True),
    "dncnn_grey": DnCNN(4, 17, True, 1),
    "dncnn_merged": DnCNN(4, 5, False),
    "ffdnet": FFDNet(5, 4, True),
    "ffdnet_merged": FFDNet(5, 4, False),
    "drunet": DRUNet(3, 2),
    "nafnet": NAFNet(3, (1, 1, 1, 1), 1, (1, 1, 1, 1)),
    "nafnet_published": NAFNet(2, (2, 2, 4, 8), 12, (2, 2, 2, 2)),
    "ridnet": RIDNet(16, 2),
}
save(os.path.join(sys.argv[1], "family.safetensors"), {f"{name}/{what}": t for name, net in cases.items() for what, t in case(net.double()).items()})
print("ok")
