"The documentation site in a browser: wide and narrow, light and dark, offline, with the keyboard, by WCAG's rules."
import sys
from pathlib import Path

import axe_playwright_python
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
AXE = next(Path(axe_playwright_python.__file__).parent.rglob("axe.min.js")).read_text(encoding="utf-8")
PAGES = ["index", "course/50_metrics", "reference/leuknb.metrics", "command", "how-to/own-images"]
RULES = "axe.run(document, {preload: false, runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})"


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    "A part of the site, as it lies on disk."
    import build_site
    return build_site.build(tmp_path_factory.mktemp("site"), ["50_metrics"])


@pytest.fixture(params=["light", "dark"])
def looked_at(request, browser):
    "A page in one of the two themes that remembers what it asked other servers for, and its errors."
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme=request.param)
    page = context.new_page()
    page.elsewhere, page.errors = [], []
    page.on("request", lambda r: page.elsewhere.append(r.url) if r.url.startswith("http") else None)
    page.on("console", lambda m: page.errors.append(m.text) if m.type == "error" else None)
    yield page
    context.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_accessible_and_offline(name, site, looked_at):
    looked_at.goto((site / f"{name}.html").as_uri())
    assert looked_at.errors == [] and looked_at.elsewhere == []
    for width in (1280, 390):
        looked_at.set_viewport_size({"width": width, "height": 800})
        assert looked_at.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{width} pixels: the page scrolls sideways"
    looked_at.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    looked_at.evaluate(AXE)
    found = looked_at.evaluate(RULES)["violations"]
    assert not found, [(v["id"], v["nodes"][0]["html"][:200]) for v in found]


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
