"""Nested choices: without a better candidate the best looks better than it is, with one it is chosen; the log counts."""
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.naive_bayes import GaussianNB

TOOLS = Path(__file__).parent.parent / "tools"
sys.path.insert(0, str(TOOLS))
import choose  # noqa: E402
from choose import best, by_blocks, nested  # noqa: E402
from confirm import earlier, record  # noqa: E402


class Quick(GaussianNB):
    "A head that is fitted within a millisecond."

    def fit(self, X, y, groups):
        return super().fit(X, y)


@pytest.fixture(autouse=True)
def quick_head(monkeypatch):
    monkeypatch.setitem(choose.HEADS, "quick", Quick)


def planted(seed, candidates, useful=0, n=60):
    "Features that are noise, apart from one that has `useful` of the class in it."
    rng, labels = np.random.default_rng(seed), np.repeat(["A", "B"], n)
    rows = pd.DataFrame({"image": [f"{c}/{i + 1}" for c in "AB" for i in range(n)], "label": labels})
    features = {f"f{k}": rng.normal(size=(2 * n, 3)) for k in range(candidates)}
    features["f1"] += useful * (labels == "A")[:, None]
    return features, rows.assign(group=rows["image"])


def test_optimism_where_nothing_can_be_learned():
    gaps, scores = [], []
    for seed in range(10):
        features, rows = planted(seed, 8)
        correct = by_blocks(features, ["quick"], rows, 2, 4)
        _, right = nested(features, ["quick"], rows, 2, 1, 4)
        gaps.append(correct[best(correct)].mean() - right.mean())
        scores.append(right.mean())
    assert np.mean(gaps) > 0.03 and abs(np.mean(scores) - 0.5) < 0.1


def test_the_useful_candidate_is_chosen():
    features, rows = planted(0, 4, useful=2)
    table, right = nested(features, ["quick"], rows, 2, 1, 4)
    assert set(table["features"]) == {"f1"} and right.mean() > 0.9


def test_the_log_counts(tmp_path):
    log = tmp_path / "log.csv"
    assert len(earlier(log, "x")) == 0
    for data in "xyx":
        record(log, {"data": data, "value": 0.9})
    assert len(earlier(log, "x")) == 2 and len(pd.read_csv(log)) == 3
