"The published tables, and an audit whose every verdict depends on the data."
import copy

import numpy as np
import pytest
import sklearn.metrics as sk

from leuknb.lib.claims import CHECKS, by_the_words
from leuknb.lib.published import paper_data
from leuknb.metrics import per_class, summary
from leuknb.paper import Audit, audit, compare_published, plot_published, published, published_all

ROMAN = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII", "XIV"]


@pytest.fixture
def data():
    return copy.deepcopy(paper_data())


@pytest.fixture(scope="module")
def findings():
    return audit().set_index("finding")


def cells(data):
    return {c["table"]: c for c in data["cells"]}


def all_published():
    return [published(b, h, v) for b, h, v in published_all()[["backbone", "head", "variant"]].itertuples(index=False)]


def test_the_grid_is_complete():
    assert published_all()["table"].tolist() == ROMAN
    assert published_all()["figure"].tolist() == list(range(8, 22))
    assert published("vgg19", "softmax", "original") is None and published("vgg19", "softmax", "segmented") is None


@pytest.mark.parametrize("table", ROMAN)
def test_metrics_reproduce_the_printed_tables(table):
    "Our metrics and scikit-learn's, rounded to the printed digits, give the paper's numbers."
    cell = next(c for c in all_published() if c.table == table)
    ours = 100 * per_class(cell.confusion, cell.classes)
    true, predicted = (np.repeat(i.ravel(), cell.confusion.ravel()) for i in np.indices((4, 4)))
    precision, recall, fscore, _ = sk.precision_recall_fscore_support(true, predicted)
    for metric, oracle in [("precision", precision), ("recall", recall), ("sensitivity", recall), ("fscore", fscore)]:
        np.testing.assert_allclose(ours[metric], 100 * oracle)
    for metric in cell.printed:
        for c in cell.classes:
            digits = len(cell.printed.at[c, metric].rstrip("%").partition(".")[2])
            assert abs(ours.at[c, metric] - float(cell.printed.at[c, metric].rstrip("%"))) <= 0.5 * 10**-digits + 1e-9
    assert abs(100 * summary(cell.confusion)["accuracy"] - cell.overall[0]) <= 0.05 + 1e-9


def test_a_cell_has_what_it_promises():
    cell = published("alexnet", "svm", "segmented")
    assert cell.table == "II" and cell.confusion.shape == (4, 4) and cell.confusion.dtype.kind == "i"
    assert list(cell.metrics.columns) == ["recall", "precision", "accuracy", "specificity", "sensitivity", "fscore"]
    assert list(cell.metrics.index) == ["Benign", "Early", "Pre", "Pro"] and cell.metrics.index.name == "class"
    assert cell.metrics.at["Benign", "recall"] == 0.914 and cell.errors == 42
    assert "Table II" in repr(cell) and "91.4%" in cell._repr_html_()
    cell.confusion[0, 0] = 0
    assert published("alexnet", "svm", "segmented").confusion[0, 0] == 138, "a caller's change stays the caller's"


@pytest.mark.parametrize("names", [("resnet18", "svm", "original"), ("alexnet", "lda", "original"), ("alexnet", "svm", "both")])
def test_cells_that_the_paper_does_not_have(names):
    assert published(*names) is None


