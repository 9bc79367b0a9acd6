"""Measure the tables of nbs/65_robust.ipynb on a folder with the real images.

    python tools/measure_robust.py DIR [--seeds 1,2,3,4,5] [--every 17] [--parts factors,objectives,shifts,coverage,clean,unlike]

Features are cached and finished pieces kept under --runs, so an interrupted measurement continues. Writes to leuknb/assets/measured:
robust-factors.csv (one factor of the recipe at a time, by blocks of the open files, in pairs with plain features and LDA), robust-shifts-blocks.csv (the same blocks
under every shift, every --every-th image: accuracy, leukaemias called Benign, and how many of these the novelty score flags), robust-shifts-copies.csv (the same for the recipe with copies
at another magnification, too; with --scaled for larger and smaller images brought to scale by their red cells), robust-objectives.csv (choice between kinds of copies by nested blocks
of the open files, on images as they are and on copies by another objective that no candidate was trained on), only where `coverage` is asked for robust-coverage.csv and robust-slides.csv
(accuracy of the most confident share, and by stretches used in training, by blocks of all files, as scenes-coverage.csv and scenes-slides.csv), robust-clean.csv
(accuracy and Benign recall of each model by group and on the paper's split), and robust-unlike.csv (AUROC and share of warnings for pictures that are no smears).
The open files are those that `leuknb.scenes.locked` leaves.
"""
import argparse
import tempfile
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline

from choose import kept, open_rows
from leuknb.calibration import risk_coverage
from leuknb.compare import mcnemar
from leuknb.data import catalogue
from leuknb.heads import LDAHead
from leuknb.lib.clusters import clustered_interval, stretches
from leuknb.lib.errors import InputError
from leuknb.lib.fields import TrainingScale, as_tiles, pooled_table
from leuknb.lib.models import NOVEL
from leuknb.lib.scoring import paired_gap
from leuknb.lib.tables import with_ends
from leuknb.metrics import confusion, marked_interval, metrics_table, unit_codes, unit_counts, wilson
from leuknb.novelty import FOREIGN, NoveltyScore, foreign_image
from leuknb.patients import make_smears
from leuknb.preprocess import register_step, white_normalise
from leuknb.robust import Robust, RobustHead
from leuknb.ruler import set_diameter
from leuknb.scenes import block_parts, infeasible, learning_curve, one_row_each, scenes, training_sizes, with_scenes
from leuknb.shifts import SEVERITIES, SHIFTS, shifted_files
from leuknb.shortcuts import ShortcutFeatures, shortcut_head
from leuknb.splits import each_fold, inner_groups, split, train_test_rows
from leuknb.svm import SVMHead

ROOT = Path(__file__).resolve().parent.parent
MODELS = ["plain, SVM", "plain, LDA", "white, SVM", "white, LDA", "white + copies, LDA", "white + copies, SVM", "robust"]
REFERENCE = "plain, LDA"
SHIFTED = {"colour histogram": "colour", "plain, SVM": "plain", "plain, LDA": "plain", "robust": "white"}  # their features
FITTED = {}  # embargo, first test row -> models, which two tables share
COPIED = {"robust": ["camera1", "camera2"], "robust, objective too": ["camera1", "camera2", "objective1"]}  # copies of each training image
UNSEEN = "objective9"  # copies that no candidate is trained on
SCALED, RESIZED = "robust, brought to scale", ("larger", "smaller")  # of one model and the shifts it is tested under


def fitted(recipe, X, plain, rows, train, blocks=None):
    "Each step of the recipe, fitted on training rows, with the pipeline's own features."
    y, groups = rows["label"].astype(str).to_numpy()[train], inner_groups(rows.iloc[train], blocks)
    white, bare = recipe.backbone(), recipe.backbone().set_params(preprocess=None)
    whole = RobustHead().fit(X[0][train], y, groups, [copy[train] for copy in X[1:]])
    heads = [head().fit(plain[train], y, groups) for head in (SVMHead, LDAHead)]
    heads += [SVMHead().fit(X[0][train], y, groups), *whole.heads_.values(), whole]
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


