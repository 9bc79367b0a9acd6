"""The current image and a person's own, where models or files are missing."""
from pathlib import Path

import pandas as pd
import pytest
from fake_run import make_run

from leuknb.explore import explore
from leuknb.lib.runs import Run

HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>'


def test_the_detail_follows_the_state(explorer):
    state, detail = explorer.state, explorer.detail
    state.select(2)
    i, j = state.current
    assert detail.index == i and detail.model.value == j and state.image in detail.title.value
    assert detail.bars.value.count("<tr") == 16 and len(detail.attribution.viewer.blobs) == 2
    assert f"misread by</th><td><bdi>{state.pred.wrong[i].sum()} of 16 models" in detail.facts.value
    other = next(k for _, k in detail.model.options if k != j)
    detail.model.value = other
    assert detail.bars.value.count("lk-current") == 1 and state.current == (i, j), "the choice of a model is the detail's own"


def test_another_fold_shows_its_own_first_image(explorer):
    first = explorer.state.image
    explorer.filters.fold.value = 1
    assert explorer.state.image != first and explorer.state.image in explorer.detail.title.value
    assert explorer.detail.index == explorer.state.current[0]


def test_without_models_the_images_are_still_there(explorer):
    explorer.sources.worker.wait()
    assert "no stored models; run `leuknb reproduce` again" in explorer.detail.near.html.value
    explorer.detail.model.value = explorer.state.pred.models.index(("alexnet", "svm", "original"))
    explorer.sources.worker.wait()
    note = explorer.detail.attribution.viewer.note
    assert "No attribution: " in note and "no stored models" in note
    content = Path(explorer.sources.images.path(explorer.state.image, "original")).read_bytes()
    explorer.trial.receive(content, "mine.jpg")
    explorer.sources.worker.wait()
    assert "No prediction: " in explorer.trial.verdict.text.value


def test_knn_is_explained_by_its_neighbours(explorer):
    detail = explorer.detail
    detail.model.value = explorer.state.pred.models.index(("alexnet", "knn", "original"))
    explorer.sources.worker.wait()
    assert "neighbours alone" in detail.attribution.viewer.note and detail.attribution.target.layout.display == "none"
    detail.model.value = explorer.state.pred.models.index(("alexnet", "svm", "original"))
    assert detail.attribution.target.layout.display is None


@pytest.mark.parametrize("content", [b"GIF89a, not really", b"", b"\x89PNG\r\n\x1a\n broken"])
def test_a_file_that_is_no_image_is_named(explorer, content):
    explorer.trial.receive(content, HOSTILE)
    text = explorer.trial.verdict.text.value
    assert "cannot be read" in text and "&lt;script" in text and "<script" not in text and "leuknb-try-" not in text


def test_hostile_run(tmp_path):
    path = make_run(tmp_path / "<b>run", count=12)
    for name in ("predictions", "catalogue", "split"):
        table = pd.read_csv(path / f"{name}.csv", dtype=str, keep_default_na=False)
        table["image"] = HOSTILE + table["image"]
        table.to_csv(path / f"{name}.csv", index=False)
    made = explore(Run(path), static=False)
    made.sources.worker.wait()
    detail = made.detail
    texts = [detail.title.value, detail.facts.value, detail.near.html.value, detail.bars.value, made.head.value]
    assert all(texts) and not any("<script" in t or "<img src=x" in t or "<b>run" in t for t in texts)
