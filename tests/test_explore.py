"""The explorer's logic against plain pandas, and against hostile, missing and broken things."""
import csv
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent))
from fake_run import CLASSES, GRID, make_run  # noqa: E402

from leuknb import explain
from leuknb.explain import RunImages, seen_box
from leuknb.explore import Explorer, explore, static_gallery
from leuknb.lib.annotations import Annotations
from leuknb.lib.page import explore_page, free_port, is_local, page_notebook, reached
from leuknb.lib.panels import bars_html, facts_html, neighbours_html
from leuknb.lib.tables import whole_percent
from leuknb.lib.widgets import Worker
from leuknb.misread import ORDERS, Predictions, agreement, arrange, facets, select
from leuknb.lib.errors import InputError  # noqa: E402
from leuknb.lib.runs import Run  # noqa: E402

HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("run"), count=60)


@pytest.fixture
def run(folder):
    (folder / "annotations.csv").unlink(missing_ok=True)
    return Run(folder)


@pytest.fixture
def explorer(run):
    made = Explorer(run, static=False)
    yield made
    made.worker.wait()


def rows(run, **wanted):
    table = run.predictions
    for column, value in wanted.items():
        table = table[table[column] == value]
    return table


def test_arrays_hold_the_table(run):
    pred = Predictions(run.predictions)
    assert pred.p.shape == (60, 16, 4) and len(pred.images) == 60
    one = run.predictions.sample(1, random_state=3).iloc[0]
    i, j = pred.where[one["image"]], pred.models.index((one["backbone"], one["head"], one["variant"]))
    assert pred.classes[pred.predicted[i, j]] == one["predicted"] and pred.p[i, j, 2] == np.float32(one["p_Pre"])


@pytest.mark.parametrize("true", ["any", *CLASSES])
@pytest.mark.parametrize("called", ["wrong", "right", "any", "Pre"])
@pytest.mark.parametrize("head", ["any", "knn"])
def test_counts_equal_pandas(run, true, called, head):
    pred, nobody = Predictions(run.predictions), Annotations(run).table
    hits, counts = select(facets(pred, nobody), {"true": true, "predicted": called, "head": head})
    t = run.predictions
    keep = (t["true"] == true) | (true == "any")
    keep &= (t["head"] == head) | (head == "any")
    keep &= {"wrong": t["predicted"] != t["true"], "right": t["predicted"] == t["true"], "any": True}.get(called, t["predicted"] == called)
    assert set(pred.images[hits.any(1)]) == set(t[keep]["image"])
    assert counts["true"][true] == counts["predicted"][called] == t[keep]["image"].nunique()


def test_agreement_equals_pandas(run):
    pred = Predictions(run.predictions)
    wrong = run.predictions.assign(wrong=lambda t: t["true"] != t["predicted"])
    per = wrong.pivot_table(index="image", columns=["backbone", "head", "variant"], values="wrong").reindex(pred.images) > 0
    found = {k: v[:, 0] for k, v in agreement(pred).items()}
    knn = per.columns.get_level_values("head") == "knn"
    assert (found["all wrong"] == per.all(axis=1)).all() and (found["exactly one wrong"] == (per.sum(axis=1) == 1)).all()
    assert (found["only KNN wrong"] == (per.loc[:, knn].any(axis=1) & ~per.loc[:, ~knn].any(axis=1))).all()


@pytest.mark.parametrize("order", list(ORDERS))
def test_reversed_order_has_the_same_images(run, order):
    pred = Predictions(run.predictions)
    hits = select(facets(pred, Annotations(run).table), {"true": "Benign"})[0]
    (i, _), (k, _) = arrange(pred, hits, order), arrange(pred, hits, order, reverse=True)
    assert set(i) == set(k) and (len(set(ORDERS[order](pred, i, np.zeros_like(i)))) < 2 or i[0] != k[0] or len(i) == 1)


def test_most_confidently_wrong_first(explorer, run):
    wrong = rows(run, true="Benign").query("predicted != 'Benign'")
    best = wrong[[f"p_{c}" for c in CLASSES[1:]]].max(axis=1).groupby(wrong["image"]).max().sort_values(ascending=False)
    assert explorer.pred.images[explorer.shown[0]].tolist() == best.index.tolist()


