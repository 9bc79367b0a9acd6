"""What helps in another laboratory? Generated ones, home alone in training: leuknb/assets/measured/laboratories.csv.

    python tools/measure_laboratories.py [--laboratories 8] [--images 48]
"""
import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from leuknb.backbones import Backbone
from leuknb.cells import CellFeatures
from leuknb.heads import SoftmaxHead, SVMHead
from leuknb.lib.tiles import tile_images
from leuknb.novelty import NoveltyScore
from leuknb.patients import make_smears
from leuknb.ruler import set_diameter

OUT = Path(__file__).resolve().parent.parent / "leuknb/assets/measured/laboratories.csv"


def read(folder):
    "Paths, labels and patients of the original images of a generated set."
    table = pd.read_csv(folder / "catalogue.csv").query("variant == 'original'")
    return [str(folder / path) for path in table["path"]], table["label"].to_numpy(str), table["patient"].to_numpy(str)


def scaled(paths, folder, red, size):
    "Each image at the scale of home, its middle tile: paths (the image itself where its scale cannot be measured)."
    table = tile_images(paths, folder, size, 0, "auto", red, on_bad="skip", progress=False)
    best = table.sort_values("cells", ascending=False, kind="stable").groupby("image")["path"].first()
    return [best.get(path, path) for path in paths]


def row(method, name, p, classes, labels, groups, novelty):
    "What a laboratory's numbers are."
    sick, right = labels != "Benign", classes[p.argmax(1)] == labels
    score, flagged = p[:, classes != "Benign"].sum(1), novelty > 0.99
    return {"method": method, "laboratory": name, "images": len(labels), "auroc": roc_auc_score(sick, score) if 0 < sick.sum() < len(sick) else np.nan,
            "accuracy": right.mean(), "flagged": flagged.mean(), "confidently wrong": ((p.max(1) > 0.9) & ~right & ~flagged).mean()}


def wrong_mix(labels, rng):
    "Rows of a laboratory whose Benign images are ten times rarer than the others'."
    return np.flatnonzero((labels != "Benign") | (rng.random(len(labels)) < 0.1))


def measure(sets, home, folder, size):
    "All methods in all laboratories."
    paths, labels, groups = sets[home]
    red, rng = set_diameter(paths, 12, False).pixels, np.random.default_rng(0)
    networks = {name: Backbone("alexnet", "synth", preprocess=step, progress=False)
                for name, step in [("as they are", None), ("white", "white"), ("macenko", "macenko"), ("reinhard", "reinhard")]}
    others = [name for name in sets if name != home]
    matched = {name: scaled(sets[name][0], folder / f"tiles-{name}", red, size) for name in others}
    for name, model in [*networks.items(), ("cells alone", CellFeatures().fit(paths))]:
        cells = name == "cells alone"
        home_features = model.transform(paths)
        head = (SoftmaxHead(scale="standard", C=(0.01, 0.1, 1, 10)) if cells else SVMHead()).fit(home_features, labels, groups)
        far, own = NoveltyScore().fit(home_features, labels), StandardScaler().fit(home_features)
        for other in others:
            files, truth, people = sets[other]
            features = {name: model.transform(files)}
            if not cells:
                features[f"{name}, scale matched"] = model.transform(matched[other])
            base = features[name if cells else f"{name}, scale matched"]
            for title, chosen in [("by its own images", np.arange(len(base))), ("by its own images, Benign rare", wrong_mix(truth, rng))]:
                moved = own.inverse_transform(StandardScaler().fit(base[chosen]).transform(base))
                features[f"{name}{'' if cells else ', scale matched'}, standardised {title}"] = moved.astype(np.float32)
            for method, x in features.items():
                yield row(method, other, head.predict_proba(x), head.classes_, truth, people, far.score_samples(x))
        print(name, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--laboratories", type=int, default=8)
    parser.add_argument("--images", type=int, default=48, help="of each; twice as many at home")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, options = Path(place), dict(size=args.size, progress=False)
        sets = {"home": read(make_smears(folder / "home", args.images * 2, args.images // 2, seed=1, **options))}
        for k in range(args.laboratories):
            sets[f"laboratory {k}"] = read(make_smears(folder / f"{k}", args.images, args.images // 2, seed=100 + k, laboratory=50 + k, **options))
        table = pd.DataFrame(measure(sets, "home", folder, args.size))
    table.to_csv(args.out, index=False, float_format="%.4f")
    print(table.groupby("method", sort=False)[["auroc", "accuracy", "flagged", "confidently wrong"]].agg(["mean", "min"]).round(3).to_string())


if __name__ == "__main__":
    main()