def by_blocks(recipe, X, plain, rows, embargo, args):
    "Classes that every model predicts for the rows of every block: row, and a column for each model."
    def one(train, test):
        models = fitted(recipe, X, plain, rows, train, blocks=5)
        FITTED[embargo, test[0]] = models
        return pd.DataFrame({"row": test} | {name: model[-1].predict((plain if name.startswith("plain") else X[0])[test]) for name, model in models.items()})
    folds = each_fold(rows, block_parts(rows, embargo))
    return pd.concat([kept(Path(args.runs) / f"factors-{embargo}-{fold}.csv", partial(one, train, test)) for fold, train, test in folds])


def clustered_grades(true, predicted, clusters):
    "Accuracy, balanced accuracy and recalls with clustered intervals."
    classes = sorted(set(true))
    counts = unit_counts(true, predicted, classes, unit_codes(clusters))
    table = metrics_table(confusion(true, predicted, classes), classes, clusters=counts).set_index(["class", "metric"])
    grades = {}
    for name, key in {"accuracy": ("overall", "accuracy"), "balanced": ("overall", "balanced_accuracy")}.items() | {(c, (c, "recall")) for c in classes}:
        grades |= {name: table.loc[key, "value"], f"{name}_low": table.loc[key, "low"], f"{name}_high": table.loc[key, "high"]}
    return grades


def factors(recipe, X, plain, rows, args):
    "A row for each embargo and model, paired with the reference."
    y, clusters, tables = rows["label"].astype(str).to_numpy(), stretches(rows), []
    for embargo in map(int, args.embargoes.split(",")):
        if note := infeasible(training_sizes(block_parts(rows, embargo), rows.set_index("image")["label"])):
            tables.append(pd.DataFrame([{"embargo": embargo, "model": name, "note": note} for name in MODELS]))
            continue
        table = by_blocks(recipe, X, plain, rows, embargo, args)
        true, units = y[table["row"]], clusters[table["row"]]
        right = {name: pd.Series((table[name].to_numpy() == true).astype(float)) for name in MODELS}
        found = []
        for name in MODELS:
            own, other = right[name], right[REFERENCE]
            gap = dict(zip(("difference", "difference_low", "difference_high"), paired_gap(own, other, pd.Series(units))))
            tests = {"p_images": mcnemar(own, other)[2], "p_clusters": mcnemar(own, other, units)[2]}
            found.append({"embargo": embargo, "model": name, "n": len(true), "clusters": len(set(units)), **clustered_grades(true, table[name].to_numpy(), units),
                          **gap, **tests, "note": clustered_interval(own, units)["note"]})
        tables.append(pd.DataFrame(found))
    return pd.concat(tables)


def seen_features(X, rows):
    "Features of the images and of each kind of copy that a candidate is trained or tested on."
    more = Robust(copies=0, objectives=9)
    numbers = {"objective1": 1, UNSEEN: 9}
    copies = {name: more.backbone(number).transform(rows["path"].to_numpy()) for name, number in numbers.items()}
    return {"white": X[0], "camera1": X[1], "camera2": X[2]} | copies


def fitted_candidate(name, seen, rows, train, blocks):
    "The head of the recipe, fitted on training rows and their copies of some kinds."
    y, groups = rows["label"].astype(str).to_numpy()[train], inner_groups(rows.iloc[train], blocks)
    return RobustHead().fit(seen["white"][train], y, groups, [seen[copy][train] for copy in COPIED[name]])


def candidate_marks(seen, rows, train, test, blocks):
    "Right or wrong for test rows as they are and as their unseen copies: candidate -> (2, n); and the heads."
    y = rows["label"].astype(str).to_numpy()[test]
    heads = {name: fitted_candidate(name, seen, rows, train, blocks) for name in COPIED}
    return {name: np.stack([head.predict(seen[kind][test]) == y for kind in ("white", UNSEEN)]) for name, head in heads.items()}, heads


