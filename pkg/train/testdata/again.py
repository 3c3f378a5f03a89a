"""Loads checkpoints as untrusted files are loaded, into the network, optimizer and scheduler they are for, and saves what
was loaded beside them as FILE.again. Arguments: features, files."""
import os
import sys

import torch

exec(open(os.path.join(os.path.dirname(__file__), "step.py")).read().split("def ssim")[0])  # the network
for path in sys.argv[2:]:
    checkpoint = torch.load(path, weights_only=True)
    net = UNet(int(sys.argv[1]))
    net.load_state_dict(checkpoint["model_state_dict"], strict=True)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1.0)
    optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=1)
    scheduler.load_state_dict(checkpoint["scheduler_state_dict"])
    if "ema_state_dict" in checkpoint:
        UNet(int(sys.argv[1])).load_state_dict(checkpoint["ema_state_dict"], strict=True)
    torch.save(checkpoint, path + ".again")
print("ok")
