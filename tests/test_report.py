"The report: one file, and what it shows."
import itertools
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from leuknb.data import catalogue
from leuknb.lib.checklist import AUTHOR
from leuknb.lib.errors import InputError
from leuknb.lib.models import predict
from leuknb.lib.readout import Readout
from leuknb.lib.public_set import public_card, public_digests
from leuknb.lib.run_cards import SEEK, data_card, run_data_card
from leuknb.lib.runs import Run
from leuknb.report import counts_html, plot_comparison, write_report


def test_the_report_opens_offline_and_holds_its_figures(made):
    run, _ = made
    html = (run.path / "report.html").read_text(encoding="utf-8")
    assert "http" not in html.replace("http://www.w3.org", "") and html.count("data:image/png;base64,") == 11 and "Holm" in html
    assert html.count("<summary>AlexNet + ") == 6 and "not for diagnosis" in html and "<script" not in html


def test_the_report_shows_what_was_misread(made):
    run, _ = made
    label = run.classes[0]
    rows = run.predictions[(run.predictions["true"] == label) & (run.predictions["predicted"] != label)]
    report = (run.path / "report.html").read_text(encoding="utf-8").partition('<section id="misread"')[2]
    shown = re.findall(f"true {label}, (?:called |class withheld \\(called )", report)
    assert len(shown) == 2 * min(24, rows["image"].nunique())


def test_novelty_of_held_out_images_is_that_of_predict(made):
    run, _ = made
    rows = run.novelty.query("head == 'svm' and variant == 'original' and fold == 0")
    assert set(rows["image"]) == set(run.split.query("fold == 0 and split == 'test'")["image"]) and len(rows) > 10
    paths = run.catalogue.query("variant == 'original'").set_index("image").loc[rows["image"], "path"]
    found = predict(run, list(paths), "alexnet/svm/original", progress=False)
    np.testing.assert_allclose(found["novelty"], rows["novelty"], atol=1e-6)
    assert "novelty" not in run.predictions


def test_classes_far_from_the_training_images_are_withheld(made, tmp_path):
    run = Run(shutil.copytree(made[0].path, tmp_path / "run"))
    readout = Readout(run, [])
    table, wrong = run.novelty, readout.rows["image"][~readout.right]
    far = [*wrong.iloc[:1], *readout.rows["image"][readout.right].iloc[:2]]
    table.assign(novelty=table["image"].isin(far).astype(float)).to_csv(run.path / "novelty.csv", index=False)
    write_report(Run(run.path))
    report = (run.path / "report.html").read_text(encoding="utf-8")
    text = re.sub(r"\s+", " ", re.sub("<[^>]+>", "", report))
    n, others = len(readout.rows), ~readout.rows["image"].isin(far).to_numpy()
    share = 100 * readout.right[others].mean()
    assert f"Class withheld for {len(far)} of {n} held-out images" in text and f"of the other {n - len(far)}, {share:.1f} [" in text
    assert (f"{wrong.iloc[0]}: true " in report and "class withheld (called " in report) or wrong.empty
    assert "<th>withheld</th>" in report and '<section id="withheld">' in report
    (run.path / "novelty.csv").unlink()
    write_report(Run(run.path))
    assert "withheld" not in (run.path / "report.html").read_text(encoding="utf-8")


def test_images_that_have_moved_away_are_left_out_of_the_report(made, tmp_path):
    run = Run(shutil.copytree(made[0].path, tmp_path / "run"))
    table = (run.path / "catalogue.csv").read_text(encoding="utf-8")
    (run.path / "catalogue.csv").write_text(table.replace(str(made[0].catalogue["path"][0].rsplit("/", 3)[0]), "/nowhere"))
    write_report(run)
    report = (run.path / "report.html").read_text(encoding="utf-8")
    assert "true Benign, called " not in report and report.count("data:image/png;base64,") == 11
    assert "The images are not there any more" in report


