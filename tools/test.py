"Every test: notebooks, that all is in step, and tests/. Exits 1 if any part fails or if no notebook ran."
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PARTS = {
    "notebooks": [BIN / "nbdev_test", "--do_print", "--n_workers", "2"],
    "in step": [sys.executable, "tools/nb.py", "check"],
    "tests": [sys.executable, "-m", "pytest", "-q", "tests", "--ignore", "tests/browser"],
}


def part(name, command):
    "Run one part; True if it passed."
    print(f"== {name}", flush=True)
    start, path = time.time(), f"{BIN}{os.pathsep}{os.environ['PATH']}"
    env = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ, "PATH": path}  # several processes share the cores
    done = subprocess.run([str(c) for c in command], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
    ran = done.stdout.count("- Completed ") if name == "notebooks" else 1
    print(done.stdout.strip(), f"== {name}: {'passed' if not done.returncode and ran else 'FAILED'}, "
          f"{time.time() - start:.0f} s", sep="\n", flush=True)
    return done.returncode == 0 and ran > 0


if __name__ == "__main__":
    passed = [part(name, command) for name, command in PARTS.items()]
    print(f"{sum(passed)} passed, {len(passed) - sum(passed)} failed")
    sys.exit(not all(passed))
