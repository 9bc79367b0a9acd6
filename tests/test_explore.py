"""The explorer as a whole, and the still image."""
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from fake_run import make_run

from leuknb.explore import explore, static_gallery
from leuknb.lib.errors import InputError
from leuknb.lib.runs import Run


def test_moved_images_are_named_and_found_again(tmp_path):
    run = Run(make_run(tmp_path / "run", count=12))
    (tmp_path / "run" / "images").rename(tmp_path / "moved")
    lost = explore(run, static=False)
    notice = lost.gallery.gallery.notice
    assert "missing or unreadable" in notice and "images=" in notice
    found = explore(run, images=tmp_path / "moved", static=False)
    assert found.gallery.gallery.notice == "" and all(found.gallery.gallery.thumbs)
    found.detail.annotation.hear({"do": "export"})
    assert all(Path(p).is_file() for p in pd.read_csv(run.path / "relabelled.csv")["path"])
    nowhere = explore(run, images=tmp_path / "<b>gone", static=False)
    assert "there is no such folder" in nowhere.problem.value and "<b>gone" not in nowhere.problem.value
    [made.sources.worker.wait() for made in (lost, found, nowhere)]


def test_an_unreadable_image_is_a_gap(tmp_path):
    run = Run(make_run(tmp_path / "run", count=12))
    for path in run.catalogue["path"]:
        Path(path).write_bytes(b"not an image")
    made = explore(run, static=False)
    assert "missing or unreadable" in made.gallery.gallery.notice
    assert made.still().jpeg[:2] == b"\xff\xd8"
    made.sources.worker.wait()


def test_a_folder_that_cannot_be_written_shows_everything(drawn_run, monkeypatch):
    monkeypatch.setattr("leuknb.lib.stored.atomic", lambda path: (_ for _ in ()).throw(OSError("read-only")))
    made = explore(drawn_run, static=False)
    assert all(made.gallery.gallery.thumbs)
    made.sources.worker.wait()


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "\0", "image,backbone,head,variant,split,fold,true,predicted,p_x\n"])
def test_damaged_predictions_are_named(tmp_path, content):
    path = make_run(tmp_path, count=12)
    (path / "predictions.csv").write_text(content)
    with pytest.raises(InputError, match=r"predictions.csv: .*make the run again"):
        explore(path, static=False)


def test_one_state_serves_every_panel(explorer):
    panels = [explorer.filters, explorer.gallery, explorer.detail, explorer.matrix, explorer.map, explorer.detail.annotation]
    assert all(panel.state is explorer.state for panel in panels)


def test_shown_in_a_notebook_with_a_still_image(explorer, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda what, **kwargs: shown.append(what))
    explorer._ipython_display_()
    assert len(shown) == 1 and shown[0]["text/plain"].startswith("Explorer of ")
    explorer.static = True
    explorer._ipython_display_()
    assert len(shown) == 3 and "Benign predicted as any wrong class" in shown[2].alt


def test_static_gallery(drawn_run):
    still = static_gallery(drawn_run, predicted="Pre", head="svm", count=5)
    assert still.jpeg[:2] == b"\xff\xd8" and "Benign predicted as Pre" in still.alt and still.html().startswith("<figure")
    assert 'alt="Benign predicted as Pre' in still._repr_mimebundle_()["text/html"]
    with pytest.raises(InputError, match="choose from any, svm"):
        static_gallery(drawn_run, head="svn")
    with pytest.raises(InputError, match="'colour': choose from true, predicted"):
        static_gallery(drawn_run, colour="blue")


def test_import_loads_only_what_the_gallery_needs():
    code = ("import sys\nimport leuknb.explore\nheavy = ('torch', 'sklearn', 'matplotlib', 'skimage', 'joblib', 'jinja2', 'scipy.stats')\n"
            "print([m for m in heavy if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_opening_loads_neither_torch_nor_scikit_learn(drawn_folder):
    code = (f"import sys\nfrom leuknb.explore import static_gallery\nstatic_gallery({str(drawn_folder)!r})\n"
            "print([m for m in ('torch', 'sklearn') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
