"""Slow work in the background, and front ends that set text only."""
import threading

import pytest

from leuknb.lib.widgets import EXPLORER_ASSETS, AnnotationForm, Gallery, Map, Matrix, Splitter, Toolbar, Viewer, Worker


def test_a_result_nobody_waits_for_is_dropped():
    worker, go, shown = Worker(), threading.Event(), []
    worker.do("where", go.wait, lambda *result: shown.append(result))
    worker.cancel("where")
    go.set()
    worker.wait()
    assert shown == []


def test_only_the_newest_job_of_a_kind_is_shown():
    worker, go, shown = Worker(), threading.Event(), []
    worker.do("where", go.wait, lambda *result: shown.append("old"))
    worker.do("where", lambda: 1, lambda *result: shown.append(result))
    go.set()
    worker.wait()
    assert shown == [(1, "")]


@pytest.mark.parametrize("name", ["dom", "gallery", "annotate", "viewer", "matrix", "map", "splitter", "toolbar"])
def test_front_end_sets_text_only(name):
    code = EXPLORER_ASSETS.joinpath(f"{name}.js").read_text()
    assert not any(word in code for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "http"))


@pytest.mark.parametrize("widget", [Gallery, Viewer, AnnotationForm, Matrix, Map, Splitter, Toolbar])
def test_every_widget_has_its_module(widget):
    assert widget._esm.count("function make(") == 1 and "export default" in widget._esm
