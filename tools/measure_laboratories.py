"""What helps in another laboratory? Generated ones; some may be learned from, others only tested: leuknb/assets/measured/laboratories.csv.

    python tools/measure_laboratories.py [--laboratories 6] [--training 4] [--images 32] [--size 160]
"""
import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from leuknb.backbones import Backbone
from leuknb.cells import CellFeatures
from leuknb.heads import SoftmaxHead, SVMHead
from leuknb.lib.errors import InputError
from leuknb.lib.models import evidence, predicted_table, towards_prior
from leuknb.lib.moments import OwnMoments
from leuknb.lib.refits import dealt_areas
from leuknb.lib.tiles import tile_images
from leuknb.novelty import NoveltyScore
from leuknb.patients import CLASSES, make_smears
from leuknb.robust import RobustHead
from leuknb.ruler import set_diameter

OUT = Path(__file__).resolve().parent.parent / "leuknb/assets/measured/laboratories.csv"
HOME = "home, other patients"
TEXTURE = ("fine_grain", "middle_grain", "coarse_grain", "edge", "rim")  # measures that cells alone do without here


def read(folder, name):
    "Paths, labels, and names of patients of the original images of a generated set."
    table = pd.read_csv(folder / "catalogue.csv").query("variant == 'original'")
    return [str(folder / path) for path in table["path"]], table["label"].to_numpy(str), (name + table["patient"]).to_numpy(str)


def scaled(paths, folder, red, size):
    "Each image at the scale of home, its tile with most cells: paths (the image itself where its scale cannot be measured)."
    try:
        table = tile_images(paths, folder, size, 0, "auto", red, on_bad="skip", progress=False)
    except InputError:  # none of them has a scale
        return list(paths)
    best = table.sort_values("cells", ascending=False, kind="stable").groupby("image")["path"].first()
    return [best.get(path, path) for path in paths]


class Measured:
    "A model, and how far it is from what it was trained on."

    def __init__(self, head, features, labels, groups, copies=()):
        self.head = head.fit(features, labels, groups, **({"copies": copies} if len(copies) else {}))
        self.features, self.labels, self.far = features, labels, NoveltyScore().fit(features, labels)

    def row(self, method, name, truth, x, copies=(), prior=True):
        "What its numbers are in one laboratory."
        tables = [predicted_table(self.head, features, list(CLASSES), digits=None) for features in (x, *copies)]
        p = pd.DataFrame(np.mean([table.iloc[:, 1:] for table in tables], axis=0), columns=tables[0].columns[1:])
        p.insert(0, "predicted", np.array(CLASSES)[p.to_numpy().argmax(1)])
        if prior:
            p = towards_prior(p, evidence(self.head, x, self.far), self.labels)
        sick, right, flagged = truth != "Benign", p["predicted"] == truth, self.far.score_samples(x) > 0.99
        area = roc_auc_score(sick, 1 - p["p_Benign"]) if 0 < sick.sum() < len(sick) else np.nan
        harm = (p.iloc[:, 1:].max(axis=1) > 0.9) & ~right
        return {"method": method, "laboratory": name, "images": len(truth), "auroc": area, "accuracy": right.mean(), "flagged": flagged.mean(),
                "confidently wrong": (harm & ~flagged).mean(), "confidently wrong, flags ignored": harm.mean(),
                "distance": np.median(self.far.ratio(x)), "highest probability": p.iloc[:, 1:].max(axis=1).median()}

    def null(self, x, truth, patients, draws=200):
        "Areas with labels dealt out among the patients, the true ones first."
        score = lambda head: 1 - head.predict_proba(x)[:, 0]
        return dealt_areas(self.head, self.features, self.labels, patients, truth != "Benign", score, draws)


def by_own(features, chosen, home):  # home: a StandardScaler
    "Features with the mean and spread of home, by chosen images of the laboratory."
    return home.inverse_transform(StandardScaler().fit(features[chosen]).transform(features)).astype(np.float32)


def mixes(labels, rng):
    "Images that estimate a laboratory's mean and spread: all; Benign rare; Benign alone."
    rare = (labels != "Benign") | (rng.random(len(labels)) < 0.1)
    return {"": np.ones(len(labels), bool), ", Benign rare": rare, ", Benign alone": labels == "Benign"}


def known(features, truth, model):
    "Features with the moments of the training images at the laboratory's own share of positive ones, as `evaluate` takes them."
    return OwnMoments(np.mean(truth != "Benign")).fit(model.features, model.labels != "Benign").transform(features)


