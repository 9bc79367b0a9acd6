"""How fast smears are drawn, and how hard they are to tell apart.

    python bench/bench_synth.py                 images a second and core, against drawing cell by cell in the same run
    python bench/bench_synth.py --difficulty    accuracy of an SVM on AlexNet, colour and the truth, by image and by patient
"""
import argparse
import itertools
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from leuknb import patients, synth


def seconds(work, n):
    "Processor seconds of one call, the best of three rounds of n."
    rounds = []
    for start in range(0, 3 * n, n):
        begin = time.process_time()
        for k in range(start, start + n):
            work(k)
        rounds.append((time.process_time() - begin) / n)
    return min(rounds)


def one_by_one(seed, size):
    "The obvious alternative: each cell is drawn on its own and added to the image."
    patient, rng = patients.draw_patient([seed, 1], "Early"), np.random.default_rng(seed)
    scale = size / synth.FIELD
    centres, table = synth.place_cells(rng, patient, size, scale)
    red_centres, radius = synth.place_red_cells(rng, patient.red, size, scale)
    reach = np.concatenate([table["radius"], radius])
    centres, red_centres = np.split(synth.push_apart(np.concatenate([centres, red_centres]), reach), [len(centres)])
    cell = lambda k: {name: column[k:k + 1] for name, column in table.items()}
    haemoglobin = sum(synth.paint_red_cells(rng, red_centres[k:k + 1], radius[k:k + 1], patient.red, size) for k in range(len(radius)))
    patches = [synth.paint_cells(rng, centres[k:k + 1], cell(k)) for k in range(len(centres))]
    amounts, _, _ = synth.lay_cells(size, [[parts[0] for parts in patch] for patch in zip(*patches)], range(1, len(centres) + 1), haemoglobin)
    return synth.photograph(rng, amounts, patient.stain, patient.camera, scale)


def files(size, n=24):
    "Processor seconds of one image of a written folder, both variants, mask and tables."
    with tempfile.TemporaryDirectory() as folder:
        begin = time.process_time()
        patients.make_smears(Path(folder) / "smears", images=n, patients=8, size=size, workers=1, progress=False)
        return (time.process_time() - begin) / n


def speed():
    "Images a second and core."
    patients.smear(0)
    rows = []
    for size in (128, 224, 448):
        together, alone = seconds(lambda k: patients.smear(k, "Early", size), 10), seconds(lambda k: one_by_one(k, size), 5)
        rows.append({"pixels": size, "drawn/s": 1 / together, "cell by cell/s": 1 / alone, "ratio": alone / together, "written/s": 1 / files(size)})
    return pd.DataFrame(rows).set_index("pixels").round(1)


def features(**settings):
    "Truth table and features of a default set."
    from leuknb.backbones import Backbone
    from leuknb.lib.files import read_image
    with tempfile.TemporaryDirectory() as folder:
        out = patients.make_smears(Path(folder) / "smears", progress=False, **settings)
        truth = pd.read_csv(out / "truth.csv")
        paths = [out / "Original" / f"{name}.jpg" for name in truth["image"]]
        images = [np.asarray(read_image(p), dtype=float) for p in paths]
        alexnet = dict(name="alexnet", size=224, cache=False, progress=False)
        return truth, {
            "untrained AlexNet": Backbone(weights="random", **alexnet).fit_transform(paths),
            "AlexNet, synth": Backbone(weights="synth", **alexnet).fit_transform(paths),
            "colour": np.array([np.r_[p.mean((0, 1)), p.std((0, 1))] for p in images]), "true cells": truth[synth.PER_CELL].fillna(0).to_numpy(),
        }


def difficulty(leaks=(0.0, 0.1, 0.25, 0.5, 1.0), seeds=(0, 1)):
    "Accuracy in per cent of an SVM, five folds, by image and by patient."
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC
    svm, rows = make_pipeline(StandardScaler(), SVC(C=10)), []
    settings = dict(n_splits=5, shuffle=True, random_state=0)
    for leak, seed in itertools.product(leaks, seeds):
        truth, tables = features(stain_leak=leak, seed=seed)
        y, by = truth["label"], truth["patient"]
        folds = {"by image": list(StratifiedKFold(**settings).split(y, y)), "by patient": list(StratifiedGroupKFold(**settings).split(y, y, by))}
        rows += [{"stain_leak": leak, "features": name, "split": split, "accuracy": 100 * cross_val_score(svm, X, y, cv=cv).mean()}
                 for name, X in tables.items() for split, cv in folds.items()]
    return pd.DataFrame(rows).pivot_table("accuracy", "stain_leak", ["features", "split"]).round(0).astype(int)


def main():
    "Print one table."
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--difficulty", action="store_true")
    print((difficulty if parser.parse_args().difficulty else speed)().to_string())


if __name__ == "__main__":
    main()
