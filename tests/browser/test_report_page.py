"The report in a browser: wide and narrow, light and dark, offline, by WCAG's rules, and on paper."
from pathlib import Path

import axe_playwright_python
import pytest

AXE = next(Path(axe_playwright_python.__file__).parent.rglob("axe.min.js")).read_text(encoding="utf-8")
RULES = "axe.run(document, {preload: false, runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})"


@pytest.fixture(params=["light", "dark"])
def report(request, browser, real_run):
    "The report of a real run in one of the two themes; it remembers what it asked other servers for, and its errors."
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme=request.param)
    page = context.new_page()
    page.elsewhere, page.errors = [], []
    page.on("request", lambda r: page.elsewhere.append(r.url) if r.url.startswith("http") else None)
    page.on("console", lambda m: page.errors.append(m.text) if m.type == "error" else None)
    page.goto((real_run / "report.html").as_uri())
    yield page
    context.close()


def test_the_report_is_accessible_and_offline(report):
    assert report.errors == [] and report.elsewhere == []
    for width in (1280, 390):
        report.set_viewport_size({"width": width, "height": 800})
        assert report.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{width} pixels: the page scrolls sideways"
        report.evaluate(AXE)
        found = report.evaluate(RULES)["violations"]
        assert not found, [(v["id"], v["nodes"][0]["html"][:200]) for v in found]


def test_the_three_questions_are_on_the_first_screen(report):
    tops = [report.get_by_role("heading", name=name, exact=True).bounding_box()["y"]
            for name in ("How good is it?", "Can it be believed?", "What was misread?")]
    assert max(tops) < 400 and max(tops) - min(tops) < 2


def test_every_link_of_the_contents_leads_somewhere(report):
    links = report.locator("nav a").evaluate_all("links => links.map(a => a.getAttribute('href').slice(1))")
    assert len(links) >= 8 and all(report.locator(f"[id='{target}']").count() == 1 for target in links)


def test_it_prints_on_a_few_pages(report):
    pdf = report.pdf(prefer_css_page_size=True)
    pages = pdf.count(b"/Type /Page\n") or pdf.count(b"/Type /Page ")
    assert pdf.startswith(b"%PDF") and pages <= 16
    report.emulate_media(media="print")
    report.set_viewport_size({"width": 703, "height": 1000})  # A4 within its margins, at 96 pixels an inch
    wide = report.locator("section img").evaluate_all("images => images.filter(i => i.getBoundingClientRect().right > 703).length")
    assert wide == 0
