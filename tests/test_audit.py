"The audit, its chapter in a report, and the command `leuknb audit`."
import pytest

from leuknb.audit import audit, audit_folder, audit_run
from leuknb.cli import main
from leuknb.lib.errors import InputError
from leuknb.lib.runs import Run
from leuknb.patients import make_smears
from leuknb.splits import split

QUIET = dict(progress=False)
SMALL = ["--backbones", "alexnet", "--heads", "svm", "--weights", "synth", "--size", "96", "--split", "group"]


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    "Features of these tests stay among them."
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEUKNB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def confounded(tmp_path_factory):
    "Smears whose stain tells the class."
    return make_smears(tmp_path_factory.mktemp("data") / "smears", 64, 12, stain_leak=1, seed=3, size=96, workers=1, progress=False)


@pytest.fixture(scope="module")
def run(confounded, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    assert main(["reproduce", "--data", str(confounded / "catalogue.csv"), "--out", str(out), *SMALL]) == 0
    return Run(out)


def test_report_has_the_chapter_and_the_run_its_tables(run):
    report = (run.path / "report.html").read_text(encoding="utf-8")
    assert "Can you believe it?" in report and "Colour alone" in report and "for a black image" in report
    names = {p.name for p in (run.path / "audit").iterdir()}
    assert {"audit-shortcuts.csv", "audit-leaks.csv", "audit-masks.csv", "audit-shifts.csv", "audit.txt"} <= names


def test_no_audit_leaves_it_out(confounded, tmp_path):
    assert main(["reproduce", "--data", str(confounded / "catalogue.csv"), "--out", str(tmp_path / "run"), "--no-audit", *SMALL]) == 0
    assert "Can you believe it?" not in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert not (tmp_path / "run" / "audit").exists()


def test_audit_of_a_run_asks_its_models(run, tmp_path, capsys):
    shifts = ["--chapters", "leaks,shifts", "--shifts", "warm,grey", "--images", "12"]
    assert main(["audit", str(run.path), "--out", str(tmp_path / "audit"), *shifts]) == 0
    out = capsys.readouterr().out
    assert "alexnet/svm/original, strong shifts" in out and "not for diagnosis" in out
    assert (tmp_path / "audit" / "audit.html").exists()
    assert main(["audit", str(run.path), "--out", str(tmp_path / "audit"), *shifts]) == 2


def test_audit_of_a_run_agrees_with_its_predictions(run):
    table = audit_run(run, chapters=["shortcuts"], thorough=False, progress=False).tables["shortcuts"].set_index("name")
    for row in run.comparison.itertuples():
        assert table.loc[f"{row.backbone}/{row.head}/{row.variant}", "accuracy"] == pytest.approx(row.accuracy)


def test_audit_of_a_folder(confounded, tmp_path, capsys):
    assert main(["audit", "--data", str(confounded), "--out", str(tmp_path / "audit"), "--chapters", "leaks,masks"]) == 0
    assert "keeps" in capsys.readouterr().out


@pytest.mark.parametrize("arguments, message", [
    ([], "either a run folder, or images"), (["nowhere"], "no run of leuknb here"),
    (["--data", "DATA", "--chapters", "x"], "choose from shortcuts"), (["--data", "nowhere"], "nowhere")])
def test_mistakes_are_one_line_and_write_nothing(confounded, tmp_path, capsys, arguments, message):
    out = tmp_path / "audit"
    assert main(["audit", *[a.replace("DATA", str(confounded)) for a in arguments], "--out", str(out)]) == 2
    assert message in capsys.readouterr().err and not out.exists()


def test_audit_writes_a_folder_or_nothing(cats, tmp_path):
    found = audit(cats["stain"], split(cats["stain"], "group"), chapters=["shortcuts", "masks"], thorough=False, **QUIET)
    out = found.save(tmp_path / "audit")
    assert {"audit.html", "audit.txt", "audit-shortcuts.csv", "audit-shortcuts.png", "audit-masks.csv"} <= {p.name for p in out.iterdir()}
    assert "not for diagnosis" in str(found) and "<img" in found._repr_html_()
    with pytest.raises(InputError, match="already holds"):
        found.save(out)


def odd(cats, kind):
    "A catalogue that lacks something."
    cat = cats["clean"]
    first = cat.groupby(["variant", "label"], observed=True)
    return {"one class": cat[cat["label"] == "Pre"], "two a class": first.head(2),
            "no segmented": cat[cat["variant"] == "original"], "no original": cat[cat["variant"] == "segmented"],
            "one patient": cat.assign(group="P01"),
            "one of a class": cat[(cat["label"] != "Pro") | cat["image"].eq(cat.loc[cat["label"] == "Pro", "image"].iloc[0])]}[kind]


@pytest.mark.parametrize("kind, note, kept", [
    ("one class", "one class (Pre)", "masks"), ("two a class", "needs 5", "shortcuts"), ("no segmented", "no segmented", "shortcuts"),
    ("no original", "needs", "masks"), ("one patient", "single patient", "shortcuts")])
def test_odd_folders_give_a_partial_audit(cats, kind, note, kept):
    chapters = ["shortcuts", "leaks", "masks", "splits"] if kind == "two a class" else ["shortcuts", "leaks", "masks"]
    cat = odd(cats, kind)
    parts = split(cat, "paper") if kind in ("two a class", "one patient") else None  # by patient, it is refused
    found = audit(cat, parts, chapters=chapters, **QUIET)
    assert kept in found.chapters
    if kind != "no original":
        assert any(note in n for n in found.notes), found.notes


def test_too_few_images_are_refused(cats):
    with pytest.raises(InputError, match="class Pro has a single patient .* split='paper'"):
        audit(odd(cats, "one of a class"), **QUIET)
    with pytest.raises(InputError, match="class Pro has 1 image"):
        split(odd(cats, "one of a class"), "paper")


@pytest.mark.parametrize("wrong, message", [
    (dict(chapters=["x"]), "choose from shortcuts"), (dict(shifts=["sepia"]), "choose from warm"),
    (dict(severities=["huge"]), "choose from mild"), (dict(images=0), "at least")])
def test_wrong_options_are_refused(cats, wrong, message):
    with pytest.raises(InputError, match=message):
        audit(cats["clean"], **wrong, **QUIET)


@pytest.mark.parametrize("wrong, message", [(dict(chapters=["x"]), "choose from shortcuts"), (dict(shifts=["sepia"]), "choose from warm"),
                                            (dict(seed=-1), "seed=-1"), (dict(images=0), "at least")])
def test_wrong_options_are_refused_before_any_image_is_read(wrong, message):
    with pytest.raises(InputError, match=message):
        audit_folder("nowhere", **wrong, **QUIET)


def test_a_folder_name_cannot_become_markup(cats):
    found = audit(cats["clean"], chapters=["masks"], about="<script>", **QUIET)
    assert "<script>" not in found._repr_html_() and "&lt;script&gt;" in found._repr_html_() and found.about in str(found)


def test_images_of_a_run_that_are_gone_stop_the_audit_or_are_left_out(run, confounded, tmp_path):
    import shutil
    data, again = shutil.copytree(confounded, tmp_path / "smears"), shutil.copytree(run.path, tmp_path / "run")
    table = (again / "catalogue.csv").read_text(encoding="utf-8").replace(str(confounded), str(data))
    (again / "catalogue.csv").write_text(table, encoding="utf-8")
    moved = Run(again)
    gone, broken = moved.catalogue["path"].iloc[[0, 5]]
    (tmp_path / "smears" / gone).unlink()
    with open(broken, "wb") as file:
        file.write(b"no image")
    with pytest.raises(InputError) as caught:
        audit_run(moved, chapters=["leaks"], **QUIET)
    assert gone in str(caught.value) and broken in str(caught.value) and 'on_bad="skip"' in str(caught.value)
    found = audit_run(moved, chapters=["leaks"], on_bad="skip", **QUIET)
    assert [note for note in found.notes if note.startswith("left out: ")] == found.notes[:2] and gone in found.notes[0]
