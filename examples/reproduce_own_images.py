"""Reproduce the study on a folder of your own images: a whole job to copy.

    python examples/reproduce_own_images.py DIR-or-CSV OUT

The images lie in one folder for each class, or a CSV names them in the columns path, label and, if you know them, patient.
Nothing is downloaded. For research and teaching, not for diagnosis.
"""
import argparse
import sys

from leuknb.compare import compare_methods
from leuknb.data import catalogue
from leuknb.lib.errors import InputError
from leuknb.results import reproduce


def main():
    "Check the images, run the grid, and print what may be said about it."
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("data", metavar="DIR-or-CSV")
    args.add_argument("out", metavar="OUT", help="a new folder; an interrupted run in it continues")
    args = args.parse_args()

    # 1. What is there? Unreadable files, near-duplicates and patients are found before any work starts.
    images = catalogue(args.data, on_bad="skip")
    print(images)

    # 2. Two heads on AlexNet's features, with the bundled weights. Images of one group, a patient or a cluster of
    #    near-duplicates, are all in the training set or all in the test set, five times over.
    run = reproduce(args.data, args.out, on_bad="skip", backbones=["alexnet"], weights={"": "synth"}, heads=["svm", "knn"],
                    variants=["original"], split="group-kfold", seed=0)

    # 3. Accuracy with its interval, and whether the two heads really differ; groups, not files, are counted.
    groups = images.drop_duplicates("image").set_index("image")["group"]
    print(run.comparison.to_string(index=False))
    print(compare_methods(run.predictions, groups=groups).folded().to_string(index=False))
    print(f"\nCan it be believed? {run.path / 'report.html'} asks. For research and teaching, not for diagnosis.")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:  # a message for people, not a traceback
        sys.exit(f"{error}")