def candidates_of_block(seen, rows, fold, train, test):
    "Scores of each candidate in an inner block of an outer block's training rows, and in the outer block."
    inside = rows.iloc[train].reset_index(drop=True)
    own = {kind: features[train] for kind, features in seen.items()}
    _, fit, held = list(each_fold(inside, block_parts(inside, 25, folds=3)))[fold % 3]
    inner, _ = candidate_marks(own, inside, fit, held, 3)
    outer, heads = candidate_marks(seen, rows, train, test, 5)
    FITTED["objective too", test[0]], found = heads["robust, objective too"], []
    for name in COPIED:
        tested, marks = inner[name].mean(1), outer[name].mean(1)
        found.append({"block": fold, "candidate": name, "n": len(test), "n_inner": len(held), "inner": tested[0], "inner_unseen": tested[1],
                      "inner_mean": tested.mean(), "outer": marks[0], "outer_unseen": marks[1]})
    return pd.DataFrame(found)


def objectives(recipe, X, plain, rows, args):
    "Choose between kinds of copies in each block by its inner blocks; and, on all open files, by the blocks."
    seen, tables = seen_features(X, rows), []
    for fold, train, test in each_fold(rows, block_parts(rows, 75)):
        tables.append(kept(Path(args.runs) / f"objectives-{fold}.csv", partial(candidates_of_block, seen, rows, fold, train, test)))
    table = pd.concat(tables)
    weighted = lambda part, name: np.average(part[name], weights=part["n"])
    whole = pd.DataFrame([{"block": "all", "candidate": name, "n": part["n"].sum(), "n_inner": part["n_inner"].sum(), **{c: weighted(part, c) for c in ("inner", "inner_unseen", "outer", "outer_unseen")},
                           "inner_mean": (weighted(part, "outer") + weighted(part, "outer_unseen")) / 2} for name, part in table.groupby("candidate", sort=False)])
    table = pd.concat([table, whole])
    return table.assign(chosen=table["inner_mean"] == table.groupby(table["block"].astype(str))["inner_mean"].transform("max"))


def white_or_black(rgb):
    "White-normalised; black where there is no glass, an image that the recipe refuses."
    try:
        return white_normalise(rgb)
    except InputError:
        return np.zeros_like(rgb)


@cache
def shift_steps(family, severity):
    "The step that shifts images, by name; none for the images as they are."
    if not severity:
        return []
    name = f"{family} {SHIFTS[family].amounts[SEVERITIES.index(severity)]:g}"
    register_step(name, partial(SHIFTS[family], strength=severity))
    return [name]


def shifted_features(recipe, paths, steps, kinds):
    "Features of images after these steps, plain or white."
    return {kind: recipe.backbone().set_params(preprocess=[*steps, *last] or None).transform(paths)
            for kind, last in (("plain", []), ("white", ["white or black"])) if kind in kinds}


def shifted_colours(paths, family, severity):
    "Colour histograms of shifted images."
    with tempfile.TemporaryDirectory() as folder:
        return ShortcutFeatures(cache=False).transform(shifted_files(paths, family, severity, folder) if severity else paths)


def shift_models(recipe, X, plain, rows):
    "For each block: its test rows, models (name -> kind of features, head) and novelty scores of each kind."
    found, colour = [], ShortcutFeatures().transform(rows["path"].tolist())
    for _, train, test in each_fold(rows, block_parts(rows, 75)):
        y, groups = rows["label"].astype(str).to_numpy()[train], inner_groups(rows.iloc[train], 5)
        seen = {"colour": colour[train], "plain": plain[train], "white": X[0][train]}
        heads = {name: model[-1] for name, model in (FITTED.get((75, test[0])) or fitted(recipe, X, plain, rows, train, blocks=5)).items()}
        heads["colour histogram"] = shortcut_head().fit(colour[train], y, groups)
        models = {name: (kind, heads[name]) for name, kind in SHIFTED.items()}
        found.append((test, models, {kind: NoveltyScore().fit(features, y) for kind, features in seen.items()}))
    return found


