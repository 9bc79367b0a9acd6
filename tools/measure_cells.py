"""The tables of the notebooks on the ruler and on cells, into leuknb/assets/measured/.

    python tools/measure_cells.py ruler [--data DIR] [--other DIR] [--fields N]    generated fields, the public set, other fields: ruler.csv
    python tools/measure_cells.py nucleated                                       nucleated cells of 32 generated laboratories: nucleated.csv
    python tools/measure_cells.py cells --data DIR [--every N] [--resume]         cells alone, by image, by field, by blocks with 0 and 75 files between: cells.csv
"""
import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from leuknb.cells import CellFeatures, curved_head, linear_head
from leuknb.data import catalogue
from leuknb.lib import light
from leuknb.lib.files import read_image
from leuknb.lib.glass import marks, with_halo
from leuknb.lib.laboratories import any_cells, any_laboratory, any_red, log_uniform
from leuknb.lib.refits import clusters_of_training
from leuknb.metrics import marked_interval
from leuknb.patients import CLASSES, draw_patient, make_smears
from leuknb.ruler import red_cell_diameter
from leuknb.scenes import block_parts, one_row_each, scenes, with_scenes
from leuknb.shortcuts import shortcut_features
from leuknb.splits import each_fold, inner_groups, split
from leuknb.synth import Patient, draw

OUT = Path(__file__).resolve().parent.parent / "leuknb/assets/measured"


def any_person(seed, rng, usual):
    "A patient near Giemsa's stain, or of a laboratory of any colour."
    if not usual:
        stain, camera = any_laboratory(rng)
        return Patient(cells=any_cells(rng), red=any_red(rng), stain=stain, camera=camera)
    person = draw_patient([seed, 3], CLASSES[seed % 4], stain_leak=rng.random())
    red = replace(person.red, cover=rng.uniform(0.15, 0.7), rouleaux=rng.uniform(0, 0.8))
    return replace(person, red=red, camera=replace(person.camera, blur=log_uniform(rng, 0.1, 0.6)))


def any_field(seed, usual):
    "A field of any scale: image and diameter of its red cells in pixels."
    rng = np.random.default_rng([seed, 11, usual])
    person, diameter = any_person(seed, rng, usual), log_uniform(rng, 8, 120)
    size = int(np.clip(diameter * rng.uniform(6, 19), 128, 900))
    return draw([seed, 5], person, size, view=size * 2 * person.red.radius / diameter).image, diameter


def summary(name, answers, truth=None):
    "One row of the table."
    pixels = np.array([answer.pixels for answer in answers])
    known = np.isfinite(pixels)
    row = {"fields": name, "number": len(answers), "measured, %": 100 * known.mean()}
    if truth is None:
        low, middle, high = np.percentile(pixels[known], [25, 50, 75])
        return row | {"median, pixels": middle, "lower quartile": low, "upper quartile": high}
    error = np.abs(pixels / truth - 1)[known]
    inside = [answer.low <= true <= answer.high for answer, true in zip(answers, truth) if answer]
    return row | {"median error, %": 100 * np.median(error), "within 5 %": 100 * (error < 0.05).mean(),
                  "within 10 %": 100 * (error < 0.1).mean(), "truth in the interval, %": 100 * np.mean(inside)}


