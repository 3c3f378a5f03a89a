"""Computes StableHLO programs with PyTorch, one for each line of standard input:

    {"program": file with the text, "inputs": file, "outputs": file to write}

Inputs and outputs are float32, one array after the other. Only what go-xla
writes for Rekindle's networks is understood; anything else is an error. As XLA
does, convolutions and products of bfloat16 are added up in float32.
"""
import json
import math
import re
import struct
import sys

import numpy
import torch
import torch.nn.functional as F

TYPES = {"f32": torch.float32, "f64": torch.float64, "bf16": torch.bfloat16, "i1": torch.bool, "i32": torch.int32, "i64": torch.int64}


def tensor_type(text):
    """tensor<4x3xf32> -> [4, 3], torch.float32"""
    *dims, name = re.search(r"tensor<([^>]*)>", text).group(1).split("x")
    return [int(d) for d in dims], TYPES[name]


def integers(attributes, name):
    found = re.search(name + r" = array<i64(?:: ([-\d, ]*))?>", attributes)
    return [int(v) for v in found.group(1).split(",")] if found and found.group(1) else []


def pairs(attributes, name):
    found = re.search(name + r" = dense<(\[\[.*?\]\])>", attributes)
    return json.loads(found.group(1))


def bracketed(attributes, name):
    return [int(v) for v in re.search(name + r" = \[([-\d, ]*)\]", attributes).group(1).split(",") if v.strip()]


def constant(attributes, shape, dtype):
    text = re.search(r"value = dense<(.*?)> : tensor", attributes, re.S).group(1)
    if text.startswith("0x"):
        value = struct.unpack(">f", bytes.fromhex(text[2:].rjust(8, "0")))[0]
    else:
        value = json.loads(text.replace("true", "1").replace("false", "0"))
    value = torch.tensor(value, dtype=torch.float64)
    return (value.expand(shape) if value.dim() == 0 else value.reshape(shape)).to(dtype)


def convolution(x, w, attributes, dtype):
    layout = re.search(r"#stablehlo.conv<\[(.*?)\]x\[(.*?)\]->\[(.*?)\]>", attributes)
    left, right, out = [[a.strip() for a in g.split(",")] for g in layout.groups()]
    x = x.float().permute([left.index(a) for a in ("b", "f", "0", "1")])
    w = w.float().permute([right.index(a) for a in ("o", "i", "0", "1")])
    if "true" in re.search(r"window_reversal = array<i1: (.*?)>", attributes).group(1) or integers(attributes, "lhs_dilation") != [1, 1]:
        raise NotImplementedError("reversed or dilated convolution")
    (top, bottom), (before, after) = pairs(attributes, "padding")
    y = F.conv2d(F.pad(x, (before, after, top, bottom)), w, stride=integers(attributes, "window_strides"), dilation=integers(attributes, "rhs_dilation"))
    return y.permute([("b", "f", "0", "1").index(a) for a in out]).to(dtype)


def dot_general(a, b, attributes, dtype):
    of = {side + kind: bracketed(attributes, f"{side}_{kind}_dimensions") for side in ("lhs", "rhs") for kind in ("batching", "contracting")}

    def arranged(x, side):
        batch, contract = of[side + "batching"], of[side + "contracting"]
        free = [d for d in range(x.dim()) if d not in batch + contract]
        sizes = [[x.shape[d] for d in group] for group in (batch, free, contract)]
        return x.float().permute(batch + free + contract).reshape([math.prod(s) for s in sizes]), sizes

    a, (batch, rows, _) = arranged(a, "lhs")
    b, (_, columns, _) = arranged(b, "rhs")
    return torch.bmm(a, b.transpose(1, 2)).reshape(batch + rows + columns).to(dtype)


def windows(x, attributes):
    """The windows of x along new last axes."""
    if any(v for pair in pairs(attributes, "padding") for v in pair):
        raise NotImplementedError("padded windows")
    for axis, (size, stride) in enumerate(zip(integers(attributes, "window_dimensions"), integers(attributes, "window_strides"))):
        x = x.unfold(axis, size, stride)
    return x


def select_and_scatter(x, source, attributes):
    """Each value of source goes to where its window is largest, the first of several."""
    if not re.search(r"comparison_direction GE", attributes):
        raise NotImplementedError("another selection than of the largest")
    flat = windows(torch.arange(x.numel()).reshape(x.shape), attributes).reshape(list(source.shape) + [-1])
    values = x.flatten()[flat]
    first = (values == values.amax(-1, keepdim=True)).int().argmax(-1, keepdim=True)
    out = torch.zeros(x.numel(), dtype=torch.float32)
    out.index_add_(0, flat.gather(-1, first).flatten(), source.float().flatten())
    return out.reshape(x.shape).to(x.dtype)


def reduce(x, start, attributes):
    dims, kind = integers(attributes, "dimensions"), re.search(r'"stablehlo\.(\w+)"\(%lhs, %rhs\)', attributes).group(1)
    if kind == "add":
        return (x.sum(dims) if dims else x) + start
    if kind == "maximum":
        return torch.maximum(x.amax(dims), start)
    raise NotImplementedError("reduce by " + kind)


