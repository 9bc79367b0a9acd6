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

from leuknb.cli import main
from leuknb.data import catalogue
from leuknb.lib.errors import InputError
from leuknb.lib.runs import Run, predict
from leuknb.results import reproduce as reproduce_and_audit
from leuknb.patients import make_smears

COMMAND = [sys.executable, "-c", "import sys; from leuknb.cli import main; sys.exit(main())"]
OPTIONS = ["--backbones", "alexnet", "--weights", "random", "--no-audit"]
reproduce = partial(reproduce_and_audit, audit=False)  # the audit has tests of its own


@pytest.fixture(scope="module")
def smears(tmp_path_factory):
    "Generated smears of twelve patients."
    return make_smears(tmp_path_factory.mktemp("data") / "smears", images=64, patients=12, size=96, seed=3, progress=False)


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    "Features of these tests stay among them."
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEUKNB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def made(smears, tmp_path_factory):
    "A run by the command, and what it printed."
    out = tmp_path_factory.mktemp("runs") / "run"
    done = subprocess.run([*COMMAND, "reproduce", "--data", str(smears), "--out", str(out), *OPTIONS],
                          capture_output=True, text=True, check=True)
    return Run(out), done.stdout


def files(folder):
    "Every file below a folder."
    return sorted(p for p in Path(folder).rglob("*") if p.is_file())


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


def test_command_prints_the_comparison_and_writes_the_run_folder(made):
    run, out = made
    assert "other images" in out and "difference" not in out and "not for diagnosis" in out
    assert list(run.comparison.columns) == ["backbone", "head", "variant", "n", "accuracy", "low", "high", "published", "difference"]
    assert list(run.metrics.columns) == ["backbone", "head", "variant", "class", "metric", "value", "low", "high"]
    assert list(run.predictions.columns) == ["image", "variant", "backbone", "weights", "head", "split", "fold", "true",
                                             "predicted", "p_Benign", "p_Early", "p_Pre", "p_Pro"]
    assert len(run.comparison) == 6 and (run.comparison["accuracy"] > 0.3).all()
    html = (run.path / "report.html").read_text(encoding="utf-8")
    assert "http" not in html.replace("http://www.w3.org", "") and html.count("data:image/png;base64,") == 8 and "Holm" in html


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


def test_patients_of_a_csv_never_stand_on_two_sides(smears, tmp_path):
    run = reproduce(smears / "catalogue.csv", tmp_path / "run", split="group", backbones=("alexnet",),
                    weights={"": "random"}, heads=("knn",), progress=False)
    truth = pd.read_csv(smears / "catalogue.csv")
    assert run.catalogue["group"].nunique() == truth["patient"].nunique()
    side = run.catalogue.drop_duplicates("image").merge(run.split, on="image").groupby("group")["split"].nunique()
    assert (side == 1).all()