def shift_predictions(recipe, rows, some, blocks, family, severity):
    "Classes that every model predicts for some rows under a shift: model, row, predicted, novelty."
    tables, paths = [], rows["path"].to_numpy()[some]
    kinds = {kind for _, models, _ in blocks() for kind, _ in models.values()}
    features = shifted_features(recipe, paths, shift_steps(family, severity), kinds)
    features |= {"colour": shifted_colours(paths, family, severity)} if "colour" in kinds else {}
    for test, models, novelty in blocks():
        own = np.isin(some, test)
        for name, (kind, head) in models.items():
            seen = features[kind][own]
            tables.append(pd.DataFrame({"model": name, "row": some[own], "predicted": head.predict(seen), "novelty": novelty[kind].score_samples(seen)}))
    return pd.concat(tables)


def copied_models(X, rows):
    "As `shift_models`: the recipe with copies by another objective."
    name, seen, found = "robust, objective too", seen_features(X, rows), []
    for _, train, test in each_fold(rows, block_parts(rows, 75)):
        score = NoveltyScore().fit(X[0][train], rows["label"].astype(str).to_numpy()[train])
        head = FITTED.get(("objective too", test[0])) or fitted_candidate(name, seen, rows, train, 5)
        found.append((test, {name: ("white", head)}, {"white": score}))
    return found


def scaled_predictions(recipe, rows, some, blocks, family, severity):
    "As `shift_predictions`: the recipe on images brought to the scale of the training images, as by `--scale auto`; as they are where none is measured."
    paths, tables = rows["path"].to_numpy()[some], []
    with tempfile.TemporaryDirectory() as folder:
        files = list(map(str, shifted_files(paths, family, severity, folder) if severity else paths))
        backbone = recipe.backbone().set_params(cache=False)
        for test, models, novelty in blocks():
            own = np.flatnonzero(np.isin(some, test))
            train = np.setdiff1d(np.arange(len(rows)), test)
            red = TrainingScale(set_diameter(rows["path"].to_numpy()[train], 12, False).pixels, rows[["width", "height"]].min(axis=1).median())
            head = models["robust"][1]
            table = lambda where: pd.DataFrame(head.predict_proba(X := backbone.transform(where)), columns=[f"p_{c}" for c in head.classes_]).assign(
                predicted=lambda t: head.classes_[t.to_numpy().argmax(1)], novelty=novelty["white"].score_samples(X), distance=0.0)
            with as_tiles([files[i] for i in own], red, scale="auto", on_bad="skip") as tiles:
                found = pooled_table(table(tiles["path"].tolist()), tiles["image"].tolist())[["predicted", "novelty"]]
            left = [files[i] for i in own if files[i] not in found.index]
            if left:
                found = pd.concat([found, table(left)[["predicted", "novelty"]].set_axis(left)])
            tables.append(found.loc[[files[i] for i in own]].assign(model=SCALED, row=some[own]))
    return pd.concat(tables)[["model", "row", "predicted", "novelty"]]


def shifts_by_blocks(recipe, X, plain, rows, args):
    "A row for each model, shift and severity: accuracy, and leukaemias called Benign, flagged or not."
    some = np.flatnonzero(rows.groupby("label", observed=True).cumcount() % args.every == 0)
    y, clusters, tables = rows["label"].astype(str).to_numpy(), stretches(rows), []
    blocks = cache(lambda: shift_models(recipe, X, plain, rows))
    copied = cache(lambda: copied_models(X, rows))
    families = args.families.split(",") if args.families else list(SHIFTS)
    for severity in ("", *args.severities.split(",")):
        found = {}
        for family in families if severity else ["none"]:
            ways = {"shifts": (shift_predictions, blocks), "copied": (shift_predictions, copied)}
            ways |= {"scaled": (scaled_predictions, blocks)} if args.scaled and (family in RESIZED or not severity) else {}
            made = [kept(Path(args.runs) / f"{way}-{family}-{severity}-{args.every}.csv", partial(predict, recipe, rows, some, by, family, severity))
                    for way, (predict, by) in ways.items()]
            for name, part in pd.concat(made).groupby("model", sort=False):
                found[name, family] = shift_outcome(part.sort_values("row"), y)
        if severity:
            names = [name for name in dict.fromkeys(name for name, _ in found) if name != SCALED]
            found |= {(name, "mean"): np.mean([found[name, f] for f in families], axis=0) for name in names}
        tables += [shift_row(name, family, severity, outcome, y[some], clusters[some]) for (name, family), outcome in found.items()]
    return pd.DataFrame(tables).sort_values("model", key=lambda names: names.map([*SHIFTED, "robust, objective too", SCALED].index), kind="stable")


