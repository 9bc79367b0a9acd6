"What needs no network of neurons needs no torch."
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCK = """
import sys


class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "skorch", "captum"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Blocked())
"""
MODULES = ("metrics", "compare", "synth", "segment", "data", "paper")
NOTEBOOKS = ("00_data", "05_synth", "10_segment", "50_metrics", "52_compare", "55_paper")


def test_the_block_works():
    done = subprocess.run([sys.executable, "-c", f"{BLOCK}\nimport torch"], capture_output=True, text=True)
    assert done.returncode == 1 and "No module named 'torch'" in done.stderr


def test_modules_without_torch():
    imports = "\n".join(f"import leuknb.{name}" for name in (*MODULES, "cli", "lib.course"))
    done = subprocess.run([sys.executable, "-c", f"{BLOCK}\n{imports}\nassert 'torch' not in sys.modules"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.long
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebooks_without_torch(name, tmp_path):
    import nbformat
    from nbclient import NotebookClient
    notebook = nbformat.read(ROOT / "nbs" / f"{name}.ipynb", as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(BLOCK))
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
