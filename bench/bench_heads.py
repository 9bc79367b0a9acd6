"""Heads against plain scikit-learn, in the same run: tuning, fitting, predicting, and whether the predictions are the same.

    python bench/bench_heads.py [--data FOLDER-OR-CSV] [--rows N]

With --data: AlexNet features (random weights) of the images there. Without: made features, 3,256 x 4,096.
"""
import argparse
import time
import warnings

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from leuknb.heads import SoftmaxHead
from leuknb.knn import KNNHead
from leuknb.svm import SVMHead


def made(n=3256, p=4096, seed=0):
    "Features like a network's: after a ReLU, of low intrinsic dimension, on very different scales."
    rng = np.random.default_rng(seed)
    y = rng.choice(4, n, p=[0.155, 0.303, 0.296, 0.246])
    latent = rng.normal(size=(4, 40))[y] * 0.8 + rng.normal(size=(n, 40))
    X = np.maximum(latent @ rng.normal(size=(40, p)) + 2 * rng.normal(size=p), 0) * np.exp(rng.normal(size=p))
    return X.astype(np.float32), y, rng.permutation(n)


def of_images(root, layer):
    "AlexNet features of the original images, and the paper's split."
    from leuknb.backbones import Backbone
    from leuknb.data import catalogue
    from leuknb.splits import split
    cat = catalogue(root).query("variant == 'original'").reset_index(drop=True)
    side = split(cat, "paper").set_index("image")["split"].reindex(cat["image"]).to_numpy()
    X = Backbone("alexnet", weights="random", layer=layer, progress=False).fit_transform(cat["path"])
    return X, cat["label"].to_numpy().astype(str), np.concatenate([np.flatnonzero(side == "train"), np.flatnonzero(side == "test")])


def timed(work):
    "A result, and the seconds it took."
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def svm_rows(X, y, new, old):
    "The SVM: one fit, the default tuning, a whole grid."
    ours, t_ours = timed(lambda: SVMHead(kernel="rbf", C=1.0, gamma="scale", tune=False, calibrate=False).fit(X[old], y[old]))
    svc, t_svc = timed(lambda: SVC().fit(X[old], y[old]))
    same = (ours.predict(X[new]) == svc.predict(X[new])).mean()
    yield "SVM, one fit", t_ours, "SVC()", t_svc, same
    tuned, t_tuned = timed(lambda: SVMHead().fit(X[old], y[old]))
    Z = StandardScaler(with_std=False).fit_transform(X[old].astype(float)) / tuned.scale_
    plain = SVC(C=tuned.best_params_["C"], gamma=tuned.gamma_).fit(Z, y[old])
    same = (tuned.predict(X[new]) == plain.predict((X[new] - tuned.mean_) / tuned.scale_)).mean()
    yield "SVM, tuned by default (32 settings, 5 folds)", t_tuned, "SVC(), one fit", t_svc, same
    grid = {"C": [1.0, 100.0], "gamma": [0.5, 1.0]}
    search, t_search = timed(lambda: GridSearchCV(SVC(), grid, cv=StratifiedKFold(5, shuffle=True, random_state=0)).fit(Z, y[old]))
    tuned, t_tuned = timed(lambda: SVMHead(scale="none", **grid).fit(Z, y[old]))
    same = np.mean(np.isclose(tuned.cv_results_["accuracy"], search.cv_results_["mean_test_score"]))
    yield "SVM, 4 settings, 5 folds", t_tuned, "GridSearchCV(SVC())", t_search, same


def knn_rows(X, y, new, old):
    "The neighbours: one setting, and a grid."
    ours = KNNHead(n_neighbors=5, tune=False, calibrate=False).fit(X[old], y[old])
    theirs = KNeighborsClassifier(5).fit(X[old], y[old])
    (p, t_ours), (q, t_theirs) = timed(lambda: ours.predict(X[new])), timed(lambda: theirs.predict(X[new]))
    yield "KNN, predict", t_ours, "KNeighborsClassifier", t_theirs, (p == q).mean()
    grid = {"n_neighbors": [1, 3, 5, 7, 9, 15, 25], "metric": ["euclidean", "cosine"], "weights": ["uniform", "distance"]}
    search, t_search = timed(lambda: GridSearchCV(KNeighborsClassifier(), grid, cv=StratifiedKFold(5, shuffle=True, random_state=0)).fit(X[old], y[old]))
    tuned, t_tuned = timed(lambda: KNNHead(scale="none").fit(X[old], y[old]))
    same = np.isclose(tuned.cv_results_["accuracy"], search.cv_results_["mean_test_score"]).mean()
    yield "KNN, tuned (28 settings, 5 folds)", t_tuned, "GridSearchCV(KNeighborsClassifier())", t_search, same


def softmax_rows(X, y, new, old):
    "Softmax: one fit, the default tuning."
    Z = (X[old] - X[old].mean(0)) / np.sqrt(X[old].var(0).sum())
    Q = (X[new] - X[old].mean(0)) / np.sqrt(X[old].var(0).sum())
    ours, t_ours = timed(lambda: SoftmaxHead(C=10, tune=False, calibrate=False).fit(Z, y[old]))
    theirs, t_theirs = timed(lambda: LogisticRegression(C=10, max_iter=10_000).fit(Z.astype(float), y[old]))
    yield "softmax, one fit", t_ours, "LogisticRegression", t_theirs, (ours.predict(Q) == theirs.predict(Q)).mean()
    _, t_tuned = timed(lambda: SoftmaxHead().fit(X[old], y[old]))
    yield "softmax, tuned by default (4 settings, 5 folds)", t_tuned, "LogisticRegression, one fit", t_theirs, np.nan


def main():
    "Print one table a kind of features."
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder or CSV of images, as `leuknb reproduce` takes")
    parser.add_argument("--rows", type=int, help="at most this many rows")
    args, _ = parser.parse_known_args()
    kinds = {f"AlexNet, random, {layer}": (lambda layer=layer: of_images(args.data, layer)) for layer in ("stats", "fc7")}
    for name, make in (kinds if args.data else {"made features": made}).items():
        X, y, order = make()
        order = order if args.rows is None else order[np.linspace(0, len(order) - 1, args.rows).astype(int)]
        old, new = order[: round(0.7 * len(order))], order[round(0.7 * len(order)):]
        SVMHead(tune=False).fit(X[old[::10]], y[old[::10]])  # loads what is loaded once
        rows = [row for part in (svm_rows, knn_rows, softmax_rows) for row in part(X, y, new, old)]
        table = pd.DataFrame(rows, columns=["heads", "seconds", "plain", "seconds, plain", "equal"])
        table["ratio"] = table["seconds, plain"] / table["seconds"]
        print(f"\n{name}: {len(old):,} training rows, {X.shape[1]:,} features; `equal`: share of equal predictions (or inner accuracies)")
        print(table.to_string(index=False, float_format=lambda v: f"{v:.3g}"))


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        main()
