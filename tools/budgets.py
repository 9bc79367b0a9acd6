"""How long, how wide and in which order: the budgets that keep the notebooks readable.

    python tools/budgets.py [30_knn ...]   what is over its budget (all notebooks, without a name)
"""
import ast
import json
import re
import sys
from pathlib import Path

ORDER = """errors names settings progress readers light depth workers | files devices templates glass stain | cache large neighbours datasets layouts columns folders csv_files twins registration tables synth weights ruler measured | architectures | timm_networks | segment checks chapters laboratories | data scenes splits patients networks
    preprocess metrics clusters nulls moments | extract sources | compare calibration | clinical | published public_set | claims | backbones batches cards cut training tuning head paper | knn svm | heads scoring novelty | shortcuts cells tiles shifts ablations fields
    finetune pretrain robust | leakage | config | runs models shards | outside external_page outoffold streaming refits | audit external annotations stored course hub | readout | checklist run_cards sections | report | results | theirs misread explain agreement | widgets state |
    fragments | panels cell_panel detail maps raters patient_table toolbar pairs | explore page | commands cli"""
RANK = {name: i for i, level in enumerate(ORDER.split("|")) for name in level.split()}
CELL, MODULE, CLASS, WIDTH, NAMES, RATIO, FIRST = 40, 500, 120, 120, 12, 0.35, 3
WORDS = ["room", "house", "mended", "crooked"]  # in prose
IDENTIFIERS = ["Choices", "Look", "Unlike", "few", "finish", "sides", "asked", "answers", "embedded"]  # defined or assigned
EXCEPTIONS = {  # "notebook: budget" or, for a cell, "notebook: cell NAME" with the first name that it defines -> the reason
    "lib/runs: order": "Run.from_predictions writes a report, which reads runs; imported when it is called",
    "lib/head: cell Head": "one estimator: the settings and the fit of all heads",
    "22_backbones: cell Backbone": "one estimator: thirteen settings, ten attributes of its plan, the methods of a transformer",
    "30_knn: cell KNNHead": "one estimator: four settings, the five methods of a head, kneighbors",
    "32_heads: cell SoftmaxHead": "one estimator: three settings, the methods of a head, the fit in blocks",
    "31_svm: cell SVMHead": "one estimator: five settings, the five methods of a head, pairwise decisions",
    "40_finetune: cell FineTuned": "one estimator: fit, predict, saving and the attributes of its plan",
    "lib/cut: cell StatsNetwork": "one network: its two parts, their statistics, the classifier on them and its scale",
    "65_robust: cell RobustHead": "one estimator: settings, fit, predict and predict_proba",
    "65_robust: cell Robust": "one estimator: twelve settings, fit, predict and predict_proba",
    "lib/published: cell Published": "one record of the paper: thirteen fields, each with what is printed there",
}


def source(cell):
    "A cell's text."
    return "".join(cell["source"])


def exported(cell):
    "Does a cell go into the module?"
    return cell["cell_type"] == "code" and bool(re.search(r"^#\|\s*exporti?\b", source(cell), re.MULTILINE))


def lines(cell):
    "Lines of a cell that are not blank at its ends."
    return source(cell).strip().count("\n") + 1


def defined(cell):
    "The first name that a cell defines."
    nodes = parsed(source(cell)).body
    names = [getattr(n, "name", None) or getattr(getattr(n, "targets", [None])[0], "id", None) for n in nodes]
    return next(filter(None, names), "no name")


def is_import(text):
    "Does a cell hold nothing but imports and directives?"
    code = [line for line in text.splitlines() if line.strip() and not line.startswith(("#", "%"))]
    return not code or all(isinstance(node, (ast.Import, ast.ImportFrom)) for node in parsed(text).body)


def parsed(text):
    "A cell as a syntax tree; magics are left out."
    return ast.parse("\n".join("pass" if line.startswith(("%", "!")) else line for line in text.splitlines()))


def shows_value(text):
    "Does a lesson cell end on a value? A call may return None, and a semicolon hides the value."
    if re.search(r"#\| *(export|exporti|exports|hide|eval: *false)", text) or text.rstrip().endswith(";"):
        return False
    body = parsed(text).body
    return bool(body) and isinstance(body[-1], ast.Expr) and not isinstance(body[-1].value, (ast.Call, ast.Await))


def is_placeholder(cell):
    "Does a text cell hold a line of capitals alone, such as TODO?"
    return cell["cell_type"] == "markdown" and re.search(r"^[A-Z][A-Z _]{3,}\W*$", source(cell), re.MULTILINE)