def test_text_of_the_user_is_escaped(made, tmp_path):
    run = Run(shutil.copytree(made[0].path, tmp_path / "a<b>"))
    (run.path / "audit").mkdir()
    (run.path / "audit" / "audit.txt").write_text("About\n\nFirst\n- the <i>verdict</i>\n\nNot examined\n- this\n\nDisclaimer\n")
    (run.path / "audit" / "audit.html").write_text("<body><h2>Can you believe it?</h2><p>kept as HTML</p></body>")
    write_report(run)
    report = (run.path / "report.html").read_text(encoding="utf-8")
    assert "leuknb run: a&lt;b&gt;" in report and "a<b>" not in report and "<p>kept as HTML</p>" in report
    assert "<li>the &lt;i&gt;verdict&lt;/i&gt;</li>" in report and "<li>this</li>" not in report


def test_the_figure_of_the_comparison(made):
    run, _ = made
    figure = plot_comparison(run.comparison, run.synthetic)
    axis = figure.axes[0]
    assert [text.get_text() for text in axis.get_yticklabels()][0] == "AlexNet + SVM, original"
    assert "(%)" in axis.get_xlabel() and axis.get_title()
    assert "paper (other images)" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_patients_on_both_sides_are_on_the_first_screen(made, tmp_path):
    run = Run(shutil.copytree(made[0].path, tmp_path / "run"))
    run.config["data"] |= {"shared_patients": {"shared": 12, "of": 16}, "read_as": "classes: all, hem; folds: 3"}
    write_report(run)
    first = (run.path / "report.html").read_text(encoding="utf-8").partition("<h2")[0]
    assert "12 of 16 patients have images in both the training and the test set" in first and "classes: all, hem; folds: 3" in first
    run.config["data"].pop("shared_patients")
    write_report(run)
    assert "in both the training and the test set" not in (run.path / "report.html").read_text(encoding="utf-8").partition("<h2")[0]


def test_many_classes_have_their_counts_in_a_table(made):
    counts = np.eye(25, dtype=int)
    counts[3, 7] = 41
    run = SimpleNamespace(classes=[f"<class {k}>" for k in range(25)], confusion=lambda *cell: counts)
    assert counts_html(made[0], "alexnet", "knn", "original") == ""
    html = counts_html(run, "alexnet", "knn", "original")
    assert html.count("<tr") == 26 and html.count("<td>41</td>") == 1 and "&lt;class 3&gt;" in html


def test_a_damaged_image_is_left_out_of_the_report(made, tmp_path):
    run = Run(shutil.copytree(made[0].path, tmp_path / "run"))
    wrong = run.predictions.query("true == @run.classes[0] and predicted != true")["image"]
    (tmp_path / "broken.jpg").write_text("no image")
    run.catalogue["path"] = [str(tmp_path / "broken.jpg") if image in set(wrong) else path for image, path in zip(run.catalogue["image"], run.catalogue["path"])]
    write_report(run)
    assert 'called ' not in (run.path / "report.html").read_text(encoding="utf-8").partition('<section id="misread"')[2]


def test_a_run_folder_that_cannot_be_written_is_named(made, tmp_path):
    (tmp_path / "file").write_text("")
    run = Run(made[0].path)
    run.path = tmp_path / "file" / "run"
    with pytest.raises(InputError, match="report.html: "):
        write_report(run)


OLD = Path(__file__).parent / "old-run" / "frozen"


