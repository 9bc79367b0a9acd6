"""Formats of microscopes, scanners and clinics: what was written comes back; what holds several images is refused."""
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from fake_images import picture
from leuknb.data import catalogue
from leuknb.lib import readers
from leuknb.lib.errors import InputError
from leuknb.lib.files import read_image
from leuknb.lib.readers import FORMATS, as_image, reader_of
from leuknb.results import predict, reproduce
from leuknb.segment import segment_folder

RGB = np.random.default_rng(0).integers(0, 256, (40, 64, 3), np.uint8)
SMOOTH = np.linspace(0, 255, 64)[None, :, None] * np.ones((40, 1, 3))


def written(values, **options):
    "A function that writes a TIFF."
    return lambda path: tifffile.imwrite(path, values, **options)


def read(path):
    return np.asarray(reader_of(path)())


def pyramid(path):
    with tifffile.TiffWriter(path, bigtiff=path.suffix == ".btf") as file:
        file.write(RGB[:8, :8], photometric="rgb")  # a thumbnail before the image
        file.write(RGB, subifds=1, tile=(16, 16), photometric="rgb")
        file.write(RGB[::2, ::2], subfiletype=1, tile=(16, 16), photometric="rgb")


@pytest.mark.parametrize("name, write", [
    ("pyramid.tif", pyramid), ("big.btf", pyramid),
    ("channels.ome.tif", written(np.moveaxis(RGB, -1, 0), metadata={"axes": "CYX"}, photometric="minisblack")),
    ("one.tif", written(np.moveaxis(RGB, -1, 0), photometric="rgb", planarconfig="separate", compression="jpeg2000"))])
def test_the_largest_page_of_a_tiff_comes_back(tmp_path, name, write):
    write(tmp_path / name)
    assert (read(tmp_path / name) == RGB).all()


def test_white_is_zero_is_turned_round(tmp_path):
    grey = RGB[..., 0]
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        file.write(255 - grey, photometric="miniswhite"), file.write(grey[:8, :8], photometric="minisblack")
    assert (read(tmp_path / "x.tif") == grey).all()


def test_what_pillow_reads_stays_with_pillow(tmp_path):
    tifffile.imwrite(tmp_path / "plain.tif", RGB)
    (tmp_path / "broken.tif").write_bytes(b"no image")
    Image.fromarray(RGB).save(tmp_path / "a.png")
    (tmp_path / "short").write_bytes(b"x")
    for name in ("plain.tif", "broken.tif", "a.png", "short", "missing.dcm"):
        assert reader_of(tmp_path / name) is None, name


@pytest.mark.parametrize("values, options, message", [
    (np.stack([RGB[..., 0]] * 5), dict(photometric="minisblack"), "5 "),
    (np.stack([RGB] * 3), dict(photometric="rgb"), "3 "),
    (np.zeros((2, 3, 40, 64), np.uint8), dict(ome=True, metadata={"axes": "ZCYX"}, photometric="minisblack"), "planes of focus"),
    (np.zeros((5, 40, 64), np.uint8), dict(ome=True, metadata={"axes": "CYX"}, photometric="minisblack"), "5 channels"),
    (np.moveaxis(RGB, -1, 0).astype(np.uint16) * 16, dict(ome=True, metadata={"axes": "CYX"}, photometric="minisblack"), "bits are used"),
    (RGB.astype(np.float32), dict(ome=True, metadata={"axes": "YXS"}, photometric="rgb"), "float32")])
def test_several_images_and_unstated_bits_are_refused_by_name(tmp_path, values, options, message):
    tifffile.imwrite(tmp_path / "x.tif", values, **options)
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path / "x.tif")
    assert "x.tif" in str(caught.value) and "\n" not in str(caught.value)


