"What folders mean: trees as people have them, and trees made at random whose truth is known."
import random
import unicodedata
from itertools import product

import pytest

from fake_images import picture
from leuknb.data import catalogue
from leuknb.lib.datasets import known_image
from leuknb.lib.errors import InputError
from leuknb.lib.folders import variant_folders
from leuknb.lib.layouts import facts_of, fold_of, is_person, names_with, read_layout, split_of, unrepeated
from leuknb.splits import default_scheme, shared_patients, split

ROLES = ("class", "split", "fold", "patient", "site")


def paths_of(*trees):
    "Paths such as `train,test/a,b`: each name of the first level with each of the second."
    return [unrepeated(path) for tree in trees for path in product(*(level.split(",") for level in tree.split("/")))]


def reading(*trees, layout=None):
    paths = paths_of(*trees)
    rows = read_layout(paths, layout)
    return {role: names for role in ROLES if (names := names_with(paths, rows, role))}


@pytest.mark.parametrize("trees, truth", [
    (["Train,TestA/Basophil,Monocyte", "TestB/Monocyte"], {"class": ["Basophil", "Monocyte"], "split": ["TestA", "TestB", "Train"]}),
    (["d-master/d-master/images/TRAIN,TEST,TEST_SIMPLE/EOS,NEU"], {"class": ["EOS", "NEU"], "split": ["TEST", "TEST_SIMPLE", "TRAIN"]}),
    (["train_data,test_data/ALL,HEM"], {"class": ["ALL", "HEM"], "split": ["test_data", "train_data"]}),
    (["training,validation,testing/x,y"], {"class": ["x", "y"], "split": ["testing", "training", "validation"]}),
    (["entrenamiento,prueba,validación/u,v"], {"class": ["u", "v"], "split": ["entrenamiento", "prueba", "validación"]}),
    (["训练集,测试集/正常,芽球"], {"class": ["正常", "芽球"], "split": ["测试集", "训练集"]}),
    (["fold_0,fold_1,fold_2/all,hem"], {"class": ["all", "hem"], "fold": ["fold_0", "fold_1", "fold_2"]}),
    (["a,b/cv1,cv2"], {"class": ["a", "b"], "fold": ["cv1", "cv2"]}),
    (["P01,P02/Benign,Pro", "P03/Pro"], {"class": ["Benign", "Pro"], "patient": ["P01", "P02", "P03"]}),
    (["blast/Case-1,Case-2", "normal/Case-3"], {"class": ["blast", "normal"], "patient": ["Case-1", "Case-2", "Case-3"]}),
    (["train/P01,P02/a,b", "test/P03/a,b"], {"class": ["a", "b"], "split": ["test", "train"], "patient": ["P01", "P02", "P03"]}),
    (["lab1/P1,P2/a,b", "lab2/P3/a,b"], {"class": ["a", "b"], "patient": ["P1", "P2", "P3"], "site": ["lab1", "lab2"]}),
    (["P01,P02,unknown/a,b"], {"class": ["a", "b"], "patient": ["P01", "P02"]}),
    (["blast/17,18", "normal/23,24"], {"class": ["blast", "normal"], "patient": ["17", "18", "23", "24"]}),
    (["seg_train/seg_train/a,b", "seg_test/seg_test/a,b", "seg_pred/seg_pred"], {"class": ["a", "b"], "split": ["seg_test", "seg_train"]}),
    (["data/train/fold_0,fold_1/all,hem", "data/test/test_final_phase"], {"class": ["all", "hem"], "split": ["test", "train"], "fold": ["fold_0", "fold_1"]}),
    (["P01,P02/images/x,y"], {"class": ["x", "y"], "patient": ["P01", "P02"]}),
    (["ALL/P1,P2", "HEM/H3,H4,unknown"], {"class": ["ALL", "HEM"], "patient": ["H3", "H4", "P1", "P2"]}),
    (["x/Case 1,Case 2", "y/7,8"], {"class": ["x", "y"], "patient": ["7", "8", "Case 1", "Case 2"]}),
    (["1st fold,2nd fold/a,b"], {"class": ["a", "b"], "fold": ["1st fold", "2nd fold"]}),
    (["train/patient-ALL-1,patient-HEM-2/a,b", "test/patient-ALL-3/a,b"], {"class": ["a", "b"], "split": ["test", "train"],
                                                                           "patient": ["patient-ALL-1", "patient-ALL-3", "patient-HEM-2"]}),
    (["0,1"], {"class": ["0", "1"]}), (["x,y/images"], {"class": ["x", "y"]}), (["cells/x,y"], {"class": ["x", "y"]}),
    (["Benign,Pro", "Pro/day 1,day 2"], {"class": ["Benign", "Pro"]}), (["band,segmented,monocyte"], {"class": ["band", "monocyte", "segmented"]}),
])
def test_trees_that_are_plain(trees, truth):
    assert reading(*trees) == truth


