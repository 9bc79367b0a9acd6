"""Build what would be released, check it, and install it into new environments: python tools/release.py [--tag v0.1.0] [--no-install]

Nothing is published. The files are in dist/.
"""
import argparse
import configparser
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
TRIAL = """
import leuknb, subprocess, sys
from pathlib import Path
assert Path(leuknb.__file__).is_relative_to(sys.prefix), leuknb.__file__
from leuknb.lib.course import write_course
print(write_course("course"))
from leuknb.paper import published
print("published accuracy of AlexNet and SVM:", published("alexnet", "svm", "original").accuracy)
"""


def settings():
    "settings.ini."
    config = configparser.ConfigParser(delimiters=["="])
    config.read(ROOT / "settings.ini", encoding="utf-8")
    return config["DEFAULT"]


def disagreements(version, tag=None):
    "Where else the version stands, and differs."
    def stated(name, pattern):
        found = re.search(pattern, (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
        return found[1] if found else "nothing"
    places = {"leuknb/__init__.py": r'^__version__ = "(.+)"', "CITATION.cff": r"^version: (.+)$", "CHANGELOG.md": r"^## (\S+)"}
    found = {name: stated(name, pattern) for name, pattern in places.items()}
    found |= {"the tag": tag.removeprefix("v")} if tag else {}
    problems = [f"{name} says {value}, settings.ini {version}" for name, value in found.items() if value != version]
    heading = stated("CHANGELOG.md", r"^## (.+)$")
    if tag and not re.fullmatch(rf"{re.escape(version)} \(\d{{4}}-\d\d-\d\d\)", heading):
        problems.append(f"CHANGELOG.md: date the release, as '## {version} (2026-01-31)', not '## {heading}'")
    return problems


def run(*command, **options):
    "Run a command, stop if it fails."
    print("$", *command, flush=True)
    subprocess.run([str(part) for part in command], check=True, **options)


def missing_in(wheel):
    "Files that a wheel should hold and does not."
    names = set(zipfile.ZipFile(wheel).namelist())
    lessons = [f"leuknb/assets/course/{path.name}" for path in (ROOT / "nbs").glob("[0-9]*.ipynb")]
    modules = [str(path.relative_to(ROOT).as_posix()) for path in (ROOT / "leuknb").rglob("*.py")]
    return sorted({"leuknb/py.typed", "leuknb/assets/paper.json", "leuknb/assets/weights/alexnet.safetensors", *lessons, *modules} - names)


def try_installed(file):
    "Install a file without the checkout; its requirements are those that this environment has."
    with tempfile.TemporaryDirectory() as place:
        builder = venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt")
        builder.create(Path(place) / "env")
        python = Path(place) / "env" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", file)
        here = subprocess.run([sys.executable, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True).stdout.strip()
        env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        script = f"import sys; sys.path.append({here!r})\n{TRIAL}"
        run(python, "-c", script, cwd=place, env=env)


def main():
    "Check, build, check, install."
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--tag")
    args.add_argument("--no-install", action="store_true")
    args = args.parse_args()
    if problems := disagreements(settings()["version"], args.tag):
        sys.exit("\n".join(problems))
    shutil.rmtree(DIST, ignore_errors=True)
    shutil.rmtree(ROOT / "build", ignore_errors=True)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", DIST, ROOT)
    shutil.rmtree(ROOT / "build", ignore_errors=True)
    files = sorted(DIST.iterdir())
    run(sys.executable, "-m", "twine", "check", "--strict", *files)
    wheel = next(path for path in files if path.suffix == ".whl")
    if missing := missing_in(wheel):
        sys.exit(f"{wheel.name} lacks {', '.join(missing)}")
    for file in () if args.no_install else files:
        try_installed(file)
    print("\n".join(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, checked" for path in files))


if __name__ == "__main__":
    main()
