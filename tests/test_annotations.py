"""Annotations come back as they were written, whatever is typed and whoever else writes."""
import csv
import os
import subprocess
import sys

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leuknb.lib.annotations import COLUMNS, Annotations, annotations_path, clean_text, export_labels, raters
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


def test_each_rater_has_a_file(tmp_path):
    for name, label in (("Anna", "Pre"), ("Jürgen M.", "Pro"), ("../etc", "Pro"), ("", "Early"), ("a" * 60, "Pro")):
        Annotations(tmp_path, name).set("a", label=label)
    assert {name: Annotations(tmp_path, name)["a"]["label"] for name in raters(tmp_path)} == {
        "Anna": "Pre", "Jürgen M.": "Pro", "../etc": "Pro", "a" * 60: "Pro"}
    assert Annotations(tmp_path)["a"]["label"] == "Early"
    assert all(path.parent == tmp_path and not set(path.name) & set('<>:"/|?*') for path in raters(tmp_path).values())


@pytest.mark.parametrize("first, second", [("Anna", "anna"), ("Straße", "STRASSE"), ("Ａnna", "Anna"), ("ﬁn", "fin")])
def test_two_raters_with_one_name_are_refused(tmp_path, first, second):
    Annotations(tmp_path, first).set("a", flagged=True)
    with pytest.raises(InputError, match=f"rater '{second}': this run has annotations by '{first}'"):
        Annotations(tmp_path, second)
    assert list(raters(tmp_path)) == [first]


def test_one_name_in_two_unicode_forms_is_one_rater(tmp_path):
    Annotations(tmp_path, "Jos\u00e9").set("a", label="Pre")
    assert Annotations(tmp_path, "Jose\u0301 ")["a"]["label"] == "Pre" and len(raters(tmp_path)) == 1


@pytest.mark.parametrize("name", ["   ", "a" * 61, "a\x07b"])
def test_a_name_that_is_none(tmp_path, name):
    with pytest.raises(InputError, match="a name has 1 to 60"):
        annotations_path(tmp_path, name)


def test_explorers_of_several_processes_lose_nothing(tmp_path):
    code = ("import sys; from leuknb.lib.annotations import Annotations; notes = Annotations(sys.argv[1])\n"
            "for n in range(12): notes.set(sys.argv[2] + str(n), note='x')")
    processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name]) for name in "ab"]
    assert [process.wait() for process in processes] == [0, 0]
    assert len(Annotations(tmp_path).table) == 24
