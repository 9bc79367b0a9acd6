"""Panels driven through their widgets, as the browser drives them."""
import numpy as np
import pandas as pd
import pytest
from fake_run import CLASSES, make_run

from leuknb.explore import explore
from leuknb.lib.annotations import Annotations
from leuknb.lib.runs import Run

HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>'


def rows(run, **wanted):
    table = run.predictions
    for column, value in wanted.items():
        table = table[table[column] == value]
    return table


# Filters


def test_every_option_shows_its_count(explorer):
    state = explorer.state
    for facet, box in explorer.filters.boxes.items():
        state.filters.choose(true="Benign", predicted="wrong")
        for label, option in box.options:
            state.filters.choose(**{"true": "Benign", "predicted": "wrong"} | {facet: option})
            assert label.endswith(f"({len(state.shown[0]):,})")


def test_widgets_and_state_hold_the_same_filters(explorer):
    bar, filters = explorer.filters, explorer.state.filters
    bar.boxes["true"].value, bar.slider.value, bar.reverse.value = "any", (.5, 1), True
    assert filters.chosen["true"] == "any" and filters.confidence == (.5, 1) and filters.reverse
    filters.choose(head="knn")
    assert bar.boxes["head"].value == "knn" and bar.slider.value == (0, 1)
    assert bar.slider.description == f"Confidence ({explorer.state.counts['confidence']['range']:,})"
    bar.order.value = "name"
    bar.clear.click()
    assert bar.order.value == filters.order == "most confidently wrong" and not bar.reverse.value


def test_no_image_left(explorer):
    explorer.filters.slider.value = (0, 0)
    assert explorer.gallery.gallery.items == [] and explorer.gallery.gallery.title.startswith("0 of")


# Gallery


def test_the_gallery_holds_the_images_around_the_current_one(explorer):
    state, gallery = explorer.state, explorer.gallery.gallery
    state.filters.choose(true="any")
    gallery.selected = 40
    assert state.selected == 40 and state.image == state.pred.images[state.shown[0][40]]
    state.filters.change(order="name")
    around = [item["image"] for item in gallery.items]
    assert gallery.selected == state.selected == gallery.start + around.index(state.image) and len(around) == len(gallery.thumbs)
    gallery.selected = 10 ** 6
    assert state.selected < len(state.shown[0])


def test_the_browser_gets_the_stretch_that_it_asks_for(explorer, monkeypatch):
    state, panel, sent = explorer.state, explorer.gallery, []
    monkeypatch.setattr(type(panel.gallery), "send", lambda self, content, buffers=None: sent.append((content, buffers)))
    state.filters.choose(true="any")
    total = len(state.shown[0])
    for look, expected in (((10, 20), range(10, 20)), ((total - 3, total + 9), range(total - 3, total)), ((total, 10 ** 9), range(0))):
        panel.hear({"look": list(look), "seen": [10, 20]})
        content, thumbs = sent.pop()
        assert [item["image"] for item in content["items"]] == state.pred.images[state.shown[0][list(expected)]].tolist()
        assert len(thumbs) == len(expected) and content["start"] == look[0] and content["version"] == panel.gallery.version
    state.notes.set(state.image, flagged=True)
    assert panel.gallery.keep and panel.gallery.start == 10 and len(panel.gallery.items) == 10, "what was seen is sent again"


def test_a_card_is_opened_by_its_name(explorer):
    image = explorer.gallery.gallery.items[3]["image"]
    explorer.filters.order.value = "name"
    explorer.tabs.selected_index = 1
    explorer.gallery.hear({"open": image})
    assert explorer.state.image == image and explorer.tabs.selected_index == 0
    explorer.gallery.hear({"open": "nowhere"})
    assert explorer.state.image == image


def test_a_click_on_the_current_image_shows_the_model_of_the_gallery_again(explorer):
    current = explorer.state.current
    other = next(j for _, j in explorer.detail.model.options if j != current[1])
    explorer.detail.model.value = other
    explorer.gallery.hear({"open": explorer.state.image})
    assert explorer.detail.model.value == current[1]


def test_cards_are_read_without_colour(explorer):
    card = explorer.gallery.gallery.items[0]
    table = rows(explorer.run, image=card["image"])
    wrong = (table["true"] != table["predicted"]).sum()
    assert card["badge"] == f"{wrong}/{len(table)}" and f"misread by {wrong} of {len(table)} models" in card["alt"]
    assert card["chip"] == "" and f"predicted {card['predicted']} with {card['confidence']}" in card["alt"]
    explorer.state.filters.choose(true="any")
    assert explorer.gallery.gallery.items[0]["chip"].startswith("true: ")


# Annotations


def test_annotating_through_the_form(explorer):
    panel, image = explorer.detail.annotation, explorer.state.image
    for change in ({"flagged": True}, {"note": HOSTILE}, {"label": "Pro"}):
        panel.hear({"image": image, **change})
    assert (panel.form.flagged, panel.form.note, panel.form.label) == (True, HOSTILE, "Pro")
    assert Annotations(explorer.run)[image] == {"flagged": "yes", "label": "Pro", "note": HOSTILE}
    assert explorer.gallery.gallery.items[explorer.gallery.gallery.selected]["flagged"]
    explorer.filters.boxes["annotated"].value = "flagged"
    assert explorer.state.pred.images[explorer.state.shown[0]].tolist() == [image]
    assert HOSTILE not in panel.saved.value


def test_a_late_keystroke_stays_with_its_image(explorer):
    panel, first = explorer.detail.annotation, explorer.state.image
    panel.hear({"image": first, "note": "smud"})
    explorer.gallery.gallery.selected = 1
    assert panel.form.note == "" and panel.form.image == explorer.state.image != first
    panel.hear({"image": first, "note": "smudged"})
    assert Annotations(explorer.run).table["note"].to_dict() == {first: "smudged"} and panel.form.note == ""


