"""How well the authors' masks are reproduced, and how large the cells are that the corrected method finds.

    python bench/bench_segment.py --data DIR [--images N]    N images a class (default: all); DIR holds Original/ and Segmented/
    python bench/bench_segment.py                            on generated smears, whose truth is recorded
"""
import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

from leuknb.lib.files import read_image
from leuknb.segment import authors_mask, find_cells

PUBLISHED = 64  # a published pixel brighter than this is kept; JPEG smears grey into the black


def overlap(a, b):
    "Intersection over union."
    return (a & b).sum() / max((a | b).sum(), 1)


def published(folder, n):
    "One row per class of the public set."
    rows = []
    for home in sorted(p for p in (folder / "Original").iterdir() if p.is_dir()):
        paths = sorted(home.glob("*.jpg"))
        paths = paths[::max(1, len(paths) // n)] if n else paths
        ious, shares, kept, areas, covers = [], [], [], [], []
        for path in paths:
            rgb = np.asarray(read_image(path))
            theirs = np.asarray(read_image(folder / "Segmented" / home.name / path.name)).max(-1) > PUBLISHED
            mask, labels = authors_mask(rgb), find_cells(rgb)
            ious.append(overlap(mask, theirs)), shares.append(theirs.mean()), kept.append(mask.mean()), covers.append((labels > 0).mean())
            areas += np.bincount(labels.ravel())[1:].tolist()
        rows.append({"class": home.name, "images": len(paths), "median IoU": np.median(ious), "published share %": 100 * np.median(shares),
                     "rebuilt share %": 100 * np.median(kept), "corrected share %": 100 * np.median(covers), "corrected cell area, pixels": np.median(areas),
                     "images without a cell": sum(c == 0 for c in covers)})
    return pd.DataFrame(rows).set_index("class").round(2)


def synthetic(n):
    "One row per class of generated smears, half of them stained at random, half as their class is."
    from leuknb.patients import CLASSES, smear
    dice = lambda a, b: 2 * (a & b).sum() / max(a.sum() + b.sum(), 1)
    rows = []
    for label in CLASSES:
        drawn = [smear(1000 + k, label, stain_leak=k % 2) for k in range(n)]
        begin = time.process_time()
        found = [find_cells(s.image) > 0 for s in drawn]
        each = (time.process_time() - begin) / n
        scores = [dice(f, s.mask > 0) for f, s in zip(found, drawn)]
        old = [dice(authors_mask(s.image), s.mask > 0) for s in drawn]
        rows.append({"class": label, "images": n, "Dice authors": np.median(old), "Dice corrected": np.median(scores),
                     "5th percentile": np.percentile(scores, 5), "images/s and core": 1 / each})
    return pd.DataFrame(rows).set_index("class").round(2)


def main():
    "Print one table."
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--images", type=int, default=0)
    args = parser.parse_args()
    print((published(args.data, args.images) if args.data else synthetic(args.images or 50)).to_string())


if __name__ == "__main__":
    main()
