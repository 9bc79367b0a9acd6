"""Annotations come back as they were written, whatever is typed and whoever else writes."""
import csv
import os

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leuknb.lib.annotations import COLUMNS, Annotations, clean_text, export_labels
from leuknb.lib.errors import InputError


@settings(max_examples=60, deadline=None)
@given(note=st.text(), label=st.sampled_from(["", "Pre", "a,b\n\"c\""]), flagged=st.booleans())
def test_any_note_comes_back(tmp_path_factory, note, label, flagged):
    where = tmp_path_factory.mktemp("notes")
    notes = Annotations(where)
    notes.set("Benign/é \"1\".jpg", note=note, label=label, flagged=flagged)
    kept = Annotations(where)["Benign/é \"1\".jpg"]
    assert kept == notes["Benign/é \"1\".jpg"]
    assert kept["note"] == clean_text(note) and (kept["flagged"] == "yes") is flagged


def test_undo_takes_back_one_step_and_a_note_as_one(tmp_path):
    notes = Annotations(tmp_path)
    notes.set("a", flagged=True)
    for text in ("s", "sm", "smu"):
        notes.set("a", note=text)
    notes.set("a", label="Pre")
    assert notes.undo() == "a" and notes["a"]["label"] == ""
    assert notes.undo() == "a" and notes["a"] == {"flagged": "yes", "label": "", "note": ""}
    assert notes.undo() == "a" and notes.undo() is None and notes.table.empty
    assert list(csv.reader(open(tmp_path / "annotations.csv"))) == [COLUMNS]


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    notes = Annotations(tmp_path)
    notes.set("a", note="kept")
    monkeypatch.setattr(os, "replace", lambda *a: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError):
        notes.set("a", note="lost")
    monkeypatch.undo()
    assert Annotations(tmp_path)["a"]["note"] == "kept" and os.listdir(tmp_path) == ["annotations.csv"]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"other,columns\n1,2\n", b'image,flagged,label,note,changed\n"never closed'])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "annotations.csv").write_bytes(content)
    with pytest.raises(InputError, match="annotations.csv: is no table of annotations"):
        Annotations(tmp_path)
    assert (tmp_path / "annotations.csv").read_bytes() == content


def test_two_windows_keep_each_others_changes(tmp_path):
    one, two = Annotations(tmp_path), Annotations(tmp_path)
    one.set("a", note="one")
    two.set("b", note="two")
    assert len(Annotations(tmp_path).table) == 2
    one.set("c", flagged=True)
    two.set("c", note="kept")
    one.undo()
    assert Annotations(tmp_path)["c"] == {"flagged": "", "label": "", "note": "kept"}


def test_a_file_that_was_moved_away_starts_anew(tmp_path):
    notes = Annotations(tmp_path)
    notes.set("a", note="first")
    (tmp_path / "annotations.csv").unlink()
    notes.set("b", note="second")
    assert Annotations(tmp_path).table["note"].to_dict() == {"b": "second"}


def test_a_long_note_is_read_again(tmp_path):
    Annotations(tmp_path).set("a", note="x" * 200_000)
    assert Annotations(tmp_path)["a"]["note"] == "x" * 200_000


def test_exported_labels_are_corrected(drawn_run):
    notes, image = Annotations(drawn_run), drawn_run.catalogue["image"].iloc[0]
    notes.set(image, label="Pro")
    table = pd.read_csv(export_labels(notes, drawn_run.catalogue))
    cat = drawn_run.catalogue.reset_index(drop=True)
    assert (table["label"] == cat["label"].astype(str).where(cat["image"] != image, "Pro")).all() and len(table) == len(cat)
