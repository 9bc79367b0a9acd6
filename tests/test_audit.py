"The chapter \"Can you believe it?\" of a report, and the command `leuknb audit`."
import pytest

from leuknb.cli import main
from leuknb.audit import audit_run
from leuknb.lib.runs import Run
from leuknb.patients import make_smears

SMALL = ["--backbones", "alexnet", "--heads", "svm", "--weights", "synth", "--size", "96", "--split", "group"]


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    "Features of these tests stay among them."
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEUKNB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def smears(tmp_path_factory):
    "Smears whose stain tells the class."
    return make_smears(tmp_path_factory.mktemp("data") / "smears", 64, 12, stain_leak=1, seed=3, size=96, workers=1, progress=False)


@pytest.fixture(scope="module")
def run(smears, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    assert main(["reproduce", "--data", str(smears / "catalogue.csv"), "--out", str(out), *SMALL]) == 0
    return Run(out)


def test_report_has_the_chapter_and_the_run_its_tables(run):
    report = (run.path / "report.html").read_text(encoding="utf-8")
    assert "Can you believe it?" in report and "Colour alone" in report and "calls a black picture" in report
    names = {p.name for p in (run.path / "audit").iterdir()}
    assert {"audit-shortcuts.csv", "audit-leaks.csv", "audit-masks.csv", "audit-shifts.csv", "audit.txt"} <= names


def test_no_audit_leaves_it_out(smears, tmp_path):
    assert main(["reproduce", "--data", str(smears / "catalogue.csv"), "--out", str(tmp_path / "run"), "--no-audit", *SMALL]) == 0
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


def test_audit_of_a_folder(smears, tmp_path, capsys):
    assert main(["audit", "--data", str(smears), "--out", str(tmp_path / "audit"), "--chapters", "leaks,masks"]) == 0
    assert "keeps" in capsys.readouterr().out


@pytest.mark.parametrize("arguments, message", [
    ([], "either a run folder, or images"), (["nowhere"], "no run of leuknb here"),
    (["--data", "DATA", "--chapters", "x"], "choose from shortcuts"), (["--data", "nowhere"], "nowhere")])
def test_mistakes_are_one_line_and_write_nothing(smears, tmp_path, capsys, arguments, message):
    out = tmp_path / "audit"
    assert main(["audit", *[a.replace("DATA", str(smears)) for a in arguments], "--out", str(out)]) == 2
    assert message in capsys.readouterr().err and not out.exists()