@pytest.mark.parametrize("trees, message", [
    (["Oslo,Bergen/x,y"], "site/class: sites Bergen, Oslo; classes x, y"), (["1,2,3/blast,normal"], "fold/class: folds 1, 2, 3"),
    (["blast/Smith,Jones", "normal/Doe"], "class/patient: classes blast, normal; patients Doe, Jones, Smith"),
    (["ALL/L1,L2", "AML/M1"], "class/-: classes ALL, AML"), (["train,test"], "no class folders, only sets test, train"),
    (["ALL/P1,P2", "HEM/Smith,Jones"], "the meaning of Jones, Smith in HEM, beside the patients P1, P2, cannot be seen"),
    (["train,unseen/a,b"], "the meaning of unseen, beside the sets train"), (["Patient 1 (ALL),Patient 2 (AML)"], "no class folders, only patients"),
    (["P1,P2,P3"], "if these are the classes, choose `layout` class"), (["train/a,b", "test/c,d"], "no class is in two sets"),
    (["train,test,extra/a,b"], "the meaning of extra, beside the sets test, train"), (["a,b/c,d/e,f"], "-/-/class: classes e, f"),
    (["fold_0,fold_1/train,test/a,b"], "each fold has training and test folders of its own"),
])
def test_trees_that_are_not(trees, message):
    with pytest.raises(InputError) as refused:
        reading(*trees)
    assert message in str(refused.value)


@pytest.mark.parametrize("layout, truth", [
    ("site/class", {"class": ["x", "y"], "site": ["Bergen", "Oslo"]}), ("class/patient", {"class": ["Bergen", "Oslo"], "patient": ["x", "y"]}),
    ("class/-", {"class": ["Bergen", "Oslo"]}), ("-/Class/", {"class": ["x", "y"]}), ("class", {"class": ["Bergen", "Oslo"]}),
])
def test_a_stated_layout(layout, truth):
    assert reading("archive/Oslo,Bergen/x,y" if layout != "class" else "Oslo,Bergen/x,y", layout=layout) == truth


@pytest.mark.parametrize("layout, message", [("a/b", "choose from class, patient"), ("patient/site", "name class once"), ("class/class", "name class once"),
                                             ("site/patient/class", "no image lies in 3 folders")])
def test_a_layout_that_cannot_be(layout, message):
    with pytest.raises(InputError, match=message):
        reading("Oslo,Bergen/x,y", layout=layout)


NAMES = {"split": [["train", "test"], ["Train", "Val", "TestA"], ["TRAIN_SET", "TEST-SET"], ["x_train", "x_test"], ["Trainingsdaten", "Testdaten"]],
         "fold": [["fold_0", "fold_1", "fold_2"], ["Fold 1", "Fold 2"], ["cv3", "cv4"], ["kfold-1", "kfold-2"]],
         "patient": [["P01", "P02", "P03"], ["patient_7", "patient_12"], ["Case-12", "Case-3", "Case-4"], ["sub-01", "sub-02"], ["患者1", "患者2"]],
         "site": [["Hospital A", "Hospital B"], ["site1", "site2"], ["Klinik Nord", "Klinik Ost"]]}
CLASSES = [["a", "b"], ["blast", "normal", "odd"], ["L1", "L2", "L3"], ["0", "1"], ["Präblast", "gesund"], ["neutrophil", "SEGMENTED"], ["été", "hiver"]]


@pytest.mark.parametrize("seed", range(150))
def test_random_trees_are_read_right_or_refused(seed):
    rng = random.Random(seed)
    roles = rng.sample(["split", "fold", "patient", "site"], rng.choice([0, 1, 1, 2]))
    roles.insert(rng.randint(0, len(roles)), "class")
    names = {role: rng.choice(CLASSES if role == "class" else NAMES[role]) for role in roles}
    paths = list(product(*(names[role] for role in roles)))
    if "patient" in roles and "class" in roles[:roles.index("patient")]:  # each patient has one class
        own = {person: names["class"][i % len(names["class"])] for i, person in enumerate(names["patient"])}
        paths = [path for path in paths if own[path[roles.index("patient")]] == path[roles.index("class")]]
    wrapper = rng.choice([(), ("download",), ("set", "set"), ("images",)])
    paths = [(*wrapper, *path, *rng.choice([(), ("imgs",)])) for path in paths]
    plain = [unrepeated(path) for path in paths]
    try:
        rows = read_layout(plain)
    except InputError:
        return  # a refusal is never wrong; that the usual trees are read is tested above
    for path, row in zip(plain, rows):
        facts, truth = facts_of(path, row), dict(zip(roles, path[len(unrepeated(wrapper)):]))
        assert facts["label"] == truth["class"] and facts["patient"] == truth.get("patient", "") and facts["site"] == truth.get("site", "")
        assert facts["split"] == (split_of(truth["split"]) if "split" in truth else "") and facts["fold"] == (fold_of(truth["fold"]) if "fold" in truth else "")


