"The public data set: its facts, and fetching it with a stand-in for Kaggle's client."
import errno
import os
import sys
import types

import pytest

from fake_images import both, smears
from leuknb.data import catalogue
from leuknb.lib.datasets import DATASET, fetch
from leuknb.lib.errors import InputError


def kagglehub(monkeypatch, answer):
    "A stand-in for Kaggle's client, which answers with a folder or raises an error; the list of its requests."
    requests = []

    def dataset_download(handle):
        requests.append(handle)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    monkeypatch.setitem(sys.modules, "kagglehub", types.SimpleNamespace(dataset_download=dataset_download))
    return requests


def test_fetch_returns_what_catalogue_reads(tmp_path, monkeypatch, capsys):
    both(tmp_path / "cache" / "versions" / "1")
    requests = kagglehub(monkeypatch, tmp_path / "cache" / "versions" / "1")
    assert len(catalogue(fetch())) == 12 and requests == ["mehradaria/leukemia"]
    assert "6,512 files, 117 MB unpacked" in capsys.readouterr().out
    assert len(catalogue(fetch(tmp_path / "mine"))) == 12
    assert sorted(os.listdir(tmp_path / "mine")) == ["Original", "Segmented"]


def test_fetch_downloads_nothing_when_the_folder_is_taken(tmp_path, monkeypatch):
    requests = kagglehub(monkeypatch, tmp_path)
    with pytest.raises(InputError, match="already holds something"):
        fetch(smears(tmp_path / "mine"))
    assert requests == []


class Refused(Exception):
    def __init__(self, status):
        self.response = types.SimpleNamespace(status_code=status)


@pytest.mark.parametrize("error, message", [
    (ConnectionError("no route"), "no connection to Kaggle"), (TimeoutError(), "no connection to Kaggle"), (Refused(401), "make a token"),
    (Refused(403), "make a token"), (type("UnauthenticatedError", (Exception,), {})(), "make a token"), (Refused(404), "no longer has this data set"),
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
    assert DATASET["images"] == sum((f["images"] for f in DATASET["classes"].values())) == 3256 and "hematogones" in DATASET._repr_html_()
