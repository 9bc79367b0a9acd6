"The documentation site."
import base64
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import build_site  # noqa: E402
import site_pages  # noqa: E402

PAGES = {"30_knn.ipynb", "50_metrics.ipynb"}


@pytest.mark.parametrize("link, target", [
    ("30_knn.ipynb", "30_knn.ipynb"), ("30_knn.ipynb#What-a-mistake", "30_knn.ipynb#what-a-mistake"), ("#Does-the-map-show-the-cells?", "#does-the-map-show-the-cells"),
    ("99_gone.ipynb", "https://github.com/leuknb/leuknb/blob/main/nbs/99_gone.ipynb"), ("lib/runs.ipynb", "https://github.com/leuknb/leuknb/blob/main/nbs/lib/runs.ipynb"),
    ("../CITATION.cff", "https://github.com/leuknb/leuknb/blob/main/CITATION.cff"), ("https://doi.org/10.1175/1520-0493(1950)078<0001>2", "https://doi.org/10.1175/1520-0493(1950)078<0001>2"),
    ("images/smears.jpg", "images/smears.jpg")])
def test_links_of_a_notebook(link, target):
    assert build_site.links(f"See [this]({link}).", "00", PAGES) == f"See [this]({target})."


@pytest.mark.parametrize("source, tags, shown", [
    ("#| hide\nx = 1", ["remove-cell"], "x = 1"), ("#| export\ndef f():\n    ...", ["hide-input"], "def f():\n    ..."),
    ("#| exporti\n#| echo: false\ny", ["hide-input", "remove-input"], "y"), ("import numpy", ["hide-input"], "import numpy"), ("x + 1", None, "x + 1")])
def test_directives_become_tags(source, tags, shown):
    cell = {"cell_type": "code", "source": source, "metadata": {}}
    build_site.tag(cell)
    assert cell["metadata"].get("tags") == tags and cell["source"] == shown


def test_badges_of_other_servers_stay_out():
    text = "# Title\n\n> Sub\n\n[![Open in Colab](https://x/y.svg)](https://x) [![Binder](https://b.svg)](https://b)\n\nText"
    assert build_site.BADGES.sub("", text) == "# Title\n\n> Sub\n\n\nText"


def test_what_needs_a_kernel_is_left_out():
    assert build_site.still({"data": {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "Explorer"}}) is None
    assert build_site.still({"data": {"text/html": "<b>"}}) == {"data": {"text/html": "<b>"}}


def test_a_notebook_without_outputs_is_refused(tmp_path, monkeypatch):
    import json
    monkeypatch.setattr(build_site, "ROOT", tmp_path)
    cells = [{"cell_type": "code", "source": "x = 1\nx", "metadata": {}, "outputs": []}]
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": cells}))
    with pytest.raises(SystemExit, match="a.ipynb: lacks stored outputs"):
        build_site.page(tmp_path / "a.ipynb", set())


def test_an_unknown_notebook_is_refused():
    with pytest.raises(SystemExit, match="no notebook named nothing"):
        build_site.page_notebooks(["nothing"])


def test_broken_links_and_what_loads_from_elsewhere_are_found(tmp_path):
    (tmp_path / "a.html").write_text('<h1 id="top">A</h1><a href="b.html#here">b</a><a href="#top">t</a><a href="gone.html">g</a>'
                                     '<a href="b.html#nowhere">n</a><img src="https://x.org/a.png"><script src="//x.org/a.js"></script>'
                                     '<link rel="stylesheet" href="https://x.org/a.css"><a href="https://x.org">out</a><img src="data:image/png;base64,AA">'
                                     '<pre><a href="only-shown.html"></pre>')
    (tmp_path / "b.html").write_text('<p id="here">')
    found = build_site.broken(tmp_path)
    assert sorted(p.split(": ")[1] for p in found) == ["no gone.html", "no place b.html#nowhere", "would load //x.org/a.js", "would load https://x.org/a.css",
                                                       "would load https://x.org/a.png"]


def test_the_data_card_is_that_of_reports():
    from leuknb.lib.public_set import public_card
    page = build_site.written((ROOT / "docs" / "explain" / "data-card.md").read_text(encoding="utf-8"), PAGES)
    assert all(title in page and text.strip() in page for title, text in public_card().items()) and "{{" not in page


def test_the_first_picture_of_a_notebook():
    picture = base64.b64encode(b"jpeg").decode()
    assert build_site.first_picture({"image/jpeg": picture}) == (".jpg", picture)
    assert build_site.first_picture({"text/html": f'<figure class="lk-still"><img src="data:image/png;base64,{picture}"></figure>'}) == (".png", picture)
    assert build_site.first_picture({"text/html": "<table>"}) is None


def test_each_command_and_each_option_has_its_place():
    from leuknb.cli import parser
    page, p = site_pages.command(), parser()
    subs = next(action for action in p._actions if hasattr(action, "choices") and action.choices and action.dest == "command").choices
    for name, sub in subs.items():
        assert f"## leuknb {name}\n" in page
        for action in sub._actions:
            assert action.dest == "help" or all(f"`{option}" in page or f", {option}" in page for option in action.option_strings), (name, action.dest)
    assert "%(default)s" not in page


def test_the_learning_path_and_the_answers():
    paths = build_site.page_notebooks(["000_tour", "30_knn", "50_metrics"])
    path = site_pages.course(paths)
    assert path.index("000_tour.ipynb") < path.index("30_knn.ipynb") < path.index("50_metrics.ipynb") and "estimates, not measurements" in path
    answers = site_pages.answers(paths)
    assert answers.count("\n## ") == sum(len(site_pages.exercises(site_pages.read_cells(p))) for p in paths)
    assert "exercise 1" in answers and "](" not in answers


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    "A part of the site: the pages that are written, the command, one notebook and its module."
    return build_site.build(tmp_path_factory.mktemp("site"), ["50_metrics"])


def test_a_part_of_the_site(site):
    "Built with warnings as errors, from stored outputs, with docments as parameters, and nothing from other servers."
    assert build_site.broken(site) == []
    notebook = (site / "course/50_metrics.html").read_text(encoding="utf-8")
    assert "Show the code" in notebook and "#| export" not in notebook and "mathjax.js" in notebook
    reference = (site / "reference/leuknb.metrics.html").read_text(encoding="utf-8")
    text = re.sub(r"<[^>]+>", "", reference)
    assert "Parameters" in text and "rows are the true class" in text
    assert (site / "searchindex.js").stat().st_size > 10_000 and (site / "_static/mathjax.js").stat().st_size > 1_000_000
    for name in ("index", "command", "gallery", "how-to/teach", "explain/limits", "course/index", "reference/index"):
        assert "not for diagnosis" in (site / f"{name}.html").read_text(encoding="utf-8"), name


@pytest.mark.long
def test_a_broken_link_in_a_page_fails_the_build(tmp_path, monkeypatch):
    import shutil
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    page = tmp_path / "docs/explain/limits.md"
    page.write_text(page.read_text() + "\nSee [nothing](no-such-page.md).\n")
    monkeypatch.setattr(build_site, "DOCS", tmp_path / "docs")
    with pytest.raises(SystemExit, match="warnings, which are errors"):
        build_site.build(tmp_path / "site", ["50_metrics"])


@pytest.mark.long
def test_the_whole_site(tmp_path):
    assert build_site.broken(build_site.build(tmp_path / "site", [])) == []
