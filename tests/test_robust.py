"The recipe: its parts against simple oracles, saved and read back, interrupted and given bad input."
import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from leuknb.preprocess import white_normalise
from leuknb.lib.errors import InputError
from leuknb.novelty import foreign_image
from leuknb.preprocess import another_camera, camera_copy, magnify, objective_copy
from leuknb.robust import Robust, RobustHead, load_robust, save_robust

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


@pytest.mark.parametrize("lamp", [(1, 1, 1), (0.9, 0.8, 0.6), (0.5, 0.5, 0.5)])
def test_white_is_white_under_any_lamp(lamp):
    picture = white_normalise(np.rint(smear(0) * lamp).astype(np.uint8))
    assert np.median(picture.reshape(-1, 3), axis=0) == pytest.approx([240] * 3, abs=6)


def test_a_copy_depends_on_the_picture_and_the_number_alone():
    one, other = smear(1), smear(2)
    assert np.array_equal(camera_copy(one, 3), camera_copy(one.copy(), 3))
    assert not np.array_equal(camera_copy(one, 3), camera_copy(one, 4))
    assert camera_copy(other, 3).shape == other.shape and camera_copy(other, 3).dtype == np.uint8


def test_no_change_asked_for_is_a_turned_picture():
    picture = smear(3)
    same = another_camera(picture, np.random.default_rng(0), gain=0, exposure=0, tone=0, grey=0, blur=0)
    turned = [np.rot90(picture, k)[:, ::step] for k in range(4) for step in (1, -1)]
    assert any(np.array_equal(same, t) for t in turned)


def test_probabilities_are_the_mean_of_all_heads():
    X, y = features()
    head = RobustHead().fit(X[::2], y[::2], copies=[X[::2] + 0.1])
    every = sum(one.predict_proba(X) for one in head.heads_.values()) / 3
    assert np.allclose(head.predict_proba(X), every) and (head.predict(X) == head.classes_[every.argmax(1)]).all()
    assert head.heads_["svm-copies"].n_training_ == head.heads_["lda-copies"].n_training_ == 2 * head.heads_["lda"].n_training_ == len(head.training_)
    assert 0.5 < head.best_score_ <= 1 and clone(head).get_params() == head.get_params()


def test_saved_and_read_back_without_pickle(tmp_path):
    X, y = features()
    head = RobustHead().fit(X, y)
    save_robust(head, tmp_path / "head")
    again = load_robust(tmp_path / "head", head.training_)
    assert np.array_equal(again.predict_proba(X), head.predict_proba(X)) and again.best_score_ == head.best_score_
    with pytest.raises(InputError, match="other training features"):
        load_robust(tmp_path / "head", head.training_ + 1)
    with pytest.raises(InputError, match="no such file"):
        load_robust(tmp_path / "nothing", head.training_)


def test_the_recipe_reads_smears_under_another_lamp(images, tmp_path):
    paths, y = images
    model = Robust(copies=1, **SMALL).fit(paths[:28], y[:28])
    assert model.score(paths[28:], y[28:]) == 1 and model.predict_proba(paths[28:]).shape == (12, 2)
    for i, path in enumerate(paths[28:]):
        Image.fromarray(np.rint(np.asarray(Image.open(path)) * [1, 0.85, 0.7]).astype(np.uint8)).save(tmp_path / f"warm-{i}.png")
    assert model.score([tmp_path / f"warm-{i}.png" for i in range(12)], y[28:]) == 1
    again = Robust(copies=1, **SMALL).fit(paths[:28], y[:28])
    assert np.array_equal(again.predict_proba(paths), model.predict_proba(paths))


def test_copies_by_other_objectives_come_after_those_by_cameras(images):
    paths, y = images
    steps = [Robust(copies=2, objectives=1).backbone(k).preprocess for k in range(4)]
    assert steps == [["white"], ["white", "camera1"], ["white", "camera2"], ["white", "objective1"]]
    assert Robust().objectives == 0 and Robust().backbone(2).preprocess == ["white", "camera2"], "the recipe as it was"
    head = Robust(copies=1, objectives=2, **SMALL).fit(paths, y).pipeline_[-1]
    assert len(head.training_) == 4 * len(y)
    with pytest.raises(InputError, match="objectives"):
        Robust(objectives=10, **SMALL).fit(paths, y)


@pytest.mark.parametrize("factor", [0.6, 0.8, 1.25, 1.6])
def test_magnified_cells_grow_with_the_square(factor):
    y, x = np.mgrid[:224, :224]
    disc = np.where((y - 112) ** 2 + (x - 112) ** 2 < 30**2, 0, 255).astype(np.uint8)[..., None].repeat(3, 2)
    middle = (magnify(disc, factor) < 128)[..., 0]
    assert middle.sum() == pytest.approx(factor**2 * np.pi * 30**2, rel=0.03) and (magnify(disc, 1) == disc).all()
    assert (objective_copy(disc, 1) == objective_copy(disc, 1)).all()


