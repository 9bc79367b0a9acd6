"""The explorer in a real browser: JupyterLab and the page of its own."""
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from conftest import axe_violations, free_port, run_all, serve

SHOTS = os.environ.get("LEUKNB_SHOTS")  # a folder for screenshots


def shot(page, name):
    "Keep a screenshot, if a folder is named for them."
    if SHOTS:
        page.wait_for_timeout(600)
        page.screenshot(path=Path(SHOTS) / f"{name}.png")


def code(run, **kwargs):
    options = "".join(f", {k}={v!r}" for k, v in kwargs.items())
    return f"from leuknb.explore import explore\nlooking = explore({str(run)!r}{options})\nlooking"


def shown(page):
    "The number of images that the gallery says it has."
    return int(re.match(r"([\d,]+) of", page.locator(".lk-count").inner_text())[1].replace(",", ""))


def expect_shown(page, count):
    page.wait_for_function("n => document.querySelector('.lk-count').textContent.startsWith(n + ' of')", arg=f"{count:,}")
    assert shown(page) == count


def choose(page, label, start):
    "Choose the option of a filter that starts with a text."
    select = page.locator(f".lk-filters .widget-dropdown:has(.widget-label:text-is('{label}')) select")
    texts = [t.replace("\xa0", " ") for t in select.locator("option").all_text_contents()]
    index = next(i for i, t in enumerate(texts) if t.startswith(start))
    select.select_option(index=index)
    return int(re.search(r"\(([\d,]+)\)$", texts[index])[1].replace(",", ""))


def tab(page, name):
    page.locator(".lk-side").get_by_role("tab", name=name, exact=True).click()


def upload(page, image):
    with page.expect_file_chooser() as chooser:
        page.locator(".lk-side .jupyter-widgets.widget-upload").click()
    chooser.value.set_files(image)


def settled(path, quiet=3):
    "The table, once nothing has been written to it for some seconds."
    deadline = time.time() + 60
    while time.time() < deadline and not (path.exists() and time.time() - path.stat().st_mtime > quiet):
        time.sleep(0.2)
    return pd.read_csv(path)


def predictions(run):
    return pd.read_csv(run / "predictions.csv")


def fit(page):
    "Give the notebook the whole window."
    page.keyboard.press("Control+b")
    page.locator(".leuknb").first.scroll_into_view_if_needed()


@pytest.fixture
def run(run_folder):
    (run_folder / "annotations.csv").unlink(missing_ok=True)
    return run_folder


def active(page):
    "The name of the image that the gallery's focus is on."
    return page.evaluate("""() => document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))
        .querySelector('.lk-name').textContent""")


def test_gallery_filters_and_matrix(notebook, run):
    page, table = notebook(code(run)), predictions(run)
    page.locator(".lk-card").first.wait_for()
    wrong = table[(table["true"] == "Benign") & (table["predicted"] != "Benign")]
    expect_shown(page, wrong["image"].nunique())
    loaded = "n => [...document.querySelectorAll('.lk-card')].every(c => c.id && c.getAttribute('aria-setsize') == n)"
    page.wait_for_function(loaded, arg=wrong["image"].nunique())
    assert page.locator(".lk-card img").first.evaluate("i => i.complete && i.naturalWidth >= 224")
    expect_shown(page, choose(page, "Head", "KNN"))
    expect_shown(page, wrong[wrong["head"] == "knn"]["image"].nunique())
    page.get_by_role("button", name="Reset").click()
    expect_shown(page, wrong["image"].nunique())
    expect_shown(page, choose(page, "Agreement", "only segmented wrong"))
    page.get_by_role("button", name="Reset").click()
    tab(page, "Confusion matrix")
    cell = page.locator(".lk-wrong-cell button").first
    count = int(cell.locator("strong").inner_text())
    cell.click()
    expect_shown(page, count)
    assert page.errors == []