def test_findings(findings):
    "The audit's numbers, each against a value found by hand."
    found = findings
    assert set(found.index[found["verdict"] != "not stated"]) == set(CHECKS)
    numbers = found["numbers"]
    assert numbers["printed numbers"] == {"follow": 812, "printed": 812}
    assert numbers["axis labels"]["rows true"] == 336 > numbers["axis labels"]["as labelled"]
    assert numbers["same test set"] == {"common": (151, 295, 289, 241), "others": {"III": (152, 294, 287, 243)}}
    assert numbers["test split"]["expected"] == (151, 295, 289, 241)
    assert numbers["abstract, numbers"] == {"table": "V", "matches": 3, "odd": ["96.14 for 96.41 (digits transposed)"]}
    assert numbers["abstract, grid"]["missing"] == ["vgg19 softmax original", "vgg19 softmax segmented"]
    assert numbers["Pro perfect"]["precision"] == pytest.approx(241 / 242)
    assert numbers["no benign missed"] == {"missed": 4, "of": 151}
    assert numbers["Pre or Pro"] == {"accuracy": "Pro", "fscore": "Pro"}
    assert numbers["softmax segmented"]["interval"] == pytest.approx((-0.01029, 0.01856), abs=5e-5) and numbers["softmax segmented"]["equivalent"]
    assert found.loc["1 % deviation", "evidence"].endswith("to 1.19 points below 100 %: so only when rounded to whole points")
    assert numbers["1 % deviation"]["most"] == pytest.approx(1.1885, abs=5e-4)
    assert numbers["reduced precision"] == {"benign called leukaemia": 12, "leukaemia called benign": 16}
    assert numbers["excels"] == {"rank": 14, "of": 14} and numbers["occasionally"] == {"right": 114, "of": 151}
    assert numbers["segmentation helps"]["points"] == pytest.approx(-1.13, abs=5e-3)
    assert "150/294/290/242" in found.loc["same test set", "evidence"]
    assert numbers["94.47 %"]["overall"] == pytest.approx(0.9334, abs=5e-5)
    assert (numbers["resilient"]["rank"], numbers["resilient"]["errors"]) == (2, (9, 42))
    percents = {t: [round(100 * v, 2) for v in numbers["accuracies"][t]] for t in ("I", "IX", "III", "XII")}
    assert percents == {"I": [99.08, 98.26, 99.51], "IX": [97.34, 96.13, 98.18], "III": [97.23, 96.0, 98.09], "XII": [91.7, 89.8, 93.27]}
    unclear = {b if a == "I" else a: (p, p_holm) for a, b, p, p_holm in numbers["best"]["unclear"]}
    assert set(unclear) == {"III", "IX"} and all(p < 0.05 < p_holm for p, p_holm in unclear.values())
    assert found["verdict"].value_counts().to_dict() == {"fails": 19, "not stated": 11, "holds": 5, "partly": 3, "no data": 2, "not contradicted": 1}


def perfect(table):
    "Change: no errors in this table."
    def change(data):
        cells(data)[table]["confusion"] = np.diag([151, 295, 289, 241]).tolist()
    return change


def put(table, matrix):
    "Change: another matrix for a table."
    return lambda data: cells(data)[table].update(confusion=matrix)


def transpose(data):
    "Change: the figures as they are labelled."
    for cell in data["cells"]:
        cell["confusion"] = np.transpose(cell["confusion"]).tolist()


def extra(**changes):
    "Change: one more cell."
    return lambda data: data["cells"].append({**copy.deepcopy(cells(data)["I"]), "table": "XV", "figure": 22, **changes})


def worded(data):
    "Change: tables printed from the prose definitions."
    for cell in data["cells"]:
        values = by_the_words(np.array(cell["confusion"]))
        cell["metrics"] = [[f"{100 * v:.2f}%" for v in row] for row in values]


def weaker_elsewhere(data):
    "Change: all other tables half wrong, so that Table I leads beyond doubt."
    for table, cell in cells(data).items():
        if table != "I":
            cell["confusion"] = [[75, 76, 0, 0], [147, 148, 0, 0], [0, 0, 144, 145], [0, 0, 121, 120]]


def distinct(data):
    "Change: fourteen accuracies far apart."
    for i, cell in enumerate(data["cells"]):
        right = [round(total * (1 - i / 15)) for total in (151, 295, 289, 241)]
        wrong = np.subtract((151, 295, 289, 241), right)
        cell["confusion"] = (np.diag(right) + np.roll(np.diag(wrong), 1, axis=1)).tolist()


def overall_said(data):
    "Change: the nine numbers are what they are called."
    data["overall_accuracies"] = [["I", "Pro", f"{100 * 967 / 976:.2f}%"]]


def fill_grid(data):
    "Change: the two missing cells exist."
    for i, variant in enumerate(("original", "segmented")):
        extra(backbone="vgg19", head="softmax", variant=variant)(data)
        data["cells"][-1]["table"] = ["XV", "XVI"][i]


def table_i_as_said(data):
    "Change: Table I prints the abstract's numbers."
    for row, value in zip(cells(data)["I"]["metrics"], data["abstract"]["printed"]):
        row[2] = value


