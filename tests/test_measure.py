"All measured tables by one command: what is finished is not measured again, and each tool is called with its own arguments."
import runpy
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from leuknb.scenes import training_sizes

TOOLS = Path(__file__).resolve().parent.parent / "tools"


@pytest.fixture(scope="module")
def tool():
    return runpy.run_path(str(TOOLS / "measure.py"))


def test_a_failed_part_is_continued_and_a_finished_one_left_out(tool, tmp_path):
    calls, fail = [], [True]

    def call(name, *arguments):
        calls.append((name, *arguments))
        if name == "measure_ablations" and fail and fail.pop():
            raise subprocess.CalledProcessError(1, name)
    options = [str(tmp_path), "--parts", "scenes,ablations"]
    with pytest.raises(subprocess.CalledProcessError):
        tool["measure_all"](options, call, tmp_path / "all.csv")
    assert list(tool["measure_all"](options, call, tmp_path / "all.csv")) == ["scenes", "ablations"]
    assert calls == [(name, str(tmp_path)) for name in ("measure_scenes", "measure_ablations", "measure_ablations")]
    tool["measure_all"]([*options, "--again"], call, tmp_path / "all.csv")
    assert len(calls) == 5


@pytest.mark.parametrize("options, message", [(["DIR", "--parts", "scene"], "no part scene; there are scenes"), (["nowhere"], "nowhere is not a folder")])
def test_what_is_not_there_is_named(tool, tmp_path, capsys, options, message):
    with pytest.raises(SystemExit):
        tool["measure_all"]([str(tmp_path) if o == "DIR" else o for o in options], None, tmp_path / "all.csv")
    assert message in capsys.readouterr().err


def test_every_part_is_a_tool_with_these_options(tool):
    for name, *arguments in tool["PARTS"].values():
        text = (TOOLS / f"{name}.py").read_text(encoding="utf-8")
        assert all(f'"{option}"' in text for option in arguments if option.startswith("--")), name


def test_a_control_has_as_many_training_images_but_no_embargo():
    parts_of = runpy.run_path(str(TOOLS / "measure_ablations.py"))["parts_of"]
    names = [f"{label}-{k:03}" for label in ("Benign", "Pro") for k in range(60)]
    rows = pd.DataFrame({"image": names, "path": names, "label": [name.partition("-")[0] for name in names], "variant": "original", "group": names})
    apart, control, bare = (parts_of(rows, name) for name in ("blocks-8", "blocks-8-control", "blocks"))
    labels = rows.set_index("image")["label"]
    assert training_sizes(apart, labels).equals(training_sizes(control, labels))
    assert control[control["split"] == "test"].equals(bare[bare["split"] == "test"])
    near = control.merge(apart[apart["split"] == "embargo"], on=["image", "fold"])
    assert (near["split_x"] == "train").any(), "images that the embargo leaves out may be trained on"
