"""Measure the tables of nbs/65_robust.ipynb on a folder with the real images.

    python tools/measure_robust.py DIR [--seeds 1,2,3,4,5] [--images 200] [--parts clean,shifts,blocks,unlike,parts]

Features are cached and the tables of each seed kept under --runs, so an interrupted measurement continues. Writes leuknb/assets/measured/robust-clean.csv
(accuracy and Benign recall of each model by group and on the paper's split), robust-shifts.csv (accuracy by shift and strength; --images held-out
images a seed), robust-blocks.csv (contiguous blocks, embargo 75) and robust-unlike.csv (AUROC and share of warnings for pictures that are no smears);
robust-parts.csv, only where `parts` is asked for, has the recipe with one part taken away, exchanged or added, by group, by blocks and under the shifts of the last seed.
"""
import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline

from leuknb.backbones import Backbone
from leuknb.preprocess import register_step
from leuknb.calibration import choose_threshold
from leuknb.data import catalogue
from leuknb.splits import split
from leuknb.svm import SVMHead
from leuknb.metrics import wilson
from leuknb.splits import inner_groups, train_test_rows
from leuknb.novelty import FOREIGN, NoveltyScore, foreign_image
from leuknb.robust import Robust, RobustHead
from leuknb.segment import segment
from leuknb.shifts import shift_table
from leuknb.patients import make_smears

ROOT = Path(__file__).resolve().parent.parent
MODELS = ["plain, SVM", "white, SVM", "white, LDA", "white + copies, LDA", "white + copies, SVM", "robust"]


def fitted(recipe, X, plain, rows, train, blocks=None):
    "Each step of the recipe, fitted on training rows, with the pipeline's own features."
    y, groups = rows["label"].astype(str).to_numpy()[train], inner_groups(rows.iloc[train], blocks)
    white, bare = recipe.backbone(), recipe.backbone().set_params(preprocess=None)
    whole = RobustHead().fit(X[0][train], y, groups, [copy[train] for copy in X[1:]])
    heads = [SVMHead().fit(plain[train], y, groups), SVMHead().fit(X[0][train], y, groups), *whole.heads_.values(), whole]
    return {name: make_pipeline(bare if name.startswith("plain") else white, head) for name, head in zip(MODELS, heads)}


def matrices(recipe, rows):
    "Features of the images and their copies, and without white normalisation."
    paths = rows["path"].to_numpy()
    X = [recipe.backbone(k).transform(paths) for k in range(recipe.copies + 1)]
    return X, recipe.backbone().set_params(preprocess=None).transform(paths)


def marks(models, X, plain, rows, test):
    "Right or wrong, for each model and test row."
    y = rows["label"].astype(str).to_numpy()[test]
    return {name: (model[-1].predict((plain if name.startswith("plain") else X[0])[test]) == y) for name, model in models.items()}


def graded(right, rows, test, **names):
    "A row for each model: accuracy, balanced accuracy, recalls."
    y = rows["label"].astype(str).to_numpy()[test]
    table = []
    for model, own in right.items():
        recalls = {c: own[y == c].mean() for c in sorted(set(y))}
        low, high = wilson(own.sum(), len(own))
        table.append({**names, "model": model, "n": len(own), "accuracy": own.mean(), "low": low, "high": high,
                      "balanced": np.mean(list(recalls.values())), **recalls})
    return pd.DataFrame(table)


def kept(path, make):
    "A table from its file, or made and kept."
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        make().to_csv(path, index=False, float_format="%.5f")
    return pd.read_csv(path)


def clean_and_shifts(recipe, X, plain, rows, seed, args):
    "One seed: by group with shifts, and the paper's split."
    def one(scheme):
        train, test = train_test_rows(rows, split(rows, scheme, seed=seed), 0)
        return fitted(recipe, X, plain, rows, train), test

    def clean():
        parts = []
        for scheme in ("group", "paper"):
            models, test = one(scheme)
            parts.append(graded(marks(models, X, plain, rows, test), rows, test, split=scheme, seed=seed))
        return pd.concat(parts)

    def shifts():
        models, test = one("group")
        some = rows.iloc[np.random.default_rng(seed).permutation(test)[:args.images]]
        return shift_table(models, some, strengths=["mild", "medium"], seed=seed).assign(seed=seed)
    found = {}
    if "clean" in args.parts:
        found["clean"] = kept(Path(args.runs) / f"clean-{seed}.csv", clean)
    if "shifts" in args.parts:
        found["shifts"] = kept(Path(args.runs) / f"shifts-{seed}.csv", shifts)
    return found


