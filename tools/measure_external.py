"""Models of the public set on images of another one, all taken as Benign: leuknb/assets/measured/external.csv.

    python tools/measure_external.py --data DIR --other DIR [--every 7] [--work FOLDER] [--out CSV]

The run is kept in FOLDER, and goes on there after an interruption.
"""
import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from measure_laboratories import TEXTURE, Measured

from leuknb.cells import CellFeatures, linear_head
from leuknb.data import catalogue
from leuknb.external import evaluate
from leuknb.lib.models import training_rows
from leuknb.lib.outside import home_set, read_set
from leuknb.metrics import wilson
from leuknb.results import Run, reproduce

OUT = Path(__file__).resolve().parent.parent / "leuknb/assets/measured/external.csv"
HEADS = ("svm", "robust", "morphology")
POSITIVE = ["Early", "Pre", "Pro"]
PERCENT = {"home, correct, %": ("home (held out)", "correct"), "home, flagged, %": ("home (held out)", "flagged"),
           "flagged, %": ("other", "flagged"), "confidently wrong, not flagged, %": ("other", "confidently wrong")}
COLUMNS = ["model", "home, n", "home, correct, %", "home, flagged, %", "BCCD, n", "specificity, %", "low", "high", "flagged, %",
           "confidently wrong, not flagged, %", "distance", "highest probability, median, %"]


def evaluated(found, model, name):
    "A row of the model, or of a baseline, from what `evaluate` found."
    covered = found.coverage.set_index("set")
    counts = {"model": name, "home, n": covered.loc["home (held out)", "n"], "BCCD, n": covered.loc["other", "n"]}
    row = found.table.query("by == 'image'").set_index(["set", "model"]).loc["other", model]
    ends = {"specificity, %": row["specificity"], "low": row["specificity_low"], "high": row["specificity_high"]}
    row = counts | {column: 100 * value for column, value in ends.items()}
    if model != "model":
        return row
    images = found.images[found.images["set"] == "other"]
    highest = images.filter(regex="^p_").max(axis=1).median()
    shares = {column: 100 * covered.loc[place] for column, place in PERCENT.items()}
    return row | shares | {"distance": covered.loc["other", "distance"], "highest probability, median, %": 100 * highest}


def regression(run, folder):
    "A row of the regression on measures of cells without those of texture."
    train, home = training_rows(run, "original"), home_set(run, "original", POSITIVE)
    other = read_set("other", folder, run, POSITIVE, {Path(folder).name: "negative"}, **READ)
    cells = CellFeatures().fit(train["path"].tolist())
    plain = [k for k, name in enumerate(cells.get_feature_names_out()) if not name.startswith(TEXTURE)]
    x = lambda rows: cells.transform([str(path) for path in rows["path"]])[:, plain]
    model = Measured(linear_head(), x(train), train["label"].to_numpy(str), train["group"].to_numpy())
    near, far = model.row("", "", home["true"].to_numpy(str), x(home)), model.row("", "", np.repeat("Benign", len(other)), x(other))
    share, (low, high) = far["accuracy"], wilson(round(far["accuracy"] * len(other)), len(other))
    return {"model": "morphology, regression, without grain, edge and rim", "home, n": len(home), "home, correct, %": 100 * near["accuracy"],
            "home, flagged, %": 100 * near["flagged"], "BCCD, n": len(other), "specificity, %": 100 * share, "low": 100 * low, "high": 100 * high,
            "flagged, %": 100 * far["flagged"], "confidently wrong, not flagged, %": 100 * far["confidently wrong"],
            "distance": far["distance"], "highest probability, median, %": 100 * far["highest probability"]}


READ = dict(label_from=None, group_from=None, variant="original", columns=dict(path=None, label=None, group=None))


def measure(args, work):
    "All rows."
    part = catalogue(args.data, variants=["original"]).iloc[::args.every]
    work.mkdir(parents=True, exist_ok=True)
    csv = work / "part.csv"
    pd.DataFrame({"path": part["path"], "label": part["label"]}).to_csv(csv, index=False)
    run = reproduce(csv, work / "run", backbones=("alexnet",), weights={"": "synth"}, heads=HEADS, variants=("original",),
                    split="group", audit=False)
    rows, labels = [], {Path(args.other).name: "negative"}
    for head in HEADS:
        found = evaluate(run, {"other": args.other}, f"alexnet/{head}/original", map=labels, on_bad="skip")
        rows.append(evaluated(found, "model", head))
    rows.insert(2, regression(Run(work / "run"), args.other))
    return [*rows, evaluated(found, "colour histogram", "colour histogram")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder of the public set")
    parser.add_argument("--other", required=True, help="folder of the other set's images, in one folder")
    parser.add_argument("--every", type=int, default=7, help="take every n-th image of the public set")
    parser.add_argument("--work", type=Path, help="folder of the run; without it, one that is removed at the end")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        table = pd.DataFrame(measure(args, args.work or Path(place)), columns=COLUMNS)
    table.to_csv(args.out, index=False, float_format="%.2f")
    print(table.T.to_string())


if __name__ == "__main__":
    main()
