"""Time to the first gallery, of a filter, of a jump in the gallery and from a click to the detail, in a real browser.

    python bench/bench_explore.py [--images 20000] [--drawn 400] [--run RUN]
"""
import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "browser"), str(ROOT / "tests")]

OPEN = """import time
begin = time.perf_counter()
from leuknb.explore import explore
imported = time.perf_counter()
looking = explore({run!r}, static=False)
print(f"{{imported - begin:.3f}} {{time.perf_counter() - imported:.3f}}")
looking"""
NAIVE = """import io
import pandas as pd
import ipywidgets as widgets
table = pd.read_csv({run!r} + "/predictions.csv")
paths = pd.read_csv({run!r} + "/catalogue.csv").query("variant == 'original'").set_index("image")["path"]
wrong = table[(table["true"] == "Benign") & (table["predicted"] != "Benign")]["image"].unique()
box = widgets.HBox([widgets.Image(value=open(paths[i], "rb").read(), format="jpeg", width=112) for i in wrong],
                   layout=dict(flex_flow="row wrap"))
box.add_class("naive")
box"""


def write(folder, name, source):
    "A notebook of one cell."
    import json
    cell = {"cell_type": "code", "id": "one", "execution_count": None, "metadata": {}, "outputs": [], "source": source}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    content = {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    (Path(folder) / f"{name}.ipynb").write_text(json.dumps(content))


def first_image(page, address, name, image):
    "Seconds from running the cell until its images are there."
    from conftest import run_all
    page.goto(f"{address}/lab/workspaces/{name}/tree/{name}.ipynb?reset")
    page.get_by_text("| Idle").first.wait_for()
    page.evaluate(f"""() => {{ window.ready = null; const look = () => {{ const all = [...document.querySelectorAll('{image}')];
        if (all.length && all.every(i => i.complete && i.naturalWidth)) window.ready = performance.now(); else requestAnimationFrame(look); }};
        document.addEventListener('click', () => window.begin = performance.now(), true); look(); }}""")
    run_all(page)
    page.wait_for_function("window.ready", timeout=180_000)
    return page.evaluate("(window.ready - window.begin) / 1000")


def click_to_detail(page, clicks=12):
    "Median seconds from a click on a thumbnail until its large image is drawn."
    page.wait_for_timeout(4000)
    took = []
    for n in range(1, clicks + 1):
        took.append(page.evaluate("""async (n) => {
            const card = document.querySelectorAll('.lk-card')[n], name = card.querySelector('.lk-name').textContent;
            const begin = performance.now();
            card.click();
            while (true) {
                await new Promise(requestAnimationFrame);
                const image = document.querySelector('.lk-side .lk-image img');
                if (document.querySelector('.lk-title').textContent.includes(name) && image.alt.includes(name) && image.complete) break;
            }
            return (performance.now() - begin) / 1000; }""", n))
        page.wait_for_timeout(300)
    return statistics.median(took)


def until_drawn(page, act):
    "Seconds from an action until the gallery has another title, or other images, and every visible thumbnail is drawn."
    return page.evaluate(r"""async (act) => {
        const grid = document.querySelector('.lk-grid'), state = () => document.querySelector('.lk-count').textContent;
        const box = (name) => [...document.querySelectorAll('.lk-filters .widget-dropdown')].find(
            (b) => b.querySelector('.widget-label').textContent === name).querySelector('select');
        const first = () => document.querySelector('.lk-card .lk-name')?.textContent;
        const before = [state(), first()], begin = performance.now();
        if (act === 'end') grid.scrollTop = grid.scrollHeight;
        else {
            const [name, start] = act.split('='), select = box(name);
            select.selectedIndex = [...select.options].findIndex((o) => o.text.replaceAll('\u00a0', ' ').startsWith(start));
            select.dispatchEvent(new Event('change', { bubbles: true }));
        }
        while (true) {
            await new Promise(requestAnimationFrame);
            if (performance.now() - begin > 20000) return NaN;
            const cards = [...document.querySelectorAll('.lk-card')], shown = [...document.querySelectorAll('.lk-card img')];
            const changed = state() !== before[0] || first() !== before[1];
            if (changed && !document.querySelector('.lk-wait') && cards.length && shown.every((i) => i.complete)) break;
        }
        return (performance.now() - begin) / 1000; }""", act)


def filters(page, rounds=3):
    "Median and longest seconds of filters, each the quickest of some rounds, and of a jump to the end, once all images are shown."
    acts = ["True class=any", "Head=KNN", "Head=any", "Variant=segmented", "Variant=any", "Agreement=exactly one", "Agreement=any",
            "Predicted=any (", "Predicted=any wrong", "True class=Pre", "True class=Benign"]
    took = []
    for act in acts * rounds:
        took.append(until_drawn(page, act))
        page.wait_for_timeout(700)
    took = [min(took[n::len(acts)]) for n in range(len(acts))]
    until_drawn(page, "True class=any")
    until_drawn(page, "Predicted=any (")
    page.wait_for_timeout(700)
    return statistics.median(took), max(took), until_drawn(page, "end")


def measure(run):
    "Rows of the table: what, seconds, goal."
    from conftest import CHROMIUM, FLAGS, free_port, lab_settings, serve
    from playwright.sync_api import sync_playwright
    folder, port = tempfile.mkdtemp(), free_port()
    write(folder, "cold", OPEN.format(run=str(run)))
    write(folder, "warm", OPEN.format(run=str(run)))
    write(folder, "naive", NAIVE.format(run=str(run)))
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--IdentityProvider.token=", "--allow-root", "--ip=127.0.0.1",
               f"--port={port}", f"--ServerApp.root_dir={folder}"]
    address = f"http://127.0.0.1:{port}"
    bytecode = {"PYTHONPYCACHEPREFIX": tempfile.mkdtemp(), "PYTHONDONTWRITEBYTECODE": ""}  # the first kernel writes it, as after an installation
    for _ in serve(command, f"{address}/api", folder, **lab_settings(tempfile.mkdtemp()), **bytecode):
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.set_default_timeout(180_000)
            first_image(page, address, "cold", ".lk-card img")
            shown = first_image(page, address, "warm", ".lk-card img")
            imported, opened = map(float, page.locator(".jp-OutputArea-output pre").first.inner_text().split())
            click = click_to_detail(page)
            middle, longest, jump = filters(page)
            naive = first_image(page, address, "naive", ".naive img")
            browser.close()
    return [("first gallery, new kernel, import included", shown, 2.0), ("first gallery, import excluded", shown - imported, None),
            ("  importing leuknb.explore", imported, None),
            ("  explore() itself", opened, None), ("click to detail, without attribution", click, 0.3),
            ("filter to gallery, median", middle, 0.2), ("filter to gallery, longest of eleven", longest, None),
            ("jump to the end of all images", jump, None),
            ("obvious way: all misread Benign as widgets.Image", naive, None)]


def main():
    "Measure and print."
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--images", type=int, default=20000)
    args.add_argument("--drawn", type=int, default=400, help="different image files; the others repeat them")
    args.add_argument("--run", help="a run folder; default: drawn images and made-up predictions under 16 models")
    args.add_argument("--data", help=argparse.SUPPRESS)
    args = args.parse_args()
    from conftest import CHROMIUM
    from fake_run import make_run
    if not CHROMIUM:
        print("no chromium found; install it, e.g. apt-get install -y chromium")
        return
    run = Path(args.run) if args.run else make_run(Path(tempfile.mkdtemp()) / "run", args.images, drawn=args.drawn)
    start = time.time()
    rows = measure(run)
    print(f"explorer, {args.images:,} images ({args.drawn} files) x 16 models, in chromium" if not args.run else f"explorer, {run}, in chromium")
    for what, seconds, goal in rows:
        print(f"{what:50} {seconds:8.2f} s" + (f"   goal {goal} s" if goal else "") + (f"   {seconds / rows[0][1]:.1f} x the explorer" if "obvious" in what else ""))
    print(f"measured in {time.time() - start:.0f} s")


if __name__ == "__main__":
    main()
