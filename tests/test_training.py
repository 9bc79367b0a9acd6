"The training loop: rates, optimisers, checkpoints, continuation."
import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from leuknb.lib.batches import Batches
from leuknb.lib.errors import InputError
from leuknb.lib.training import (
    Accuracy, BestEpoch, Checkpoint, FiniteLoss, Reseed, Schedule, TrainingNet, finished, learning_rate, make_optimizer, read_checkpoint,
    read_or_restart, run_epochs, steps_done, write_checkpoint,
)


def test_rates():
    assert learning_rate(1, 10, 100) == pytest.approx(0.1, rel=0.01) and learning_rate(100, 10, 100) == pytest.approx(0, abs=1e-9)
    assert learning_rate(50, 10, 100, "constant") == 1 == learning_rate(1, 0, 1)
    assert learning_rate(1, 0, 1, ends_at_zero=False) == 1 and learning_rate(1, 100, 1, ends_at_zero=False) == 0.01
    assert learning_rate(1, 0, 4, ends_at_zero=False) == 1 and learning_rate(3, 0, 4, ends_at_zero=False) == pytest.approx(0.5)


def test_groups_keep_their_rates():
    a, b = (nn.Parameter(torch.ones(1)) for _ in range(2))
    optimizer = make_optimizer([{"params": [a], "lr": 0.5}, {"params": []}, {"params": [b], "weight_decay": 0.0}], 0.1, weight_decay=0.3)
    assert [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups] == [(0.5, 0.3), (0.1, 0.0)]
    assert make_optimizer([{"params": [a]}], 0.1, "sgd").param_groups[0]["momentum"] == 0.9


class Killed(BaseException):
    "Stands for a process that is killed."


class Kill(Callback):
    "Kills in an epoch."

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise Killed


def logistic(path=None, more=(), lr=0.1, patience=None, epochs=5):
    "A small training with dropout: the net and its best epoch."
    points, codes = torch.randn(40, 2, generator=torch.Generator().manual_seed(0)), (torch.arange(40) % 2).long()
    torch.manual_seed(0)
    best = BestEpoch(patience)
    checkpoint, batches = Checkpoint(path, best=best), Batches(points, range(40), codes, 10, seed=0)
    callbacks = [Reseed(epoch=lambda epoch: epoch), Schedule(lambda step: learning_rate(step, 2, 4 * epochs)), FiniteLoss("take less"), Accuracy(),
                 best, checkpoint, *more]
    net = TrainingNet(nn.Sequential(nn.Dropout(0.3), nn.Linear(2, 2)), nn.CrossEntropyLoss,
                      lambda module: make_optimizer([{"params": list(module.parameters())}], lr), train_split=None, callbacks=callbacks).initialize()
    read_or_restart(net, checkpoint)
    run_epochs(net, batches, epochs - len(finished(net)), best, checkpoint)
    return net, best


def test_a_killed_run_continues_to_the_same_end(tmp_path):
    whole, _ = logistic()
    with pytest.raises(Killed):
        logistic(tmp_path / "c.pt", [Kill(3)])
    continued, best = logistic(tmp_path / "c.pt")
    assert torch.equal(whole.module_[1].weight, continued.module_[1].weight) and steps_done(continued) == 20
    rows = [[{key: value for key, value in row.items() if key != "dur"} for row in finished(net)] for net in (whole, continued)]
    assert rows[0] == rows[1] and [row["lr"] for row in rows[0]] == pytest.approx([0.1 * learning_rate(4 * k, 2, 20) for k in range(1, 6)])
    assert best.kept["epoch"] == 5  # without validation, the last


def test_a_finished_checkpoint_holds_the_best_epoch_alone(tmp_path):
    logistic(tmp_path / "c.pt")
    rows, best, state, optimizer = read_checkpoint(tmp_path / "c.pt", "rows", "best", "state", "optimizer")
    assert len(rows) == 5 and best["epoch"] == 5 and state is None and optimizer is None
    net, best = logistic(tmp_path / "c.pt")
    assert len(finished(net)) == 5 and best.kept["epoch"] == 5


class Spoil(Callback):
    "Makes weights in the second epoch that are no numbers."

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 2:
            torch.nn.init.constant_(net.module_[1].weight, torch.nan)


def test_a_loss_that_is_no_number_ends_the_training():
    with pytest.raises(InputError, match="the loss is nan in step 5; take less"):
        logistic(more=[Spoil()])


def test_checkpoints_of_something_else(tmp_path):
    write_checkpoint(tmp_path / "c.pt", about={"lr": 1}, rows=[])
    assert read_checkpoint(tmp_path / "c.pt", "rows", about={"lr": 1}) == [[]]
    with pytest.raises(InputError, match="other settings"):
        read_checkpoint(tmp_path / "c.pt", "rows", about={"lr": 2})
    with pytest.raises(InputError, match="remove it to begin anew"):
        read_checkpoint(tmp_path / "c.pt", "state")
    (tmp_path / "c.pt").write_text("x")
    with pytest.raises(InputError, match="say so"):
        read_checkpoint(tmp_path / "c.pt", advice="say so")


def test_a_damaged_checkpoint_is_begun_anew(tmp_path):
    (tmp_path / "c.pt").write_text("x")
    with pytest.warns(RuntimeWarning, match="training begins anew"):
        net, _ = logistic(tmp_path / "c.pt")
    assert torch.equal(net.module_[1].weight, logistic()[0].module_[1].weight)


def test_randomness_of_a_step_depends_on_its_number_alone():
    class Draw(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.drawn = nn.Parameter(torch.zeros(1)), []

        def forward(self, x):
            self.drawn.append(torch.rand(1).item())
            return self.weight * x[:, 0]
    batches = Batches(torch.zeros(6, 1), range(6), torch.zeros(6), 2)
    net = TrainingNet(Draw(), nn.MSELoss, lambda module: make_optimizer([{"params": list(module.parameters())}], 0.1), train_split=None,
                      callbacks=[Reseed(step=lambda step: step), Schedule(lambda step: 1.0)]).initialize()
    run_epochs(net, batches, 2)
    expected = [torch.rand(1, generator=torch.Generator().manual_seed(step)).item() for step in range(6)]
    assert np.allclose(net.module_.drawn, expected)