def blocks(recipe, X, plain, rows):
    "Contiguous blocks of file order, embargo 75."
    parts, right, order = split(rows, "blocks", folds=5, embargo=75), [], []
    for fold in range(5):
        train, test = train_test_rows(rows, parts, fold)
        right.append(marks(fitted(recipe, X, plain, rows, train, blocks=5), X, plain, rows, test))
        order.append(test)
    pooled = {name: np.concatenate([r[name] for r in right]) for name in MODELS}
    return graded(pooled, rows, np.concatenate(order), split="blocks")


def unlike(recipe, X, rows, count=60):
    "AUROC of held-out smears (by blocks) against pictures that are no smears, and how often 0.99 is passed."
    y, parts = rows["label"].astype(str).to_numpy(), split(rows, "blocks", folds=5, embargo=75)
    backbone, scores, far = recipe.backbone(), {}, {}
    train, _ = train_test_rows(rows, parts, 0)
    warning = NoveltyScore().fit(X[0][train], y[train])
    group = split(rows, "group", seed=1)
    tests = {"held-out smears, by group": train_test_rows(rows, group, 0), "held-out smears, by blocks": train_test_rows(rows, parts, 0)}
    for name, (train, test) in tests.items():
        own = NoveltyScore().fit(X[0][train], y[train])
        scores[name], far[name] = own.score_samples(X[0][test]), own.distance(X[0][test])
    with tempfile.TemporaryDirectory() as folder:
        for kind in FOREIGN:
            paths = [Path(folder) / f"{kind}-{i}.png" for i in range(count)]
            for i, path in enumerate(paths):
                Image.fromarray(foreign_image(kind, i)).save(path)
            features = backbone.set_params(cache=False).transform(paths)
            scores[kind], far[kind] = warning.score_samples(features), warning.distance(features)
        other = make_smears(Path(folder) / "smears", images=count, seed=5, progress=False)
        features = backbone.transform(sorted((other / "Original").rglob("*.jpg")))
        scores["generated smears"], far["generated smears"] = warning.score_samples(features), warning.distance(features)
    own = far["held-out smears, by blocks"]
    return pd.DataFrame([{"pictures": name, "n": len(s), "median": np.median(s), "warned": np.mean(s > 0.99),
                          "auroc": roc_auc_score(np.r_[np.zeros(len(own)), np.ones(len(s))], np.r_[own, far[name]]) if "held-out" not in name else np.nan}
                         for name, s in scores.items()])


register_step("cells", segment)
EXCHANGED = {"robust": {}, "untrained weights": {"weights": "random"}, "pool5 averaged over 2 x 2": {"layer": "pool5", "pool": "avg2"}}
ADDED = {"+ cells cut out": Backbone("alexnet", "synth", preprocess=["white", "cells"]),
         "+ untrained VGG19": Backbone("vgg19", "random", preprocess="white")}


def benign_by_threshold(p, classes, y, folds):
    "Answers where Benign is called below a threshold on `1 - p(Benign)` with the best balanced accuracy in the other folds."
    suspicion, cancer = 1 - p[:, list(classes).index("Benign")], y != "Benign"
    rest, said = np.where(classes == "Benign", 0, p).argmax(1), np.empty(len(y), object)
    for fold in np.unique(folds):
        other, own = folds != fold, folds == fold
        at = choose_threshold(cancer[other], suspicion[other], cost=(1 / cancer[other].mean(), 1 / (~cancer[other]).mean()))
        said[own] = np.where(suspicion[own] >= at, classes[rest[own]], "Benign")
    return said


def held_out(make, X, rows, parts):
    "Probabilities of the held-out rows, the rows, their folds, the classes, and the last model."
    p, order, folds = [], [], []
    blocks = 5 if parts["fold"].nunique() > 1 else None
    for fold in sorted(parts["fold"].unique()):
        train, test = train_test_rows(rows, parts, fold)
        y, groups = rows["label"].astype(str).to_numpy()[train], inner_groups(rows.iloc[train], blocks)
        head = make(X, train, y, groups)
        p.append(head.predict_proba(X[0][test]))
        order.append(test)
        folds.append(np.full(len(test), fold))
    return np.concatenate(p), np.concatenate(order), np.concatenate(folds), head.classes_, head