def shift_outcome(part, y):
    "For each row: correct, a leukaemia called Benign, such a one without a flag, flagged."
    true, predicted, flagged = y[part["row"]], part["predicted"].to_numpy(), part["novelty"].to_numpy() > NOVEL
    missed = (true != "Benign") & (predicted == "Benign")
    return np.stack([predicted == true, missed, missed & ~flagged, flagged]).astype(float)


def shift_row(model, family, severity, outcome, true, clusters):
    "Accuracy, Benign recall, missed and unflagged leukaemias of one model under one shift, with clustered intervals."
    right, missed, unflagged, flagged = outcome
    ill, row = true != "Benign", {"model": model, "family": family, "strength": severity, "n": len(true), "clusters": len(set(clusters))}
    shares = {"accuracy": (right, ill | True), "benign": (right, ~ill), "missed": (missed, ill), "unflagged": (unflagged, ill)}
    for name, (hits, of) in shares.items():
        columns = ["accuracy", "low", "high", "rough"] if name == "accuracy" else with_ends(name)
        row |= dict(zip(columns, marked_interval(hits[of], clusters[of])))
    return row | {"flagged": flagged.mean()}


def clean(recipe, X, plain, rows, seed):
    "One seed: by group, and the paper's split."
    parts = []
    for scheme in ("group", "paper"):
        train, test = train_test_rows(rows, split(rows, scheme, seed=seed), 0)
        models = fitted(recipe, X, plain, rows, train)
        parts.append(graded(marks(models, X, plain, rows, test), rows, test, split=scheme, seed=seed))
    return pd.concat(parts)


def unlike(recipe, X, rows, count=60):
    "AUROC of held-out smears (by blocks) against pictures that are no smears, and how often 0.99 is passed."
    rows = with_scenes(rows, scenes(rows))
    y, parts = rows["label"].astype(str).to_numpy(), block_parts(rows, 75)
    backbone, scores, far = recipe.backbone(), {}, {}
    train, _ = train_test_rows(rows, parts, 0)
    warning = NoveltyScore().fit(X[0][train], y[train])
    group = split(rows, "group", seed=1)
    tests = {"held-out smears, by field": train_test_rows(rows, group, 0), "held-out smears, by blocks": train_test_rows(rows, parts, 0)}
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


register_step("white or black", white_or_black)


def robust_model(X, rows):
    "Prediction of test rows by the recipe fitted on training rows."
    y = rows["label"].astype(str).to_numpy()

    def fit(train):
        return RobustHead().fit(X[0][train], y[train], inner_groups(rows.iloc[train], 5), [copy[train] for copy in X[1:]])
    return fit


def confident_share(recipe, rows, args):
    "Accuracy of the recipe's most confident predictions, by blocks of all files."
    rows = one_row_each(rows)
    rows, tables = with_scenes(rows, scenes(rows)), []
    X = [recipe.backbone(k).transform(rows["path"].to_numpy()) for k in range(recipe.copies + 1)]
    fit, y = robust_model(X, rows), rows["label"].astype(str).to_numpy()

    def one(train, test, fold):
        head = fit(train)
        p = pd.DataFrame(head.predict_proba(X[0][test]), columns=[f"p_{c}" for c in head.classes_])
        return p.assign(image=rows["image"].to_numpy()[test], fold=fold, true=y[test], predicted=head.classes_[p.to_numpy().argmax(1)])
    for embargo in (75, 150):
        folds = each_fold(rows, block_parts(rows, embargo))
        made = [kept(Path(args.runs) / f"coverage-{embargo}-{fold}.csv", partial(one, train, test, fold)) for fold, train, test in folds]
        found = pd.concat(made).assign(variant="original", backbone="robust", weights="synth", head="robust", split="test")
        table = risk_coverage(found, groups=dict(zip(rows["image"], stretches(rows))))
        tables.append(pd.DataFrame(table[["coverage", "n", "accuracy", "low", "high", "rough", "least"]].assign(model="robust", embargo=embargo)))
    return pd.concat(tables)[["model", "embargo", "coverage", "n", "accuracy", "low", "high", "rough", "least"]]


