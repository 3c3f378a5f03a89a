"""Prints what TensorBoard's own reader makes of a folder of event files, as JSON: {tag: [[step, value], ...]}, where
the value of a picture is the SHA-256 of its file.

python3 show.py FOLDER
"""
import hashlib
import json
import sys

from tensorboard.backend.event_processing.event_accumulator import STORE_EVERYTHING_SIZE_GUIDANCE, EventAccumulator

reader = EventAccumulator(sys.argv[1], size_guidance=STORE_EVERYTHING_SIZE_GUIDANCE).Reload()
shown = {tag: [[e.step, e.value] for e in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}
for tag in reader.Tags()["images"]:
    shown[tag] = [[e.step, hashlib.sha256(e.encoded_image_string).hexdigest()] for e in reader.Images(tag)]
print(json.dumps(shown))
