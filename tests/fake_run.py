"""A run folder with predictions from a seeded generator and drawn images: any size, in seconds."""
import argparse
import hashlib
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from leuknb.lib.files import write_json

CLASSES = ["Benign", "Early", "Pre", "Pro"]
GRID = list(product(["alexnet", "vgg19"], ["svm", "knn", "softmax", "fine-tuned"], ["original", "segmented"]))


def draw(rng, kind, segmented, size=224):
    "A cartoon of a smear: pale ground, red cells, and violet cells that grow with the class."
    image = Image.new("RGB", (size, size), "black" if segmented else tuple(rng.integers(225, 245, 3).tolist()))
    pen = ImageDraw.Draw(image)
    for _ in range(0 if segmented else 14):
        x, y, r = rng.integers(0, size, 2).tolist() + [int(rng.integers(9, 13))]
        pen.ellipse((x - r, y - r, x + r, y + r), fill=(226, 172, 170), outline=(205, 150, 150))
    for _ in range(2 + 2 * kind):
        x, y, r = rng.integers(0, size, 2).tolist() + [int(rng.integers(11, 17))]
        pen.ellipse((x - r, y - r, x + r, y + r), fill=tuple(rng.integers((90, 40, 130), (130, 80, 180)).tolist()))
    return image


def probabilities(rng, true, skill, classes=4):
    "Softmax of noise with a bonus for the true class."
    z = rng.normal(size=(len(true), classes)) * 1.3
    z[np.arange(len(true)), true] += skill
    e = np.exp(z - z.max(1, keepdims=True))
    return (e / e.sum(1, keepdims=True)).round(6)


def catalogue(folder, rng, count, draw_all=True):
    "Draw the images; one row a file."
    rows = []
    for i, variant in product(range(count), ["original", "segmented"]):
        kind = i % 4
        name = f"{CLASSES[kind]}/WBC-{CLASSES[kind]}-{i // 4 + 1:03d}"
        path = Path(folder) / "images" / variant.title() / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(np.random.default_rng([i, 7]), kind, variant == "segmented").save(path, quality=85)
        rows.append((name, str(path), CLASSES[kind], variant, f"g{i // 2 if i < 20 else i}", hashlib.sha256(path.read_bytes()).hexdigest(), 224, 224))
    return pd.DataFrame(rows, columns="image path label variant group sha256 width height".split())


def repeated(cat, count):
    "Rows for `count` images whose files repeat those of a catalogue."
    parts = [rows.iloc[np.arange(count) % len(rows)] for _, rows in cat.groupby("variant")]
    names = [f"{label}/WBC-{label}-{i // 4 + 1:05d}" for i, label in enumerate(parts[0]["label"])]
    return pd.concat([rows.assign(image=names, group=names) for rows in parts])


def make_run(folder, count=80, models=GRID, seed=0, drawn=None):
    "Write the run folder; every image is a test image once. drawn: so many files, which the other images repeat."
    folder, rng = Path(folder), np.random.default_rng(seed)
    cat = catalogue(folder, rng, min(count, drawn or count))
    cat = repeated(cat, count) if drawn else cat
    one = cat.drop_duplicates("image")
    true = one["label"].map(CLASSES.index).to_numpy()
    tables = []
    for backbone, head, variant in models:
        p = probabilities(rng, true, 3.0 + (head == "svm") - (variant == "segmented"))
        tables.append(pd.DataFrame({
            "image": one["image"].to_numpy(), "variant": variant, "backbone": backbone, "weights": "random", "head": head,
            "split": "test", "fold": np.arange(count) % 5, "true": one["label"].to_numpy(), "predicted": np.array(CLASSES)[p.argmax(1)],
        }).join(pd.DataFrame(p, columns=[f"p_{c}" for c in CLASSES])))
    folds = [one[["image"]].assign(fold=f, split=np.where(np.arange(count) % 5 == f, "test", "train")) for f in range(5)]
    cat.to_csv(folder / "catalogue.csv", index=False)
    pd.concat(tables).to_csv(folder / "predictions.csv", index=False)
    pd.concat(folds).to_csv(folder / "split.csv", index=False)
    write_json(folder / "config.json", {"choices": {"split": "kfold"}, "data": {"synthetic": True}, "seed": seed})
    return folder


if __name__ == "__main__":
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("folder")
    args.add_argument("--count", type=int, default=80)
    make_run(**vars(args.parse_args()))
