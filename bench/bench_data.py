"""Reading a folder of images into a catalogue, and finding its near-duplicates, beside the obvious way.

    python bench/bench_data.py [--data FOLDER]      without a folder, 1,000 pictures are made
"""
import argparse
import hashlib
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from leuknb.data import catalogue
from leuknb.lib.files import examine, parallel_map
from leuknb.twins import SIMILAR, similar_pairs


def pictures(root, n=1000):
    "Two classes of noise in large grains, 224 x 224 pixels."
    for i in range(n):
        path = root / "AB"[i % 2] / f"{i}.jpg"
        path.parent.mkdir(exist_ok=True)
        grains = np.random.default_rng(i).integers(0, 256, (28, 28, 3), dtype=np.uint8)
        Image.fromarray(grains).resize((224, 224)).save(path)
    return root


def plain(paths):
    "One file after the other: digest and thumbnail."
    for path in paths:
        hashlib.sha256(path.read_bytes()).hexdigest()
        np.asarray(Image.open(path).convert("L").resize((48, 48), Image.BOX))


def whole(thumbs):
    "All correlations in one matrix."
    return np.argwhere(np.triu(np.corrcoef(thumbs) > SIMILAR, 1))


def timed(work, *args):
    "Seconds, and the peak of memory that Python and NumPy asked for, in MB."
    start = time.perf_counter()
    work(*args)
    seconds = time.perf_counter() - start
    tracemalloc.start()
    work(*args)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return seconds, peak


def compare(name, n, ours, theirs):
    "One row of the table."
    (seconds, peak), (other, other_peak) = timed(*ours), timed(*theirs)
    return {"what": name, "n": n, "leuknb s": round(seconds, 2), "plain s": round(other, 2), "ratio": round(other / seconds, 1),
            "leuknb MB": round(peak), "plain MB": round(other_peak)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    with tempfile.TemporaryDirectory() as folder:
        root = parser.parse_args().data or pictures(Path(folder))
        paths = [Path(p) for p in catalogue(root, on_bad="skip")["path"]]
        rows = [compare("check, digest, thumbnail", len(paths), (parallel_map, lambda p: examine(p, 32), paths, ""), (plain, paths))]
    for n in (3256, 10_000):
        thumbs = np.random.default_rng(0).integers(0, 256, (n, 2304), dtype=np.uint8)
        rows.append(compare("near-duplicates", n, (similar_pairs, thumbs), (whole, thumbs)))
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