def measure(sets, home, training, others, red, matched):
    "All methods in all laboratories."
    rng, (paths, labels, groups) = np.random.default_rng(0), sets["home"]
    softmax = lambda: SoftmaxHead(scale="standard", C=(0.01, 0.1, 1, 10))
    places = [HOME, *others]
    many = [np.concatenate([sets[name][k] for name in ("home", *training)]) for k in (1, 2)]
    laboratory = np.repeat(["home", *training], [len(sets[name][1]) for name in ("home", *training)])
    for step in (None, "white", "macenko", "reinhard"):
        title, network = step or "as they are", Backbone("alexnet", "synth", preprocess=step, progress=False)
        seen = {name: network.transform(matched.get(name, sets[name][0])) for name in ("home", HOME, *others)}
        model, own = Measured(SVMHead(), seen["home"], labels, groups), StandardScaler().fit(seen["home"])
        for name in places:
            truth = sets[name][1]
            if name in others:
                yield model.row(title, name, truth, network.transform(sets[name][0]))
            yield model.row(f"{title}, scale matched", name, truth, seen[name])
            if not step or step == "white":
                yield model.row(f"{title}, scale matched, no prior", name, truth, seen[name], prior=False)
            for mix, chosen in mixes(truth, rng).items():
                if chosen.sum() > 1 and (mix != ", Benign alone" or step in ("white", "reinhard")):
                    yield model.row(f"{title}, scale matched, standardised by its own images{mix}", name, truth, by_own(seen[name], chosen, own))
            yield model.row(f"{title}, scale matched, standardised by its own images, share known", name, truth, known(seen[name], truth, model))
        print(title, flush=True)
        if step != "white":
            continue
        cameras = [Backbone("alexnet", "synth", preprocess=["white", f"camera{k}"], progress=False) for k in (1, 2)]
        robust = Measured(RobustHead(), seen["home"], labels, groups, [camera.transform(paths) for camera in cameras])
        learned = np.concatenate([seen["home"], *(network.transform(matched[name]) for name in training)])
        wide = Measured(SVMHead(), learned, many[0], laboratory)
        for name in places:
            truth, copies = sets[name][1], [camera.transform(matched.get(name, sets[name][0])) for camera in cameras]
            yield robust.row("robust recipe, scale matched", name, truth, seen[name])
            yield robust.row("robust recipe, scale matched, test-time copies", name, truth, seen[name], copies)
            yield wide.row("white, scale matched, many laboratories in training", name, truth, seen[name])
        print("robust, many laboratories", flush=True)
    cells = CellFeatures().fit(paths)
    plain = [k for k, name in enumerate(cells.get_feature_names_out()) if not name.startswith(TEXTURE)]
    seen = {name: cells.transform(sets[name][0])[:, plain] for name in sets}
    home = StandardScaler().fit(seen["home"])
    model = Measured(softmax(), seen["home"], labels, groups)
    wide = Measured(softmax(), np.concatenate([seen[name] for name in ("home", *training)]), many[0], laboratory)
    moved = np.concatenate([seen["home"], *(by_own(seen[name], slice(None), home) for name in training)])
    both = Measured(softmax(), moved, many[0], laboratory)
    for name in places:
        truth = sets[name][1]
        yield model.row("cells alone", name, truth, seen[name])
        yield wide.row("cells alone, many laboratories in training", name, truth, seen[name])
        for mix, chosen in mixes(truth, rng).items():
            if chosen.sum() > 1:
                x = by_own(seen[name], chosen, home)
                yield model.row(f"cells alone, standardised by its own images{mix}", name, truth, x)
                yield both.row(f"cells alone, standardised by its own images, many laboratories in training{mix}", name, truth, x)
        yield model.row("cells alone, standardised by its own images, share known", name, truth, known(seen[name], truth, model))
    truth = np.concatenate([sets[name][1] for name in others])
    for title, one, patients in (("cells alone, standardised by its own images", model, groups),
                                 ("cells alone, standardised by its own images, many laboratories in training", both, many[1])):
        areas = one.null(np.concatenate([by_own(seen[name], slice(None), home) for name in others]), truth, patients)
        yield {"method": title, "laboratory": "all together", "images": len(truth), "auroc": areas[0], "p": (areas >= areas[0]).mean(),
               "auroc, labels dealt out": np.median(areas[1:]), "auroc, labels dealt out, 95th percentile": np.percentile(areas[1:], 95)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--laboratories", type=int, default=6, help="that are tested")
    parser.add_argument("--training", type=int, default=4, help="others, that may be learned from")
    parser.add_argument("--images", type=int, default=32, help="of each; twice as many at home")
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, options = Path(place), dict(size=args.size, progress=False)
        draw = lambda name, n, **more: read(make_smears(folder / name, n, args.images // 2, **more, **options), name)
        sets = {"home": draw("home", args.images * 2, seed=1), HOME: draw(HOME, args.images, seed=2)}
        others, training = ([f"{kind} {k}" for k in range(n)] for kind, n in (("laboratory", args.laboratories), ("training", args.training)))
        for names, seed, first in ((others, 100, 50), (training, 200, 80)):
            sets |= {name: draw(name, args.images, seed=seed + k, laboratory=first + k) for k, name in enumerate(names)}
        red = set_diameter(sets["home"][0], 12, False).pixels
        matched = {name: scaled(sets[name][0], folder / f"tiles-{name}", red, args.size) for name in others + training}
        print("drawn", flush=True)
        table = pd.DataFrame(measure(sets, "home", training, others, red, matched))
        table.to_csv(args.out, index=False, float_format="%.4f")
    print(table.groupby("method", sort=False)[["auroc", "accuracy", "flagged", "confidently wrong"]].agg(["mean", "min"]).round(3).to_string())


if __name__ == "__main__":
    main()
