"Other people's predictions: the run made of them, and every mistake in their table at once."
import numpy as np
import pandas as pd
import pytest

from leuknb.cli import main
from leuknb.data import catalogue
from leuknb.lib.errors import InputError
from leuknb.lib.runs import Run
from leuknb.lib.theirs import checked_rows, read_predictions, run_of_predictions, training_of
from leuknb.misread import Predictions

CLASSES = ["Benign", "Early", "Pre", "Pro"]


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("LEUKNB_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def images(smears):
    return catalogue(smears / "catalogue.csv")


@pytest.fixture
def table(images):
    "Predictions of seven images of each class, three of them wrong, by file name."
    rows = images[images["variant"] == "original"].groupby("label", observed=True).head(7)
    predicted = rows["label"].astype(str).to_numpy()
    predicted[[0, 9, 20]] = ["Pro", "Benign", "Benign"]
    p = np.full((len(rows), 4), 0.1)
    p[np.arange(len(rows)), [CLASSES.index(name) for name in predicted]] = 0.7
    facts = {"path": [path.replace("\\", "/").rsplit("/", 1)[-1] for path in rows["path"]], "true": rows["label"].astype(str).to_numpy(), "predicted": predicted}
    return pd.DataFrame(facts).join(pd.DataFrame(p, columns=[f"p_{name}" for name in CLASSES]))


def problems(table, images, smears, tmp_path):
    table.to_csv(tmp_path / "theirs.csv", index=False)
    with pytest.raises(InputError) as error:
        checked_rows(tmp_path / "theirs.csv", images, smears)
    return str(error.value)


def test_a_run_of_their_predictions(table, smears, tmp_path):
    table.to_csv("theirs.csv", index=False)
    run = Run.from_predictions("theirs.csv", smears / "catalogue.csv", progress=False, chapters=("leaks",))
    assert run.path.as_posix() == "runs/theirs" and run.complete and run.models.empty
    assert run.comparison["accuracy"].item() == pytest.approx(25 / 28) and run.classes == CLASSES
    assert run.confusion("theirs", "elsewhere", "original").tolist() == [[6, 0, 0, 1], [1, 6, 0, 0], [1, 0, 6, 0], [0, 0, 0, 7]]
    assert run.config["source"]["training"] == "assumed: the images without a prediction"
    train = set(run.split.query("split == 'train'")["image"])
    assert len(train) == 36 and not train & set(run.predictions["image"])
    assert Predictions(run.predictions).wrong.sum() == 3 and Predictions(run.predictions).confidence.max() == np.float32(0.7)
    audit = (run.path / "audit" / "audit.txt").read_text(encoding="utf-8")
    assert "Predictions of theirs.csv" in audit and "training set assumed" in audit and "test image" in audit
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "theirs + elsewhere" in page and "training set assumed: the images without a prediction" in page
    again = run_of_predictions("theirs.csv", smears / "catalogue.csv", progress=False)  # the same run, not made again
    assert again.path == run.path
    table.assign(predicted="Benign").to_csv("theirs.csv", index=False)
    with pytest.raises(InputError, match="holds a run with other weights"):
        run_of_predictions("theirs.csv", smears / "catalogue.csv", progress=False)


def test_without_probabilities_by_the_command(table, smears, tmp_path, capsys):
    table.iloc[:, :3].to_csv("bare.csv", index=False)
    assert main(["audit", "--predictions", "bare.csv", "--data", str(smears / "catalogue.csv"), "--chapters", "leaks", "--out", "run"]) == 0
    assert "Look at what was misread:  leuknb explore run" in capsys.readouterr().out
    run = Run("run")
    assert run.predictions.filter(like="p_").isna().all(axis=None) and "nan" not in (run.path / "report.html").read_text(encoding="utf-8").lower().split("<pre>")[0].split("base64")[0]
    assert main(["audit", "--predictions", "bare.csv"]) == 2
    assert "audit: --predictions go with --data" in capsys.readouterr().err


def test_images_by_any_name(images, smears, tmp_path):
    rows = images[images["variant"] == "original"].head(4)
    spellings = [rows["image"].iloc[0], rows["path"].iloc[1], rows["path"].iloc[2].rsplit("/", 1)[-1], rows["path"].iloc[3].rsplit("/", 1)[-1].rsplit(".", 1)[0]]
    pd.DataFrame({"image": spellings, "predicted": "benign"}).to_csv("names.csv", index=False)
    read = checked_rows(tmp_path / "names.csv", images, smears)
    assert read["image"].tolist() == rows["image"].tolist() and set(read["predicted"]) == {"Benign"} and set(read["variant"]) == {"original"}


def test_everything_that_is_wrong_is_said_at_once(table, images, smears, tmp_path):
    changed = table.astype({"p_Pro": object})
    changed.loc[0, "path"] = "far.png"
    changed.loc[1, "true"] = "Pro"
    changed.loc[2, "predicted"] = "Blast"
    changed.loc[3, "p_Pro"] = "high"
    changed.loc[4, "p_Pro"] = 0.4
    changed.loc[5, [f"p_{name}" for name in CLASSES]] = 25
    changed.loc[6, "path"] = changed.loc[7, "path"]
    text = problems(changed, images, smears, tmp_path)
    for part in ("line 2: 'far.png' names no image", "line 3:", "is Pro here, but Benign", "line 4: predicted 'Blast' is none of the classes",
                 "line 5: high is no probability", "line 6: the probabilities add up to 1.3, not 1", "line 7: the probabilities add up to 100, not 1; divide percent by 100",
                 "has a row before", "nothing was done"):
        assert part in text, part
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("change, match", [
    (lambda t: t.rename(columns={"predicted": "prediction"}), "the column predicted .* is missing; is it prediction"),
    (lambda t: t.drop(columns="path"), "the column image .or path. is missing"),
    (lambda t: t.drop(columns="p_Pro"), "the columns p_Pro are missing; give one for each class, or none"),
    (lambda t: t.assign(p_Blast=0), "the column p_Blast belongs to no class"),
    (lambda t: t.assign(model=["a", "b"] * 14), r"holds 2 models \(a, b, by the column model\); keep the rows of one"),
    (lambda t: pd.concat([t, t.head(1)]), "has a row before"),
    (lambda t: t.assign(split="training"), "the column split has training; it may have train, valid and test"),
    (lambda t: t.head(0), "holds no rows")])
def test_a_wrong_table(change, match, table, images, smears, tmp_path):
    import re
    assert re.search(match, problems(change(table), images, smears, tmp_path))


def test_where_the_training_set_comes_from(table, images, smears, tmp_path):
    every = images[images["variant"] == "original"].assign(predicted=lambda t: t["label"].astype(str))[["image", "predicted"]]
    read = lambda t: (t.to_csv("t.csv", index=False), checked_rows(tmp_path / "t.csv", images, smears))[1]
    parts, said = training_of(read(every), images)
    assert parts is None and said.startswith("unknown")
    folds = every.assign(fold=np.arange(len(every)) % 3)
    parts, said = training_of(read(folds), images)
    assert said == "the images of other folds" and parts.query("split == 'test'")["image"].is_unique and len(parts) == 3 * len(every)
    stated = every.assign(split=np.where(np.arange(len(every)) % 4 == 0, "test", "train"))
    parts, said = training_of(read(stated), images)
    assert said == "as the column split says" and (parts["split"] == "test").sum() == 16 and (parts["split"] == "train").sum() == 48


@pytest.mark.parametrize("text, match", [("", "cannot be read as CSV"), ("image,true,predicted\n", "holds no rows"), ("image\na\n", "the column predicted")])
def test_a_table_of_nothing(text, match, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=match):
        read_predictions(tmp_path / "t.csv")
