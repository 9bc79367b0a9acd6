"""Measure the table of nbs/64_ablations.ipynb on a folder with the real images.

    python tools/measure_ablations.py DIR [--every 1] [--splits paper,blocks,blocks-75,blocks-75-control,...] [--draws 200] [--parts table,swap,variants]

The features of each ablation are kept on disk, so that an interrupted measurement continues. Writes leuknb/assets/measured/ablations.csv: a row for each
ablation and split (blocks at a distance beside a control of equal size without it), how many images could be ablated, and where an interval rests on few
clusters; ablations-swap.csv: whether a model of whole images follows the cells or the background; and ablations-variants.csv: trained on original images
and tested on segmented ones, and back.
"""
import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from leuknb import ablations
from leuknb.ablations import ABLATIONS, ablated_features, ablation_table, swap_table, variant_table
from leuknb.data import catalogue
from leuknb.lib.cache import cache_folder
from leuknb.lib.files import atomic, digest
from leuknb.scenes import scenes, thinned, training_sizes, with_scenes
from leuknb.splits import split

ROOT = Path(__file__).resolve().parent.parent


def kept_features(paths, name, network=None, progress=True):
    "As `ablated_features`, kept on disk."
    place = cache_folder() / "ablations" / f"{digest(name, [str(path) for path in paths])}.npz"
    if not place.exists():
        done, features = ablated_features(paths, name, network, progress)
        place.parent.mkdir(parents=True, exist_ok=True)
        with atomic(place) as part, open(part, "wb") as file:
            np.savez(file, done=done, features=features)
    with np.load(place) as kept:
        return kept["done"], kept["features"]


def parts_of(rows, name):
    "A split by its name: blocks-75, or blocks-75-control, no embargo but training sets thinned to the sizes of blocks-75."
    scheme, *more = name.split("-")
    if more[1:]:
        labels = rows.set_index("image")["label"]
        return thinned(parts_of(rows, scheme), training_sizes(parts_of(rows, f"{scheme}-{more[0]}"), labels), labels)
    return split(rows, scheme, **({"embargo": int(more[0] if more else 0), "folds": 5} if scheme == "blocks" else {}))


def table(rows, args):
    "A row for each ablation and split."
    for name in ABLATIONS:
        kept_features(rows["path"].tolist(), name)
    ablations.ablated_features, tables = kept_features, []
    for name in args.splits.split(","):
        found = ablation_table(rows, parts_of(rows, name), scheme=name.partition("-")[0], draws=args.draws)
        tables.append(found.assign(split=name))
        print(tables[-1].to_string(), flush=True)
    return pd.concat(tables)[["split", *tables[0].columns.drop("split")]]


def swap(rows, args):
    "What a model of whole images follows, with 75 files left out."
    return swap_table(rows, parts_of(rows, "blocks-75"), "blocks")


def variants(rows, args):
    "Train on one variant and test on the other, on each split but the controls."
    names, every = [name for name in args.splits.split(",") if not name.endswith("-control")], catalogue(args.data)
    every = every[every["image"].isin(rows["image"])].assign(group=lambda t: t["image"].map(rows.set_index("image")["group"]))
    tables = [variant_table(every, parts_of(every, name), name.partition("-")[0]).assign(split=name) for name in names]
    return pd.concat(tables)[["split", *tables[0].columns.drop("split")]]


PARTS = {"table": table, "swap": swap, "variants": variants}
FILES = {"table": "ablations.csv", "swap": "ablations-swap.csv", "variants": "ablations-variants.csv"}


def main():
    "Measure, and write the table."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data")
    p.add_argument("--every", type=int, default=1, help="of how many images of a class one is taken")
    p.add_argument("--splits", default="paper,blocks,blocks-75,blocks-75-control,blocks-150,blocks-150-control")
    p.add_argument("--draws", type=int, default=200)
    p.add_argument("--parts", default=",".join(PARTS))
    p.add_argument("--out", default=str(ROOT / "leuknb" / "assets" / "measured"))
    args = p.parse_args()
    if unknown := set(args.parts.split(",")) - set(PARTS):
        p.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    rows = catalogue(args.data, variants=("original",))
    rows = with_scenes(rows, scenes(rows))
    rows = rows[rows.groupby("label", observed=True).cumcount() % args.every == 0].reset_index(drop=True)
    for part in args.parts.split(","):
        found = PARTS[part](rows, args)
        found.to_csv(Path(args.out) / FILES[part], index=False, float_format="%.5g", lineterminator="\n")
        print(found.to_string(), flush=True)


if __name__ == "__main__":
    main()