def test_click_keys_and_detail(notebook, run):
    page = notebook(code(run))
    page.locator(".lk-card").first.wait_for()
    fit(page)
    page.locator(".lk-card").nth(2).click()
    name = page.locator(".lk-card").nth(2).locator(".lk-name").first.inner_text()
    page.locator(".lk-title", has_text=name).wait_for()
    page.keyboard.press("ArrowRight")
    name = page.locator(".lk-card").nth(3).locator(".lk-name").first.inner_text()
    page.locator(".lk-title", has_text=name).wait_for()
    assert active(page) == name
    page.keyboard.press("End")
    page.wait_for_function("document.querySelector('.lk-grid').scrollTop > 0")
    page.keyboard.press("Home")
    page.wait_for_function("document.querySelector('.lk-grid').scrollTop === 0")
    page.locator(".lk-card[aria-selected=true][aria-posinset='1']").wait_for()
    assert active(page) == page.locator(".lk-card").first.locator(".lk-name").first.inner_text()
    assert page.locator(".lk-side table.lk-bars tbody tr").count() == 16
    assert page.locator(".lk-image img").count() == 2
    shot(page, "lab-detail")
    assert page.errors == []


def test_annotations_survive_a_restart(notebook, run):
    page = notebook(code(run), "annotate")
    page.locator(".lk-card").first.wait_for()
    page.locator(".lk-card").nth(1).click()
    name = page.locator(".lk-card").nth(1).locator(".lk-name").first.inner_text()
    page.locator(".lk-title", has_text=name).wait_for()
    page.keyboard.press("f")
    page.locator(".lk-card").nth(1).locator(".lk-flag").wait_for()
    note = '<script>alert(1)</script> smudged, "old" stain'
    page.locator(".lk-side textarea").fill(note)
    page.locator(".lk-side .lk-note", has_text="Saved in annotations.csv").wait_for()
    choose(page, "Annotated", "with a note")
    expect_shown(page, 1)
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Restart Kernel and Run All Cells…$")).click()
    page.locator(".jp-Dialog .jp-mod-accept").last.click()
    page.wait_for_timeout(4000)
    page.wait_for_function("document.querySelectorAll('.lk-flag').length == 1 && document.querySelectorAll('.leuknb').length == 1")
    choose(page, "Annotated", "flagged")
    expect_shown(page, 1)
    page.locator(".lk-card").first.click()
    page.wait_for_function("t => document.querySelector('.lk-side textarea').value == t", arg=note)
    kept = pd.read_csv(run / "annotations.csv")
    assert kept["image"].str.endswith(name).all() and kept["note"].tolist() == [note] and kept["flagged"].tolist() == ["yes"]


def cells(page):
    return page.locator(".jp-Notebook .jp-Cell").count()


def test_labs_shortcuts_stay_outside(notebook, run):
    page = notebook(code(run) + "\n", "keys")
    page.locator(".lk-card").first.click()
    before, kind = cells(page), page.locator(".jp-Notebook-toolbarCellType select").input_value()
    for focus in (".lk-grid", ".lk-filters select", ".lk-annotate button", ".lk-side .lm-TabBar-tab", ".lk-filters .noUi-handle"):
        page.locator(focus).first.focus()
        for key in ("d", "d", "m", "a", "b", "x", "c", "v"):
            page.keyboard.press(key)
    page.wait_for_timeout(500)
    assert cells(page) == before and page.locator(".jp-Notebook-toolbarCellType select").input_value() == kind
    page.locator(".lk-filters select").first.focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_timeout(300)
    assert page.evaluate("document.activeElement.tagName") == "SELECT"
    assert page.errors == []


SLOW = """import time
from leuknb.explore import explore
looking = explore({run!r})
save = looking.state.notes.set
looking.state.notes.set = lambda image, **changes: (time.sleep(.3), save(image, **changes))
looking"""


def test_a_note_stays_with_its_image_though_python_is_busy(notebook, run):
    page = notebook(SLOW.format(run=str(run)), "busy")
    first, second = page.locator(".lk-card").nth(0), page.locator(".lk-card").nth(1)
    first.click()
    names = [card.locator(".lk-name").first.inner_text() for card in (first, second)]
    page.locator(".lk-title", has_text=names[0]).wait_for()
    box = page.locator(".lk-annotate textarea")
    box.click()
    page.keyboard.type("smudged stain", delay=20)
    second.click()
    page.locator(".lk-title", has_text=names[1]).wait_for()
    page.wait_for_function("document.querySelector('.lk-annotate textarea').value === ''")
    kept = settled(run / "annotations.csv")
    assert kept["note"].tolist() == ["smudged stain"] and kept["image"].iloc[0].endswith(names[0])
    assert page.errors == []


