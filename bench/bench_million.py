"""From ten thousand to a million: images, near-duplicates, splits, the feature cache, heads, predictions; time, memory, and how both grow.

    python bench/bench_million.py [--rows 1e4,1e5,1e6] [--parts images,twins,split,cache,svm,softmax,knn,predict] [--features 2304] [--csv FILE]

By default 2,500 and 10,000 rows, which takes a few minutes. Everything is generated: images are windows of drawn fields (every fiftieth a copy that was
made paler and noisy), features are like a network's. Each part is measured in a process of its own: seconds of processor time (of all its threads), the
largest memory of its own, the largest resident memory (which counts mapped files, as far as there is room for them), both in GB, and the exponent e of
the growth since the line above, time ~ rows^e. A million rows of 2,304 features take 9.2 GB of the temporary folder, twice that with the cache.
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

PARTS = ("images", "twins", "split", "cache", "svm", "softmax", "knn", "predict")


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
        assert not pairs - whole and len(pairs) >= 0.999 * len(whole), f"cells lost {len(whole - pairs)} of {len(whole)}, invented {len(pairs - whole)}"
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


QUERIES = 5000
SEARCHED = {  # the same few settings, whether the search is on all rows or on a part of them
    "SVMHead": dict(C=(1, 10), gamma="scale", scale="global", cv=3, memory=2e10),
    "SoftmaxHead": dict(C=(1, 10), cv=3), "KNNHead": dict(n_neighbors=(5, 15), metric="euclidean", scale="standard", cv=3)}




def fitted(name, n, width):
    "A head in blocks, tested on other rows; up to 20,000 rows beside the exact fit, with the same settings to choose from."
    from leuknb import heads
    (X, y), (Q, z) = features(n, width), features(QUERIES, width, seed=1)
    found = {}
    for way, limit in (("in blocks", 1),) + ((("exact", n),) if n <= 20_000 else ()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            head, seconds = timed(lambda: getattr(heads, name)(large=limit, n_jobs=1, **SEARCHED[name]).fit(X, y))
        found[way], predicting = timed(lambda: head.predict(Q))
        other = f", {(found[way] != found['in blocks']).mean():.2%} not as in blocks" if way == "exact" else ""
        yield f"{name}, {way}", seconds, f"accuracy {(found[way] == z).mean():.4f} on {QUERIES:,} other rows{other}; predicting them: {predicting:.1f} s"


svm, softmax, knn = (partial(fitted, name) for name in SEARCHED)


def image_files(folder, n, classes=("Benign", "Early", "Pre", "Pro")):
    "Write windows of drawn fields as JPEG files of 48 x 48 pixels, a thousand a folder."
    from PIL import Image
    paths, seen = [], set()
    for k, pixels in enumerate(thumbnails(n)):
        if hash(pixels.tobytes()) in seen:  # the same window by chance, and perhaps of another class
            pixels = pixels[::-1]
        seen.add(hash(pixels.tobytes()))
        paths.append(folder / classes[k % 4] / f"{k // 4000:03}-{k:07}.jpg")
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.reshape(48, 48)).convert("RGB").save(paths[-1], quality=90)
    return paths


def small_network():
    "A network of one layer that makes 2,304 features of an image: here the images count, not the network."
    import torch
    from torch import nn

    from leuknb.lib.architectures import register_backbone
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 64, 8, 8), nn.ReLU(), nn.Flatten(), nn.Linear(2304, 4))
    register_backbone("small", net, {"size": 48})


def images(n, width):
    "Examine, group and describe image files: the catalogue, then 2,304 features of each, computed and once more from the cache."
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LEUKNB_CACHE"] = f"{folder}/cache"
        command = [sys.executable, __file__, "--write", f"{folder}/images", "--rows", str(n)]
        subprocess.run(command, check=True)  # in a process of its own, whose memory does not count
        from leuknb.data import catalogue
        cat, seconds = timed(lambda: catalogue(f"{folder}/images", min_size=32))
        yield "catalogue (examine, near-duplicates, group)", seconds, f"{cat['group'].nunique()} groups"
        from leuknb.backbones import Backbone
        small_network()
        backbone, paths = Backbone("small", "own", layer="penultimate", progress=False).fit(), list(cat["path"])
        del cat
        rows, seconds = timed(lambda: backbone.transform(paths))
        yield "transform, computed", seconds, f"{rows.shape[0]} x {rows.shape[1]}, {type(rows).__name__}"
        again, seconds = timed(lambda: backbone.transform(paths))
        blocks = [slice(k, k + 10_000) for k in range(0, n, 10_000)]
        yield "transform, from the cache", seconds, "the same" if all(np.array_equal(rows[b], again[b]) for b in blocks) else "ANOTHER RESULT"


def command(words, env, until=None):
    "Run leuknb; its seconds of processor time and largest memory. until: a condition under which it is killed."
    process = subprocess.Popen([sys.executable, "-m", "leuknb", *map(str, words)], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while until and process.poll() is None:
        if until():
            process.kill()
        time.sleep(0.05)
    error = process.stderr.read().decode()
    if until:
        return process.wait()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(error)
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6


def predict(n, width):
    "Predict image files by the command, and once more with a kill -9 in the middle: the same bytes."
    with tempfile.TemporaryDirectory() as folder:
        env = os.environ | {"LEUKNB_CACHE": f"{folder}/cache"}
        for name, count in (("images", n), ("training", 400)):
            subprocess.run([sys.executable, __file__, "--write", f"{folder}/{name}", "--rows", str(count)], check=True)
        command(["reproduce", "--data", f"{folder}/training", "--out", f"{folder}/run", "--backbones", "alexnet", "--weights", "random",
                 "--heads", "svm", "--variants", "original", "--size", 64, "--no-audit"], env)
        words = ["predict", f"{folder}/run", f"{folder}/images", "--out"]
        seconds, peak = command([*words, f"{folder}/whole.csv"], env | {"LEUKNB_CACHE": f"{folder}/one"})
        env["LEUKNB_CACHE"], part = f"{folder}/two", Path(folder) / "stopped.csv.part"
        command([*words, f"{folder}/stopped.csv"], env, lambda: len(list(part.glob("0*.csv"))) > n // 128)
        there = len(list(part.glob("0*.csv")))
        yield "predict", seconds, f"{there} parts were there after kill -9", peak
        seconds, peak = command([*words, f"{folder}/stopped.csv"], env)
        same = len({sha256((Path(folder) / name).read_bytes()).digest() for name in ("whole.csv", "stopped.csv")}) == 1
        yield "predict, the rest after a kill -9", seconds, "the same bytes" if same else "OTHER BYTES", peak


class Watch(threading.Thread):
    "Note the largest memory of this process that is no mapped file, GB; where Linux does not say it, all memory."

    def __init__(self):
        super().__init__(daemon=True)
        self.most = 0.0

    def run(self):
        while True:
            try:
                lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
                self.most = max(self.most, int(lines["RssAnon"].split()[0]) * 1024 / 1e9)
            except (OSError, KeyError):
                self.most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            time.sleep(0.05)


COLUMNS = ["what", "rows", "CPU s", "own GB", "GB", "found"]


def one(part, n, width):
    "Print the lines of one part at one size, as JSON."
    watch = Watch()
    watch.start()
    for name, seconds, what, *peak in globals()[part](n, width):
        time.sleep(0.06)
        whole = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(json.dumps([name, n, round(seconds, 2), round(peak[0] if peak else watch.most, 3), round(peak[0] if peak else whole, 3), what]), flush=True)


def measure(part, n, width):
    "The lines of one part at one size, from a process of its own."
    command = [sys.executable, __file__, "--one", part, "--rows", str(n), "--features", str(width)]
    done = subprocess.run(command, capture_output=True, text=True)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    return rows + ([[part, n, np.nan, np.nan, np.nan, (done.stderr.strip().splitlines() or ["killed"])[-1]]] if done.returncode else [])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="2500,10000", help="sizes (default: %(default)s)")
    parser.add_argument("--parts", default=",".join(PARTS), help="default: %(default)s")
    parser.add_argument("--features", type=int, default=2304)
    parser.add_argument("--csv", type=Path, help="a file to which the measured lines are added")
    for hidden in ("--one", "--write"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    args, _ = parser.parse_known_args()
    sizes = [int(float(n)) for n in args.rows.split(",")]
    if args.write:
        return image_files(Path(args.write), sizes[0])
    if args.one:
        return one(args.one, sizes[0], args.features)
    for part in args.parts.split(","):
        tables = []
        for n in sizes:
            tables.append(pd.DataFrame(measure(part, n, args.features), columns=COLUMNS))
            if args.csv:
                tables[-1].to_csv(args.csv, mode="a", header=not args.csv.exists(), index=False)
        table = pd.concat(tables, ignore_index=True)
        logs = np.log(table[["CPU s", "rows"]].clip(0.01)).groupby(table["what"], sort=False).diff()
        table.insert(3, "e", logs["CPU s"] / logs["rows"])
        table = table.sort_values(["what", "rows"], kind="stable")
        print(table.to_string(index=False, float_format="{:.2f}".format, na_rep=""), "\n", flush=True)


if __name__ == "__main__":
    main()