def parts_of(rows, seeds, args):
    "The recipe with one part exchanged or added."
    schemes = [("blocks", 0)] + [("group", seed) for seed in seeds]
    cut = {key: split(rows, key[0], seed=key[1], **({"folds": 5, "embargo": 75} if key[0] == "blocks" else {})) for key in schemes}
    paths, found, tables, models = rows["path"].to_numpy(), {}, [], {}

    def grade(model, key, said, order):
        right = said == rows["label"].astype(str).to_numpy()[order]
        tables.append(graded({model: right}, rows, order, split=key[0], seed=key[1]))

    def recipe_head(X, train, y, groups):
        return RobustHead().fit(X[0][train], y, groups, [copy[train] for copy in X[1:]])

    def single_head(X, train, y, groups):
        return SVMHead().fit(X[0][train], y, groups)
    for name, change in EXCHANGED.items():
        recipe = Robust(**{"size": 448, **change})
        X = [recipe.backbone(k).transform(paths) for k in range(recipe.copies + 1)]
        for key in schemes:
            p, order, folds, classes, head = found[name, key] = held_out(recipe_head, X, rows, cut[key])
            grade(name, key, classes[p.argmax(1)], order)
        models[name] = make_pipeline(recipe.backbone(), head)
        last = train_test_rows(rows, cut[key], 0)[1]
        print(pd.concat(tables).to_string(), flush=True)
    for name, backbone in ADDED.items():
        X = [backbone.transform(paths)]
        for key in schemes:
            p, order, folds, classes, _ = held_out(single_head, X, rows, cut[key])
            grade(name, key, classes[(p + found["robust", key][0]).argmax(1)], order)
        print(pd.concat(tables).to_string(), flush=True)
    p, order, folds, classes, _ = found["robust", schemes[0]]
    y = rows["label"].astype(str).to_numpy()[order]
    grade("+ threshold for Benign", schemes[0], benign_by_threshold(p, classes, y, folds), order)
    some = rows.iloc[np.random.default_rng(seeds[-1]).permutation(last)[:args.images]]
    shifted = shift_table(models, some, strengths=["mild", "medium"], seed=seeds[-1])
    shifted = shifted[~shifted["family"].isin(["none", "mean"])].groupby("model", sort=False)["accuracy"]
    summary = pd.DataFrame({"shifts_mean": shifted.mean(), "shifts_worst": shifted.min()}).reset_index()
    return pd.concat(tables).merge(summary.assign(split="group", seed=seeds[-1]), how="left")


def main():
    "Run what is missing, then write the tables."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data")
    p.add_argument("--seeds", default="1,2,3,4,5")
    p.add_argument("--images", type=int, default=200)
    p.add_argument("--parts", default="clean,shifts,blocks,unlike")
    p.add_argument("--runs", default=str(ROOT / "runs" / "robust"))
    args = p.parse_args()
    cat = catalogue(args.data)
    rows, recipe = cat[cat["variant"] == "original"].reset_index(drop=True), Robust()
    seeds, tables = [int(s) for s in args.seeds.split(",")], {"clean": [], "shifts": []}
    if "parts" in args.parts.split(","):
        tables["parts"] = [kept(Path(args.runs) / "parts.csv", lambda: parts_of(rows, seeds, args))]
    if args.parts != "parts":
        X, plain = matrices(recipe, rows)
    if "blocks" in args.parts:
        tables["blocks"] = [kept(Path(args.runs) / "blocks.csv", lambda: blocks(recipe, X, plain, rows))]
    if "unlike" in args.parts:
        tables["unlike"] = [kept(Path(args.runs) / "unlike.csv", lambda: unlike(recipe, X, rows))]
    for seed in seeds if args.parts != "parts" else []:
        for name, table in clean_and_shifts(recipe, X, plain, rows, seed, args).items():
            tables[name].append(table)
    for name, parts in tables.items():
        if parts:
            pd.concat(parts).to_csv(ROOT / "leuknb" / "assets" / "measured" / f"robust-{name}.csv", index=False, float_format="%.5f")


if __name__ == "__main__":
    main()
