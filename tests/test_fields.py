"Scale, tiles, pooling and cells alone: a run is used on fields of other sizes."
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from leuknb.audit import audit_run
from leuknb.data import catalogue
from leuknb import external
from leuknb.external import evaluate, pooled_groups
from leuknb.lib import moments
from leuknb.lib.config import Config, check_config
from leuknb.lib.errors import InputError
from leuknb.lib.fields import TrainingScale, as_tiles, check_tiles, pooled_table, red_cell_facts, scale_notes
from leuknb.lib.models import pipeline, predict, predicted_images, training_rows
from leuknb.lib.outside import copied_from, home_set, known_patients, read_set, trained_on, without_known
from leuknb.lib.tables import model_title
from leuknb.lib.tiles import pool
from leuknb.patients import make_smears
from leuknb.results import reproduce
from leuknb.splits import split, train_test_rows

SVM, CELLS = "alexnet/knn/original", "alexnet/morphology/original"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_smears(tmp_path_factory.mktemp("fields") / "smears", images=40, patients=10, size=112, seed=4, progress=False)


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    "A network's head and cells alone."
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEUKNB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield reproduce(folder / "catalogue.csv", tmp_path_factory.mktemp("run") / "run", backbones=("alexnet",), weights={"": "random"},
                        heads=("knn", "morphology"), variants=("original",), split="group", audit=False, progress=False)


@pytest.fixture(scope="module")
def held(run):
    "Files of held-out images."
    rows = run.catalogue
    return rows["path"].iloc[train_test_rows(rows, run.split, 0)[1]].tolist()


@pytest.fixture(scope="module")
def others(held, tmp_path_factory):
    "A held-out image: with twice the pixels, its middle as large as the whole, without any cell."
    out = tmp_path_factory.mktemp("others")
    image = Image.open(held[0])
    image.resize((224, 224), Image.Resampling.LANCZOS).save(out / "fine.png")
    image.crop((28, 28, 84, 84)).resize((112, 112), Image.Resampling.LANCZOS).save(out / "near.png")
    Image.new("RGB", (150, 112), (230, 225, 228)).save(out / "glass.png")
    return out


def test_a_run_keeps_the_scale_of_its_training_images(run, folder):
    pixels, low, high = json.loads((run.path / "config.json").read_text())["data"]["red_cell"]
    assert low < pixels < high and pixels == pytest.approx(112 * 7.2 / 86, rel=0.15)
    cat = catalogue(folder / "catalogue.csv")
    assert red_cell_facts(cat[cat["variant"] == "segmented"], split(cat, "group")) == {}


def test_what_counts_is_the_size_that_a_network_sees(run, others):
    training = TrainingScale(run.config["data"]["red_cell"][0], 112)
    assert scale_notes([others / "fine.png"], training) == []
    assert "cannot be measured" in scale_notes([others / "glass.png"], training)[0]
    assert scale_notes([], training) == scale_notes([others / "fine.png"], TrainingScale(np.nan, 112)) == []
    (note,) = scale_notes([others / "fine.png", others / "glass.png"], TrainingScale(4.0, 112))
    assert note.startswith("1 of 1 image whose scale can be measured, such as fine.png: ") and "times as large" in note
    with pytest.warns(UserWarning, match="cannot be measured"):
        predict(run, others / "glass.png", SVM, progress=False)


def test_the_same_field_in_twice_the_pixels_is_one_tile_again(run, held, others):
    table = predict(run, [held[0], others / "fine.png"], SVM, scale="auto", progress=False)
    assert table["tiles"].min() >= 1 and list(table["image"]) == [str(held[0]), str(others / "fine.png")]
    half = predict(run, others / "fine.png", SVM, scale=0.5, progress=False)
    assert half["tiles"].tolist() == [1] and half["predicted"].notna().all()


def test_tiles_are_pooled_by_the_mean_of_logarithms(run, others):
    with as_tiles([others / "fine.png"], TrainingScale(np.nan, 112), None, 112, 16) as tiles:
        single = predict(run, tiles["path"].tolist(), SVM, progress=False)
    columns = [f"p_{c}" for c in run.classes]
    whole = predict(run, others / "fine.png", SVM, tile=112, overlap=16, progress=False)
    expected = pool(single[columns].to_numpy(), ["x"] * len(single))
    assert np.allclose(whole[columns].to_numpy(float), expected[range(4)]) and whole["tiles"].tolist() == [len(single)]
    assert whole["distance"].iloc[0] == pytest.approx(single["distance"].median())


