"Pages of the site that are made from the package: the course, the reference, the command, the gallery, the answers."
import argparse
import ast
import importlib
import inspect
import json
import pkgutil
import re
from pathlib import Path

import leuknb
from leuknb.lib.course import REPOSITORY, exercises, read_cells, reading_minutes, source
from leuknb.lib.public_set import choices_line, prevalence_line, public_card

STAGES = {"000": "The tour", "0": "Images", "1": "Cells", "2": "Networks", "3": "Heads", "4": "Training", "5": "Measuring",
          "6": "Can it be believed?", "7": "Whole runs", "8": "Looking", "r": "All measured tables"}


def made(paths, thumbnails, part):
    "Every such page: name -> Markdown; of a part of the site, the reference of its notebooks alone."
    return {"course/index.md": course(paths), "gallery.md": gallery(paths, thumbnails), "how-to/answers.md": answers(paths),
            "command.md": command(), **reference(exported(paths) if part else None)}


def facts():
    "Facts that the written pages show, from the package's data: name -> Markdown."
    card = json.loads((Path(leuknb.__file__).parent / "assets/weights/alexnet.json").read_text(encoding="utf-8"))
    weights = {name: card[name] for name in ("trained_on", "steps", "crops", "size", "layers", "pool", "digest", "machine", "choice", "use")}
    public = "\n\n".join(f"### {title}\n\n{text.strip()}" for title, text in public_card().items())
    return {"public set": public, "prevalence": prevalence_line(), "choices": choices_line(), "weights": listing(weights), "learned": learned(card), **measured_facts()}


LEARNED = {"plasma_r": "colour of the plasma (red)", "cytoplasm_r": "colour of the cytoplasm (red)", "nucleus_r": "colour of the nucleus (red)",
           "chromatin_contrast": "contrast of the chromatin", "count": "number of cells", "nc_ratio": "ratio of nucleus to cell", "nucleoli": "number of nucleoli",
           "irregularity": "irregularity of the contour"}


def learned(card):
    "How well the bundled network predicts what generated smears are made of."
    return listing({about: f"{card['learned'][name]:.2f}" for name, about in LEARNED.items()})


def measured_facts():
    "Facts of models on the public images, from the measured tables."
    from leuknb.lib.measured import measured
    from leuknb.lib.tables import interval, percent
    ladder = measured("scenes-ladder").query("unit == 'files'").fillna({"note": ""})
    steps = {name: "; ".join(f"{r.embargo} files between: {percent(r.accuracy)} % ({interval(r.low, r.high)})" + (", a rough interval: few stretches with errors" if "few" in r.note else "")
                             for r in part[~part["control"]].itertuples()) for name, part in ladder.groupby("model", sort=False)}
    names = {"plain-lda": "with linear discriminants", "white-lda": "white-normalised, with linear discriminants", "robust": "in the robust recipe",
             "colour": "for comparison: 96 numbers about colour, SVM"}
    bccd = measured("external").set_index("model").loc["robust"]
    return {"ladder": listing({about: steps[name] for name, about in names.items() if name in steps}),
            "bccd": f"Of {bccd['BCCD, n']:.0f} fields of another laboratory without leukaemia, the robust recipe calls {percent(bccd['specificity, %'] / 100)} % "
                    f"({interval(bccd['low'] / 100, bccd['high'] / 100)}) Benign, and flags {bccd['flagged, %']:.0f} % as far from its training images."}


def listing(values):
    "Names and values as a table."
    rows = [f"| {name.replace('_', ' ')} | {cell(', '.join(v) if isinstance(v, list) else str(v))} |" for name, v in values.items()]
    return "\n".join(["| | |", "|---|---|", *rows])


def heading(path):
    "Title and subtitle of a notebook."
    text = source(read_cells(path)[0])
    title, subtitle = re.search(r"^# (.+)", text, re.MULTILINE), re.search(r"^> (.+)", text, re.MULTILINE)
    return title[1], re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", subtitle[1]) if subtitle else ""


def stage(path):
    "The stage that a notebook belongs to, from its number."
    return STAGES["000" if path.stem.startswith("000") else path.stem[0]]


