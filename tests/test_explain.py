"""Explanations against captum-free formulas, scikit-learn and planted copies."""
import io
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.pipeline import make_pipeline

from leuknb.backbones import Backbone
from leuknb.explain import Neighbours, attribution, decisions, evidence, heat_png, nearest, project, same_field, seen_box, voters
from leuknb.heads import SoftmaxHead
from leuknb.knn import KNNHead
from leuknb.lib.errors import InputError
from leuknb.lib.stored import RunFeatures, RunImages, RunModels
from leuknb.svm import SVMHead


@pytest.fixture(scope="module")
def clouds():
    "Three classes in 12 dimensions."
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(m, 1, (30, 12)) for m in (0, 1, 2)]).astype(np.float32)
    return X, np.repeat(["a", "b", "c"], 30)


@pytest.mark.parametrize("head", [SVMHead(), SVMHead(kernel="linear"), SoftmaxHead()], ids=["rbf", "linear", "softmax"])
def test_a_head_in_torch_decides_as_the_head_does(clouds, head):
    X, y = clouds
    head.fit(X, y)
    f = decisions(head, torch.from_numpy(X)).numpy()
    own = head.pairwise_decisions(X) if isinstance(head, SVMHead) else head.decision_function(X)
    assert np.abs(f - own).max() < 1e-5
    e = evidence(head, torch.from_numpy(X)).numpy()
    if isinstance(head, SVMHead):  # pairs in the order ab, ac, bc
        own = np.stack([own[:, 0] + own[:, 1], own[:, 2] - own[:, 0], -own[:, 1] - own[:, 2]], 1)
    assert np.abs(e - own).max() < 1e-5


def test_two_classes_have_opposite_evidence(clouds):
    X, y = clouds[0][:60], clouds[1][:60]
    for head in (SoftmaxHead().fit(X, y), SVMHead().fit(X, y)):
        e = evidence(head, torch.from_numpy(X)).numpy()
        assert e.shape == (60, 2) and np.allclose(e[:, 0], -e[:, 1])
        assert (np.array(head.classes_)[e.argmax(1)] == head.predict(X)).all()


def test_a_head_without_a_gradient_is_refused(clouds):
    with pytest.raises(InputError, match="KNNHead has no gradient"):
        decisions(KNNHead().fit(*clouds), torch.from_numpy(clouds[0]))


def test_the_gradient_of_the_evidence_is_the_heads(clouds):
    X, y = clouds
    head = SVMHead().fit(X, y)
    x = torch.from_numpy(X[:3]).requires_grad_()
    gradient = torch.autograd.grad(evidence(head, x)[:, 0].sum(), x)[0].numpy()
    step, numeric = 1e-2, np.zeros_like(gradient)
    for d in range(X.shape[1]):
        up, down = X[:3].copy(), X[:3].copy()
        up[:, d] += step
        down[:, d] -= step
        difference = evidence(head, torch.from_numpy(up)) - evidence(head, torch.from_numpy(down))
        numeric[:, d] = difference[:, 0].numpy() / (2 * step)
    assert np.allclose(gradient, numeric, atol=1e-2 * np.abs(numeric).max() + 1e-4)


@pytest.mark.parametrize("layer, method", [("stats", "gradient × activation"), ("pool5", "Grad-CAM")])
def test_attribution_of_a_hybrid(smears, layer, method):
    from leuknb.data import catalogue
    cat = catalogue(smears / "catalogue.csv", variants=("original",))
    model = make_pipeline(Backbone("alexnet", "random", layer, progress=False), SoftmaxHead(tune=False))
    model.fit(cat["path"], cat["label"].astype(str))
    for label in model[-1].classes_:
        png, box, text = attribution(model, cat["path"].iloc[0], str(label))
        assert str(label) in text and len(box) == 4
        if png:
            image = Image.open(io.BytesIO(png))
            assert image.mode == "RGBA" and image.size == (224, 224) and method in text
    with pytest.raises(InputError, match="class 'Prae': choose from Benign"):
        attribution(model, cat["path"].iloc[0], "Prae")


def test_seen_box():
    cut = SimpleNamespace(crop=True, size=224, resize=256)
    assert seen_box(cut, (300, 300)) == [6.25, 6.25, 87.5, 87.5]
    assert seen_box(cut, (600, 300)) == [28.125, 6.25, 43.75, 87.5]
    assert seen_box(SimpleNamespace(crop=False), (600, 300)) == [0, 0, 100, 100]


