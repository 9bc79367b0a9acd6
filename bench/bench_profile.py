"""Where the time goes from an image file to its features: CPU seconds of one thread, and the share of the matrix rate.

    python bench/bench_profile.py [--data DIR] [--images 64] [--csv FILE]

DIR holds Original/<class>/*.jpg; without it, synthetic smears are drawn. CPU seconds do not count the time that other
programs take, but a busy machine makes them longer all the same (shared caches, a shared core): the peak is measured
in the same minute, in the same way.
"""
import argparse
import os
import tempfile
from collections import Counter
from itertools import product
from pathlib import Path
from time import process_time, thread_time

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bench_backbones import synthetic
from leuknb.backbones import Backbone
from leuknb.lib.extract import open_network
from leuknb.lib.files import read_image
from leuknb.networks import pool_activations

KINDS = {nn.Conv2d: "convolutions", nn.MaxPool2d: "pooling", nn.AdaptiveAvgPool2d: "pooling", nn.Linear: "fully connected"}
PARTS = ("decoding", "transforms", "convolutions", "pooling", "statistics", "fully connected", "other")


class Timed(torch.fx.Interpreter):
    "Run a traced network and add up the CPU seconds of each kind of step."

    def __init__(self, net):
        super().__init__(net)
        self.seconds = Counter()

    def run_node(self, node):
        start = thread_time()
        value = super().run_node(node)
        module = self.module.get_submodule(node.target) if node.op == "call_module" else None
        kind = "statistics" if node.target is pool_activations else KINDS.get(type(module), "other")
        self.seconds[kind] += thread_time() - start
        return value


def matrix_rate(dtype, size=1536, repeats=8):
    "Best rate of one thread that multiplies two square matrices, in 1e9 operations a CPU second."
    a, b, best = torch.rand(size, size).to(dtype), torch.rand(size, size).to(dtype), np.inf
    for _ in range(repeats):
        start = thread_time()
        a @ b
        best = min(best, thread_time() - start)
    return 2 * size ** 3 / best / 1e9


def one_pass(backbone, network, paths):
    "CPU seconds an image of each part, and of the whole way through `transform`."
    plan, prepared, spent, timed = backbone.plan_, backbone.preprocessing_, Counter(), Timed(network.net)
    buffer = torch.empty(plan.batch_size, prepared.size, prepared.size, 3, dtype=network.dtype)
    for at in range(0, len(paths), plan.batch_size):
        start = thread_time()
        images = [read_image(path) for path in paths[at:at + plan.batch_size]]
        decoded = thread_time()
        pixels = torch.from_numpy(np.stack([prepared.pixels(image) for image in images]))
        x = prepared.normalise(pixels, buffer).to(memory_format=torch.channels_last)
        spent += Counter({"decoding": decoded - start, "transforms": thread_time() - decoded})
        timed.run(x)
    start = process_time()
    backbone.transform(paths)
    spent += timed.seconds + Counter(total=process_time() - start)
    return {part: value / len(paths) for part, value in spent.items()}, x


def profile(name, layer, precision, paths, passes=3):
    "CPU milliseconds an image of each part (the least of several passes), and the shares of the matrix rate."
    backbone = Backbone(name, "random", layer=layer, precision=precision, device="cpu", cache=False, progress=False).fit()
    network, size = open_network(backbone.plan_), backbone.batch_size_
    paths = paths[:max(1, min(len(paths), 64 if name == "alexnet" else 16) // size) * size]
    with torch.inference_mode():
        _, x = one_pass(backbone, network, paths[:size])  # for warming up
        with FlopCounterMode(display=False) as counter:
            network(x)
        rates, seconds = [matrix_rate(network.dtype)], []
        for _ in range(passes):
            seconds.append(one_pass(backbone, network, paths)[0])
            rates.append(matrix_rate(network.dtype))
    spent = {part: min(one.get(part, 0) for one in seconds) for part in (*PARTS, "total")}
    spent["other"] = max(spent["other"], spent["total"] - sum(spent[part] for part in PARTS if part != "other"))
    operations, rate = counter.get_total_flops() / size / 1e9, max(rates)
    layers = spent["convolutions"] + spent["fully connected"]
    return {"network": name, "layer": layer, "precision": precision, "images": len(paths), "batch": size,
            **{part: round(1000 * value, 2) for part, value in spent.items()}, "operations": round(operations, 2),
            "rate": round(rate, 1), "layers_of_rate": round(operations / layers / rate, 3),
            "of_rate": round(operations / spent["total"] / rate, 3)}


def main():
    "Read the command line."
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--csv", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = sorted((args.data / "Original" if args.data else synthetic(Path(folder), args.images)).rglob("*.jpg"))
        paths = [found[k] for k in np.linspace(0, len(found) - 1, min(args.images, len(found))).astype(int)]
        choices = product(("alexnet", "vgg19"), ("stats", "fc7"), ("float32", "bfloat16"))
        table = pd.DataFrame([profile(*choice, paths) for choice in choices])
    print(table.to_string(index=False))
    if args.csv:
        table.to_csv(args.csv, index=False)


if __name__ == "__main__":
    main()
