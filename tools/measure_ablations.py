"""Measure the table of nbs/64_ablations.ipynb on a folder with the real images.

    python tools/measure_ablations.py DIR [--every 1] [--splits paper,blocks,blocks-75,blocks-150] [--draws 200]

The features of each ablation are kept on disk, so that an interrupted measurement continues. Writes leuknb/assets/measured/ablations.csv:
a row for each ablation and split, and how many images could be ablated.
"""
import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from leuknb import ablations
from leuknb.ablations import ABLATIONS, ablated_features, ablation_table, swap_table
from leuknb.data import catalogue
from leuknb.lib.cache import cache_folder
from leuknb.lib.files import atomic, digest
from leuknb.scenes import scenes, with_scenes
from leuknb.splits import split

ROOT = Path(__file__).resolve().parent.parent


def kept_features(paths, name, progress=True):
    "As `ablated_features`, kept on disk."
    place = cache_folder() / "ablations" / f"{digest(name, [str(path) for path in paths])}.npz"
    if not place.exists():
        done, features = ablated_features(paths, name, progress)
        place.parent.mkdir(parents=True, exist_ok=True)
        with atomic(place) as part, open(part, "wb") as file:
            np.savez(file, done=done, features=features)
    with np.load(place) as kept:
        return kept["done"], kept["features"]


def parts_of(rows, name):
    "A split by its name, such as blocks-75."
    scheme, _, embargo = name.partition("-")
    return split(rows, scheme, **({"embargo": int(embargo or 0), "folds": 5} if scheme == "blocks" else {}))


def main():
    "Measure, and write the table."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data")
    p.add_argument("--every", type=int, default=1, help="of how many images of a class one is taken")
    p.add_argument("--splits", default="paper,blocks,blocks-75,blocks-150")
    p.add_argument("--draws", type=int, default=200)
    p.add_argument("--out", default=str(ROOT / "leuknb" / "assets" / "measured" / "ablations.csv"))
    args = p.parse_args()
    rows = catalogue(args.data, variants=("original",))
    rows = with_scenes(rows, scenes(rows))
    rows = rows[rows.groupby("label", observed=True).cumcount() % args.every == 0].reset_index(drop=True)
    for name in ABLATIONS:
        kept_features(rows["path"].tolist(), name)
    ablations.ablated_features, tables = kept_features, []
    for name in args.splits.split(","):
        table = ablation_table(rows, parts_of(rows, name), scheme=name.partition("-")[0], draws=args.draws)
        tables.append(table.assign(split=name))
        print(tables[-1].to_string(), flush=True)
    table = pd.concat(tables)[["split", *tables[0].columns.drop("split")]]
    table.to_csv(args.out, index=False, float_format="%.5g", lineterminator="\n")
    print(swap_table(rows, parts_of(rows, "blocks-75"), "blocks").to_string())


if __name__ == "__main__":
    main()
