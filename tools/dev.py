"""Everything a checkout needs, without make: python tools/dev.py COMMAND

    setup          the environment .venv, with everything for development
    demo           generate smears, run the whole grid on them, say what to do next
    test           every notebook and test
    test-long      the slow tests
    test-browser   the tests that drive a browser
    lab            the tour in JupyterLab
    docs           the documentation site, in _site/html
    bench [DIR]    the benchmarks, on a folder of images if one is named; --only million --rows 1e4,1e5,1e6 for large sizes
    release-check  build, check and install what would be released
    constraints    the versions that are known to work together, anew
    clean          remove the environment and what was built

It needs Python 3.11 or newer. Where no NVIDIA GPU is found it asks for the CPU build of torch, several GB less, and takes the usual one
where that cannot be had; LEUKNB_TORCH=cpu or LEUKNB_TORCH=default chooses.
"""
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
SOURCES = ("settings.ini", "setup.py", "constraints.txt")
USE = ["course"]  # extras for demo and lab
DEVELOP = ["course", "dev", "docs", "lab", *(["formats"] if sys.platform == "linux" else [])]  # not every format has wheels elsewhere


def program(name, windows=os.name == "nt"):
    "A program of the environment."
    return VENV / ("Scripts" if windows else "bin") / f"{name}{'.exe' if windows else ''}"


PYTHON = program("python")


def call(*command, check=True, errors=None, **environment):  # errors: subprocess.DEVNULL hides them
    "Run a command in the checkout; True if it succeeded. With `check`, its failure ends this one."
    env = os.environ | {"UV_PYTHON": str(PYTHON)} | environment
    code = subprocess.run([str(part) for part in command], cwd=ROOT, env=env, stderr=errors).returncode
    if check and code:
        sys.exit(code)
    return code == 0


def has_gpu():
    "Is there an NVIDIA GPU whose driver answers?"
    smi = shutil.which("nvidia-smi")
    return bool(smi) and subprocess.run([smi, "-L"], capture_output=True).returncode == 0


def torch_build(platform=sys.platform, environ=os.environ):
    "Which build of torch to ask for: cpu, or default, the registry's (on macOS that has no CUDA parts anyway)."
    if (chosen := environ.get("LEUKNB_TORCH", "")) in ("cpu", "default"):
        return chosen
    if chosen:
        sys.exit(f"LEUKNB_TORCH={chosen}: choose cpu or default")
    return "default" if platform == "darwin" or has_gpu() else "cpu"


def installers(extras, build, uv=program("uv")):
    "The ways to install, the best first: by uv with the CPU build, by uv, by pip."
    what = ["-q", "-c", "constraints.txt", "-e", f".[{','.join(extras)}]"]
    by_uv = [uv, "pip", "install", "--compile-bytecode",  # as pip does; else each kernel compiles torch anew where Python may not write bytecode
             "--refresh-package", "leuknb"]  # uv does not see that settings.ini has changed
    cpu = [[*by_uv, "--torch-backend", "cpu", *what]] if build == "cpu" else []
    return [*cpu, [*by_uv, *what], [PYTHON, "-m", "pip", "install", *what]]


def install(extras):
    "Install the package, with extras, in the first way that works."
    call(PYTHON, "-m", "pip", "install", "-q", "uv", check=False)
    build = torch_build()
    for way in installers(extras, build):
        hidden = subprocess.DEVNULL if "--torch-backend" in way else None  # what fails there, the next way reports again
        try:
            if call(*way, check=False, errors=hidden, UV_HTTP_RETRIES="1"):
                return
        except OSError:  # no uv
            pass
        if "--torch-backend" in way:
            print("leuknb: the CPU build of torch cannot be had here; installing the usual one", file=sys.stderr, flush=True)
    sys.exit("leuknb: the installation failed; the messages above say why")


def wanted(extras):
    "What a finished environment is marked with: a digest of what it depends on, and its extras."
    content = b"".join((ROOT / name).read_bytes() for name in SOURCES)
    return {"digest": hashlib.sha256(content).hexdigest()[:16], "extras": sorted(extras)}


def ready(extras):
    "Is the environment there, up to date, and complete?"
    try:
        mark = json.loads((VENV / ".ready").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return PYTHON.exists() and mark["digest"] == wanted(extras)["digest"] and set(extras) <= set(mark["extras"])


def setup(extras=DEVELOP):
    "Make the environment, unless it is ready."
    if ready(extras):
        return
    if sys.version_info < (3, 11):
        sys.exit("leuknb needs Python 3.11 or newer; start this with one: python3.12 tools/dev.py ...")
    if not PYTHON.exists():
        call(sys.executable, "-m", "venv", VENV)
    install(extras)
    (VENV / ".ready").write_text(json.dumps(wanted(extras)), encoding="utf-8")


def demo():
    "Run the grid on generated smears."
    setup(USE)
    call(program("leuknb"), "reproduce", "--out", "runs/demo")


def test():
    "Run every notebook and test."
    setup()
    call(PYTHON, "tools/test.py")


def test_long():
    "Run the slow tests."
    setup()
    call(PYTHON, "-m", "pytest", "-q", "tests", "--ignore", "tests/browser", "--long")


def test_browser():
    "Run the tests that drive a browser."
    setup()
    call(PYTHON, "-m", "pytest", "-q", "tests/browser")


def lab():
    "Open the tour."
    setup(USE)
    call(program("jupyter"), "lab", "nbs/000_tour.ipynb")


def docs():
    "Build the site."
    setup()
    call(PYTHON, "tools/build_site.py")


def bench(*data):
    "Run the benchmarks."
    setup()
    call(PYTHON, "tools/bench.py", *data)


def release_check():
    "Build and check what would be released."
    setup()
    call(PYTHON, "tools/release.py")


def constraints():
    "Pin the versions that work together."
    setup()
    call(program("uv"), "pip", "compile", "-q", "--universal", "--python-version", "3.11", "--all-extras", "--no-annotate",
         "--no-header", "--upgrade", "--refresh-package", "leuknb", "setup.py", "-o", "constraints.txt")


def clean():
    "Remove the environment and what was built."
    for path in (VENV, ROOT / "build", ROOT / "dist", ROOT / "_site", *ROOT.glob("*.egg-info")):
        shutil.rmtree(path, ignore_errors=True)


COMMANDS = {f.__name__.replace("_", "-"): f for f in (setup, demo, test, test_long, test_browser, lab, docs, bench, release_check,
                                                      constraints, clean)}

if __name__ == "__main__":
    name, *more = sys.argv[1:] or ["help"]
    if name not in COMMANDS or more and name != "bench":
        sys.exit(__doc__)
    COMMANDS[name](*more)
