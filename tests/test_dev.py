"What a checkout brings for its makers: tools/dev.py, tools/badges.py, tools/release.py, workflows, the container."
import configparser
import importlib.util
import json
import os
import re
import shlex
import stat
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import badges  # noqa: E402
import dev  # noqa: E402
import release  # noqa: E402

SETTINGS = configparser.ConfigParser(delimiters=["="])
SETTINGS.read(ROOT / "settings.ini", encoding="utf-8")
posix = pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for a program")


def stand_in(path, script):
    "A program that a test puts in place of a real one."
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


# Which torch

@posix
@pytest.mark.parametrize("script, found", [("echo 'GPU 0: any'", True), ("exit 9", False), (None, False)])
def test_a_gpu_is_one_whose_driver_answers(script, found, tmp_path, monkeypatch):
    if script:
        stand_in(tmp_path / "nvidia-smi", script)
    monkeypatch.setenv("PATH", f"{tmp_path}")
    assert dev.has_gpu() == found


@pytest.mark.parametrize("platform, gpu, chosen, build", [
    ("linux", False, "", "cpu"), ("linux", True, "", "default"), ("win32", False, "", "cpu"), ("darwin", False, "", "default"),
    ("linux", True, "cpu", "cpu"), ("linux", False, "default", "default")])
def test_the_build_of_torch(platform, gpu, chosen, build, monkeypatch):
    monkeypatch.setattr(dev, "has_gpu", lambda: gpu)
    assert dev.torch_build(platform, {"LEUKNB_TORCH": chosen}) == build


def test_an_unknown_build_is_refused():
    with pytest.raises(SystemExit, match="choose cpu or default"):
        dev.torch_build("linux", {"LEUKNB_TORCH": "gpu"})


def test_the_ways_to_install():
    cpu, usual, pip = dev.installers(["course"], "cpu", "uv")
    assert cpu[:3] == ["uv", "pip", "install"] and [part for part in cpu if part not in ("--torch-backend", "cpu")] == usual
    assert cpu[cpu.index("--torch-backend") + 1] == "cpu"
    assert pip[1:4] == ["-m", "pip", "install"] and cpu[-1] == ".[course]"
    assert dev.installers(["course"], "default", "uv") == [usual, pip]


@posix
@pytest.mark.parametrize("uv, way", [("exit 0", "cpu"), ("case \"$*\" in *--torch-backend*) echo dns error >&2; exit 2;; esac", "usual"), ("exit 2", "pip"), (None, "pip")])
def test_the_first_way_that_works_is_taken(uv, way, tmp_path, monkeypatch, capfd):
    log = tmp_path / "log"
    if uv:
        stand_in(tmp_path / "uv", f'echo "uv $@" >> {log}\n{uv}')
    monkeypatch.setattr(dev, "PYTHON", stand_in(tmp_path / "python", f'echo "python $@" >> {log}'))
    monkeypatch.setattr(dev, "torch_build", lambda: "cpu")
    ways = dev.installers
    monkeypatch.setattr(dev, "installers", lambda extras, build: ways(extras, build, tmp_path / "uv"))
    dev.install(["course"])
    last = log.read_text().splitlines()[-1]
    assert last.startswith("python -m pip install -q -c") == (way == "pip") and ("--torch-backend" in last) == (way == "cpu")
    told = capfd.readouterr().err
    assert ("CPU build of torch cannot be had here" in told) == (way != "cpu") and "dns error" not in told


@posix
def test_a_failed_installation_is_no_traceback(tmp_path, monkeypatch):
    monkeypatch.setattr(dev, "PYTHON", stand_in(tmp_path / "python", "exit 1"))
    monkeypatch.setattr(dev, "torch_build", lambda: "default")
    monkeypatch.setattr(dev, "installers", lambda extras, build: [[dev.PYTHON, "-m", "pip"]])
    with pytest.raises(SystemExit, match="the installation failed"):
        dev.install(["course"])


def test_an_environment_is_ready_when_it_is_complete_and_up_to_date(tmp_path, monkeypatch):
    monkeypatch.setattr(dev, "VENV", tmp_path)
    monkeypatch.setattr(dev, "PYTHON", Path(sys.executable))
    assert not dev.ready(["course"])
    mark = tmp_path / ".ready"
    for text, ready in (("", False), ("{", False), (json.dumps(dev.wanted(["course", "dev"])), True),
                        (json.dumps(dev.wanted(["dev"])), False), (json.dumps(dev.wanted(["course"]) | {"digest": "other"}), False)):
        mark.write_text(text)
        assert dev.ready(["course"]) == ready


