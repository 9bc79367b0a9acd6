"Images of more than 8 bits: what a file says, and what a set of files decides together."
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from leuknb.lib import depth
from leuknb.lib.depth import assume_bits, key, settle_bits
from leuknb.lib.errors import InputError
from leuknb.lib.files import examine, read_image

GREY = np.random.default_rng(0).random((40, 50))
GREY[0, :2] = 0, 1
COLOUR = np.random.default_rng(1).random((40, 50, 3))
COLOUR[0, :2] = [[0, 0, 0], [1, 1, 1]]


@pytest.fixture(autouse=True)
def forgotten():
    depth.ASSUMED.clear()


def stored(values, bits):
    return (values * (2**bits - 1)).round().astype(np.uint16)


def tif(path, values, **tags):
    Image.fromarray(values).save(path, tiffinfo={int(k[1:]): v for k, v in tags.items()})
    return path


def png(path, values, kind, significant=()):
    "A PNG of 16 bits: grey (0), colour (2), grey and alpha (4), colour and alpha (6)."
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    part = lambda name, data: struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, kind, 0, 0, 0)
    said = part(b"sBIT", bytes(significant)) if significant else b""
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + said + part(b"IDAT", zlib.compress(raw)) + part(b"IEND", b""))
    return path


def colour_tif(path, values, order="<"):
    "An uncompressed TIFF of 16 bits a channel."
    high, wide, channels = values.shape
    data = values.astype(order + "u2").tobytes()
    tags = [(256, 4, 1, wide), (257, 4, 1, high), (258, 3, channels, 8), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 8 + 2 * channels),
            (277, 3, 1, channels), (278, 4, 1, high), (279, 4, 1, len(data))] + ([(338, 3, 1, 2)] if channels == 4 else [])
    value = lambda kind, n, v: struct.pack(order + "HH", v, 0) if kind == 3 and n == 1 else struct.pack(order + "I", v)
    table = struct.pack(order + "H", len(tags)) + b"".join(struct.pack(order + "HHI", *tag[:3]) + value(*tag[1:]) for tag in tags) + bytes(4)
    start = 8 + 2 * channels + len(data)
    path.write_bytes((b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", start) + struct.pack(f"{order}{channels}H", *[16] * channels) + data + table)
    return path


def check(path, share):
    "Is an image read as these shares of white, up to rounding?"
    seen = np.asarray(read_image(path)).astype(float)
    assert np.abs(seen - 255 * (share if share.ndim == 3 else share[..., None])).max() <= 1.1


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_one_file_alone(bits, tmp_path):
    check(tif(tmp_path / "a.tif", stored(GREY, bits)), GREY)
    check(png(tmp_path / "a.png", stored(GREY, bits), 0), GREY)
    check(png(tmp_path / "b.png", stored(COLOUR, bits), 2), COLOUR)
    opaque = np.full((40, 50, 1), 65535)
    check(png(tmp_path / "c.png", np.dstack([stored(COLOUR, bits), opaque]), 6), COLOUR)
    check(png(tmp_path / "d.png", np.dstack([stored(GREY, bits), opaque]), 4), GREY)
    for order in "<>":
        check(colour_tif(tmp_path / "e.tif", stored(COLOUR, bits), order), COLOUR)
    check(colour_tif(tmp_path / "f.tif", np.dstack([stored(COLOUR, bits), stored(np.ones((40, 50)), bits)])), COLOUR)


def test_transparent_places_are_white(tmp_path):
    clear = np.zeros((40, 50, 4))
    clear[:20] = np.dstack([stored(COLOUR, 12)[:20], np.full((20, 50), 4095)])
    share = np.where(np.arange(40)[:, None, None] < 20, COLOUR, 1)
    check(png(tmp_path / "a.png", clear, 6), share)


DARK = 0.2 * GREY  # below a statement: the largest value does not give the depth away
SAID = {
    "largest.tif": lambda p: tif(p, stored(DARK, 12), _341=4095),
    "ome.tif": lambda p: tif(p, stored(DARK, 12), _270='<OME><Image><Pixels SignificantBits="12" Type="uint16"/></Image></OME>'),
    "baseline.tif": lambda p: tif(p, stored(DARK, 12), _281=4095),
    "white is zero.tif": lambda p: tif(p, 4095 - stored(DARK, 12), _262=0, _341=4095),
    "unspread.png": lambda p: png(p, stored(DARK, 12), 0, [12]),
    "shifted.png": lambda p: png(p, stored(DARK, 12) * 16, 0, [12]),
    "spread.png": lambda p: png(p, (stored(DARK, 12) * (65535 / 4095)).round(), 0, [12]),
    "colour.png": lambda p: png(p, stored(0.2 * COLOUR, 12), 2, [12, 12, 12]),
    "portable.pgm": lambda p: p.write_bytes(b"P5 50 40 4095\n" + stored(DARK, 12).astype(">u2").tobytes()) and p,
}


@pytest.mark.parametrize("name", SAID)
def test_what_the_file_says(name, tmp_path):
    path, share = SAID[name](tmp_path / name), 0.2 * COLOUR if name == "colour.png" else DARK
    check(path, share)
    assume_bits([path], 16)
    check(path, share)  # a file's own statement is stronger than a set's decision


def test_statements_that_do_not_hold(tmp_path):
    check(tif(tmp_path / "too small.tif", stored(GREY, 16), _341=4095), GREY)
    check(tif(tmp_path / "its own brightest pixel.tif", (3000 * GREY).astype(np.uint16), _341=3000), GREY * 3000 / 4095)
    check(tif(tmp_path / "black above zero.tif", (500 + 3000 * GREY).astype(np.uint16), _340=400, _341=3900), (100 + 3000 * GREY) / 3500)


def test_a_set_decides_once(tmp_path):
    bright, dark = tif(tmp_path / "a.tif", stored(GREY, 12)), tif(tmp_path / "b.tif", stored(0.02 * GREY, 12))
    assert settle_bits([dark])[0] == 8
    bits, notes = settle_bits([bright, dark])
    assert bits == 12 and "do not state how many are used; read as 12 bits because of the largest value, 4095; `bits` chooses others" in notes[0][1]
    check(bright, GREY), check(dark, 0.02 * GREY)
    assert notes[1][0] == dark and "nearly black at 12 bits" in notes[1][1]
    assert settle_bits([dark], bits=16)[0] == 16
    check(dark, 0.02 * GREY / 16)
    assert settle_bits([tif(tmp_path / "c.tif", stored(GREY, 16))]) == (16, []), "the depth of the format needs no word"
    assert settle_bits([]) == (None, [])


def test_a_run_decides_where_the_file_is_silent(tmp_path):
    silent, says = tif(tmp_path / "a.tif", stored(DARK, 16)), tif(tmp_path / "b.tif", stored(DARK, 12), _341=4095)
    bits, notes = settle_bits([silent, says], otherwise=16)
    assert bits == 16 and [place for place, _ in notes] == [says] and "states 12 bits, and the other images have 16" in notes[0][1]
    check(silent, DARK), check(says, DARK)
    settle_bits([silent], otherwise=12)
    with pytest.raises(InputError, match="its largest value, .* is above 4095; choose more `bits`"):
        read_image(silent)
    assert "choose more `bits`" in examine(silent, 32)["problem"]


def test_real_numbers(tmp_path):
    one, many = tmp_path / "1.tif", tmp_path / "255.tif"
    Image.fromarray(GREY.astype(np.float32)).save(one)
    Image.fromarray((255 * GREY).astype(np.float32)).save(many)
    check(one, GREY), check(many, GREY)
    assert settle_bits([one]) == (1, []) and settle_bits([many]) == (8, []) and settle_bits([one, many])[0] == 8
    check(one, GREY / 255)


def test_eight_bits_are_read_as_ever(tmp_path):
    for name in ("a.png", "a.jpg", "a.tif", "a.bmp", "a.webp"):
        path = tmp_path / name
        Image.fromarray((255 * COLOUR).astype(np.uint8)).save(path)
        assume_bits([path], 12, explicit=True)
        assert np.array_equal(read_image(path), Image.open(path).convert("RGB")) and key(path) == ""
    assert key(tif(tmp_path / "b.tif", stored(GREY, 12))) != ""


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("values", [(255 * GREY).astype(np.uint8), stored(GREY, 16), (255 * COLOUR).astype(np.uint8)], ids=["8", "16", "colour"])
def test_tiffs_on_their_side(values, compression, tmp_path):
    for turn in range(1, 9):
        image = Image.fromarray(values)
        image.save(tmp_path / "a.tif", tiffinfo={274: turn}, compression=compression)
        shown = Image.fromarray((values / 257).round().astype(np.uint8)) if values.dtype == np.uint16 else image.copy()
        shown.getexif()[274] = turn
        upright = np.asarray(ImageOps.exif_transpose(shown).convert("RGB")).astype(int)
        seen = np.asarray(read_image(tmp_path / "a.tif")).astype(int)
        assert seen.shape == upright.shape and np.abs(seen - upright).max() <= 1
