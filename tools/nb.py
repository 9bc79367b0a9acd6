"""Keep notebooks, modules, outputs and README in step.

    python tools/nb.py text 30_knn        nbs/30_knn.ipynb -> .nbtext/30_knn.py, to edit (lib/runs for nbs/lib/runs.ipynb)
    python tools/nb.py build 30_knn       .nbtext/30_knn.py -> notebook, module, outputs, cleaned
    python tools/nb.py run [30_knn ...]   execute and clean (all, without a name)
    python tools/nb.py export             every module and the index
    python tools/nb.py readme             README.md from nbs/index.ipynb
    python tools/nb.py check              is all of this up to date, and within the budgets? (what CI asks)
"""
import filecmp
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import budgets

ROOT = Path(__file__).resolve().parent.parent
NBS, LIB, TEXT = ROOT / "nbs", ROOT / "leuknb", ROOT / ".nbtext"


def tool(name, *args, **kwargs):
    "Run a command of this environment."
    subprocess.run([str(Path(sys.executable).parent / name), *map(str, args)], check=True, cwd=ROOT, **kwargs)


def notebooks(names=()):
    "The notebooks named, or all of them."
    paths = [NBS / f"{n.removeprefix('nbs/').removesuffix('.ipynb')}.ipynb" for n in names] or sorted(NBS.rglob("*.ipynb"))
    return [p for p in paths if not any(part.startswith((".", "_")) for part in p.relative_to(NBS).parts)]


def text(name):
    "Write a notebook as percent-format text."
    (TEXT / name).parent.mkdir(parents=True, exist_ok=True)
    tool("jupytext", "--to", "py:percent", NBS / f"{name}.ipynb", "-o", TEXT / f"{name}.py")


def update(name):
    "Carry edited text back, keeping cell ids and outputs."
    nb = NBS / f"{name}.ipynb"
    nb.parent.mkdir(parents=True, exist_ok=True)
    tool("jupytext", "--to", "ipynb", *(["--update"] if nb.exists() else []), "-o", nb, TEXT / f"{name}.py")
    content = json.loads(nb.read_text(encoding="utf-8"))
    content["metadata"] = {"kernelspec": {"display_name": "python3", "language": "python", "name": "python3"}}
    for cell in content["cells"]:
        fold(cell)
    nb.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def fold(cell):
    "Fold what a student need not read at first: directives, imports, hidden and long exported cells; one click opens them."
    if cell["cell_type"] != "code":
        return
    lines = [line for line in "".join(cell["source"]).splitlines() if line.strip()]
    code = [line for line in lines if not line.startswith("#")]
    imports = code and all(re.match(r"(from|import|    |\)|%config)", line) for line in code)
    hidden = any(re.match(r"#\|\s*(default_exp|hide)", line) for line in lines)
    long = any(re.match(r"#\|\s*export", line) for line in lines) and len(lines) > 15
    cell["metadata"].pop("jupyter", None)
    if hidden or imports or long:
        cell["metadata"]["jupyter"] = {"source_hidden": True}


def export(path=None):
    "Write the module of one notebook, or every module and the index."
    if path is None:
        return tool("nbdev_export")
    from nbdev.export import nb_export
    nb_export(path, lib_path=LIB)


def stable_ids(raw):
    "Number widget models and other random ids by their order, so that a second run changes nothing."
    seen = {}
    return re.sub(r"\b[0-9a-f]{32}\b", lambda m: seen.setdefault(m[0], f"{len(seen):032x}"), raw)


def run(path):
    "Execute a notebook in place, then clean it."
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError
    nb, start = nbformat.read(path, as_version=4), time.time()
    try:
        NotebookClient(nb, timeout=600, store_widget_state=False, resources={"metadata": {"path": str(path.parent)}}).execute()
    except CellExecutionError as error:
        sys.exit(f"{path.relative_to(NBS)}: " + re.sub("\x1b\\[[0-9;]*m", "", str(error)))
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.metadata.pop("execution", None)
            cell.outputs = [without_address(o) for o in cell.outputs if o.get("name") != "stderr"]
    path.write_text(stable_ids(nbformat.writes(nb)) + "\n", encoding="utf-8")
    clean(path)
    print(f"{path.relative_to(NBS)}: executed in {time.time() - start:.0f} s")


def without_address(output):
    "An output whose plain text names no place in memory, which every run changes."
    data = output.get("data", {})
    if "text/plain" in data:
        data["text/plain"] = re.sub(r" at 0x[0-9a-f]+", "", data["text/plain"])
    return output


def clean(path):
    "nbdev_clean, which also drops what differs between machines."
    tool("nbdev_clean", "--fname", path, stdout=subprocess.DEVNULL)


def readme_text():
    "README.md as index.ipynb renders it: prose and stored outputs, code hidden where marked."
    import nbformat
    nb, parts = nbformat.read(NBS / "index.ipynb", as_version=4), []
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
        elif cell.cell_type == "code":
            parts += rendered(cell)
    text = "\n\n".join(p.strip() for p in parts if p.strip()) + "\n"
    return re.sub(r"\]\((?!https?:|#|\.\./)", "](nbs/", text).replace("](../", "](")


