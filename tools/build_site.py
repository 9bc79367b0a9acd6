"""The documentation site, built offline from the notebooks' stored outputs.

    python tools/build_site.py [--only 30_knn ...] [--out _site]   build, with warnings as errors, then check every link
    python tools/build_site.py --check _site                       check the links of a built site alone

Notebooks become pages as they are stored; nothing is executed. The pages of the reference, of the command, of the course and of the
gallery are made from the package itself. The result opens from disk.
"""
import argparse
import base64
import json
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

import budgets
import site_pages
from leuknb.lib.course import REPOSITORY, read_cells, source

ROOT = Path(__file__).resolve().parent.parent
NBS, DOCS = ROOT / "nbs", ROOT / "docs"
BADGES = re.compile(r"^\[!\[[^\]]*\]\([^)]*\)\].*\n?", re.MULTILINE)  # a line of badges, which are pictures of other servers


def page_notebooks(only=()):
    "The notebooks that become pages, in reading order."
    paths = [*sorted(NBS.glob("[0-9]*.ipynb")), NBS / "results-measured.ipynb"]
    if unknown := set(only) - {path.stem for path in paths}:
        sys.exit(f"no notebook named {', '.join(sorted(unknown))}")
    return [path for path in paths if not only or path.stem in only]


def page(path, pages):
    "A notebook as the site shows it: directives become tags, links that leave the site point to the repository."
    notebook = json.loads(path.read_text(encoding="utf-8"))
    code = [c for c in notebook["cells"] if c["cell_type"] == "code"]
    if budgets.silent(code, course=True):
        sys.exit(f"{path.relative_to(ROOT)}: lacks stored outputs; run `python tools/nb.py run {path.stem}`")
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = links(BADGES.sub("", source(cell)), path.stem, pages)
        else:
            tag(cell)
            cell["outputs"] = [output for output in map(still, cell["outputs"]) if output]
    return notebook


def tag(cell):
    "Tags of a code cell, from its nbdev directives, which are dropped; exported code folds."
    text = source(cell)
    for pattern, name in ((r"(hide|default_exp)", "remove-cell"), (r"export", "hide-input"), (r"echo: *false", "remove-input")):
        if re.search(rf"^#\|\s*{pattern}", text, re.MULTILINE):
            cell["metadata"]["tags"] = [*cell["metadata"].get("tags", []), name]
    if budgets.is_import(text) and "remove-cell" not in cell["metadata"].get("tags", []):
        cell["metadata"]["tags"] = ["hide-input"]
    cell["source"] = re.sub(r"^#\|.*\n?", "", text, flags=re.MULTILINE)


def still(output):
    "An output without what needs a kernel; None if nothing is left."
    needs_kernel = "application/vnd.jupyter.widget-view+json" in output.get("data", {})
    return None if needs_kernel else output  # a still image stands beside each explorer


def links(text, stem, pages):
    "Markdown whose links stay on the site where it has the page, and point to the repository where not."
    def target(match):
        place = match[1]
        path, _, anchor = place.partition("#")
        if re.match(r"[a-z]+:", place) or not path:
            return f"]({place})" if path else f"](#{slug(unquote(anchor))})"
        if Path(path).suffix == ".ipynb" and path in pages or path.startswith("images/"):
            return f"]({path}{'#' + slug(unquote(anchor)) if anchor else ''})"
        return f"]({REPOSITORY}/blob/main/{os.path.normpath(os.path.join('nbs', path))})"
    return re.sub(r"\]\(((?:[^()\s]|\([^()\s]*\))+)\)", target, text)


def written(text, pages):
    "A page of docs/ with its facts filled in; a link to a notebook that this site lacks points to the repository."
    for name, fact in site_pages.facts().items():
        text = text.replace(f"{{{{ {name} }}}}", fact)

    def target(match):
        return match[0] if match[2] in pages else f"]({REPOSITORY}/blob/main/nbs/{match[2]})"
    return re.sub(r"\]\(((?:\.\./)?course/)([\w-]+\.ipynb)\)", target, text)


def slug(heading):
    "The anchor that the site gives a heading."
    return re.sub(r"[^\w\- ]", "", heading.replace("-", " ").lower()).strip().replace(" ", "-")