def test_a_model_that_saw_other_images(tmp_path):
    path = make_run(tmp_path, count=12, models=GRID[:2])
    table = pd.read_csv(path / "predictions.csv")
    first = table["head"].eq("svm") & table["variant"].eq("original")
    table = table.drop(table[first].index[:4])
    pred = Predictions(table)
    assert pred.seen.sum() == 20 and not pred.wrong[~pred.seen].any() and np.isnan(pred.p[~pred.seen]).all()


def test_overlapping_folds_are_shown_one_at_a_time(run):
    twice = pd.concat([run.predictions, run.predictions.assign(fold=7)])
    pred = Predictions(twice)
    assert pred.overlap and pred.fold == 0 and Predictions(twice, 7).images.size == 60


def test_unknown_class_in_the_file(run):
    with pytest.raises(InputError, match="'Prae' is not one of the classes"):
        Predictions(run.predictions.assign(true="Prae"))


# Annotations


@settings(max_examples=60, deadline=None)
@given(note=st.text(), label=st.sampled_from(["", "Pre", "a,b\n\"c\""]), flagged=st.booleans())
def test_any_note_comes_back(tmp_path_factory, note, label, flagged):
    where = tmp_path_factory.mktemp("notes")
    marks = Annotations(where)
    marks.set("Benign/é \"1\".jpg", note=note, label=label, flagged=flagged)
    kept = Annotations(where)["Benign/é \"1\".jpg"]
    assert kept == marks["Benign/é \"1\".jpg"]
    assert kept["note"] == Annotations._clean(note) and (kept["flagged"] == "yes") is flagged


def test_undo_takes_back_one_step_and_a_note_as_one(tmp_path):
    marks = Annotations(tmp_path)
    marks.set("a", flagged=True)
    for text in ("s", "sm", "smu"):
        marks.set("a", note=text)
    marks.set("a", label="Pre")
    assert marks.undo() == "a" and marks["a"]["label"] == ""
    assert marks.undo() == "a" and marks["a"] == {"flagged": "yes", "label": "", "note": ""}
    assert marks.undo() == "a" and marks.undo() is None and marks.table.empty
    assert list(csv.reader(open(tmp_path / "annotations.csv"))) == [Annotations.COLUMNS]


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    marks = Annotations(tmp_path)
    marks.set("a", note="kept")
    monkeypatch.setattr(os, "replace", lambda *a: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError):
        marks.set("a", note="lost")
    monkeypatch.undo()
    assert Annotations(tmp_path)["a"]["note"] == "kept" and os.listdir(tmp_path) == ["annotations.csv"]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"other,columns\n1,2\n", b'image,flagged,label,note,changed\n"never closed'])
def test_damaged_annotations_are_left_alone(run, content):
    (run.path / "annotations.csv").write_bytes(content)
    made = Explorer(run, static=False)
    assert "Judgements are off" in made.problem.value and len(made.shown[0])
    assert "Judgements are off" in made.detail.judging.problem
    made.judge(made.image, flagged=True)
    made.undo(), made.export(), made.flag(made.image), made.worker.wait()
    assert (run.path / "annotations.csv").read_bytes() == content


def test_two_windows_keep_each_others_judgements(run):
    one, two = Explorer(run, static=False), Explorer(run, static=False)
    one.judge("Benign/WBC-Benign-001", note="one")
    two.judge("Benign/WBC-Benign-002", note="two")
    assert len(Annotations(run).table) == 2
    one.judge("Benign/WBC-Benign-003", flagged=True)
    two.judge("Benign/WBC-Benign-003", note="kept")
    one.undo()
    assert Annotations(run)["Benign/WBC-Benign-003"] == {"flagged": "", "label": "", "note": "kept"}
    one.worker.wait(), two.worker.wait()


def test_annotations_moved_away_begin_anew(run):
    made = Explorer(run, static=False)
    made.judge(made.image, note="first")
    (run.path / "annotations.csv").unlink()
    made.judge(made.image, note="second")
    assert Annotations(run)[made.image]["note"] == "second"
    made.worker.wait()


def test_filters_and_selection_do_not_write(explorer, run):
    explorer.gallery.selected = 1
    explorer.filters.boxes["true"].value = "any"
    explorer.gallery.page = 1
    explorer.gallery.selected = 30
    explorer.filters.set()
    assert not (run.path / "annotations.csv").exists()


