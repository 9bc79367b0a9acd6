"""Measure the grid of results-measured, or every measured table, on a folder with the real images.

    python tools/measure.py DIR [--seeds 1,2,3,4,5] [--splits paper,group,blocks] [--weights random] [--colour]
    python tools/measure.py all DIR [--parts scenes,ablations] [--again]

`all` calls one measuring tool after the other, the corrected evaluation first, and says after each how many hours it took, by the clock and of processors.
What is finished is noted in runs/measured/all.csv and left out the next time, until --again; each tool keeps its own pieces, so an interrupted one continues.
How long the whole takes was not measured; `all --help` lists the minutes of one processor that were.
Not in it: times (tools/bench.py) and other people's images (tools/measure_external.py, external.csv).

The grid:

Each seed and split is a run of its own, so an interrupted measurement continues. Writes leuknb/assets/measured/WEIGHTS-BACKBONES.csv, a row
per split, weights, backbone, head and variant: means over the seeds of accuracy and Benign recall and of the ends of their 95 % intervals, which one test set
of that size allows, and the lowest and highest accuracy. Intervals count what `evaluation` names: images on the paper's split, which is a reproduction only; elsewhere images of
one registered field are kept together, and intervals count groups of them, or stretches of files.
"""
import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from leuknb.lib.clusters import clusters_of
from leuknb.lib.files import read_image
from leuknb.lib.tables import with_ends
from leuknb.metrics import marked_interval
from leuknb.results import fit_cell, reproduce
from leuknb.svm import SVMHead

ROOT = Path(__file__).resolve().parent.parent
CELL = ["split", "weights", "backbone", "head", "variant"]
FIELDS = ("group", "blocks")  # splits that keep images of one field together


def histogram(path):
    "96 numbers: the shares of 32 levels in red, green and blue."
    rgb = np.asarray(read_image(path))
    return np.concatenate([np.bincount(rgb[..., c].ravel() >> 3, minlength=32) for c in range(3)]) / rgb[..., 0].size


def colour_rows(run, histograms):
    "Predictions of an SVM on the colour histograms, with a run's split."
    rows = []
    for variant, sub in run.catalogue.groupby("variant", sort=False):
        X = np.array([histograms[p] for p in sub["path"]], dtype=np.float32)
        names = {"backbone": "colour", "weights": "none", "head": "svm"}
        rows.append(fit_cell(lambda: SVMHead(scale="standard"), X, sub, run.split, names)[0])
    return pd.concat(rows)


def one_run(p, clusters, **names):
    "Accuracy and Benign recall of each model in a predictions table, with intervals that count clusters."
    rows = []
    for (backbone, head, variant), own in p.groupby(["backbone", "head", "variant"], sort=False):
        right, units, benign = own["true"] == own["predicted"], own["image"].map(clusters), own["true"] == "Benign"
        row = names | {"weights": "none" if backbone == "colour" else own["weights"].iloc[0], "backbone": backbone, "head": head, "variant": variant,
                       "n": len(own), "n_benign": benign.sum(), "clusters": units.nunique()}
        for name, these in (("accuracy", benign | True), ("benign", benign)):
            row |= dict(zip(with_ends(name), marked_interval(right[these], units[these])))
        rows.append(row)
    return pd.DataFrame(rows)


def summary(rows):
    "Means over seeds, of the ends of intervals too, and the range of accuracies."
    groups = rows.groupby([*CELL, "evaluation"], sort=False)
    table = groups[["n", "clusters", "accuracy", "accuracy_low", "accuracy_high", "n_benign", "benign", "benign_low", "benign_high"]].mean()
    table[["accuracy_rough", "benign_rough"]] = groups[["accuracy_rough", "benign_rough"]].max()
    table["lowest"], table["highest"], table["seeds"] = groups["accuracy"].min(), groups["accuracy"].max(), groups["seed"].nunique()
    return table.reset_index()


def write(table, path):
    "The table, with the rows of other splits and heads that were measured before."
    if path.exists():
        old = pd.read_csv(path, keep_default_na=False)
        again = old.merge(table[CELL], how="left", indicator=True)["_merge"].eq("both").to_numpy()
        table = pd.concat([table, old[~again]], ignore_index=True)
    path.parent.mkdir(exist_ok=True)
    table.round(6).to_csv(path, index=False, lineterminator="\n")


