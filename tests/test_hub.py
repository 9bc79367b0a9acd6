"Models pushed to a hub and pulled again; the hub's client is replaced by a folder."
import shutil
import sys
from types import SimpleNamespace

import pandas as pd
import pytest

from leuknb.lib import hub
from leuknb.lib.errors import InputError
from leuknb.lib.models import predict
from leuknb.lib.runs import Run


@pytest.fixture
def client(tmp_path, monkeypatch):
    "A client whose hub is a folder; it has the three calls that `hub` makes, with the signatures of the real ones."
    store, calls = tmp_path / "hub", []

    class HfApi:
        def create_repo(self, repo_id, *, private=None, exist_ok=False):
            calls.append((repo_id, private))

        def upload_folder(self, *, repo_id, folder_path):
            shutil.copytree(folder_path, store / repo_id)

    def snapshot_download(repo_id, *, local_dir):
        if not (store / repo_id).exists():
            raise OSError(f"404: {repo_id} not found\nmore")
        shutil.copytree(store / repo_id, local_dir, dirs_exist_ok=True)
    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(HfApi=HfApi, snapshot_download=snapshot_download))
    return SimpleNamespace(store=store, calls=calls)


def test_the_real_client_has_these_calls():
    real = pytest.importorskip("huggingface_hub")
    import inspect
    assert {"repo_id", "folder_path"} <= set(inspect.signature(real.HfApi.upload_folder).parameters)
    assert {"private", "exist_ok"} <= set(inspect.signature(real.HfApi.create_repo).parameters)
    assert "local_dir" in inspect.signature(real.snapshot_download).parameters


def test_pushed_and_pulled_models_predict_the_same(made, client, tmp_path):
    run, _ = made
    assert hub.push(run.path, "me/smears") == "https://huggingface.co/me/smears"
    assert client.calls == [("me/smears", True)]
    pulled = hub.pull("me/smears", tmp_path / "pulled")
    images = run.catalogue["path"].head(4).tolist()
    pd.testing.assert_frame_equal(predict(run, images, progress=False), predict(Run(pulled), images, progress=False))
    assert "not for diagnosis" in (pulled / "README.md").read_text(encoding="utf-8")


def test_no_name_of_an_image_a_patient_or_a_folder_leaves(made, client):
    run, _ = made
    hub.push(run, "me/smears", private=False)
    names = {*run.catalogue["image"], *map(str, run.catalogue["path"]), run.config["data"]["root"], *run.catalogue["sha256"]}
    names |= {group for group in run.catalogue["group"].astype(str) if len(group) > 2}
    for path in (client.store / "me/smears").rglob("*"):
        if path.suffix in (".csv", ".json", ".md"):
            content = path.read_text(encoding="utf-8")
            assert not [name for name in names if name in content], path.name


@pytest.mark.parametrize("repo", ["smears", "a/b/c", "../x", "a/../b", ""])
def test_a_wrong_name(repo, client, tmp_path):
    with pytest.raises(InputError, match="OWNER/NAME"):
        hub.pull(repo, tmp_path / "out")


def test_failures_at_the_other_end_are_one_message_and_leave_nothing(client, tmp_path):
    with pytest.raises(InputError, match="me/nothing: 404: me/nothing not found .*hf auth login") as error:
        hub.pull("me/nothing", tmp_path / "out")
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()


def test_a_repository_without_a_run(client, tmp_path):
    (client.store / "me/other").mkdir(parents=True)
    with pytest.raises(InputError, match="no run of leuknb here"):
        hub.pull("me/other", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_the_client(made, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"pip install 'leuknb\[hub\]'"):
        hub.push(made[0], "me/smears")
