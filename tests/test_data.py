"What `leuknb.data` reads, refuses, stores and shows."
import builtins
import errno
import os
import shutil
import struct
import sys
import zlib
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from fake_images import GOOD, both, picture, smears, table
from leuknb.data import COLUMNS, Catalogue, catalogue, load_catalogue, save_catalogue
from leuknb.lib.datasets import CLASSES
from leuknb.lib.errors import InputError


def damaged(name, content):
    def build(root):
        path = smears(root) / "Pro" / name
        path.write_bytes(content if isinstance(content, bytes) else content(path))
        return root
    return build


def saved(name, image, **options):
    def build(root):
        image().save(smears(root) / "Pro" / name, **options)
        return root
    return build


def done(root, act):
    act(smears(root))
    return root


def png_of(width, height):
    "A PNG header that promises many pixels, and nothing behind it."
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def cut(part, ending=".jpg"):
    def content(path):
        whole = path.with_name("whole" + ending)
        picture(77, (200, 200)).save(whole)
        data = whole.read_bytes()
        whole.unlink()
        return data[:int(len(data) * part)]
    return content


def frames(n=3):
    return [picture(300 + i) for i in range(n)]


def loose(folder):
    folder.mkdir(parents=True)
    picture(1).save(folder / "a.png")


def zipped(root):
    shutil.make_archive(str(smears(root)), "zip", root)
    return root.with_suffix(".zip")


def copy_under_two_labels(root):
    shutil.copy(root / "Pro" / "Pro-1.jpg", root / "Benign" / "other.jpg")