def few_stretches(recipe, rows, args):
    "Accuracy of the recipe by how many stretches of each class are used in training, by blocks of all files."
    rows = one_row_each(rows)
    rows = with_scenes(rows, scenes(rows))
    X = [recipe.backbone(k).transform(rows["path"].to_numpy()) for k in range(recipe.copies + 1)]
    fit = robust_model(X, rows)
    return learning_curve(lambda train, test: fit(train).predict(X[0][test]), rows, embargo=75).assign(model="robust", embargo=75)


def of_open_files(args, parts):
    "Tables of blocks of the open files."
    rows, free, _ = open_rows(args.data)
    rows, recipe = rows.iloc[free].reset_index(drop=True), Robust()
    X, plain = matrices(recipe, rows)
    measures = {"factors": ("factors", factors), "objectives": ("objectives", objectives), "shifts": ("shifts-blocks", shifts_by_blocks)}
    tables = {file: [measure(recipe, X, plain, rows, args)] for name, (file, measure) in measures.items() if name in parts}
    if "shifts-blocks" in tables:
        found = tables["shifts-blocks"][0]
        known = found["model"].isin(SHIFTED)
        tables |= {"shifts-blocks": [found[known]], "shifts-copies": [found[~known]]}
    return tables


def of_all_files(args, parts, seeds):
    "Tables of all files, of which all were seen by earlier choices."
    cat, tables = catalogue(args.data), {}
    rows, recipe, runs = cat[cat["variant"] == "original"].reset_index(drop=True), Robust(), Path(args.runs)
    if "coverage" in parts:
        tables["coverage"], tables["slides"] = [confident_share(recipe, rows, args)], [kept(runs / "slides.csv", partial(few_stretches, recipe, rows, args))]
    if {"unlike", "clean"} & set(parts):
        X, plain = matrices(recipe, rows)
    if "unlike" in parts:
        tables["unlike"] = [kept(runs / "unlike.csv", lambda: unlike(recipe, X, rows))]
    if "clean" in parts:
        tables["clean"] = [kept(runs / f"clean-{seed}.csv", partial(clean, recipe, X, plain, rows, seed)) for seed in seeds]
    return tables


def main():
    "Run what is missing, then write the tables."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data")
    p.add_argument("--seeds", default="1,2,3,4,5")
    p.add_argument("--every", type=int, default=17, help="shift every such image of a class (default: %(default)s, which divides no period of streams)")
    p.add_argument("--embargoes", default="75,100,150", help="of the table of factors (default: %(default)s)")
    p.add_argument("--families", help="of shifts by blocks (default: all)")
    p.add_argument("--severities", default="medium,strong,mild", help="of the shifts by blocks (default: %(default)s)")
    p.add_argument("--scaled", action="store_true", help="also larger and smaller images brought to scale by their red cells")
    p.add_argument("--parts", default="factors,objectives,shifts,clean,unlike")
    p.add_argument("--runs", default=str(ROOT / "runs" / "robust"))
    p.add_argument("--out", default=str(ROOT / "leuknb" / "assets" / "measured"))
    args = p.parse_args()
    seeds, parts = [int(s) for s in args.seeds.split(",")], args.parts.split(",")
    tables = of_open_files(args, parts) if {"factors", "objectives", "shifts"} & set(parts) else {}
    if set(parts) - {"factors", "objectives", "shifts"}:
        tables |= of_all_files(args, parts, seeds)
    for name, found in tables.items():
        pd.concat(found).to_csv(Path(args.out) / f"robust-{name}.csv", index=False, float_format="%.5g")


if __name__ == "__main__":
    main()