def prepare(src, only):
    "Lay the source of the site out in a new folder."
    shutil.rmtree(src, ignore_errors=True)
    shutil.copytree(DOCS, src)
    (src / "course" / "images").parent.mkdir(exist_ok=True)
    shutil.copytree(NBS / "images", src / "course" / "images")
    (src / "_static" / "mathjax.js").write_bytes(mathjax().read_bytes())
    paths = page_notebooks(only)
    pages = {path.name for path in paths}
    for path in paths:
        text = json.dumps(page(path, pages), ensure_ascii=False)
        (src / "course" / path.name).write_text(text, encoding="utf-8")
    for file in src.rglob("*.md"):
        file.write_text(written(file.read_text(encoding="utf-8"), pages), encoding="utf-8")
    for name, text in site_pages.made(paths, thumbnails(paths, src), bool(only)).items():
        (src / name).parent.mkdir(parents=True, exist_ok=True)
        (src / name).write_text(text, encoding="utf-8")


def mathjax():
    "MathJax in one file, from the package that brings it."
    package = import_module("sphinx-mathjax-offline")
    return Path(package.__file__).parent / "static" / "mathjax" / "tex-svg.js"


def thumbnails(paths, src):
    "The first picture of each notebook, as a file of the gallery; name -> picture."
    found = {}
    for path in paths:
        for output in (o for c in read_cells(path) if c["cell_type"] == "code" for o in c["outputs"]):
            picture = first_picture(output.get("data", {}))
            if picture:
                found[path.stem] = f"gallery/{path.stem}{picture[0]}"
                (src / "gallery").mkdir(exist_ok=True)
                (src / found[path.stem]).write_bytes(base64.b64decode(picture[1]))
                break
    return found


def first_picture(data):
    "Suffix and base64 text of an output's picture, or None."
    for kind, suffix in (("image/jpeg", ".jpg"), ("image/png", ".png")):
        if kind in data:
            return suffix, "".join(data[kind])
    html = "".join(data.get("text/html", ""))
    if (inside := re.search(r'src="data:image/(jpeg|png);base64,([^"]+)"', html)) and "lk-still" in html:
        return f".{inside[1]}".replace("jpeg", "jpg"), inside[2]
    return None


def build(out, only):
    "Prepare and build; warnings are errors."
    src, html = out / "src", out / "html"
    prepare(src, only)
    shutil.rmtree(html, ignore_errors=True)
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-E", "-b", "html", "-d", out / "trees", src, html]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    if subprocess.run([str(c) for c in command], cwd=ROOT, env=environment).returncode:
        sys.exit("the site has warnings, which are errors")
    (html / ".nojekyll").touch()
    return html


def broken(html):
    "What a built site points to and does not have, and what it would load from elsewhere."
    problems, anchors = [], {}

    def names(file):
        if file not in anchors:
            anchors[file] = set(re.findall(r'\s(?:id|name)="([^"]+)"', file.read_text(encoding="utf-8")))
        return anchors[file]

    for file in sorted(path for path in html.rglob("*.html") if "_static" not in path.parts):
        text = re.sub(r"<(pre|script)\b[^>]*>.*?</\1>", lambda m: m[0].split(">")[0] + ">", file.read_text(encoding="utf-8"), flags=re.DOTALL)
        loads = re.findall(r'<(?:script|img|iframe|source)\b[^>]*\bsrc="((?:https?:)?//[^"]+)"', text)
        loads += re.findall(r'<link\b[^>]*rel="stylesheet"[^>]*href="(https?:[^"]+)"', text)
        problems += [f"{file.relative_to(html)}: would load {place}" for place in loads]
        for link in set(re.findall(r'\s(?:href|src)="(?!data:)([^"]*)"', text)):
            parts = urlsplit(link.replace("&amp;", "&"))
            if parts.scheme or parts.netloc or link in ("", "#"):
                continue
            there = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            there = there / "index.html" if there.is_dir() else there
            if not there.exists():
                problems.append(f"{file.relative_to(html)}: no {link}")
            elif parts.fragment and there.suffix == ".html" and unquote(parts.fragment) not in names(there):
                problems.append(f"{file.relative_to(html)}: no place {link}")
    return problems


def main():
    "Build or check, as the command line says."
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--only", nargs="+", default=[], metavar="NOTEBOOK")
    args.add_argument("--out", type=Path, default=ROOT / "_site")
    args.add_argument("--check", type=Path)
    args = args.parse_args()
    html = args.check or build(args.out.resolve(), args.only)
    if problems := broken(html):
        sys.exit("\n".join(problems))
    print(f"{html / 'index.html'}: {len(list(html.rglob('*.html')))} pages, every internal link leads somewhere")


if __name__ == "__main__":
    main()
