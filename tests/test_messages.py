"Messages speak the language of the surface: Python names arguments, the command names its options. All texts of the package are collected, so none is forgotten."
import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

import leuknb
from leuknb.cli import as_options, main, parser

ROOT = Path(leuknb.__file__).parent
TYPED = {"evaluate": ["RUN", "--data", "DIR"], "predict": ["RUN", "IMAGE"], "explore": ["RUN"], "synth": ["OUT"], "report": ["RUN"], "segment": ["DIR", "OUT"], "pretrain": ["OUT"],
         "course": ["DIR"], "push": ["RUN", "REPO"], "pull": ["REPO", "OUT"], "completion": ["bash"],
         "card": ["DIR"], "export": ["RUN", "FILE"]}
COMMANDS = next(action.choices for action in parser()._actions if action.dest == "command")
CHECKS = {"check_choice": "{} '{{}}': choose from {{}}", "check_number": "{}=7: give a number"}


class Package:
    "What each name of each module stands for."

    def __init__(self):
        self.names, self.arguments = defaultdict(dict), set()
        for path in ROOT.rglob("*.py"):
            self.read(".".join(path.relative_to(ROOT.parent).with_suffix("").parts), ast.parse(path.read_text(encoding="utf-8")))

    def read(self, module, tree):
        here = self.names[module]
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                above = module.split(".")[:-node.level] if node.level else []
                source = ".".join(above + ([node.module] if node.module else []))
                here.update({alias.asname or alias.name: (source, alias.name) for alias in node.names})
            elif isinstance(node, ast.FunctionDef):
                self.arguments |= {a.arg for a in node.args.posonlyargs + node.args.args + node.args.kwonlyargs} - {"self", "cls"}
            elif isinstance(node, ast.ClassDef):
                self.arguments |= {part.target.id for part in node.body if isinstance(part, ast.AnnAssign)}
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                here[node.name] = module, node
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                here.update({target.id: (module, node) for target in targets if isinstance(target, ast.Name)})

    def definition(self, module, name):
        "Follow a name through imports to where it is defined."
        for _ in range(6):
            module, name = self.names[module].get(name, (None, None))
            if not isinstance(name, str):
                return module, name
        return None, None

    def reached(self, module, name):
        "Functions and tables that a function can come to: the names it uses, and methods whose name is called, of classes whose name is used."
        todo, seen, classes, called, found = [self.definition(module, name)], set(), [], set(), []
        while todo:
            home, node = todo.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            if isinstance(node, ast.ClassDef):
                classes.append((home, node))
                parts = [part for part in node.body if not isinstance(part, ast.FunctionDef)] + node.bases + node.decorator_list
            else:
                found.append((home, node))
                parts = [node]
            inner = [n for part in parts for n in ast.walk(part)]
            called |= {n.attr for n in inner if isinstance(n, ast.Attribute)}
            todo += [self.definition(home, n.id) for n in inner if isinstance(n, ast.Name)]
            todo += [(where, n) for where, one in classes for n in one.body if isinstance(n, ast.FunctionDef)
                     and n not in seen and (n.name in called or n.name.startswith("__"))]
        return found


@cache
def package():
    return Package()


def templates(node):
    "What a text can be, with {} for each value."
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.JoinedStr):
        return ["".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)]
    if isinstance(node, ast.IfExp):
        return templates(node.body) + templates(node.orelse)
    if isinstance(node, ast.BinOp):
        return [one + other for one in templates(node.left) for other in templates(node.right)]
    return ["{}"]


