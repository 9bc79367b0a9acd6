"""Random laboratories: the same from the same seed, drawn once, continued after an interruption."""
from types import SimpleNamespace

import numpy as np
import pytest

from leuknb.lib.errors import InputError
from leuknb.lib.laboratories import FACTS, FIELDS, PATIENTS, SIZE, draw_laboratory, draw_set


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return draw_set(tmp_path_factory.mktemp("set"), 3, progress=False)


def test_a_laboratory_is_always_the_same(drawn):
    images, facts = draw_laboratory(0, 2)
    assert images.shape == (PATIENTS, FIELDS, SIZE, SIZE, 4) and facts.shape == (PATIENTS, len(FACTS))
    assert np.array_equal(images, drawn[0][2]) and np.array_equal(facts, drawn[1][2])
    assert not np.array_equal(images, drawn[0][1])


def test_drawing_continues(tmp_path):
    images, facts = draw_set(tmp_path, 2, progress=False)
    first, second = images[0].copy(), images[1].copy()
    images[1], facts[1], images[0] = 0, 0, 7
    images, _ = draw_set(tmp_path, 2, progress=False)
    assert np.array_equal(images[1], second) and not np.array_equal(images[0], first)


def test_a_set_that_is_damaged(tmp_path):
    (tmp_path / "facts-0-1.npy").write_text("")
    _, facts = draw_set(tmp_path, 1, progress=False)
    assert (facts[..., -1] > 0).all()
    (tmp_path / "facts-0-1.npy").write_text("")
    with pytest.raises(InputError, match="it is drawn again"):
        draw_set(tmp_path, 1, progress=False)


def test_a_disk_that_is_too_small(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=10**6))
    with pytest.raises(InputError, match="GB are free"):
        draw_set(tmp_path, 3, progress=False)
    assert not list(tmp_path.iterdir())
