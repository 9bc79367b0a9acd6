"""How fast features are made, and what they are worth.

    python bench/bench_backbones.py [--data DIR] [--images 1000]   speed, against the plain way in the same run
    python bench/bench_backbones.py --data DIR --features          accuracy of layers, precisions and preprocessing

DIR holds Original/<class>/*.jpg; without it, the speed is measured on synthetic smears.
"""
import argparse
import os
import tempfile
import time
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch.utils.data import DataLoader, Subset
from torchvision import models
from torchvision.datasets import ImageFolder
from torchvision.models.feature_extraction import create_feature_extractor

from leuknb.backbones import Backbone
from leuknb.lib.devices import resolve_precision
from leuknb.networks import layer_names
from leuknb.data import catalogue
from leuknb.splits import split
from leuknb.metrics import wilson


def synthetic(folder, n):
    "A class folder of n JPEG smears: 16 drawn, the rest shifted."
    from leuknb.patients import smear
    drawn = [smear(seed).image for seed in range(16)]
    (folder / "any").mkdir(parents=True)
    for i in range(n):
        Image.fromarray(np.roll(drawn[i % 16], 7 * (i // 16), axis=1)).save(folder / "any" / f"{i:05}.jpg", quality=90)
    return folder


def plainly(name, node, images):
    "Images a second: ImageFolder, DataLoader, float32, create_feature_extractor; model building excluded."
    network = create_feature_extractor(models.get_model(name).eval(), [node])
    loader = DataLoader(images, batch_size=64 if name == "alexnet" else 16)
    start = time.perf_counter()
    with torch.inference_mode():
        rows = [network(x)[node].flatten(1) for x, _ in loader]
    return len(images) / (time.perf_counter() - start), sum(map(len, rows))


def ours(name, layer, paths, precision):
    "Images a second, without a cache, and again from a warm one."
    backbone = Backbone(name, "random", layer=layer, precision=precision, cache=False, progress=False).fit()
    start = time.perf_counter()
    backbone.transform(paths)
    cold = len(paths) / (time.perf_counter() - start)
    backbone.set_params(cache=True).transform(paths)
    start = time.perf_counter()
    backbone.transform(paths)
    return cold, len(paths) / (time.perf_counter() - start), f"{backbone.precision_} on {backbone.device_}"


def speed(data, n):
    "One table: images a second, ours against the plain way."
    transform = models.AlexNet_Weights.IMAGENET1K_V1.transforms()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LEUKNB_CACHE"] = f"{folder}/cache"
        images = ImageFolder(data / "Original" if data else synthetic(Path(folder) / "smears", n), transform)
        some = np.linspace(0, len(images) - 1, min(n, len(images))).astype(int)
        paths, rows = [images.samples[i][0] for i in some], []
        precisions = [resolve_precision(), *(["int8"] if all(map(find_spec, ("openvino", "nncf"))) else [])]
        for name in ("alexnet", "vgg19"):
            plain, _ = plainly(name, layer_names(name)["fc7"], Subset(images, some))
            for layer, precision in product(("fc7", "stats"), precisions):
                cold, warm, how = ours(name, layer, paths, precision)
                rows.append({"backbone": name, "layer": layer, "images": len(paths), "plain (fc7) / s": plain, "ours / s": cold,
                             "ratio": cold / plain, "cached / s": warm, "ours in": how})
    print(pd.DataFrame(rows).round(1).to_string(index=False))


CHOICES = {
    "alexnet fc7": dict(layer="fc7"), "alexnet pool5": dict(layer="pool5"), "alexnet pool5, 2 x 2": dict(layer="pool5", pool="avg2"),
    "alexnet stats": dict(), "alexnet stats, 448 pixels": dict(size=448), "alexnet stats, denoise": dict(preprocess="denoise"),
    "alexnet stats, contrast": dict(preprocess="contrast"), "alexnet stats, white": dict(preprocess="white"),
    "alexnet stats, denoise+contrast": dict(preprocess="denoise+contrast"), "vgg19 stats": dict(name="vgg19"),
}
WAYS = {"centre": {}, "whole picture": {"crop": False}, "centre, float32": {"precision": "float32"}}


def predictions(features, labels, folds):
    "True and predicted classes of an RBF SVM, on the test rows of each fold."
    true, predicted = [], []
    for _, fold in folds.groupby("fold"):
        train, test = (fold["row"][fold["split"] == side] for side in ("train", "test"))
        model = make_pipeline(StandardScaler(), SVC(C=10)).fit(features[train], labels[train])
        true.append(labels[test])
        predicted.append(model.predict(features[test]))
    return np.array(true), np.array(predicted)


def worth(data, chosen):
    "A Markdown table: accuracy of each choice, and the predictions that bfloat16 changes; original images, paper split, three seeds."
    images = catalogue(data)
    images = images[images["variant"] == "original"].reset_index(drop=True)
    folds = split(images, "paper", seed=0, repeats=3)
    folds["row"] = folds["image"].map(pd.Series(images.index, images["image"]))
    labels = images["label"].to_numpy(dtype=str)
    print("| untrained features | numbers | accuracy, centre | accuracy, whole picture | changed by bfloat16 |\n|---|---|---|---|---|")
    for title in (title for title in CHOICES if chosen in title):
        said = {}
        for way, more in WAYS.items():
            backbone = Backbone(weights="random", **{"precision": "bfloat16"} | CHOICES[title] | more)
            said[way] = predictions(backbone.transform(images["path"]), labels, folds)
        print(line(title, len(backbone.get_feature_names_out()), said), flush=True)


def line(title, width, said):
    "One line of the table: mean over the splits, Wilson interval for one split's test images."
    cells = []
    for way in ("centre", "whole picture"):
        true, predicted = said[way]
        share, n = np.mean(true == predicted), true.shape[1]
        cells.append(f"{share:.1%} [{{:.1%}}, {{:.1%}}]".format(*wilson(round(share * n), n)))
    changed = np.mean(said["centre"][1] != said["centre, float32"][1])
    return f"| {title} | {width:,} | {' | '.join(cells)} | {changed:.2%} |"


def main():
    "Read the command line."
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--features", nargs="?", const="", help="choices whose name holds this; without a name, all")
    args = parser.parse_args()
    worth(args.data, args.features) if args.features is not None else speed(args.data, args.images)


if __name__ == "__main__":
    main()