def texts(definition, names):
    "Every text that a definition could show, without its docstrings; `names`: arguments that the two checks are followed for."
    docs = {ast.get_docstring(n, clean=False) for n in ast.walk(definition) if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    for node in ast.walk(definition):
        name = isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", None))
        if name in CHECKS and isinstance(node.args[0], ast.Constant) and node.args[0].value in names:
            yield CHECKS[name].format(node.args[0].value)
        elif isinstance(node, (ast.JoinedStr, ast.Constant, ast.BinOp)):
            yield from (text for text in templates(node) if len(text.split()) > 2 and text not in docs and " import " not in text)


PYTHON = re.compile(r"`([a-z_]+)\b(?! )[^`]*`|\b([a-z_]+)=(?:None|True|False|\{|\[|\(|['\"\d])|\b([a-z]+_[a-z_]+)\b|\b(argument|keyword)\b")


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "completion"])  # which only reads the other parsers
def test_the_command_names_no_arguments(name):
    command = parser().parse_args([name, *TYPED.get(name, [])]).parser
    options = {action.dest for action in command._actions}
    arguments = package().arguments - ({"steps"} if name == "pretrain" else set())  # as typed after --set
    wrong = []
    for module, definition in package().reached("leuknb.cli", f"run_{name}"):
        for text in texts(definition, options):
            for words in PYTHON.findall(as_options(text.replace("{}", "X"), command)):
                if set(words) & (arguments | {"argument", "keyword"}):
                    wrong.append(f"{module}, {getattr(definition, 'name', 'a table')}: {text}")
    assert not wrong, "\n".join(sorted(set(wrong)))


def test_python_names_no_options():
    "The command's own texts, and the page's, which is a command, too, may."
    wrong = []
    for module, names in package().names.items():
        for home, definition in names.values():
            if not isinstance(definition, str) and home == module and module not in ("leuknb.cli", "leuknb.lib.settings", "leuknb._modidx"):
                wrong += [f"{module}: {text}" for text in texts(definition, ()) if re.search(r"(?<![\w-])--[a-z]", text) and "leuknb " not in text]
    assert not wrong, "\n".join(sorted(set(wrong)))


def test_the_collection_sees_what_it_should():
    "Known messages of known commands are among those that are walked; a sentence that names an argument is found."
    walked = [text for _, definition in package().reached("leuknb.cli", "run_reproduce") for text in texts(definition, {"repeats"})]
    assert any("name another folder with `out`" in text for text in walked) and "repeats=7: give a number" in walked
    assert {"on_bad", "similar", "stain_leak", "repeats"} <= package().arguments and len(walked) > 300
    assert PYTHON.findall("raise `similar`, on_bad='skip', stain_leak") and not PYTHON.findall("run `leuknb reproduce` again, a = 3, half-read")


@pytest.mark.parametrize("message, expected", [
    ("split 'grp': choose from paper", "--split 'grp': choose from paper"),
    ("seed=-1: give a whole number, or None", "--seed -1: give a whole number, or leave it out"),
    ("leave out tune=False, `crop` and `quick`", "leave out --no-tune, --crop and --quick"),
    ('go on without them: on_bad="skip"', "go on without them: --on-bad skip"),
    ("unfreeze='classifier' leaves the features, so features='fine-tuned' is vain", "--unfreeze classifier leaves the features, so --features fine-tuned is vain"),
    ("add images, or go without (`validation=None`)", "add images, or go without"),
    ("take another `batch_size`, or the `device` cpu", "take another batch_size, or the --device cpu"),
    ("run `leuknb reproduce` again", "run `leuknb reproduce` again"),
    ("data/size=64/split=a.png: damaged", "data/size=64/split=a.png: damaged"),
    ("size=64: no such folder", "size=64: no such folder"),
])
def test_arguments_become_options_and_names_of_files_stay(message, expected):
    assert as_options(message, COMMANDS["reproduce"], ["--data", "size=64"]) == expected


def test_a_positional_argument_is_called_as_in_the_usage():
    assert as_options("name another folder with `out`", COMMANDS["synth"]) == "name another folder with OUT"


def test_what_was_typed_comes_back_as_it_was_typed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["segment", "size=64", "method='x'"]) == 2
    assert capsys.readouterr().err.startswith("leuknb: size=64: is not a folder")
