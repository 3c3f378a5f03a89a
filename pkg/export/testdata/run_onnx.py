"""Runs ONNX files with PyTorch, by a reading of the format that shares nothing with the writer.

python3 run_onnx.py JOBS: a JSON list of {"model", "shape", "input", "sigma", "output"}; inputs and outputs are files of
little-endian float32, sigma is a list of noise levels or null. The definitions of the operations are those of onnx.ai/onnx/operators, opset 17.
"""
import json
import struct
import sys

import numpy
import torch
import torch.nn.functional as F


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    """A protobuf message as {field number: [values]}."""
    out, at = {}, 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
            value = value - (1 << 64) if value >> 63 else value
        elif kind == 2:
            n, at = varint(data, at)
            value, at = data[at:at + n], at + n
        elif kind == 5:
            value, at = struct.unpack_from("<f", data, at)[0], at + 4
        else:
            raise ValueError("wire type %d" % kind)
        out.setdefault(key >> 3, []).append(value)
    return out


def text(message, field):
    return bytes(message.get(field, [b""])[0]).decode()


def tensor(data):
    t = fields(data)
    dtype = {1: numpy.dtype("<f4"), 7: numpy.dtype("<i8")}[t[2][0]]
    values = numpy.frombuffer(bytes(t[9][0]), dtype).reshape(t.get(1, []))
    return text(t, 8), torch.from_numpy(values.copy())


def attributes(node):
    out = {}
    for data in node.get(5, []):
        a = fields(data)
        out[text(a, 1)] = {2: lambda: a[3][0], 3: lambda: text(a, 4), 7: lambda: a[8]}[a[20][0]]()
    return out


def symmetric(pads):
    assert pads[:2] == pads[2:], pads
    return pads[:2]


def resize(x, roi, scales, sizes=None, mode=None, coordinate_transformation_mode=None):
    assert mode == "linear" and roi is None and (scales is None) != (sizes is None)
    if sizes is None:
        sizes = [int(n * s) for n, s in zip(x.shape, scales.tolist())]
    sizes = [int(n) for n in sizes]
    assert sizes[:2] == list(x.shape[:2])
    aligned = {"align_corners": True, "half_pixel": False}[coordinate_transformation_mode]
    return F.interpolate(x, size=sizes[2:], mode="bilinear", align_corners=aligned)


def pad(x, pads, mode="constant"):
    n = x.dim()
    before, after = pads.tolist()[:n], pads.tolist()[n:]
    if mode == "edge":
        assert not any(before[:2] + after[:2])
        return F.pad(x, (before[3], after[3], before[2], after[2]), mode="replicate")
    return F.pad(x, [v for axis in reversed(range(n)) for v in (before[axis], after[axis])])


def conv(x, w, b, kernel_shape, pads=(0, 0, 0, 0), strides=(1, 1), dilations=(1, 1), group=1):
    assert list(w.shape[2:]) == list(kernel_shape)
    return F.conv2d(x, w, b, padding=symmetric(pads), stride=strides, dilation=dilations, groups=group)


def cut(x, starts, ends, axes):
    for start, end, axis in zip(starts.tolist(), ends.tolist(), axes.tolist()):
        x = x.narrow(axis, start, min(end, x.shape[axis]) - start)
    return x


def depth_to_space(x, blocksize, mode):
    assert mode == "CRD"
    return F.pixel_shuffle(x, blocksize)


operations = {
    "Conv": conv,
    "DepthToSpace": depth_to_space,
    "Div": torch.div,
    "Expand": lambda x, shape: x * torch.ones(shape.tolist()),
    "GlobalAveragePool": lambda x: x.mean((2, 3), keepdim=True),
    "Mod": lambda a, b: a % b,
    "ReduceMean": lambda x, axes, keepdims: x.mean(axes, keepdim=bool(keepdims)),
    "Reshape": lambda x, shape: x.reshape(shape.tolist()),
    "Slice": cut,
    "Sqrt": torch.sqrt,
    "ConvTranspose": lambda x, w, b, kernel_shape, strides, pads: F.conv_transpose2d(x, w, b, stride=strides, padding=symmetric(pads)),
    "MaxPool": lambda x, kernel_shape, strides: F.max_pool2d(x, kernel_shape, strides),
    "Resize": resize,
    "Pad": pad,
    "Concat": lambda *xs, axis: torch.cat(xs, axis),
    "Shape": lambda x, start=0, end=None: torch.tensor(x.shape[start:end]),
    "Relu": torch.relu,
    "Sigmoid": torch.sigmoid,
    "Add": torch.add,
    "Sub": torch.sub,
    "Mul": torch.mul,
}


def run(path, x, sigma):
    model = fields(memoryview(open(path, "rb").read()))
    assert fields(model[8][0])[2] == [17]
    graph = fields(model[7][0])
    values = dict(tensor(t) for t in graph[5])
    names = [text(fields(v), 1) for v in graph[11]]
    assert names == (["degraded", "sigma"] if sigma else ["degraded"])
    values.update(zip(names, [x, torch.tensor(sigma or [])]))
    for data in graph[1]:
        node = fields(data)
        inputs = [values[bytes(name).decode()] if len(name) else None for name in node[1]]
        values[text(node, 2)] = operations[text(node, 4)](*inputs, **attributes(node))
    return values[text(fields(graph[12][0]), 1)]


torch.set_num_threads(2)
with torch.no_grad():
    for job in json.load(open(sys.argv[1])):
        x = torch.from_numpy(numpy.fromfile(job["input"], "<f4").reshape(job["shape"]))
        y = run(job["model"], x, job["sigma"])
        assert y.shape == x.shape, (job["model"], y.shape)
        y.numpy().astype("<f4").tofile(job["output"])
print("ok")