def test_focus_is_never_lost(notebook, run):
    page = notebook(code(run), "focus")
    page.locator(".lk-card").first.wait_for()
    expect_shown(page, choose(page, "True class", "any"))
    expect_shown(page, choose(page, "Predicted", "any ("))
    page.locator(".lk-card").nth(1).click()
    for key in ("PageDown", "PageDown", "ArrowDown", "End", "PageUp", "ArrowLeft"):
        page.keyboard.press(key)
        page.wait_for_timeout(300)
        assert page.evaluate("document.activeElement.className").startswith("lk-grid")
    page.wait_for_function("document.querySelector('.lk-grid').getAttribute('aria-activedescendant')")
    name = active(page)
    page.keyboard.press("f")
    page.locator(".lk-card[aria-selected=true] .lk-flag").wait_for()
    assert pd.read_csv(run / "annotations.csv")["image"].iloc[0].endswith(name) and active(page) == name
    tab(page, "Confusion matrix")
    page.locator(".lk-matrix .lk-cell:not(:disabled)").first.focus()
    page.keyboard.press("Enter")
    page.locator(".lk-matrix .lk-cell[aria-pressed=true]").wait_for()
    assert page.evaluate("document.activeElement.className") == "lk-cell"
    assert page.errors == []


def test_map_and_try(notebook, real_run):
    page = notebook(code(real_run), "real")
    page.locator(".lk-card").first.wait_for()
    fit(page)
    choose(page, "Head", "SVM")
    page.locator(".lk-card").first.click()
    page.locator(".lk-overlay").first.wait_for()
    slider = page.locator(".lk-viewer .lk-slider input").first
    slider.fill("30")
    assert page.locator(".lk-overlay").evaluate("o => o.style.opacity") == "0.3"
    slider.fill("70")
    page.locator(".lk-neighbours figure").nth(4).wait_for()
    shot(page, "lab-attribution")
    tab(page, "Feature map")
    page.locator(".lk-map canvas:not(.lk-sample)").wait_for()
    page.locator(".lk-key", has_text="wrong").wait_for()
    shot(page, "lab-map")
    count = int(re.search(r"\((\d+)\)", page.locator(".lk-key", has_text="wrong").inner_text())[1])
    page.locator(".lk-key", has_text="wrong").click()
    expect_shown(page, count)
    box = page.locator(".lk-map canvas:not(.lk-sample)").bounding_box()
    page.mouse.move(box["x"] + 3, box["y"] + 3)
    page.mouse.down()
    for x, y in ((.99, .01), (.99, .99), (.01, .99)):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=3)
    page.mouse.up()
    expect_shown(page, predictions(real_run)["image"].nunique())
    tab(page, "Try an image")
    image = pd.read_csv(real_run / "catalogue.csv")["path"].iloc[0]
    upload(page, image)
    page.locator(".lk-verdict").wait_for()
    page.locator(".lk-side .lk-neighbours figure:visible").nth(4).wait_for()
    shot(page, "lab-try")
    upload(page, {"name": "<img src=x>.png", "mimeType": "image/png", "buffer": b"no image"})
    page.locator(".lk-side .lk-problem", has_text="<img src=x>.png: cannot be read").wait_for()
    assert page.errors == []


def test_what_is_missing_is_named(notebook, tmp_path):
    from fake_run import make_run
    run = make_run(tmp_path / "run", count=24)
    (run / "images").rename(tmp_path / "moved")
    page = notebook(code(run), "missing")
    page.locator(".lk-card .lk-missing").first.wait_for()
    assert "missing or unreadable" in page.locator(".lk-notice").inner_text()
    page.locator(".lk-note", has_text="No neighbours: ").first.wait_for()
    shot(page, "lab-missing")
    assert page.errors == []


def test_hostile_names_stay_text(notebook, tmp_path):
    from fake_run import make_run
    run = make_run(tmp_path / "run", count=24)
    for name in ("predictions", "catalogue", "split"):
        table = pd.read_csv(run / f"{name}.csv", dtype=str, keep_default_na=False)
        table["image"] = '<img src=x onerror="window.hit=1"><script>window.hit=2</script>' + table["image"]
        table.to_csv(run / f"{name}.csv", index=False)
    page = notebook(code(run), "hostile")
    page.locator(".lk-card").first.click()
    page.locator(".lk-title", has_text="<script>").wait_for()
    for name in ("Confusion matrix", "Feature map", "Try an image"):
        tab(page, name)
        page.wait_for_timeout(400)
    assert page.evaluate("window.hit") is None and page.errors == []


