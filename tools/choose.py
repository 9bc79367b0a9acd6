"""Repeat the choice of weights, layer, size, preprocessing, head and recipe by nested leave-block-out, without the locked files.

    python tools/choose.py DIR [--candidates synth,white,small,pool5,untrained,robust] [--heads lda,svm,softmax] [--embargo 75] [--out leuknb/assets/measured]

Only the files that `leuknb.scenes.locked` leaves open are read. Outer blocks of file order are held out one after another; within the rest, inner
blocks choose among all candidates, and the chosen one is tested on the outer block. Writes choices.csv (a row for each outer block, and `all`: what is
chosen on all open files) and choices-scores.csv (each candidate by outer blocks). The optimism is the best candidate's accuracy by
outer blocks, less that of the nested choices. `robust` has heads of its own, fitted on copies of the training images, too. Finished blocks are kept under --runs.
"""
import argparse
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from leuknb.backbones import Backbone
from leuknb.data import catalogue
from leuknb.heads import LDAHead, SoftmaxHead
from leuknb.lib.clusters import clustered_interval, stretches
from leuknb.lib.errors import InputError, check_choice
from leuknb.lib.files import atomic, digest
from leuknb.robust import Robust, RobustHead
from leuknb.scenes import LEAST_TRAINING, block_parts, infeasible, locked, one_row_each, scenes, training_sizes, with_scenes
from leuknb.splits import each_fold, inner_groups
from leuknb.svm import SVMHead

ROOT = Path(__file__).resolve().parent.parent
FEATURES = {"synth": dict(weights="synth"), "white": dict(weights="synth", preprocess="white"),
            "small": dict(weights="synth", preprocess="white", size=224),
            "pool5": dict(weights="synth", preprocess="white", layer="pool5", pool="avg2"), "untrained": dict(weights="random", preprocess="white")}
HEADS = {"lda": LDAHead, "svm": SVMHead, "softmax": SoftmaxHead}
ROBUST = "robust"  # a candidate with heads of its own


def kept(path, make, **reading):
    "A table from its file, or made and kept."
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as temporary:
            make().to_csv(temporary, index=False, float_format="%.6g")
    return pd.read_csv(path, **reading)


def predict(head, X, rows, train, test, folds):
    "Predicted classes of test rows, by a head fitted on training rows, and on their copies where X has the shape (n, 1 + copies, d)."
    y, groups = rows["label"].astype(str).to_numpy()[train], inner_groups(rows.iloc[train], folds)
    if head == ROBUST:
        return RobustHead().fit(X[train, 0], y, groups, [*X[train, 1:].swapaxes(0, 1)]).predict(X[test, 0])
    return HEADS[head]().fit(X[train], y, groups).predict(X[test])


def by_blocks(features, heads, rows, embargo, folds):
    "Correct predictions of each candidate (features, head) in every held-out block: a column of 0, 1, and NaN where not tested."
    y, correct = rows["label"].astype(str).to_numpy(), {}
    parts = list(each_fold(rows, block_parts(rows, embargo, folds=folds)))
    for name, X in features.items():
        for head in [ROBUST] if name == ROBUST else heads:
            right = correct[name, head] = np.full(len(rows), np.nan)
            for _, train, test in parts:
                right[test] = predict(head, X, rows, train, test, folds) == y[test]
    return pd.DataFrame(correct)


def best(correct):
    "The candidate with most correct predictions, the first of equals."
    return correct.mean().idxmax()


def nested(features, heads, rows, embargo, inner_embargo, folds, runs):
    "Choices of each outer block and their correct predictions: table, (n,) 0 or 1."
    y, choices, right = rows["label"].astype(str).to_numpy(), [], np.full(len(rows), np.nan)
    for fold, train, test in each_fold(rows, block_parts(rows, embargo, folds=folds)):
        inside = rows.iloc[train].reset_index(drop=True)
        own = {name: X[train] for name, X in features.items()}
        inner = kept(runs / f"inner-{fold}.csv", partial(by_blocks, own, heads, inside, inner_embargo, folds - 1), header=[0, 1])
        name, head = best(inner)
        right[test] = predict(head, features[name], rows, train, test, folds) == y[test]
        choices.append({"block": str(fold), "features": name, "head": head, "inner": inner[name, head].mean(), "outer": right[test].mean()})
        print(f"block {fold}: {name}, {head}", flush=True)
    return pd.DataFrame(choices), right