def test_features_of_copies_are_kept_so_that_work_continues(images, monkeypatch):
    paths, y = images
    one = Robust(copies=1, **SMALL).fit(paths, y)
    nothing = lambda plan, todo: iter(()) if not todo else pytest.fail("computed again")
    monkeypatch.setattr("leuknb.lib.extract.compute_features", nothing)
    two = Robust(copies=1, **SMALL).fit(paths, y)
    assert np.array_equal(one.pipeline_[-1].training_, two.pipeline_[-1].training_)


@pytest.mark.parametrize("wrong, message", [(dict(copies=-1), "at least 0 and at most 9"), (dict(copies=10), "at least 0 and at most 9"),
                                            (dict(name="alexnot"), "not a classifier")])
def test_impossible_recipes(images, wrong, message):
    with pytest.raises(InputError, match=message):
        Robust(**SMALL | wrong).fit(*images)


def test_one_class_and_no_images(images):
    with pytest.raises(InputError, match="at least two"):
        Robust(copies=0, **SMALL).fit(images[0][::2], images[1][::2])
    with pytest.raises(InputError, match="empty"):
        Robust(copies=0, **SMALL).fit([], [])


def test_a_run_by_the_recipe_is_used_like_any_other(tmp_path):
    from leuknb.lib.models import pipeline, predict, training_features
    from leuknb.lib.runs import Run
    from leuknb.results import reproduce
    from leuknb.patients import make_smears
    smears = make_smears(tmp_path / "smears", images=48, patients=12, size=64, seed=1, progress=False)
    run = reproduce(smears, tmp_path / "run", backbones=("alexnet",), heads=("robust",), variants=("original",), weights={"": "random"},
                    size=64, progress=False)
    held_out = run.predictions
    paths = run.catalogue[run.catalogue["variant"] == "original"].set_index("image")["path"]
    Image.fromarray(foreign_image("noise")).save(tmp_path / "noise.png")
    pred = predict(run, [*paths[held_out["image"]], tmp_path / "noise.png"], progress=False)
    assert list(pred.columns[-3:]) == ["novelty", "distance", "abstain"] and pred["novelty"].between(0, 1).all() and pred["novelty"].iloc[-1] == 1
    assert (pred["predicted"].iloc[:-1].to_numpy() == held_out["predicted"].to_numpy()).all()
    given, stored, near = pred.filter(like="p_").iloc[:-1], held_out.filter(like="p_"), pred["novelty"].iloc[:-1].to_numpy() < 1
    assert near.any() and np.allclose(given[near], stored.to_numpy()[near], atol=2e-6)
    sure = (given.max(axis=1).to_numpy() - stored.max(axis=1).to_numpy())[~near]
    assert (sure < 2e-6).all(), "farther than every held-out training image, probabilities move to the shares of the classes"
    images, features = training_features(Run(run.path), "alexnet", "original")
    assert len(images) == len(features) and np.allclose(pipeline(run, progress=False)[0].transform(paths[images]), features)
    with pytest.raises(InputError, match="has its own preprocessing"):
        reproduce(smears, tmp_path / "other", backbones=("alexnet",), heads=("robust",), weights={"": "random"}, preprocess="white", progress=False)


def test_a_run_with_copies_at_another_magnification(tmp_path):
    from leuknb.lib.models import predict, training_features
    from leuknb.patients import make_smears
    from leuknb.results import reproduce
    smears = make_smears(tmp_path / "smears", images=48, patients=12, size=64, seed=2, progress=False)
    run = reproduce(smears, tmp_path / "run", backbones=("alexnet",), heads=("robust",), variants=("original",), weights={"": "random"},
                    size=64, objectives=1, audit=False, progress=False)
    assert run.config["choices"]["objectives"] == run.choices.objectives == 1
    train = (run.split["split"] == "train").sum()
    images, features = training_features(run, "alexnet", "original")
    stored = np.load(run.path / "models" / run.models["features"].iloc[0])
    assert len(images) == train and len(stored) == 4 * train, "the images, two copies by cameras, one by another objective"
    recipe = Robust(weights="random", size=64, objectives=1, progress=False)
    paths = run.catalogue.query("variant == 'original'").set_index("image")["path"]
    assert np.allclose(stored[3 * train:], recipe.backbone(3).transform(paths[images]))
    held_out = run.predictions
    again = predict(run, paths[held_out["image"]], progress=False)
    assert (again["predicted"].to_numpy() == held_out["predicted"].to_numpy()).all()


def test_an_unknown_head():
    with pytest.raises(InputError, match="choose from lda, lda-copies, svm-copies"):
        RobustHead(heads=("svm",)).fit(*features())


@parametrize_with_checks([RobustHead(), RobustHead(heads=("lda",))])
def test_the_scikit_learn_contract(estimator, check):
    check(estimator)
