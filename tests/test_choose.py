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
import confirm  # noqa: E402
from choose import best, by_blocks, nested  # noqa: E402
from confirm import earlier, record  # noqa: E402
from leuknb.lib.errors import InputError  # noqa: E402


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


def test_optimism_where_nothing_can_be_learned(tmp_path):
    gaps, scores = [], []
    for seed in range(10):
        features, rows = planted(seed, 8)
        correct = by_blocks(features, ["quick"], rows, 2, 4)
        _, right = nested(features, ["quick"], rows, 2, 1, 4, tmp_path / str(seed))
        gaps.append(correct[best(correct)].mean() - right.mean())
        scores.append(right.mean())
    assert np.mean(gaps) > 0.03 and abs(np.mean(scores) - 0.5) < 0.1


def test_the_useful_candidate_is_chosen(tmp_path):
    features, rows = planted(0, 4, useful=2)
    table, right = nested(features, ["quick"], rows, 2, 1, 4, tmp_path)
    assert set(table["features"]) == {"f1"} and right.mean() > 0.9


def test_the_recipe_is_a_candidate_and_finished_blocks_are_kept(tmp_path, monkeypatch):
    features, rows = planted(0, 2, useful=2)
    features["robust"] = np.stack([features["f0"], features["f1"]], axis=1)  # images of which only the copies can be told apart
    table, right = nested(features, ["quick"], rows, 2, 1, 4, tmp_path)
    assert len(list(tmp_path.glob("inner-*.csv"))) == 4 and set(table["features"]) == {"f1"}
    monkeypatch.setattr(choose, "by_blocks", lambda *_: pytest.fail("a finished block is fitted again"))
    again, same = nested(features, ["quick"], rows, 2, 1, 4, tmp_path)
    assert again.round(5).equals(table.round(5)) and (right == same).all()


def test_every_candidate_has_features(tmp_path):
    from leuknb.patients import make_smears
    paths = sorted((make_smears(tmp_path / "smears", images=8, progress=False) / "Original").rglob("*.jpg"))[:2]
    sizes = {name: X.shape for name, X in choose.extract([*choose.FEATURES, choose.ROBUST], np.array(paths)).items()}
    assert all(shape[0] == 2 for shape in sizes.values()) and sizes["robust"][1] == 3 and sizes["pool5"] == (2, 1024)
    with pytest.raises(InputError, match="candidates"):
        choose.extract(["conv"], paths)


def test_the_log_counts(tmp_path):
    log = tmp_path / "log.csv"
    assert len(earlier(log, "x")) == 0
    for data in "xyx":
        record(log, {"data": data, "value": 0.9})
    assert len(earlier(log, "x")) == 2 and len(pd.read_csv(log)) == 3


def test_an_embargo_that_leaves_too_little_is_refused():
    _, rows = planted(0, 2, n=200)
    choose.check_feasible(rows, 20, 5, 5)
    with pytest.raises(InputError, match=r"^--embargo 60: infeasible: fold \d leaves . 4\d training images of the open files, fewer than 50"):
        choose.check_feasible(rows, 60, 5, 5)
    with pytest.raises(InputError, match="--inner-embargo 80: within fold"):
        choose.check_feasible(rows, 20, 80, 5)


@pytest.mark.long
def test_choose_and_confirm_from_images(tmp_path, monkeypatch, capsys):
    from PIL import Image

    from leuknb.patients import draw_patient
    from leuknb.synth import draw
    data, out, log = tmp_path / "data", tmp_path / "out", tmp_path / "log.csv"
    for label in ("Benign", "Pre"):
        (data / label).mkdir(parents=True)
        patients = [draw_patient([k, label == "Pre"], label) for k in range(10)]
        for i in range(190):
            Image.fromarray(draw([i, label == "Pre"], patients[i // 19], 64).image).save(data / label / f"{i + 1}.png")
    out.mkdir()

    def run(tool, *args):
        monkeypatch.setattr(sys, "argv", ["tool", str(data), *map(str, args)])
        tool.main()
        return capsys.readouterr().out
    with pytest.raises(SystemExit, match="run tools/choose.py first"):
        run(confirm, "--choices", out / "choices.csv")
    with pytest.raises(InputError, match="--embargo 30: infeasible"):
        run(choose, "--embargo", 30, "--out", out, "--runs", tmp_path / "runs")
    run(choose, "--candidates", "small,untrained", "--heads", "lda", "--embargo", 4, "--inner-embargo", 2, "--out", out, "--runs", tmp_path / "runs")
    choices, scores = pd.read_csv(out / "choices.csv"), pd.read_csv(out / "choices-scores.csv")
    assert choices["block"].tolist() == [*"01234", "all"] and choices["optimism"].notna().tolist() == [False] * 5 + [True]
    assert scores[["features", "head"]].values.tolist() == [["small", "lda"], ["untrained", "lda"]] and (scores["value"] > 0.5).all()
    chosen = choices.iloc[-1]
    assert np.isclose(chosen["inner"], scores.set_index("features").loc[chosen["features"], "value"], atol=1e-4)
    assert "used 0 times before" in run(confirm, "--choices", out / "choices.csv", "--log", log) and not log.exists()
    for before in range(2):
        text = run(confirm, "--choices", out / "choices.csv", "--log", log, "--confirm")
        assert f"tested on 76 locked ones; used {before} times before" in text
    logged = pd.read_csv(log)
    assert logged["number"].tolist() == [1, 2] and logged["value"].nunique() == 1 and (logged["n"] == 76).all()
