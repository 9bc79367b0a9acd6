"""Every benchmark under bench/, on a folder of images if one is named, or one of them alone:

    python tools/bench.py [DIR] [--only million] [--rows 1e4,1e5,1e6]
"""
import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = {path.stem.removeprefix("bench_"): path for path in sorted((ROOT / "bench").glob("bench_*.py"))}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", metavar="DIR", nargs="?", help="a folder of images")
    parser.add_argument("--only", choices=SCRIPTS, help="one of the benchmarks")
    parser.add_argument("--rows", help="sizes of the benchmark million (default: short ones)")
    args = parser.parse_args()
    failed = []
    for name in [args.only] if args.only else SCRIPTS:
        more = (["--data", args.data] if args.data else []) + (["--rows", args.rows] if args.rows and name == "million" else [])
        if subprocess.run([sys.executable, SCRIPTS[name], *more], cwd=ROOT).returncode:
            failed.append(name)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)
