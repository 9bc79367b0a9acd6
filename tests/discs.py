"Small images of noise and discs, for the tests of networks."
import numpy as np
from PIL import Image

QUIET = dict(size=64, progress=False, precision="float32", device="cpu")  # settings of a quick backbone


def draw(folder, n, side=72):
    "Write n images."
    folder.mkdir()
    y, x = np.mgrid[:side, :side]
    made = []
    for i in range(n):
        rng = np.random.default_rng(i)
        image = rng.normal((230, 210, 220), 8, (side, side, 3))
        image[(y - rng.integers(10, 60)) ** 2 + (x - rng.integers(10, 60)) ** 2 < 150] = (110, 60, 140)
        made.append(folder / f"bild {i} é.png")
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(made[-1])
    return made


def ten_images(folder):
    "Ten images; the last has the same bytes as the first."
    return draw(folder / "images", 9) + draw(folder / "copies", 1)
