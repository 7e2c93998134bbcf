"""The loop against closed forms and hand-made sequences."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from shearbench.data.dataset import Dataset
from shearbench.errors import InputError
from shearbench.training import loop
from shearbench.training.config import Selection, TrainingConfig, TrainingState, assemble
from shearbench.training.hardware import Hardware
from shearbench.training.loop import batches, evaluate, fit, run_epoch, step_of, train_step
from shearbench.training.optimiser import Adam
from shearbench.training.recipe import Recipe
from shearbench.training.state import Epoch, FitConfig, Part, Progress, Score, Splits

Make = Callable[..., TrainingConfig]
ROWS = Selection(np.arange(120), np.arange(120, 180), np.arange(180, 240))
WITHOUT_INNER = Selection(ROWS.train, ROWS.validation)


def _trained(
    config: TrainingConfig, dataset: Dataset, rows: Selection = WITHOUT_INNER
) -> tuple[TrainingState, Progress]:
    training_state = assemble(config, dataset, rows, seed=5)
    return training_state, fit(
        training_state.network, training_state.optimiser, training_state.splits, training_state.fit_config
    )


def _weights(network: nn.Module) -> Tensor:
    return torch.cat([value.double().flatten() for value in network.state_dict().values()])


def _recipe(**changes: Any) -> Recipe:
    return Recipe.model_validate(
        {"epochs": 5, "batch": 20, "learning_rate": 0.01, "weight_decay": 0.0, "patience": None, **changes}
    )


def _setting(**changes: Any) -> FitConfig:
    return FitConfig(_recipe(**changes), seed=1, hardware=Hardware(), mean=torch.zeros(1), scale=torch.ones(1))


def test_the_first_step_is_adams_in_closed_form() -> None:
    """After one step Adam's corrected moments are g and g^2: w <- w - rate g / (|g| + 1e-8), with g including decay."""
    network = nn.Linear(3, 10).double()
    before = network.weight.detach().clone()
    inputs, labels = torch.randn(4, 3, generator=torch.Generator().manual_seed(1)).double(), torch.arange(4)
    recipe = _recipe(learning_rate=0.1, weight_decay=0.5)
    probabilities = network(inputs).softmax(dim=1).detach()
    error = probabilities - nn.functional.one_hot(labels, 10)  # d cross-entropy / d logits
    gradient = error.T @ inputs / 4 + 0.5 * before
    loss, hits = train_step(network, Adam(network, recipe), Hardware(), inputs, labels, 0.1)
    torch.testing.assert_close(
        network.weight.detach(), before - 0.1 * gradient / (gradient.abs() + 1e-8), rtol=1e-5, atol=1e-6
    )
    assert loss.item() == pytest.approx(-probabilities[range(4), range(4)].log().mean().item(), rel=1e-6)
    assert hits.item() == (probabilities.argmax(dim=1) == labels).sum().item()