def test_judging_through_the_widgets(explorer, run):
    image = explorer.image
    for judged in ({"flagged": True}, {"note": HOSTILE}, {"label": "Pro"}):
        explorer.detail.hear({"image": image, **judged})
    assert (explorer.detail.judging.flagged, explorer.detail.judging.note, explorer.detail.judging.label) == (True, HOSTILE, "Pro")
    assert Annotations(run)[image] == {"flagged": "yes", "label": "Pro", "note": HOSTILE}
    assert explorer.gallery.items[explorer.gallery.selected]["flagged"]
    explorer.filters.boxes["judged"].value = "flagged"
    assert explorer.pred.images[explorer.shown[0]].tolist() == [image]
    assert HOSTILE not in explorer.detail.saved.value


def test_a_late_keystroke_stays_with_its_image(explorer, run):
    first = explorer.image
    explorer.detail.hear({"image": first, "note": "smud"})
    explorer.gallery.selected = 1
    box = explorer.detail.judging
    assert box.note == "" and box.image == explorer.image != first
    explorer.detail.hear({"image": first, "note": "smudged"})
    assert Annotations(run).table["note"].to_dict() == {first: "smudged"} and box.note == ""


def test_a_long_note_is_read_again(run):
    Annotations(run).set("a", note="x" * 200_000)
    assert Annotations(run)["a"]["note"] == "x" * 200_000


def test_a_letter_that_arrives_late_changes_nothing(explorer, run):
    image = explorer.image
    for number, note in (1, "s"), (3, "smudged"), (2, "smu"):
        explorer.detail.hear({"image": image, "order": [0.5, number], "note": note})
    explorer.detail.hear({"image": image, "order": [0.5, 2], "flagged": True})
    assert Annotations(run)[image] == {"flagged": "yes", "label": "", "note": "smudged"}
    explorer.detail.hear({"image": image, "order": [0.7, 1], "note": "of another window"})
    assert Annotations(run)[image]["note"] == "of another window"


def test_what_is_typed_is_not_overwritten(explorer):
    box, image = explorer.detail.judging, explorer.image
    explorer.detail.hear({"image": image, "note": "a"})
    before = box.rewrite
    explorer.flag(image)
    assert box.flagged and box.rewrite == before
    explorer.undo(), explorer.undo()
    assert box.rewrite == before + 1 and box.note == ""


# Widgets


def test_a_turned_page_selects_its_first_image(explorer):
    explorer.page_size = 5
    explorer.filters.set(true="any")
    explorer.gallery.page = 2
    assert explorer.gallery.selected == 10 and explorer.image == explorer.gallery.items[0]["image"]


def test_flagging_keeps_the_page_and_moves_on(explorer):
    explorer.page_size = 5
    explorer.filters.set(true="any", judged="not judged")
    explorer.gallery.selected = 7
    following = explorer.pred.images[explorer.shown[0][8]]
    explorer.hear({"flag": explorer.image})
    assert explorer.gallery.page == 1 and explorer.gallery.selected == 7 and explorer.image == following
    explorer.detail.hear({"image": following, "note": "s"})
    assert explorer.image == following and explorer.gallery.page == 1 and explorer.gallery.selected == -1


def test_a_card_is_opened_by_its_name(explorer):
    image = explorer.gallery.items[3]["image"]
    explorer.filters.order.value = "name"
    explorer.hear({"open": image})
    assert explorer.image == image
    explorer.hear({"open": "nowhere"})
    assert explorer.image == image


def test_another_fold_clears_the_map(explorer):
    explorer.map.images = explorer.pred.images.tolist()
    explorer.filters.fold.value = 1
    explorer.map.colour.value = "class"
    explorer.map.choose([0])
    assert explorer.map.images == [] and explorer.map.map.xy == b""


def test_one_point_shows_its_image(explorer):
    explorer.map.images = explorer.pred.images.tolist()
    explorer.tabs.selected_index = 2
    explorer.map.choose([7], show=True)
    assert explorer.image == explorer.pred.images[7] and explorer.tabs.selected_index == 0


def test_a_result_nobody_waits_for_is_dropped():
    import threading
    worker, go, shown = Worker(), threading.Event(), []
    worker.do("where", go.wait, lambda *found: shown.append(found))
    worker.cancel("where")
    go.set()
    worker.wait()
    assert shown == []


