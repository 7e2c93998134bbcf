"""Options that hypotheses on a published number need: each does what it says, against a second implementation."""

import numpy as np
import pytest
import torch
from torch import nn

from shearbench.data.config import SimulatedDataset
from shearbench.data.dataset import Fields, Samples, materialise, rescaled
from shearbench.data.folds import FoldTable
from shearbench.data.normalise import fit
from shearbench.models import build
from shearbench.models.interface import Inputs
from shearbench.training.config import mislabelled, select
from shearbench.training.hardware import Hardware
from shearbench.training.optimiser import Adam
from shearbench.training.recipe import Recipe
from shearbench.training.state import Part

FIELD = np.random.default_rng(0).normal(size=(3, 2, 28, 28)).astype(np.float32)


def test_min_and_max_of_all_inputs_become_0_and_1() -> None:
    made = fit("minmax", FIELD).apply(FIELD)
    assert (made.min(), made.max()) == pytest.approx((0, 1), abs=1e-6)
    np.testing.assert_allclose(made, (FIELD - FIELD.min()) / (FIELD.max() - FIELD.min()), atol=1e-6)
    by_channel = fit("minmax_channel", FIELD).apply(FIELD)
    for channel in (0, 1):
        own = by_channel[:, channel]
        assert (own.min(), own.max()) == pytest.approx((0, 1), abs=1e-6)


@pytest.mark.parametrize(("values", "axes"), [("sample", (1, 2, 3)), ("sample_channel", (2, 3))])
def test_each_sample_is_rescaled_by_itself(values: str, axes: tuple[int, ...]) -> None:
    made = rescaled(FIELD, values)
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made.min(axis=axes), 0)
    np.testing.assert_array_equal(made.max(axis=axes), 1)
    np.testing.assert_array_equal(made[:1], rescaled(FIELD[:1], values))
    assert not rescaled(np.ones((1, 2, 28, 28), np.float32), values).any()


def test_bytes_are_whole_numbers_and_a_cast_wraps_around() -> None:
    field = np.zeros((1, 2, 28, 28), np.float32)
    field[0, 0, 0, :4] = [0.5, -0.01, 1.0, -1.0]
    cast = rescaled(field, "bytes")[0, 0, 0, :4]
    assert cast.tolist() == [127, 254, 255, 1]  # -2.55 -> -2 -> 254; -255 -> 1
    whole = rescaled(FIELD, "sample_bytes")
    np.testing.assert_array_equal(whole, np.round(255 * rescaled(FIELD, "sample")))


@pytest.mark.parametrize(("components", "channels"), [("x", [0]), ("y", [1]), ("swapped", [1, 0]), ("both", [0, 1])])
def test_components_are_chosen_and_counted(components: str, channels: list[int]) -> None:
    entry = SimulatedDataset(source="simulated", load="shear", step=5, normalise="none", components=components)
    ids = np.arange(3)
    samples = Samples("train", ids, np.zeros((3, 28, 28), np.uint8), ids)
    made = materialise(entry, samples, Fields("fields", ids, np.array([5]), FIELD[:, None]))
    np.testing.assert_array_equal(made, FIELD[:, channels])
    assert entry.channels == len(channels)


def _loss(network: nn.Module) -> None:
    inputs = torch.rand(8, 2, 28, 28, generator=torch.Generator().manual_seed(0))
    nn.functional.cross_entropy(network(inputs), torch.arange(8)).backward()