def test_fields_without_a_cell_or_a_scale(run, others):
    for options, reason in ((dict(tile=64), "no tile of it holds a nucleated cell"), (dict(scale="auto"), "the scale cannot be measured")):
        with pytest.raises(InputError, match=f'glass.png: {reason}[^`]*(.*\n)*.*on_bad="skip"'):
            predict(run, [others / "glass.png", others / "fine.png"], SVM, progress=False, **options)
        table = predict(run, [others / "glass.png", others / "fine.png"], SVM, on_bad="skip", progress=False, **options)
        assert reason in table["problem"][0] and table["problem"][1] == "" and table["predicted"].notna().tolist() == [False, True]
        assert table["abstain"].isna().tolist() == [True, False]
        with pytest.raises(InputError, match=reason):
            predict(run, others / "glass.png", SVM, on_bad="skip", progress=False, **options)


@pytest.mark.parametrize("wrong", [("40x", None, 0), (None, 16, 0), (None, 64, 64), (None, 64, -1), (0, None, 0)])
def test_impossible_tiles(wrong):
    with pytest.raises(InputError):
        check_tiles(*wrong)


def test_overlap_needs_tiles(run, others):
    with pytest.raises(InputError, match="`overlap` is one of tiles"):
        predict(run, others / "fine.png", SVM, overlap=8, progress=False)


def test_a_patient_has_one_row(run, held, tmp_path):
    pd.DataFrame({"path": held[:4], "person": ["b", "a", "b", "a"]}).to_csv(tmp_path / "list.csv", index=False)
    table, columns = predict(run, tmp_path / "list.csv", CELLS, pool_by="person", progress=False), [f"p_{c}" for c in run.classes]
    single = predict(run, tmp_path / "list.csv", CELLS, progress=False)
    assert table["person"].tolist() == ["b", "a"] and table["images"].tolist() == [2, 2]
    logs = np.log(single[columns].clip(1e-6)).groupby(single["person"], sort=False).mean()
    assert np.allclose(table[columns].to_numpy(float), np.exp(logs).div(np.exp(logs).sum(axis=1), axis=0))
    with pytest.raises(InputError, match="pool_by 'ward': choose from path, person"):
        predict(run, tmp_path / "list.csv", CELLS, pool_by="ward", progress=False)
    with pytest.raises(InputError, match="give the images as one CSV"):
        predict(run, held[:1], CELLS, pool_by="person", progress=False)
    pd.DataFrame({"path": held[:2], "person": ["b", ""]}).to_csv(tmp_path / "list.csv", index=False)
    with pytest.raises(InputError, match="empty for 1 image"):
        predict(run, tmp_path / "list.csv", CELLS, pool_by="person", progress=False)


def test_pooled_predictions_name_the_most_probable_class():
    tiles = pd.DataFrame({"p_a": [0.9, 0.2, 0.4], "p_b": [0.1, 0.8, 0.6], "novelty": [0, 0.5, 1], "distance": [1.0, 2, 3]})
    pooled = pooled_table(tiles, ["x", "x", "y"])
    assert pooled["predicted"].tolist() == ["a", "b"] and pooled["tiles"].tolist() == [2, 1]
    truth, called, score = pooled_groups(np.array([True, True, False, True]), np.array([0.9, 0.2, 0.1, 0.7]), np.array(list("aabb")))
    assert truth.tolist() == [True] and called.tolist() == [True] and score[0] == pytest.approx(0.6)


def test_cells_alone_are_stored_and_predict_the_same(run, held):
    told = run.predictions.query("head == 'morphology'").set_index("image")
    table = predict(run, held, CELLS, progress=False)
    names = run.catalogue.set_index("path")["image"]
    own = told.loc[[names[path] for path in table["image"]]]
    assert (own["predicted"].to_numpy() == table["predicted"]).all()
    columns = [f"p_{c}" for c in run.classes]
    assert np.abs(own[columns].to_numpy(float) - table[columns].to_numpy(float)).max() < 1e-6
    assert table["novelty"].notna().all() and model_title("alexnet", "morphology", "original") == "cells alone (morphology), original"


def test_what_cells_alone_exclude():
    for settings, message in ((dict(variants=("segmented",)), "segmented images lack"), (dict(tune=False), "no fixed settings")):
        with pytest.raises(InputError, match=message):
            check_config(Config(heads=("morphology",), **settings))


