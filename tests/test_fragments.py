"""Nothing is run as HTML."""
import numpy as np
import pytest

from leuknb.explain import Neighbour
from leuknb.lib.fragments import Bar, bars_html, class_colour, facts_html, heading_html, neighbours_html, note_html, problem_html
from leuknb.lib.tables import whole_percent

HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>'


def test_hostile_names_are_text():
    near = Neighbour(HOSTILE, 1.0, HOSTILE, b"", True, False)
    bar = Bar(HOSTILE, np.array([.5, .5]), HOSTILE, False, True)
    texts = [bars_html([HOSTILE, "b"], [bar]), facts_html({HOSTILE: HOSTILE}), neighbours_html([near], HOSTILE),
             note_html(HOSTILE), problem_html(HOSTILE), heading_html(HOSTILE)]
    assert not any("<script" in t or "<img" in t or 'onerror=alert(1)>"' in t for t in texts)


def test_numbers_never_round_to_certainty():
    shown = [whole_percent(p).replace("\N{NO-BREAK SPACE}", " ") for p in (.5, .994, .9996, 1.0, np.nan)]
    assert shown == ["50 %", "99.4 %", "> 99.9 %", "100.0 %", "–"]


@pytest.mark.parametrize("right, mark", [(True, "✓"), (False, "✗"), (np.bool_(True), "✓"), (None, "")])
def test_bars_have_a_mark_and_their_widths(right, mark):
    text = bars_html(["a", "b"], [Bar("m", np.array([.25, .75]), "b", right if right is None else bool(right), False)])
    assert "width:25.00%" in text and "width:75.00%" in text and "75\N{NO-BREAK SPACE}%" in text
    assert [m for m in "✓✗" if m in text] == ([mark] if mark else [])
    assert "–" in bars_html(["a"], [Bar("m", np.array([np.nan]), "unknown", None, False)])


@pytest.mark.parametrize("duplicate, group, mark", [(True, True, "near-duplicate"), (False, True, "same group"), (False, False, "")])
def test_neighbours_are_marked(duplicate, group, mark):
    text = neighbours_html([Neighbour("a", 12.3456, "Pre", b"\xff", duplicate, group)], "by distance")
    assert "12.3" in text and "data:image/jpeg;base64,/w==" in text and "by distance" in text
    assert [m for m in ("near-duplicate", "same group") if m in text] == ([mark] if mark else [])


def test_twenty_classes_have_twenty_colours():
    assert len({class_colour(k) for k in range(20)}) == 20