def course(paths):
    "The learning path, with times."
    total, lines, last = 0, [], None
    for path in paths:
        cells, (title, subtitle) = read_cells(path), heading(path)
        minutes, count = reading_minutes(cells), len(exercises(cells))
        total += minutes
        first = stage(path) if stage(path) != last else ""
        last = stage(path)
        lines.append(f"| {first} | [{title}]({path.name}) | {subtitle} | {minutes} | {count} |")
    table = "\n".join(["| stage | notebook | what it teaches | minutes | exercises |", "|---|---|---|--:|--:|", *lines])
    return COURSE.format(table=table, hours=round(total / 60), count=len(paths), tree="\n".join(path.stem for path in paths))


COURSE = """# Course

Begin with the tour; it shows the whole story. Then follow the table from the top. Each notebook teaches one stage, runs in
under a minute on two cores without network, and ends with exercises that check themselves. Here they are shown as they were stored;
the code of the package itself is folded, and one click opens it.

{table}

The minutes are estimates, not measurements: 150 words a minute, ten lines of code a minute, five minutes for an exercise; together about
{hours} hours for {count} notebooks. [A course for twenty students](../how-to/teach.md) has an order for an afternoon, a week and a term.

```sh
leuknb course DIR    # the notebooks as files, to work in
```

```{{toctree}}
:hidden:
:titlesonly:

{tree}
```
"""


def gallery(paths, thumbnails):
    "One picture of each notebook."
    cards = []
    for path in paths:
        if path.stem in thumbnails:
            title, subtitle = heading(path)
            cards.append(f":::{{grid-item-card}} {title}\n:link: course/{path.stem}\n:link-type: doc\n:img-top: {thumbnails[path.stem]}\n"
                         f":img-alt: The first figure of the notebook {title}\n\n{subtitle}\n:::\n")
    return GALLERY.format(cards="\n".join(cards))


GALLERY = """# Gallery

What the notebooks show, and the explorer, which needs a running Python, as still images. Every image is generated; none is of a patient.

## The explorer

![The explorer: a gallery of misread images, and one of them large, with a map of where the network found its evidence](course/images/explore-detail.jpg)

![The confusion matrix of a run, whose cells are a menu of its images](course/images/explore-matrix.jpg)

![A map of the features in the dark theme: each point is an image, and its colour and shape tell whether it was read correctly](course/images/explore-map-dark.jpg)

## One figure from each notebook

::::{{grid}} 1 2 3 3
:gutter: 3

{cards}
::::
"""


def answers(paths):
    "What each exercise should give, from the stored outputs."
    parts = []
    for path in paths:
        cells = read_cells(path)
        for number, exercise in enumerate(exercises(cells), 1):
            question = re.sub(r"^#+ .*\n", "", source(cells[exercise.question]), flags=re.MULTILINE).strip()
            question = re.sub(r"\]\((?![a-z]+:)[^)]*\)", "]", question)
            given = "\n".join(filter(None, map(plain, cells[exercise.check]["outputs"]))) or "(a figure)"
            parts.append(f"## {heading(path)[0]}, exercise {number}\n\n{question}\n\n```text\n{given}\n```\n")
    return ANSWERS + "\n".join(parts)


ANSWERS = """# What each exercise should give

For lecturers: question and output of each exercise, as the notebooks hold them. "Your guess" in an output is the example
that stands in the notebook, often a wrong one on purpose.

"""


def plain(output):
    "An output as text."
    text = output.get("text") or output.get("data", {}).get("text/plain") or ""
    text = "".join(text)
    value = re.fullmatch(r"\s*(['\"]).*\1\s*", text, re.DOTALL)
    return str(ast.literal_eval(text.strip())) if value else "" if text.startswith("<") else text.rstrip()