def silent(code, course):
    "Does a notebook lack outputs: below a cell that ends on a value, or, in the course, in its whole last third?"
    unshown = any(shows_value(source(c)) and not c["outputs"] for c in code)
    taught = [c for c in code if not is_import(source(c)) and not exported(c)]
    return unshown or course and bool(taught) and not any(c["outputs"] for c in taught[-(len(taught) // 3 or 1):])


def shown_early(cells):
    "Is there a picture or a table within the first code cells after the imports?"
    code = [c for c in cells if c["cell_type"] == "code" and c.get("id") != "colab" and not is_import(source(c))]  # no badge's cell
    kinds = {kind for c in code[:FIRST] for o in c["outputs"] for kind in o.get("data", {})}
    return bool(kinds & {"text/html", "image/png", "image/jpeg", "image/svg+xml", "application/vnd.jupyter.widget-view+json"})


def of_notebook(cells, course):
    "Budgets of one notebook: (budget, message)."
    ours = [c for c in cells if exported(c)]
    lesson = [c for c in cells if c["cell_type"] == "code" and not exported(c) and not re.search(r"#\|\s*(hide|default_exp)", source(c))]
    total, taught = sum(map(lines, ours)), sum(map(lines, lesson))
    for cell in ours:
        if lines(cell) > CELL:
            yield f"cell {defined(cell)}", f"the exported cell of {defined(cell)} has {lines(cell)} lines (at most {CELL})"
    if total > MODULE:
        yield "module", f"{total} exported lines (at most {MODULE})"
    if course and taught < RATIO * total:
        yield "lesson", f"{taught} lesson lines for {total} exported ones (at least {RATIO} each)"
    if course and not shown_early(cells):
        yield "first picture", f"no picture or table within the first {FIRST} code cells after the imports"
    prose = "\n".join(source(c) for c in cells if c["cell_type"] == "markdown")
    if found := sorted({m[0].lower() for m in re.finditer(rf"\b({'|'.join(WORDS)})\b", prose, re.IGNORECASE)}):
        yield "words", f"its prose says {', '.join(found)} (see the words to avoid)"


def of_module(text, module):
    "Budgets of one module: (budget, message)."
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= CELL:
            yield "function", f"function {node.name} has {node.end_lineno - node.lineno + 1} lines (at most {CELL})"
        if isinstance(node, ast.ClassDef) and node.end_lineno - node.lineno >= CLASS:
            yield "class", f"class {node.name} has {node.end_lineno - node.lineno + 1} lines (at most {CLASS})"
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("leuknb")):
            yield from of_import(node, module)
    if wide := sum(len(line) > WIDTH for line in text.splitlines()):
        yield "width", f"{wide} lines of more than {WIDTH} characters"
    names = next((len(n.value.elts) for n in tree.body if isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == "__all__"), 0)
    if names > NAMES:
        yield "names", f"{names} public names (at most {NAMES})"
    own = {n.name for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.ClassDef))} | {
        n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    if found := sorted(own & set(IDENTIFIERS)):
        yield "identifiers", f"names to avoid: {', '.join(found)}"


def of_import(node, module):
    "Budgets of one import: no private names, and only from below."
    other = (node.module or "").split(".")[-1]
    if private := [a.name for a in node.names if a.name.startswith("_") and not a.name.startswith("__")]:
        yield "private", f"imports {', '.join(private)} from {other}"
    if RANK.get(other, -1) > RANK.get(module, len(RANK)):
        yield "order", f"imports from {other}, which stands above it"


def problems(root, names=()):
    "Everything that is over its budget and is no exception."
    found, unused = [], set(EXCEPTIONS)
    for path in sorted((root / "nbs").rglob("*.ipynb")):
        name = str(path.relative_to(root / "nbs").with_suffix(""))
        if "." in name or names and name not in names:
            continue
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        module = next((m[1] for c in cells if (m := re.search(r"^#\|\s*default_exp (\S+)", source(c), re.MULTILINE))), None)
        over = list(of_notebook(cells, "/" not in name and name != "index"))
        if module:
            over += of_module((root / "leuknb" / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8"), module.split(".")[-1])
        for budget, message in over:
            key = f"{name}: {budget}"
            unused.discard(key)
            found += [] if key in EXCEPTIONS else [f"nbs/{name}: {message}"]
    return found + [f"tools/budgets.py: the exception {key!r} is not needed any more" for key in sorted(unused) if not names]


if __name__ == "__main__":
    print("\n".join(problems(Path(__file__).resolve().parent.parent, sys.argv[1:])) or "all within their budgets")
