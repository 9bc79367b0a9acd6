"""Measure the tables at the end of nbs/52_compare.ipynb on a folder with the real images.

    python tools/measure_compare.py DIR [--splits paper,group,blocks] [--heads svm,knn,softmax,lda] [--seed 1]

AlexNet trained on synthetic smears, original images; each split is a run of its own, so an interrupted measurement continues. Blocks use the files that are
not locked, with scenes kept together; paper and group use all images, as the paper did. Intervals and tests count the clusters of each run.
Writes leuknb/assets/measured/compare-calibration.csv (as fitted, and with a temperature fitted out of fold), compare-screening.csv (Benign against
malignant, at a sensitivity of 99 % chosen out of fold: for blocks, on the other blocks) and compare-tests.csv (pairs of heads, McNemar's test with Holm's correction).
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


def tests(p, groups):
    "Pairs of heads; the last column is Holm's p if each image were independent."
    return compare_methods(p, groups=groups).assign(p_holm_images=compare_methods(p)["p_holm"])


def main():
    "Run what is missing, then write the tables."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data")
    p.add_argument("--splits", default="paper,group,blocks")
    p.add_argument("--heads", default="svm,knn,softmax,lda")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--runs", default=str(ROOT / "runs" / "compare"))
    args = p.parse_args()
    tables = {"calibration": (calibrations, []), "screening": (screenings, []), "tests": (tests, [])}
    for scheme in args.splits.split(","):
        blocks = scheme == "blocks"
        run = reproduce(args.data, Path(args.runs) / f"{scheme}-{args.seed}", weights={"": "synth"}, split=scheme, seed=args.seed, backbones=("alexnet",),
                        heads=tuple(args.heads.split(",")), variants=("original",), audit=False, scenes=blocks, locked=blocks)
        for make, parts in tables.values():
            parts.append(make(run.predictions, groups=run.clusters).assign(split=scheme, seed=args.seed))
    for name, (_, parts) in tables.items():
        pd.concat(parts).round(6).to_csv(ROOT / "leuknb" / "assets" / "measured" / f"compare-{name}.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
