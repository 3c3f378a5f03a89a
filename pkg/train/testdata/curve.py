"""Trains in PyTorch on from a checkpoint that Go wrote, on the batches and with the
learning rates that Go had, and says after each epoch how good it is. Arguments:
step.py, checkpoint, batches, where to save the PSNR of each epoch and, for a second
run, by what share to disturb the weights that it begins with."""
import sys
import torch
import torch.nn as nn

torch.set_num_threads(1)  # so little work is not worth waiting for each other
source = open(sys.argv[1]).read()
exec(source.split("checkpoint, batch, out =")[0])  # the network and SSIM

checkpoint, given, out = torch.load(sys.argv[2]), torch.load(sys.argv[3]), sys.argv[4]

def run(disturbance):
    """PSNR after each epoch, where weights begin off by this share of themselves."""
    net = UNet(given["features"])
    net.load_state_dict(checkpoint["model_state_dict"], strict=True)
    torch.manual_seed(1)
    with torch.no_grad():
        for p in net.parameters():
            p *= 1 + disturbance * torch.randn_like(p)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1.0)
    optimizer.load_state_dict(checkpoint["optimizer_state_dict"])

    curve = []
    for epoch in range(given["epochs"]):
        net.train()
        for i in range(given["steps.%d" % epoch]):
            clean = given["clean.%d.%d" % (epoch, i)]
            y = net(given["degraded.%d.%d" % (epoch, i)])
            loss = 0.84 * (y - clean).abs().mean() + 0.16 * (1 - ssim((y + 1) / 2, (clean + 1) / 2))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            for group in optimizer.param_groups:
                group["lr"] = given["rate.%d" % epoch]
            optimizer.step()
        net.eval()
        with torch.no_grad():
            mse = ((net(given["val.degraded"]).clamp(-1, 1) - given["val.clean"]) / 2).pow(2).mean((1, 2, 3))
        curve.append(float((-10 * mse.log10()).mean()))
    return torch.tensor(curve)


result = {"psnr": run(0.0)}
if len(sys.argv) > 5:  # how far a rounding error at the beginning leads
    result["psnr_disturbed"] = run(float(sys.argv[5]))
torch.save(result, out)
