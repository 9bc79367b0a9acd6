"Tables as other people write them."
import os

import pandas as pd
import pytest

from fake_images import picture
from leuknb.data import catalogue, load_catalogue, save_catalogue
from leuknb.lib.annotations import Annotations, export_labels
from leuknb.lib.errors import InputError
from leuknb.splits import default_scheme, load_split, save_split, shared_patients, split


@pytest.fixture
def images(tmp_path):
    for i, label in enumerate(("Benign", "Pro")):
        (tmp_path / label).mkdir()
        for k in range(8):
            picture(10 * i + k + 1).save(tmp_path / label / f"{label[0]}{k}.png")
    return tmp_path


def table(images, head, row):
    "A CSV of all images; `row` makes a line from label and number."
    lines = [row(label, k) for label in ("Benign", "Pro") for k in range(8)]
    (images / "list.csv").write_text("\n".join([head, *lines]), encoding="utf-8")
    return images / "list.csv"


@pytest.mark.parametrize("name", ["patient", "patient_id", "Patient ID", "PatientID", "subject", "CASE", "Donor"])
@pytest.mark.parametrize("part", ["split", "set", "Subset"])
def test_patients_and_sets_are_found_by_name(images, name, part):
    path = table(images, f"File Name,Diagnosis,{name},{part}", lambda c, k: f"{c}/{c[0]}{k}.png,{c},{c[0]}{k // 2},{'Test' if k > 5 else 'training'}")
    cat = catalogue(path)
    assert cat.attrs["read_as"] == "classes: Benign, Pro; sets: train 12, test 4; patients: 8" and cat.attrs["warnings"] == []
    assert default_scheme(cat) == "given" and (split(cat).merge(cat).query("given_split == 'test'")["split"] == "test").all()
    assert cat["group"].nunique() == 8 and shared_patients(cat, split(cat, "group")) == []


def test_folds_and_sites(images):
    cat = catalogue(table(images, "path,label,fold,hospital", lambda c, k: f"{c}/{c[0]}{k}.png,{c},fold_{k % 4},H{k % 2}"))
    assert cat.attrs["read_as"] == "classes: Benign, Pro; folds: 4; sites: 2" and split(cat)["fold"].nunique() == 4


def test_one_column_for_each_class(images):
    cat = catalogue(table(images, "id,benign,blast,age", lambda c, k: f"{c[0]}{k},{int(c == 'Benign')},{int(c == 'Pro')},{k + 30}"))
    assert cat["label"].value_counts().to_dict() == {"benign": 8, "blast": 8}
    assert cat.attrs["warnings"] == ["list.csv: columns that were not read: age"]
    with pytest.raises(InputError, match="none or several are 1 in 8 of 16 rows"):
        catalogue(table(images, "id,benign,blast", lambda c, k: f"{c[0]}{k},{int(c == 'Benign')},1"))


@pytest.mark.parametrize("name", ["pat_id", "Subject No.", "anonymized_patient_id", "patient name", "CaseCode", "donor_key", "study subject id"])
def test_patients_of_composed_names(images, name):
    cat = catalogue(table(images, f"img_file,label_name,{name},patient_age", lambda c, k: f"{c}/{c[0]}{k}.png,{c},{c[0]}{k // 2},{k}"))
    assert cat.attrs["read_as"] == "classes: Benign, Pro; patients: 8" and cat.attrs["warnings"] == ["list.csv: columns that were not read: patient_age"]


@pytest.mark.parametrize("name, words", [("kind", ("train", "test")), ("dataset", ("Training", "Test-A")), ("is_test", "01"), ("test", ("False", "True")),
                                         ("in_training_set", "10"), ("is_train", ("yes", "no"))])
def test_sets_under_any_name(images, name, words):
    cat = catalogue(table(images, f"path,label,{name}", lambda c, k: f"{c}/{c[0]}{k}.png,{c},{words[k > 5]}"))
    assert cat.attrs["read_as"] == "classes: Benign, Pro; sets: train 12, test 4" and set(cat.loc[cat["given_split"] == "test", "image"]) == {
        "Benign/B6", "Benign/B7", "Pro/P6", "Pro/P7"}


