"The novelty score against an independent search, on held-out rows and on images that are no smears."
import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from leuknb.lib.errors import InputError
from leuknb.novelty import FOREIGN, NoveltyScore, foreign_image, mean_nearest, stretches
from leuknb.robust import Robust

SMALL = dict(weights="random", size=64, precision="float32", device="cpu", progress=False)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    "Features of a test stay in its folder."
    monkeypatch.setenv("LEUKNB_CACHE", str(tmp_path / "cache"))


def smear(seed, colour=(150, 60, 170), size=64):
    "Discs of one colour on bright glass."
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    picture = np.full((size, size, 3), 225.0) + rng.normal(0, 2, (size, size, 3))
    for cy, cx in rng.uniform(8, size - 8, (6, 2)):
        picture[(y - cy) ** 2 + (x - cx) ** 2 < 36] = colour
    return picture.clip(0, 255).astype(np.uint8)


@pytest.fixture
def images(tmp_path):
    "Paths and labels of smears of two classes: purple and green cells."
    paths, labels = [], []
    for i in range(40):
        label = "ab"[i % 2]
        path = tmp_path / f"{i}.png"
        Image.fromarray(smear(i, (150, 60, 170) if label == "a" else (70, 150, 60))).save(path)
        paths.append(path)
        labels.append(label)
    return np.array(paths), np.array(labels)


def features(n=120, d=30, seed=0):
    "Three classes of Gaussian rows."
    rng = np.random.default_rng(seed)
    y = np.repeat(["x", "y", "z"], n // 3)
    return (rng.normal(size=(n, d)) + 1.5 * np.eye(3, d)[np.repeat(range(3), n // 3)]).astype(np.float32), y


def test_nearest_rows_by_another_hand():
    X, _ = features()
    theirs = np.sort(np.linalg.norm(X[90:, None] - X[None, :90], axis=2), axis=1)[:, :5].mean(axis=1)
    assert mean_nearest(X[90:], X[:90], 5) == pytest.approx(theirs, rel=1e-4)
    assert len(mean_nearest(X[:2], X[:1], 5)) == 2


def test_stretches_lie_within_classes():
    assert stretches(np.zeros(6), 3).tolist() == [0, 0, 1, 1, 2, 2]
    assert stretches(np.array(["a", "b", "a", "b", "a", "a"]), 2).tolist() == [0, 0, 0, 1, 1, 1]


def test_novelty_is_a_share_of_held_out_rows():
    X, y = features(600, seed=1)
    score = NoveltyScore().fit(X[::2], y[::2]).score_samples
    usual = score(X[1::2])
    assert 0.4 < usual.mean() < 0.6 and (usual > 0.99).mean() < 0.05
    assert (score(X[:5] + 40) == 1).all()


def test_novelty_with_few_rows():
    assert NoveltyScore().fit(np.ones((3, 4)), ["a", "a", "b"]).score_samples(np.zeros((1, 4))).shape == (1,)


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_pictures_stand_out(kind, images, tmp_path):
    picture = foreign_image(kind, 1)
    assert picture.shape == (224, 224, 3) and picture.dtype == np.uint8 and np.array_equal(picture, foreign_image(kind, 1))
    paths, y = images
    for i in range(3):
        Image.fromarray(foreign_image(kind, i, 64)).save(tmp_path / f"f{i}.png")
    backbone = Robust(**SMALL).backbone()
    warning = NoveltyScore().fit(backbone.transform(paths[:30]), y[:30])
    own, strange = (warning.distance(backbone.transform(p)) for p in (paths[30:], [tmp_path / f"f{i}.png" for i in range(3)]))
    assert roc_auc_score([0] * 10 + [1] * 3, np.r_[own, strange]) > 0.8


def test_an_unknown_kind_of_foreign_picture():
    with pytest.raises(InputError, match="choose from black frame"):
        foreign_image("cat")
