"Progress: bars for people, lines for logs."
import io
import os
import subprocess
import sys

import pytest

from leuknb.lib import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_bar():
    screen = Terminal()
    assert sum(progress.tqdm(range(5), file=screen, mininterval=0)) == 10
    assert "\r" in screen.getvalue() and "5/5" in screen.getvalue()


def test_a_log_gets_nothing_of_short_work():
    log = io.StringIO()
    for _ in progress.tqdm(range(1000), desc="images", file=log):
        pass
    assert log.getvalue() == ""


def test_a_log_gets_a_line_every_half_minute(monkeypatch):
    seconds = iter(range(0, 10_000, 10))  # each look at the clock is ten seconds later
    monkeypatch.setattr(progress, "monotonic", lambda: next(seconds))
    log = io.StringIO()
    with progress.tqdm(total=12, desc="images", unit="img", file=log) as bar:
        for _ in range(12):
            bar.update()
    lines = log.getvalue().splitlines()
    assert 2 <= len(lines) <= 6 and "\r" not in log.getvalue()
    assert all(line.startswith("images: ") and " of 12 img, " in line for line in lines)


@pytest.mark.parametrize("options", [{"disable": True}, {"leave": False}, {"total": None}, {"initial": 3, "total": 5}])
def test_the_options_of_tqdm(options, monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0)
    log = io.StringIO()
    with progress.tqdm(file=log, **options) as bar:
        bar.set_description("now")
        bar.set_postfix(loss=1)
        bar.update(2)
        progress.tqdm.write("a line", file=log)
    assert log.getvalue().count("a line\n") == 1 and "\r" not in log.getvalue()
    assert (log.getvalue() == "a line\n") == bool(options.get("disable"))


def test_a_command_in_a_pipe_writes_no_control_characters(tmp_path):
    done = subprocess.run([sys.executable, "-m", "leuknb", "synth", tmp_path / "smears", "--images", "8", "--size", "64"],
                          capture_output=True, env=os.environ | {"LEUKNB_CACHE": str(tmp_path / "cache")})
    assert done.returncode == 0 and b"\r" not in done.stdout + done.stderr.replace(b"\r\n", b"\n")