def test_two_classes_without_published_numbers(tmp_path):
    rng = np.random.default_rng(0)
    for label, level in (("cats", 80), ("dogs", 170)):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for i in range(12):
            pixels = rng.normal(level, 30, (64, 64, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / label / f"{i}.png")
    run = reproduce(tmp_path / "pets", tmp_path / "run", backbones=("alexnet",), weights={"": "random"}, progress=False)
    assert run.comparison["published"].isna().all() and run.classes == ["cats", "dogs"]
    said = predict(run, [tmp_path / "pets" / "dogs"], progress=False)
    assert list(said.columns) == ["image", "predicted", "p_cats", "p_dogs", "unlike"] and (said["predicted"] == "dogs").mean() > 0.9


@pytest.mark.parametrize("arguments, message", [
    (["--data", "nowhere"], "nowhere"),
    (["--heads", "forest"], "'forest' is not there; choose from svm, knn, softmax"),
    (["--heads", "fine-tuned", "--unfreeze", "everything"], "'everything' is not there; choose from classifier, last-block, all"),
    (["--features", "fine-tuned", "--unfreeze", "classifier"], "choose last-block or all"),
    (["--epochs", "0"], "epochs must be at least 1"),
    (["--variants", "stained"], "'stained' is not there; choose from original, segmented"),
    (["--backbones", "alexnet,nonet"], "nonet"),
    (["--backbones", ","], "no backbones chosen"),
    (["--weights", "vgg19=random"], "not among the backbones"),
    (["--weights", "missing.safetensors"], "missing.safetensors"),
    (["--layer", "fc99"], "fc99"),
    (["--split", "alphabetical"], "alphabetical"),
    (["--split", "nowhere.csv"], "nowhere.csv"),
    (["--split", "kfold", "--folds", "1"], "fold"),
    (["--split", ""], "no split is named"),
    (["--split", "mine.csv", "--repeats", "2"], "leave --repeats and --quick out"),
    (["--split", "mine.csv", "--quick"], "leave --repeats and --quick out"),
    (["--data", ""], "no folder is named"),
    (["--backbones", "shufflenet_v2_x0_5", "--heads", "svm,fine-tuned", "--unfreeze", "last-block"], "has no last block that is known here"),
    (["--heads", "fine-tuned", "--layer", "conv3"], "takes the whole network: leave them out"),
    (["--repeats", "0"], "repeats must be at least 1"),
    (["--preprocess", "sharpen"], "sharpen"),
    (["--device", "abacus"], "abacus"),
    (["--size", "3"], "3"),
])
def test_what_cannot_be_met_is_one_clear_line_and_writes_nothing(smears, tmp_path, capsys, arguments, message):
    out = tmp_path / "run"
    given = ["reproduce", "--data", str(smears), "--out", str(out), *OPTIONS, *arguments]
    assert main(given) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert not out.exists()


def test_imagenet_weights_without_network_say_what_to_do(smears, tmp_path, capsys, monkeypatch):
    import torch

    def no_network(*args, **kwargs):
        raise OSError("no network")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    assert main(["reproduce", "--data", str(smears), "--out", str(tmp_path / "run"), "--backbones", "alexnet"]) == 2
    assert "--weights" in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_bad_images_are_refused_or_left_out(smears, tmp_path, capsys):
    data = tmp_path / "smears"
    shutil.copytree(smears, data)
    (data / "Original" / "Early" / "broken.jpg").write_bytes(b"\xff\xd8\xff not much of a picture")
    (data / "Original" / "Pro" / "empty.jpg").touch()
    given = ["reproduce", "--data", str(data), "--out", str(tmp_path / "run"), *OPTIONS, "--heads", "knn"]
    assert main(given) == 2
    error = capsys.readouterr().err
    assert "broken.jpg" in error and "empty.jpg" in error and "skip" in error and not (tmp_path / "run").exists()
    assert main([*given, "--on-bad", "skip"]) == 0
    left_out = json.loads((tmp_path / "run" / "config.json").read_text())["data"]["left_out"]
    assert len(left_out) == 2 and "broken.jpg" in " ".join(left_out)


def test_a_folder_of_another_run_or_of_something_else_is_left_alone(smears, tmp_path, capsys):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("years of work")
    given = ["reproduce", "--data", str(smears), *OPTIONS, "--heads", "knn", "--out"]
    assert main([*given, str(tmp_path / "thesis")]) == 2
    assert "no run of leuknb" in capsys.readouterr().err
    assert main([*given, str(tmp_path / "run")]) == 0
    before = (tmp_path / "run/predictions.csv").read_bytes()
    assert main([*given, str(tmp_path / "run"), "--seed", "5"]) == 2
    assert "another folder" in capsys.readouterr().err and (tmp_path / "run/predictions.csv").read_bytes() == before
    assert main([*given, str(tmp_path / "run")]) == 0


def test_predict_csv_json_models_and_mistakes(smears, made, tmp_path, capsys):
    run = made[0].path
    image = str(files(smears / "Original" / "Pre")[0])
    assert main(["predict", str(run), image]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0] == "image,predicted,p_Benign,p_Early,p_Pre,p_Pro,unlike"
    assert captured.out.splitlines()[1].startswith(image) and "original" in captured.err
    assert main(["predict", str(run), str(smears / "Segmented" / "Pre"), "--model", "alexnet/knn/segmented", "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == len(files(smears / "Segmented" / "Pre"))
    (tmp_path / "bad.jpg").write_text("no picture")
    (tmp_path / "empty").mkdir()
    for given, message in (([str(tmp_path / "bad.jpg"), image], "bad.jpg"), ([str(tmp_path / "empty")], "holds no images"),
                           ([image, "--model", "vgg19/svm/original"], "choose from"), (["missing.png"], "missing.png")):
        assert main(["predict", str(run), *given]) == 2
        captured = capsys.readouterr()
        assert message in captured.err and captured.out == ""


def test_a_stored_model_with_other_weights_is_refused(smears, made, tmp_path):
    shutil.copytree(made[0].path, tmp_path / "run")
    for description in (tmp_path / "run/models").glob("*.json"):
        description.write_text(description.read_text().replace(made[0].models["weights_digest"][0], "0" * 16))
    with pytest.raises(InputError, match="other alexnet weights"):
        predict(tmp_path / "run", files(smears / "Original")[:1], progress=False)


def test_importing_is_light():
    code = "import sys, leuknb, leuknb.cli; leuknb.cli.parser(); print([m for m in ('torch', 'matplotlib', 'ipywidgets', 'pandas') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


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
    said = predict(tuned, paths.tolist(), "alexnet/fine-tuned/original", progress=False)
    assert np.array_equal(said.filter(like="p_"), held_out.filter(like="p_"))
    assert said["predicted"].tolist() == held_out["predicted"].tolist()


def test_a_changed_network_file_is_refused(tuned, tmp_path):
    shutil.copytree(tuned.path, tmp_path / "run")
    models = tmp_path / "run" / "models"
    shutil.copy(models / "alexnet-fine-tuned-segmented.safetensors", models / "alexnet-fine-tuned-original.safetensors")
    with pytest.raises(InputError, match="not the network that was measured"):
        predict(tmp_path / "run", [tuned.catalogue["path"][0]], "alexnet/fine-tuned/original", progress=False)


def test_heads_on_features_of_the_fine_tuned_network(smears, tmp_path):
    choices = TUNED | dict(heads=("svm", "knn", "fine-tuned"), variants=("original",), split="kfold", folds=2, features="fine-tuned")
    run = reproduce(smears, tmp_path / "run", **choices)
    assert set(run.predictions["weights"]) == {"random, fine-tuned"} and run.predictions.groupby("head")["fold"].nunique().tolist() == [2, 2, 2]
    held_out = run.predictions.query("head == 'knn' and fold == 0")
    paths = run.catalogue.set_index("image")["path"][held_out["image"]].tolist()
    shutil.move(run.path, tmp_path / "moved")
    said = predict(tmp_path / "moved", paths, "alexnet/knn/original", progress=False)
    assert said["predicted"].tolist() == held_out["predicted"].tolist()


def test_an_interrupted_fine_tuning_continues(smears, tmp_path, monkeypatch):
    from leuknb.lib import training
    choices = TUNED | dict(heads=("fine-tuned",), variants=("original",), epochs=4)
    real = training.ProgressBar.on_epoch_end

    def stop(self, net, **kwargs):
        real(self, net, **kwargs)
        if len(net.history) == 3:
            raise KeyboardInterrupt
    with monkeypatch.context() as patch:
        patch.setattr(training.ProgressBar, "on_epoch_end", stop)
        with pytest.raises(KeyboardInterrupt), pytest.warns(RuntimeWarning, match="Ctrl-C"):
            reproduce(smears, tmp_path / "stopped", **choices)
    assert not Run(tmp_path / "stopped").complete and files(tmp_path / "stopped" / "parts")
    again, whole = (reproduce(smears, tmp_path / name, **choices) for name in ("stopped", "whole"))
    assert again.predictions.equals(whole.predictions) and again.complete


def test_choices_of_fine_tuning(smears, tmp_path):
    from leuknb.finetune import PRESETS
    from leuknb.lib.config import Config
    assert {k: getattr(Config(tune=False).finetuned("alexnet"), k) for k in PRESETS["matlab"]} == PRESETS["matlab"]
    assert Config().finetuned("alexnet").unfreeze == "classifier"
    assert Config(features="fine-tuned").finetuned("alexnet").unfreeze == "last-block"
    assert Config(tune=False, unfreeze="last-block", epochs=3).finetuned("vgg19").get_params()["epochs"] == 3


def test_inner_folds_are_blocks_where_the_outer_ones_are(smears):
    from leuknb.data import catalogue
    from leuknb.splits import inner_groups
    cat = catalogue(smears)
    part = cat[cat["variant"] == "original"]
    assert (inner_groups(part) == part["group"]).all()
    named = pd.Series(inner_groups(part, 4), index=part.index)
    assert (named.groupby(part["label"], observed=True).nunique() == 4).all()
    for _, stretch in named.groupby(part["label"], observed=True):
        assert stretch.is_monotonic_increasing and stretch.value_counts().max() - stretch.value_counts().min() <= 1


def pets(folder, names, count=12):
    "Grey squares of one brightness a class."
    rng = np.random.default_rng(0)
    for k, label in enumerate(names):
        (folder / label).mkdir(parents=True)
        for i in range(count):
            pixels = rng.normal(60 + 60 * k, 30, (64, 64, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{label}{i}.png")
    return folder


def test_numbers_as_class_names_and_a_choice_named_twice(tmp_path):
    run = reproduce(pets(tmp_path / "digits", ["00", "01"]), tmp_path / "run", backbones=("alexnet",), heads=("knn", "knn"), weights={"": "random"},
                    progress=False, audit=False)
    assert run.classes == ["00", "01"] and set(Run(run.path).predictions["predicted"]) <= {"00", "01"}
    assert run.predictions["image"].is_unique and "at 0x" not in repr(run)


def test_a_class_without_training_images_is_named_before_work(tmp_path):
    data = pets(tmp_path / "pets", ["cats", "dogs", "mice"])
    cat = catalogue(data)
    sides = np.where(cat["label"] == "mice", "test", np.where(np.arange(len(cat)) % 2, "train", "test"))
    pd.DataFrame({"image": cat["image"], "fold": 1, "split": sides}).to_csv(tmp_path / "split.csv", index=False)
    with pytest.raises(InputError, match="no training image of class mice"):
        reproduce(data, tmp_path / "run", split=str(tmp_path / "split.csv"), backbones=("alexnet",), weights={"": "random"}, progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("wrong", [["--seed", "-1"], ["--seed", "99999999999"], ["--weights", ""], ["--recipe", "robust", "--heads", "svm"],
                                   ["--recipe", "robust", "--no-tune"], ["--heads", "forest"]])
def test_without_data_nothing_is_drawn_for_a_wrong_choice(tmp_path, wrong):
    assert main(["reproduce", "--out", str(tmp_path / "run"), *wrong]) == 2
    assert not (tmp_path / "run").exists()


def test_a_damaged_run_is_named(smears, made, tmp_path, capsys):
    shutil.copytree(made[0].path, tmp_path / "run")
    next((tmp_path / "run" / "models").glob("*.json")).write_text('{"backbone": ')
    assert main(["predict", str(tmp_path / "run"), str(files(smears / "Original")[0])]) == 2
    assert ".json: is damaged" in capsys.readouterr().err


def test_predict_reads_what_a_catalogue_reads(smears, made, tmp_path, capsys):
    picture = Image.open(files(smears / "Original")[0]).convert("RGB")
    picture.save(tmp_path / "a.ppm")
    picture.save(tmp_path / "without ending", "PNG")
    (tmp_path / "README.txt").write_text("no picture")
    assert [Path(p).name for p in predict(made[0].path, [tmp_path], progress=False)["image"]] == ["a.ppm", "without ending"]
    Image.new("RGB", (5, 5)).save(tmp_path / "small.png")
    picture.save(tmp_path / "moving.gif", save_all=True, append_images=[Image.new("RGB", picture.size)])
    assert main(["predict", str(made[0].path), str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "small.png: 5 x 5 pixels" in said and "moving.gif: animated" in said


def test_the_report_shows_what_was_misread(made):
    run = made[0]
    label = run.classes[0]
    rows = run.predictions[(run.predictions["true"] == label) & (run.predictions["predicted"] != label)]
    report = (run.path / "report.html").read_text()
    assert report.count(f"true {label}, called ") == 2 * min(24, rows["image"].nunique())


@pytest.mark.parametrize("wrong", [["--chapters", "luck"], ["--shifts", "hail"], ["--images", "0"], ["--seed", "-1"]])
def test_a_wrong_audit_is_refused_before_any_work(tmp_path, wrong, monkeypatch):
    monkeypatch.setattr("leuknb.results.catalogue", None)
    assert main(["audit", "--data", str(tmp_path), "--out", str(tmp_path / "out"), *wrong]) == 2
    assert not (tmp_path / "out").exists()


def test_names_that_look_like_something_else(tmp_path):
    import torch
    from leuknb.networks import random_network
    torch.save(random_network("alexnet").state_dict(), tmp_path / "010.pth")
    run = reproduce(pets(tmp_path / "set", ["a$\\bad$b", "Zell", "B"]), tmp_path / "run", backbones=("alexnet",), heads=("knn",),
                    weights={"": str(tmp_path / "010.pth")}, layer="stats", size=64, progress=False)
    assert set(run.predictions["weights"]) == set(Run(run.path).predictions["weights"]) and "010" in run.predictions["weights"].iloc[0]
    said = predict(run, [tmp_path / "set" / "B"], progress=False)
    assert [c for c in said if c.startswith("p_")] == [c for c in run.predictions if c.startswith("p_")]


@pytest.mark.parametrize("text", ["{}", "[]", "null", '{"choices": {}, "data": {}}'])
def test_json_of_another_shape(made, smears, tmp_path, capsys, text):
    out = tmp_path / "run"
    shutil.copytree(made[0].path, out)
    (out / "config.json").write_text(text)
    assert main(["reproduce", "--data", str(smears), "--out", str(out), *OPTIONS]) == 2
    for path in (out / "models").glob("*.json"):
        path.write_text(text)
    assert main(["predict", str(out), str(smears / "Original" / "Benign")]) == 2
    assert capsys.readouterr().err.count("is damaged") == 2


def test_another_run_says_which_choice_differs(made, smears, capsys):
    assert main(["reproduce", "--data", str(smears), "--out", str(made[0].path), *OPTIONS, "--size", "64"]) == 2
    assert "other choices (size)" in capsys.readouterr().err


def test_python_runs_the_package():
    done = subprocess.run([sys.executable, "-m", "leuknb", "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "reproduce" in done.stdout
