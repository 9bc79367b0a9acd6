"""Images of a run that moved, vanished or broke; thumbnails made once."""
import io
from pathlib import Path

import pytest
from fake_run import make_run
from PIL import Image

from leuknb.lib import stored
from leuknb.lib.runs import Run
from leuknb.lib.stored import RunImages, located


def test_a_twin_is_not_taken_for_the_moved_image(tmp_path):
    run = Run(make_run(tmp_path / "run", count=12))
    (tmp_path / "run" / "images").rename(tmp_path / "moved")
    images = RunImages(run, tmp_path / "moved" / "Original")
    assert images.path("Benign/WBC-Benign-001", "original").is_file()
    assert images.path("Benign/WBC-Benign-001", "segmented") is None
    assert images.thumbnail("Benign/WBC-Benign-001", "segmented") == b""


def test_located_replaces_every_path_that_moved(tmp_path):
    run = Run(make_run(tmp_path / "run", count=12))
    (tmp_path / "run" / "images").rename(tmp_path / "moved")
    table = located(RunImages(run, tmp_path / "moved"), run.catalogue)
    assert all(Path(path).is_file() for path in table["path"]) and list(table.columns) == list(run.catalogue.columns)


def test_thumbnails_are_made_once_and_kept_small(drawn_run):
    images = RunImages(drawn_run, size=64)
    first = images.thumbnail("Benign/WBC-Benign-001", "original")
    kept = list((drawn_run.path / "thumbnails").iterdir())
    again = RunImages(drawn_run, size=64)
    again.large = lambda *a: pytest.fail("made twice")
    assert again.thumbnail("Benign/WBC-Benign-001", "original") == first and kept
    assert max(Image.open(io.BytesIO(first)).size) == 64
    assert images.thumbnail("Benign/none", "original") == b""


def test_a_folder_that_cannot_be_written(drawn_run, monkeypatch):
    monkeypatch.setattr(stored, "atomic", lambda path: (_ for _ in ()).throw(OSError("read-only")))
    assert RunImages(drawn_run, size=48).thumbnail("Benign/WBC-Benign-001", "original")


def test_an_unreadable_image_is_empty(tmp_path):
    run = Run(make_run(tmp_path / "run", count=12))
    Path(run.catalogue["path"].iloc[0]).write_bytes(b"not an image")
    images = RunImages(run)
    row = run.catalogue.iloc[0]
    assert images.large(row["image"], str(row["variant"])) == b"" == images.thumbnail(row["image"], str(row["variant"]))