def test_without_a_kernel_a_still_image_is_left(notebook, run, lab):
    page = notebook(code(run), "still")
    page.locator(".lk-card").first.wait_for()
    page.locator(".lk-still img[alt^='Benign predicted as']").wait_for(state="attached")
    page.wait_for_function("document.querySelector('.lk-still')?.offsetParent === null")
    page.get_by_role("menuitem", name="File", exact=True).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Save Notebook$")).click()
    for _ in range(60):
        outputs = json.loads((lab[1] / "still.ipynb").read_text())["cells"][0]["outputs"]
        if any("data:image/jpeg" in "".join(o.get("data", {}).get("text/html", "")) for o in outputs):
            return
        page.wait_for_timeout(500)
    pytest.fail("the saved notebook holds no still image")


@pytest.fixture(scope="module")
def served(run_folder, tmp_path_factory):
    "The page of its own; gives its address with the token."
    folder, port = tmp_path_factory.mktemp("page"), free_port()
    start = f"from leuknb.lib.page import explore_page; explore_page({str(run_folder)!r}, port={port})"
    (folder / "browser.py").write_text(f"import sys; open({str(folder / 'opened')!r}, 'w').write(sys.argv[1])")
    browser = f"{sys.executable} {folder / 'browser.py'} %s"
    for _ in serve([sys.executable, "-c", start], f"http://127.0.0.1:{port}/", folder, BROWSER=browser):
        while not (shown := re.search(r"http\S+token=\S+\n", (folder / "server.log").read_text())):
            time.sleep(0.1)  # printed a moment after the port answers
        yield shown[0].strip()


def test_the_browser_is_sent_to_the_page_not_to_a_login(page, served, tmp_path_factory):
    end, opened = time.monotonic() + 60, ""
    while not opened and time.monotonic() < end:  # the server listens a moment before its browser is told
        opened = "".join({p.read_text() for p in tmp_path_factory.getbasetemp().glob("page[0-9]*/opened")})
        time.sleep(0.2)
    assert opened == served
    page.goto(opened)
    page.locator(".leuknb").wait_for()
    assert "/login" not in page.url


def test_page_of_its_own(page, served, run):
    outside = []
    page.on("request", lambda r: None if re.match(r"(http://127\.0\.0\.1|blob:|data:|ws:)", r.url) else outside.append(r.url))
    page.goto(served)
    page.locator(".lk-card").first.wait_for()
    table = predictions(run)
    expect_shown(page, table[(table["true"] == "Benign") & (table["predicted"] != "Benign")]["image"].nunique())
    assert page.evaluate("document.documentElement.scrollWidth <= 1280")
    tab(page, "Confusion matrix")
    page.locator(".lk-matrix .lk-cell").first.wait_for()
    shot(page, "page-matrix")
    assert page.errors == [] and outside == []


def test_a_page_that_is_left_ends_its_kernel(page, served):
    page.goto(served)
    page.locator(".lk-card").first.wait_for()
    with page.expect_request(lambda sent: "/voila/api/shutdown/" in sent.url) as sent:
        page.reload()
    page.locator(".lk-card").first.wait_for()
    last, own = sent.value.url, re.match(r"http://[^/]+", served)[0]
    again = {origin: page.request.post(last, headers={"Origin": origin} if origin else {}).status
             for origin in (own, "http://elsewhere.example", "")}
    assert again == {own: 404, "http://elsewhere.example": 403, "": 403}  # 404: this kernel has ended


def everything(page):
    "All images of the run, in the order of their names."
    expect_shown(page, choose(page, "True class", "any"))
    expect_shown(page, choose(page, "Predicted", "any ("))
    page.locator(".lk-sort select").select_option(label="name")
    page.wait_for_function("""() => { const names = [...document.querySelectorAll('.lk-card[id]')].map(c => c.title.split(':')[0]);
        return names.length > 5 && names.every((name, i) => !i || names[i - 1] < name); }""")
    return shown(page)


def test_the_gallery_scrolls_through_all_images(page, served, run):
    page.goto(served)
    page.locator(".lk-card").first.wait_for()
    count, seen = everything(page), set()
    page.locator(".lk-gallery input[type=range]").fill("160")
    page.wait_for_function("document.querySelector('.lk-card').offsetWidth >= 160")
    page.evaluate("document.querySelector('.lk-grid').scrollTop = 0")
    for _ in range(60):
        page.wait_for_function("!document.querySelector('.lk-wait')")
        seen |= set(page.locator(".lk-card .lk-name").all_inner_texts())
        assert page.locator(".lk-card").count() < 60
        end = page.evaluate("""() => { const grid = document.querySelector('.lk-grid');
            grid.scrollTop += grid.clientHeight - 200;
            return grid.scrollTop + grid.clientHeight >= grid.scrollHeight - 1; }""")
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")  # it is drawn
        if end and len(seen) == count:
            break
    assert len(seen) == count == predictions(run)["image"].nunique()
    few = page.locator(".lk-card").first.evaluate("c => c.offsetWidth")
    page.get_by_role("button", name="Fit").click()
    page.wait_for_function("w => document.querySelector('.lk-card').offsetWidth !== w", arg=few)
    assert page.errors == []