def test_a_letter_that_arrives_late_changes_nothing(explorer):
    panel, image = explorer.detail.annotation, explorer.state.image
    for number, note in (1, "s"), (3, "smudged"), (2, "smu"):
        panel.hear({"image": image, "order": [0.5, number], "note": note})
    panel.hear({"image": image, "order": [0.5, 2], "flagged": True})
    assert Annotations(explorer.run)[image] == {"flagged": "yes", "label": "", "note": "smudged"}
    panel.hear({"image": image, "order": [0.7, 1], "note": "of another window"})
    assert Annotations(explorer.run)[image]["note"] == "of another window"


def test_messages_of_two_threads_are_saved_one_after_another(explorer):
    import threading
    panel, images = explorer.detail.annotation, explorer.state.pred.images[:8]
    threads = [threading.Thread(target=panel.hear, args=({"image": image, "note": f"{image} {n}", "order": [n, 1]},))
               for n in range(2) for image in images]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert set(Annotations(explorer.run).table.index) == set(images)


@pytest.mark.parametrize("typed", ["a", "a\r\nb", "a\x07"])
def test_what_is_typed_is_not_overwritten(explorer, typed):
    panel, image = explorer.detail.annotation, explorer.state.image
    before = panel.form.rewrite
    panel.hear({"image": image, "note": typed})
    assert panel.form.rewrite == before
    explorer.gallery.hear({"flag": image})
    assert panel.form.flagged and panel.form.rewrite == before
    panel.hear({"do": "undo"}), panel.hear({"do": "undo"})
    assert panel.form.rewrite == before + 1 and panel.form.note == ""


def test_what_cannot_be_saved_is_reported_and_kept_in_the_box(explorer, monkeypatch):
    monkeypatch.setattr("leuknb.lib.annotations.atomic", lambda path: (_ for _ in ()).throw(OSError("read-only")))
    panel, image = explorer.detail.annotation, explorer.state.image
    before = panel.form.rewrite
    panel.hear({"image": image, "note": "x"})
    assert "Not saved: read-only" in panel.saved.value and panel.form.rewrite == before and panel.form.note == "x"
    panel.hear({"image": image, "flagged": True})
    assert not panel.form.flagged, "the form shows what is in the file"
    panel.hear({"do": "export"})
    assert "Not saved: read-only" in panel.saved.value


def test_exported_labels_can_be_run_again(explorer):
    from leuknb.data import catalogue
    panel, image = explorer.detail.annotation, explorer.state.image
    panel.hear({"image": image, "label": "Pro"})
    panel.hear({"do": "export"})
    assert "Written: relabelled.csv in the run folder" in panel.saved.value
    again = catalogue(explorer.run.path / "relabelled.csv")
    assert set(again["label"][again["path"].str.contains(image)]) == {"Pro"}


def test_damaged_annotations_leave_the_form_off(drawn_run):
    (drawn_run.path / "annotations.csv").write_bytes(b"other,columns\n1,2\n")
    made = explore(drawn_run, static=False)
    assert "Annotations are off" in made.problem.value and "Annotations are off" in made.detail.annotation.form.problem
    for message in ({"image": made.state.image, "flagged": True}, {"do": "undo"}, {"do": "export"}):
        made.detail.annotation.hear(message)
    made.gallery.hear({"flag": made.state.image})
    made.sources.worker.wait()
    assert (drawn_run.path / "annotations.csv").read_bytes() == b"other,columns\n1,2\n"


# Confusion matrix


def test_matrix_cell_fills_the_gallery(explorer):
    matrix, state = explorer.matrix, explorer.state
    for j, model in enumerate(state.pred.models):
        matrix.model.value = j
        t = rows(explorer.run, **dict(zip(["backbone", "head", "variant"], model)))
        assert np.array_equal(matrix.matrix.counts, pd.crosstab(t["true"], t["predicted"]).reindex(
            index=CLASSES, columns=CLASSES, fill_value=0))
    wrong = np.argwhere(np.array(matrix.matrix.counts) * (1 - np.eye(4)))
    matrix.choose(*wrong[0])
    assert len(state.shown[0]) == matrix.matrix.counts[wrong[0][0]][wrong[0][1]]
    assert matrix.matrix.chosen == wrong[0].tolist()
    state.filters.choose()
    assert matrix.matrix.chosen == []


def test_panels_follow_a_single_model(explorer):
    explorer.state.filters.choose(backbone="vgg19", head="knn", variant="segmented")
    model = explorer.state.pred.models.index(("vgg19", "knn", "segmented"))
    assert explorer.matrix.model.value == explorer.map.model.value == model
    assert "VGG19 + KNN, segmented" in explorer.matrix.matrix.title


@pytest.mark.parametrize("names", [["01", "02", "03", "04"], ["any", "wrong", "right", "noted"]])
def test_odd_class_names(tmp_path, names):
    path, new = make_run(tmp_path, count=24), dict(zip(CLASSES, names))
    table = pd.read_csv(path / "predictions.csv").rename(columns={f"p_{c}": f"p_{n}" for c, n in new.items()})
    table[["true", "predicted"]] = table[["true", "predicted"]].replace(new)
    table.to_csv(path / "predictions.csv", index=False)
    made = explore(Run(path), static=False)
    wrong = table[(table["true"] == names[0]) & (table["predicted"] != names[0])]
    assert len(made.state.shown[0]) == wrong["image"].nunique()
    counts = np.array(made.matrix.matrix.counts)
    made.matrix.choose(0, int(counts[0].argmax()))
    assert len(made.state.shown[0]) == counts[0].max() and made.matrix.matrix.chosen[0] == 0
    made.sources.worker.wait()
