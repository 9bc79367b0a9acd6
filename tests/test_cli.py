"The command: its options, what it prints, and one line for each mistake."
import argparse
import json
import shutil
import subprocess
import sys
from dataclasses import fields

import pytest
from PIL import Image

from leuknb.cli import main, parser, settings_of
from leuknb.lib.config import Config

OPTIONS = ["--backbones", "alexnet", "--weights", "random", "--no-audit"]


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    "Features of these tests stay among them."
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEUKNB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def files(folder):
    "Every file below a folder."
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_importing_is_light():
    code = ("import sys, leuknb, leuknb.cli; leuknb.cli.parser(); "
            "print([m for m in ('torch', 'matplotlib', 'ipywidgets', 'pandas', 'numpy', 'sklearn') if m in sys.modules])")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_names_of_the_package_are_loaded_when_used():
    import leuknb
    names = ["catalogue", "Backbone", "SVMHead", "KNNHead", "SoftmaxHead", "FineTuned", "reproduce", "Run", "predict", "published"]
    assert set(names) <= set(dir(leuknb)) and all(getattr(leuknb, name).__name__ == name for name in names)
    with pytest.raises(AttributeError, match="nothing"):
        leuknb.nothing


def test_no_name_of_the_package_is_a_module():
    code = ("import importlib.util, leuknb; "
            "print([n for n in dir(leuknb) if not n.startswith('_') and importlib.util.find_spec(f'leuknb.{n}') and n != 'lib'])")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_python_runs_the_package():
    done = subprocess.run([sys.executable, "-m", "leuknb", "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "reproduce" in done.stdout


def test_every_setting_has_its_option_and_its_default():
    help_text = parser().parse_args(["reproduce"]).parser.format_help()
    for field in fields(Config):
        flag = field.name.replace("_", "-")
        assert f"--no-{flag}" in help_text if field.default is True else f"--{flag}" in help_text
    settings = settings_of(parser().parse_args(["reproduce", "--data", "x"]))
    assert Config(**settings) == Config(weights={"": "imagenet"})
    assert Config(**settings_of(parser().parse_args(["reproduce"]))) == Config()


@pytest.mark.parametrize("arguments, expected", [
    ("--heads svm,lda --backbones vgg19", {"heads": ("svm", "lda"), "backbones": ("vgg19",)}),
    ("--size 64 --seed 3 --folds 4 --embargo 0 --repeats 2 --epochs 5", dict(size=64, seed=3, folds=4, embargo=0, repeats=2, epochs=5)),
    ("--crop", {"crop": True}), ("--no-crop", {"crop": False}), ("--no-tune", {"tune": False}), ("--quick", {"quick": True}),
    ("--layer conv1 --pool stats --preprocess denoise", dict(layer="conv1", pool="stats", preprocess="denoise")),
    ("--features fine-tuned --unfreeze all", dict(features="fine-tuned", unfreeze="all")),
    ("--precision float32 --device cpu --split kfold", dict(precision="float32", device="cpu", split="kfold")),
    ("--weights alexnet=synth,random", {"weights": {"alexnet": "synth", "": "random"}}),
])
def test_options_become_settings(arguments, expected):
    args = parser().parse_args(["reproduce", "--data", "x", *arguments.split()])
    assert Config(**settings_of(args)) == Config(**{"weights": {"": "imagenet"}} | expected)


def test_the_recipe_is_completed_by_what_does_not_contradict_it():
    args = parser().parse_args("reproduce --recipe robust --size 96".split())
    assert settings_of(args) == dict(backbones=("alexnet",), heads=("robust",), variants=("original",), weights={"": "synth"}, size=96)


def test_options_of_other_commands_are_those_of_before():
    usage = {name: parser().parse_args([name, *more]).parser.format_usage() for name, more in
             {"predict": "rx", "audit": "r", "explore": "r", "synth": "o", "segment": "so", "pretrain": "o", "paper": "", "fetch": "",
              "cache": ""}.items()}
    for name, options in {"predict": "model format device", "audit": "data out split chapters shifts images seed on-bad",
                          "explore": "port host images theme no-browser", "synth": "images patients stain-leak seed size",
                          "segment": "diameter method", "pretrain": "backbone set start every device", "paper": "format what",
                          "fetch": "", "cache": "clear"}.items():
        assert all(f"--{option}" in usage[name] for option in options.split())
    assert isinstance(parser(), argparse.ArgumentParser)


def test_command_prints_the_comparison(made):
    _, out = made
    assert "other images" in out and "difference" not in out and "not for diagnosis" in out


@pytest.mark.parametrize("arguments, message", [
    (["--data", "nowhere"], "nowhere"),
    (["--heads", "forest"], "--heads 'forest': choose from svm, knn, softmax"),
    (["--heads", "fine-tuned", "--unfreeze", "everything"], "--unfreeze 'everything': choose from classifier, last-block, all"),
    (["--features", "mine"], "--features 'mine': choose from frozen, fine-tuned"),
    (["--features", "fine-tuned", "--unfreeze", "classifier"], "choose last-block or all"),
    (["--epochs", "0"], "--epochs 0: give a whole number of at least 1"),
    (["--variants", "stained"], "'stained': choose from original, segmented"),
    (["--backbones", "alexnet,nonet"], "nonet"),
    (["--backbones", ","], "--backbones is empty"),
    (["--weights", "vgg19=random"], "not among the backbones"),
    (["--weights", "missing.safetensors"], "missing.safetensors"),
    (["--layer", "fc99"], "fc99"),
    (["--split", "alphabetical"], "--split 'alphabetical': choose from paper"),
    (["--split", "nowhere.csv"], "nowhere.csv"),
    (["--split", "kfold", "--folds", "1"], "--folds 1"),
    (["--split", ""], "--split is empty"),
    (["--split", "mine.csv", "--repeats", "2"], "leave out --repeats and --quick"),
    (["--split", "mine.csv", "--quick"], "leave out --repeats and --quick"),
    (["--data", ""], "no folder is named"),
    (["--backbones", "shufflenet_v2_x0_5", "--heads", "svm,fine-tuned", "--unfreeze", "last-block"], "last block"),
    (["--heads", "fine-tuned", "--layer", "conv3"], "takes the whole network: leave them out"),
    (["--repeats", "0"], "--repeats 0: give a whole number of at least 1"),
    (["--preprocess", "sharpen"], "sharpen"),
    (["--device", "abacus"], "abacus"),
    (["--size", "3"], "3"),
])
def test_what_cannot_be_met_is_one_clear_line_and_writes_nothing(smears, tmp_path, capsys, arguments, message):
    out = tmp_path / "run"
    assert main(["reproduce", "--data", str(smears), "--out", str(out), *OPTIONS, *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert not out.exists()


@pytest.mark.parametrize("wrong", [["--seed", "-1"], ["--seed", "99999999999"], ["--weights", ""], ["--recipe", "robust", "--heads", "svm"],
                                   ["--recipe", "robust", "--no-tune"], ["--heads", "forest"]])
def test_without_data_nothing_is_drawn_for_a_wrong_setting(tmp_path, wrong):
    assert main(["reproduce", "--out", str(tmp_path / "run"), *wrong]) == 2
    assert not (tmp_path / "run").exists()


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
    (data / "Original" / "Early" / "broken.jpg").write_bytes(b"\xff\xd8\xff not much of an image")
    (data / "Original" / "Pro" / "empty.jpg").touch()
    command = ["reproduce", "--data", str(data), "--out", str(tmp_path / "run"), *OPTIONS, "--heads", "knn"]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "broken.jpg" in error and "empty.jpg" in error and "--on-bad skip" in error and not (tmp_path / "run").exists()
    assert main([*command, "--on-bad", "skip"]) == 0
    left_out = json.loads((tmp_path / "run" / "config.json").read_text())["data"]["left_out"]
    assert len(left_out) == 2 and "broken.jpg" in " ".join(left_out)
    assert capsys.readouterr().err.count("leuknb: left out: ") == 2


def test_a_folder_of_another_run_or_of_something_else_is_left_alone(smears, tmp_path, capsys):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("years of work")
    command = ["reproduce", "--data", str(smears), *OPTIONS, "--heads", "knn", "--out"]
    assert main([*command, str(tmp_path / "thesis")]) == 2
    assert "no run of leuknb" in capsys.readouterr().err
    assert main([*command, str(tmp_path / "run")]) == 0
    before = (tmp_path / "run/predictions.csv").read_bytes()
    assert main([*command, str(tmp_path / "run"), "--seed", "5"]) == 2
    assert "another folder with --out" in capsys.readouterr().err and (tmp_path / "run/predictions.csv").read_bytes() == before
    assert main([*command, str(tmp_path / "run")]) == 0


def test_another_run_says_which_setting_differs(made, smears, capsys):
    assert main(["reproduce", "--data", str(smears), "--out", str(made[0].path), *OPTIONS, "--size", "64"]) == 2
    assert "other settings (size)" in capsys.readouterr().err


def test_predict_csv_json_models_and_mistakes(smears, made, tmp_path, capsys):
    run = made[0].path
    image = str(files(smears / "Original" / "Pre")[0])
    assert main(["predict", str(run), image]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0] == "image,predicted,p_Benign,p_Early,p_Pre,p_Pro,novelty,distance,abstain"
    assert captured.out.splitlines()[1].startswith(image) and "original" in captured.err
    assert main(["predict", str(run), str(smears / "Segmented" / "Pre"), "--model", "alexnet/knn/segmented", "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == len(files(smears / "Segmented" / "Pre"))
    (tmp_path / "bad.jpg").write_text("no image")
    (tmp_path / "empty").mkdir()
    for arguments, message in (([str(tmp_path / "bad.jpg"), image], "bad.jpg"), ([str(tmp_path / "empty")], "holds no images"),
                               ([image, "--model", "vgg19/svm/original"], "--model 'vgg19/svm/original': choose from"),
                               (["missing.png"], "missing.png")):
        assert main(["predict", str(run), *arguments]) == 2
        captured = capsys.readouterr()
        assert message in captured.err and captured.out == ""


def test_an_image_unlike_all_others_is_named(made, tmp_path, capsys):
    Image.new("RGB", (96, 96), "navy").save(tmp_path / "navy.png")
    assert main(["predict", str(made[0].path), str(tmp_path / "navy.png"), "--model", "alexnet/knn/original"]) == 0
    captured = capsys.readouterr()
    assert "1 of 1 images are out-of-distribution" in captured.err and captured.out.strip().endswith(",True")


def test_a_damaged_run_is_named(smears, made, tmp_path, capsys):
    shutil.copytree(made[0].path, tmp_path / "run")
    next((tmp_path / "run" / "models").glob("*.json")).write_text('{"backbone": ')
    assert main(["predict", str(tmp_path / "run"), str(files(smears / "Original")[0])]) == 2
    assert ".json: is damaged" in capsys.readouterr().err


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


@pytest.mark.parametrize("wrong", [["--chapters", "luck"], ["--shifts", "hail"], ["--images", "0"], ["--seed", "-1"]])
def test_a_wrong_audit_is_refused_before_any_work(tmp_path, wrong, monkeypatch):
    monkeypatch.setattr("leuknb.audit.catalogue", None)
    assert main(["audit", "--data", str(tmp_path), "--out", str(tmp_path / "out"), *wrong]) == 2
    assert not (tmp_path / "out").exists()


def test_predict_goes_on_without_bad_files_and_writes_a_new_file_alone(made, smears, tmp_path, capsys):
    shutil.copy(files(smears / "Original" / "Pre")[0], tmp_path / "a.jpg")
    (tmp_path / "b.png").write_text("no image")
    command = ["predict", str(made[0].path), str(tmp_path), "--model", "alexnet/knn/original", "--on-bad", "skip"]
    table = tmp_path.parent / f"{tmp_path.name}.csv"
    assert main([*command, "--out", str(table)]) == 0
    captured = capsys.readouterr()
    assert captured.out == "" and f"leuknb: left out: {tmp_path / 'b.png'}: not an image" in captured.err
    written = table.read_text(encoding="utf-8")
    assert written.splitlines()[0].endswith(",novelty,distance,abstain,problem") and len(written.splitlines()) == 3
    assert main(command) == 0 and capsys.readouterr().out == written
    for place in (str(table), str(tmp_path), "", str(table / "inside.csv")):
        assert main([*command, "--out", place]) == 2
        assert "Traceback" not in capsys.readouterr().err and table.read_text(encoding="utf-8") == written


@pytest.mark.parametrize("command", [["predict", "RUN", "IMAGE", "--out"], ["segment", "IMAGES"], ["synth"], ["audit", "RUN", "--out"], ["audit", "--data", "IMAGES", "--out"]])
def test_a_place_that_cannot_be_written_is_named_before_any_work(made, smears, tmp_path, capsys, monkeypatch, command):
    "`file` is no folder, so nothing can lie in it; not even root may write there."
    (tmp_path / "file").write_text("")
    for work in ("leuknb.lib.models.collect_images", "leuknb.segment.image_files", "leuknb.audit.catalogue", "leuknb.audit.pipeline"):
        monkeypatch.setattr(work, None)
    named = {"RUN": str(made[0].path), "IMAGES": str(smears), "IMAGE": str(files(smears)[0])}
    assert main([*(named.get(word, word) for word in command), str(tmp_path / "file" / "out")]) == 2
    assert str(tmp_path / "file" / "out") in capsys.readouterr().err


def test_output_that_the_terminal_cannot_show_is_no_traceback(made, smears, tmp_path):
    import os
    shutil.copy(files(smears / "Original" / "Pre")[0], tmp_path / "淋巴.jpg")
    command = [sys.executable, "-m", "leuknb", "predict", str(made[0].path), str(tmp_path), "--model", "alexnet/knn/original"]
    done = subprocess.run(command, env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True)
    assert done.returncode == 0 and b"\\u6dcb\\u5df4.jpg" in done.stdout
