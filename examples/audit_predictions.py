"""Audit somebody else's predictions: a whole job to copy.

    python examples/audit_predictions.py CSV DIR-or-CSV OUT

The CSV is another model's table: image (or path), true, predicted, and where they are known p_<class>, split or fold. The
second argument is the images. For research and teaching, not for diagnosis.
"""
import argparse
import sys

from leuknb.lib.errors import InputError
from leuknb.metrics import metrics_table
from leuknb.results import Run


def main():
    "Check the table against the images, write a run folder, and print what may be said about it."
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("csv", metavar="CSV")
    args.add_argument("data", metavar="DIR-or-CSV")
    args.add_argument("out", metavar="OUT", help="a new folder")
    args = args.parse_args()

    # Columns, images, classes and probabilities are checked at once, before anything is written. The chapters named here
    # need no model; without `chapters` all of them are tried, and the report says which could not be made.
    run = Run.from_predictions(args.csv, args.data, args.out, progress=False, chapters=("shortcuts", "leaks"))

    # A run folder is like any other: tables, figures, a report, and the explorer (leuknb explore OUT).
    table = run.confusion(*run.comparison[["backbone", "head", "variant"]].iloc[0])
    print(metrics_table(table, run.classes))
    print((run.path / "audit" / "audit.txt").read_text(encoding="utf-8"))
    print(f"{run.path / 'report.html'}")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:  # a message for people, not a traceback
        sys.exit(f"{error}")