def test_keys_move_through_the_pages(explorer):
    explorer.filters.set(true="any")
    explorer.page_size = 5
    explorer.refresh()
    explorer.gallery.selected = 4
    explorer.gallery.selected = 5
    assert explorer.gallery.page == 1 and explorer.gallery.start == 5 and explorer.image == explorer.pred.images[explorer.shown[0][5]]
    explorer.gallery.selected = 10 ** 6
    assert explorer.image == explorer.pred.images[explorer.shown[0][5]]


def test_matrix_cell_fills_the_gallery(explorer, run):
    for j, model in enumerate(explorer.pred.models):
        explorer.matrix.model.value = j
        t = rows(run, **dict(zip(["backbone", "head", "variant"], model)))
        assert np.array_equal(explorer.matrix.matrix.counts, pd.crosstab(t["true"], t["predicted"]).reindex(
            index=CLASSES, columns=CLASSES, fill_value=0))
    wrong = np.argwhere(np.array(explorer.matrix.matrix.counts) * (1 - np.eye(4)))
    explorer.matrix.choose(*wrong[0])
    assert len(explorer.shown[0]) == explorer.matrix.matrix.counts[wrong[0][0]][wrong[0][1]]
    assert explorer.matrix.matrix.chosen == wrong[0].tolist()
    explorer.filters.set()
    assert explorer.matrix.matrix.chosen == []


def test_panels_follow_a_single_model(explorer):
    explorer.filters.set(backbone="vgg19", head="knn", variant="segmented")
    model = explorer.pred.models.index(("vgg19", "knn", "segmented"))
    assert explorer.matrix.model.value == explorer.map.model.value == model
    assert "VGG19 + KNN, segmented" in explorer.matrix.matrix.title


def test_chosen_points_fill_the_gallery(explorer):
    explorer.map.images = explorer.pred.images.tolist()
    explorer.map.choose([0, 5, 9, 999])
    assert set(explorer.pred.images[explorer.shown[0]]) == set(explorer.pred.images[[0, 5, 9]])
    explorer.filters.set()
    assert explorer.filters.chosen is None


def test_reset_brings_the_first_view_back(explorer):
    first = explorer.shown[0].tolist()
    explorer.filters.boxes["head"].value = "knn"
    explorer.filters.slider.value = (.9, 1)
    explorer.filters.order.value, explorer.filters.reverse.value = "name", True
    explorer.filters.clear.click()
    assert explorer.shown[0].tolist() == first and explorer.filters.slider.value == (0, 1)


@pytest.mark.parametrize("right, expected", [(["Benign"], {}), (CLASSES, {"predicted": "any"})])
def test_nothing_misread_is_not_an_empty_page(tmp_path, right, expected):
    path = make_run(tmp_path, count=24)
    table = pd.read_csv(path / "predictions.csv")
    table["predicted"] = table["predicted"].where(~table["true"].isin(right), table["true"])
    table.to_csv(path / "predictions.csv", index=False)
    made = explore(path, static=False)
    assert made.filters.first == expected and len(made.gallery.items)
    made.worker.wait()


@pytest.mark.parametrize("names", [["01", "02", "03", "04"], ["any", "wrong", "right", "noted"]])
def test_odd_class_names(tmp_path, names):
    path, new = make_run(tmp_path, count=24), dict(zip(CLASSES, names))
    table = pd.read_csv(path / "predictions.csv").rename(columns={f"p_{c}": f"p_{n}" for c, n in new.items()})
    table[["true", "predicted"]] = table[["true", "predicted"]].replace(new)
    table.to_csv(path / "predictions.csv", index=False)
    made = explore(Run(path), static=False)
    assert len(made.shown[0]) == table[(table["true"] == names[0]) & (table["predicted"] != names[0])]["image"].nunique()
    counts = np.array(made.matrix.matrix.counts)
    made.matrix.choose(0, int(counts[0].argmax()))
    assert len(made.shown[0]) == counts[0].max() and made.matrix.matrix.chosen[0] == 0
    made.worker.wait()


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "\0", "image,backbone,head,variant,split,fold,true,predicted,p_x\n"])
def test_damaged_predictions_are_named(tmp_path, content):
    path = make_run(tmp_path, count=12)
    (path / "predictions.csv").write_text(content)
    with pytest.raises(InputError, match=r"predictions.csv: .*make the run again"):
        explore(path, static=False)


