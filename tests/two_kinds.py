"Images of two kinds and quick settings, for the tests of fine-tuning."
import numpy as np
from PIL import Image

SMALL = dict(weights="random", size=64, crop=False, batch_size=8, validation=0.25, progress=False, seed=3)
HEAD = SMALL | dict(unfreeze="classifier", epochs=4)
ALL = SMALL | dict(unfreeze="all", epochs=3, head_epochs=2)


def two_kinds(folder):
    "32 images of dark and of light discs: paths and labels."
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    paths, labels = [], []
    for k in range(32):
        image = rng.normal(225, 5, (64, 64, 3))
        cx, cy = rng.uniform(15, 49, 2)
        image[(x - cx) ** 2 + (y - cy) ** 2 < 150] -= 90 if k % 2 else 45
        paths.append(str(folder / f"{k:02} é.png"))
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(paths[-1])
        labels.append("Pro" if k % 2 else "Benign")
    return paths, np.array(labels)
