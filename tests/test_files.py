"Image files as people have them: formats, bit depths, damage."
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fake_images import picture, smears
from leuknb.data import catalogue
from leuknb.lib import files
from leuknb.lib.errors import InputError
from leuknb.lib.files import check_free_folder, process_map, read_image


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ending=st.sampled_from([".jpg", ".png", ".gif", ".tif", ".bmp", ".webp"]), place=st.floats(0, 1), noise=st.binary(min_size=1, max_size=40))
def test_damaged_bytes_never_end_in_a_traceback(ending, place, noise, tmp_path):
    path = tmp_path / f"x{ending}"
    picture(3).save(path)
    content = bytearray(path.read_bytes())
    start = int(place * len(content))
    content[start:start + len(noise)] = noise
    path.write_bytes(content)
    found = files.examine(path, 32)
    assert ("problem" in found) != ("sha256" in found)


def rotated(path):
    tag = Image.Exif()
    tag[0x0112] = 6
    picture(611, (60, 40)).save(path, exif=tag)


FORMATS = {
    "grey.jpg": lambda p: picture(601).convert("L").save(p),
    "palette.png": lambda p: picture(602).convert("P").save(p),
    "palette.gif": lambda p: picture(603).convert("P").save(p),
    "clear.png": lambda p: picture(604).convert("RGBA").save(p),
    "print.jpg": lambda p: picture(605).convert("CMYK").save(p),
    "deep.tif": lambda p: Image.fromarray(np.asarray(picture(606).convert("L")).astype(np.uint16) * 257).save(p),
    "deep.png": lambda p: Image.fromarray(np.asarray(picture(607).convert("L")).astype(np.uint16) * 257).save(p),
    "float.tif": lambda p: Image.fromarray(np.asarray(picture(608).convert("L")).astype(np.float32)).save(p),
    "bits.png": lambda p: picture(609).convert("1").save(p),
    "rotated.jpg": rotated,
    "UPPER.JPG": lambda p: picture(612).save(p, "JPEG"),
    "Mixed.Png": lambda p: picture(613).save(p, "PNG"),
    "with spaces (2).jpeg": lambda p: picture(614).save(p),
    "Zürich-λ-写真.jpg": lambda p: picture(615).save(p),
    "dots.v2.final.webp": lambda p: picture(616).save(p),
    "quote'\"&<b>.bmp": lambda p: picture(617).save(p),
    "phone.jpg": lambda p: picture(618).save(p, "MPO", save_all=True, append_images=[picture(619)]),
}


@pytest.mark.parametrize("name", FORMATS)
def test_formats(name, tmp_path):
    root = smears(tmp_path / "Blut und Blüten")
    FORMATS[name](root / "Pro" / name)
    cat = catalogue(root)
    row = cat[cat["image"] == f"Pro/{Path(name).stem}"].iloc[0]
    assert (row["width"], row["height"]) == read_image(row["path"]).size == (40, 60 if name == "rotated.jpg" else 40)
    assert cat.attrs["problems"] == cat.attrs["warnings"] == []
    assert cat.attrs["bits"] == {"deep.tif": 16, "deep.png": 16, "float.tif": 8}.get(name)
    assert "<b>.bmp" not in cat._repr_html_()


def grey(values, path, **options):
    Image.fromarray(values).save(path, **options)
    return path


def test_grey_values_of_32_bits(tmp_path):
    ramp = np.linspace(0, 255, 64 * 64).round().reshape(64, 64)
    seen = lambda path: np.asarray(read_image(path))[..., 0].astype(int)
    assert np.array_equal(seen(grey(ramp.astype(np.int32), tmp_path / "a.tif")), ramp)
    assert np.abs(seen(grey((ramp * 257).astype(np.int32), tmp_path / "b.tif")) - ramp).max() <= 1
    for name, odd in (("nan", np.nan), ("inf", np.inf), ("large", 1e6), ("negative", -1)):
        spoiled = ramp.astype(np.float32)
        spoiled[3, 3] = odd
        with pytest.raises(InputError, match="not finite, negative, or above 65,535"):
            read_image(grey(spoiled, tmp_path / f"{name}.tif"))


def test_white_is_zero_with_16_bits(tmp_path):
    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    path = grey(ramp, tmp_path / "a.tif", tiffinfo={262: 0})
    assert np.abs(np.asarray(read_image(path))[..., 0].astype(int) - (255 - ramp / 257)).max() <= 1


def planar(values, path):
    "An uncompressed TIFF, colour by colour."
    (high, wide, _), planes = values.shape, [values[..., c].tobytes() for c in range(3)]
    size, bits = len(planes[0]), 8 * values.dtype.itemsize
    start = 8 + 3 * size
    more = start + 2 + 12 * 10 + 4
    tags = [(256, 4, 1, wide), (257, 4, 1, high), (258, 3, 3, more), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 3, more + 6),
            (277, 3, 1, 3), (278, 4, 1, high), (279, 4, 3, more + 18), (284, 3, 1, 2)]
    after = struct.pack("<3H6I", bits, bits, bits, 8, 8 + size, 8 + 2 * size, size, size, size)
    table = struct.pack("<H", 10) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + struct.pack("<I", 0)
    path.write_bytes(b"II*\0" + struct.pack("<I", start) + b"".join(planes) + table + after)
    return path


def test_colours_stored_plane_by_plane(tmp_path):
    values = np.asarray(picture(3))
    assert np.array_equal(read_image(planar(values, tmp_path / "a.tif")), values)
    with pytest.raises(InputError, match="b.tif: .*plane by plane; save it with 8 bits"):
        read_image(planar(values.astype(np.uint16) * 257, tmp_path / "b.tif"))


def test_an_orientation_tag_that_cannot_be_read(tmp_path):
    picture(1).save(tmp_path / "a.png", exif=b"zzzzzzzzzz")
    assert np.array_equal(read_image(tmp_path / "a.png"), picture(1))


def test_results_of_processes_come_in_order():
    jobs = [(n, 7) for n in range(50)]
    assert process_map(divmod, jobs, workers=2, progress=False) == process_map(divmod, jobs, workers=1, progress=False) == [divmod(*job) for job in jobs]


def test_only_new_or_empty_folders_are_free(tmp_path):
    check_free_folder(tmp_path), check_free_folder(tmp_path / "new")
    (tmp_path / "file").touch()
    for taken in (tmp_path, tmp_path / "file"):
        with pytest.raises(InputError, match="already holds something; name a new or empty folder"):
            check_free_folder(taken)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OSError("39168 requested and 4968 written")], ids=["system", "numpy"])
def test_a_full_disk_is_named_with_the_file_and_leaves_nothing(tmp_path, error):
    with pytest.raises(OSError, match="cannot be written whole; free some space") as caught, files.atomic(tmp_path / "rows.npy") as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert caught.value.filename == str(tmp_path / "rows.npy") and not list(tmp_path.iterdir())