class _Recorder(nn.Module):
    """Remembers the samples it has seen: sample i is an image of value i."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 10)
        self.seen: list[list[int]] = []

    def forward(self, inputs: Tensor) -> Tensor:
        values = inputs[:, 0, 0, 0]
        self.seen.append(values.int().tolist())
        return self.head(values[:, None] / 100)


def test_an_epoch_visits_every_sample_once_in_an_order_of_its_own() -> None:
    network = _Recorder()
    part = Part(torch.arange(50).expand(1, 1, 1, 50).movedim(-1, 0).float(), torch.arange(50) % 10)
    fit_config = _setting()
    step = step_of(network, Adam(network, _recipe()), fit_config)
    for number in (1, 2, 1):
        run_epoch(network, step, part, fit_config, number)
    orders = [[sample for batch in network.seen[start : start + 3] for sample in batch] for start in (0, 3, 6)]
    assert [len(batch) for batch in network.seen] == [20, 20, 10] * 3
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(50))
    assert orders[0] != orders[1]
    assert orders[0] == orders[2]


def test_the_training_loss_is_the_mean_over_samples(dataset: Dataset, make_config: Make) -> None:
    training_state = assemble(make_config(batch=45), dataset, WITHOUT_INNER, seed=5)  # batches of 45, 45, 30
    step = step_of(training_state.network, training_state.optimiser, training_state.fit_config)
    score, losses, _ = run_epoch(
        training_state.network, step, training_state.splits.train, training_state.fit_config, 1
    )
    assert score.loss == pytest.approx((45 * losses[0] + 45 * losses[1] + 30 * losses[2]) / 120, rel=1e-12)


@pytest.mark.parametrize(
    ("count", "size", "joined", "kept"),
    [
        (6, 3, [3, 3], [3, 3]),
        (7, 3, [3, 4], [3, 4]),  # BatchNorm refuses a batch of one
        (5, 2, [2, 3], [2, 3]),
        (8, 3, [3, 3, 2], [3, 3, 2]),
        (10, 4, [4, 4, 2], [4, 4, 2]),  # just half the size
        (11, 5, [5, 6], [5, 6]),
        (12, 5, [5, 7], [5, 5, 2]),
        (5, 8, [5], [5]),
        (1, 3, [1], [1]),
        (3202, 32, [32] * 99 + [34], [32] * 100 + [2]),  # fold 0 of the default run
    ],
)
def test_a_small_last_batch_joins_the_one_before(count: int, size: int, joined: list[int], kept: list[int]) -> None:
    for last_batch, expected in (("joined", joined), ("kept", kept)):
        split = batches(torch.arange(count), _recipe(batch=size, last_batch=last_batch))
        assert [len(chunk) for chunk in split] == expected
        assert torch.cat(split).tolist() == list(range(count))


def test_evaluation_is_cross_entropy_and_accuracy_worked_out_by_hand() -> None:
    logits = torch.tensor([[0.0] * 10, [math.log(9.0)] + [0.0] * 9])  # probabilities 1/10; and 1/2 for class 0
    network = nn.Flatten()
    score = evaluate(network, Part(logits[:, :, None, None], torch.tensor([3, 0])), _setting(), 1)
    assert score.loss == pytest.approx((math.log(10) + math.log(2)) / 2, rel=1e-6)
    assert score.accuracy == 0.5


def test_training_knows_no_denormal_numbers_and_leaves_them_to_others(part: Part) -> None:
    def denormals_are_zero() -> bool:
        return not bool(torch.full((1,), 1e-40) * 1 > 0)

    class Watched(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            seen.append((self.training, denormals_are_zero()))
            return super().forward(x.flatten(1))

    seen: list[tuple[bool, bool]] = []
    network, fit_config = Watched(part.inputs[0].numel(), 10), _setting(epochs=1)
    fit(network, Adam(network, fit_config.recipe), Splits(part, part), fit_config)
    assert set(seen) == {(True, True), (False, False)}
    assert not denormals_are_zero()


def test_patterns_are_learned(dataset: Dataset, make_config: Make) -> None:
    _, progress = _trained(make_config(width=0.5, learning_rate=1e-3, epochs=10), dataset)
    last = progress.history[-1]
    assert last.validation is not None
    assert last.validation.accuracy > 0.95
    assert last.train.loss < progress.history[0].train.loss / 2


@pytest.mark.parametrize("architecture", ["mlp", "cnn2"])
def test_bf16_trains_to_the_same_loss_within_its_rounding(
    dataset: Dataset, make_config: Make, architecture: str
) -> None:
    width = 0.2
    losses = [
        _trained(make_config(architecture=architecture, width=width, precision=precision, epochs=2), dataset)[1]
        .history[-1]
        .train.loss
        for precision in ("fp32", "bf16")
    ]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_the_same_seed_gives_the_same_bits_whatever_the_global_state(dataset: Dataset, make_config: Make) -> None:
    config = make_config(augment="affine")
    first, _ = _trained(config, dataset)
    torch.rand(3)
    before = torch.get_rng_state()
    second, _ = _trained(config, dataset)
    other = assemble(config, dataset, WITHOUT_INNER, seed=6)
    assert torch.equal(_weights(first.network), _weights(second.network))
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(_weights(other.network), _weights(assemble(config, dataset, ROWS, seed=5).network))


def test_validation_decides_nothing(dataset: Dataset, make_config: Make) -> None:
    config = make_config(patience=1, epochs=6)
    with_it, progress = _trained(config, dataset, ROWS)
    shuffled = Selection(ROWS.train, np.arange(100), ROWS.inner)
    without, other = _trained(config, dataset, shuffled)
    assert progress.history[0].validation != other.history[0].validation
    assert torch.equal(_weights(with_it.network), _weights(without.network))


def _scripted(inner_losses: list[float], monkeypatch: pytest.MonkeyPatch) -> Splits:
    """Make the losses of the inner part a given sequence, and the only weight of the network the epoch's number."""

    def run(network: nn.Module, *rest: Any) -> tuple[Score, tuple[float, ...], tuple[float, ...]]:
        network.load_state_dict({"weight": torch.full((1, 1), float(rest[-1]))})
        return Score(1.0, 0.5), (1.0,), ()

    monkeypatch.setattr(loop, "run_epoch", run)
    monkeypatch.setattr(
        loop, "evaluate", lambda network, part, fit_config, number: Score(inner_losses[number - 1], 0.5)
    )
    part = Part(torch.zeros(1, 1), torch.zeros(1, dtype=torch.long))
    return Splits(part, part, part)


