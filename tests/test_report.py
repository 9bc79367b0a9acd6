"The report: one file, and what it shows."
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from leuknb.lib.errors import InputError
from leuknb.lib.runs import Run
from leuknb.report import counts_html, plot_comparison, write_report


def test_the_report_opens_offline_and_holds_its_figures(made):
    run, _ = made
    html = (run.path / "report.html").read_text(encoding="utf-8")
    assert "http" not in html.replace("http://www.w3.org", "") and html.count("data:image/png;base64,") == 8 and "Holm" in html
    assert html.count("<summary>AlexNet + ") == 6 and "not for diagnosis" in html and "<script" not in html


def test_the_report_shows_what_was_misread(made):
    run, _ = made
    label = run.classes[0]
    rows = run.predictions[(run.predictions["true"] == label) & (run.predictions["predicted"] != label)]
    report = (run.path / "report.html").read_text(encoding="utf-8")
    assert report.count(f"true {label}, called ") == 2 * min(24, rows["image"].nunique())


def test_images_that_have_moved_away_are_left_out_of_the_report(made, tmp_path):
    run = Run(shutil.copytree(made[0].path, tmp_path / "run"))
    table = (run.path / "catalogue.csv").read_text(encoding="utf-8")
    (run.path / "catalogue.csv").write_text(table.replace(str(made[0].catalogue["path"][0].rsplit("/", 3)[0]), "/nowhere"))
    write_report(run)
    report = (run.path / "report.html").read_text(encoding="utf-8")
    assert "called " not in report and report.count("data:image/png;base64,") == 8


def test_text_of_the_user_is_escaped(made, tmp_path):
    run = Run(shutil.copytree(made[0].path, tmp_path / "a<b>"))
    write_report(run, "<p>kept as HTML</p>")
    report = (run.path / "report.html").read_text(encoding="utf-8")
    assert "leuknb run: a&lt;b&gt;" in report and "a<b>" not in report and "<p>kept as HTML</p>" in report


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
    first = (run.path / "report.html").read_text(encoding="utf-8").partition("<h2>")[0]
    assert "12 of 16 patients have images in both the training and the test set" in first and "classes: all, hem; folds: 3" in first
    run.config["data"].pop("shared_patients")
    write_report(run)
    assert "in both the training and the test set" not in (run.path / "report.html").read_text(encoding="utf-8").partition("<h2>")[0]


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
    assert "called " not in (run.path / "report.html").read_text(encoding="utf-8")


def test_a_run_folder_that_cannot_be_written_is_named(made, tmp_path):
    (tmp_path / "file").write_text("")
    run = Run(made[0].path)
    run.path = tmp_path / "file" / "run"
    with pytest.raises(InputError, match="report.html: "):
        write_report(run)