def test_a_map_is_transparent_where_it_is_low():
    pixels = np.asarray(Image.open(io.BytesIO(heat_png(np.array([[0, .5], [.75, 1]])))))
    assert pixels[0, 0, 3] == 0 and tuple(pixels[1, 1]) == (253, 231, 37, 255) and pixels[0, 1, 3] == 128


def test_nearest_equals_a_hand_count(clouds):
    X, _ = clouds
    ids = [str(n) for n in range(len(X))]
    near = nearest(ids, X, X[7], "7")
    distance = np.sqrt(((X - X[7]) ** 2).sum(1))
    expected = [n for n in np.argsort(distance) if n != 7][:5]
    assert [image for image, _ in near] == [ids[n] for n in expected]
    assert np.allclose([d for _, d in near], distance[expected], rtol=1e-5)
    assert nearest(ids, X, X[7], None)[0] == ("7", 0)


def test_voters_are_those_of_the_head(clouds):
    X, y = clouds
    head = KNNHead().fit(X, y)
    k, ids = head.best_params_["n_neighbors"], [str(n) for n in range(len(X))]
    near, text = voters(head, ids, X[7] + .1, None)
    rows = [int(image) for image, _ in near[:k]]
    votes = pd.Series(y[rows]).value_counts()
    assert head.predict((X[7] + .1)[None])[0] in votes[votes == votes.max()].index
    assert ("the nearest one" if k == 1 else f"the {k} nearest") in text and head.best_params_["metric"] in text


def test_the_same_field_is_recognised(smears):
    path = next((smears / "Original").rglob("*.jpg"))
    other = sorted((smears / "Original").rglob("*.jpg"))[-1]
    file = io.BytesIO()
    Image.open(path).save(file, "JPEG", quality=30)
    assert same_field(path.read_bytes(), file.getvalue()) and not same_field(path.read_bytes(), other.read_bytes())
    assert not same_field(b"", path.read_bytes()) and not same_field(path.read_bytes(), b"")
    blank = io.BytesIO()
    Image.new("RGB", (96, 96)).save(blank, "PNG")
    assert not same_field(blank.getvalue(), blank.getvalue())


def test_neighbours_of_a_run(made, tmp_path):
    run, _ = made
    images, models = RunImages(run), RunModels(run)
    features = RunFeatures(models, images)
    neighbours = Neighbours(features, images, run.catalogue)
    ids, matrix, row = features.training("alexnet", "original")
    near, note = neighbours.of(("alexnet", "svm", "original"), images.path(ids[0], "original"), ids[0])
    assert len(near) == 5 and ids[0] not in [n.image for n in near] and "fold 0" in note
    label = run.catalogue.drop_duplicates("image").set_index("image")["label"].astype(str)
    assert all(n.label == label[n.image] and n.thumbnail for n in near)
    copy = shutil.copy(images.path(ids[0], "original"), tmp_path / "mine.jpg")
    near, _ = neighbours.of(("alexnet", "svm", "original"), copy)
    assert near[0].image == ids[0] and near[0].distance < 1e-3 * np.abs(matrix).max() and near[0].duplicate
    assert not near[0].same_group, "an image from elsewhere has no group"
    knn, note = neighbours.of(("alexnet", "knn", "original"), copy)
    assert knn[0].image == ids[0] and "This head uses" in note


@pytest.mark.parametrize("method, words", [("PCA", "component 1"), ("t-SNE", "neighbourhoods")])
def test_clouds_stay_apart_on_the_map(method, words):
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(m, 1, (20, 6)) for m in (0, 9)])
    xy, axes = project(X, method)
    distance = np.linalg.norm(xy[:, None] - xy[None], axis=2) + 1e9 * np.eye(40)
    assert xy.shape == (40, 2) and xy.dtype == np.float32 and words in axes
    assert ((distance.argmin(1) < 20) == (np.arange(40) < 20)).all()


def test_a_map_needs_three_images_and_a_known_method():
    with pytest.raises(InputError, match="at least three images, not 2"):
        project(np.zeros((2, 4)))
    with pytest.raises(InputError, match="choose from PCA, t-SNE"):
        project(np.zeros((9, 4)), "UMAP")
