"""From ten thousand to a million: near-duplicates, splits, the feature cache, heads; time, memory, and how both grow.

    python bench/bench_million.py [--rows 10000,100000,1000000] [--parts twins,split,cache,heads] [--features 2304]

By default 2,500 and 10,000 rows, which takes a minute or two. Everything is generated: thumbnails are windows of drawn fields (every fiftieth a
copy that was made paler and noisy), features are like a network's. Each line is measured in a process of its own: seconds of processor time, the
largest resident memory (which counts mapped files), and the exponent e of the growth since the line above, time ~ rows^e.
"""
import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
import pandas as pd

PARTS = ("twins", "split", "cache", "heads")


def thumbnails(n, seed=0, side=256):
    "Windows of 48 x 48 pixels in drawn fields, turned and mirrored; 2 % are noisy copies of others."
    from scipy.signal import fftconvolve
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-8:9, -8:9]
    r = np.hypot(x, y)
    cells = [((1 / (1 + np.exp(2 * (r - radius)))) - hollow * np.exp(-((r / (0.6 * radius)) ** 2)), dark, density)
             for radius, hollow, dark, density in ((2.2, 0.35, 45, 0.03), (4, 0, 110, 0.0015), (1.2, 0, 70, 0.001))]
    fields = np.empty((max(8, min(2000, n // 50)), side, side), np.uint8)
    for field in fields:
        image = 225 + rng.normal(0, 12) * (np.arange(side) / side - 0.5) + rng.normal(0, 1.5, (side, side))
        for cell, dark, density in cells:
            image -= fftconvolve(rng.poisson(density * rng.uniform(0.5, 1.5), (side, side)) * dark, cell, "same")
        field[:] = image.clip(0, 255)
    thumbs = np.empty((n, 2304), np.uint8)
    for k, (field, top, left, turn) in enumerate(zip(*(rng.integers(m, size=n) for m in (len(fields), side - 47, side - 47, 4)))):
        window = np.rot90(fields[field, top:top + 48, left:left + 48], turn)
        thumbs[k] = (window[:, ::-1] if k % 2 else window).ravel()
    for one, other in rng.permutation(n)[:2 * (n // 50)].reshape(-1, 2):
        thumbs[other] = (thumbs[one] * rng.uniform(0.7, 1.05) + rng.normal(0, rng.uniform(1, 12), 2304)).clip(0, 255)
    return thumbs


def features(n, width, seed=0, block=10_000):
    "Features after a ReLU, of low intrinsic dimension, in a memory map; and four classes."
    shape = np.random.default_rng(99)
    turn, shift, unit, means = shape.normal(size=(40, width)), shape.normal(size=width), np.exp(shape.normal(size=width)), shape.normal(size=(4, 40))
    rng = np.random.default_rng(seed)
    y = rng.choice(4, n, p=[0.155, 0.303, 0.296, 0.246])
    X = np.memmap(tempfile.TemporaryFile(), np.float32, "w+", shape=(n, width))
    for start in range(0, n, block):
        part = y[start:start + block]
        latent = (0.35 * means[part] + rng.normal(size=(len(part), 40))).astype(np.float32)
        X[start:start + block] = np.maximum(latent @ turn.astype(np.float32) + 2 * shift, 0) * unit
    return X, y


def timed(work):
    "What it returns, and the seconds of processor time."
    start = time.process_time()
    return work(), time.process_time() - start


def twins(n, width):
    "Near-duplicates among thumbnails; up to 20,000 also by comparing all pairs."
    from leuknb import twins
    thumbs = thumbnails(n)
    search = lambda way: {tuple(pair) for pairs, _ in way for pair in pairs.tolist()}
    pairs, seconds = timed(lambda: search(twins._candidates_in_cells(thumbs, twins.SIMILAR)))
    yield "near-duplicates, in cells", seconds, f"{len(pairs)} pairs"
    if n <= 20_000:
        whole, seconds = timed(lambda: search(twins._candidates(thumbs, twins.SIMILAR, 2048)))
        yield "near-duplicates, all pairs", seconds, f"{len(whole)} pairs; cells lost {len(whole - pairs)}, invented {len(pairs - whole)}"


def split(n, width):
    "The split by group; one to four images a group."
    from leuknb import splits
    rng = np.random.default_rng(0)
    label, group = np.sort(rng.integers(4, size=n)), np.arange(n) - rng.integers(4, size=n) * (rng.random(n) < 0.3)
    cat = pd.DataFrame({"image": [f"c{k}/smear-{i}" for i, k in enumerate(label)], "label": pd.Categorical(label.astype(str)),
                        "group": [f"g{k}" for k in group]})
    for scheme in ("group", "paper"):
        parts, seconds = timed(lambda: splits.split(cat, scheme))
        yield f"split {scheme}", seconds, f"{(parts['split'] == 'test').mean():.4f} in the test set"


def cache(n, width):
    "The feature store: n rows written in batches of 64, looked up as a whole, then one image."
    import os
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LEUKNB_CACHE"] = folder
        from leuknb.lib.cache import FeatureStore
        from leuknb.lib.large import mapped, row_table
        store, rows = FeatureStore({"version": 0}), np.random.default_rng(0).normal(size=(64, width)).astype(np.float32)
        names = [f"{k:064x}" for k in range(n)]
        _, seconds = timed(lambda: [store.add(names[k:k + 64], rows[:len(names[k:k + 64])]) for k in range(0, n, 64)])
        yield "cache, write", seconds, ""

        def whole():
            table, place = row_table(n, width, np.float32, folder), {name: k for k, name in enumerate(names)}
            for found, part in store.chunks(place):
                for name, row in zip(found, part):
                    table[[place.pop(name)]] = row
            return len(place), mapped(table)
        (missing, _), seconds = timed(whole)
        yield "cache, read all", seconds, f"{missing} missing, {len(list(store.folder.glob('*.safetensors')))} files"
        _, seconds = timed(lambda: list(store.chunks({names[n // 2]: 0})))
        yield "cache, find one image", seconds, ""


def heads(n, width):
    "Heads in blocks, tested on 2,000 other rows; at 20,000 rows and fewer beside the plain fit."
    from leuknb.heads import KNNHead, SoftmaxHead, SVMHead
    (X, y), (Q, z) = features(n, width), features(2000, width, seed=1)
    for kind in (SVMHead, SoftmaxHead, KNNHead):
        for way, limit in (("in blocks", 0),) + ((("plain", n),) if n <= 20_000 else ()):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                head, seconds = timed(lambda: kind(large=max(1, limit), n_jobs=1).fit(X, y))
            right, predicting = timed(lambda: (head.predict(Q) == z).mean())
            yield f"{kind.__name__}, {way}", seconds, f"accuracy {right:.4f}; predicting 2,000 rows takes {predicting:.1f} s"


def measure(part, n, width):
    "The lines of one part at one size, from a process of its own."
    command = [sys.executable, __file__, "--one", part, "--rows", str(n), "--features", str(width)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return [[part, n, np.nan, np.nan, done.stderr.strip().splitlines()[-1]]]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="2500,10000", help="sizes (default: %(default)s)")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--features", type=int, default=2304)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args, _ = parser.parse_known_args()
    sizes = [int(float(n)) for n in args.rows.split(",")]
    if args.one:
        for name, seconds, what in globals()[args.one](sizes[0], args.features):
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            print(json.dumps([name, sizes[0], seconds, peak, what]), flush=True)
        return
    for part in args.parts.split(","):
        table = pd.DataFrame([row for n in sizes for row in measure(part, n, args.features)], columns=["what", "rows", "CPU s", "GB", "found"])
        logs = np.log(table[["CPU s", "rows"]]).groupby(table["what"]).diff()
        table.insert(3, "e", logs["CPU s"] / logs["rows"])
        print(table.sort_values(["what", "rows"], kind="stable").to_string(index=False, float_format="{:.2f}".format), "\n", flush=True)


if __name__ == "__main__":
    main()
