"""Measure the tables of nbs/03_scenes.ipynb on a folder with the real images.

    python tools/measure_scenes.py DIR [--parts lags,threshold,fields,ladder] [--models colour,white-lda,robust] [--null 300000]

Every registered pair, every feature and every ladder is kept, so an interrupted measurement continues. Writes to leuknb/assets/measured:
scenes-lags.csv (similarity by lag), scenes-streams.csv, scenes-threshold.csv (correlations of pairs of one class, and of different ones),
scenes-fields.csv (overlapping pairs by class; how many near-duplicate groups hold; how far apart; what the split `group` leaves on both sides) and
scenes-ladder.csv.
"""
import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from leuknb.backbones import Backbone
from leuknb.data import catalogue
from leuknb.heads import LDAHead
from leuknb.lib.cache import cache_folder
from leuknb.lib.files import digest
from leuknb.lib.registration import Register, neighbour_pairs, overlapping_pairs, thumbnails
from leuknb.robust import Robust, RobustHead
from leuknb.scenes import STEPS, field_leaks, ladder, lag_similarity, one_row_each, scenes, streams, with_scenes
from leuknb.shortcuts import ShortcutFeatures
from leuknb.splits import inner_groups, split
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
    table = streams(rows)
    table["file"], table["stretch"] = table.groupby("label", observed=True).cumcount() + 1, table["stream"].str.rstrip("abcdef")
    found = table.groupby(["label", "stretch"], observed=True, sort=False).agg(
        first=("file", "min"), last=("file", "max"), period=("period", "first"), support=("support", "mean"))
    return found.reset_index().rename(columns={"label": "class"}).drop(columns="stretch")


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
    recipe = Robust()
    white = lambda k=0: recipe.backbone(k).transform(paths)

    def robust(X):
        def predict(train, test):
            groups = inner_groups(rows.iloc[train], 5)
            return RobustHead().fit(X[0][train], y[train], groups, [copy[train] for copy in X[1:]]).predict(X[0][test])
        return predict
    return {"colour": lambda: (SVMHead(scale="standard"), ShortcutFeatures("colour histogram").fit(paths).transform(paths)),
            "plain-lda": lambda: (LDAHead(), Backbone("alexnet", "synth").transform(paths)),
            "white-lda": lambda: (LDAHead(), white()),
            "robust": lambda: (robust([white(k) for k in range(recipe.copies + 1)]), None)}


def ladders(rows, args):
    "The ladder of each model, by scenes and streams."
    rows, place = with_scenes(rows, scenes(rows)), streams(rows)["place"].to_numpy()
    tables = []
    for name in args.models.split(","):
        model = X = None
        for step in STEPS:
            kept = cache_folder() / "ladders" / f"{digest(name, step, rows['sha256'].tolist(), rows['group'].tolist(), place)}.csv"
            if not kept.exists():
                if model is None:
                    model, X = models(rows, args)[name]()
                kept.parent.mkdir(parents=True, exist_ok=True)
                ladder(model, rows, X, place, [step]).to_csv(kept, index=False)
            tables.append(pd.read_csv(kept).assign(model=name))
            print(tables[-1].to_string(), flush=True)
    return pd.concat(tables)[["model", *tables[0].columns.drop("model")]]


PARTS = {"lags": lags, "streams": stream_table, "threshold": threshold, "fields": fields, "ladder": ladders}


def main():
    "Measure what is asked for, and write the tables."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data")
    p.add_argument("--parts", default=",".join(PARTS))
    p.add_argument("--models", default="colour,white-lda,robust")
    p.add_argument("--null", type=int, default=300_000, help="pairs of different classes")
    p.add_argument("--out", default=str(ROOT / "leuknb" / "assets" / "measured"))
    args = p.parse_args()
    rows = one_row_each(catalogue(args.data, variants=("original",)))
    for name in args.parts.split(","):
        table = PARTS[name](rows, args)
        table.to_csv(Path(args.out) / f"scenes-{name}.csv", index=False, float_format="%.5g", lineterminator="\n")
        print(table.to_string(), flush=True)


if __name__ == "__main__":
    main()
