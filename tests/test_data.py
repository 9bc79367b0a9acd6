"Folders, files and tables as people have them: what `leuknb.data` reads, refuses and divides."
import builtins
import errno
import os
import shutil
import struct
import sys
import types
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from leuknb import splits
from leuknb.lib import files, folders
from leuknb.data import COLUMNS, Catalogue, catalogue, load_catalogue, save_catalogue
from leuknb.lib.folders import CLASSES, DATASET, fetch, natural
from leuknb.splits import leaks, load_split, n_test, save_split, split
from leuknb.twins import similar_pairs, twins
from leuknb.lib.errors import InputError
from leuknb.lib.files import read_image


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


# Bad files and folders -------------------------------------------------------------------------------------------------------------------

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
    "train and test folders": (lambda root: (smears(root / "train"), smears(root / "test"), root)[2], "is divided into test and train"),
    "two data sets": (lambda root: (both(root / "a"), both(root / "b"), root)[2], "holds several data sets (a, b)"),
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
    "a microscope's format": (damaged("bad.czi", b"ZISRAWFILE"), "Pro/bad.czi: not an image, or of a format that Pillow cannot read"),
    "a phone's format": (damaged("bad.HEIC", b"\0\0\0\x18ftypheic"), "Pro/bad.HEIC: not an image"),
    "a bomb": (damaged("bad.png", png_of(30_000, 30_000)), "Pro/bad.png: more than 89,478,485 pixels"),
    "a small bomb": (damaged("bad.png", png_of(10_000, 10_000)), "Pro/bad.png: more than 89,478,485 pixels"),
    "too small": (saved("bad.png", lambda: picture(1, (31, 200))), "Pro/bad.png: 31 x 200 pixels; 32 x 32 are needed"),
    "one pixel": (saved("bad.png", lambda: picture(1, (1, 1))), "Pro/bad.png: 1 x 1 pixels"),
    "animated GIF": (saved("bad.gif", lambda: frames()[0], save_all=True, append_images=frames()), "Pro/bad.gif: animated, or several pages (3 frames)"),
    "animated WebP": (saved("bad.webp", lambda: frames()[0], save_all=True, append_images=frames()), "Pro/bad.webp: animated"),
    "animated PNG": (saved("bad.png", lambda: frames()[0], save_all=True, append_images=frames()), "Pro/bad.png: animated"),
    "TIFF of several pages": (saved("bad.tif", lambda: frames()[0], save_all=True, append_images=frames()), "several pages (4 frames)"),
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
    "CSV without labels": (lambda root: table(root, "a.jpg,x", head="path,diagnosis"), "lacks the column label; found: path, diagnosis"),
    "CSV without anything": (lambda root: table(root, head=""), "lacks the column path and label; found: nothing"),
    "CSV without rows": (lambda root: table(root), "no images found"),
    "CSV in another encoding": (lambda root: table(root, "é.jpg,x", encoding="latin-1"), "is not UTF-8 text"),
    "CSV of bytes": (lambda root: (table(root).write_bytes(b"path,label\n\0\xff\n"), root / "list.csv")[1], "is not UTF-8 text"),
    "CSV with a missing file": (lambda root: table(root, *GOOD, "gone.jpg,Pro,,"), "gone.jpg: line 6: no such file"),
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
    assert lines[5].endswith("--on-bad skip)")


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


@pytest.mark.parametrize("options, message", [(dict(on_bad="ignore"), "choose error or skip")])
def test_bad_arguments(options, message, tmp_path):
    with pytest.raises(InputError, match=message):
        catalogue(smears(tmp_path / "smears"), **options)


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


# Layouts ---------------------------------------------------------------------------------------------------------------------------------

def test_kaggle_layout(tmp_path):
    cat = catalogue(both(tmp_path / "smears", classes=CLASSES))
    assert list(cat.columns) == COLUMNS and len(cat) == 2 * 4 * 3
    assert list(cat["label"].cat.categories) == CLASSES and cat["label"].cat.ordered
    assert cat["image"].iloc[0] == "Benign/Benign-1" and list(cat["variant"][:2]) == ["original", "segmented"]
    assert (cat.groupby("image")["variant"].nunique() == 2).all()
    assert cat.attrs == {"problems": [], "warnings": []}
    assert set(cat["width"]) == {40} and all(len(d) == 64 for d in cat["sha256"])
    assert all(Path(p).is_absolute() and Path(p).exists() for p in cat["path"])


