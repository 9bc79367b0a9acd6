"Lists of images as people's spreadsheets write them."
from pathlib import Path

import pandas as pd
import pytest

from fake_images import GOOD, both, names_are_shared, smears, table
from leuknb.data import catalogue
from leuknb.lib.errors import InputError


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


def test_csv_labels_are_text(tmp_path):
    rows = [f"{label}/{label}-{i}.jpg,{name},," for label, name in (("Benign", "NA"), ("Pro", "1.0")) for i in (1, 2, 3)]
    assert list(catalogue(table(tmp_path / "smears", *rows))["label"].cat.categories) == ["1.0", "NA"]


def test_variants_in_folders_of_any_name(tmp_path):
    smears(tmp_path / "raw"), smears(tmp_path / "masks", seed=5000)
    rows = [f"{folder}/{label}/{label}-{i}.jpg,{label},{variant}" for folder, variant in (("raw", "original"), ("masks", "segmented"))
            for label in ("Benign", "Pro") for i in (1, 2, 3)]
    (tmp_path / "list.csv").write_text("\n".join(["path,label,variant", *rows]))
    assert names_are_shared(catalogue(tmp_path / "list.csv"))


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


def test_rows_of_a_variant_that_is_not_requested(tmp_path):
    path = table(tmp_path, *GOOD, "gone.jpg,Pro,,segmented")
    assert len(catalogue(path, variants=("original",))) == 4
    with pytest.raises(InputError, match="no such file"):
        catalogue(path)


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


def test_a_short_row_without_its_path(tmp_path):
    path = table(tmp_path, *(",".join(row.split(",")[1::-1]) for row in GOOD), "Pro", head="label,path")
    with pytest.raises(InputError, match="line 6: fewer fields than the header"):
        catalogue(path)
