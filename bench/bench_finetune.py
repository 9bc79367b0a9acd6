"""An epoch of VGG19 with a frozen prefix: computed once and kept, beside the plain loop that computes it again for every epoch.

    python bench/bench_finetune.py [--data FOLDER] [--images 64]     without a folder, noise is made

Both train the same classifier (torchvision's fully connected layers, or the small one on channel statistics) with AdamW and batches of 32 on
the same images. The plain loop is the tutorials': ImageFolder-like decoding in a DataLoader, the whole network in each step, no gradient
below the classifier; in float32, and again in the precision and memory format that leuknb uses.
"""
import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import nn
from torchvision import models

from leuknb.lib.devices import resolve_precision
from leuknb.finetune import FineTuned

BATCH = 32


def pictures(folder, n):
    "Noise in large grains, 224 x 224 pixels."
    paths = [folder / f"{k}.jpg" for k in range(n)]
    for k, path in enumerate(paths):
        grains = np.random.default_rng(k).integers(0, 256, (28, 28, 3), dtype=np.uint8)
        Image.fromarray(grains).resize((224, 224)).save(path)
    return paths


class Folder(torch.utils.data.Dataset):
    "Decoded anew each time, as torchvision's ImageFolder does."

    def __init__(self, paths, codes):
        self.paths, self.codes, self.prepare = paths, codes, models.VGG19_Weights.IMAGENET1K_V1.transforms()

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, k):
        with Image.open(self.paths[k]) as image:
            return self.prepare(image.convert("RGB")), self.codes[k]


def plain(paths, codes, precision):
    "Seconds for one epoch of the plain loop."
    net = models.vgg19(num_classes=4)
    net.features.requires_grad_(False)
    if precision == "bfloat16":
        net = net.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.classifier.parameters(), lr=1e-4)
    start = time.perf_counter()
    for x, y in torch.utils.data.DataLoader(Folder(paths, codes), BATCH, shuffle=True):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            loss = nn.functional.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return time.perf_counter() - start


def kept(paths, codes, head):
    "Seconds for the prefix and everything else that is done once, and the median of an epoch."
    model = FineTuned("vgg19", weights="random", head=head, unfreeze="classifier", epochs=4, batch_size=BATCH, validation=None, progress=False)
    start = time.perf_counter()
    epochs = model.fit(paths, codes).history_["seconds"]
    return time.perf_counter() - start - epochs.sum(), epochs.median()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--images", type=int, default=64)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LEUKNB_CACHE"] = folder
        found = sorted(p for p in Path(args.data).rglob("*.jpg")) if args.data else pictures(Path(folder), args.images)
        paths = found[::max(1, len(found) // args.images)][:args.images]
        codes = [k % 4 for k in range(len(paths))]
        native = resolve_precision("auto", "cpu")
        loops = {precision: plain(paths, codes, precision) for precision in dict.fromkeys(("float32", native))}
        rows = []
        for head in ("torchvision", "stats"):
            once, epoch = kept(paths, codes, head)
            rows.append({"head": head, "images": len(paths), "prefix, once (s)": once, "an epoch (s)": epoch}
                        | {f"plain loop {p} (s)": s for p, s in loops.items()} | {f"ratio to {p}": s / epoch for p, s in loops.items()})
    print(f"VGG19, unfreeze='classifier', {native} on {torch.get_num_threads()} threads")
    print(pd.DataFrame(rows).set_index("head").T.round(2).to_string())


if __name__ == "__main__":
    main()