def test_sixteen_bits_are_spread():
    deep = RGB.astype(np.uint16)
    assert (np.asarray(as_image(deep * 257, "YXS", "x")) == RGB).all()
    assert (np.asarray(as_image(deep * 4, "YXS", "x", 10)) == np.round(RGB.astype(float) * 4 * 255 / 1023)).all()


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "find_spec", lambda name: None)
    for ending in (".dcm", ".heic", ".czi", ".svs", ".mrxs", ".nd2"):
        path = tmp_path / f"a{ending}"
        path.write_bytes(b"x")
        with pytest.raises(InputError, match="pip install") as caught:
            reader_of(path)
        assert str(path) in str(caught.value)
    (tmp_path / "IM0001").write_bytes(bytes(128) + b"DICM")
    with pytest.raises(InputError, match="pydicom"):
        reader_of(tmp_path / "IM0001")


def test_a_damaged_file_of_every_format_is_one_line(tmp_path):
    for one in FORMATS[1:]:
        path = tmp_path / f"a{one.endings.split()[0]}"
        path.write_bytes(b"damaged " * 50)
        with pytest.raises(InputError) as caught:
            reader_of(path)()
        assert str(path) in str(caught.value)


def test_no_ending_belongs_to_two_formats():
    endings = [ending for one in FORMATS for ending in one.endings.split()]
    assert len(endings) == len(set(endings)) == len(readers.ENDINGS)


def test_readers_import_no_library_of_a_format():
    code = "import sys, leuknb.lib.readers; print([m for m in ('tifffile', 'pydicom', 'pillow_heif', 'tiffslide') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def dicom(path, values, kind, bits=8, **more):
    pydicom = pytest.importorskip("pydicom")
    file = pydicom.Dataset()
    file.file_meta = pydicom.dataset.FileMetaDataset()
    file.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    file.file_meta.MediaStorageSOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    file.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    file.Rows, file.Columns = values.shape[:2]
    file.SamplesPerPixel, file.PhotometricInterpretation = (3, kind) if values.ndim == 3 else (1, kind)
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 8 * values.itemsize, bits, bits - 1, 0
    if values.ndim == 3:
        file.PlanarConfiguration = 0
    for name, value in more.items():
        setattr(file, name, value)
    file.PixelData = values.tobytes()
    file.save_as(path, enforce_file_format=True)


def test_dicom(tmp_path):
    dicom(tmp_path / "rgb.dcm", RGB, "RGB")
    dicom(tmp_path / "noending", RGB, "RGB")
    for name in ("rgb.dcm", "noending"):
        assert (read(tmp_path / name) == RGB).all()
    deep = RGB[..., 0].astype(np.uint16) * 16
    dicom(tmp_path / "deep.dcm", deep, "MONOCHROME2", 12)
    dicom(tmp_path / "inverse.dcm", 4095 - deep, "MONOCHROME1", 12)
    for name in ("deep.dcm", "inverse.dcm"):
        assert np.abs(read(tmp_path / name).astype(int) - RGB[..., 0]).max() <= 1
    dicom(tmp_path / "frames.dcm", RGB, "RGB", NumberOfFrames=7)
    with pytest.raises(InputError, match="7 frames"):
        read(tmp_path / "frames.dcm")