CORRUPTIONS = [
    ("printed numbers", put("I", [[147, 3, 1, 0], [3, 291, 1, 0], [0, 0, 288, 1], [1, 0, 0, 240]]), "fails"),
    ("accuracies", distinct, "holds"),
    ("axis labels", transpose, "holds"),
    ("same test set", put("III", [[142, 5, 3, 1], [5, 287, 2, 1], [1, 2, 284, 2], [1, 1, 3, 236]]), "holds"),
    ("test split", lambda d: d["dataset"]["images"].update(Benign=600), "fails"),
    ("definitions", worded, "holds"),
    ("abstract, numbers", table_i_as_said, "holds"),
    ("abstract, grid", fill_grid, "holds"),
    ("99 or 100 %", put("I", [[100, 51, 0, 0], [3, 291, 1, 0], [0, 0, 288, 1], [0, 0, 0, 241]]), "fails"),
    ("Pro perfect", perfect("I"), "holds"),
    ("rounding", perfect("I"), "holds"),
    ("no benign missed", perfect("I"), "holds"),
    ("Pro segmented", put("II", [[138, 8, 5, 0], [6, 280, 9, 0], [2, 3, 284, 0], [1, 0, 0, 240]]), "holds"),
    ("accuracy range", perfect("III"), "fails"),
    ("Pre or Pro", put("IV", [[140, 11, 0, 0], [6, 289, 0, 0], [0, 0, 289, 0], [5, 1, 0, 235]]), "holds"),
    ("softmax segmented", put("VI", [[100, 51, 0, 0], [9, 283, 3, 0], [4, 8, 277, 0], [3, 0, 0, 238]]), "fails"),
    ("1 % deviation", put("I", [[147, 3, 1, 0], [3, 271, 21, 0], [0, 0, 288, 1], [0, 0, 0, 241]]), "fails"),
    ("reduced precision", put("VI", [[139, 5, 4, 3], [0, 292, 3, 0], [0, 8, 281, 0], [0, 0, 0, 241]]), "holds"),
    ("excels", perfect("XII"), "holds"),
    ("occasionally", put("XII", [[60, 71, 10, 10], [0, 295, 0, 0], [0, 0, 289, 0], [0, 0, 0, 241]]), "holds"),
    ("segmentation helps", perfect("XIV"), "holds"),
    ("94.47 %", put("XIV", [[151, 0, 0, 0], [54, 241, 0, 0], [0, 0, 289, 0], [0, 0, 0, 241]]), "holds"),
    ("overall accuracies", overall_said, "holds"),
    ("variability", perfect("II"), "holds"),
    ("resilient", put("II", [[140, 8, 3, 0], [1, 294, 0, 0], [0, 0, 289, 0], [0, 0, 0, 241]]), "holds"),
    ("superior", perfect("II"), "holds"),
    ("best", weaker_elsewhere, "holds"),
    ("best", perfect("V"), "fails"),
    ("weak spot", put("XIV", [[151, 0, 0, 0], [54, 241, 0, 0], [0, 0, 289, 0], [0, 0, 0, 241]]), "holds"),
    ("physicians", extra(head="haematologist", confusion=[[100, 51, 0, 0], [0, 295, 0, 0], [0, 0, 289, 0], [0, 0, 0, 241]]), "holds"),
    ("physicians", extra(head="haematologist", confusion=np.diag([151, 295, 289, 241]).tolist()), "fails"),
    ("generalizable", extra(variant="another hospital"), "holds"),
]


@pytest.mark.parametrize("finding, change, verdict", CORRUPTIONS, ids=[f"{f}-{v}" for f, _, v in CORRUPTIONS])
def test_every_verdict_depends_on_the_data(data, findings, finding, change, verdict):
    change(data)
    after = audit(data).set_index("finding").loc[finding]
    assert findings.loc[finding, "verdict"] != verdict == after["verdict"]


def test_every_check_is_spoiled_above():
    assert {finding for finding, *_ in CORRUPTIONS} == set(CHECKS)


@pytest.mark.parametrize("where", ["metrics", "shares", "row_margins", "column_margins", "overall"])
def test_every_kind_of_printed_number_is_checked(data, where):
    cell = data["cells"][6]
    if where == "metrics":
        cell["metrics"][1][2] = "12.34%"
    elif where == "overall":
        cell["overall"][0] += 1
    else:
        cell[where][1][1] += 1
    assert audit(data).set_index("finding").loc["printed numbers", "numbers"] == {"follow": 811, "printed": 812}


def test_comparison_of_published_cells():
    table = compare_published()
    assert len(table) == 91 and (table["p_holm"] >= table["p"]).all()
    few = compare_published([("I", "IX")]).iloc[0]
    assert few["p"] == few["p_holm"] and few["difference"] == pytest.approx(17 / 976)


def test_the_audit_shows_itself():
    html = audit()._repr_html_()
    assert "812 of 812" in html and "numbers" not in html.split("</thead>")[0]
    assert isinstance(audit().iloc[:2], Audit) and "<table" in audit()[["finding"]]._repr_html_()


def test_figure_of_all_matrices():
    import matplotlib
    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    fig = plot_published()
    texts = [t.get_text() for ax in fig.axes for t in ax.texts]
    assert sum("not in the paper" in t for t in texts) == 2 and sum(len(ax.texts) == 16 for ax in fig.axes) == 14
    plt.close(fig)