def test_no_image_left(explorer):
    explorer.filters.slider.value = (0, 0)
    assert explorer.gallery.items == [] and explorer.gallery.title.startswith("0 of")


def test_every_filter_answer_shows_its_count(explorer):
    for facet, box in explorer.filters.boxes.items():
        explorer.filters.set(true="Benign", predicted="wrong")
        for label, answer in box.options:
            explorer.filters.set(**{"true": "Benign", "predicted": "wrong"} | {facet: answer})
            assert label.endswith(f"({len(explorer.shown[0]):,})")


# What is missing


def test_without_models_the_pictures_are_still_there(explorer):
    explorer.worker.wait()
    assert "no stored models; run `leuknb reproduce` again" in explorer.detail.near.value
    explorer.detail.model.value = explorer.pred.models.index(("alexnet", "svm", "original"))
    explorer.worker.wait()
    assert "No attribution: " in explorer.detail.viewer.note and "no stored models" in explorer.detail.viewer.note
    explorer.tabs.selected_index = 2
    explorer.worker.wait()
    assert explorer.map.map.note.startswith("No map: ")
    explorer.trial.ask(Path(explorer.pictures.path(explorer.image, "original")).read_bytes(), "mine.jpg")
    explorer.worker.wait()
    assert "No answer: " in explorer.trial.verdict.value


def test_moved_images_are_named_and_found_again(tmp_path):
    run = Run(make_run(tmp_path / "run", count=12))
    (tmp_path / "run" / "images").rename(tmp_path / "moved")
    lost = explore(run, static=False)
    assert "missing or unreadable" in lost.gallery.notice and "images=" in lost.gallery.notice
    found = explore(run, images=tmp_path / "moved", static=False)
    assert found.gallery.notice == "" and all(found.gallery.thumbs)
    found.export()
    assert all(Path(p).is_file() for p in pd.read_csv(run.path / "relabelled.csv")["path"])
    nowhere = explore(run, images=tmp_path / "<b>gone", static=False)
    assert "there is no such folder" in nowhere.problem.value and "<b>gone" not in nowhere.problem.value
    [made.worker.wait() for made in (lost, found, nowhere)]


def test_a_twin_is_not_taken_for_the_moved_image(tmp_path):
    run = Run(make_run(tmp_path / "run", count=12))
    (tmp_path / "run" / "images").rename(tmp_path / "moved")
    pictures = RunImages(run, tmp_path / "moved" / "Original")
    assert pictures.path("Benign/WBC-Benign-001", "original").is_file()
    assert pictures.path("Benign/WBC-Benign-001", "segmented") is None and pictures.thumbnail("Benign/WBC-Benign-001", "segmented") == b""


def test_an_unreadable_image_is_a_gap(tmp_path):
    run = Run(make_run(tmp_path / "run", count=12))
    for path in run.catalogue["path"]:
        Path(path).write_bytes(b"not an image")
    made = explore(run, static=False)
    assert "missing or unreadable" in made.gallery.notice
    assert made.still().jpeg[:2] == b"\xff\xd8"
    made.worker.wait()


def test_thumbnails_are_made_once_and_kept_small(run):
    pictures = RunImages(run, size=64)
    first = pictures.thumbnail("Benign/WBC-Benign-001", "original")
    kept = list((run.path / "thumbnails").iterdir())
    again = RunImages(run, size=64)
    again._make = lambda *a: pytest.fail("made twice")
    assert again.thumbnail("Benign/WBC-Benign-001", "original") == first and kept
    assert max(Image.open(__import__("io").BytesIO(first)).size) == 64
    assert pictures.thumbnail("Benign/none", "original") == b""


def test_a_folder_that_cannot_be_written(run, monkeypatch):
    pass
    monkeypatch.setattr(explain, "atomic", lambda path: (_ for _ in ()).throw(OSError("read-only")))
    assert RunImages(run, size=48).thumbnail("Benign/WBC-Benign-001", "original")
    made = Explorer(run, static=False)
    made.judge(made.image, note="x")
    assert "Not saved: read-only" in made.detail.saved.value
    made.export()
    assert "Not saved: read-only" in made.detail.saved.value
    made.worker.wait()


# Nothing is run as HTML