@pytest.mark.parametrize("width, height", [(1280, 800), (1920, 1080)])
def test_the_window_is_used(page, served, width, height):
    page.set_viewport_size({"width": width, "height": height})
    page.goto(served)
    page.locator(".lk-card").first.wait_for()
    page.wait_for_timeout(1000)
    grid, image = (page.locator(name).first.bounding_box() for name in (".lk-grid", ".lk-image:not([hidden]) .lk-frame"))
    assert grid["y"] + grid["height"] > height - 40 and image["height"] > 0.5 * height
    before = grid["width"]
    page.locator(".lk-splitter").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("w => document.querySelector('.lk-grid').clientWidth > w + 50", arg=before)
    box = page.locator(".lk-splitter").bounding_box()
    page.mouse.move(box["x"] + 6, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(width * 0.3, box["y"] + 220, steps=4)
    page.mouse.up()
    page.wait_for_function("w => document.querySelector('.lk-grid').clientWidth < w - 50", arg=before)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shot(page, f"page-{width}")
    assert page.errors == []


def test_a_link_restores_the_view(page, served, run):
    page.goto(served)
    page.locator(".lk-card").first.wait_for()
    everything(page)
    page.locator(".lk-grid").focus()
    page.keyboard.press("End")
    last = predictions(run)["image"].max()
    page.locator(".lk-title", has_text=last).wait_for()
    page.wait_for_function("location.hash.length > 20")
    page.wait_for_timeout(500)
    link = page.url
    other = page.context.new_page()
    other.goto(link)
    other.locator(".lk-title", has_text=last).wait_for()
    expect_shown(other, predictions(run)["image"].nunique())
    assert other.locator(".lk-sort select").input_value() == page.locator(".lk-sort select").input_value()
    other.locator(".lk-card[aria-selected=true]").wait_for(state="attached")
    other.goto(link.split("#")[0] + "#view=nonsense")
    other.reload()
    other.locator(".lk-problem", has_text="This is no link to a view").wait_for()
    other.close()


def test_help_and_sheets(page, served):
    page.goto(served)
    page.locator(".lk-card").first.wait_for()
    page.keyboard.press("?")
    page.locator("dialog[open] dt", has_text="Enter").wait_for()
    shot(page, "page-help")
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    page.locator(".lk-side textarea").focus()
    page.keyboard.press("?")
    assert page.locator("dialog[open]").count() == 0, "a question mark in a note is text"
    for kind, start in (("PNG", b"\x89PNG"), ("PDF", b"%PDF-")):
        with page.expect_download() as download:
            page.get_by_role("button", name=kind, exact=True).click()
        assert Path(download.value.path()).read_bytes().startswith(start) and download.value.suggested_filename.endswith(kind.lower())
    assert page.errors == []


def test_models_are_compared(page, served):
    page.goto(served)
    page.locator(".lk-card").first.wait_for()
    tab(page, "Compare")
    button = page.get_by_role("button", name=re.compile("A right, B wrong: "))
    button.wait_for()
    count = int(button.inner_text().split(": ")[1])
    page.locator(".lk-half .lk-image:not([hidden]) img").nth(1).wait_for()
    shot(page, "page-compare")
    button.click()
    expect_shown(page, count)
    tab(page, "Raters")
    page.locator(".lk-note", has_text="Nobody has labelled").wait_for()
    assert page.errors == []


def test_a_blinded_rater_sees_no_label(notebook, run):
    page = notebook(code(run, rater="Anna", blinded=True), "blinded")
    page.locator(".lk-card").first.wait_for()
    fit(page)
    page.wait_for_timeout(1500)
    words = page.evaluate("""() => [...document.querySelectorAll('.leuknb, .leuknb *')].filter(n => !n.closest('.lk-annotate, option'))
        .flatMap(n => [...n.attributes].map(a => a.value).concat([...n.childNodes].filter(c => c.nodeType === 3).map(c => c.data)))
        .filter(text => /Benign|Early|Pre\\b|Pro\\b|wrong/.test(text))""")
    assert words == []
    shot(page, "lab-blinded")
    page.locator(".lk-annotate select").select_option(label="Pre")
    page.locator(".lk-title", has_text="true").wait_for()
    assert pd.read_csv(run / "annotations-Anna.csv")["label"].tolist() == ["Pre"]
    (run / "annotations-Anna.csv").unlink()
    assert page.errors == []


def test_the_page_is_accessible(page, served):
    page.goto(served)
    page.locator(".lk-card").first.wait_for()
    for name in ("Image", "Confusion matrix", "Feature map", "Compare", "Raters", "Try an image"):
        tab(page, name)
        page.wait_for_timeout(800)
        assert axe_violations(page, "'.leuknb'") == [], name


def test_page_wants_its_token(page, served):
    page.goto(served.split("?")[0])
    assert "/login" in page.url and page.locator(".lk-card").count() == 0
    answer = page.request.get(served.split("?")[0] + "api/kernels", max_redirects=0)
    assert answer.status in (302, 401, 403)


@pytest.mark.parametrize("way", ["page", "token", "static", "websocket"])
def test_a_foreign_host_is_refused(served, way):
    "A name on the internet that leads to this computer (DNS rebinding) gets nothing, not even with the token."
    import http.client
    port, token = re.search(r":(\d+)/\?token=(.*)", served).groups()
    kernel = "/api/kernels/00000000-0000-0000-0000-000000000000/channels"
    path = {"page": "/", "token": f"/?token={token}", "static": "/voila/static/voila.js", "websocket": f"{kernel}?token={token}"}[way]
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    answers = {}
    for host in ("evil.example", f"evil.example:{port}", f"127.0.0.1:{port}"):
        asked = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)
        asked.request("GET", path, headers={"Host": host} | (upgrade if way == "websocket" else {}))
        answers[host] = asked.getresponse().status
        asked.close()
    assert list(answers.values())[:2] == [403, 403] and answers[f"127.0.0.1:{port}"] != 403, answers