def test_a_prevalence_and_positive_classes_are_kept_and_used(made, tmp_path):
    run = Run(shutil.copytree(made[0].path, tmp_path / "run"))
    write_report(run, positive=["Pre", "Pro"], prevalence=0.02)
    html = (run.path / "report.html").read_text(encoding="utf-8")
    assert "Counted as malignant: <b>Pre, Pro</b>" in html and "where 2\N{NO-BREAK SPACE}% of those tested are ill" in html
    assert json.loads((run.path / "config.json").read_text(encoding="utf-8"))["report"] == {"positive": ["Pre", "Pro"], "prevalence": 0.02}
    write_report(Run(run.path))
    assert "Counted as malignant: <b>Pre, Pro</b>" in (run.path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("options, message", [
    ({"positive": ["Blast"]}, "`positive` Blast: choose some, not all, of Benign, Early, Pre, Pro"),
    ({"positive": ["Benign", "Early", "Pre", "Pro"]}, "choose some, not all"),
    ({"prevalence": 1.5}, "prevalence=1.5: give a number of at least 0 and at most 1"),
    ({"prevalence": float("nan")}, "prevalence=nan"),
])
def test_what_cannot_be_reported_is_refused_and_nothing_changes(made, tmp_path, options, message):
    run = Run(shutil.copytree(made[0].path, tmp_path / "run"))
    before = (run.path / "report.html").read_bytes(), (run.path / "config.json").read_bytes()
    with pytest.raises(InputError, match=re.escape(message)):
        write_report(run, **options)
    assert before == ((run.path / "report.html").read_bytes(), (run.path / "config.json").read_bytes())


def test_an_old_run_gets_a_report(tmp_path):
    run = Run(shutil.copytree(OLD, tmp_path / "run"))
    before = {name: (run.path / name).read_bytes() for name in ("predictions.csv", "metrics.csv", "config.json")}
    write_report(run)
    html = (run.path / "report.html").read_text(encoding="utf-8")
    assert "How good is it?" in html and "Not examined" in html and "Not computed: a class with fewer than two" in html
    assert before == {name: (run.path / name).read_bytes() for name in before}


def test_a_run_without_models_gets_a_report(made, tmp_path):
    run = Run(shutil.copytree(made[0].path, tmp_path / "run"))
    shutil.rmtree(run.path / "models")
    write_report(run)
    html = (run.path / "report.html").read_text(encoding="utf-8")
    assert "since out-of-fold predictions of training images are missing" in html and "since no models are stored" in html


def test_the_cards_say_what_was_counted_and_leave_the_rest(made):
    run = made[0]
    data, model = ((run.path / f"{name}-card.md").read_text(encoding="utf-8") for name in ("data", "model"))
    assert "Patients are not known" in data and "for the author to write" in data and "96 x 96" in data
    known = run.catalogue.assign(patient=[f"P{k // 3}" for k in pd.factorize(run.catalogue["image"])[0]])
    assert f"{known['patient'].nunique()} patients, 1 to 3 images each" in data_card(known)
    assert all(f"| {label}" in data for label in run.classes) and "not for diagnosis" in data
    gone = data_card(known.assign(path="gone.png"))
    assert "Not measured: no image file is where it was" in gone and "nan" not in gone.lower()
    assert "AlexNet + " in model and "# Intended use" in model and "not for diagnosis" in model
    html = (run.path / "report.html").read_text(encoding="utf-8").partition('<section id="cards"')[2].partition("</section>")[0]
    assert all(words in html for words in ("The model card", "The data card", "<h3>Intended use</h3>", "Patients are not known", f">{run.classes[0]}</td>"))


def test_the_data_card_reports_what_the_run_sought_and_nothing_else(made, tmp_path):
    run = made[0]
    card = (run.path / "data-card.md").read_text(encoding="utf-8")
    assert card.count(SEEK) == 2 and "## Overlaps" in card and "## Streams of file order" in card
    scenes = {"pairs": 3, "images": 1, "search": "near", "streams": [{"class": "Pro", "first": 9, "last": 40, "period": 3}]}
    card = data_card(run.catalogue, facts={"scenes": scenes})
    assert "- 3 pairs of images that show parts of one field, shifted, sought among neighbours by colour" in card and "- 1 image in such pairs" in card
    assert "- Pro, files 9 to 40: 3 streams in turn." in card and "whether it is a slide is not known" in card and SEEK not in card
    none = data_card(run.catalogue, facts={"scenes": scenes | {"search": "full", "streams": []}})
    assert "- None were found in turn: file order stands." in none and "sought among all pairs of a class" in none
    older = {name: value for name, value in scenes.items() if name != "streams"}
    assert data_card(run.catalogue, facts={"scenes": older}).count(SEEK) == 1, "a run that recorded no streams"


@pytest.mark.parametrize("found, words", [(True, "25.5 %: more than chance explains"), (False, "25.5 %: no more than chance explains")])
def test_the_data_card_reads_the_corner_of_the_scale_bar_from_the_audit(made, tmp_path, found, words):
    run = Run(shutil.copytree(made[0].path, tmp_path / "run"))
    shutil.rmtree(run.path / "audit", ignore_errors=True)
    assert "Not examined; `leuknb audit`" in run_data_card(run)
    table = pd.DataFrame({"name": ["scale-bar corner", "opposite corner"], "accuracy": [0.753, 0.255], "found": [found, False]})
    (run.path / "audit").mkdir()
    table.to_csv(run.path / "audit" / "audit-shortcuts.csv", index=False)
    assert f"predicts the class of 75.3 % of the held-out images, the opposite one that of {words}" in run_data_card(run)


def test_the_data_card_says_what_segmented_images_hold(tmp_path):
    from leuknb.patients import make_smears
    from leuknb.segment import segment_folder
    smears = make_smears(tmp_path / "smears", 16, 8, size=96, seed=3, progress=False)
    cat = catalogue(smears / "catalogue.csv")
    told = re.search(r"In (\d+) of (\d+) segmented images examined", data_card(cat))
    assert told[1] == told[2] and int(told[2]) >= 12
    segment_folder(smears / "Original", tmp_path / "rgb", progress=False)
    twins = {path.stem: str(path) for path in (tmp_path / "rgb").rglob("*.*")}
    own = cat.assign(path=[twins.get(Path(path).stem, path) if kind == "segmented" else path for path, kind in zip(cat["path"], cat["variant"])])
    assert "In 0 of" in data_card(own)
    assert "There are no segmented images" in data_card(cat[cat["variant"] == "original"])
    assert "no segmented image can be compared" in data_card(cat.assign(path="gone.png"))


def test_what_is_known_of_the_public_images_is_said_of_no_other(made):
    cat = made[0].catalogue
    digests = itertools.cycle(sorted(public_digests()))
    ours = cat.assign(sha256=[f"{next(digests)}{'0' * 58}" for _ in range(len(cat))])
    card, other = data_card(ours), ours["sha256"].where(np.arange(len(ours)) != np.flatnonzero(ours["variant"] == "original")[-1], "f" * 64)
    assert all(text.strip() in card for text in public_card().values()) and AUTHOR not in card
    for unlike in (cat, ours.assign(sha256=other), ours.assign(sha256=""), ours[ours["variant"] == "segmented"]):
        card = data_card(unlike)
        assert AUTHOR in card and "Tehran" not in card and "haematogones" not in card and "whole set" not in card


def test_every_figure_has_a_text_and_every_link_a_target(made):
    html = (made[0].path / "report.html").read_text(encoding="utf-8")
    assert all(re.search('alt="[^"]{8,}"', tag) for tag in re.findall("<img [^>]*>", html))
    assert set(re.findall('href="#([^"]+)"', html)) <= set(re.findall('id="([^"]+)"', html))
    assert "How to cite:" in html and "svm original" not in html.partition("Every setting, the software")[0]


def test_the_checklist_claims_nothing_about_patients_it_cannot_know(made):
    html = (made[0].path / "report.html").read_text(encoding="utf-8").partition('<section id="checklist"')[2]
    rows = re.findall("<tr>(.*?)</tr>", html, re.S)
    items = json.loads((Path(__file__).parents[1] / "leuknb" / "assets" / "checklist.json").read_text(encoding="utf-8"))
    assert len(rows) == len(items)
    for row, item in zip(rows, items):
        assert item["filled"] or "<td>for the author to write</td>" in row
    assert "{" not in html.partition("</section>")[0]
