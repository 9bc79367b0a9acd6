"Networks in two parts: where they are cut, and what the parts compute together."
import pytest
import torch

from leuknb.lib.cut import StandardNetwork, StatsNetwork, first_trained, rest_of
from leuknb.lib.errors import InputError
from leuknb.networks import channel_stats, load_network, skeleton


@pytest.mark.parametrize("name, cut", [("densenet121", "features.denseblock4"), ("alexnet", "features.6"), ("mobilenet_v3_small", "features.12")])
def test_last_blocks(name, cut):
    assert first_trained(skeleton(name), "last-block") == cut


def test_a_network_without_a_known_last_block():
    with pytest.raises(InputError, match="its last block is not known"):
        first_trained(skeleton("vit_b_16"), "last-block")


def test_the_rest_is_behind_the_cut():
    model = load_network("alexnet", "random", 4)
    assert rest_of(model, "") is model and rest_of(model, "classifier") is model.classifier
    assert len(rest_of(model, "features.6").features) == 7 and len(model.features) == 13


@pytest.mark.parametrize("unfreeze", ["classifier", "last-block"])
@pytest.mark.parametrize("make", [
    lambda cut: StandardNetwork(load_network("resnet18", "random", 4), cut),
    lambda cut: StatsNetwork(load_network("alexnet", "random", 4), 4, cut),
])
def test_both_parts_compute_what_the_whole_computes(make, unfreeze):
    x, outputs = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)), []
    for cut in ("all", unfreeze):
        torch.manual_seed(0)
        network = make(cut).set_colours([0.5] * 3, [0.25] * 3).eval()
        outputs.append(network(network.prefix(x)).detach())
    assert torch.allclose(*outputs, atol=1e-4) and outputs[0].dtype == torch.float32


def test_statistics_are_those_of_the_layers():
    model = load_network("alexnet", "random", 4)
    network = StatsNetwork(model, 4, "all").set_colours([0.0] * 3, [1.0] * 3).eval()
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    first = channel_stats(model.features[:2](x))
    with torch.no_grad():
        assert torch.allclose(network.statistics(x)[:, :128], first, atol=1e-5)


def test_statistics_have_a_gradient_where_nothing_varies():
    network = StatsNetwork(load_network("alexnet", "random", 4), 4, "all").set_colours([0.0] * 3, [1.0] * 3)
    network(torch.zeros(2, 3, 64, 64)).sum().backward()
    assert all(value.grad.isfinite().all() for value in network.parameters())