def ruler(args):
    "ruler.csv"
    rows = []
    for usual, name in [(True, "generated, usual stains"), (False, "generated, any colours")]:
        images, truth = zip(*(any_field(seed, usual) for seed in range(5000, 5000 + args.fields)))
        rows.append(summary(name, [red_cell_diameter(rgb) for rgb in images], np.array(truth)))
    for folder, name in [(args.data, "public set"), (args.other, "BCCD")]:
        if folder:
            paths = sorted(Path(folder).rglob("*.jpg"))
            paths = [p for p in paths if "Segmented" not in p.parts]
            chosen = paths[::max(1, len(paths) // args.fields)]
            rows.append(summary(name, [red_cell_diameter(np.asarray(read_image(p))) for p in chosen]))
    pd.DataFrame(rows).to_csv(OUT / "ruler.csv", index=False, float_format="%.2f")


def shared_area(rgb, truth):
    "The area that found and true nucleated cells share, as part of their joint area, beside scale bars and marks."
    ink = marks(rgb)
    halo = with_halo(ink) if ink.any() else None
    beside = np.ones(ink.shape, bool) if halo is None else ~halo
    found = light.nucleated(light.transmitted_light(rgb, 1.0, halo), halo) & beside
    return (found & truth & beside).sum() / max(((found | truth) & beside).sum(), 1)


def nucleated(args):
    "nucleated.csv: purple alone, and the best of three axes."
    rows, axes = [], light.AXES
    with tempfile.TemporaryDirectory() as place:
        for k in range(100, 132):
            folder = make_smears(Path(place) / str(k), 8, 4, seed=300 + k, laboratory=k, progress=False)
            for path in sorted(folder.glob("Original/*/*.jpg")):
                truth = np.asarray(read_image(next((folder / "masks" / path.parent.name).glob(f"{path.stem}.*"))))[..., 0] > 0
                for name, chosen in (("purple alone", axes[:1]), ("the best of three", axes)):
                    light.AXES = chosen
                    rows.append({"axes": name, "laboratory": k, "shared": shared_area(np.asarray(read_image(path)), truth)})
    medians = pd.DataFrame(rows).groupby(["axes", "laboratory"])["shared"].median().groupby("axes")
    table = pd.DataFrame({"laboratories": medians.size(), "mean": medians.mean(), "lowest": medians.min(),
                          "laboratories above 0.6": medians.apply(lambda part: (part > 0.6).sum())})
    table.sort_index(ascending=False).to_csv(OUT / "nucleated.csv", float_format="%.3f")


PARTS = {"all": lambda name: True,
         "without counts and density": lambda name: not name.startswith(("cells", "covered", "density")),
         "sizes and shapes": lambda name: name.startswith(("diameter", "circularity", "solidity"))}


def accuracy(cat, parts, features, make, blocks):
    "Accuracy over the test images of all folds, with its interval by stretches of files; settings are tuned on training rows."
    labels, names, correct = cat["label"].to_numpy(str), clusters_of_training(cat), []
    for _, train, test in each_fold(cat, parts):
        head = make().fit(features[train], labels[train], inner_groups(cat.iloc[train], blocks))
        correct.append(pd.DataFrame({"right": head.predict(features[test]) == labels[test], "cluster": names[test]}))
    table = pd.concat(correct)
    return dict(zip(("accuracy", "low", "high", "rough"), marked_interval(table["right"].to_numpy(float), table["cluster"].to_numpy())))


def divisions(cat, every):
    "Name, split and number of inner blocks of each way to divide a catalogue that has one image of `every`."
    yield "by image", split(cat, "paper"), None
    yield "by field", split(cat, "group"), None
    for embargo in (0, 75):
        yield f"by blocks, {embargo} files between", block_parts(cat, embargo / every), 5


def cells(args):
    "cells.csv: a row is written as soon as it is measured; rows that are there are kept."
    cat = one_row_each(catalogue(args.data, variants=["original"]))
    cat = cat.iloc[::args.every].reset_index(drop=True)
    cat = with_scenes(cat, scenes(cat))
    names, out = CellFeatures().get_feature_names_out(), args.out or OUT / "cells.csv"
    columns = {name: [k for k, column in enumerate(names) if keep(column)] for name, keep in PARTS.items()}
    histogram = shortcut_features(cat["path"], ["colour histogram"])["colour histogram"]
    rows = pd.read_csv(out).to_dict("records") if args.resume and Path(out).exists() else []
    seen = {(row["split"], row["features"], row["head"]) for row in rows}
    for title, parts, blocks in divisions(cat, args.every):
        train = next(each_fold(cat, parts))[1]
        features = CellFeatures(progress=True).fit(cat["path"].iloc[train]).transform(cat["path"])
        sets = [(f"cells, {name}", features[:, kept], curved_head, "SVM") for name, kept in columns.items()]
        sets += [("cells, all", features, linear_head, "regression"), ("colour histogram", histogram, curved_head, "SVM")]
        sets += [("cells, all", features, lambda: curved_head().set_params(gamma=(0.01, 0.025, 0.06)), "SVM, width searched")]
        for name, values, head, kind in sets:
            if (title, name, kind) in seen:
                continue
            rows.append({"split": title, "images": len(cat), "features": name, "numbers": values.shape[1], "head": kind}
                        | accuracy(cat, parts, values, head, blocks))
            print(rows[-1], flush=True)
            pd.DataFrame(rows).to_csv(out, index=False, float_format="%.4f")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=["ruler", "nucleated", "cells"])
    parser.add_argument("--data", help="folder of the public set")
    parser.add_argument("--other", help="folder of BCCD's fields")
    parser.add_argument("--fields", type=int, default=100, help="of each kind")
    parser.add_argument("--every", type=int, default=1, help="take every n-th image of the public set")
    parser.add_argument("--out", type=Path, help="a file for cells.csv")
    parser.add_argument("--resume", action="store_true", help="keep the rows of cells.csv that are there")
    args = parser.parse_args()
    globals()[args.table](args)


if __name__ == "__main__":
    main()
