"The documentation site in a browser: wide and narrow, light and dark, offline, with the keyboard, by WCAG's rules."
import sys
from pathlib import Path

import pytest
from conftest import axe_violations

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
PAGES = ["index", "course/50_metrics", "reference/leuknb.metrics", "command", "how-to/own-images"]


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    "A part of the site, as it lies on disk."
    import build_site
    return build_site.build(tmp_path_factory.mktemp("site"), ["50_metrics"])


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_accessible_and_offline(name, site, looked_at):
    looked_at.goto((site / f"{name}.html").as_uri())
    assert looked_at.errors == [] and looked_at.elsewhere == []
    for width in (1280, 390):
        looked_at.set_viewport_size({"width": width, "height": 800})
        assert looked_at.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{width} pixels: the page scrolls sideways"
    looked_at.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert axe_violations(looked_at) == []


def test_equations_are_drawn(site, looked_at):
    looked_at.goto((site / "course/50_metrics.html").as_uri())
    looked_at.locator("mjx-container svg").first.wait_for()
    assert looked_at.elsewhere == []


def test_the_keyboard_reaches_everything(site, looked_at):
    "Tab goes to the link that skips the menus first, and folded code opens with Enter."
    looked_at.goto((site / "course/50_metrics.html").as_uri())
    looked_at.keyboard.press("Tab")
    assert "Skip to main content" in looked_at.evaluate("document.activeElement.textContent")
    folded = looked_at.locator("details.hide summary").first
    folded.focus()
    looked_at.keyboard.press("Enter")
    assert folded.evaluate("s => s.parentElement.open")


def test_search_works_from_disk(site, looked_at):
    looked_at.goto((site / "search.html").as_uri() + "?q=wilson")
    looked_at.locator("ul.search li a").first.wait_for()
    assert any("metrics" in link for link in looked_at.locator("ul.search li a").evaluate_all("links => links.map(a => a.href)"))
    assert looked_at.elsewhere == []
