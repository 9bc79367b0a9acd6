"Every benchmark under bench/, on a folder of images if one is named: python tools/bench.py [DIR]"
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

if __name__ == "__main__":
    scripts = sorted((ROOT / "bench").glob("bench_*.py"))
    data = ["--data", sys.argv[1]] if len(sys.argv) > 1 else []
    failed = [s.name for s in scripts if subprocess.run([sys.executable, s, *data], cwd=ROOT).returncode]
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)