@pytest.mark.parametrize("original, segmented, outer", [
    ("original", "SEGMENTED", ""), ("Original", "Segmented", "archive"), ("ORIGINAL", "segmented", "archive/ALL data"), ("Original", None, ""),
    (None, "Segmented", "out"), ("Original", "Segmented", "a/b/c"), ("Original", "Segmented", "a/b/c/d/e"), (None, "Segmented", "a/b/c"),
])
def test_kaggle_layout_in_any_case_and_folder(tmp_path, original, segmented, outer):
    root = tmp_path / "root"
    for name, seed in ((original, 0), (segmented, 700)):
        if name:
            smears(root / outer / name, ["benign", "PRO"], seed=seed)
    cat = catalogue(root)
    assert set(cat["variant"]) == {name.lower() for name in (original, segmented) if name}
    assert set(cat["image"]) == {f"{label}/{stem}-{i}" for label, stem in (("Benign", "benign"), ("Pro", "PRO")) for i in (1, 2, 3)}


def test_several_data_sets_far_down_are_refused(tmp_path):
    both(tmp_path / "a" / "b" / "c1"), both(tmp_path / "a" / "b" / "c2")
    with pytest.raises(InputError, match="holds several data sets"):
        catalogue(tmp_path)


def test_naming_one_variant_folder(tmp_path):
    both(tmp_path)
    assert set(catalogue(tmp_path / "Segmented")["variant"]) == {"segmented"}
    assert set(catalogue(tmp_path / "Original")["variant"]) == {"original"}


def test_any_classes_in_an_outer_folder(tmp_path):
    smears(tmp_path / "download" / "cells", ["lymphocyte", "Blast", "monocyte"])
    cat = catalogue(tmp_path)
    assert list(cat["label"].cat.categories) == ["Blast", "lymphocyte", "monocyte"]
    assert set(cat["variant"]) == {"original"}


@pytest.mark.parametrize("names, labels", [
    (["pro", "early"], ["Early", "Pro"]),
    (["[Malignant] Pro-B", "[Malignant] Pre-B", "[Malignant] early Pre-B", "Benign"], CLASSES),
    (["hematogones", "Pre-B"], ["Benign", "Pre"]),
    (["Pre", "post"], ["post", "Pre"]),
    (["Pro-1", "Pro-2"], ["Pro-1", "Pro-2"]),
    (["class 10", "class 9"], ["class 9", "class 10"]),
])
def test_class_names(names, labels, tmp_path):
    assert list(catalogue(smears(tmp_path, names))["label"].cat.categories) == labels


def test_two_spellings_of_one_class_are_told(tmp_path):
    smears(tmp_path, ["Pre", "Pre-B", "Pro"])
    cat = catalogue(tmp_path)
    assert list(cat["label"].cat.categories) == ["Pre", "Pro"]
    assert cat.attrs["warnings"] == ["original: Pre and Pre-B are read as one class, Pre"]


def test_what_folders_hold_besides_is_passed_over(tmp_path):
    root = smears(tmp_path / "smears")
    for name in ("Thumbs.db", ".DS_Store", "README.md", "._Pro-1.jpg", "desktop.ini", "labels.csv", "model.npy", "no_ending"):
        (root / "Pro" / name).write_bytes(b"BM or P6 or whatever\0\1\2")
    for name in ("__MACOSX", ".ipynb_checkpoints"):
        (root / name).mkdir()
        (root / name / "x.jpg").write_bytes(b"")
    cat = catalogue(root)
    assert len(cat) == 6 and cat.attrs == {"problems": [], "warnings": []}


def test_warnings(tmp_path):
    root = smears(tmp_path / "smears")
    picture(900).save(root / "Pro" / "wrong.jpg", "PNG")
    picture(901).save(root / "Pro" / "none.dat", "JPEG")
    picture(902).save(root / "loose.png")
    (root / "notes").mkdir()
    cat = catalogue(root)
    assert sorted(cat.attrs["warnings"]) == [
        "Pro/none.dat: is a JPEG picture by its content; rename it", "Pro/wrong.jpg: is a PNG picture by its content; rename it",
        "loose.png: lies outside the class folders; left out", "notes: the folder holds no images"]
    assert {"Pro/wrong", "Pro/none.dat"} <= set(cat["image"])


def test_images_of_one_variant_only_are_told(tmp_path):
    root = both(tmp_path / "smears")
    (root / "Segmented" / "Pro" / "Pro-3.jpg").unlink()
    assert catalogue(root).attrs["warnings"] == ["1 original image without a segmented picture, such as Pro/Pro-3"]


def test_equal_names_stay_apart(tmp_path):
    root = both(tmp_path / "smears")
    for i, name in enumerate(["day 1/a.jpg", "day 2/a.jpg", "a.jpg", "a.png", "A.jpg"]):
        for variant in ("Original", "Segmented"):
            path = root / variant / "Pro" / name
            path.parent.mkdir(exist_ok=True)
            picture(3000 + 10 * i + len(variant)).save(path)
    cat = catalogue(root)
    new = {"Pro/day 1/a", "Pro/day 2/a", "Pro/a.jpg", "Pro/a.png", "Pro/A"}
    assert new <= set(cat["image"]) and (cat.groupby("image")["variant"].agg(sorted).map(tuple) == ("original", "segmented")).all()