def command():
    "The command's pages, from its parser."
    from leuknb.cli import parser
    p = parser()
    commands = next(action for action in p._actions if isinstance(action, argparse._SubParsersAction))
    helps = {action.dest: action.help for action in commands._choices_actions}
    parts = [f"# Command line\n\n{p.description}\n\n`leuknb COMMAND --help` prints the same.\n"]
    for name, sub in commands.choices.items():
        parts.append(f"## leuknb {name}\n\n{sentence(helps.get(name, ''))}\n\n```text\n{sub.format_usage().removeprefix('usage: ').strip()}\n```\n")
        parts += [sub.description + "\n"] if sub.description else []
        parts += [options(sub)]
    return "\n".join(parts)


def sentence(text):
    "A text that starts with a capital and ends with a full stop."
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def options(sub):
    "A table of the arguments and options of one command."
    formatter, rows = sub._get_formatter(), []
    for action in sub._actions:
        if action.dest == "help" or action.help == argparse.SUPPRESS:
            continue
        shown = ", ".join(action.option_strings) or formatter._metavar_formatter(action, action.dest)(1)[0]
        value = "" if not action.option_strings or action.nargs == 0 else f" {formatter._format_args(action, action.dest.upper())}"
        text = formatter._expand_help(action) if action.help else ""
        rows.append(f"| `{shown}{value}` | {cell(text)} |")
    return "\n".join(["| option | meaning |", "|---|---|", *rows, ""]) if rows else ""


def cell(text):
    "Text for a cell of a table: nothing in it is markup."
    return re.sub(r"([|<>*_`\[\]{}$\\])", r"\\\1", text)


def exported(paths):
    "The modules that notebooks export."
    names = (re.search(r"^#\|\s*default_exp (\S+)", source(c), re.MULTILINE) for path in paths for c in read_cells(path))
    return {f"leuknb.{name[1]}" for name in names if name}


def modules(only):
    "Every module with public names, or those of them that are named."
    for info in pkgutil.walk_packages(leuknb.__path__, "leuknb."):
        if info.name != "leuknb.__main__" and not info.ispkg and (only is None or info.name in only):
            module = importlib.import_module(info.name)
            if getattr(module, "__all__", []):
                yield module


def reference(only=None):
    "A page for each module with public names, and their index."
    pages, rows = {}, []
    for module in sorted(modules(only), key=lambda m: (".lib." in m.__name__, m.__name__)):
        names = [n for n in module.__all__ if getattr(getattr(module, n), "__module__", module.__name__) == module.__name__]
        if names:
            pages[f"reference/{module.__name__}.md"] = module_page(module, names)
            links = ", ".join(f"[`{n}`](#{module.__name__}.{n})" for n in names)
            rows.append(f"| [{module.__name__}]({module.__name__}.md) | {cell(first_line(module))} | {links} |")
    pages["reference/index.md"] = REFERENCE.format(rows="\n".join(rows), tree="\n".join(name[10:-3] for name in pages))
    return pages


def first_line(thing):
    "The first line of a docstring."
    return (inspect.getdoc(thing) or "").split("\n")[0]


def module_page(module, names):
    "One module: its public names in the order of its source."
    parts = [f"# {module.__name__}\n\n{sentence(first_line(module))}\n"]
    for name in names:
        thing, full = getattr(module, name), f"{module.__name__}.{name}"
        if inspect.isclass(thing):
            directive = f".. autoclass:: {full}\n   :members:\n"
        elif callable(thing):
            directive = f".. autofunction:: {full}\n"
        else:
            directive = f".. py:data:: {full}\n   :type: {type(thing).__name__}\n\n   ``{short(thing)}``\n"
        parts.append(f"```{{eval-rst}}\n{directive}```\n")
    return "\n".join(parts)


def short(value):
    "A value in at most a line."
    text = repr(list(value) if isinstance(value, dict) else value).replace("`", "'").replace("\n", " ")
    return text if len(text) < 110 else text[:100] + " …"


REFERENCE = f"""# Reference

The public names of each module, with their parameters, shapes, units and ranges. Other names of a module serve it and may change.
The notebooks that define them are in the [repository]({REPOSITORY}/tree/main/nbs).

| module | what it does | names |
|---|---|---|
{{rows}}

```{{{{toctree}}}}
:hidden:
:titlesonly:

{{tree}}
```
"""
