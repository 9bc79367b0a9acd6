"The jobs under examples/ run as they are printed."
import subprocess
import sys
from pathlib import Path

import pytest

from leuknb.patients import make_smears

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def test_a_folder_that_is_missing_is_named():
    done = subprocess.run([sys.executable, EXAMPLES / "reproduce_own_images.py", "nowhere", "out"], capture_output=True, text=True)
    assert done.returncode == 1 and "nowhere: no such folder or file" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.long
def test_reproduce_own_images(tmp_path):
    smears = make_smears(tmp_path / "smears", images=96, patients=24, size=96, progress=False)
    command = [sys.executable, EXAMPLES / "reproduce_own_images.py", smears / "catalogue.csv", tmp_path / "run"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "p_holm" in done.stdout and (tmp_path / "run" / "report.html").exists()


def run(name, *arguments):
    return subprocess.run([sys.executable, EXAMPLES / name, *map(str, arguments)], capture_output=True, text=True)


def test_examples_are_short_and_name_what_is_missing():
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 60
    done = run("audit_predictions.py", "nowhere.csv", ".", "out")
    assert done.returncode == 1 and "nowhere.csv: no such folder or file" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.long
def test_a_network_of_ones_own(tmp_path):
    smears = make_smears(tmp_path / "smears", images=96, patients=24, size=96, progress=False)
    done = run("own_network.py", smears / "catalogue.csv", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "small-net" in done.stdout and (tmp_path / "run" / "report.html").exists()


@pytest.mark.long
def test_an_audit_of_somebody_elses_predictions(tmp_path):
    import pandas as pd
    smears = make_smears(tmp_path / "smears", images=64, patients=16, size=96, progress=False)
    table = pd.read_csv(smears / "catalogue.csv").query("variant == 'original'")
    table.assign(true=table["label"], predicted=table["label"])[["path", "true", "predicted"]].to_csv(tmp_path / "theirs.csv", index=False)
    done = run("audit_predictions.py", tmp_path / "theirs.csv", smears / "catalogue.csv", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "Without the shape of any cell" in done.stdout and "leaks: the training set is not known" in done.stdout