def test_two_folders_of_one_class_keep_equal_names_apart(tmp_path):
    smears(tmp_path, ["Pre", "pre", "Pro"])
    for folder, seed in (("Pre", 50), ("pre", 51)):
        picture(seed).save(tmp_path / folder / "same.jpg")
    assert {"Pre/same.jpg", "pre/same.jpg"} <= set(catalogue(tmp_path)["image"])


def test_endings_may_differ_between_variants(tmp_path):
    smears(tmp_path / "Original", ending=".tif")
    smears(tmp_path / "Segmented", ending=".png", seed=700)
    assert catalogue(tmp_path)["image"].nunique() == 6


def test_links_are_followed_and_loops_are_not(tmp_path):
    real = smears(tmp_path / "real")
    root = tmp_path / "smears"
    root.mkdir()
    for label in ("Benign", "Pro"):
        (root / label).symlink_to(real / label)
    (real / "Pro" / "again").symlink_to(real / "Pro")
    assert len(catalogue(root)) == 6


# Formats ---------------------------------------------------------------------------------------------------------------------------------

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
    assert cat.attrs == {"problems": [], "warnings": []}
    assert "<b>.bmp" not in cat._repr_html_()


# CSV -------------------------------------------------------------------------------------------------------------------------------------

def test_csv_reads_like_the_folder(tmp_path):
    root = both(tmp_path / "smears")
    folder = catalogue(root)
    lines = [f"{Path(p).relative_to(root)},{label}" for p, label in zip(folder["path"], folder["label"])]
    (root / "a.csv").write_text("\n".join(["path,label", *lines]))
    (tmp_path / "b.csv").write_text("\n".join(["Label;PATH;other", *(f"{l};{p};1" for p, l in zip(folder["path"], folder["label"]))]), "utf-8-sig")
    (root / "c.tsv").write_text("\n".join(["path\tlabel", *(line.replace("/", "\\").replace(",", "\t") for line in lines)]))
    for name in ("smears/a.csv", "b.csv", "smears/c.tsv"):
        found = catalogue(tmp_path / name)
        expected = folder if name != "b.csv" else folder.assign(**found[["image", "group"]])
        pd.testing.assert_frame_equal(pd.DataFrame(found), pd.DataFrame(expected))


def test_csv_outside_the_images(tmp_path):
    folder = catalogue(both(tmp_path / "images"))
    (tmp_path / "lists").mkdir()
    path = tmp_path / "lists" / "x.csv"
    path.write_text("\n".join(["path,label", *(f"../images/{Path(p).relative_to(tmp_path / 'images')},{l}" for p, l in zip(folder["path"], folder["label"]))]))
    assert list(catalogue(path)["image"]) == list(folder["image"])


def test_patients(tmp_path):
    rows = [f"Benign/Benign-{i}.jpg,Benign,{'p1' if i < 3 else 'p2'}," for i in (1, 2, 3)] + [f"Pro/Pro-{i}.jpg,Pro,{'p10' if i < 3 else ''}," for i in (1, 2, 3)]
    cat = catalogue(table(tmp_path / "smears", *rows))
    assert list(cat["group"]) == ["p1", "p1", "p2", "p10", "p10", "Pro/Pro-3"]
    assert cat.attrs["warnings"] == ["1 image without a patient, such as Pro/Pro-3"]


def test_patients_that_share_an_image_are_one_group(tmp_path):
    path = table(tmp_path / "smears", "Benign/Benign-1.jpg,Benign,p2,", "Benign/copy.jpg,Benign,p1,", "Pro/Pro-1.jpg,Pro,p3,", "Pro/Pro-2.jpg,Pro,p3,")
    shutil.copy(path.parent / "Benign" / "Benign-1.jpg", path.parent / "Benign" / "copy.jpg")
    cat = catalogue(path)
    assert list(cat["group"]) == ["p1+p2", "p1+p2", "p3", "p3"]
    assert cat.attrs["warnings"] == ["patients p1 and p2 share an image or near-identical ones; they count as one group"]


def test_a_patient_under_two_labels_is_told(tmp_path):
    cat = catalogue(table(tmp_path / "smears", *(line.replace(",,", ",p1,") for line in GOOD)))
    assert cat["group"].nunique() == 1
    assert cat.attrs["warnings"][0].startswith("group p1 holds several classes")


