"""Measure the tables at the end of nbs/52_compare.ipynb on a folder with the real images.

    python tools/measure_compare.py DIR [--splits paper,group,blocks] [--seed 1]

AlexNet trained on synthetic smears, four heads, original images; each split is a run of its own, so an interrupted measurement continues.
Writes leuknb/assets/measured/compare-calibration.csv (as fitted, and with a temperature fitted out of fold), compare-screening.csv (Benign against
malignant, at a sensitivity of 99 % chosen out of fold) and compare-tests.csv (pairs of heads, McNemar's test with Holm's correction).
"""
import argparse
from pathlib import Path

import pandas as pd

from leuknb.calibration import calibrate, calibration, screen, screening_curves
from leuknb.compare import compare_methods
from leuknb.results import reproduce

ROOT = Path(__file__).resolve().parent.parent


def calibrations(p, groups):
    "As fitted, and rescaled."
    parts = {"as fitted": p, "rescaled out of fold": calibrate(p, groups=groups)}
    return pd.concat([calibration(part, groups=groups).assign(probabilities=name) for name, part in parts.items()])


def screenings(p, groups):
    "Both sides at two thresholds, and the area under the ROC curve."
    areas = {head: screening_curves(part, groups=groups)["auroc"] for head, part in p.groupby("head", sort=False)}
    table = screen(p, sensitivity=0.99, groups=groups)
    return table.join(pd.DataFrame(areas, index=["auroc", "auroc_low", "auroc_high"]).T, on="head")


def main():
    "Run what is missing, then write the tables."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data")
    p.add_argument("--splits", default="paper,group,blocks")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--runs", default=str(ROOT / "runs" / "compare"))
    args = p.parse_args()
    tables = {"calibration": (calibrations, []), "screening": (screenings, []), "tests": (compare_methods, [])}
    for scheme in args.splits.split(","):
        run = reproduce(args.data, Path(args.runs) / f"{scheme}-{args.seed}", weights={"": "synth"}, split=scheme, seed=args.seed, backbones=("alexnet",),
                        heads=("svm", "knn", "softmax", "robust"), variants=("original",), audit=False)
        groups = run.catalogue.drop_duplicates("image").set_index("image")["group"]
        for make, parts in tables.values():
            parts.append(make(run.predictions, groups=groups).assign(split=scheme, seed=args.seed))
    for name, (_, parts) in tables.items():
        pd.concat(parts).round(6).to_csv(ROOT / "leuknb" / "assets" / "measured" / f"compare-{name}.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
