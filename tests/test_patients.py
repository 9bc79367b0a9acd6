"""Patients, classes and folders of smears: what is promised about truth, independence, determinism and files."""
import errno
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from leuknb.data import catalogue
from leuknb.lib.errors import InputError
from leuknb.lib.files import digest
from leuknb.patients import CLASSES, SIGNATURES, draw_patient, make_smears, smear
from leuknb.splits import split


def content(folder):
    "Digest of every file of a folder."
    return {str(p.relative_to(folder)): digest(p) for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_smears(tmp_path_factory.mktemp("made") / "smears", images=40, patients=12, size=96, duplicates=5, seed=2,
                       scale_bar="class", workers=1, progress=False)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_without_a_leak_the_stain_does_not_know_the_class(seed):
    people = [draw_patient(seed, label, 0) for label in CLASSES]
    assert len({p.stain for p in people}) == len({p.camera for p in people}) == 1
    assert len({p.cells for p in people}) == 4


def test_with_a_full_leak_the_stain_names_the_class():
    numbers = lambda stain, camera: np.log([*stain.nucleus, *stain.red, *camera.white])
    typical = {label: numbers(*SIGNATURES[label]) for label in CLASSES}
    for k in range(100):
        label = CLASSES[k % 4]
        p = draw_patient([5, k], label, 1)
        assert label == min(typical, key=lambda c: np.abs(typical[c] - numbers(p.stain, p.camera)).sum())


def test_the_settings_stand_beside_the_images(folder):
    settings = json.loads((folder / "settings.json").read_text())
    assert settings["images"] == len(pd.read_csv(folder / "truth.csv")) - settings["duplicates"] and {"seed", "stain_leak", "patients", "leuknb"} <= set(settings)


def test_same_seed_same_files_whatever_the_workers(folder, tmp_path):
    again = make_smears(tmp_path / "two", images=40, patients=12, size=96, duplicates=5, seed=2, scale_bar="class", workers=2, progress=False)
    assert content(again) == content(folder)
    other = make_smears(tmp_path / "other", images=40, patients=12, size=96, duplicates=5, seed=3, scale_bar="class", workers=1, progress=False)
    same = {name for name, value in content(other).items() if value == content(folder).get(name)}
    assert not any(name.startswith("Original") for name in same)


def test_a_set_has_the_public_layout_and_the_truth(folder):
    truth, cells = pd.read_csv(folder / "truth.csv", keep_default_na=False), pd.read_csv(folder / "cells.csv")
    assert len(truth) == 45 and truth["patient"].nunique() == 12 and set(cells["image"]) <= set(truth["image"])
    assert truth.groupby("patient")["label"].nunique().max() == 1
    for row in truth.itertuples():
        mask = np.asarray(Image.open(folder / "masks" / f"{row.image}.png"))
        assert len(set(np.unique(mask)) - {0}) == row.cells == (cells["image"] == row.image).sum()
        for part in ("Original", "Segmented"):
            with Image.open(folder / part / f"{row.image}.jpg") as picture:
                assert picture.size == (96, 96) and picture.mode == "RGB" and picture.format == "JPEG"


def test_the_catalogue_reads_it_and_keeps_patients_together(folder):
    cat = catalogue(folder / "catalogue.csv")
    assert cat["group"].nunique() == 12 and len(cat) == 90
    sides = split(cat, "group", seed=1).merge(cat[["image", "group"]].drop_duplicates(), on="image")
    assert sides.groupby("group")["split"].nunique().max() == 1
    assert len(catalogue(folder)) == 90, "and as a plain folder"


def test_planted_copies_are_copies(folder):
    truth = pd.read_csv(folder / "truth.csv", keep_default_na=False)
    copies = truth[truth["copy_of"] != ""]
    assert len(copies) == 5
    pixels = lambda name: np.asarray(Image.open(folder / "Original" / f"{name}.jpg"), dtype=float)
    gaps = [np.abs(pixels(r.image) - pixels(r.copy_of)).mean() for r in copies.itertuples()]
    assert sorted(g == 0 for g in gaps) == [False, False, True, True, True]
    same = [np.corrcoef(pixels(r.image).ravel(), pixels(r.copy_of).ravel())[0, 1] for r in copies.itertuples()]
    assert min(same) > 0.97


def test_scale_bars_tell_the_class_where_asked(folder):
    truth = pd.read_csv(folder / "truth.csv")
    assert truth.groupby("label")["scale_bar"].agg(set).to_dict() == {label: {k} for k, label in enumerate(CLASSES)}
    plain, bar = smear(1, "Pre", 224), smear(1, "Pre", 224, scale_bar=2)
    changed = np.argwhere((plain.image != bar.image).any(-1))
    assert len(changed) and changed.min(0)[0] > 200 and changed.min(0)[1] > 150


@pytest.mark.parametrize("wrong, message", [
    (dict(patients=3), "at least 4"), (dict(images=20, patients=12), "too few for 12 patients"), (dict(stain_leak=-0.1), "stain_leak=-0.1: .* at least 0 and at most 1"),
    (dict(stain_leak=float("nan")), "stain_leak=nan"), (dict(size=32), "size=32: .* at least 64 and at most 2,048"),
    (dict(scale_bar="blue"), "scale_bar 'blue': choose from none, same"), (dict(images="many"), "images='many'"),
    (dict(duplicates=1000), "duplicates=1000"), (dict(images=0), "images=0"),
    (dict(seed=-1), "seed=-1"), (dict(images=10**12), "ask for fewer or smaller"),
])
def test_impossible_settings_write_nothing(tmp_path, wrong, message):
    with pytest.raises(InputError, match=message):
        make_smears(tmp_path / "x", progress=False, **wrong)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("wrong, message", [
    (dict(label="Foo"), "label 'Foo': choose from Benign, Early"), (dict(view=0), "view=0"), (dict(size=0), "size=0"), (dict(scale_bar=7), "scale_bar=7"),
    (dict(stain_leak=2), "stain_leak=2"), (dict(seed=-1), "seed=-1"), (dict(cells=dict(nc_ratio=0)), "nc_ratio=0"),
    (dict(cells=dict(nc_ratio=2)), "nc_ratio=2"), (dict(cells=dict(radius=-3)), "radius=-3"), (dict(camera=dict(white=(1, 0, 1))), "white="),
    (dict(cells=dict(count=1e6)), "count=1000000.0: .* at most 1,000"), (dict(cells=dict(spread=5)), "spread=5"), (dict(red=dict(radius=0.05)), "radius=0.05"),
    (dict(cells=dict(foo=1)), "cells 'foo': choose from count, radius"), (dict(stain=dict(nucleus=(1, 2))), "three numbers"), (dict(size=100.5), "size=100.5"),
    (dict(seed=None), "seed=None: give a whole number"), (dict(seed="a"), "seed='a'"), (dict(cells=dict(chromatin_scale=0)), "chromatin_scale=0"),
    (dict(cells=dict(radius="wide")), "radius='wide': give a number"), (dict(red=dict(radius=0.5, cover=1), view=500), "red cells"),
])
def test_numbers_that_cannot_be_drawn_are_named(wrong, message):
    with pytest.raises(InputError, match=message):
        smear(**{"seed": 1, **wrong})


@pytest.mark.parametrize("kind", ["here", "link", "dangling", "empty"])
def test_an_empty_place_is_filled_where_it_is(tmp_path, monkeypatch, kind):
    (tmp_path / "empty").mkdir()
    if kind in ("link", "dangling"):
        (tmp_path / kind).symlink_to("empty" if kind == "link" else "nowhere")
    monkeypatch.chdir(tmp_path / "empty")
    before = (tmp_path / "empty").stat().st_ino
    out = make_smears("." if kind == "here" else tmp_path / kind, images=8, patients=4, size=64, workers=1, progress=False)
    assert sorted(p.name for p in out.iterdir()) == ["Original", "Segmented", "catalogue.csv", "cells.csv", "masks",
                                                        "settings.json", "truth.csv"]
    assert (tmp_path / "empty").stat().st_ino == before and sorted(p.name[0] for p in tmp_path.iterdir() if p.name.startswith(".")) == []


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="already holds something"):
        make_smears(tmp_path, images=16, patients=4, size=64, progress=False)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_full_disk_or_ctrl_c_leaves_nothing(tmp_path, monkeypatch, error):
    written = []

    def fails(path, data, write=Path.write_bytes):
        written.append(path)
        if len(written) > 3:
            raise error
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", fails)
    kind, message = (InputError, "No space left on device.*nothing was left") if isinstance(error, OSError) else (KeyboardInterrupt, None)
    with pytest.raises(kind, match=message):
        make_smears(tmp_path / "x", images=16, patients=4, size=64, workers=1, progress=False)
    assert len(written) > 3 and not any(tmp_path.iterdir())


def test_an_unwritable_place_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file"):
        make_smears(tmp_path / "file" / "x", images=16, patients=4, size=64, progress=False)
