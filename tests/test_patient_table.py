"The patients of a run in the explorer."
import re

import numpy as np
import pandas as pd
import pytest
from fake_run import make_run

from leuknb.explore import Explorer


@pytest.fixture
def explorer(tmp_path):
    run = make_run(tmp_path / "run", 40)
    table = pd.read_csv(run / "catalogue.csv")
    number = table["image"].str[-3:].astype(int)
    table["patient"] = np.where(number == 1, "", table["label"] + "-" + (number % 3).astype(str))  # one class a patient
    table.to_csv(run / "catalogue.csv", index=False)
    return Explorer(run, static=False)


def test_nothing_is_computed_behind_another_tab(explorer):
    assert not explorer.patients.table.value
    explorer.tabs.selected_index = 1
    assert "<table" in explorer.patients.table.value and "read wrongly" in explorer.patients.table.value


def test_the_table_equals_pandas(explorer):
    explorer.tabs.selected_index = 1
    cells = [re.findall("<bdi>(.*?)</bdi>", line) for line in explorer.patients.table.value.split("<tr>")[1:]]
    shown = pd.DataFrame(cells[1:], columns=cells[0]).set_index("patient").astype({"images": int, "images right": int})
    p = explorer.run.predictions
    backbone, head, variant = explorer.state.pred.models[explorer.matrix.model.value]
    p = p[(p["backbone"] == backbone) & (p["head"] == head) & (p["variant"] == variant)]
    patient = p["image"].map(explorer.patients.patients)
    p, patient = p[patient != ""], patient[patient != ""]
    columns = [f"p_{name}" for name in explorer.state.pred.classes]
    mean = np.log(p[columns].clip(1e-6)).groupby(patient).mean()
    assert shown["images"].to_dict() == patient.value_counts().to_dict()
    assert shown["images right"].to_dict() == (p["true"] == p["predicted"]).groupby(patient).sum().to_dict()
    assert shown["predicted"].to_dict() == mean.idxmax(axis=1).str[2:].to_dict()
    assert shown["right"].tolist() == sorted(shown["right"])  # no before yes


def test_a_patient_fills_the_gallery(explorer):
    explorer.tabs.selected_index = 1
    name = explorer.patients.patient.options[1][1]
    explorer.patients.patient.value = name
    images = explorer.state.pred.images[explorer.state.shown[0]]
    assert set(images) == set(explorer.patients.patients.index[explorer.patients.patients == name])
    assert f"patient {name}" in explorer.gallery.gallery.title


@pytest.mark.parametrize("without", ["patient", "probabilities"])
def test_what_is_missing_is_said(without, tmp_path, explorer):
    run = make_run(tmp_path / "other", 16) if without == "patient" else explorer.run.path
    if without == "probabilities":
        p = pd.read_csv(run / "predictions.csv")
        p[[name for name in p if name.startswith("p_")]] = np.nan
        p.to_csv(run / "predictions.csv", index=False)
    other = Explorer(run, static=False)
    other.tabs.selected_index = 1
    assert ("Patients are not known" if without == "patient" else "no probabilities") in other.patients.table.value
