"""Runs ONNX files with ONNX Runtime: run_ort.py JOBS, as run_onnx.py does."""
import json
import sys

import numpy
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 2
for job in json.load(open(sys.argv[1])):
    session = onnxruntime.InferenceSession(job["model"], options, providers=["CPUExecutionProvider"])
    x = numpy.fromfile(job["input"], "<f4").reshape(job["shape"])
    inputs = {"degraded": x}
    if job["sigma"]:
        inputs["sigma"] = numpy.array(job["sigma"], "<f4")
    y = session.run(None, inputs)[0]
    assert y.shape == x.shape and y.dtype == x.dtype, (job["model"], y.shape, y.dtype)
    y.tofile(job["output"])
print("ok")
