"""Measure by simulation how often clustered intervals hold the true accuracy.

    python tools/bench_intervals.py [--sets 2000]

10, 20, 40 and 90 clusters, design effects of 2 to 12, accuracies of 90, 95 and 98 %; the accuracies of clusters follow a beta distribution, or a
normal one of their logits. Writes leuknb/assets/measured/intervals-coverage.csv: `words` is the share of sets for which "too few clusters" is printed, beside
an interval or instead of it, `printed` the share with an interval, `coverage` the share of these that hold the true accuracy, `quiet` the same among the sets without words,
`wrong` the share of all sets whose printed interval does not, `all` the coverage if every interval were printed, `wilson` that of Wilson's interval for independent images, `effective` that of Wilson's interval for the effective number of images.
"""
import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import norm
from scipy.stats import t as student

from leuknb.lib.clusters import CARRYING, FEW, LEAST, SOME, interval_of_counts
from leuknb.metrics import wilson

ROOT = Path(__file__).resolve().parent.parent
SIZES = {10: 80, 20: 40, 40: 40, 90: 36}  # clusters -> mean images in a cluster


def drawn(kind, clusters, accuracy, effect, sets, seed=0):
    "Correct and all images of each cluster, (sets, clusters) each, with the design effect that was asked for."
    rng, size = np.random.default_rng([seed, clusters, round(1000 * accuracy), effect]), SIZES[clusters]
    total = rng.integers(size // 2, size * 3 // 2 + 1, (sets, clusters))
    rho = (effect - 1) / ((total**2).sum() / total.sum() - 1)
    if kind == "beta":
        own = rng.beta(accuracy * (1 - rho) / rho, (1 - accuracy) * (1 - rho) / rho, total.shape)
    else:
        centre, spread = logit_normal(accuracy, rho)
        own = expit(centre + spread * rng.normal(size=total.shape))
    return rng.binomial(total, own), total


def logit_normal(accuracy, rho):
    "Centre and spread of normal logits whose accuracies have this mean and this correlation within a cluster."
    z = norm.ppf((np.arange(4000) + 0.5) / 4000)

    def centre_of(spread):
        low, high = -20, 40
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if expit(middle + spread * z).mean() < accuracy else (low, middle)
        return middle
    low, high = 0.01, 15
    for _ in range(40):
        spread = (low + high) / 2
        correlation = expit(centre_of(spread) + spread * z).var() / (accuracy * (1 - accuracy))
        low, high = (spread, high) if correlation < rho else (low, spread)
    return centre_of(spread), spread


def coverage(correct, total, accuracy):
    "How often intervals are printed, and hold the accuracy."
    low, high, effect, carrying = interval_of_counts(correct, total)
    holds, printed = (low <= accuracy) & (accuracy <= high), carrying >= CARRYING
    printed &= total.shape[1] >= LEAST
    words = (carrying < FEW) | (total.shape[1] < SOME)
    inside = lambda ends: ((ends[0] <= accuracy) & (accuracy <= ends[1])).mean()
    share = lambda these: holds[these].mean() if these.any() else np.nan
    return {"words": words.mean(), "printed": printed.mean(), "coverage": share(printed), "quiet": share(~words),
            "wrong": (printed & ~holds).mean(), "all": holds.mean(), "width": np.median(high - low),
            "wilson": inside(wilson(correct.sum(axis=1), total.sum(axis=1))), "effective": inside(effective_wilson(correct, total))}


def effective_wilson(correct, total):
    "Wilson's interval for the effective number of images, with Student's t for the number of clusters (Dean & Pagendarm 2015)."
    n, k = total.sum(axis=1), total.shape[1]
    p = correct.sum(axis=1) / n
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = ((correct - p[:, None] * total) ** 2).sum(axis=1) * k / (k - 1) / n / (p * (1 - p))
    effect = np.where((p > 0) & (p < 1), np.maximum(effect, 1), n / k)
    size = np.minimum(n / effect * (norm.ppf(0.975) / student.ppf(0.975, k - 1)) ** 2, n)
    return wilson(p * size, size)


def main():
    "Simulate all cases."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--sets", type=int, default=2000)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--out", default=str(ROOT / "leuknb" / "assets" / "measured" / "intervals-coverage.csv"))
    args, rows = p.parse_args(), []
    for kind in ("beta", "logit-normal"):
        for accuracy in (0.9, 0.95, 0.98):
            for clusters in SIZES:
                for effect in (2, 4, 7, 12):
                    case = {"kind": kind, "accuracy": accuracy, "clusters": clusters, "design_effect": effect, "sets": args.sets}
                    rows.append(case | coverage(*drawn(kind, clusters, accuracy, effect, args.sets, args.seed), accuracy))
    table = pd.DataFrame(rows)
    table.to_csv(args.out, index=False, float_format="%.4g", lineterminator="\n")
    print(table.to_string())


if __name__ == "__main__":
    main()
