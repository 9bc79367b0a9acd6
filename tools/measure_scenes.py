"""Measure the tables of nbs/03_scenes.ipynb on a folder with the real images.

    python tools/measure_scenes.py DIR [--parts counts,lags,streams,threshold,fields,ladder,objectives,shuffles,coverage,slides,novelty]
                                       [--models colour,plain-lda,white-lda,robust] [--null 300000] [--locked]

Every registered pair, every feature, every ladder and every prediction by blocks is kept, so an interrupted measurement continues.
Writes to leuknb/assets/measured: scenes-counts.csv (copies, groups, scenes), scenes-lags.csv (similarity by lag), scenes-streams.csv,
scenes-threshold.csv (correlations of pairs of one class, and of different ones),
scenes-fields.csv (overlapping pairs by class; how many near-duplicate groups hold; how far apart; what the split `group` leaves on both sides),
scenes-ladder.csv, scenes-objectives.csv (the ladder of the robust recipe with copies at another magnification), scenes-shuffles.csv (the ladder again, its settings chosen by three divisions into inner folds: least and most accurate),
scenes-coverage.csv (accuracy of the most confident share), scenes-slides.csv (accuracy by stretches used in training) and
scenes-novelty.csv (share flagged in each block and class). With --locked, scenes-ladder-open.csv: the ladder without the files that `leuknb.scenes.locked` locks.
"""
import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from leuknb.backbones import Backbone
from leuknb.calibration import risk_coverage
from leuknb.data import catalogue
from leuknb.heads import LDAHead
from leuknb.lib.cache import cache_folder
from leuknb.lib.clusters import period_table, stretches
from leuknb.lib.files import digest
from leuknb.lib.registration import Register, neighbour_pairs, overlapping_pairs, thumbnails
from leuknb.novelty import NoveltyScore
from leuknb.robust import Robust, RobustHead
from leuknb.scenes import STEPS, block_parts, field_leaks, ladder, lag_similarity, learning_curve, locked, one_row_each, scenes, streams, with_scenes
from leuknb.shortcuts import ShortcutFeatures
from leuknb.splits import each_fold, inner_groups, split
from leuknb.svm import SVMHead

ROOT = Path(__file__).resolve().parent.parent
LEVELS = [0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9]
STRETCHES = {"Benign": (90, 405), "Early": (375, 765), "Pre": (0, 300), "Pro": (0, 804)}  # where most windows agree


def lags(rows, args):
    "Similarity by lag in one long stretch of each class."
    colours, found = thumbnails(rows["path"].tolist(), rows["sha256"].tolist())[1], []
    for label, places in rows.groupby("label", observed=True).indices.items():
        start, stop = STRETCHES.get(label, (0, len(places)))
        similarity = lag_similarity(colours[places[start:stop]])
        found.append({"class": label, "files": f"{start + 1}-{min(stop, len(places))}"} | {f"lag {k}": v for k, v in similarity.items()})
    return pd.DataFrame(found)


def stream_table(rows, args):
    "First and last file of each stretch."
    return period_table(streams(rows))


def across(rows, pairs):
    "Yield images with others of different classes, which cannot overlap."
    rng, classes = np.random.default_rng(0), rows["label"].astype(str).to_numpy()
    for i in rng.permutation(len(rows)):
        if pairs <= 0:
            return
        others = rng.permutation(np.flatnonzero(classes != classes[i]))[:256]
        pairs -= len(others)
        yield int(i), others


def threshold(rows, args):
    "Pairs above each correlation, of one class and of different classes."
    register = Register(thumbnails(rows["path"].tolist(), rows["sha256"].tolist())[0])
    null = pd.DataFrame(overlapping_pairs(register, across(rows, args.null), LEVELS[0], 0)).reindex(columns=range(6))[2]
    same = scenes(rows, above=LEVELS[0])["correlation"]
    sizes = rows["label"].value_counts()
    table = pd.DataFrame({"correlation": LEVELS, "one class": [int((same >= level).sum()) for level in LEVELS],
                          "different classes": [int((null >= level).sum()) for level in LEVELS]})
    return table.assign(**{"pairs of one class": int((sizes * (sizes - 1) / 2).sum()), "pairs of different classes": args.null})