def test_hostile_names_are_text():
    for text in (bars_html([HOSTILE, "b"], [(HOSTILE, np.array([.5, .5]), HOSTILE, False, True)]), facts_html({HOSTILE: HOSTILE}),
                 neighbours_html([(HOSTILE, 1.0, HOSTILE, b"", True, False)], HOSTILE)):
        assert "<script" not in text and "<img" not in text and 'onerror=alert(1)>"' not in text


def test_hostile_run(tmp_path):
    path = make_run(tmp_path / "<b>run", count=12)
    for name in ("predictions", "catalogue", "split"):
        table = pd.read_csv(path / f"{name}.csv", dtype=str, keep_default_na=False)
        table["image"] = HOSTILE + table["image"]
        table.to_csv(path / f"{name}.csv", index=False)
    made = explore(Run(path), static=False)
    made.worker.wait()
    texts = [made.detail.title.value, made.detail.facts.value, made.detail.near.value, made.detail.bars.value, made.children[0].value]
    assert all(texts) and not any("<script" in t or "<img src=x" in t or "<b>run" in t for t in texts)


@pytest.mark.parametrize("name", ["gallery", "judge", "viewer", "matrix", "map"])
def test_front_end_sets_text_only(name):
    from leuknb.lib.widgets import EXPLORER_ASSETS
    code = EXPLORER_ASSETS.joinpath(f"{name}.js").read_text()
    assert not any(word in code for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "http"))


# The page


def test_page_notebook_quotes_its_paths(tmp_path):
    import ast
    import json
    path = page_notebook(tmp_path, tmp_path / 'a"b\n\'c', images="x'y")
    cell = json.loads(path.read_text())["cells"][0]["source"]
    call = ast.parse(cell).body[1].value
    assert ast.literal_eval(call.args[0]) == str((tmp_path / 'a"b\n\'c').resolve())


def test_ports_and_hosts():
    import socket
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="cannot be used"):
            free_port("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(InputError, match="cannot be used"):
        free_port("127.0.0.1", 70_000)
    assert [reached(h) for h in ("127.0.0.1", "0.0.0.0", "::", "::1")] == ["127.0.0.1", "127.0.0.1", "127.0.0.1", "[::1]"]
    assert is_local("127.0.0.1") and is_local("localhost") and not is_local("0.0.0.0") and not is_local("10.1.2.3")


def test_the_page_that_is_opened_is_the_one_with_the_token(folder, monkeypatch, capsys):
    import socket
    import threading
    import webbrowser
    opened, came = [], threading.Event()
    monkeypatch.setattr(webbrowser, "open", lambda address: (opened.append(address), came.set()))

    def serve(Voila, notebook, theme, ip, port, open_browser, **options):
        with socket.create_server((ip, port)):
            assert not open_browser and came.wait(20)
    monkeypatch.setattr("leuknb.lib.page._serve", serve)
    explore_page(folder)
    assert opened[0].split("token=")[1] and f": {opened[0]}\n" in capsys.readouterr().out


def test_static_gallery(run):
    still = static_gallery(run, predicted="Pre", head="svm", count=5)
    assert still.jpeg[:2] == b"\xff\xd8" and "Benign called Pre" in still.alt and still.html().startswith("<figure")
    assert 'alt="Benign called Pre' in still._repr_mimebundle_()["text/html"]
    with pytest.raises(InputError, match="choose from any, svm"):
        static_gallery(run, head="svn")


def test_numbers_never_round_to_certainty():
    assert [whole_percent(p) for p in (.5, .994, .9996, 1.0, np.nan)] == ["50 %", "99.4 %", "> 99.9 %", "100.0 %", "–"]


def test_seen_box():
    from types import SimpleNamespace
    cut = SimpleNamespace(crop=True, size=224, resize=256)
    assert seen_box(cut, (300, 300)) == [6.25, 6.25, 87.5, 87.5]
    assert seen_box(cut, (600, 300)) == [28.125, 6.25, 43.75, 87.5]
    assert seen_box(SimpleNamespace(crop=False), (600, 300)) == [0, 0, 100, 100]


def test_opening_loads_no_torch(folder):
    import subprocess
    code = f"import sys\nfrom leuknb.explore import open_run, Predictions\nPredictions(open_run({str(folder)!r}).predictions)\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
