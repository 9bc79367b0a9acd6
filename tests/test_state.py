"""The state of an explorer, without any widget."""
import numpy as np
import pandas as pd
import pytest
from fake_run import CLASSES, make_run

from leuknb.lib.annotations import Annotations
from leuknb.lib.runs import Run
from leuknb.lib.state import State, toggle_flag


@pytest.fixture
def state(drawn_run):
    return State(drawn_run)


def test_the_first_view_is_the_most_confident_mistake_of_the_first_class(state):
    table = state.run.predictions
    misread = table[(table["true"] == "Benign") & (table["predicted"] != "Benign")]
    worst = misread[[f"p_{c}" for c in CLASSES[1:]]].max(axis=1).idxmax()
    assert state.image == misread["image"][worst] and len(state.shown[0]) == misread["image"].nunique()
    i, j = state.current
    assert state.pred.models[j] == tuple(misread.loc[worst, ["backbone", "head", "variant"]])


@pytest.mark.parametrize("right, expected", [(["Benign"], {}), (CLASSES, {"predicted": "any"})])
def test_nothing_misread_is_not_an_empty_page(tmp_path, right, expected):
    path = make_run(tmp_path, count=24)
    table = pd.read_csv(path / "predictions.csv")
    table["predicted"] = table["predicted"].where(~table["true"].isin(right), table["true"])
    table.to_csv(path / "predictions.csv", index=False)
    state = State(Run(path))
    assert state.filters.first == expected and len(state.shown[0]) and state.image is not None


def test_selection_stays_inside_the_gallery(state):
    state.filters.choose(true="any")
    state.select(5)
    assert state.selected == 5 and state.image == state.pred.images[state.shown[0][5]]
    state.select(-1)
    state.select(10 ** 6)
    assert state.image == state.pred.images[state.shown[0][5]]


def test_the_current_image_stays_while_it_is_left(state):
    state.filters.choose(true="any")
    state.select(7)
    image = state.image
    state.filters.change(order="name")
    assert state.image == image and state.selected == state.place(image) and not state.keep
    state.filters.choose(true=next(c for c in CLASSES if not image.startswith(c)))
    assert state.selected == -1 and not state.keep and state.image == image, "the detail still shows it"


def test_a_view_that_changes_announces_each_change_once(state):
    changes = []
    state.observe(lambda change: changes.append(change["name"]), ["version", "selected", "current"])
    state.filters.choose(true="any", order_that_is_no_facet="x")
    assert changes.count("version") == 1 and changes.count("selected") <= 1
    changes.clear()
    state.select(state.selected)
    assert changes == []


def test_opening_the_current_image_again_is_announced(state):
    opened = []
    state.observe(lambda change: opened.append(change["new"]), "opened")
    state.open(state.image)
    state.open("nowhere")
    assert opened == [1]


def test_flagging_keeps_the_place_and_moves_on(state):
    state.filters.choose(true="any", annotated="not annotated")
    state.select(7)
    following = state.pred.images[state.shown[0][8]]
    toggle_flag(state, state.image)
    assert state.keep and state.selected == 7 and state.image == following
    state.notes.set(following, note="s")
    assert state.image == following and state.keep and state.selected == -1, "a note keeps its image"


def test_filters_and_selection_do_not_write(state):
    state.select(1)
    state.filters.choose(true="any")
    state.filters.reset()
    assert not (state.run.path / "annotations.csv").exists()


def test_reset_brings_the_first_view_back(state):
    first = state.shown[0].tolist()
    state.filters.change(chosen={"head": "knn"}, confidence=(.9, 1), order="name", reverse=True)
    assert state.shown[0].tolist() != first
    state.filters.reset()
    assert state.shown[0].tolist() == first and state.filters.confidence == (0, 1) and not state.filters.reverse


def test_no_image_left(state):
    state.filters.choose(confidence=(0, 0))
    state.select(3)
    assert len(state.shown[0]) == 0 and state.selected == -1


def test_another_fold(state):
    state.show_fold(1)
    rows = state.run.predictions[state.run.predictions["fold"] == 1]
    assert set(state.pred.images) == set(rows["image"]) and state.selected == 0 and state.image in set(rows["image"])


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"other,columns\n1,2\n"])
def test_damaged_annotations_are_left_alone(drawn_run, content):
    (drawn_run.path / "annotations.csv").write_bytes(content)
    state = State(drawn_run)
    assert state.notes.problem.startswith("Annotations are off. ") and len(state.shown[0])
    state.notes.set(state.image, flagged=True)
    state.notes.undo()
    toggle_flag(state, state.image)
    assert (drawn_run.path / "annotations.csv").read_bytes() == content


def test_a_change_that_cannot_be_saved_is_reported(state, monkeypatch):
    monkeypatch.setattr("leuknb.lib.annotations.atomic", lambda path: (_ for _ in ()).throw(OSError("read-only")))
    before = state.version
    state.notes.set(state.image, note="x")
    assert state.notes.message == ("Not saved: read-only", False) and state.version == before


def test_undo_reports_what_it_took_back(state):
    state.notes.set(state.image, label="Pre")
    state.notes.undo()
    assert state.notes.message == (f"Undone: the last change to {state.image}", True)
    state.notes.undo()
    assert state.notes.message == ("Nothing to undo", True) and Annotations(state.run).table.empty


def test_odd_class_names_are_options_of_their_own(tmp_path):
    path, new = make_run(tmp_path, count=24), dict(zip(CLASSES, ["any", "wrong", "right", "noted"]))
    table = pd.read_csv(path / "predictions.csv").rename(columns={f"p_{c}": f"p_{n}" for c, n in new.items()})
    table[["true", "predicted"]] = table[["true", "predicted"]].replace(new)
    table.to_csv(path / "predictions.csv", index=False)
    state = State(Run(path))
    assert len(state.shown[0]) == table[(table["true"] == "any") & (table["predicted"] != "any")]["image"].nunique()
    state.filters.choose(true="class wrong", predicted="class noted")
    assert len(state.shown[0]) == table[(table["true"] == "wrong") & (table["predicted"] == "noted")]["image"].nunique()
    assert np.all(state.pred.true[state.shown[0]] == 1)