BAD = {
    "no such folder": (lambda root: root / "nowhere", "no such folder or file"),
    "a broken link as root": (lambda root: (root.symlink_to(root / "gone"), root)[1], "broken link to"),
    "an empty folder": (lambda root: (root.mkdir(), root)[1], "no images found in class folders"),
    "only a README": (lambda root: (root.mkdir(), (root / "README.md").write_text("hello"), root)[2], "no images found in class folders"),
    "loose pictures only": (lambda root: (root.mkdir(), picture(1).save(root / "a.png"), root)[2], "no images found in class folders"),
    "one class": (lambda root: smears(root, ["Benign"]), "only one class found (Benign)"),
    "one class of two": (lambda root: done(root, lambda r: [p.unlink() for p in (r / "Pro").iterdir()]), "Pro: the folder holds no images"),
    "train and test without classes": (lambda root: (loose(root / "train"), loose(root / "test"), root)[2],
                                       "no class folders, only sets test, train"),
    "two data sets": (lambda root: (both(root / "a"), both(root / "b"), root)[2], "site/class: sites a, b; classes Benign, Pro"),
    "an archive": (zipped, "unpack it first"),
    "one picture": (lambda root: smears(root) / "Pro" / "Pro-1.jpg", "is neither a folder nor a CSV"),
    "empty file": (damaged("bad.jpg", b""), "Pro/bad.jpg: empty file"),
    "JPEG cut in the middle": (damaged("bad.jpg", cut(0.5)), "Pro/bad.jpg: cannot be read as an image (image file is truncated"),
    "JPEG cut in its header": (damaged("bad.jpg", cut(0.02)), "Pro/bad.jpg: "),
    "PNG cut in the middle": (damaged("bad.png", cut(0.5, ".png")), "Pro/bad.png: cannot be read as an image (image file is truncated"),
    "TIFF cut in the middle": (damaged("bad.tif", cut(0.5, ".tif")), "Pro/bad.tif: "),
    "text as JPEG": (damaged("bad.jpg", b"not a picture"), "Pro/bad.jpg: not an image"),
    "HTML as PNG": (damaged("bad.png", b"<html>404 Not Found</html>"), "Pro/bad.png: not an image"),
    "zeros": (damaged("bad.jpg", b"\0" * 4096), "Pro/bad.jpg: not an image"),
    "a microscope's format": (damaged("bad.czi", b"ZISRAWFILE"), "as Zeiss CZI" if find_spec("pylibCZIrw") else "Pro/bad.czi: Zeiss CZI is read by"),
    "a phone's format": (damaged("bad.HEIC", b"\0\0\0\x18ftypheic"), "as HEIC" if find_spec("pillow_heif") else "Pro/bad.HEIC: HEIC is read by"),
    "a bomb": (damaged("bad.png", png_of(30_000, 30_000)), "Pro/bad.png: more than 89,478,485 pixels"),
    "a small bomb": (damaged("bad.png", png_of(10_000, 10_000)), "Pro/bad.png: more than 89,478,485 pixels"),
    "too small": (saved("bad.png", lambda: picture(1, (31, 200))), "Pro/bad.png: 31 x 200 pixels; at least 32 x 32 are needed"),
    "one pixel": (saved("bad.png", lambda: picture(1, (1, 1))), "Pro/bad.png: 1 x 1 pixels"),
    "animated GIF": (saved("bad.gif", lambda: frames()[0], save_all=True, append_images=frames()), "Pro/bad.gif: animated, or several pages (3 frames)"),
    "animated WebP": (saved("bad.webp", lambda: frames()[0], save_all=True, append_images=frames()), "Pro/bad.webp: animated"),
    "animated PNG": (saved("bad.png", lambda: frames()[0], save_all=True, append_images=frames()), "Pro/bad.png: animated"),
    "TIFF of several pages": (saved("bad.tif", lambda: frames()[0], save_all=True, append_images=frames()), "Pro/bad.tif: holds 4 pages, not one image in colour; export the one that is meant"),
    "broken link": (lambda root: done(root, lambda r: (r / "Pro" / "bad.jpg").symlink_to(r / "gone.jpg")), "Pro/bad.jpg: broken link to"),
    "broken link to a class": (lambda root: done(root, lambda r: (r / "Early").symlink_to(r / "gone")), "Early: broken link to"),
    "link to itself": (lambda root: done(root, lambda r: (r / "Pro" / "bad.jpg").symlink_to(r / "Pro" / "bad.jpg")), "Pro/bad.jpg: broken link"),
    "a pipe": (lambda root: done(root, lambda r: os.mkfifo(r / "Pro" / "bad.jpg")), "Pro/bad.jpg: is not a regular file"),
    "two labels": (lambda root: done(root, copy_under_two_labels),
                   "Benign/other.jpg: one image under two labels (Benign/other, Pro/Pro-1)"),
    "a class of one": (lambda root: (smears(root), smears(root, ["Pre"], 1, seed=900), root)[2], "class Pre: 1 usable image;"),
    "a class of one good image": (lambda root: done(root, lambda r: [(r / "Pro" / f"Pro-{i}.jpg").write_bytes(b"") for i in (1, 2)]),
                                  "class Pro: 1 usable image;"),
    "a variant without a class": (lambda root: (both(root), shutil.rmtree(root / "Segmented" / "Pro"), root)[2],
                                  "variant segmented: too few usable images (0 of Pro)"),
    "CSV without labels": (lambda root: table(root, "a.jpg,x", head="path,age"), "lacks the column label; found: path. Columns: path, age"),
    "CSV without anything": (lambda root: table(root, head=""), "lacks the column path and label; found: nothing"),
    "CSV without rows": (lambda root: table(root), "no images found"),
    "CSV in another encoding": (lambda root: table(root, "é.jpg,x", encoding="latin-1"), "is not UTF-8 text"),
    "CSV of bytes": (lambda root: (table(root).write_bytes(b"path,label\n\0\xff\n"), root / "list.csv")[1], "is not UTF-8 text"),
    "CSV with a missing file": (lambda root: table(root, *GOOD, "gone.jpg,Pro,,"), "no such file in 1 row (line 6: gone.jpg); looked in"),
    "CSV with an empty path": (lambda root: table(root, *GOOD, ",Pro,,"), "line 6: no path, or the path of a folder"),
    "CSV with a folder": (lambda root: table(root, *GOOD, "Pro,Pro,,"), "Pro: line 6: no path, or the path of a folder"),
    "CSV with an empty label": (lambda root: table(root, *GOOD, "Pro/Pro-3.jpg,,,"), "Pro/Pro-3.jpg: line 6: no label"),
    "CSV with an unknown variant": (lambda root: table(root, *GOOD, "Pro/Pro-3.jpg,Pro,,masked"), "line 6: unknown variant 'masked'"),
    "CSV with a file twice": (lambda root: table(root, *GOOD, "./Pro/Pro-2.jpg,Pro,,"), "line 6: listed already in line 5"),
    "CSV with two labels": (lambda root: table(root, *GOOD, "Pro/Pro-3.jpg,Pro,,", "Pro/Pro-3.jpg,Benign,,"), "one image under two labels"),
    "CSV with a comma too many": (lambda root: table(root, *GOOD, "Pro/Pro-3.jpg,Pro,,,"), "line 6: more fields than the header"),
    "CSV with a short row": (lambda root: table(root, *GOOD, "Pro/Pro-3.jpg"), "line 6: fewer fields than the header"),
    "CSV with a broken picture": (lambda root: (damaged("bad.jpg", b"no")(root), table(root, *GOOD, "Pro/bad.jpg,Pro,,"))[1],
                                  "Pro/bad.jpg: not an image"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named(name, tmp_path):
    build, message = BAD[name]
    root = build(tmp_path / "smears")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError) as refused:
        catalogue(root)
    assert message in str(refused.value)
    assert sorted(tmp_path.rglob("*")) == before


FATAL = ["no such", "as root", "an empty folder", "README", "loose", "one class", "train", "two data sets", "archive", "one picture", "CSV without",
         "encoding", "bytes", "class of one good"]


SKIPPABLE = [name for name in BAD if not any(part in name for part in FATAL)]


@pytest.mark.parametrize("name", SKIPPABLE)
def test_skip_leaves_bad_files_out_and_lists_them(name, tmp_path):
    build, message = BAD[name]
    cat = catalogue(build(tmp_path / "smears"), on_bad="skip")
    assert any(message in line for line in cat.attrs["problems"])
    assert not any("bad" in image for image in cat["image"])
    assert list(cat["label"].cat.categories) == ["Benign", "Pro"]
    assert "problems" in repr(cat) and "problems" in cat._repr_html_()


def test_all_problems_come_in_one_error(tmp_path):
    root = smears(tmp_path / "smears", n=5)
    (root / "Pro" / "a.jpg").write_bytes(b"")
    (root / "Pro" / "b.jpg").write_text("no")
    copy_under_two_labels(root)
    with pytest.raises(InputError) as refused:
        catalogue(root)
    lines = str(refused.value).splitlines()
    assert lines[0] == f"{root}: 4 problems, nothing was done:"
    assert {line.strip().split(":")[0] for line in lines[1:5]} == {"Pro/a.jpg", "Pro/b.jpg", "Pro/Pro-1.jpg", "Benign/other.jpg"}
    assert lines[5].endswith('on_bad="skip"')


def test_skipping_too_much_is_an_error(tmp_path):
    root = smears(tmp_path / "smears")
    for path in (root / "Pro").iterdir():
        path.write_bytes(b"")
    with pytest.raises(InputError, match="class Pro: 0 usable images"):
        catalogue(root, on_bad="skip")


def test_a_variant_that_lacks_a_class_is_left_out_whole(tmp_path):
    root = both(tmp_path / "smears")
    shutil.rmtree(root / "Segmented" / "Pro")
    assert set(catalogue(root, on_bad="skip")["variant"]) == {"original"}


def test_no_permission(tmp_path, monkeypatch):
    root = smears(tmp_path / "smears")
    shut = root / "Pro" / "Pro-1.jpg"
    opened = builtins.open

    def refuse(path, *args, **kwargs):
        if isinstance(path, (str, Path)) and Path(path) == shut:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", refuse)
    with pytest.raises(InputError, match="Pro/Pro-1.jpg: no permission to read it"):
        catalogue(root)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_no_permission_for_a_folder(tmp_path):
    root = smears(tmp_path / "smears", ["Benign", "Early", "Pro"])
    (root / "Pro").chmod(0)
    with pytest.raises(InputError, match="Pro: the folder cannot be listed"):
        catalogue(root)
    (root / "Pro").chmod(0o700)


@pytest.mark.parametrize("options, message", [(dict(on_bad="ignore"), "choose from error, skip")])
def test_bad_arguments(options, message, tmp_path):
    with pytest.raises(InputError, match=message):
        catalogue(smears(tmp_path / "smears"), **options)


def test_a_patient_under_two_labels_is_reported(tmp_path):
    cat = catalogue(table(tmp_path / "smears", *(line.replace(",,", ",p1,") for line in GOOD)))
    assert cat["group"].nunique() == 1
    assert cat.attrs["warnings"][0].startswith("1 patient with images of several classes, such as p1")


def test_blank_masks_of_two_classes_are_no_contradiction(tmp_path):
    root = both(tmp_path / "smears")
    for label in ("Benign", "Pro"):
        Image.new("RGB", (40, 40)).save(root / "Segmented" / label / f"{label}-1.jpg")
    assert catalogue(root).attrs["problems"] == []


def test_near_twins_of_two_classes_are_reported(tmp_path):
    root = smears(tmp_path / "smears")
    picture(100).save(root / "Benign" / "like-pro-1.png")
    assert catalogue(root).attrs["warnings"] == ["group Benign/like-pro-1 holds several classes: Benign/like-pro-1, Pro/Pro-1"]


def test_images_that_all_look_alike_are_reported(tmp_path):
    for label in ("Benign", "Pro"):
        (tmp_path / label).mkdir()
        for i in range(12):
            Image.blend(picture(0), picture(1 + i + 50 * (label == "Pro")), 0.2).save(tmp_path / label / f"{i}.png")
    assert any("which look alike" in line for line in catalogue(tmp_path).attrs["warnings"])


def test_a_catalogue_is_a_data_frame(tmp_path):
    root = smears(tmp_path / "smears", n=8)
    (root / "Pro" / "bad.jpg").write_bytes(b"")
    cat = catalogue(root, on_bad="skip")
    pro = cat[cat["label"] == "Pro"]
    assert isinstance(pro, Catalogue) and pro.attrs == cat.attrs and repr(pro).startswith("8 images in 8 groups (8 files)")
    assert str(root) not in repr(cat) + cat._repr_html_() + repr(cat.head()) + cat.head()._repr_html_()
    assert repr(cat[["image", "label"]]) == repr(pd.DataFrame(cat)[["image", "label"]])
    assert repr(cat[cat["width"] < 0]).startswith("Empty Catalogue")
    assert list(cat.groupby("label", observed=True).size()) == [8, 8]
    assert cat.merge(pd.DataFrame({"image": cat["image"], "new": 1}))["new"].sum() == 16


@pytest.mark.parametrize("classes", [CLASSES, ["Pro", "Benign"], ["b 10", "b 9", "Ä"], ["NA", "None"]])
def test_saved_catalogues_come_back(classes, tmp_path):
    cat = catalogue(smears(tmp_path / "smears", classes))
    save_catalogue(cat, tmp_path / "run" / "catalogue.csv")
    back = load_catalogue(tmp_path / "run" / "catalogue.csv")
    assert isinstance(back, Catalogue)
    pd.testing.assert_frame_equal(pd.DataFrame(back), pd.DataFrame(cat))
    assert os.listdir(tmp_path / "run") == ["catalogue.csv"]


@pytest.mark.parametrize("content, message", [
    (None, "no such file"), ("", "cannot be read as a table"), ("a,b\n1,2\n", "lacks the column image and path"),
    (",".join(COLUMNS) + "\nA/1,p,A,original,g,s,wide,3\n", "a whole number is expected"), (b"\xff\xfe\0", "cannot be read as a table"),
])
def test_bad_catalogue_files(content, message, tmp_path):
    path = tmp_path / "catalogue.csv"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message) as refused:
        load_catalogue(path)
    assert str(path) in str(refused.value)


def test_the_same_folder_gives_the_same_catalogue(tmp_path):
    root = both(tmp_path / "smears")
    assert catalogue(root).equals(catalogue(root))


@pytest.mark.skipif(sys.platform != "linux", reason="names of bytes")
@pytest.mark.parametrize("name", [b"Z\xfcrich.jpg", b"a\rb.jpg"])
def test_names_that_no_table_can_hold(tmp_path, name):
    smears(tmp_path)
    os.rename(tmp_path / "Pro" / "Pro-1.jpg", os.path.join(os.fsencode(tmp_path / "Pro"), name))
    with pytest.raises(InputError, match="its name is not UTF-8 text, or holds a carriage return"):
        catalogue(tmp_path)
    assert len(catalogue(tmp_path, on_bad="skip")) == 5
