"""Badges and the first cell that Colab and Binder need, in every course notebook: python tools/badges.py [--check] [30_knn ...]

Running it twice changes nothing. Outputs stay as they are stored; nothing is executed.
"""
import json
import sys

import nb
from leuknb.lib.course import REPOSITORY, source

NAME = REPOSITORY.removeprefix("https://github.com/")
COLAB = "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/{0}/blob/main/nbs/{1})"
BINDER = "[![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/{0}/main?labpath=nbs/{1})"
MARK = "# On Colab: install leuknb. Elsewhere this does nothing."
SETUP = f"""#| hide
{MARK}
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("leuknb") is None:
    wanted = "leuknb[course] @ git+{REPOSITORY}"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", wanted], check=True)"""


def badges(name):
    "The line of badges of a notebook."
    return " ".join(form.format(NAME, name) for form in (COLAB, BINDER))


def with_badges(notebook, name):
    "A notebook whose first cell ends with the badges, and whose second one installs where that is needed."
    first, *rest = notebook["cells"]
    kept = [line for line in source(first).splitlines() if not line.startswith("[![Open in Colab]")]
    title = next(i for i, line in enumerate(kept) if line.startswith("> ")) + 1
    while title < len(kept) and kept[title].startswith(">"):
        title += 1
    after = "\n".join(kept[title:]).strip("\n")
    text = "\n".join([*kept[:title], "", badges(name), *(["", after] if after else [])])
    rest = [cell for cell in rest if MARK not in source(cell)]
    setup = {"cell_type": "code", "execution_count": None, "id": "colab", "metadata": {}, "outputs": [], "source": lines(SETUP)}
    nb.fold(setup)
    return notebook | {"cells": [first | {"source": lines(text)}, setup, *rest]}


def lines(text):
    "Text as a notebook stores it."
    return text.splitlines(keepends=True)


def written(path):
    "The text of a notebook with its badges."
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return json.dumps(with_badges(notebook, path.name), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main(*names):
    "Write, or say which notebooks lack them."
    names, check = [n for n in names if n != "--check"], "--check" in names
    paths = [path for path in nb.notebooks(names) if path.parent == nb.NBS and path.name[0].isdigit()]
    stale = [path for path in paths if path.read_text(encoding="utf-8") != written(path)]
    if check:
        sys.exit("\n".join(f"nbs/{path.name}: run `python tools/badges.py`" for path in stale) or 0)
    for path in stale:
        path.write_text(written(path), encoding="utf-8", newline="\n")
    print(f"{len(stale)} of {len(paths)} notebooks changed")


if __name__ == "__main__":
    main(*sys.argv[1:])