def open_rows(data):
    "Rows of the original images by scene, and which of them are open, locked."
    rows = one_row_each(catalogue(data, variants=("original",)))
    rows = with_scenes(rows, scenes(rows))
    part = locked(rows)["split"].to_numpy()
    return rows, np.flatnonzero(part == "train"), np.flatnonzero(part == "test")


def check_feasible(rows, embargo, inner_embargo, folds):
    "Raise `InputError` where an outer block leaves a class fewer than 50 training images, or an inner one none."
    sizes = lambda part, near, count: training_sizes(block_parts(part, near, folds=count), part.set_index("image")["label"])
    if note := infeasible(sizes(rows, embargo, folds)):
        raise InputError(f"--embargo {embargo}: {note} of the open files, fewer than {LEAST_TRAINING}; use a smaller one")
    for fold, train, _ in each_fold(rows, block_parts(rows, embargo, folds=folds)):
        if not sizes(rows.iloc[train].reset_index(drop=True), inner_embargo, folds - 1).min(axis=None):
            raise InputError(f"--inner-embargo {inner_embargo}: within fold {fold} an inner block leaves a class no training image; use a smaller one")


def extract(names, paths):
    "Features of each candidate."
    for name in names:
        check_choice("candidates", name, [*FEATURES, ROBUST])
    recipe = Robust()
    copies = lambda: np.stack([recipe.backbone(k).transform(paths) for k in range(recipe.copies + 1)], axis=1)
    return {name: copies() if name == ROBUST else Backbone("alexnet", **FEATURES[name]).transform(paths) for name in names}


def main():
    "Choose, and write what was chosen."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data")
    p.add_argument("--candidates", default=",".join([*FEATURES, ROBUST]))
    p.add_argument("--heads", default=",".join(HEADS))
    p.add_argument("--embargo", type=int, default=75)
    p.add_argument("--inner-embargo", type=int, default=25)
    p.add_argument("--folds", type=int, default=5)
    p.add_argument("--out", default=str(ROOT / "leuknb" / "assets" / "measured"))
    p.add_argument("--runs", default=str(ROOT / "runs" / "choose"))
    args = p.parse_args()
    rows, free, _ = open_rows(args.data)
    rows, heads = rows.iloc[free].reset_index(drop=True), args.heads.split(",")
    check_feasible(rows, args.embargo, args.inner_embargo, args.folds)
    features, clusters = extract(args.candidates.split(","), rows["path"].to_numpy()), stretches(rows)
    runs = Path(args.runs) / digest([*rows["sha256"], args.candidates, args.heads, args.embargo, args.inner_embargo, args.folds])[:12]
    correct = kept(runs / "outer.csv", partial(by_blocks, features, heads, rows, args.embargo, args.folds), header=[0, 1])
    table, right = nested(features, heads, rows, args.embargo, args.inner_embargo, args.folds, runs)
    name, head = best(correct)
    highest = correct[name, head].mean()
    chosen = {"block": "all", "features": name, "head": head, "inner": highest, "outer": right.mean(), "optimism": highest - right.mean()}
    table = pd.concat([table, pd.DataFrame([chosen])])
    scores = pd.DataFrame([{"features": n, "head": h} | clustered_interval(correct[n, h], clusters) for n, h in correct])
    for file, part in (("choices", table), ("choices-scores", scores)):
        part.to_csv(Path(args.out) / f"{file}.csv", index=False, float_format="%.5g", lineterminator="\n")
        print(part.to_string())


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"choose.py: {error}")
