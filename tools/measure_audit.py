"""Measure the audit's tables on a folder with the real images, and its false alarms on generated smears.

    python tools/measure_audit.py shortcuts DIR     audit-shortcuts.csv, audit-leaks.csv, audit-masks.csv
    python tools/measure_audit.py black DIR         audit-black.csv
    python tools/measure_audit.py oracle            audit-oracle.csv

Each writes into leuknb/assets/measured; shifts are measured by tools/measure_robust.py. The model is an SVM on AlexNet features, pretrained on generated smears, as
`leuknb reproduce` fits it. Images of one registered field are one group: they are kept together, but for the paper's split, and intervals count them, or
stretches of files. Finished pieces are kept in runs/audit, so that an interrupted measurement continues.
"""
import argparse
import tempfile
from pathlib import Path

import pandas as pd
from sklearn.pipeline import make_pipeline

import leuknb.leakage as leakage
from leuknb.scenes import file_order, scenes, with_scenes
from leuknb.shortcuts import shortcut_table, table_features
from leuknb.lib import scoring
from leuknb.backbones import Backbone
from leuknb.data import catalogue
from leuknb.splits import split, train_test_rows
from leuknb.lib.files import atomic
from leuknb.svm import SVMHead
from leuknb.patients import make_smears

ROOT = Path(__file__).resolve().parent.parent
MEASURED, PIECES = ROOT / "leuknb" / "assets" / "measured", ROOT / "runs" / "audit"
MODEL = "AlexNet + SVM"
SPLITS = {"paper": ("paper", {}), "scene": ("group", {}), "blocks": ("blocks", {}), "blocks-150": ("blocks", {"embargo": 150})}


def save(table, path):
    "A table as CSV, whole or not at all."
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6f", lineterminator="\n")


def piece(name, make):
    "A table that is made once."
    path = PIECES / f"{name}.csv"
    if not path.exists():
        save(make(), path)
    return pd.read_csv(path, keep_default_na=False, na_values=["nan"])


def backbone(**options):
    "The features of the model."
    return Backbone("alexnet", weights="synth", **options)


def model_input(cat, variant="original"):
    "Rows, features and head of the model."
    rows = scoring.one_variant(cat, variant)
    return rows, backbone().transform(rows["path"].tolist()), lambda: SVMHead(calibrate=False)


def by_field(cat):
    "The catalogue, its groups joined where images show one field."
    return with_scenes(cat, scenes(file_order(cat, "original")))


def shortcuts(cat):
    "Every shortcut and the model, on four kinds of split."
    joined, features, tables = by_field(cat), None, []
    for name, (scheme, options) in SPLITS.items():
        def table(name=name, scheme=scheme, options=options):
            parts = split(joined, scheme, **options)
            models = {MODEL: scoring.score_rows(make, inputs, rows, parts)}
            return shortcut_table(joined, parts, models, features).assign(split=name)
        if features is None and not (PIECES / f"field-shortcuts-{name}.csv").exists():
            features, (rows, inputs, make) = table_features(joined), model_input(joined)
        tables.append(piece(f"field-shortcuts-{name}", table))
        print(tables[-1].to_string(), flush=True)
    save(pd.concat(tables), MEASURED / "audit-shortcuts.csv")
    parts = split(cat, "paper")
    pairs = leakage.leak_pairs(cat, parts)
    fields = leakage.leak_table(joined, parts, pairs).iloc[:1].replace("same group", "same field")
    save(pd.concat([leakage.leak_table(cat, parts, pairs), fields]), MEASURED / "audit-leaks.csv")
    save(leakage.mask_table(leakage.kept_shares(cat)), MEASURED / "audit-masks.csv")


def black(cat):
    "What a model of segmented images, fitted on the paper's kind of split, predicts for a black one."
    masked, inputs, _ = model_input(cat, "segmented")
    train, _ = train_test_rows(masked, split(cat, "paper"), 0)
    head = SVMHead().fit(inputs[train], masked["label"].astype(str).to_numpy()[train])
    save(leakage.predict_black({f"{MODEL}, segmented": make_pipeline(backbone(), head)}), MEASURED / "audit-black.csv")


def planted(seed, leak, bar):
    "Audit one generated folder, split by patient, in which stain or scale bar go with the class, or neither."
    with tempfile.TemporaryDirectory() as folder:
        out = make_smears(Path(folder) / "smears", images=240, patients=24, stain_leak=leak, scale_bar=bar, seed=seed, duplicates=12,
                          progress=False)
        cat = catalogue(out / "catalogue.csv")
        table = shortcut_table(cat, split(cat, "group-kfold"), features=table_features(cat, cache=False, progress=False), progress=False)
        flat = catalogue(out / "Original")
        pairs = leakage.leak_pairs(flat, split(flat, "kfold"))
        truth = pd.read_csv(out / "truth.csv", keep_default_na=False)
    copies = truth[truth["copy_of"] != ""][["image", "copy_of"]].itertuples(index=False)
    side = split(flat, "kfold").query("split == 'test'").set_index("image")["fold"]
    apart = {frozenset(c) for c in copies if side[c[0]] != side[c[1]]}
    named = {frozenset(p) for p in pairs[["test", "train"]].itertuples(index=False)}
    return table.assign(seed=seed, stain_leak=leak, scale_bar=bar, copies_apart=len(apart), copies_found=len(apart & named),
                        others_named=len(named - apart))


def oracle(seeds):
    "How often each shortcut is reported where it was planted, and where it was not."
    jobs = [(seed, 0, "same") for seed in range(seeds)]
    jobs += [(seed, *plant) for seed in range(2 * seeds // 5) for plant in ((1, "same"), (0, "class"))]
    runs = pd.concat([piece("oracle-" + "-".join(map(str, j)), lambda j=j: planted(*j)) for j in jobs])
    runs = runs[runs["kind"] == "shortcut"].assign(found=lambda t: t["found"].astype(str) == "True")
    groups = runs.groupby(["stain_leak", "scale_bar", "name"], sort=False)
    table = groups.agg(runs=("seed", "nunique"), accuracy=("accuracy", "mean"), found=("found", "sum")).reset_index()
    copies = runs.drop_duplicates(["seed", "stain_leak", "scale_bar"]).groupby(["stain_leak", "scale_bar"], sort=False)
    copies = copies[["copies_apart", "copies_found", "others_named"]].sum().reset_index()
    save(table.merge(copies), MEASURED / "audit-oracle.csv")


def main():
    "Measure one part."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("part", choices=("shortcuts", "black", "oracle"))
    p.add_argument("data", nargs="?", help="folder with the real images")
    p.add_argument("--seeds", type=int, default=20, help="clean folders of the oracle; planted ones are fewer (default: %(default)s)")
    args = p.parse_args()
    if args.part == "oracle":
        return oracle(args.seeds)
    cat = catalogue(args.data)
    return {"shortcuts": shortcuts, "black": black}[args.part](cat)


if __name__ == "__main__":
    main()