@pytest.mark.parametrize("yes, no", ["10", ("x", ""), ("TRUE", "FALSE"), ("yes", "no"), ("1.0", "0.0"), ("1", "")])
def test_classes_beside_other_marks(images, yes, no):
    mark = lambda true: yes if true else no
    path = table(images, "id,male,benign,blast,odd,fever", lambda c, k: f"{c[0]}{k},{mark(k % 3 == 0)},{mark(c == 'Benign')},{mark(c == 'Pro')},{mark(False)},{mark(k > 4)}")
    cat = catalogue(path)
    assert (cat["label"].astype(str) == cat["image"].str.split("/").str[1].map({"B": "benign", "P": "blast"})).all() or \
        cat["label"].value_counts().to_dict() == {"benign": 8, "blast": 8}
    assert cat.attrs["warnings"] in (["list.csv: columns that were not read: male, fever"], ["list.csv: columns that were not read: male, odd, fever"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_ends_of_lines_and_encodings(images, encoding, end):
    path = table(images, "path;label", lambda c, k: f"{c}\\{c[0]}{k}.png;{c}")
    path.write_bytes(path.read_text().replace("\n", end).encode(encoding))
    assert len(catalogue(path)) == 16


def test_columns_by_their_own_names(images):
    path = table(images, "where,what,who,part", lambda c, k: f"{c}/{c[0]}{k}.png,{c},{c}{k // 4},{'test' if k > 5 else 'train'}")
    with pytest.raises(InputError, match="lacks the column path and label; found: split. Columns: where, what, who, part"):
        catalogue(path)
    cat = catalogue(path, path_column="where", label_column="What", patient_column="who", split_column="part")
    assert cat.attrs["read_as"] == "classes: Benign, Pro; sets: train 12, test 4; patients: 4"
    with pytest.raises(InputError, match="no column 'person'; choose `patient_column` from where"):
        catalogue(path, path_column="where", label_column="what", patient_column="person")


def test_two_columns_that_may_both_be_the_label(images):
    with pytest.raises(InputError, match="diagnosis and type may both be the label, and they differ; choose one with `label_column`"):
        catalogue(table(images, "path,diagnosis,type", lambda c, k: f"{c}/{c[0]}{k}.png,{c},{k % 3}"))


@pytest.mark.parametrize("unknown", ["unknown", "-", "missing", "N/A", "none", "?", "未知"])
def test_unknown_patients_are_no_patient(images, unknown):
    cat = catalogue(table(images, "path,label,patient", lambda c, k: f"{c}/{c[0]}{k}.png,{c},{unknown if k > 3 else c + str(k // 2)}"))
    assert cat["group"].nunique() == 4 + 8 and cat.attrs["read_as"].endswith("patients: 4 (and 8 images without)")


def test_a_lone_zero_is_reported(images):
    cat = catalogue(table(images, "path,label,patient", lambda c, k: f"{c}/{c[0]}{k}.png,{c},{0 if k > 3 else len(c) * 10 + k}"))
    assert any("patient 0 has 8 rows and is read as one patient" in line for line in cat.attrs["warnings"])


def test_a_set_that_is_none(images):
    with pytest.raises(InputError, match="the column split holds spare, which is no training, validation or test set"):
        catalogue(table(images, "path,label,split", lambda c, k: f"{c}/{c[0]}{k}.png,{c},{'spare' if k == 7 else 'train'}"))


def test_a_missing_file_names_both_places_once(images, tmp_path_factory, monkeypatch):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    path = table(images, "path,label", lambda c, k: f"gone/{c[0]}{k}.png,{c}" if k > 5 else f"{c}/{c[0]}{k}.png,{c}")
    with pytest.raises(InputError) as refused:
        catalogue(path)
    assert str(refused.value).count(f"no such file in 4 rows (line 8: gone/B6.png, line 9: gone/B7.png, line 16: gone/P6.png, line 17: gone/P7.png); "
                                    f"looked in {images} and {elsewhere}") == 1
    os.rename(images / "list.csv", elsewhere / "list.csv")
    monkeypatch.chdir(images)
    assert len(catalogue(elsewhere / "list.csv", on_bad="skip")) == 12


def test_old_and_new_catalogue_files(images):
    cat = catalogue(table(images, "path,label,patient,split", lambda c, k: f"{c}/{c[0]}{k}.png,{c},{c}{k // 2},{'test' if k > 5 else 'train'}"))
    save_catalogue(cat, images / "new.csv")
    pd.testing.assert_frame_equal(pd.DataFrame(load_catalogue(images / "new.csv")), pd.DataFrame(cat))
    save_catalogue(cat.drop(columns=["patient", "given_split"]), images / "old.csv")
    assert list(load_catalogue(images / "old.csv").columns) == list(cat.columns[:8])


def test_corrected_labels_keep_the_split(images):
    cat = catalogue(images)
    save_split(split(cat, "paper"), images / "split.csv")
    notes = Annotations(images)
    notes.set("Benign/B0", label="Pro")
    again = catalogue(export_labels(notes, cat))
    assert set(again["image"]) == set(cat["image"]) and "relabelled.csv: 1 of 16 labels changed (Benign -> Pro: 1)" in again.attrs["warnings"]
    assert again.set_index("image")["label"]["Benign/B0"] == "Pro" and again["group"].nunique() == 16
    pd.testing.assert_frame_equal(load_split(images / "split.csv", again), load_split(images / "split.csv", cat))
