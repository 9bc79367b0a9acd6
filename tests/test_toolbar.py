"""A link restores a view, or says what is gone; sheets hold the gallery."""
import base64
import io
import json

import pytest
from fake_run import make_run
from PIL import Image

from leuknb.explore import explore
from leuknb.lib.errors import InputError
from leuknb.lib.toolbar import PER_PAGE, best_grid, gallery_sheet, read_view, restore_view, view_text


def shown(explorer):
    return explorer.state.pred.images[explorer.state.shown[0]].tolist()


def test_a_link_restores_filters_order_image_and_model(explorer):
    state = explorer.state
    state.filters.change(chosen={"true": "any", "head": "knn", "predicted": "wrong"}, order="name", reverse=True, confidence=(.4, 1))
    state.select(3)
    view, images, current = explorer.toolbar.view, shown(explorer), state.current
    again = explore(explorer.run, static=False, view=f"http://127.0.0.1:1/#view={view}")
    assert shown(again) == images and again.state.current == current and again.problem.value == ""
    assert again.toolbar.view == view and again.filters.order.value == "name" and again.filters.slider.value == (.4, 1)
    again.sources.worker.wait()


def test_picked_images_are_part_of_a_link_if_they_are_few(explorer):
    some = set(explorer.state.pred.images[:9])
    explorer.state.filters.choose(picked=some, source="raters disagree", true="any", predicted="any")
    view = explorer.toolbar.view
    explorer.state.filters.reset()
    explorer.restore(view)
    assert set(shown(explorer)) == some and "raters disagree" in explorer.gallery.gallery.title


def test_a_link_to_images_that_are_gone_names_them(explorer, tmp_path):
    state = explorer.state
    state.filters.choose(picked=set(state.pred.images[-5:]), true="any", predicted="any", backbone="vgg19")
    last = max(state.pred.images, key=lambda image: int(image.split("-")[-1]))
    state.filters.choose(picked={last, state.pred.images[0]}, true="any", predicted="any", backbone="vgg19")
    state.open(last)
    view = view_text(state)
    smaller = make_run(tmp_path / "smaller", count=12, models=[("alexnet", "svm", "original")])
    made = explore(smaller, static=False, view=view)
    assert "The link names what this run does not have: " in made.problem.value and last in made.problem.value
    assert "1 of the picked images" in made.problem.value and "vgg19" in made.problem.value
    assert made.state.image == state.pred.images[0], "what is left is shown"
    (smaller / "images").rename(tmp_path / "moved")
    made.restore(made.toolbar.view)
    assert f"the file of the image {made.state.image}" in made.problem.value
    made.sources.worker.wait()


@pytest.mark.parametrize("part", [{"confidence": ["a", "b"]}, {"confidence": [0]}, {"picked": 5}, {"picked": [[]]}, {"image": []}, {"chosen": {"true": []}}])
def test_a_link_with_a_part_of_another_kind(explorer, part):
    link = explorer.toolbar.view
    view = json.loads(base64.urlsafe_b64decode(link + "=" * (-len(link) % 4)))
    with pytest.raises(InputError, match="no link to a view"):
        read_view(base64.urlsafe_b64encode(json.dumps(view | part).encode()).decode())


@pytest.mark.parametrize("link", ["", "#view=", "view=abc", "http://x/#view=eyJhIjoxfQ", "é", "eyJjaG9zZW4iOnt9fQ"])
def test_what_is_no_link(explorer, link):
    with pytest.raises(InputError, match="no link to a view"):
        read_view(link)
    explorer.toolbar.hear({"restore": link})
    assert "This is no link to a view" in explorer.problem.value


def test_a_hostile_link_is_text(explorer):
    explorer.state.filters.chosen = {"true": "<script>", "<img>": "x"}
    view = view_text(explorer.state)
    explorer.state.filters.reset()
    explorer.restore(view)
    assert "&lt;script&gt;" in explorer.problem.value and "<script>" not in explorer.problem.value


def test_sheets(explorer, monkeypatch):
    sent = []
    monkeypatch.setattr(type(explorer.toolbar), "send", lambda self, content, buffers=None: sent.append((content, buffers)))
    explorer.state.filters.choose(true="any", predicted="any")
    explorer.toolbar.hear({"sheet": "PNG"})
    explorer.toolbar.hear({"sheet": "PDF"})
    (png, [image]), (pdf, [pages]) = sent
    assert png["name"].endswith("-gallery.png") and Image.open(io.BytesIO(image)).size == (1920, 1080)
    assert pdf["type"] == "application/pdf" and pages.count(b"/Type /Page\n") == -(-60 // PER_PAGE)
    explorer.filters.slider.value = (0, 0)
    explorer.toolbar.hear({"sheet": "PNG"})
    assert sent[-1][0] == {"problem": "No sheet: the gallery is empty; loosen a filter"}


@pytest.mark.parametrize("count", range(1, 41))
def test_thumbnails_fit_on_the_page(count):
    columns, side = best_grid(count)
    rows = -(-count // columns)
    assert 36 + columns * (side + 14) - 14 <= 1920 - 36 and 84 + rows * (side + 50 + 14) <= 1080 - 44 + 14 and side > 100


def test_images_without_a_file_are_grey(tmp_path):
    run = make_run(tmp_path / "run", count=8)
    made = explore(run, static=False)
    (run / "images").rename(tmp_path / "moved")
    assert gallery_sheet(made.state, made.sources.images, "PNG")[1][:4] == b"\x89PNG"
    assert restore_view(made.state, made.sources.images, view_text(made.state))
    made.sources.worker.wait()
