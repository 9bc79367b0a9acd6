"Every message speaks the language of its surface: Python names arguments, the command names its options."
import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

import leuknb
from leuknb.cli import as_options, parser

ROOT = Path(leuknb.__file__).parent
CHECKS = {"check_choice": "{} '{{}}': choose from {{}}", "check_number": "{}=7: give a number"}
COMMANDS = {"reproduce": [], "predict": ["RUN", "IMAGE"], "audit": [], "explore": ["RUN"], "synth": ["OUT"], "segment": ["DIR", "OUT"],
            "pretrain": ["OUT"], "paper": [], "fetch": [], "cache": []}


def templates(node):
    "What a message can be, with {} for each value."
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.JoinedStr):
        return ["".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)]
    if isinstance(node, ast.IfExp):
        return templates(node.body) + templates(node.orelse)
    if isinstance(node, ast.BinOp):
        return [one + other for one in templates(node.left) for other in templates(node.right)]
    return ["{}"]


def messages(function):
    "Every text that a function could show: sentences, and what the two checks make of a name."
    for node in ast.walk(function):
        name = isinstance(node, ast.Call) and (getattr(node.func, "id", None) or getattr(node.func, "attr", None))
        if name in CHECKS and isinstance(node.args[0], ast.Constant):
            yield CHECKS[name].format(node.args[0].value)
        elif isinstance(node, (ast.JoinedStr, ast.Constant, ast.BinOp)):
            yield from (text for text in templates(node) if len(text.split()) > 2)