def test_make_and_dev_know_the_same_commands():
    makefile = (ROOT / "Makefile").read_text()
    listed = set(re.search(r"^COMMANDS := (.+)$", makefile, re.MULTILINE)[1].split()) | {"bench"}
    assert listed == set(dev.COMMANDS) and all(f"    {name} " in dev.__doc__ for name in listed)
    done = subprocess.run([sys.executable, ROOT / "tools/dev.py", "unknown"], capture_output=True, text=True)
    assert done.returncode == 1 and "release-check" in done.stderr and "Traceback" not in done.stderr


def test_paths_of_windows():
    assert dev.program("python", windows=True) == ROOT / ".venv" / "Scripts" / "python.exe"
    assert dev.program("leuknb", windows=False) == ROOT / ".venv" / "bin" / "leuknb"


# What is pinned

def test_nbdev_is_held_below_3():
    pins = dict(re.match(r"([\w-]+)(.*)", name).groups() for name in SETTINGS["DEFAULT"]["dev_requirements"].split())
    assert pins["nbdev"].endswith(",<3") and int(version("nbdev").split(".")[0]) == 2


@pytest.mark.long
def test_the_pin_of_nbdev_still_installs():
    "Asks the registry; if this fails, CONTRIBUTING says how to move."
    family = [name for name in SETTINGS["DEFAULT"]["dev_requirements"].split() if re.match("nbdev|fastcore|execnb|ghapi", name)]
    done = subprocess.run([dev.program("uv"), "pip", "compile", "-q", "--python-version", "3.11", "-"], input="\n".join(family), text=True, capture_output=True)
    assert done.returncode == 0 and re.search(r"^nbdev==2\.", done.stdout, re.MULTILINE), done.stderr


def test_every_requirement_is_constrained():
    pinned = {line.split("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    named = {re.match(r"[\w.-]+", name)[0].lower().replace("_", "-") for key, value in SETTINGS["DEFAULT"].items()
             if key.endswith("requirements") for name in value.split()}
    assert not named - pinned, "run `python tools/dev.py constraints`"


# Badges

def test_badges_come_once_and_leave_the_rest(tmp_path):
    notebook = json.loads((ROOT / "nbs/30_knn.ipynb").read_text(encoding="utf-8"))
    once = badges.with_badges(notebook, "30_knn.ipynb")
    assert badges.with_badges(once, "30_knn.ipynb") == once
    first = badges.source(once["cells"][0])
    assert first.count("Open in Colab") == first.count("Open in Binder") == 1 and "/blob/main/nbs/30_knn.ipynb" in first
    assert first.startswith("# Nearest neighbours\n\n> ")
    known = [badges.source(cell) for cell in notebook["cells"] if badges.MARK not in badges.source(cell)]
    assert [badges.source(cell) for cell in once["cells"]][2:] == known[1:]
    ids = [cell["id"] for cell in once["cells"]]
    assert len(set(ids)) == len(ids)


def test_every_course_notebook_has_badges():
    paths = sorted((ROOT / "nbs").glob("[0-9]*.ipynb"))
    stale = [path.name for path in paths if path.read_text(encoding="utf-8") != badges.written(path)]
    assert paths and not stale, f"run `python tools/badges.py`: {stale}"


@pytest.mark.parametrize("there", [True, False])
def test_the_first_cell_installs_only_where_it_must(there, monkeypatch):
    calls = []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if there else None)
    monkeypatch.setattr(subprocess, "run", lambda command, check: calls.append(command))
    exec(badges.SETUP, {})
    assert len(calls) == (not there) and (there or calls[0][1:4] == ["-m", "pip", "install"] and "leuknb[course]" in calls[0][-1])


# Release

def test_the_version_is_the_same_everywhere():
    assert release.disagreements(SETTINGS["DEFAULT"]["version"]) == []


def test_a_wrong_version_and_a_release_without_a_date_are_found():
    problems = release.disagreements("9.9.9", "v9.9.8")
    assert len(problems) == 5 and "the tag says 9.9.8, settings.ini 9.9.9" in problems and "date the release" in problems[-1]


