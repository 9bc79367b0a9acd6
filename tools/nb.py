"""Keep notebooks, modules, outputs and README in step.

    python tools/nb.py text 30_heads      nbs/30_heads.ipynb -> .nbtext/30_heads.py, to edit
    python tools/nb.py build 30_heads     .nbtext/30_heads.py -> notebook, module, outputs, cleaned
    python tools/nb.py run [30_heads ...] execute and clean (all, without a name)
    python tools/nb.py export             every module and the index
    python tools/nb.py readme             README.md from nbs/index.ipynb
    python tools/nb.py check              is all of this up to date? (what CI asks)
"""
import ast
import filecmp
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NBS, LIB, TEXT = ROOT / "nbs", ROOT / "leuknb", ROOT / ".nbtext"


def tool(name, *args, **kwargs):
    "Run a command of this environment."
    subprocess.run([str(Path(sys.executable).parent / name), *map(str, args)], check=True, cwd=ROOT, **kwargs)


def notebooks(names=()):
    "The notebooks named, or all of them."
    found = [NBS / f"{Path(n).stem}.ipynb" for n in names] or sorted(NBS.glob("*.ipynb"))
    return [p for p in found if not p.name.startswith((".", "_"))]


def text(name):
    "Write a notebook as percent-format text."
    TEXT.mkdir(exist_ok=True)
    tool("jupytext", "--to", "py:percent", NBS / f"{name}.ipynb", "-o", TEXT / f"{name}.py")


def update(name):
    "Carry edited text back, keeping cell ids and outputs."
    nb = NBS / f"{name}.ipynb"
    tool("jupytext", "--to", "ipynb", *(["--update"] if nb.exists() else []), "-o", nb, TEXT / f"{name}.py")
    content = json.loads(nb.read_text(encoding="utf-8"))
    content["metadata"] = {"kernelspec": {"display_name": "python3", "language": "python", "name": "python3"}}
    nb.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


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
    nb, start = nbformat.read(path, as_version=4), time.time()
    NotebookClient(nb, timeout=600, store_widget_state=False, resources={"metadata": {"path": str(path.parent)}}).execute()
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.metadata.pop("execution", None)
            cell.outputs = [without_address(o) for o in cell.outputs if o.get("name") != "stderr"]
    path.write_text(stable_ids(nbformat.writes(nb)) + "\n", encoding="utf-8")
    clean(path)
    print(f"{path.name}: executed in {time.time() - start:.0f} s")


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
    "Modules that differ from what the notebooks export."
    with tempfile.TemporaryDirectory() as tmp:
        copy = Path(tmp) / "leuknb"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".venv", ".git", "runs", "dist", "build"))
        subprocess.run([sys.executable, str(copy / "tools/nb.py"), "export"], check=True, cwd=copy)
        names = {p.name for p in LIB.glob("*.py")} | {p.name for p in (copy / "leuknb").glob("*.py")}
        same, _, _ = filecmp.cmpfiles(LIB, copy / "leuknb", names, shallow=False)
        return [f"leuknb/{n}: differs from its notebook; run `python tools/nb.py export`" for n in sorted(names - set(same))]


def shows_value(source):
    "Does a lesson cell end on a value? A call may return None, and a semicolon hides the value."
    if re.search(r"#\| *(export|exporti|exports|hide|eval: *false)", source) or source.rstrip().endswith(";"):
        return False
    lines = ("pass" if line.startswith(("%", "!")) else line for line in source.splitlines())
    body = ast.parse("\n".join(lines)).body
    return bool(body) and isinstance(body[-1], ast.Expr) and not isinstance(body[-1].value, (ast.Call, ast.Await))


def is_placeholder(cell):
    "Does a text cell hold a line of capitals alone, such as TODO?"
    return cell["cell_type"] == "markdown" and re.search(r"^[A-Z][A-Z _]{3,}\W*$", "".join(cell["source"]), re.MULTILINE)


def silent(code):
    "Does a lesson lack outputs: below a cell that ends on a value, or in its whole last third?"
    unshown = any(shows_value("".join(c["source"])) and not c["outputs"] for c in code)
    return unshown or not any(c["outputs"] for c in code[-(len(code) // 3 or 1):])


def notebook_problems(path):
    "What is wrong with a committed notebook: not clean, outputs missing, a placeholder, an error, a path of one machine."
    raw = path.read_text(encoding="utf-8")
    cells = json.loads(raw)["cells"]
    code = [c for c in cells if c["cell_type"] == "code"]
    outputs = [o for c in code for o in c["outputs"]]
    with tempfile.TemporaryDirectory() as tmp:
        again = Path(tmp) / path.name
        shutil.copy(path, again)
        clean(again)
        unclean = again.read_text(encoding="utf-8").strip() != raw.strip()
    checks = [
        (unclean, "is not clean; run `nbdev_clean`"),
        (silent(code), "lacks stored outputs; run `python tools/nb.py run`"),
        (any(map(is_placeholder, cells)), "holds a placeholder, a line of capitals alone"),
        (re.search(r" at 0x[0-9a-f]+", json.dumps(outputs)), "names a place in memory in its outputs; run `python tools/nb.py run`"),
        (any(o["output_type"] == "error" for o in outputs), "holds an error in its stored outputs"),
        (re.search(r"/(home|root|Users|work|tmp)/\w", json.dumps(outputs)), "names a path of one machine in its outputs"),
    ]
    return [f"nbs/{path.name}: {message}" for bad, message in checks if bad]


def check():
    "List everything out of step; exit 1 if anything is."
    found = notebooks()
    problems = [p for path in found for p in notebook_problems(path)] + differences()
    if not found:
        problems.append("nbs: no notebook found")
    if (ROOT / "README.md").read_text(encoding="utf-8") != readme_text():
        problems.append("README.md: differs from nbs/index.ipynb; run `python tools/nb.py readme`")
    print("\n".join(problems) or f"{len(found)} notebooks, their modules and README.md are in step")
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