def test_heic(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(Image.fromarray(SMOOTH.astype(np.uint8))).save(tmp_path / "a.heic", quality=95)
    assert np.abs(read(tmp_path / "a.heic").astype(int) - SMOOTH).mean() < 4


def test_czi(tmp_path):
    czi = pytest.importorskip("pylibCZIrw.czi")
    with czi.create_czi(str(tmp_path / "a.czi")) as file:
        file.write(data=np.ascontiguousarray(RGB[..., ::-1]), plane={"C": 0}, location=(0, 0))
    assert (read(tmp_path / "a.czi") == RGB).all()
    with czi.create_czi(str(tmp_path / "stack.czi")) as file:
        for z in range(3):
            file.write(data=np.ascontiguousarray(RGB[..., ::-1]), plane={"C": 0, "Z": z}, location=(0, 0))
    with pytest.raises(InputError, match="3 planes of focus"):
        read(tmp_path / "stack.czi")


def test_slide(tmp_path):
    pytest.importorskip("tiffslide")
    large = np.tile(RGB, (8, 8, 1))
    with tifffile.TiffWriter(tmp_path / "a.svs") as file:
        for k, level in enumerate((large, large[::4, ::4])):
            file.write(level, tile=(64, 64), photometric="rgb", subfiletype=int(k > 0))
    assert (read(tmp_path / "a.svs") == large).all()


def test_a_slide_that_is_too_large_is_refused(tmp_path, monkeypatch):
    pyramid(tmp_path / "a.tif")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(InputError, match="64 x 40 pixels"):
        read(tmp_path / "a.tif")


def test_stated_bits_of_several_pages(tmp_path):
    deep = np.moveaxis(RGB, -1, 0).astype(np.uint16) * 16
    tifffile.imwrite(tmp_path / "a.ome.tif", deep, metadata={"axes": "CYX", "SignificantBits": 12}, photometric="minisblack")
    assert np.abs(read(tmp_path / "a.ome.tif").astype(int) - RGB).max() <= 1


def fields(folder, write, suffix):
    "Two classes of generated images, each written to a file by `write`."
    for k, label in enumerate(("Benign", "Pro")):
        for i in range(4):
            (folder / label).mkdir(parents=True, exist_ok=True)
            write(folder / label / f"{i}{suffix}", np.asarray(picture(10 * k + i + 1).convert("RGB").resize((48, 40))))
    return folder


def heic(path, values):
    pytest.importorskip("pillow_heif").from_pillow(Image.fromarray(values)).save(path, quality=95)


def pages(path, values):
    with tifffile.TiffWriter(path) as file:
        file.write(values, tile=(16, 16), photometric="rgb"), file.write(values[:8, :8], photometric="rgb")


def channels(path, values):
    tifffile.imwrite(path, np.moveaxis(values, -1, 0), metadata={"axes": "CYX"}, photometric="minisblack")


@pytest.mark.parametrize("suffix, write", [(".tif", pages), (".ome.tif", channels), (".dcm", lambda path, values: dicom(path, values, "RGB")),
                                           (".113619", lambda path, values: dicom(path, values, "RGB")), (".heic", heic)])
def test_from_folder_to_prediction(tmp_path, suffix, write):
    cat = catalogue(fields(tmp_path / "images", write, suffix))
    assert len(cat) == 8 and set(cat["width"]) == {48} and cat.attrs["warnings"] == []
    assert cat["image"][0] == "Benign/0" + {".ome.tif": ".ome", ".113619": ".113619"}.get(suffix, "")
    if suffix == ".heic":
        assert np.abs(np.asarray(read_image(cat["path"][0])).astype(int) - np.asarray(picture(1).convert("RGB").resize((48, 40)))).mean() < 30
    else:
        assert (np.asarray(read_image(cat["path"][0])) == np.asarray(picture(1).convert("RGB").resize((48, 40)))).all()
    found = segment_folder(tmp_path / "images", tmp_path / "cells", workers=1, progress=False)
    assert len(found.table) == 8 and len(list((tmp_path / "cells").rglob("*.png"))) == 8


def test_a_run_on_files_of_a_clinic(tmp_path):
    data = fields(tmp_path / "images", lambda path, values: dicom(path, values, "RGB"), "")
    dicom(data / "Pro" / "frames.dcm", RGB, "RGB", NumberOfFrames=7)
    settings = dict(backbones=("alexnet",), heads=("knn",), weights={"": "random"}, size=64, audit=False, progress=False)
    with pytest.raises(InputError, match="frames.dcm: holds 7 frames; export the one that is meant"):
        reproduce(data, tmp_path / "run", **settings)
    run = reproduce(data, tmp_path / "run", on_bad="skip", **settings)
    assert len(predict(run, [data], on_bad="skip")) == 9


def test_a_catalogue_names_the_extra_that_would_open_a_file(tmp_path, monkeypatch):
    data = fields(tmp_path / "images", lambda path, values: dicom(path, values, "RGB"), ".dcm")
    monkeypatch.setattr(readers, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"Benign/0.dcm: DICOM is read by pydicom, which is not installed; pip install 'leuknb\[formats\]'"):
        catalogue(data)