@pytest.mark.parametrize("reference", [torch.optim.Adam, torch.optim.AdamW])
def test_decoupled_decay_is_that_of_adamw_and_epsilon_is_used(reference: type[torch.optim.Optimizer]) -> None:
    decoupled = reference is torch.optim.AdamW
    recipe = Recipe(
        epochs=1,
        batch=2,
        learning_rate=0.01,
        weight_decay=0.1,
        adam_epsilon=1e-2,
        decay="decoupled" if decoupled else "l2",
    )
    ours, theirs = (build("cnn2", inputs=Inputs(2), width=0.1, options={"dropout": 0}, seed=1) for _ in range(2))
    adam = Adam(Hardware().place(ours), recipe)
    other = reference(Hardware().place(theirs).parameters(), lr=0.01, weight_decay=0.1, eps=1e-2, fused=True)
    for _ in range(3):
        adam.zero_grad()
        _loss(ours)
        adam.step(0.01)
        other.zero_grad()
        _loss(theirs)
        other.step()
    for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, two)


def test_glorot_draws_within_its_bound_and_biases_are_0() -> None:
    for architecture in ("cnn2", "cnn3", "resnet18"):
        network = build(architecture, inputs=Inputs(2), width=0.25, options={"init": "glorot"}, seed=0)
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                rows = module.weight[0].numel()
                columns = module.weight.numel() / module.weight.shape[1]
                bound = (6 / (rows + columns)) ** 0.5
                assert 0.5 * bound < module.weight.abs().max() <= bound
                assert module.bias is None or not module.bias.any()


def test_stems_third_channels_and_sizes_of_resnet18() -> None:
    inputs = torch.rand(2, 2, 28, 28)
    shapes = {}
    options = ({}, {"stem": "small"}, {"third_channel": "zeros"}, {"third_channel": "repeat"}, {"resize": 56})
    for option in options:
        network = build("resnet18", inputs=Inputs(2), width=0.125, options=option, seed=0).eval()
        seen: list[tuple[int, ...]] = []
        network.layer1.register_forward_hook(lambda _, __, out, seen=seen: seen.append(tuple(out.shape[2:])))
        assert network(inputs).shape == (2, 10)
        shapes[str(option)] = seen[0]
    assert list(shapes.values()) == [(7, 7), (28, 28), (7, 7), (7, 7), (14, 14)]
    zeros, repeat = (
        build("resnet18", inputs=Inputs(2), width=0.125, options={"third_channel": fill}, seed=0).third_channel
        for fill in ("zeros", "repeat")
    )
    assert not zeros(inputs)[:, 2].any()
    assert torch.equal(repeat(inputs)[:, 2], inputs[:, 0])


def test_batch_normalisation_takes_the_momentum_and_epsilon_of_keras() -> None:
    network = build("resnet18", inputs=Inputs(2), width=0.125, options={"momentum": 0.01, "epsilon": 1e-3}, seed=0)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.momentum, norm.eps) for norm in norms} == {(0.01, 1e-3)}


def test_labels_of_a_share_move_on_and_stay_the_same_set() -> None:
    part = Part(torch.zeros(200, 1, 28, 28), torch.arange(200))
    made = mislabelled(part, 0.15, seed=1)
    assert int((made.labels != part.labels).sum()) == 30
    assert torch.equal(made.labels.sort().values, part.labels)
    assert torch.equal(mislabelled(part, 0.0, seed=1).labels, part.labels)
    assert not torch.equal(mislabelled(part, 0.15, seed=2).labels, made.labels)


def test_trainings_on_one_fold_alone_share_no_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    from shearbench.data import folds as module

    class Asked:
        train_on = "fold"
        train_size = 1.0
        recipe = Recipe(epochs=1, batch=2, learning_rate=0.1, weight_decay=0.0)

    monkeypatch.setattr(module, "HELD_OUT", 5)
    table = FoldTable(np.arange(40), (np.arange(40) % 4)[np.newaxis])
    chosen = [select(table, np.zeros(40, np.int64), fold=fold, config=Asked()) for fold in range(4)]
    assert [len(one.train) for one in chosen] == [10] * 4
    assert len(np.unique(np.concatenate([one.train for one in chosen]))) == 40
    for one, following in zip(chosen, [*chosen[1:], chosen[0]], strict=True):
        assert not np.intersect1d(one.train, one.validation).size
        assert len(one.validation) == 5
        assert np.isin(one.validation, following.train).all()