def rendered(cell):
    "A code cell of index.ipynb as Markdown: its source unless `#| echo: false`, then its outputs."
    if "#| hide" in cell.source:
        return []
    shown = [] if "#| echo: false" in cell.source else [f"```python\n{cell.source}\n```"]
    for out in cell.outputs:
        data = out.get("data", {})
        body = data.get("text/markdown") or data.get("text/plain") or out.get("text", "")
        shown.append(body if "text/markdown" in data else f"```\n{body}\n```")
    return shown


def readme():
    "Write README.md."
    (ROOT / "README.md").write_text(readme_text(), encoding="utf-8")


def differences():
    "Modules that differ from what the notebooks export, and modules that no notebook exports."
    with tempfile.TemporaryDirectory() as tmp:
        copy = Path(tmp) / "leuknb"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".venv", ".git", "runs", "dist", "build"))
        by_hand = {"__init__.py", "__main__.py", "lib/__init__.py"}
        for path in (copy / "leuknb").rglob("*.py"):
            if str(path.relative_to(copy / "leuknb")) not in by_hand:
                path.unlink()
        subprocess.run([sys.executable, str(copy / "tools/nb.py"), "export"], check=True, cwd=copy)
        ours, theirs = ({str(p.relative_to(base)) for p in base.rglob("*.py")} for base in (LIB, copy / "leuknb"))
        _, different, _ = filecmp.cmpfiles(LIB, copy / "leuknb", ours & theirs, shallow=False)
        stale = [f"leuknb/{n}: no notebook exports this module; remove it" for n in sorted(ours - theirs)]
        return stale + [f"leuknb/{n}: differs from its notebook; run `python tools/nb.py export`" for n in sorted({*different, *theirs - ours})]


def notebook_problems(path):
    "What is wrong with a committed notebook: not clean, not folded, outputs missing, a placeholder, an error, a path of one machine."
    raw = path.read_text(encoding="utf-8")
    cells = json.loads(raw)["cells"]
    outputs = [o for c in cells if c["cell_type"] == "code" for o in c["outputs"]]
    folded = json.loads(raw)["cells"]
    for cell in folded:
        fold(cell)
    with tempfile.TemporaryDirectory() as tmp:
        again = Path(tmp) / path.name
        shutil.copy(path, again)
        clean(again)
        unclean = again.read_text(encoding="utf-8").strip() != raw.strip()
    checks = [
        (unclean, "is not clean; run `nbdev_clean`"),
        (folded != cells, "has cells that are not folded; run `python tools/nb.py text` and `build`"),
        (budgets.silent([c for c in cells if c["cell_type"] == "code"], path.parent == NBS), "lacks stored outputs; run `python tools/nb.py run`"),
        (any(without_image(o) for o in outputs), "shows a figure as text alone; put `%matplotlib inline` into a hidden cell"),
        (re.search(r"\d%\|", json.dumps(outputs)), "shows a progress bar in its outputs; run `python tools/nb.py run`"),
        (any(map(budgets.is_placeholder, cells)), "holds a placeholder, a line of capitals alone"),
        (re.search(r" at 0x[0-9a-f]+", json.dumps(outputs)), "names a place in memory in its outputs; run `python tools/nb.py run`"),
        (any(o["output_type"] == "error" for o in outputs), "holds an error in its stored outputs"),
        (re.search(r"/(home|root|Users|work|tmp)/\w", json.dumps(outputs)), "names a path of one machine in its outputs"),
    ]
    return [f"nbs/{path.relative_to(NBS)}: {message}" for bad, message in checks if bad]


def without_image(output):
    "Whether an output names a figure and does not show it."
    shown = output.get("data", {})
    return "".join(shown.get("text/plain", "")).startswith("<Figure") and not any(kind.startswith("image/") for kind in shown)


def check():
    "List everything out of step or over its budget; exit 1 if anything is."
    paths = notebooks()
    problems = [p for path in paths for p in notebook_problems(path)] + differences() + budgets.problems(ROOT)
    if not paths:
        problems.append("nbs: no notebook found")
    if (ROOT / "README.md").read_text(encoding="utf-8") != readme_text():
        problems.append("README.md: differs from nbs/index.ipynb; run `python tools/nb.py readme`")
    print("\n".join(problems) or f"{len(paths)} notebooks, their modules and README.md are in step and within their budgets")
    sys.exit(bool(problems))


def main(command="", *names):
    "Do what the command line says."
    if command == "text":
        return [text(n) for n in names]
    if command == "build":
        return [(update(n), export(NBS / f"{n}.ipynb"), run(NBS / f"{n}.ipynb")) for n in names]
    if command == "run":
        return [run(p) for p in notebooks(names)]
    if command in ("export", "readme", "check"):
        return globals()[command]()
    sys.exit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