def test_names():
    assert [split_of(n) for n in ("testis", "protest", "train", "Valid_1", "trainval", "train_test")] == [None, None, "train", "valid", "train", None]
    assert [fold_of(n) for n in ("fold_0", "5-fold 2", "folder", "unfold 1", "cv")] == ["0", "5", None, None, None]
    assert [is_person(n) for n in ("P01", "case", "case control", "Pre", "patient_A", "Pro-1", "P")] == [True, False, False, False, True, False, False]


def test_variants_anywhere():
    found, outside = variant_folders({("P1", "Pro", "Original"), ("P1", "Pro", "segmented"), ("P1", "Pro", "Augmented"), ("P2", "Benign", "original")})
    assert {path[-1] for path in found} == {"Original", "segmented", "original"} and outside == {("P1", "Pro", "Augmented")}


def tree(root, *folders, n=2):
    "Folders with images, all different."
    for i, folder in enumerate(folders):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for k in range(n):
            picture(10 * i + k + 1).save(root / folder / f"{k}.png")
    return root


def test_patients_are_groups_and_kept_apart(tmp_path):
    cat = catalogue(tree(tmp_path, *(f"patient_{p}/{label}" for p in range(1, 7) for label in ("Benign", "Pro"))))
    assert cat.attrs["read_as"] == "classes: Benign, Pro; patients: 6" and (cat["group"] == cat["patient"]).all()
    assert default_scheme(cat) == "group" and shared_patients(cat, split(cat)) == []
    assert shared_patients(cat, split(cat, "paper")) != []
    assert split(cat, "group").merge(cat).query("split == 'test'")["label"].nunique() == 2


def test_a_class_with_a_single_patient(tmp_path):
    cat = catalogue(tree(tmp_path, "Benign/P1", "Benign/P2", "Pro/P3", n=3))
    with pytest.raises(InputError, match=r"class Pro has a single patient \(P3\).*split='paper'"):
        split(cat)


def test_folds_of_the_authors_leave_one_out(tmp_path):
    cat = catalogue(tree(tmp_path, *(f"fold_{k}/{label}" for k in range(3) for label in ("all", "hem"))))
    assert cat.attrs["read_as"] == "classes: all, hem; folds: 3"
    parts = split(cat).merge(cat[["image", "given_fold"]])
    assert (parts["split"].eq("test") == (parts["fold"].astype(str) == parts["given_fold"])).all() and parts["fold"].nunique() == 3


def test_validation_images_are_trained_on_unless_left_out(tmp_path):
    cat = catalogue(tree(tmp_path, *(f"{part}/{label}" for part in ("train", "val", "test") for label in "ab")))
    counts = [split(cat, "given", valid=valid)["split"].value_counts().to_dict() for valid in ("train", "out")]
    assert counts == [{"train": 8, "test": 4}, {"train": 4, "test": 4, "embargo": 4}]


def test_names_that_differ_by_form_alone_are_one_class(tmp_path):
    names = [unicodedata.normalize(form, "Präblast") for form in ("NFC", "NFD")]
    tree(tmp_path, f"Original/{names[0]}", "Original/b"), tree(tmp_path, f"Segmented/{names[1]}", "Segmented/B")
    cat = catalogue(tmp_path)
    assert list(cat["label"].cat.categories) in (["b", names[0]], ["B", names[0]]) and cat.groupby("image")["variant"].nunique().eq(2).all()


@pytest.mark.parametrize("on_bad", ["error", "skip"])
def test_a_spelling_error_is_named(tmp_path, on_bad):
    tree(tmp_path, "Original/blast", "Original/normal", "Segmented/blast", "Segmented/normals")
    with pytest.raises(InputError, match="class normal is in original alone, and class normals in segmented alone") as refused:
        catalogue(tmp_path, on_bad=on_bad)
    assert "on_bad" not in str(refused.value)


def test_classes_and_patients_in_the_names_of_files(tmp_path):
    assert known_image("UID_H11_23_1_hem.bmp") == {"patient": "H11", "label": "hem"} and known_image("Im131_0.tif") == {"label": "normal"}
    for i, name in enumerate(("Im001_1", "Im002_1", "Im003_0", "Im004_0")):
        picture(i + 1).save(tmp_path / f"{name}.png")
    assert list(catalogue(tmp_path)["label"]) == ["blast", "blast", "normal", "normal"]


def test_folders_of_another_set_are_no_classes(tmp_path):
    for i, (folder, name) in enumerate(product(("ALL_IDB1/im", "ALL_IDB2/img"), ("Im001_1", "Im002_1", "Im003_0", "Im004_0"))):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        picture(i + 1).save(tmp_path / folder / f"{name}.png")
    with pytest.raises(InputError, match="are of several classes by their names"):
        catalogue(tmp_path)