def test_a_wheel_that_lacks_files_is_found(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        wheel.writestr("leuknb/__init__.py", "")
    missing = release.missing_in(tmp_path / "a.whl")
    assert "leuknb/py.typed" in missing and "leuknb/assets/course/000_tour.ipynb" in missing and "leuknb/__init__.py" not in missing


@pytest.mark.long
def test_what_would_be_released(tmp_path):
    import shutil
    ignored = shutil.ignore_patterns(".venv", ".git", "runs", "dist", "build", "_site", "__pycache__", ".nbtext", "*.egg-info")
    shutil.copytree(ROOT, tmp_path / "leuknb", ignore=ignored)
    done = subprocess.run([sys.executable, "tools/release.py"], cwd=tmp_path / "leuknb", capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count("MB, checked") == 2, done.stdout + done.stderr


# Habits

def test_workflows_and_forms_are_sound():
    files = [*(ROOT / ".github").rglob("*.yml")]
    assert len(files) >= 8
    for path in files:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        for job in content.get("jobs", {}).values() if isinstance(content.get("jobs"), dict) else ():
            assert job["runs-on"] and job["steps"]
        text = path.read_text(encoding="utf-8")
        for command in re.findall(r"tools/dev\.py ([\w-]+)", text):
            assert command in dev.COMMANDS, f"{path.name}: {command}"
        for file in re.findall(r"\b((?:tests|tools|\.ci)/[\w./-]+)", text):
            assert (ROOT / file).exists(), f"{path.name}: {file}"
    form = (ROOT / ".github/ISSUE_TEMPLATE/problem.yml").read_text(encoding="utf-8")
    assert "config.json" in form and "Never attach images of patients" in form
    matrix = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())["jobs"]["systems"]["strategy"]["matrix"]
    assert len(matrix["os"]) == 3 and matrix["python"][0] == SETTINGS["DEFAULT"]["min_python"]


def test_what_people_look_for_is_there():
    for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md", "CITATION.cff", "LICENSE", "leuknb/py.typed"):
        assert (ROOT / name).exists(), name
    for name in ("CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md"):
        assert not re.search(r"[\w.]+@[\w.]+\.\w+", (ROOT / name).read_text(encoding="utf-8")), f"{name}: an address that nobody reads"
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert "doi" not in citation and "place-holder" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_public_names_have_types(tmp_path):
    "A program that uses public names as the README does is checked by mypy against the package's own types."
    config = tmp_path / "mypy.ini"
    config.write_text("[mypy]\nignore_missing_imports = True\nfollow_imports = silent\n"
                      "[mypy-torch.*,torchvision.*,sklearn.*,skorch.*,scipy.*,matplotlib.*,pandas.*,numpy.*,captum.*,skimage.*]\nfollow_imports = skip\n")
    done = subprocess.run([sys.executable, "-m", "mypy", "--config-file", config, "--cache-dir", tmp_path / "cache", ROOT / "tests/typed_use.py"],
                          cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"MYPYPATH": str(ROOT)})
    wrong = re.findall(r"typed_use\.py:(\d+): error", done.stdout)
    expected = [str(i) for i, line in enumerate((ROOT / "tests/typed_use.py").read_text().splitlines(), 1) if "# wrong" in line]
    assert sorted(set(wrong)) == sorted(expected), done.stdout + done.stderr


# The container and Binder, without docker

def steps():
    "The instructions of the Dockerfile."
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line and not line.startswith("#")]


def test_the_container_runs_as_a_user_and_starts_what_exists():
    kinds = [kind for kind, _ in steps()]
    assert kinds[0] == "FROM" and kinds.index("USER") < kinds.index("CMD") and dict(steps())["USER"] == "student"
    command = json.loads(dict(steps())["CMD"])
    assert command[:2] == ["jupyter", "lab"] and (ROOT / "nbs" / Path(command[-1]).name).exists()
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {".git", ".venv", "runs"} <= set(ignored) and not {"nbs", "leuknb", "settings.ini"} & set(ignored)
    extras = {key.removesuffix("_requirements") for key in SETTINGS["DEFAULT"] if key.endswith("_requirements")}
    install = next(text for kind, text in steps() if kind == "RUN" and "pip install" in text)
    assert set(re.findall(r"\[(\w+)\]", install)) <= extras and "constraints.txt" in install


@posix
def test_the_users_steps_of_the_container_work(tmp_path):
    "The steps after USER, with this environment in place of the container's."
    user = [text for kind, text in steps()[[kind for kind, _ in steps()].index("USER"):] if kind == "RUN"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    script = "import sys; from leuknb.cli import main; sys.exit(main(sys.argv[1:]))"
    for text in user:
        words = shlex.split(text)
        assert words[0] == "leuknb"
        done = subprocess.run([sys.executable, "-c", script, *words[1:]], cwd=tmp_path, env=os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)})
        assert done.returncode == 0
    assert (tmp_path / json.loads(dict(steps())["CMD"])[-1]).exists()


@posix
def test_binder_has_what_it_needs():
    requirements = (ROOT / ".binder/requirements.txt").read_text().splitlines()
    assert (ROOT / ".binder" / requirements[1].split()[1]).resolve() == ROOT / "constraints.txt" and "[course]" in requirements[-1]
    assert os.access(ROOT / ".binder/postBuild", os.X_OK)
    done = subprocess.run([ROOT / ".binder/postBuild"], capture_output=True, text=True,
                          env=os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"})
    assert done.returncode == 0, done.stderr
