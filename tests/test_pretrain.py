"Pretraining: targets against an independent count, continuation, export, refusals."
import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from leuknb import pretrain
from leuknb.backbones import Backbone
from leuknb.lib.errors import InputError
from leuknb.lib.laboratories import draw_set
from leuknb.lib.training import learning_rate, steps_done
from leuknb.lib.weights import WeightFile
from leuknb.networks import load_into

SMALL = pretrain.Recipe(laboratories=3, steps=4, batch=2, crops=2, pixels=64, narrow=32, wide=64, warmup=1)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    torch.set_num_threads(1)
    return draw_set(tmp_path_factory.mktemp("set"), 3, progress=False)


def test_views_depend_on_the_step_alone(tiny):
    targets = pretrain.Targets(tiny[1])
    one, same, other = (pretrain.views(step, *tiny, targets, SMALL) for step in (0, 0, 1))
    assert all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(one, same))
    assert not torch.equal(one[0], other[0])
    assert torch.equal(one[2].bincount(), torch.full((8,), 2))


def test_measured_against_a_count():
    image, kinds = torch.full((1, 3, 8, 8), 0.25), torch.zeros(1, 8, 8)
    kinds[:, :4] = 2
    image[:, 0, :4] = 0.75
    plasma, cytoplasm, nucleus = pretrain.measure_crops(image, kinds)[0].split(5)
    assert torch.allclose(nucleus[:3], torch.tensor([1.0, -1.0, -1.0]))
    assert torch.allclose(plasma[:3], torch.tensor([-1.0, -1.0, -1.0]))
    assert cytoplasm[:4].isnan().all() and torch.isclose(nucleus[4], torch.tensor((0.5**0.5 - 0.4) / 0.25))


def test_contrastive_against_a_loop():
    z, who = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 0, 0, 1, 1, 1])
    unit, total = z / z.norm(dim=1, keepdim=True), 0.0
    for i in range(6):
        chance = torch.stack([(unit[i] @ unit[j] / 0.1).exp() for j in range(6) if j != i]).sum().log()
        total += sum(chance - unit[i] @ unit[j] / 0.1 for j in range(6) if j != i and who[j] == who[i]) / 2
    assert torch.isclose(pretrain.contrastive(z, who)[0], total / 6, atol=1e-4)


def test_the_imitation_of_segmented_images_leaves_black():
    images, kinds = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)), torch.zeros(4, 16, 16)
    kinds[:, :8] = 2
    for seed in range(8):
        assert (pretrain.imitate_segmentation(np.random.default_rng(seed), images, kinds) == 0).all(1).any()


def test_a_kill_continues(tiny, tmp_path, monkeypatch):
    whole = pretrain.Pretext()
    history, _ = pretrain.train(whole, *tiny, SMALL, progress=False)
    real = pretrain.StepLog.on_batch_end

    def killed(self, net, **kwargs):
        if steps_done(net) == 4:
            raise KeyboardInterrupt
        real(self, net, **kwargs)

    monkeypatch.setattr(pretrain.StepLog, "on_batch_end", killed)
    with pytest.raises(KeyboardInterrupt):
        pretrain.train(pretrain.Pretext(), *tiny, SMALL, tmp_path / "c.pt", every=2, progress=False)
    monkeypatch.undo()
    after = pretrain.Pretext()
    assert pretrain.train(after, *tiny, SMALL, tmp_path / "c.pt", progress=False)[0] == history
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), after.state_dict().values()))
    with pytest.raises(InputError, match="other settings"):
        pretrain.train(pretrain.Pretext(), *tiny, replace(SMALL, rate=0.5), tmp_path / "c.pt", progress=False)


def test_export_fits_torchvision(tmp_path):
    from torchvision.models import alexnet

    network, path = pretrain.Pretext(), tmp_path / "alexnet.safetensors"
    about = pretrain.export(network, path, SMALL, 0)
    file, plain = WeightFile(path), alexnet(weights=None)
    load_into(plain, file, "alexnet", skip=tuple(k for k in plain.state_dict() if k.startswith("classifier")))
    assert torch.equal(plain.features[0].weight, network.features[0].weight.half().float())
    assert path.stat().st_size < 6_000_000 and about["layer"] == file.metadata["layer"] == "stats"
    assert set(file.shapes) == {k for k in plain.state_dict() if k.startswith("features")}
    assert Backbone("alexnet", weights=path, progress=False).fit().weights_digest_ == about["digest"] == file.metadata["digest"]


@pytest.mark.parametrize("change, message", [
    ("crops=1", "crops=1: give a whole number of at least 2"), ("pixels=16", "of at least 64"), ("seed=-1", "of at least 0"),
    ("temperature=0", "of at least 0.001"), ("rate=1e12", "of at least 1e-09 and at most 10"), ("narrow=90", "narrow=90 is more than wide=84"),
    ("segmented=nan", "of at least 0 and at most 1"), ("batch=2000", "there are only 1000"),
])
def test_settings_without_a_meaning(change, message, tmp_path):
    with pytest.raises(InputError, match=message):
        pretrain.changed([change])
    name, _, value = change.partition("=")
    with pytest.raises(InputError, match=message):
        pretrain.pretrain(tmp_path / "x", recipe=replace(pretrain.Recipe(), **{name: type(getattr(pretrain.Recipe(), name))(float(value))}))
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("change", ["steps=abc", "steps", "rate=", "steps=1.5", "rate=1,5"])
def test_settings_that_are_no_numbers(change):
    with pytest.raises(InputError) as refused:
        pretrain.changed(["batch=64", change])
    assert str(refused.value) == f"{change if '=' in change else change + '='}: a setting of the recipe is a number, such as steps=2000"


