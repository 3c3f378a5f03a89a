"""Goes on in PyTorch with a checkpoint that Go wrote: one optimizer step on a
given batch. Arguments: checkpoint, batch, and where to save the outcome."""
import sys
import torch
import torch.nn as nn
import torch.nn.functional as F


class Double(nn.Module):
    def __init__(self, i, o, m=None):
        super().__init__()
        m = m or o
        self.double_conv = nn.Sequential(
            nn.Conv2d(i, m, 3, padding=1, bias=False), nn.BatchNorm2d(m), nn.ReLU(),
            nn.Conv2d(m, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU())

    def forward(self, x):
        return self.double_conv(x)


class Down(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), Double(i, o))

    def forward(self, x):
        return self.maxpool_conv(x)


class Up(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.conv = Double(i, o, i // 2)

    def forward(self, x, skip):
        return self.conv(torch.cat([skip, self.up(x)], 1))


class Out(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.conv = nn.Conv2d(f, 3, 1)

    def forward(self, x):
        return self.conv(x)


class UNet(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.inc = Double(3, f)
        self.down1, self.down2 = Down(f, 2 * f), Down(2 * f, 4 * f)
        self.down3, self.down4 = Down(4 * f, 8 * f), Down(8 * f, 8 * f)
        self.up1, self.up2 = Up(16 * f, 4 * f), Up(8 * f, 2 * f)
        self.up3, self.up4 = Up(4 * f, f), Up(2 * f, f)
        self.outc = Out(f)

    def forward(self, x):
        a = self.inc(x)
        b = self.down1(a)
        c = self.down2(b)
        d = self.down3(c)
        return self.outc(self.up4(self.up3(self.up2(self.up1(self.down4(d), d), c), b), a))


def ssim(a, b):
    x = torch.arange(11, dtype=torch.float32) - 5
    g = torch.exp(-x ** 2 / (2 * 1.5 ** 2))
    g = g / g.sum()

    def blur(x):
        for side, w in ((2, g.view(1, 1, 11, 1)), (3, g.view(1, 1, 1, 11))):
            if x.shape[side] >= 11:
                x = F.conv2d(x, w.expand(3, -1, -1, -1), groups=3)
        return x

    ma, mb = blur(a), blur(b)
    va, vb, cov = blur(a * a) - ma * ma, blur(b * b) - mb * mb, blur(a * b) - ma * mb
    c1, c2 = 0.01 ** 2, 0.03 ** 2
    return ((2 * ma * mb + c1) / (ma * ma + mb * mb + c1) * (2 * cov + c2) / (va + vb + c2)).mean()


checkpoint, batch, out = torch.load(sys.argv[1]), torch.load(sys.argv[2]), sys.argv[3]
net = UNet(batch["features"])
net.load_state_dict(checkpoint["model_state_dict"], strict=True)
optimizer = torch.optim.AdamW(net.parameters(), lr=1.0)
optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=1)
scheduler.load_state_dict(checkpoint["scheduler_state_dict"])
lr = optimizer.param_groups[0]["lr"]

net.train()
y = net(batch["degraded"])
l1, s = (y - batch["clean"]).abs().mean(), ssim((y + 1) / 2, (batch["clean"] + 1) / 2)
loss = 0.84 * l1 + 0.16 * (1 - s)
loss.backward()
norm = nn.utils.clip_grad_norm_(net.parameters(), 1.0)
optimizer.step()
scheduler.step()
torch.save({
    "epoch": checkpoint["epoch"] + 1,
    "model_state_dict": net.state_dict(),
    "optimizer_state_dict": optimizer.state_dict(),
    "scheduler_state_dict": scheduler.state_dict(),
    "metrics": {"train": {"loss": loss.item(), "l1": l1.item(), "ssim": s.item()}},
    "metadata": {"total_epochs_completed": checkpoint["epoch"] + 1},
    "used_lr": lr, "next_lr": optimizer.param_groups[0]["lr"], "norm": float(norm),
}, out)