def test_an_audit_asks_what_cells_say(run):
    found = audit_run(run, progress=False, chapters=("cells",), images=8)
    table = found.tables["cells"].set_index("name")
    assert table["numbers"].tolist() == [0, 38, 33, 9] and "cells alone" in found.verdicts[0] and not found.notes


def set_of(path, run, **options):
    return read_set("x", path, run, run.classes[1:], {"0": "negative", "1": "positive"},
                    **dict(label_from=None, group_from=None, columns={}, variant="original") | options)


def test_sets_from_elsewhere(run, held, tmp_path, monkeypatch):
    rows = training_rows(run, "original")
    home = home_set(run, "original", run.classes[1:])
    assert home["path"].astype(str).tolist() == held and (home["positive"] == (home["true"] != "Benign")).all()
    Image.open(held[0]).save(tmp_path / "a_1.png")
    (tmp_path / "b_0.jpg").write_bytes(open(rows["path"].iloc[0], "rb").read())
    images = set_of(tmp_path, run, label_from=r"_(\d)", group_from="^(.)_")
    assert images["positive"].tolist() == [True, False] and images["group"].tolist() == ["a", "b"]
    assert trained_on(images, run, "original").tolist() == [False, True]
    with pytest.raises(InputError, match="1 of 2 images are training images"):
        without_known({"x": images}, run, "original", "error", [])
    lines = []
    assert len(without_known({"x": images}, run, "original", "skip", lines)["x"]) == 1 and "left out" in lines[0]
    with Image.open(rows["path"].iloc[1]) as image:
        image.resize((190, 185)).save(tmp_path / "c_1.jpg", quality=60)
    more = pd.DataFrame({"path": [tmp_path / name for name in ("a_1.png", "b_0.jpg", "c_1.jpg", "gone.png")]})
    assert copied_from(more, run, "original").tolist() == [False, True, True, False]
    monkeypatch.setattr("leuknb.lib.outside.MANY", 3)
    assert copied_from(more, run, "original") is None
    assert len(without_known({"x": more}, run, "original", "skip", told := [])["x"]) == 3 and "only their bytes are compared" in told[0]
    monkeypatch.undo()
    with pytest.raises(InputError, match="1 of 4 images are training images of the run at another size"):
        without_known({"x": more}, run, "original", "error", [])
    assert without_known({"x": more}, run, "original", "skip", lines)["x"]["path"].map(lambda path: path.name).tolist() == ["a_1.png", "gone.png"]
    patient = rows["patient"].iloc[0]
    assert patient and known_patients(images.assign(group=[patient, "b"]), run, "original") == [patient]


def test_evaluating_what_is_not_as_it_should_be(run, held, others, folder, tmp_path):
    home = home_set(run, "original", run.classes[1:]).assign(path=held)
    names = run.catalogue.set_index("path")["patient"]
    home = home.assign(label=home["true"], patient=names[held].to_numpy())[["path", "label", "patient"]]
    home.to_csv(tmp_path / "home.csv", index=False)
    found = evaluate(run, tmp_path / "home.csv", CELLS, progress=False)
    assert {"image", "group", "group, pooled"} == set(found.table["by"]) and not found.table["auroc"].isna().all()
    sick = home[home["label"] != "Benign"].assign(patient=training_rows(run, "original")["patient"].iloc[0])
    sick.to_csv(tmp_path / "sick.csv", index=False)
    found = evaluate(run, tmp_path / "sick.csv", CELLS, scale=1.0, tile=80, on_bad="skip", progress=False)
    text = "\n".join(found.warnings)
    assert "all images are positive: sensitivity alone" in text and "names of patients in the training images" in text
    assert "pooled (mean log probability" in text and found.table.query("set == 'sick'")["auroc"].isna().all()
    mixed = home.iloc[:6].assign(patient="one")
    mixed.loc[len(mixed)] = [str(others / "fine.png"), "Pre", "one"]
    mixed["label"] = ["Benign", "Pre"] * 3 + ["Pre"]
    mixed.to_csv(tmp_path / "mixed.csv", index=False)
    found = evaluate(run, tmp_path / "mixed.csv", CELLS, progress=False)
    assert "groups on both sides, with positive and negative images: one" in "\n".join(found.warnings)