def fields(rows, args):
    "Overlapping pairs of each class, and of all."
    pairs, group = scenes(rows), rows.set_index("image")["group"]
    grouped = group[pairs["first"]].to_numpy() == group[pairs["second"]].to_numpy()
    near = neighbour_pairs(rows["label"].astype(str).to_numpy(), *thumbnails(rows["path"].tolist(), rows["sha256"].tolist()))
    candidates = {(rows["image"][i], rows["image"][j]) for i, others in near for j in others}
    seen = [pair in candidates for pair in zip(pairs["first"], pairs["second"])]
    table = pd.DataFrame({"class": pairs["label"].astype(str), "pairs": 1, "grouped": grouped, "among neighbours": seen, "farthest": pairs["files_apart"]})
    how = {"pairs": "sum", "grouped": "sum", "among neighbours": "sum", "farthest": "max"}
    found = table.groupby("class", sort=False).agg(how)
    found.loc["all"] = table.agg(how)
    for seed in (1, 2, 3):
        for name, cat in (("group", rows), ("scene", with_scenes(rows, pairs))):
            parts = split(cat, "group", seed=seed)
            found.loc["all", f"split by {name}, seed {seed}"] = len(field_leaks(pairs, parts))
            found.loc["all", f"tested, {name}, seed {seed}"] = int((parts["split"] == "test").sum())
    return found.reset_index()


def models(rows, args):
    "Name -> estimator or function, features."
    paths, y = rows["path"].to_numpy(), rows["label"].astype(str).to_numpy()
    recipe, copies = Robust(), Robust(objectives=1)
    white = lambda k=0: recipe.backbone(k).transform(paths)

    def robust(X):
        def predict(train, test):
            groups = inner_groups(rows.iloc[train], 5)
            return RobustHead().fit(X[0][train], y[train], groups, [copy[train] for copy in X[1:]]).predict(X[0][test])
        return predict
    return {"colour": lambda: (SVMHead(scale="standard"), ShortcutFeatures("colour histogram").fit(paths).transform(paths)),
            "plain-svm": lambda: (SVMHead(), Backbone("alexnet", "synth").transform(paths)),
            "plain-lda": lambda: (LDAHead(), Backbone("alexnet", "synth").transform(paths)),
            "white-lda": lambda: (LDAHead(), white()),
            "robust": lambda: (robust([white(k) for k in range(recipe.copies + 1)]), None),
            "robust-objectives": lambda: (robust([copies.backbone(k).transform(paths) for k in range(4)]), None)}


def ladders(rows, args, steps=STEPS, shuffles=1, names=None):
    "The ladder of each model, by scenes and streams."
    rows = with_scenes(rows, scenes(rows))
    if args.locked:
        rows = rows[locked(rows)["split"].to_numpy() == "train"].reset_index(drop=True)
    place, tables = streams(rows)["place"].to_numpy(), []
    for name in names or args.models.split(","):
        model = X = None
        for step in steps:
            several = [shuffles] if shuffles > 1 else []
            kept = cache_folder() / "ladders" / f"{digest(name, step, rows['sha256'].tolist(), rows['group'].tolist(), place, *several)}.csv"
            if not kept.exists():
                if model is None:
                    model, X = models(rows, args)[name]()
                kept.parent.mkdir(parents=True, exist_ok=True)
                ladder(model, rows, X, place, [step], shuffles=shuffles).to_csv(kept, index=False)
            tables.append(pd.read_csv(kept).assign(model=name))
            print(tables[-1].to_string(), flush=True)
    return pd.concat(tables)[["model", *tables[0].columns.drop("model")]]


def objectives(rows, args):
    "The ladder of the robust recipe with copies at another magnification."
    return ladders(rows, args, names=["robust-objectives"])


def shuffles(rows, args):
    "Two heads in file order, each with three divisions into inner folds."
    return ladders(rows, args, STEPS[:3], 3, ("plain-svm", "plain-lda"))


def kept(name, key, make):
    "A table that is made once."
    path = cache_folder() / name / f"{digest(*key)}.csv"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        make().to_csv(path, index=False)
    return pd.read_csv(path, keep_default_na=False)


def white_or_plain(rows, name):
    "Features of a model with linear discriminants."
    return (Backbone("alexnet", "synth") if name == "plain-lda" else Robust().backbone(0)).transform(rows["path"].to_numpy())


