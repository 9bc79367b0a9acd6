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