def test_no_warmup(tiny):
    assert pretrain.train(pretrain.Pretext(), *tiny, replace(SMALL, warmup=0, steps=1), progress=False)[0][0]["step"] == 0


def test_a_loss_that_is_no_number(tiny):
    network = pretrain.Pretext()
    torch.nn.init.constant_(network.features[0].weight, torch.nan)
    with pytest.raises(InputError, match="with a rate below 0.001"):
        pretrain.train(network, *tiny, SMALL, progress=False)


def test_folders_and_files_that_are_something_else(tiny, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="name a folder"):
        pretrain.pretrain(tmp_path / "file" / "below")
    with pytest.raises(InputError, match="start needs the checkpoint.pt"):
        pretrain.pretrain(tmp_path / "x", start=tmp_path / "file")
    with pytest.raises(InputError, match="every=0"):
        pretrain.pretrain(tmp_path / "x", every=0)
    pretrain.train(pretrain.Pretext("vgg11"), *tiny, replace(SMALL, steps=1), tmp_path / "vgg.pt", progress=False)
    with pytest.raises(InputError, match="another network than alexnet"):
        pretrain.pretrain(tmp_path / "x", start=tmp_path / "vgg.pt")
    with pytest.raises(InputError, match="other settings"):
        pretrain.train(pretrain.Pretext(), *tiny, replace(SMALL, steps=1), tmp_path / "vgg.pt", progress=False)
    (tmp_path / "vgg.pt").write_bytes((tmp_path / "vgg.pt").read_bytes()[:500])
    with pytest.raises(InputError, match="remove it to begin anew"):
        pretrain.train(pretrain.Pretext("vgg11"), *tiny, SMALL, tmp_path / "vgg.pt", progress=False)
    assert not (tmp_path / "x").exists()


def test_the_card_says_what_it_began_with(tiny, tmp_path):
    pretrain.train(pretrain.Pretext(), *tiny, replace(SMALL, steps=1), tmp_path / "first.pt", progress=False)
    path = pretrain.pretrain(tmp_path / "run", recipe=replace(SMALL, steps=1), start=tmp_path / "first.pt", progress=False)
    about = json.loads(path.with_suffix(".json").read_text())
    assert about["start"].startswith("first.pt ") and about["duration"].startswith("1 steps in") and about["linear_layer_scale"] == round(2 / 48, 6)
    with pytest.raises(InputError, match="other settings"):
        pretrain.pretrain(tmp_path / "run", recipe=replace(SMALL, steps=1), progress=False)


def test_the_bundled_card_is_what_was_measured():
    root = Path(__file__).resolve().parent.parent
    tool = runpy.run_path(str(root / "tools/card.py"))
    synth, random = tool["measured"]("synth"), tool["measured"]("random")
    rows = [tool["row"](cell, numbers, random.get(cell)) for cell, numbers in synth.items()]
    assert rows and pretrain.card()["transfer"] == json.loads(json.dumps(rows)), "run tools/card.py"


@pytest.mark.parametrize("ending", ["safetensors", "json"])
def test_files_of_others_are_left_alone(tmp_path, ending):
    (tmp_path / f"alexnet.{ending}").write_text("mine")
    with pytest.raises(InputError, match="name another folder"):
        pretrain.pretrain(tmp_path, recipe=SMALL, progress=False)
    assert [p.name for p in tmp_path.iterdir()] == [f"alexnet.{ending}"] and (tmp_path / f"alexnet.{ending}").read_text() == "mine"


def test_refusals(tmp_path):
    with pytest.raises(InputError, match="choose from alexnet, vgg19"):
        pretrain.pretrain(tmp_path / "x", "resnet18")
    with pytest.raises(InputError, match="no weights are bundled"):
        pretrain.card("alexnet", tmp_path)
    assert not (tmp_path / "x").exists()


def test_other_settings_are_refused_before_anything_is_drawn(tmp_path):
    pretrain.pretrain(tmp_path, recipe=SMALL, progress=False)
    before = sorted((tmp_path / "set").iterdir())
    with pytest.raises(InputError, match="made with other settings"):
        pretrain.pretrain(tmp_path, recipe=replace(SMALL, laboratories=4), progress=False)
    assert sorted((tmp_path / "set").iterdir()) == before


def test_the_schedule_is_that_of_the_bundled_weights():
    """A share of the rate that differs by a rounding error must not change float32 weights."""
    recipe = replace(SMALL, steps=1500, warmup=100)
    for step in range(0, 1500, 7):
        expected = recipe.rate * min(1, (step + 1) / 100) * 0.5 * (1 + np.cos(np.pi * step / 1500))
        assert np.float32(recipe.rate * learning_rate(step + 1, 100, 1500, ends_at_zero=False)) == np.float32(expected)


def test_a_step_between_checkpoints_may_be_of_any_number(tiny, tmp_path):
    states = []
    for every in (1, 3, 100):
        network = pretrain.Pretext()
        pretrain.train(network, *tiny, SMALL, tmp_path / f"{every}.pt", every, progress=False)
        states.append(network.state_dict())
    assert all(torch.equal(a, b) for other in states[1:] for a, b in zip(states[0].values(), other.values()))


def test_global_generator_is_left_alone(tiny):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    pretrain.train(pretrain.Pretext(), *tiny, replace(SMALL, steps=1), progress=False)
    assert torch.equal(before, torch.get_rng_state())
