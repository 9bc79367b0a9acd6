"""Two models, two runs, two images; and what raters decide."""
import pandas as pd
import pytest
from fake_run import CLASSES, make_run

from leuknb.explore import explore
from leuknb.lib.annotations import Annotations
from leuknb.lib.errors import InputError
from leuknb.lib.runs import Run
from leuknb.lib.state import State


@pytest.fixture
def pairs(explorer):
    explorer.tabs.selected_index = 3
    return explorer.pairs


def right(run, model):
    "Images that a model got right, by pandas."
    rows = run.predictions.query("backbone == @model[0] and head == @model[1] and variant == @model[2]")
    return set(rows["image"][rows["true"] == rows["predicted"]]), set(rows["image"])


def test_the_four_cells_equal_pandas(explorer, pairs):
    pairs.who.a.value, pairs.who.b.value = 2, 5
    (a, every), (b, _) = (right(explorer.run, explorer.state.pred.models[j]) for j in (2, 5))
    expected = {"both right": a & b, "A wrong, B right": b - a, "A right, B wrong": a - b, "both wrong": every - a - b}
    for name, images in expected.items():
        assert pairs.tally.cells[name].description == f"{name}: {len(images)}"
        pairs.tally.choose(name)
        assert set(explorer.state.pred.images[explorer.state.shown[0]]) == images
        assert name in explorer.gallery.gallery.title
    assert f"{100 * len(a) / len(every):.1f}\N{NO-BREAK SPACE}%" in pairs.tally.text.value and "p = " in pairs.tally.text.value


def test_another_run_shows_what_changed(tmp_path):
    first, second = make_run(tmp_path / "first", count=24), make_run(tmp_path / "second", count=20, seed=1)
    made = explore(first, static=False)
    made.tabs.selected_index = 3
    who = made.pairs.who
    assert who.other.options == ("second",)
    who.other.value = "second"
    assert who.pred_b.models[who.b.value] == made.state.pred.models[who.a.value], "the same model of the other run"
    (a, _), (b, every) = (right(Run(path), made.state.pred.models[0]) for path in (first, second))
    assert made.pairs.tally.images_of("A wrong, B right") == (every & b) - a and len(who.found().images) == 20
    who.other.value = "nowhere"
    assert "no run of leuknb here" in who.problem.value and who.pred_b is made.state.pred
    made.sources.worker.wait()


def test_labels_that_differ_between_runs_are_counted(tmp_path):
    first, second = make_run(tmp_path / "first", count=16), make_run(tmp_path / "second", count=16)
    table = pd.read_csv(second / "predictions.csv")
    image = table["image"][0]
    table.loc[table["image"] == image, "true"] = next(c for c in CLASSES if not image.startswith(c))
    table.to_csv(second / "predictions.csv", index=False)
    made = explore(first, static=False)
    made.tabs.selected_index = 3
    made.pairs.who.other.value = str(second)
    assert "1 have another label in the other run" in made.pairs.tally.text.value
    made.sources.worker.wait()


def test_a_pinned_image_stays_on_the_left(explorer, pairs):
    state, first = explorer.state, explorer.state.image
    explorer.gallery.hear({"pin": first})
    state.select(1)
    assert first in pairs.left.title.value and state.image in pairs.right.title.value and pairs.pin.value
    explorer.gallery.hear({"pin": first})
    assert state.image in pairs.left.title.value and not pairs.pin.value


def test_nothing_is_compared_behind_another_tab(explorer):
    explorer.state.select(1)
    assert explorer.pairs.left.title.value == ""


# Raters


def test_a_blinded_rater_sees_neither_label_nor_prediction(drawn_run):
    made = explore(drawn_run, rater="Blind", blinded=True)
    state, gallery = made.state, made.gallery.gallery
    assert len(state.shown[0]) == 60 and not made.static and made.tabs.titles == ("Image",) and not made.toolbar.shared
    said = str([{k: v for k, v in item.items() if k != "image"} for item in gallery.items]) + made.detail.title.value
    assert not any(name in said for name in CLASSES) and "wrong" not in said and "%" not in said
    assert made.detail.rest.layout.display == made.detail.choice.layout.display == "none" and made.detail.bars.value == ""
    assert all(not any(name in str(image) for name in CLASSES) for image in made.detail.attribution.viewer.images)
    image = state.image
    made.detail.annotation.hear({"image": image, "flagged": True})
    assert state.hidden(image), "a flag is no label"
    made.detail.annotation.hear({"image": image, "label": "Pre"})
    assert image in made.detail.title.value and made.detail.rest.layout.display is None
    assert [item for item in made.gallery.gallery.items if item["image"] == image][0]["confidence"]
    made.detail.annotation.hear({"do": "undo"})
    assert state.hidden(image) and image not in made.detail.title.value and image not in made.detail.annotation.saved.value
    made.sources.worker.wait()
    Annotations(drawn_run, "Blind").path.unlink()


def test_a_blinded_rater_has_a_name(drawn_run):
    with pytest.raises(InputError, match="needs the name of the rater"):
        explore(drawn_run, blinded=True)


def test_a_second_window_of_a_rater_says_so(drawn_run):
    first = State(drawn_run, rater="Twice")
    second = State(drawn_run, rater="Twice")
    assert first.notes.warning == "" and "open in another window" in second.notes.warning
    assert State(drawn_run).notes.warning == State(drawn_run).notes.warning == ""


def test_decisions_about_disagreements(tmp_path):
    run = Run(make_run(tmp_path / "run", count=12))
    images = sorted(set(run.catalogue["image"]))[:3]
    for name, labels in {"Anna": ["Pre", "Pre", "Pro"], "Ben": ["Pre", "Pro", "Pro"]}.items():
        for image, label in zip(images, labels):
            Annotations(run, name).set(image, label=label)
    Annotations(run, "Anna").set("gone", label="Pre")
    made = explore(run, static=False)
    made.tabs.selected_index = 4
    panel = made.raters
    assert panel.disputed.description == "Show 1 disagreement" and "Anna and Ben" in panel.table.value and "66.7\N{NO-BREAK SPACE}%" in panel.table.value
    panel.disputed.click()
    made.state.select(0)
    assert made.state.image == images[1] and [b.description for b in panel.choices.children] == ["Decide for Pre", "Decide for Pro"]
    panel.choices.children[1].click()
    assert Annotations(run)[images[1]]["label"] == "Pro" and "Decided: Pro" in panel.votes.value
    made.detail.annotation.hear({"do": "export"})
    assert set(pd.read_csv(run.path / "relabelled.csv").query("image == @images[1]")["label"]) == {"Pro"}
    (run.path / "annotations-Anna.csv").write_text("no,table\n")
    panel.again.click()
    assert "is no table of annotations" in panel.table.value
    made.sources.worker.wait()


def test_a_run_on_a_read_only_disk(drawn_run, monkeypatch):
    Annotations(drawn_run).set("Benign/WBC-Benign-001", note="kept")
    refuse = lambda path: (_ for _ in ()).throw(InputError(f"{path}: cannot be written (read-only file system); name another place"))
    monkeypatch.setattr("leuknb.lib.state.check_writable", refuse)
    made = explore(drawn_run, static=False)
    assert "Annotations cannot be saved" in made.problem.value and "read-only file system" in made.detail.annotation.form.problem
    assert made.state.notes["Benign/WBC-Benign-001"]["note"] == "kept" and all(made.gallery.gallery.thumbs)
    made.sources.worker.wait()