def block_predictions(rows, X, name, embargo):
    "Predictions by blocks, with the novelty score of each tested image."
    y, tables = rows["label"].astype(str).to_numpy(), []
    for fold, train, test in each_fold(rows, block_parts(rows, embargo)):
        head = LDAHead().fit(X[train], y[train], groups=inner_groups(rows.iloc[train], 5))
        table = pd.DataFrame(head.predict_proba(X[test]), columns=[f"p_{c}" for c in head.classes_])
        novelty = NoveltyScore().fit(X[train], y[train]).score_samples(X[test])
        tables.append(table.assign(image=rows["image"].to_numpy()[test], fold=fold, true=y[test], predicted=head.predict(X[test]), novelty=novelty))
        print(f"{name}, {embargo} left out, fold {fold}", flush=True)
    return pd.concat(tables).assign(variant="original", backbone=name, weights="synth", head="lda", split="test")


def by_blocks(rows, embargoes=(75, 150), names=("plain-lda", "white-lda")):
    "Predictions of each model at each embargo, scenes kept together."
    rows = with_scenes(rows, scenes(rows))
    for name in names:
        for embargo in embargoes:
            key = name, embargo, rows["sha256"].tolist(), rows["group"].tolist()
            yield name, embargo, rows, kept("by-blocks", key, lambda: block_predictions(rows, white_or_plain(rows, name), name, embargo))


def coverage(rows, args):
    "Accuracy of the most confident share."
    tables = []
    for name, embargo, rows, predictions in by_blocks(rows):
        table = risk_coverage(predictions, groups=dict(zip(rows["image"], stretches(rows))))
        tables.append(pd.DataFrame(table[["coverage", "n", "accuracy", "low", "high", "rough", "least"]].assign(model=name, embargo=embargo)))
    return pd.concat(tables)[["model", "embargo", "coverage", "n", "accuracy", "low", "high", "rough", "least"]]


def novelty(rows, args):
    "Images with a novelty score above 0.99, in each block and class."
    tables = []
    for name, embargo, _, predictions in by_blocks(rows, (75,), ("white-lda",)):
        flagged = predictions.assign(flagged=predictions["novelty"] > 0.99).groupby(["fold", "true"])["flagged"].agg(["size", "mean"])
        tables.append(flagged.reset_index().set_axis(["block", "class", "n", "flagged"], axis=1).assign(model=name, embargo=embargo))
    return pd.concat(tables)


def slides(rows, args):
    "Accuracy by how many stretches of each class are used in training."
    rows = with_scenes(rows, scenes(rows))
    make = lambda: learning_curve(LDAHead(), rows, white_or_plain(rows, "plain-lda"), embargo=75)
    return kept("slides", ("plain-lda", 75, rows["sha256"].tolist(), rows["group"].tolist()), make).assign(model="plain-lda", embargo=75)


def counts(rows, args):
    "Images, copies, near-duplicate groups and scenes of each class."
    scene = with_scenes(rows, scenes(rows))["group"]
    facts = pd.DataFrame({"class": rows["label"].astype(str), "images": 1, "copies": rows["sha256"].duplicated(), "scene": scene, "group": rows["group"]})
    how = {"images": "sum", "copies": "sum", "group": "nunique", "scene": "nunique"}
    return facts.groupby("class", sort=False).agg(how).reset_index().rename(columns={"group": "groups", "scene": "scenes"})


PARTS = {"counts": counts, "lags": lags, "streams": stream_table, "threshold": threshold, "fields": fields, "ladder": ladders, "objectives": objectives, "shuffles": shuffles,
         "coverage": coverage, "slides": slides, "novelty": novelty}
LADDERS = "ladder", "objectives", "shuffles"


def main():
    "Measure what is asked for, and write the tables."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data")
    p.add_argument("--parts", default=",".join(PARTS))
    p.add_argument("--models", default="colour,plain-lda,white-lda,robust")
    p.add_argument("--null", type=int, default=300_000, help="pairs of different classes")
    p.add_argument("--locked", action="store_true", help="ladders of the open files only, into scenes-ladder-open.csv and so on")
    p.add_argument("--out", default=str(ROOT / "leuknb" / "assets" / "measured"))
    args = p.parse_args()
    if args.locked and set(args.parts.split(",")) - set(LADDERS):
        p.error(f"--locked: choose --parts from {', '.join(LADDERS)}")
    rows = one_row_each(catalogue(args.data, variants=("original",)))
    for name in args.parts.split(","):
        table = PARTS[name](rows, args)
        table.to_csv(Path(args.out) / f"scenes-{name}{'-open' if args.locked else ''}.csv", index=False, float_format="%.5g", lineterminator="\n")
        print(table.to_string(), flush=True)


if __name__ == "__main__":
    main()
