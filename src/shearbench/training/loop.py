"""The training loop: ``fit`` -> ``run_epoch`` -> ``train_step``, and ``evaluate`` -> ``eval_step``.

All samples are on the device, not normalised; each batch is gathered, augmented and normalised there. On CUDA the
training step is recorded and replayed (:mod:`shearbench.training.optimiser`). Between epochs the whole state is
the network, the optimiser and a :class:`Progress`. Every random stream is seeded by its name and the epoch, so an
epoch gives the same bits in any process.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from shearbench.errors import Diverged
from shearbench.seeds import seed_for
from shearbench.training.augmentation import augmentation
from shearbench.training.hardware import Hardware, naming_the_batch, without_denormals
from shearbench.training.optimiser import Adam, GraphedStep, Step
from shearbench.training.recipe import Recipe
from shearbench.training.state import (
    Epoch,
    FitConfig,
    Lag,
    Modes,
    Part,
    Progress,
    Score,
    Splits,
    gradient_norm,
    lags,
    layers_of,
    recalibrated,
    with_batch_statistics,
)

LAG_SAMPLES = 1000
EVALUATION_BATCH = 500  # constant, so that results do not depend on the batch size of a caller


def fit(
    network: nn.Module,
    optimiser: Adam,
    splits: Splits,
    fit_config: FitConfig,
    *,
    start: Progress | None = None,
    on_epoch_end: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Train a network in place until its recipe is completed; with patience, the best weights are restored.

    Args:
        network: on the device of ``fit_config``.
        optimiser: of the network's parameters; network and optimiser have their state after ``start``.
        splits: have ``inner`` if and only if the recipe has patience.
        fit_config: recipe, seed, hardware and normalisation.
        start: the progress to continue from.
        on_epoch_end: called after each epoch; an exception from it ends the training.

    Raises:
        Diverged: if a loss is not finite.
        OutOfMemory: naming the batch size.
    """
    recipe = fit_config.recipe
    assert (splits.inner is None) == (recipe.patience is None), "patience watches an inner part"
    progress, step = start or Progress(), step_of(network, optimiser, fit_config)
    with naming_the_batch(recipe.batch):
        while not progress.is_over(recipe):
            number = len(progress.history) + 1
            with without_denormals():
                train, losses, norms = run_epoch(network, step, splits.train, fit_config, number)
            validation = evaluate(network, splits.validation, fit_config, number) if splits.validation else None
            inner = evaluate(network, splits.inner, fit_config, number) if splits.inner else None
            better = inner is not None and inner.loss < progress.best_loss
            # Cloned, because the next step updates the tensors in place.
            weights = {key: value.clone() for key, value in network.state_dict().items()} if better else None
            behind, modes = diagnose(network, splits, fit_config) if fit_config.diagnose else ((), None)
            epoch = Epoch(number, recipe.rate_at(number - 1), train, validation, inner, norms, behind, modes)
            progress = progress.after(epoch, losses, weights)
            on_epoch_end(progress)
    if progress.best_weights is not None:
        network.load_state_dict(progress.best_weights)
    return progress


def step_of(network: nn.Module, optimiser: Adam, fit_config: FitConfig) -> Step:
    """Return :func:`train_step` for a training, on CUDA as a recorded graph."""
    step = partial(train_step, network, optimiser, fit_config.hardware)
    if fit_config.hardware.device == "cpu":
        return step
    return GraphedStep(step, network, optimiser, size=fit_config.recipe.batch)


def run_epoch(
    network: nn.Module, step: Step, part: Part, fit_config: FitConfig, number: int
) -> tuple[Score, tuple[float, ...], tuple[float, ...]]:
    """Train on every sample once, in a random order or, without ``shuffle``, in that of the data.

    Returns:
        The running mean, the loss of each batch, and with ``diagnose`` the norm of the gradient of each batch.
    """
    network.train()
    augment = augmentation(fit_config.recipe.augment)
    order = _order(len(part.labels), fit_config, number)
    draws = _generator(fit_config, "augment", number)
    results, sizes, norms = [], [], []
    with torch.random.fork_rng(devices=fit_config.hardware.cuda_devices):
        # A seed per epoch, so that a resumed training draws the same numbers as an uninterrupted one.
        torch.manual_seed(seed_for(fit_config.seed, "dropout", number))  # dropout uses the global generator
        chunks = batches(order.to(part.labels.device), fit_config.recipe)
        for done, rows in enumerate(chunks):
            inputs = fit_config.normalise(augment(part.inputs.index_select(0, rows).to(torch.float32), draws))
            rate = fit_config.recipe.rate_at(number - 1 + done / len(chunks))
            results.append(step(inputs, part.labels[rows], rate))
            sizes.append(len(rows))
            if fit_config.diagnose:
                norms.append(gradient_norm(network))
    losses, hits = torch.stack(results).T.tolist()  # the only wait for the device in an epoch
    _check_finite(losses, fit_config.recipe, number)
    # fsum is exact, so the mean does not depend on the order of the batches.
    total = math.fsum(loss * size for loss, size in zip(losses, sizes, strict=True))
    return (
        Score(total / len(order), sum(hits) / len(order)),
        tuple(losses),
        tuple(torch.stack(norms).tolist() if norms else ()),
    )


