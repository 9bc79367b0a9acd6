"The last screen of a first run: it fits a small terminal and says what to do next."
import re

import pandas as pd

from leuknb.cli import parser


def test_the_last_screen(made):
    run, printed = made
    lines = printed.rstrip().splitlines()
    assert max(map(len, lines)) <= 80 or str(run.path) in max(lines, key=len)  # a long path is the user's own
    models = len(run.comparison)
    assert len(lines) - models + 12 <= 24, "12 models, as in the demo, would not fit"
    assert "not for diagnosis" in printed and f"leuknb explore {run.path}" in printed


def test_what_it_says_to_do_next_are_commands(made):
    commands = re.findall(r"leuknb (\w+) (\S+)", "\n".join(made[1].splitlines()[-8:]))
    assert commands
    for command, argument in commands:
        parser().parse_args([command, argument])


def test_the_table_keeps_every_model_on_one_line(made):
    run, printed = made
    rows = [line for line in printed.splitlines() if re.match(r"\s*(alexnet|vgg19)\b", line)]
    assert len(rows) == len(run.comparison) and isinstance(run.comparison, pd.DataFrame)