def pad(x, value, attributes):
    low, high = integers(attributes, "edge_padding_low"), integers(attributes, "edge_padding_high")
    if any(integers(attributes, "interior_padding")) or min(low + high) < 0:
        raise NotImplementedError("padding inside, or cutting")
    out = value.expand([a + n + b for a, n, b in zip(low, x.shape, high)]).clone()
    out[tuple(slice(a, a + n) for a, n in zip(low, x.shape))] = x
    return out


def broadcast(x, attributes, shape):
    dims = integers(attributes, "broadcast_dimensions")
    return x.reshape([x.shape[dims.index(d)] if d in dims else 1 for d in range(len(shape))]).expand(shape)


ELEMENTWISE = {
    "add": torch.add, "subtract": torch.subtract, "multiply": torch.multiply, "divide": torch.divide, "maximum": torch.maximum,
    "minimum": torch.minimum, "negate": torch.neg, "abs": torch.abs, "sqrt": torch.sqrt, "rsqrt": torch.rsqrt, "sign": torch.sign,
    "exponential": torch.exp, "logistic": torch.sigmoid, "log": torch.log, "tanh": torch.tanh, "power": torch.pow, "select": torch.where,
}
COMPARE = {"GT": torch.gt, "GE": torch.ge, "LT": torch.lt, "LE": torch.le, "EQ": torch.eq, "NE": torch.ne}


def compute(op, args, attributes, result):
    shape, dtype = tensor_type(result)
    if op in ELEMENTWISE:
        return ELEMENTWISE[op](*args)
    if op == "constant":
        return constant(attributes, shape, dtype)
    if op == "convert":
        return args[0].to(dtype)
    if op == "reshape":
        return args[0].reshape(shape)
    if op == "broadcast_in_dim":
        return broadcast(args[0], attributes, shape)
    if op == "transpose":
        return args[0].permute(integers(attributes, "permutation"))
    if op == "reverse":
        return args[0].flip(integers(attributes, "dimensions"))
    if op == "concatenate":
        return torch.cat(args, int(re.search(r"dimension = (\d+)", attributes).group(1)))
    if op == "slice":
        bounds = zip(*(integers(attributes, k) for k in ("start_indices", "limit_indices", "strides")))
        return args[0][tuple(slice(*b) for b in bounds)]
    if op == "compare":
        return COMPARE[re.search(r"comparison_direction (\w\w)", attributes).group(1)](*args)
    if op == "pad":
        return pad(args[0], args[1], attributes)
    if op == "reduce":
        return reduce(args[0], args[1], attributes)
    if op == "reduce_window":
        if '"stablehlo.maximum"' not in attributes:
            raise NotImplementedError("windows of another kind than maxima")
        return windows(args[0], attributes).reshape(shape + [-1]).amax(-1)
    if op == "select_and_scatter":
        return select_and_scatter(args[0], args[1], attributes)
    if op == "convolution":
        return convolution(args[0], args[1], attributes, dtype)
    if op == "dot_general":
        return dot_general(args[0], args[1], attributes, dtype)
    raise NotImplementedError(op)


def statements(lines):
    """Joins the lines of each statement: it ends where all brackets are closed."""
    text, depth = "", 0
    for line in lines:
        text += line + "\n"
        depth += sum(line.count(c) for c in "({") - sum(line.count(c) for c in ")}")
        if depth == 0:
            yield text.strip()
            text = ""


def parse(path):
    lines = [l for l in open(path).read().split("\n") if "sdy.mesh" not in l]
    head = next(i for i, l in enumerate(lines) if "func.func @main" in l)
    inputs = [(name, tensor_type(t)) for name, t in re.findall(r"(%arg\d+): (tensor<[^>]*>)", lines[head].split("->")[0])]
    program, outputs = [], None
    for text in statements(lines[head + 1:]):
        returned = re.match(r'"stablehlo\.return"\((.*?)\) : ', text)
        if returned:
            outputs = [v.strip() for v in returned.group(1).split(",")]
            break
        found = re.match(r'(%\w+)(?::(\d+))? = "stablehlo\.(\w+)"\(([^)]*)\)(.*)\) -> (.*)$', text, re.S)
        name, several, op, operands, attributes, result = found.groups()
        program.append((name, several, op, [v.strip() for v in operands.split(",") if v.strip()], attributes, result))
    return inputs, program, outputs


def run(program, raw):
    inputs, statements_, outputs = program
    values, at = {}, 0
    for name, (shape, dtype) in inputs:
        n = math.prod(shape)
        values[name] = torch.from_numpy(raw[at:at + n].copy()).reshape(shape).to(dtype)
        at += n
    for name, several, op, operands, attributes, result in statements_:
        args = [values[v] for v in operands]
        if op == "optimization_barrier":
            for i, a in enumerate(args):
                values[f"{name}#{i}" if several else name] = a
            continue
        out = compute(op, args, attributes, result)
        shape, dtype = tensor_type(result)
        if list(out.shape) != shape or out.dtype != dtype:
            raise TypeError(f"{name} = {op} is {list(out.shape)} {out.dtype}, the program says {result}")
        values[name] = out
    return numpy.concatenate([values[o].float().contiguous().numpy().ravel() for o in outputs])


torch.set_num_threads(2)
programs = {}
for line in sys.stdin:
    job = json.loads(line)
    if job["program"] not in programs:
        programs[job["program"]] = parse(job["program"])
    run(programs[job["program"]], numpy.fromfile(job["inputs"], numpy.float32)).tofile(job["outputs"])
    print("done", flush=True)