def train_step(
    network: nn.Module, optimiser: Adam, hardware: Hardware, inputs: Tensor, labels: Tensor, rate: float | Tensor
) -> Tensor:
    """Take one gradient step; return the mean loss and the hits of the batch, (2,), on the device."""
    with hardware.autocast():
        logits = network(inputs)
    loss = functional.cross_entropy(logits.float(), labels)
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step(rate)
    return torch.stack([loss.detach(), (logits.detach().argmax(dim=1) == labels).sum()])


def evaluate(network: nn.Module, part: Part, fit_config: FitConfig, number: int) -> Score:
    """Return loss and accuracy in evaluation mode, in the precision of the training, after epoch ``number``."""
    network.eval()
    results = [
        eval_step(network, fit_config.normalise(inputs), labels, fit_config.hardware)
        for inputs, labels in zip(
            torch.split(part.inputs, EVALUATION_BATCH), torch.split(part.labels, EVALUATION_BATCH), strict=True
        )
    ]
    loss, hits = torch.stack(results).sum(dim=0).tolist()
    if not math.isfinite(loss):
        rate = fit_config.recipe.learning_rate
        raise Diverged(f"the loss is {loss} after epoch {number} (learning rate {rate}); lower recipe.learning_rate")
    return Score(loss / len(part.labels), hits / len(part.labels))


def diagnose(network: nn.Module, splits: Splits, fit_config: FitConfig) -> tuple[tuple[Lag, ...], Modes | None]:
    """Return the lags of the running averages, and the accuracy for each kind of batch-norm statistics.

    Each epoch uses the same ``LAG_SAMPLES`` training samples, and at most as many validation samples.
    """
    if not layers_of(network):
        return (), None
    chunks = _drawn(splits.train, fit_config)
    inputs = (fit_config.normalise(splits.train.inputs[chunk]) for chunk in chunks)
    present = recalibrated(network, inputs, fit_config.hardware)
    return lags(network, present), _modes(
        network, present, splits.validation, fit_config
    ) if splits.validation else None


def _modes(network: nn.Module, present: nn.Module, part: Part, fit_config: FitConfig) -> Modes:
    chunks = _drawn(part, fit_config)
    count = sum(len(chunk) for chunk in chunks)

    def accuracy(model: nn.Module) -> float:
        results = [
            eval_step(model, fit_config.normalise(part.inputs[chunk]), part.labels[chunk], fit_config.hardware)
            for chunk in chunks
        ]
        return float(torch.stack(results).sum(dim=0)[1]) / count

    return Modes(count, accuracy(network.eval()), accuracy(with_batch_statistics(network)), accuracy(present))


def _drawn(part: Part, fit_config: FitConfig) -> list[Tensor]:
    """Return the rows of ``LAG_SAMPLES`` samples in batches; they are the same in every epoch."""
    rows = torch.randperm(len(part.labels), generator=_generator(fit_config, "lag", 0))[:LAG_SAMPLES]
    return batches(rows.to(part.labels.device), fit_config.recipe)


@torch.inference_mode()
def eval_step(network: nn.Module, inputs: Tensor, labels: Tensor, hardware: Hardware) -> Tensor:
    """Return the summed loss and the hits of a batch, float64 (2,), on the device."""
    with hardware.autocast():
        logits = network(inputs)
    loss = functional.cross_entropy(logits.float(), labels, reduction="sum")
    return torch.stack([loss.double(), (logits.argmax(dim=1) == labels).sum().double()])


def batches(order: Tensor, recipe: Recipe) -> list[Tensor]:
    """Split rows into batches. A last batch below half the size is joined to the one before, if the recipe says so.

    Batch normalisation uses the statistics of the batch: with a last batch of two samples, ResNet-18 lost 9 percentage
    points of training accuracy (docs/findings.md). A single row is always joined, because BatchNorm rejects it.
    """
    chunks = list(torch.split(order, recipe.batch))
    least = 2 if recipe.last_batch == "kept" else max(2, recipe.batch / 2)
    if len(chunks) > 1 and len(chunks[-1]) < least:
        chunks[-2:] = [torch.cat(chunks[-2:])]
    return chunks


def _order(count: int, fit_config: FitConfig, number: int) -> Tensor:
    """Return the order of the samples in an epoch, (count,), on the CPU."""
    if not fit_config.recipe.shuffle:
        return torch.arange(count)
    return torch.randperm(count, generator=_generator(fit_config, "order", number))


def _generator(fit_config: FitConfig, stream: str, number: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed_for(fit_config.seed, stream, number))


def _check_finite(losses: list[float], recipe: Recipe, number: int) -> None:
    for batch, loss in enumerate(losses, start=1):
        if not math.isfinite(loss):
            raise Diverged(
                f"the loss is {loss} in epoch {number}, batch {batch} (learning rate {recipe.learning_rate}); "
                "lower recipe.learning_rate"
            )
