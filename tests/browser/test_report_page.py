"The report in a browser: wide and narrow, light and dark, offline, by WCAG's rules, and on paper."
import pytest
from conftest import axe_violations


@pytest.fixture
def report(looked_at, real_run):
    "The report of a real run in one of the two themes."
    looked_at.goto((real_run / "report.html").as_uri())
    return looked_at


def test_the_report_is_accessible_and_offline(report):
    assert report.errors == [] and report.elsewhere == []
    for width in (1280, 390):
        report.set_viewport_size({"width": width, "height": 800})
        assert report.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{width} pixels: the page scrolls sideways"
        assert axe_violations(report) == []


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
