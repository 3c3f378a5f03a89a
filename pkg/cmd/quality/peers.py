"""What people take noise off with in Python, as they would call it if they knew
the noise's deviation. Strengths that the libraries leave to the caller are those
that did best of a few on some of the pictures.

    python peers.py METHOD

says which version it is in a line of JSON. Then it reads lines "NOISY RESTORED
SIGMA": two .npy files, values in 0..255, [planes, height, width], float64; it
writes the second one and answers with a line of JSON, the seconds by the clock
and by the processors.
"""

import importlib.metadata
import json
import sys
import time

import numpy as np


def bm3d(x, sigma):
    import bm3d
    f = bm3d.bm3d if x.shape[2] == 1 else bm3d.bm3d_rgb
    return f(x / 255, sigma / 255) * 255


def opencv(x, sigma):
    import cv2
    levels = np.clip(np.round(x), 0, 255).astype(np.uint8)  # it takes nothing else
    if x.shape[2] == 1:
        return cv2.fastNlMeansDenoising(levels[:, :, 0], None, sigma, 7, 21)
    h = sigma * OPENCV_H
    return cv2.fastNlMeansDenoisingColored(np.ascontiguousarray(levels[:, :, ::-1]), None, h, h, 7, 21)[:, :, ::-1]


def nonlocal_means(x, sigma):
    from skimage.restoration import denoise_nl_means
    return denoise_nl_means(x / 255, 5, 6, NLM_H * sigma / 255, fast_mode=True, sigma=sigma / 255, channel_axis=-1) * 255


def wavelets(x, sigma):
    from skimage.restoration import denoise_wavelet
    return denoise_wavelet(x / 255, sigma=sigma / 255, method="BayesShrink", mode="soft", convert2ycbcr=x.shape[2] == 3, rescale_sigma=True,
                           channel_axis=-1) * 255


def total_variation(x, sigma):
    from skimage.restoration import denoise_tv_chambolle
    return denoise_tv_chambolle(x / 255, weight=TV_WEIGHT * sigma / 255, channel_axis=-1) * 255


OPENCV_H, NLM_H, TV_WEIGHT = 0.6, 0.6, 0.85  # times the deviation

METHODS = {
    "bm3d": (bm3d, "bm3d"),
    "opencv": (opencv, "opencv-python-headless"),
    "nonlocal_means": (nonlocal_means, "scikit-image"),
    "wavelets": (wavelets, "scikit-image"),
    "total_variation": (total_variation, "scikit-image"),
}

if __name__ == "__main__":
    method, package = METHODS[sys.argv[1]]
    method(np.zeros((64, 64, 3)) + 128.0, 1.0)  # imports take their time here
    print(json.dumps({"version": package + " " + importlib.metadata.version(package)}), flush=True)
    for line in sys.stdin:
        noisy, restored, sigma = line.split()
        x = np.load(noisy).transpose(1, 2, 0)
        began, used = time.perf_counter(), time.process_time()
        y = np.asarray(method(x, float(sigma)), dtype=np.float64).reshape(x.shape)
        answer = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - used}
        np.save(restored, y.transpose(2, 0, 1))
        print(json.dumps(answer), flush=True)
