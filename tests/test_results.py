"The main job: a folder of images in, tables out; interrupted, repeated, and given bad input."
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from leuknb.data import catalogue
from leuknb.lib.errors import InputError
from leuknb.novelty import FOREIGN, foreign_image
from leuknb.patients import make_smears
from leuknb.results import Run, predict
from leuknb.results import reproduce as reproduce_and_audit

COMMAND = [sys.executable, "-m", "leuknb"]
OPTIONS = ["--backbones", "alexnet", "--weights", "random", "--no-audit"]
reproduce = partial(reproduce_and_audit, audit=False)  # the audit has tests of its own


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    "Features of these tests stay among them."
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEUKNB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def files(folder):
    "Every file below a folder."
    return sorted(p for p in Path(folder).rglob("*") if p.is_file())


def pets(folder, names, count=12):
    "Grey squares of one brightness a class."
    rng = np.random.default_rng(0)
    for k, label in enumerate(names):
        (folder / label).mkdir(parents=True)
        for i in range(count):
            pixels = rng.normal(60 + 60 * k, 30, (64, 64, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{label}{i}.png")
    return folder


@pytest.mark.parametrize("part", ["Original", "list.csv"])
def test_a_part_of_generated_smears_is_not_compared_with_the_paper(smears, tmp_path, part):
    data = smears / part
    if part == "list.csv":
        cat = catalogue(smears / "catalogue.csv")
        data = tmp_path / part
        cat[["path", "label"]][cat["variant"] == "original"].to_csv(data, index=False)
    run = reproduce(data, tmp_path / "run", backbones=("alexnet",), weights={"": "random"}, heads=("knn",), tune=False)
    assert run.config["data"]["synthetic"] and run.comparison["difference"].isna().all()


def test_smears_are_not_kept_for_a_run_that_cannot_be(tmp_path, monkeypatch):
    monkeypatch.setattr("leuknb.patients.make_smears", partial(make_smears, images=64, patients=12, size=64))
    with pytest.raises(InputError, match="nope"):
        reproduce(None, tmp_path / "run", backbones=("alexnet",), heads=("knn",), split="nope", progress=False)
    assert not (tmp_path / "run").exists()


def test_smears_of_another_seed_are_not_taken(tmp_path, monkeypatch):
    monkeypatch.setattr("leuknb.patients.make_smears", partial(make_smears, images=64, patients=12, size=64))
    make_smears(tmp_path / "run" / "images", images=64, patients=12, size=64, seed=5, progress=False)
    with pytest.raises(InputError, match="smears of another seed"):
        reproduce(None, tmp_path / "run", backbones=("alexnet",), heads=("knn",), seed=6, split="group", progress=False)


def test_same_seed_same_bytes_with_a_cold_and_a_warm_cache(smears, tmp_path, monkeypatch):
    monkeypatch.setenv("LEUKNB_CACHE", str(tmp_path / "cache"))
    options = dict(backbones=("alexnet",), weights={"": "random"}, heads=("knn", "softmax"), variants=("original",), progress=False)
    for name in ("cold", "warm"):
        reproduce(smears, tmp_path / name, **options)
    assert (tmp_path / "cold/predictions.csv").read_bytes() == (tmp_path / "warm/predictions.csv").read_bytes()
    reproduce(smears, tmp_path / "other", **{**options, "seed": 1})
    assert (tmp_path / "cold/predictions.csv").read_bytes() != (tmp_path / "other/predictions.csv").read_bytes()


def test_a_run_killed_during_feature_extraction_continues_and_ends_with_the_same_result(smears, tmp_path):
    def command(out):
        return [*COMMAND, "reproduce", "--data", str(smears), "--out", str(tmp_path / out), *OPTIONS, "--size", "448", "--heads", "knn"]

    def environment(cache):
        return {**os.environ, "LEUKNB_CACHE": str(tmp_path / cache)}

    process = subprocess.Popen(command("killed"), env=environment("a"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not files(tmp_path / "a"):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    assert not (tmp_path / "killed" / "report.html").exists()
    subprocess.run(command("killed"), env=environment("a"), check=True, capture_output=True)
    subprocess.run(command("whole"), env=environment("b"), check=True, capture_output=True)
    assert (tmp_path / "killed/predictions.csv").read_bytes() == (tmp_path / "whole/predictions.csv").read_bytes()


def test_every_split_scheme_repeats_and_a_split_file(smears, tmp_path):
    for scheme, folds in (("group", 1), ("kfold", 3), ("group-kfold", 3), ("blocks", 3)):
        run = reproduce(smears, tmp_path / scheme, split=scheme, folds=3, embargo=1, repeats=1, backbones=("alexnet",),
                        weights={"": "random"}, heads=("knn",), variants=("original",), progress=False)
        assert run.predictions["fold"].nunique() == folds and run.config["choices"]["split"] == scheme
    again = reproduce(smears, tmp_path / "blocks again", split=str(tmp_path / "blocks/split.csv"), backbones=("alexnet",),
                      weights={"": "random"}, heads=("knn",), variants=("original",), progress=False)
    assert again.predictions.equals(run.predictions)
    run = reproduce(smears, tmp_path / "repeats", repeats=3, backbones=("alexnet",), weights={"": "random"}, heads=("knn",),
                    variants=("original",), progress=False)
    assert sorted(run.predictions["fold"].unique()) == [0, 1, 2]
    again = reproduce(smears, tmp_path / "from file", split=str(tmp_path / "repeats/split.csv"), backbones=("alexnet",),
                      weights={"": "random"}, heads=("knn",), variants=("original",), progress=False)
    assert again.predictions.equals(run.predictions)


def test_patients_of_a_csv_are_never_in_both_sets(smears, tmp_path):
    run = reproduce(smears / "catalogue.csv", tmp_path / "run", split="group", backbones=("alexnet",),
                    weights={"": "random"}, heads=("knn",), progress=False)
    truth = pd.read_csv(smears / "catalogue.csv")
    assert run.catalogue["group"].nunique() == truth["patient"].nunique()
    sets = run.catalogue.drop_duplicates("image").merge(run.split, on="image").groupby("group")["split"].nunique()
    assert (sets == 1).all()


def test_two_classes_without_published_numbers(tmp_path):
    run = reproduce(pets(tmp_path / "pets", ["cats", "dogs"]), tmp_path / "run", backbones=("alexnet",), weights={"": "random"}, progress=False)
    assert run.comparison["published"].isna().all() and run.classes == ["cats", "dogs"]
    pred = predict(run, [tmp_path / "pets" / "dogs"], progress=False)
    assert list(pred.columns) == ["image", "predicted", "p_cats", "p_dogs", "novelty", "distance", "abstain"] and (pred["predicted"] == "dogs").mean() > 0.9


TUNED = dict(backbones=("alexnet",), weights={"": "random"}, size=64, epochs=2, progress=False)


@pytest.fixture(scope="module")
def tuned(smears, tmp_path_factory):
    "A run with the network itself, trained further, beside a head on its frozen features."
    return reproduce(smears, tmp_path_factory.mktemp("runs") / "tuned", heads=("knn", "fine-tuned"), **TUNED)


def test_a_fine_tuned_network_is_one_more_head(smears, tuned):
    assert list(tuned.comparison["head"]) == ["knn", "fine-tuned"] * 2
    assert tuned.comparison.query("head == 'fine-tuned'")["published"].round(4).tolist() == [0.9723, 0.9355]
    assert not (tuned.path / "parts").exists() and "AlexNet fine-tuned, original" in (tuned.path / "report.html").read_text(encoding="utf-8")
    held_out = tuned.predictions.query("head == 'fine-tuned' and variant == 'original'")
    paths = tuned.catalogue.query("variant == 'original'").set_index("image")["path"][held_out["image"]]
    pred = predict(tuned, paths.tolist(), "alexnet/fine-tuned/original", progress=False)
    assert np.allclose(pred.filter(like="p_"), held_out.filter(like="p_"), atol=2e-6)
    assert pred["predicted"].tolist() == held_out["predicted"].tolist()


def test_a_changed_network_file_is_refused(tuned, tmp_path):
    shutil.copytree(tuned.path, tmp_path / "run")
    models = tmp_path / "run" / "models"
    shutil.copy(models / "alexnet-fine-tuned-segmented.safetensors", models / "alexnet-fine-tuned-original.safetensors")
    with pytest.raises(InputError, match="not the network that was measured"):
        predict(tmp_path / "run", [tuned.catalogue["path"][0]], "alexnet/fine-tuned/original", progress=False)


def test_heads_on_features_of_the_fine_tuned_network(smears, tmp_path):
    settings = TUNED | dict(heads=("svm", "knn", "fine-tuned"), variants=("original",), split="kfold", folds=2, features="fine-tuned")
    run = reproduce(smears, tmp_path / "run", **settings)
    assert set(run.predictions["weights"]) == {"random, fine-tuned"} and run.predictions.groupby("head")["fold"].nunique().tolist() == [2, 2, 2]
    held_out = run.predictions.query("head == 'knn' and fold == 0")
    paths = run.catalogue.set_index("image")["path"][held_out["image"]].tolist()
    shutil.move(run.path, tmp_path / "moved")
    pred = predict(tmp_path / "moved", paths, "alexnet/knn/original", progress=False)
    assert pred["predicted"].tolist() == held_out["predicted"].tolist()


def test_an_interrupted_fine_tuning_continues(smears, tmp_path, monkeypatch):
    from leuknb.lib import training
    settings = TUNED | dict(heads=("fine-tuned",), variants=("original",), epochs=4)
    real = training.ProgressBar.on_epoch_end

    def stop(self, net, **kwargs):
        real(self, net, **kwargs)
        if len(net.history) == 3:
            raise KeyboardInterrupt
    with monkeypatch.context() as patch:
        patch.setattr(training.ProgressBar, "on_epoch_end", stop)
        with pytest.raises(KeyboardInterrupt), pytest.warns(RuntimeWarning, match="Ctrl-C"):
            reproduce(smears, tmp_path / "stopped", **settings)
    assert not Run(tmp_path / "stopped").complete and files(tmp_path / "stopped" / "parts")
    again, whole = (reproduce(smears, tmp_path / name, **settings) for name in ("stopped", "whole"))
    assert again.predictions.equals(whole.predictions) and again.complete


def test_numbers_as_class_names_and_a_head_named_twice(tmp_path):
    run = reproduce(pets(tmp_path / "digits", ["00", "01"]), tmp_path / "run", backbones=("alexnet",), heads=("knn", "knn"), weights={"": "random"},
                    progress=False, audit=False)
    assert run.classes == ["00", "01"] and set(Run(run.path).predictions["predicted"]) <= {"00", "01"}
    assert run.predictions["image"].is_unique and "at 0x" not in repr(run)


def test_a_class_without_training_images_is_named_before_work(tmp_path):
    data = pets(tmp_path / "pets", ["cats", "dogs", "mice"])
    cat = catalogue(data)
    sets = np.where(cat["label"] == "mice", "test", np.where(np.arange(len(cat)) % 2, "train", "test"))
    pd.DataFrame({"image": cat["image"], "fold": 1, "split": sets}).to_csv(tmp_path / "split.csv", index=False)
    with pytest.raises(InputError, match="no training image of class mice"):
        reproduce(data, tmp_path / "run", split=str(tmp_path / "split.csv"), backbones=("alexnet",), weights={"": "random"}, progress=False)
    assert not (tmp_path / "run").exists()


def test_names_that_look_like_something_else(tmp_path):
    import torch
    from leuknb.networks import random_network
    torch.save(random_network("alexnet").state_dict(), tmp_path / "010.pth")
    run = reproduce(pets(tmp_path / "set", ["a$\\bad$b", "Zell", "B"]), tmp_path / "run", backbones=("alexnet",), heads=("knn",),
                    weights={"": str(tmp_path / "010.pth")}, layer="stats", size=64, progress=False)
    assert set(run.predictions["weights"]) == set(Run(run.path).predictions["weights"]) and "010" in run.predictions["weights"].iloc[0]
    pred = predict(run, [tmp_path / "set" / "B"], progress=False)
    assert [c for c in pred if c.startswith("p_")] == [c for c in run.predictions if c.startswith("p_")]


def test_scenes_streams_and_the_lock_are_recorded(tmp_path):
    from leuknb.patients import draw_patient
    from leuknb.synth import draw
    for label in ("Benign", "Pre"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for i in range(30):
            image = draw([i, label == "Pre"], draw_patient([i // 10, label == "Pre"], label), 72).image
            Image.fromarray(image[:56, :56]).save(tmp_path / "data" / label / f"{i + 1}.png")
            if i == 20:
                Image.fromarray(image[14:70, 12:68]).save(tmp_path / "data" / label / "31.png")
    options = dict(backbones=("alexnet",), weights={"": "random"}, heads=("knn",), progress=False, audit=False, size=63, split="blocks", folds=2)
    run = reproduce(tmp_path / "data", tmp_path / "run", scenes=True, locked=True, embargo=1, embargo_by="stream", **options)
    data, choices = run.config["data"], run.config["choices"]
    assert (choices["scenes"], choices["locked"], choices["embargo_by"]) == (True, True, "stream")
    assert data["scenes"]["pairs"] == 2 and data["locked"] == {"images": 12, "open": len(run.catalogue)}
    assert run.clusters.name == "stretches of files" and run.comparison["note"].str.startswith("too few clusters").all()
    assert not run.catalogue["image"].str.endswith(("/31", "/21")).any()  # the last files, and what shows their field
    with pytest.raises(InputError, match="`embargo_by` goes with split='blocks'"):
        reproduce(tmp_path / "data", tmp_path / "other", embargo_by="stream", **options | {"split": "paper"})


def test_a_fine_tuned_network_abstains_far_from_its_training_images(smears, tuned, tmp_path):
    name, models = "alexnet/fine-tuned/original", tuned.path / "models"
    rows = tuned.novelty.query("head == 'fine-tuned' and variant == 'original'")
    paths = tuned.catalogue.query("variant == 'original'").set_index("image")["path"][rows["image"]]
    home = predict(tuned, paths.tolist(), name, progress=False)
    assert np.allclose(home["novelty"], rows["novelty"], atol=1e-6) and home["abstain"].mean() < 0.3, "64 images"
    for kind in FOREIGN:
        Image.fromarray(foreign_image(kind, 1, 96)).save(tmp_path / f"{kind}.png")
    elsewhere = make_smears(tmp_path / "elsewhere", 12, 6, laboratory=4, seed=1, size=96, workers=1, progress=False)
    train = tuned.split.query("fold == 0 and split == 'train'")["image"]
    prior = tuned.catalogue.query("variant == 'original'").set_index("image")["label"][train].value_counts(normalize=True)
    noise = predict(tuned, sorted(map(str, tmp_path.glob("*.png"))), name, progress=False)
    noise = noise.sort_values("distance", ascending=False)  # weights are random: a page of text is not far from smears
    assert noise["abstain"].all() and np.allclose(noise.filter(like="p_").iloc[:4], prior[tuned.classes], atol=0.01)
    others = predict(tuned, sorted(map(str, (elsewhere / "Original").rglob("*.*"))), name, progress=False)
    assert others["abstain"].mean() > 0.7 and (others["distance"] > 1).all()
    run = shutil.copytree(tuned.path, tmp_path / "run")
    facts = run / "models" / "alexnet-fine-tuned-original.json"
    np.save(run / "models" / "alexnet-fine-tuned-original.npy", np.zeros((48, 4), np.float32))
    with pytest.raises(InputError, match="not the features that were measured"):
        predict(run, paths.tolist()[:1], name, progress=False)
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"features": None, "params": {"weights": "alexnet-fine-tuned-original.safetensors"}}))
    with pytest.warns(UserWarning, match="keeps no features of its training images"):
        assert predict(run, paths.tolist()[:1], name, progress=False)["novelty"].isna().all()
    assert not [path for path in models.iterdir() if path.suffix in (".pkl", ".pt")]