@pytest.mark.parametrize(
    ("losses", "patience", "epochs", "best"),
    [
        ([5, 4, 3, 2, 1], 2, 5, 5),  # better to the end
        ([3, 2, 4, 4, 1], 2, 4, 2),  # two worse ones end it before the best
        ([3, 2, 4, 1, 4], 2, 5, 4),  # one worse one does not
        ([3, 3, 3, 3, 3], 3, 4, 1),  # equal is not better
        ([3, 2, 4, 1, 4], 1, 3, 2),
    ],
)
def test_patience_keeps_the_weights_of_the_best_epoch(
    losses: list[float], patience: int, epochs: int, best: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = nn.Linear(1, 1, bias=False)
    splits, fit_config = _scripted(losses, monkeypatch), _setting(patience=patience)
    progress = fit(network, Adam(network, fit_config.recipe), splits, fit_config)
    assert len(progress.history) == epochs
    assert progress.chosen_epoch == best
    assert network.weight.item() == best


def test_without_patience_all_epochs_run_and_the_last_weights_stay(dataset: Dataset, make_config: Make) -> None:
    ended = []

    def on_epoch_end(progress: Progress) -> None:
        ended.append(len(progress.history))

    training_state = assemble(make_config(epochs=3), dataset, WITHOUT_INNER, seed=5)
    progress = fit(
        training_state.network,
        training_state.optimiser,
        training_state.splits,
        training_state.fit_config,
        on_epoch_end=on_epoch_end,
    )
    assert ended == [1, 2, 3]
    assert progress.chosen_epoch == 3
    assert all(epoch.inner is None for epoch in progress.history)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_names_epoch_batch_and_learning_rate(
    value: float, dataset: Dataset, make_config: Make
) -> None:
    training_state = assemble(make_config(), dataset, WITHOUT_INNER, seed=5)
    batch = []

    def spoil(module: nn.Module, inputs: Any, logits: Tensor) -> Tensor:
        batch.append(len(logits))
        return logits * value if len(batch) == 6 + 3 + 2 else logits  # 6 batches, 3 evaluations at most an epoch

    training_state.network.register_forward_hook(spoil)
    with pytest.raises(InputError, match=r"the loss is (nan|inf) in epoch 2, batch \d \(learning rate 0.01\)"):
        fit(training_state.network, training_state.optimiser, training_state.splits, training_state.fit_config)


def test_weights_that_break_in_the_last_step_are_found_by_evaluation(part: Part) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    nn.init.constant_(network[1].weight, math.nan)
    with pytest.raises(InputError, match=r"the loss is nan after epoch 7 \(learning rate 0.01\)"):
        evaluate(network, part, _setting(), 7)


def test_running_out_of_memory_names_the_batch(dataset: Dataset, make_config: Make) -> None:
    training_state = assemble(make_config(batch=30), dataset, WITHOUT_INNER, seed=5)
    training_state.network.register_forward_hook(lambda *_: torch.empty(2**60))
    with pytest.raises(InputError, match="out of memory with batches of 30"):
        fit(training_state.network, training_state.optimiser, training_state.splits, training_state.fit_config)


def test_another_error_passes_as_it_is(dataset: Dataset, make_config: Make) -> None:
    training_state = assemble(make_config(), dataset, WITHOUT_INNER, seed=5)
    training_state.network.register_forward_hook(lambda *_: torch.zeros(1) + torch.zeros(2, 3, 4) @ torch.zeros(3, 3))
    with pytest.raises(RuntimeError, match=r"batch2|shape") as caught:
        fit(training_state.network, training_state.optimiser, training_state.splits, training_state.fit_config)
    assert not isinstance(caught.value, InputError)


def test_progress_is_over_after_all_epochs_or_patience() -> None:
    def after(inner: list[float]) -> Progress:
        progress = Progress()
        for number, loss in enumerate(inner, start=1):
            best = {"w": torch.zeros(1)} if loss < progress.best_loss else None
            progress = progress.after(Epoch(number, 0.1, Score(1, 0), None, Score(loss, 0)), (1.0,), best)
        return progress

    assert not Progress().is_over(_recipe(patience=1))
    assert not after([3.0]).is_over(_recipe(patience=1))
    assert after([3.0, 4.0]).is_over(_recipe(patience=1))
    assert not after([3.0, 4.0]).is_over(_recipe(patience=2))
    assert after([5.0, 4.0, 3.0, 2.0, 1.0]).is_over(_recipe(patience=2))


def test_the_learning_rate_stays_or_falls_along_half_a_cosine() -> None:
    constant, cosine = _recipe(learning_rate=0.2, epochs=4), _recipe(learning_rate=0.2, epochs=4, schedule="cosine")
    assert [constant.rate_at(done) for done in (0, 2.5, 4)] == [0.2, 0.2, 0.2]
    expected = [0.2, 0.1 * (1 + math.sqrt(0.5)), 0.1, 0.1 * (1 - math.sqrt(0.5)), 0.0]
    assert [cosine.rate_at(done) for done in range(5)] == pytest.approx(expected)


def test_every_step_takes_the_rate_of_its_place_in_the_schedule(
    dataset: Dataset, make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = []
    monkeypatch.setattr(loop.Adam, "step", lambda self, rate: rates.append(rate))
    config = make_config(epochs=2, batch=30, schedule="cosine")  # 4 batches an epoch
    _, progress = _trained(config, dataset)
    assert rates == [config.recipe.rate_at(step / 4) for step in range(8)]
    assert [epoch.learning_rate for epoch in progress.history] == [rates[0], rates[4]]
