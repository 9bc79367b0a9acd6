"Every code block of README and of the how-to pages runs as it is printed, in a folder that holds what the pages speak of."
import contextlib
import io
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from leuknb.cli import main, parser

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import dev  # noqa: E402

PAGES = [ROOT / "README.md", *sorted(p for p in (ROOT / "docs/how-to").glob("*.md") if p.stem != "index")]
NOT_HERE = ("explore", "fetch", "push", "pull", "completion")  # serve until they are stopped, or need another server: read, not run
BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page):
    "Language and text of each code block of a page."
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def lines(text):
    "The commands of a block: continued lines joined, comments left out."
    commands = (shlex.split(line, comments=True) for line in text.replace("\\\n", " ").splitlines())
    return [words for words in commands if words]


@pytest.fixture
def place(smears, made, tmp_path, monkeypatch):
    "A folder with DIR, new.jpg, predictions.csv and runs/mine; the current one."
    shutil.copytree(smears, tmp_path / "DIR")
    shutil.copytree(made[0].path, tmp_path / "runs/mine")
    shutil.copy(next((tmp_path / "DIR").rglob("*.jpg")), tmp_path / "new.jpg")
    shutil.copy(made[0].path / "predictions.csv", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEUKNB_CACHE", str(tmp_path / "cache"))


def check_command(words, run):
    "Read a command, and run it where that is possible here."
    if words[0] in ("make", "python") and (words[0] == "make" or words[1] == "tools/dev.py"):
        assert words[-1] in dev.COMMANDS, words
    elif words[:2] == ["python", "tools/nb.py"]:
        assert words[2] in ("text", "build", "check")
    elif words[:2] == ["pip", "install"]:
        assert re.fullmatch(r"\.|leuknb(\[\w+\])?", words[2]), words
    else:
        assert words[0] == "leuknb", words
        args = parser().parse_args(words[1:])
        downloads = getattr(args, "recipe", None) is None and args.command == "reproduce" and "--weights" not in words
        if run and args.command not in NOT_HERE and not downloads:
            assert main(words[1:]) == 0, words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_can_be_read(page):
    for language, text in blocks(page):
        assert language in ("sh", "python", "text"), f"{page.name}: a block of {language or 'no language'}"
        if language == "python":
            compile(text, page.name, "exec")
        for words in lines(text) if language == "sh" else ():
            check_command(words, run=False)


def run_page(page):
    "Run the blocks of a page in their order; the Python of a page is one program."
    names = {}
    for language, text in blocks(page):
        with contextlib.redirect_stdout(io.StringIO()):
            if language == "python":
                exec(compile(text, page.name, "exec"), names)
            for words in lines(text) if language == "sh" else ():
                check_command(words, run=True)


@pytest.mark.parametrize("name", ["own-predictions", "teach"])
def test_quick_pages_run(name, place):
    run_page(ROOT / f"docs/how-to/{name}.md")


@pytest.mark.long
@pytest.mark.parametrize("name", ["own-images", "own-network", "cluster"])
def test_how_to_pages_run(name, place):
    run_page(ROOT / f"docs/how-to/{name}.md")


@pytest.mark.long
def test_the_readme_runs(place):
    shutil.rmtree("runs/mine")  # the README makes it
    run_page(ROOT / "README.md")
    assert os.path.exists("runs/mine/report.html")
