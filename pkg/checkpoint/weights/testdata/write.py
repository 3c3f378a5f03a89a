"""Writes checkpoints as other training programs leave them: write.py DIRECTORY.

The files beside this script were written by it with PyTorch 2.15, NumPy 2.4, lightning 2.6 and omegaconf 2.4;
without the last two it leaves out what needs them.
"""
import argparse
import os
import pathlib
import sys
import zipfile
from collections import Counter, defaultdict

import numpy
import torch

out = sys.argv[1]


def path(name):
    return os.path.join(out, name)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inc = torch.nn.Conv2d(2, 2, 1)
        self.norm = torch.nn.BatchNorm2d(2)
        with torch.no_grad():
            self.inc.weight.copy_(torch.tensor([1.0, 2, 3, 4]).reshape(2, 2, 1, 1))
            self.inc.bias.fill_(1)
        self.norm.num_batches_tracked.fill_(7)

    def forward(self, x):
        return self.norm(self.inc(x))


net = Net()
other = Net()
torch.nn.init.zeros_(other.inc.weight)

# As BasicSR saves networks and training states.
torch.save({"params": other.state_dict(), "params_ema": net.state_dict()}, path("basicsr.pth"))
trained = Net()
optimizer = torch.optim.Adam(trained.parameters(), 1e-3, betas=(0.9, 0.99))
scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [10, 10, 20])
trained(torch.ones(1, 2, 2, 2)).sum().backward()
optimizer.step()
scheduler.step()
torch.save({"epoch": 3, "iter": 5, "optimizers": [optimizer.state_dict()], "schedulers": [scheduler.state_dict()]}, path("basicsr.state"))

# With everything around it that programs put there.
args = argparse.Namespace(lr=1e-3, out=pathlib.PurePosixPath("x"), act=torch.nn.ReLU)
torch.save({
    "args": args, "net": torch.nn.DataParallel(net).state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict(),
    "psnr": numpy.float64(31.25), "steps": numpy.int64(-5), "small": numpy.float32(0.5), "half": numpy.float16(2), "flag": numpy.bool_(True),
    "byte": numpy.uint8(200), "swapped": numpy.array([1.5], ">f8")[0], "complex": numpy.complex64(1j), "array": numpy.arange(3),
    "rng": numpy.random.default_rng(1).bit_generator.state, "python": ({1, 2}, frozenset([3]), b"bytes", 1 << 80, Counter([1, 1]), {0.5: 1, (1, 2): 2}),
    "history": defaultdict(list, psnr=[30.0]), "size": torch.Size([1, 2]), "device": torch.device("cpu"), "dtype": torch.float16,
    "complex tensor": torch.zeros(2, dtype=torch.complex64), "float8": torch.zeros(2).to(torch.float8_e4m3fn),
}, path("everything.pt"))
torch.save({"model": torch.compile(net).state_dict(), "note": Counter({"a": 1})}, path("compiled_protocol_4.pth"), pickle_protocol=4)
torch.save(torch.optim.swa_utils.AveragedModel(net).state_dict(), path("averaged.bin"))
torch.save({"state_dict": net.half().state_dict()}, path("half.pth"))
net.float()
torch.save({"model": dict(net.named_parameters()), "legacy": args}, path("legacy.pth"), _use_new_zipfile_serialization=False)

# Zipped again by somebody: deflated, and with entries that begin anywhere.
torch.save({"state_dict": net.state_dict(), "zeros": torch.zeros(1000)}, path("stored.tmp"))
for name, method in ("deflated.pth", zipfile.ZIP_DEFLATED), ("unaligned.pth", zipfile.ZIP_STORED), ("bzip2.pth", zipfile.ZIP_BZIP2):
    with zipfile.ZipFile(path("stored.tmp")) as old, zipfile.ZipFile(path(name), "w", method) as new:
        for entry in old.namelist():
            new.writestr(entry, old.read(entry))
    if method != zipfile.ZIP_BZIP2:
        assert torch.load(path(name))["state_dict"]["inc.bias"].tolist() == [1, 1]
os.remove(path("stored.tmp"))

# What stays refused.
torch.save(net, path("whole.pth"))
torch.save({"model": net, "epoch": 1}, path("whole_inside.pth"))
torch.jit.script(net).save(path("script.pt"))


class Attack:
    def __reduce__(self):
        return os.system, ("touch /tmp/rekindle-was-attacked",)


torch.save({"state_dict": net.state_dict(), "x": Attack()}, path("attack.pth"))

try:
    import lightning.pytorch as pl
    import omegaconf
except ImportError:
    sys.exit(0)


class Module(pl.LightningModule):
    def __init__(self, conf, where, act):
        super().__init__()
        self.save_hyperparameters()
        self.model = Net()
        self.loss = torch.nn.Conv2d(1, 1, 1)

    def training_step(self, batch, _):
        return self.loss(self.model(batch).mean(1, keepdim=True)).mean()

    def configure_optimizers(self):
        o = torch.optim.AdamW(self.parameters())
        return [o], [torch.optim.lr_scheduler.CosineAnnealingLR(o, 2)]


conf = omegaconf.OmegaConf.create({"lr": 1e-3, "layers": [1, 2]})
trainer = pl.Trainer(max_epochs=1, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False, default_root_dir=out,
                     callbacks=[pl.callbacks.ModelCheckpoint(dirpath=out, monitor=None), pl.callbacks.EarlyStopping("nothing", strict=False)])
module = Module(conf, pathlib.Path("x"), torch.nn.ReLU())
trainer.fit(module, torch.utils.data.DataLoader(torch.ones(2, 2, 2, 2)))
module.model.load_state_dict(net.state_dict())
trainer.save_checkpoint(path("lightning.ckpt"))
for name in os.listdir(out):
    if name.startswith("epoch="):
        os.remove(path(name))