PARTS = {  # name -> (tool, arguments); DIR: the folder with the images
    "scenes": ("measure_scenes", "DIR"),
    "scenes-open": ("measure_scenes", "DIR", "--parts", "ladder", "--locked"),
    "choose": ("choose", "DIR"),
    "ablations": ("measure_ablations", "DIR"),
    "compare": ("measure_compare", "DIR"),
    "robust": ("measure_robust", "DIR", "--scaled"),
    "robust-coverage": ("measure_robust", "DIR", "--parts", "coverage"),
    **{f"audit-{part}": ("measure_audit", part, "DIR") for part in ("shortcuts", "black")},
    "audit-oracle": ("measure_audit", "oracle"),
    "ruler": ("measure_cells", "ruler", "--data", "DIR"),
    "nucleated": ("measure_cells", "nucleated"),
    "cells": ("measure_cells", "cells", "--data", "DIR"),
    "laboratories": ("measure_laboratories",),
    "intervals": ("bench_intervals",),
    "alexnet-synth": ("measure", "DIR", "--weights", "synth", "--backbones", "alexnet"),
    "alexnet-random": ("measure", "DIR", "--backbones", "alexnet", "--colour"),
    "alexnet-tuned": ("measure", "DIR", "--weights", "synth", "--backbones", "alexnet", "--heads", "fine-tuned"),
    "alexnet-on-tuned": ("measure", "DIR", "--weights", "synth", "--backbones", "alexnet", "--heads", "svm,knn", "--features", "fine-tuned",
                         "--unfreeze", "last-block", "--epochs", "6", "--seeds", "1", "--splits", "paper"),
    "alexnet-random-tuned": ("measure", "DIR", "--backbones", "alexnet", "--heads", "fine-tuned"),
    "vgg19-random": ("measure", "DIR", "--backbones", "vgg19"),
    "vgg19-random-tuned": ("measure", "DIR", "--backbones", "vgg19", "--heads", "fine-tuned"),
}
MINUTES = {"scenes, up to the ladder, with their features": 55, "scenes-open": 20, "choose": 18, "inner folds of two heads (of scenes)": 10, "audit-shortcuts": 10,
           "ablations, with their features": 106, "compare": 3,
           "factors (of robust)": 3, "shifts (of robust)": 75, "clean and unlike (of robust)": 11, "robust-coverage": 6, "nucleated": 1, "cells": 23, "laboratories": 10, "ruler": 3}


def call(tool, *arguments):
    "Run a tool of this folder; its failure is ours."
    subprocess.run([sys.executable, Path(__file__).with_name(f"{tool}.py"), *arguments], check=True)


def measure_all(arguments, call=call, done=ROOT / "runs" / "measured" / "all.csv"):
    "Call the measuring tools in an order, skip what is finished, and return how long each part took."
    known = ", ".join(f"{name} {minutes}" for name, minutes in MINUTES.items())
    p = argparse.ArgumentParser(prog="measure.py all", description="Every measured table, by one command. Minutes of one processor that were measured "
                                f"(public images, no GPU; where features are not named, those of whole images were stored before): {known}. The other parts were not timed.")
    p.add_argument("data")
    p.add_argument("--parts", default=",".join(PARTS), help="of %(default)s")
    p.add_argument("--again", action="store_true", help="measure finished parts again")
    args = p.parse_args(arguments)
    unknown = [name for name in args.parts.split(",") if name not in PARTS]
    if unknown or not Path(args.data).is_dir():
        p.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}" if unknown else f"{args.data} is not a folder")
    times = pd.read_csv(done).set_index("part")["hours"].to_dict() if done.exists() else {}
    used = lambda: (os.times().children_user + os.times().children_system) / 3600
    for name in args.parts.split(","):
        if name in times and not args.again:
            print(f"{name}: finished before, {times[name]:.2f} hours", flush=True)
            continue
        start, before = time.monotonic(), used()
        call(*(args.data if argument == "DIR" else argument for argument in PARTS[name]))
        times[name] = (time.monotonic() - start) / 3600
        done.parent.mkdir(parents=True, exist_ok=True)
        pd.Series(times, name="hours").rename_axis("part").to_csv(done)
        print(f"{name}: {times[name]:.2f} hours, {used() - before:.2f} of processors", flush=True)
    return times


def main():
    "Run what is missing, then write the table."
    if sys.argv[1:2] == ["all"]:
        return measure_all(sys.argv[2:])
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data")
    p.add_argument("--seeds", default="1,2,3,4,5")
    p.add_argument("--splits", default="paper,group,blocks")
    p.add_argument("--weights", default="random")
    p.add_argument("--backbones", default="alexnet,vgg19")
    p.add_argument("--heads", default="svm,knn,softmax")
    p.add_argument("--features", default="frozen", help="frozen or fine-tuned")
    p.add_argument("--unfreeze", help="what fine-tuning trains")
    p.add_argument("--epochs", type=int, help="of fine-tuning")
    p.add_argument("--colour", action="store_true", help="also measure the colour histogram")
    p.add_argument("--runs", default=str(ROOT / "runs" / "measured"))
    args = p.parse_args()
    rows, histograms, backbones = [], {}, args.backbones.split(",")
    name = Path(args.weights).stem + ("-on-tuned" if args.features == "fine-tuned" else "-tuned" if args.heads == "fine-tuned" else "")
    path = ROOT / "leuknb" / "assets" / "measured" / f"{name}-{'-'.join(backbones)}.csv"
    for seed in map(int, args.seeds.split(",")):
        for split in args.splits.split(","):
            out = Path(args.runs) / f"{name}-{split}-{seed}"
            run = reproduce(args.data, out, weights={"": args.weights}, split=split, seed=seed, backbones=tuple(backbones), scenes=split in FIELDS,
                            heads=tuple(args.heads.split(",")), features=args.features, unfreeze=args.unfreeze, epochs=args.epochs, audit=False)
            clusters = clusters_of(run.catalogue, run.split, split) if split in FIELDS else pd.Series({image: image for image in run.catalogue["image"]})
            names = {"split": split, "seed": seed, "evaluation": clusters.name or "images"}
            if args.colour:
                for picture in set(run.catalogue["path"]) - set(histograms):
                    histograms[picture] = histogram(picture)
                rows.append(one_run(colour_rows(run, histograms), clusters, **names))
            rows.append(one_run(run.predictions, clusters, **names))
            table = summary(pd.concat(rows))
            write(table, path)
            print(table.to_string(), flush=True)


if __name__ == "__main__":
    main()
