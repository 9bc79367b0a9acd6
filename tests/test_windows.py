"What would differ on Windows, as far as it can be seen elsewhere: encodings, line ends, names of files."
import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "leuknb"
TEXT = {"read_text": {"encoding"}, "write_text": {"encoding", "newline"}}  # without these, Windows has its own


def calls():
    "Every call of a method or function of the package: file, line, name, keywords, call."
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", name, {k.arg for k in node.keywords}, node


def test_texts_are_utf8_with_plain_line_ends():
    wrong = [f"{where}: {name} without {', '.join(sorted(TEXT[name] - given))}" for where, name, given, node in calls()
             if isinstance(node.func, ast.Attribute) and TEXT.get(name, set()) - given]
    assert not wrong, "\n".join(wrong)


def test_files_are_opened_as_bytes_or_with_an_encoding():
    opened = [(where, given, node) for where, name, given, node in calls() if name == "open" and isinstance(node.func, ast.Name)]
    modes = [(where, given, next((a.value for a in node.args[1:2] if isinstance(a, ast.Constant)), "r")) for where, given, node in opened]
    wrong = [where for where, given, mode in modes if "b" not in mode and "encoding" not in given]
    assert not wrong, "\n".join(wrong)


def test_tables_are_written_with_plain_line_ends():
    wrong = [where for where, name, given, node in calls() if name == "to_csv" and (node.args or "path_or_buf" in given) and "lineterminator" not in given]
    assert not wrong, "\n".join(wrong)


def test_no_module_of_unix_alone_is_needed():
    unix = {"fcntl", "pwd", "grp", "resource", "termios"}
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not names & unix, path


@pytest.mark.parametrize("folder", ["leuknb", "nbs", "docs", "tests", "tools"])
def test_names_of_files_are_possible_everywhere(folder):
    reserved = {"con", "prn", "aux", "nul", *(f"com{i}" for i in range(10)), *(f"lpt{i}" for i in range(10))}
    names = [p.relative_to(PACKAGE.parent) for p in (PACKAGE.parent / folder).rglob("*") if "__pycache__" not in p.parts]
    assert len({str(p).lower() for p in names}) == len(names)
    for path in names:
        assert path.stem.lower() not in reserved and not set('<>:"|?*') & set(path.name) and not path.name.endswith((" ", ".")), path
        assert len(str(path)) < 120, path
