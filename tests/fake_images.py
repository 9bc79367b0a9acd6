"Small images, folders of class folders and tables of them, for the tests of what reads them."
import numpy as np
import pandas as pd
from PIL import Image

from leuknb.lib.datasets import VARIANTS


def picture(seed, size=(40, 40)):
    "Noise in large grains: no two seeds look alike."
    grains = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(grains).resize(size, Image.NEAREST)


def smears(root, classes=("Benign", "Pro"), n=3, ending=".jpg", seed=0):
    "A folder of class folders, every picture different."
    for c, label in enumerate(classes):
        (root / label).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            picture(seed + 100 * c + i).save(root / label / f"{label}-{i + 1}{ending}")
    return root


def both(root, **options):
    "Kaggle's layout: Original and Segmented."
    smears(root / "Original", **options)
    smears(root / "Segmented", seed=5000, **options)
    return root


def table(root, *lines, head="path,label,patient,variant", encoding="utf-8"):
    "A CSV beside the class folders."
    smears(root)
    path = root / "list.csv"
    path.write_text("\n".join([head, *lines]) + "\n", encoding=encoding)
    return path


GOOD = ("Benign/Benign-1.jpg,Benign,,", "Benign/Benign-2.jpg,Benign,,", "Pro/Pro-1.jpg,Pro,,", "Pro/Pro-2.jpg,Pro,,")


def made(sizes, groups=None, variants=2, seed=0):
    "A catalogue without files: so many images a class, in groups of so many images."
    rng, rows = np.random.default_rng(seed), []
    for label, n in sizes.items():
        names = [f"{label}/{i}" for i in range(1, n + 1)]
        group = names if groups is None else [f"{label}-{g}" for g, size in enumerate(rng.permutation(groups[label])) for _ in range(size)]
        for name, g in zip(names, group, strict=True):
            rows += [dict(image=name, label=label, variant=v, group=g) for v in VARIANTS[:variants]]
    table = pd.DataFrame(rows)
    return table.astype({"label": pd.CategoricalDtype(list(sizes), ordered=True)})


def names_are_shared(cat):
    "Whether an image and its segmented twin always have the same name."
    return cat.groupby("image")["variant"].nunique().eq(2).all()
