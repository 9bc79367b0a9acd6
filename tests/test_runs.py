"Run folders and the models in them: what is read back, and runs that were made long ago."
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from leuknb.lib.errors import InputError
from leuknb.lib.models import pipeline, predict, training_features
from leuknb.lib.runs import Run
from leuknb.report import write_figures, write_report
from leuknb.results import reproduce

OLD = Path(__file__).parent / "old-run"  # made by the first version of leuknb


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    "Features of these tests stay among them."
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEUKNB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def files(folder):
    "Every file below a folder."
    return sorted(path for path in Path(folder).rglob("*") if path.is_file())


def test_tables_of_a_run(made):
    run, _ = made
    assert list(run.comparison.columns) == ["backbone", "head", "variant", "n", "accuracy", "low", "high", "published", "difference",
                                            "clusters", "note"]
    assert list(run.metrics.columns) == ["backbone", "head", "variant", "class", "metric", "value", "low", "high", "clusters", "note"]
    assert run.clusters.name == "groups of images" and set(run.clusters.index) == set(run.catalogue["image"])
    assert list(run.predictions.columns) == ["image", "variant", "backbone", "weights", "head", "split", "fold", "true",
                                             "predicted", "p_Benign", "p_Early", "p_Pre", "p_Pro"]
    assert len(run.comparison) == 6 and (run.comparison["accuracy"] > 0.3).all()
    assert run.confusion("alexnet", "svm", "original").sum() == run.comparison["n"].iloc[0]
    assert "at 0x" not in repr(run) and "<table" in run._repr_html_()


def test_damaged_tables_are_named(made, tmp_path):
    run = Run(shutil.copytree(made[0].path, tmp_path / "run"))
    (run.path / "predictions.csv").write_text("image,variant\nBenign/a,original\n")
    with pytest.raises(InputError, match="damaged, without the columns backbone, head"):
        run.predictions
    (run.path / "metrics.csv").unlink()
    with pytest.raises(InputError, match="metrics.csv: missing"):
        run.metrics


def test_a_stored_model_with_other_weights_is_refused(smears, made, tmp_path):
    shutil.copytree(made[0].path, tmp_path / "run")
    for description in (tmp_path / "run/models").glob("*.json"):
        description.write_text(description.read_text().replace(made[0].models["weights_digest"][0], "0" * 16))
    with pytest.raises(InputError, match="other alexnet weights"):
        predict(tmp_path / "run", files(smears / "Original")[:1], progress=False)


def test_predict_reads_what_a_catalogue_reads(smears, made, tmp_path):
    image = Image.open(files(smears / "Original")[0]).convert("RGB")
    image.save(tmp_path / "a.ppm")
    image.save(tmp_path / "without ending", "PNG")
    (tmp_path / "README.txt").write_text("no image")
    assert [Path(p).name for p in predict(made[0].path, [tmp_path], progress=False)["image"]] == ["a.ppm", "without ending"]
    Image.new("RGB", (5, 5)).save(tmp_path / "small.png")
    image.save(tmp_path / "moving.gif", save_all=True, append_images=[Image.new("RGB", image.size)])
    with pytest.raises(InputError) as error:
        predict(made[0].path, [tmp_path], progress=False)
    assert "small.png: 5 x 5 pixels" in str(error.value) and "moving.gif: animated" in str(error.value)


@pytest.fixture(params=["frozen", "robust"])
def old(request, tmp_path):
    "A run of old in a folder of its own, where its images are found again."
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    run = Run(tmp_path / request.param)
    table = pd.read_csv(run.path / "catalogue.csv")
    table["path"] = table["path"].str.replace("/data/", f"{tmp_path}/")
    table.to_csv(run.path / "catalogue.csv", index=False)
    return run


def held_out(run, head):
    "Predictions of one model, and the paths of the images."
    rows = run.predictions[run.predictions["head"] == head]
    return rows, run.catalogue.set_index("image")["path"][rows["image"]].tolist()


def test_an_old_run_is_read(old):
    assert old.synthetic and not old.complete and old.choices.layer == "conv1" and old.choices.size == 64
    assert len(old.catalogue) == 24 and set(old.split["split"]) == {"train", "test"}
    for cell in old.comparison[["backbone", "head", "variant", "accuracy"]].itertuples(index=False):
        matrix = old.confusion(*cell[:3])
        assert matrix.trace() / matrix.sum() == pytest.approx(cell.accuracy)
    assert set(old.models["head"]) == set(old.choices.heads) == set(old.predictions["head"])


def test_an_old_run_predicts_as_it_did(old):
    for head in old.choices.heads:
        rows, paths = held_out(old, head)
        pred = predict(old, paths, f"alexnet/{head}/original", progress=False)
        assert pred["predicted"].tolist() == rows["predicted"].tolist()
        assert np.allclose(pred.filter(like="p_"), rows.filter(like="p_"), atol=1e-4)
    table = pd.read_csv(old.path / "predicted-by-command.csv")
    pred = predict(old, [old.path.parent / "images"], f"alexnet/{'svm' if 'svm' in old.choices.heads else 'robust'}/original", progress=False)
    assert [Path(p).name for p in pred["image"]] == [Path(p).name for p in table["image"]]
    assert pred["predicted"].tolist() == table["predicted"].tolist()
    assert np.allclose(pred["novelty"], table["unlike"], atol=0.05)


def test_features_of_an_old_run(old):
    images, features = training_features(old, "alexnet", "original")
    paths = old.catalogue.set_index("image")["path"][images].tolist()
    assert np.allclose(pipeline(old, progress=False)[0].transform(paths), features, atol=1e-4)


def test_an_old_run_gets_its_report(old):
    write_figures(old)
    write_report(old)
    assert old.complete and "AlexNet" in (old.path / "report.html").read_text(encoding="utf-8")


def test_an_old_run_is_explored(old):
    from leuknb.explore import explore
    explorer = explore(old, static=False)
    assert len(explorer.state.pred.images) == old.predictions["image"].nunique()
    assert set(explorer.state.pred.models) == {("alexnet", head, "original") for head in old.choices.heads}


def test_an_old_run_is_continued(old):
    before = old.predictions
    settings = {name: getattr(old.choices, name) for name in old.config["choices"]}
    run = reproduce(old.path.parent / "images/catalogue.csv", old.path, audit=False, progress=False, **settings)
    assert run.complete and run.predictions["predicted"].equals(before["predicted"])
    apart = (run.predictions.filter(like="p_") - before.filter(like="p_")).abs().max(axis=1)
    solver = run.predictions["head"] == "softmax"  # fitted again; stops at a gradient of 1e-4, on another processor elsewhere
    assert apart[~solver].max() <= 1e-4 and (apart[solver] <= 0.02).all()


def test_images_in_the_run_folder_move_with_it(tmp_path):
    from types import SimpleNamespace

    from leuknb.lib.runs import moved_along
    before, now = tmp_path / "before" / "run", tmp_path / "after" / "run"
    (now / "images" / "Original").mkdir(parents=True)
    run = SimpleNamespace(path=now, config={"data": {"root": str(before / "images" / "catalogue.csv")}})
    cat = pd.DataFrame({"path": [str(before / "images" / "Original" / "a.jpg")]})
    assert moved_along(cat, run)["path"].tolist() == [str(now / "images" / "Original" / "a.jpg")]
    (before / "images").mkdir(parents=True)  # a copy of the run, whose images are where they were
    assert moved_along(cat, run) is cat
    run.config["data"]["root"] = str(tmp_path / "elsewhere")
    assert moved_along(cat, run) is cat
