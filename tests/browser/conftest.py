"""JupyterLab and Voila, started on free ports and driven in Debian's chromium."""
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import axe_playwright_python
import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]


AXE = next(Path(axe_playwright_python.__file__).parent.rglob("axe.min.js")).read_text(encoding="utf-8")


def axe_violations(page, part="document"):
    "What breaks WCAG's rules (A and AA) in a page, or in the part that a selector in quotes names."
    page.evaluate(AXE)
    rules = "{preload: false, runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']}"
    return [(v["id"], v["nodes"][0]["html"][:200]) for v in page.evaluate(f"axe.run({part}, {rules})")["violations"]]


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


def pytest_collection_modifyitems(items):
    "Without a browser these tests cannot run; say how to get one."
    if not CHROMIUM:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="no chromium found; install it, e.g. apt-get install -y chromium"))


def free_port():
    "A port nobody listens on."
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def lab_settings(folder, theme="JupyterLab Light"):
    "Lab's settings: a theme, and no questions about news."
    there = Path(folder) / "@jupyterlab" / "apputils-extension"
    there.mkdir(parents=True, exist_ok=True)
    (there / "themes.jupyterlab-settings").write_text(json.dumps({"theme": theme}))
    (there / "notification.jupyterlab-settings").write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))
    return {"JUPYTERLAB_SETTINGS_DIR": str(folder)}


def serve(command, url, folder, seconds=240, **environment):
    "Start a server, wait until it answers, and stop it at the end."
    log = open(Path(folder) / "server.log", "wb")
    environment = os.environ | {"PYTHONPATH": str(HERE.parent)} | environment
    process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, env=environment)
    try:
        end = time.time() + seconds
        while True:
            try:
                urllib.request.urlopen(url, timeout=5)
                break
            except urllib.error.HTTPError:
                break
            except OSError:
                if process.poll() is not None or time.time() > end:
                    pytest.fail(f"{command[0]} did not start:\n{(Path(folder) / 'server.log').read_text()[-3000:]}")
                time.sleep(.2)
        yield process
    finally:
        process.terminate()
        process.wait(20)
        log.close()


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright
    with sync_playwright() as play:
        chrome = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chrome
        chrome.close()


@pytest.fixture
def page(browser):
    "A page of 1280 x 800 that remembers its console errors."
    context = browser.new_context(viewport={"width": 1280, "height": 800}, device_scale_factor=2)
    page = context.new_page()
    page.errors = []
    page.on("console", lambda m: page.errors.append(f"{m.text} {m.location.get('url', '')}") if m.type == "error" else None)
    page.on("pageerror", lambda e: page.errors.append(str(e)))
    page.set_default_timeout(120_000)
    yield page
    context.close()


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    "A run of 120 drawn images under 16 models."
    from fake_run import make_run
    return make_run(tmp_path_factory.mktemp("runs") / "demo", count=120)


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    "JupyterLab; gives its address and the folder of its notebooks."
    folder, port = tmp_path_factory.mktemp("lab"), free_port()
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--IdentityProvider.token=", "--allow-root", "--ip=127.0.0.1",
               f"--port={port}", f"--ServerApp.root_dir={folder}", "--ServerApp.port_retries=0"]
    settings = lab_settings(tmp_path_factory.mktemp("settings"))
    for _ in serve(command, f"http://127.0.0.1:{port}/api", folder, **settings):
        yield f"http://127.0.0.1:{port}", folder


@pytest.fixture
def notebook(lab, page):
    "Open a notebook of one cell in Lab and run it; gives a function (code, name) -> page."
    address, folder = lab

    def open_and_run(code, name="look"):
        cell = {"cell_type": "code", "id": "one", "execution_count": None, "metadata": {}, "outputs": [], "source": code}
        kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
        (folder / f"{name}.ipynb").write_text(json.dumps({"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}))
        page.goto(f"{address}/lab/workspaces/{secrets.token_hex(4)}/tree/{name}.ipynb?reset")
        run_all(page)
        return page
    return open_and_run


def run_all(page):
    "Menu: Run, Run All Cells."
    page.get_by_text("| Idle").first.wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


@pytest.fixture(scope="session")
def real_run(tmp_path_factory):
    "A run of trained heads on an untrained network over synthetic smears: everything is there."
    from leuknb.results import reproduce
    from leuknb.patients import make_smears
    folder = tmp_path_factory.mktemp("real")
    make_smears(folder / "smears", images=96, patients=16, stain_leak=0.3, seed=3, duplicates=6, progress=False)
    reproduce(folder / "smears", folder / "demo", backbones=("alexnet",), weights={"": "random"}, split="kfold", folds=3, progress=False)
    return folder / "demo"