def test_csv_labels_are_text(tmp_path):
    rows = [f"{label}/{label}-{i}.jpg,{name},," for label, name in (("Benign", "NA"), ("Pro", "1.0")) for i in (1, 2, 3)]
    assert list(catalogue(table(tmp_path / "smears", *rows))["label"].cat.categories) == ["1.0", "NA"]


# Groups ----------------------------------------------------------------------------------------------------------------------------------

def test_groups(tmp_path):
    root = both(tmp_path / "smears", n=8)
    original, segmented = root / "Original" / "Pro", root / "Segmented" / "Pro"
    shutil.copy(original / "Pro-1.jpg", original / "Pro-2.jpg")  # identical in the originals
    picture(107).point(lambda v: v // 2 + 60).save(original / "Pro-4.jpg")  # the 8th, paler
    shutil.copy(segmented / "Pro-2.jpg", segmented / "Pro-5.jpg")  # identical in the segmented ones: joins 1, 2, 5
    for name in ("Pro-6.jpg", "Pro-7.jpg"):
        Image.new("RGB", (40, 40)).save(segmented / name)  # nothing found: not copies of each other
    cat = catalogue(root)
    group = cat.drop_duplicates("image").set_index("image")["group"]
    assert group["Pro/Pro-1"] == group["Pro/Pro-2"] == group["Pro/Pro-5"] == "Pro/Pro-1"
    assert group["Pro/Pro-4"] == group["Pro/Pro-8"] == "Pro/Pro-4"
    assert group.nunique() == 16 - 3
    assert (cat.groupby("image")["group"].nunique() == 1).all()
    pairs = twins(cat)
    assert list(zip(pairs["first"], pairs["second"])) == [("Pro/Pro-1", "Pro/Pro-2"), ("Pro/Pro-4", "Pro/Pro-8")]
    assert list(pairs["identical"]) == [True, False]


def test_blank_masks_of_two_classes_are_no_contradiction(tmp_path):
    root = both(tmp_path / "smears")
    for label in ("Benign", "Pro"):
        Image.new("RGB", (40, 40)).save(root / "Segmented" / label / f"{label}-1.jpg")
    assert catalogue(root).attrs["problems"] == []


def test_near_twins_of_two_classes_are_told(tmp_path):
    root = smears(tmp_path / "smears")
    picture(100).save(root / "Benign" / "like-pro-1.png")
    assert catalogue(root).attrs["warnings"] == ["group Benign/like-pro-1 holds several classes: Benign/like-pro-1, Pro/Pro-1"]


def test_pictures_that_all_look_alike_are_told(tmp_path):
    for label in ("Benign", "Pro"):
        (tmp_path / label).mkdir()
        for i in range(12):
            Image.blend(picture(0), picture(1 + i + 50 * (label == "Pro")), 0.2).save(tmp_path / label / f"{i}.png")
    assert any("which look alike" in line for line in catalogue(tmp_path).attrs["warnings"])


def test_similar_pairs_against_numpy():
    rng = np.random.default_rng(1)
    thumbs = rng.integers(0, 256, (50, 100), dtype=np.uint8)
    thumbs[7] = 9  # blank
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.nan_to_num(np.corrcoef(thumbs))
    pairs, values = similar_pairs(thumbs, above=0.1, block=16)
    assert sorted(map(tuple, pairs)) == sorted(map(tuple, np.argwhere(np.triu(r > 0.1, 1))))
    np.testing.assert_allclose(values, r[tuple(pairs.T)], atol=1e-5)


# The table -------------------------------------------------------------------------------------------------------------------------------

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


# Splits ----------------------------------------------------------------------------------------------------------------------------------

def made(sizes, groups=None, variants=2, seed=0):
    "A catalogue without files: so many images a class, in groups of so many images."
    rng, rows = np.random.default_rng(seed), []
    for label, n in sizes.items():
        names = [f"{label}/{i}" for i in range(1, n + 1)]
        group = names if groups is None else [f"{label}-{g}" for g, size in enumerate(rng.permutation(groups[label])) for _ in range(size)]
        for name, g in zip(names, group, strict=True):
            rows += [dict(image=name, label=label, variant=v, group=g) for v in folders.VARIANTS[:variants]]
    table = pd.DataFrame(rows)
    return table.astype({"label": pd.CategoricalDtype(list(sizes), ordered=True)})


PUBLIC = {label: facts["images"] for label, facts in DATASET["classes"].items()}


def test_the_papers_split():
    cat = made(PUBLIC)
    parts = split(cat, "paper")
    counts = parts.merge(cat.drop_duplicates("image")).groupby(["label", "split"], observed=True).size().unstack()
    assert list(counts["test"]) == [151, 295, 289, 241] and counts["test"].sum() == 976
    assert len(parts) == 3256 and parts["fold"].eq(0).all() and list(parts.columns) == ["image", "fold", "split"]


def test_the_group_split_reaches_the_papers_numbers():
    sizes = {label: [3, 3, *[2] * 10, *[1] * (n - 26)] for label, n in PUBLIC.items()}
    cat = made(PUBLIC, sizes)
    for seed in range(3):
        parts = split(cat, "group", seed=seed)
        found = parts[parts["split"] == "test"].merge(cat.drop_duplicates("image"))["label"].value_counts()
        assert {label: found[label] for label in CLASSES} == {label: n_test(n) for label, n in PUBLIC.items()}
        assert leaks(cat, parts).empty


def test_seeds_and_repeats():
    cat = made({"A": 20, "B": 30})
    parts = split(cat, "kfold", seed=3, repeats=3, folds=4)
    assert list(parts["fold"].unique()) == list(range(12))
    pd.testing.assert_frame_equal(parts[parts["fold"] < 4].reset_index(drop=True), split(cat, "kfold", seed=3, folds=4))
    first, second = (parts[parts["fold"] == f]["split"].to_list() for f in (0, 4))
    assert first != second and first != split(cat, "kfold", seed=4, folds=4)["split"].to_list()[:50]


def test_a_patient_of_two_classes_stays_whole():
    cat = made({"A": 10, "B": 10}, variants=1)
    cat.loc[cat["image"].isin(["A/1", "A/2", "B/1"]), "group"] = "p"
    for seed in range(10):
        assert split(cat, "group", seed=seed).set_index("image")["split"][["A/1", "A/2", "B/1"]].nunique() == 1


REFUSED = [
    (dict(scheme="random"), "choose one of paper, kfold"), (dict(seed=-1), "seed=-1: must be a whole number from 0 to 4294967295"),
    (dict(seed=2**32), "seed=4294967296: must be"), (dict(repeats=0), "repeats=0"),
    (dict(folds=1, scheme="kfold"), "folds=1: must be 2 or more"), (dict(embargo=-1), "embargo=-1"),
    (dict(scheme="blocks", repeats=2), "nothing random to repeat"), (dict(scheme="kfold"), "class B has 4 images; the split 'kfold' needs 5"),
    (dict(scheme="blocks", folds=5), "class B has 4 images"), (dict(scheme="blocks", folds=4, embargo=9), "use a smaller embargo"),
    (dict(scheme="group-kfold", folds=4), "class B has 1 group; the split 'group-kfold' needs 4"), (dict(scheme="group"), "class B has 1 group;"),
]


@pytest.mark.parametrize("options, message", REFUSED)
def test_refused_splits(options, message):
    with pytest.raises(InputError, match=message):
        split(made({"A": 40, "B": 4}, {"A": [1] * 40, "B": [4]}), **options)


def test_a_class_of_one_image_is_refused():
    with pytest.raises(InputError, match="class B has 1 image; the split 'paper' needs 2"):
        split(made({"A": 4, "B": 1}))


def test_an_image_with_two_labels_is_refused():
    cat = made({"A": 4, "B": 4})
    with pytest.raises(InputError, match="image A/1 has two labels"):
        split(pd.concat([cat, cat.head(1).assign(label="B")]))


def test_filtered_catalogues_split():
    cat = made({"A": 10, "B": 10, "C": 10})
    parts = split(cat[cat["label"] != "B"], "paper")
    assert set(parts["image"].str[0]) == {"A", "C"}


@st.composite
def catalogues(draw):
    "Two to four classes, each of a few groups of a few images."
    groups = {label: draw(st.lists(st.integers(1, 6), min_size=5, max_size=12)) for label in "ABCD"[:draw(st.integers(2, 4))]}
    cat = made({label: sum(sizes) for label, sizes in groups.items()}, groups, variants=draw(st.integers(1, 2)), seed=draw(st.integers(0, 9)))
    if draw(st.booleans()):  # one group of two classes
        cat["group"] = cat["group"].replace({"B-0": "A-0"})
    return cat


PROPERTY = settings(max_examples=40, deadline=None)


@PROPERTY
@given(cat=catalogues(), scheme=st.sampled_from(splits.SCHEMES), seed=st.integers(0, 2**32 - 1), shuffle=st.integers(0, 99))
def test_every_split(cat, scheme, seed, shuffle):
    options = dict(scheme=scheme, seed=seed, folds=4, embargo=1, repeats=1 if scheme == "blocks" else 2)
    try:
        parts = split(cat, **options)
    except InputError as error:
        assert "group" in scheme or scheme == "blocks", error
        return
    images = cat.drop_duplicates("image")
    for fold, part in parts.groupby("fold"):
        assert sorted(part["image"]) == sorted(images["image"])  # every image once a fold
        sides = part.merge(images)
        assert set(sides.loc[sides["split"] == "train", "label"]) == set(images["label"])
        assert "test" in set(part["split"])
    if scheme not in ("paper", "kfold"):
        assert leaks(cat, parts).empty
    if "kfold" in scheme or scheme == "blocks":  # every image tested once a repeat
        tested = parts[parts["split"] == "test"]["image"].value_counts()
        assert (tested == options["repeats"]).all() and len(tested) == len(images)
    assert (parts["split"] == "embargo").any() == (scheme == "blocks")
    again = split(cat.sample(frac=1, random_state=shuffle), **options)
    pd.testing.assert_frame_equal(parts, again)


@PROPERTY
@given(sizes=st.dictionaries(st.sampled_from("ABCD"), st.integers(2, 80), min_size=2), seed=st.integers(0, 99))
def test_paper_counts(sizes, seed):
    cat = made(sizes)
    tested = split(cat, "paper", seed=seed).query("split == 'test'")["image"].str[0].value_counts()
    assert dict(tested) == {label: n_test(n) for label, n in sizes.items()}


@PROPERTY
@given(sizes=st.lists(st.integers(1, 9), min_size=2, max_size=10), share=st.floats(0.05, 0.95), seed=st.integers(0, 99))
def test_subset_is_as_near_as_can_be(sizes, share, seed):
    target = round(share * sum(sizes))
    chosen = splits._subset(sizes, target, np.random.default_rng(seed))
    sums = {sum(s for i, s in enumerate(sizes) if mask >> i & 1) for mask in range(1, 2**len(sizes) - 1)}  # by trying everything
    assert abs(sum(sizes[i] for i in chosen) - target) == min(abs(s - target) for s in sums)
    assert len(set(chosen)) == len(chosen)


def test_subset_is_random_and_fair():
    counts = np.zeros(6)
    for seed in range(600):
        counts[splits._subset([1] * 6, 2, np.random.default_rng(seed))] += 1
    assert counts.sum() == 1200 and abs(counts - 200).max() < 5 * np.sqrt(600 * 1 / 3 * 2 / 3)


@PROPERTY
@given(n=st.integers(10, 60), folds=st.integers(2, 5), embargo=st.integers(0, 3))
def test_blocks_are_contiguous_with_an_embargo_on_both_sides(n, folds, embargo):
    cat = made({"A": n, "B": n})
    parts = split(cat, "blocks", folds=folds, embargo=embargo)
    for _, part in parts[parts["image"].str.startswith("A/")].groupby("fold"):
        part = part.sort_values("image", key=lambda s: s.map(lambda name: int(name[2:])))
        side = part["split"].to_list()
        first, last = side.index("test"), n - 1 - side[::-1].index("test")
        assert set(side[first:last + 1]) == {"test"}
        near = [i for i in range(n) if side[i] == "embargo"]
        assert near == [i for i in range(n) if first - embargo <= i < first or last < i <= last + embargo]


# Split files -----------------------------------------------------------------------------------------------------------------------------

def test_saved_splits_come_back(tmp_path):
    cat = made({"A": 12, "B": 12}, {"A": [2] * 6, "B": [3] * 4})
    for scheme in splits.SCHEMES:
        parts = split(cat, scheme, folds=3, embargo=1)
        save_split(parts, tmp_path / "split.csv")
        pd.testing.assert_frame_equal(load_split(tmp_path / "split.csv", cat, by_group=scheme not in ("paper", "kfold")), parts)
    assert (tmp_path / "split.csv").read_bytes().startswith(b"image,fold,split\nA/1,0,test\n")


SPLITS = {
    "unknown image": (lambda p: p.replace("A/1", "A/99"), "A/99 is not in the catalogue"),
    "missing image": (lambda p: p[p["image"] != "B/2"], "B/2 (fold 0) is missing"),
    "missing in one fold": (lambda p: pd.concat([p, p[:-1].assign(fold=1)]), "B/4 (fold 1) is missing"),
    "twice": (lambda p: pd.concat([p, p[:1]]), "A/1 stands twice in one fold"),
    "unknown side": (lambda p: p.replace("train", "training"), "training (and 4 more) is no side"),
    "no test": (lambda p: p.replace("test", "train"), "fold 0 has no training or no test images"),
    "text as fold": (lambda p: p.assign(fold="first"), "a whole number is expected"),
    "no rows": (lambda p: p[:0], "holds no rows below its header"),
    "no fold": (lambda p: p[["image", "split"]], "lacks the column fold"),
    "one group on two sides": (lambda p: p, "has an image of its group in training"),
}


@pytest.mark.parametrize("name", SPLITS)
def test_split_files_that_do_not_fit(name, tmp_path):
    cat = made({"A": 4, "B": 4})
    cat["group"] = cat["label"].astype(str)
    change, message = SPLITS[name]
    parts = pd.DataFrame({"image": cat["image"].unique(), "fold": 0, "split": ["train", "test", "train", "train"][:4] + ["train", "test", "train", "test"]})
    change(parts).to_csv(tmp_path / "split.csv", index=False)
    with pytest.raises(InputError) as refused:
        load_split(tmp_path / "split.csv", cat, by_group=True)
    assert message in str(refused.value) and str(tmp_path / "split.csv") in str(refused.value)


# Fetching --------------------------------------------------------------------------------------------------------------------------------

def kagglehub(monkeypatch, answer):
    "A stand-in for Kaggle's client, which answers with a folder or an error."
    asked = []

    def dataset_download(handle):
        asked.append(handle)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    monkeypatch.setitem(sys.modules, "kagglehub", types.SimpleNamespace(dataset_download=dataset_download))
    return asked


def test_fetch_returns_what_catalogue_reads(tmp_path, monkeypatch, capsys):
    both(tmp_path / "cache" / "versions" / "1")
    asked = kagglehub(monkeypatch, tmp_path / "cache" / "versions" / "1")
    assert len(catalogue(fetch())) == 12 and asked == ["mehradaria/leukemia"]
    assert "6,512 files, 117 MB unpacked" in capsys.readouterr().out
    assert len(catalogue(fetch(tmp_path / "mine"))) == 12
    assert sorted(os.listdir(tmp_path / "mine")) == ["Original", "Segmented"]


def test_fetch_asks_nothing_when_the_folder_is_taken(tmp_path, monkeypatch):
    asked = kagglehub(monkeypatch, tmp_path)
    with pytest.raises(InputError, match="already holds something"):
        fetch(smears(tmp_path / "mine"))
    assert asked == []


class Refused(Exception):
    def __init__(self, status):
        self.response = types.SimpleNamespace(status_code=status)


@pytest.mark.parametrize("error, message", [
    (ConnectionError("no route"), "no connection to Kaggle"), (TimeoutError(), "no connection to Kaggle"), (Refused(401), "make a token"),
    (Refused(403), "make a token"), (type("UnauthenticatedError", (Exception,), {})(), "make a token"), (Refused(404), "does not know this data set"),
    (OSError(errno.ENOSPC, "No space left on device"), "the download failed (OSError: [Errno 28] No space left on device)"),
])
def test_fetch_says_what_to_do(error, message, tmp_path, monkeypatch):
    kagglehub(monkeypatch, error)
    with pytest.raises(InputError) as refused:
        fetch(tmp_path / "mine")
    assert message in str(refused.value) and DATASET["url"] in str(refused.value)
    assert os.listdir(tmp_path) == []


def test_fetch_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(InputError, match=r"pip install 'leuknb\[fetch\]'"):
        fetch()


def test_fetch_checks_what_came(tmp_path, monkeypatch):
    kagglehub(monkeypatch, smears(tmp_path / "cache"))
    with pytest.raises(InputError, match="holds no folder Original or Segmented"):
        fetch()


def test_facts_about_the_data_set():
    assert DATASET["images"] == sum(PUBLIC.values()) == 3256 and "hematogones" in DATASET._repr_html_()


@given(st.lists(st.text(max_size=12), max_size=6))
def test_natural_order_takes_any_name(names):
    assert sorted(sorted(names, key=natural), key=natural) == sorted(names[::-1], key=natural)


# What people's folders and tables also are -------------------------------------------------------------------------------------------------

def sides_of_twins(cat):
    "Whether an image and its twin always share their name, and so their side."
    return cat.groupby("image")["variant"].nunique().eq(2).all()


def test_the_current_folder_is_known_by_its_name(tmp_path, monkeypatch):
    smears(tmp_path / "Segmented")
    monkeypatch.chdir(tmp_path / "Segmented")
    for root in (".", "Pro/.."):
        assert set(catalogue(root)["variant"]) == {"segmented"}


def test_variants_inside_the_class_folders(tmp_path):
    for label, seed in (("Benign", 0), ("Pro", 300)):
        for variant, more in (("Original", 0), ("Segmented", 5000)):
            (tmp_path / label / variant).mkdir(parents=True)
            for i in range(4):
                picture(seed + more + i).save(tmp_path / label / variant / f"{i}.png")
    cat = catalogue(tmp_path)
    assert cat["variant"].value_counts().to_dict() == {"original": 8, "segmented": 8} and sides_of_twins(cat)


def test_variants_in_folders_of_any_name(tmp_path):
    smears(tmp_path / "raw"), smears(tmp_path / "masks", seed=5000)
    rows = [f"{folder}/{label}/{label}-{i}.jpg,{label},{variant}" for folder, variant in (("raw", "original"), ("masks", "segmented"))
            for label in ("Benign", "Pro") for i in (1, 2, 3)]
    (tmp_path / "list.csv").write_text("\n".join(["path,label,variant", *rows]))
    assert sides_of_twins(catalogue(tmp_path / "list.csv"))


def test_two_spellings_of_one_variant_are_refused(tmp_path):
    smears(tmp_path / "Original"), smears(tmp_path / "original", seed=900)
    with pytest.raises(InputError, match="holds both Original and original"):
        catalogue(tmp_path)


def test_train_and_test_beside_something_else_are_no_classes(tmp_path):
    smears(tmp_path / "train"), smears(tmp_path / "test", seed=900), (tmp_path / "annotations").mkdir()
    with pytest.raises(InputError, match="is divided into test and train"):
        catalogue(tmp_path)


def test_what_lies_beside_the_variants_is_named(tmp_path):
    both(tmp_path / "set"), smears(tmp_path / "set" / "Augmented", seed=900)
    picture(7).save(tmp_path / "set" / "loose.jpg")
    warned = "\n".join(catalogue(tmp_path / "set").attrs["warnings"])
    assert "Augmented: 6 pictures outside Original and Segmented; left out" in warned and "loose.jpg: 1 picture outside" in warned


@pytest.mark.parametrize("unknown", ["NA", "nan", "None", "?"])
def test_a_patient_who_is_not_known(tmp_path, unknown):
    cat = catalogue(table(tmp_path, *(row.replace(",,", f",{unknown},") for row in GOOD)))
    assert cat["group"].nunique() == 4 and not cat["group"].isin([unknown]).any()


@pytest.mark.parametrize("first", ["sep=;", ";;;", ""])
def test_lines_before_the_header(tmp_path, first):
    path = table(tmp_path, *(row.replace(",", ";") for row in GOOD), " ;;;", head=f"{first}\npath;label;patient;variant")
    assert len(catalogue(path)) == 4


def test_a_column_twice(tmp_path):
    with pytest.raises(InputError, match="two columns named path"):
        catalogue(table(tmp_path, *(f"{row},x" for row in GOOD), head="path,label,patient,variant,path"))


def test_paths_that_cannot_be(tmp_path):
    path = table(tmp_path, *GOOD, "x" * 300 + ".jpg,Pro,,")
    with pytest.raises(InputError, match="line 6: file name too long"):
        catalogue(path)
    assert len(catalogue(path, on_bad="skip")) == 4
    with pytest.raises(InputError, match="file name too long"):
        catalogue("y" * 300)
    with pytest.raises(InputError, match="no such folder"):
        catalogue("~nobody-here/x")
    with pytest.raises(InputError, match="no folder is named"):
        catalogue("")


@pytest.mark.skipif(sys.platform != "linux", reason="names of bytes")
@pytest.mark.parametrize("name", [b"Z\xfcrich.jpg", b"a\rb.jpg"])
def test_names_that_no_table_can_hold(tmp_path, name):
    smears(tmp_path)
    os.rename(tmp_path / "Pro" / "Pro-1.jpg", os.path.join(os.fsencode(tmp_path / "Pro"), name))
    with pytest.raises(InputError, match="its name is not UTF-8 text, or holds a carriage return"):
        catalogue(tmp_path)
    assert len(catalogue(tmp_path, on_bad="skip")) == 5


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


def test_a_note_on_orientation_that_cannot_be_read(tmp_path):
    picture(1).save(tmp_path / "a.png", exif=b"zzzzzzzzzz")
    assert np.array_equal(read_image(tmp_path / "a.png"), picture(1))


def test_trouble_in_a_variant_that_is_not_asked_for(tmp_path):
    both(tmp_path)
    (tmp_path / "Segmented" / "Pro" / "empty.jpg").touch()
    shutil.rmtree(tmp_path / "Segmented" / "Benign")
    with pytest.raises(InputError, match="empty file"):
        catalogue(tmp_path)
    assert len(catalogue(tmp_path, variants=("original",))) == 6
    with pytest.raises(InputError, match="'stained' is not there; choose from original, segmented"):
        catalogue(tmp_path, variants=("stained",))


def test_rows_of_a_variant_that_is_not_asked_for(tmp_path):
    path = table(tmp_path, *GOOD, "gone.jpg,Pro,,segmented")
    assert len(catalogue(path, variants=("original",))) == 4
    with pytest.raises(InputError, match="no such file"):
        catalogue(path)