def test_page_listens_on_this_computer_only(served):
    port = int(re.search(r":(\d+)/", served)[1])
    others = subprocess.run(["hostname", "-I"], capture_output=True, text=True).stdout.split()
    import socket
    for host in [h for h in others if "." in h]:
        with socket.socket() as probe:
            probe.settimeout(2)
            assert probe.connect_ex((host, port)) != 0


def test_contrast_in_both_themes(browser, lab, run, tmp_path_factory):
    "WCAG AA: text at least 4.5 : 1, by computed colours, in Lab's light and dark theme."
    address, folder = lab
    (folder / "colour.ipynb").write_text(json.dumps({"cells": [{"cell_type": "code", "id": "one", "execution_count": None, "metadata": {},
        "outputs": [], "source": code(run)}], "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4, "nbformat_minor": 5}))
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.set_default_timeout(45_000)
    page.goto(f"{address}/lab/workspaces/colour/tree/colour.ipynb?reset")
    run_all(page)
    page.locator(".lk-card").first.click()
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        page.get_by_role("menuitem", name="Settings", exact=True).click()
        page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Theme$")).click()
        page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{theme}$")).click()
        page.wait_for_timeout(2500)
        for name in ("Confusion matrix", "Feature map", "Compare", "Raters", "Try an image", "Image"):
            tab(page, name)
            page.wait_for_timeout(500)
            poor = page.evaluate(CONTRAST)
            assert poor == [], (theme, name, poor)
        shot(page, theme.split()[1].lower())
    page.context.close()


CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = (text) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((s, v, i) => s + v * [.2126, .7152, .0722][i], 0);
  const ground = (node) => { for (; node; node = node.parentElement) { const c = rgba(getComputedStyle(node).backgroundColor);
    if (c[3] > 250) return c; } return [255, 255, 255, 255]; };
  const poor = [];
  for (const node of document.querySelectorAll('.leuknb *')) {
    const own = [...node.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || !node.offsetParent || node.disabled || node.closest('option, .lk-badge, .lk-flag, [hidden]')) continue;
    const a = light(rgba(getComputedStyle(node).color)), b = light(ground(node));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) poor.push(`${node.className || node.tagName} '${node.textContent.trim().slice(0, 30)}' ${ratio.toFixed(2)}`);
  }
  return [...new Set(poor)];
}"""