def test_a_set_standardised_by_its_own_images(run, held, tmp_path, monkeypatch):
    truth = home_set(run, "original", run.classes[1:])["true"].to_numpy()
    pd.DataFrame({"path": held, "label": truth}).to_csv(tmp_path / "away.csv", index=False)
    data = {"away": tmp_path / "away.csv"}
    lines = evaluate(run, data, SVM, standardise=0.4, progress=False).warnings
    assert any("fewer than 30" in line for line in lines) == (len(held) < 30)
    for module in (external, moments):
        monkeypatch.setattr(module, "ENOUGH", 4)
    found = evaluate(run, data, SVM, standardise=0.4, progress=False)
    rows, sick = training_rows(run, "original"), truth != "Benign"
    fitted, ill = pipeline(run, SVM), rows["label"].astype(str).to_numpy() != "Benign"
    learned, own = (fitted[:-1].transform(list(paths)).astype(float) for paths in (rows["path"], held))
    weights = np.where(ill, 0.4 / ill.sum(), 0.6 / (~ill).sum())
    mean = weights @ learned
    spread, spreads = np.sqrt(weights @ (learned - mean) ** 2), own.std(axis=0)
    moved = (own - own.mean(axis=0)) / np.where(spreads > 0, spreads, 1) * np.where(spread > 0, spread, 1) + mean
    score = 1 - fitted[-1].predict_proba(moved.astype(np.float32))[:, list(fitted[-1].classes_).index("Benign")]
    images = found.images[found.images["set"] == "away, standardised"]
    assert "away, standardised" in found.save(tmp_path / "page").read_text()
    assert np.allclose(images["model score"].astype(float), score, atol=1e-3) and (images["positive"] == sick).all()
    assert f"40.0 % are taken as positive (labelled so: {100 * sick.mean():.1f} %); it is not" in "\n".join(found.warnings)
    alone = pd.read_csv(data["away"])
    alone[sick].to_csv(data["away"], index=False)
    found = evaluate(run, data, SVM, standardise=0.4, progress=False)
    assert "all of one kind" in "\n".join(found.warnings) and "away, standardised" not in set(found.images["set"])
    monkeypatch.setattr(external, "model_row", lambda *_: {"head": "fine-tuned", "variant": "original"})
    with pytest.raises(InputError, match="no head of its own"):
        evaluate(run, data, standardise=0.4)


def test_a_model_without_probabilities(run, monkeypatch):
    monkeypatch.setattr(type(run), "classes", [])
    for call in (lambda: predict(run, ["x.png"]), lambda: evaluate(run, "nowhere")):
        with pytest.raises(InputError, match="no probabilities"):
            call()


def test_ranking_uses_probabilities_before_the_prior(run, held, others):
    paths, whole = [str(path) for path in (*held[:3], others / "fine.png")], dict(scale=None, tile=None, overlap=0)
    table, _ = predicted_images(run, paths, SVM, "error", whole, raw=True)
    raw = table[[f"raw_{c}" for c in run.classes]].to_numpy(float)
    model = pipeline(run, SVM, progress=False)
    assert list(model.classes_) == list(run.classes) and np.allclose(raw, model.predict_proba(paths), atol=1e-7)
    shown = predict(run, paths, SVM, progress=False)
    assert not shown.columns.str.startswith("raw_").any() and shown.equals(table[shown.columns])
    changed = np.abs(table[[f"p_{c}" for c in run.classes]].to_numpy(float) - raw).max(axis=1) > 1e-9
    assert (table["novelty"][changed] == 1).all()


def test_pooled_ranking_and_answer_have_their_own_probabilities():
    truth, called, score = pooled_groups(np.array([True, False]), np.array([0.9, 0.2]), np.array(["a", "b"]), np.array([0.4, 0.3]))
    assert called.tolist() == [False, False] and score == pytest.approx([0.9, 0.2])
    tiles = pd.DataFrame({"p_a": [0.9, 0.2], "p_b": [0.1, 0.8], "raw_a": [0.6, 0.3], "raw_b": [0.4, 0.7], "novelty": [0, 1], "distance": [1.0, 2]})
    pooled = pooled_table(tiles, ["x", "x"])
    odds = np.sqrt(0.6 * 0.3 / (0.4 * 0.7))
    assert pooled["raw_a"].tolist() == pytest.approx([odds / (1 + odds)]) and pooled["predicted"].tolist() == ["a"]
