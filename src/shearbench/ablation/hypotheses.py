"""Hypotheses on the origin of published numbers: their predictions, and the rules that judge their trainings.

A hypothesis is declared in ``params.yaml`` before any training. Each of its trainings has a training set of its own, so
their results are independent and plain intervals hold. Three published numbers are tested one at a time:

- *level*: the 95 % interval (Student's t) of the mean test accuracy overlaps the published mean ± its tolerance;
- *spread*: the F test of equal variances does not reject, at 5 %, that the published standard deviation and ours agree;
- *training loss*: the 95 % interval (Student's t) of the mean loss of the last epoch overlaps the range from the
  published loss divided by its factor to the published loss times the factor.

In addition, the *control*, the shallow model on the same inputs, must reach its least accuracy.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field

from shearbench.strict import Strict

Bounds = Annotated[tuple[float, float], Field(strict=False)]


class Observed(Strict):
    """Published numbers, accuracies as fractions, with the tolerance for intended differences of the ablation."""

    level: float
    level_tolerance: Annotated[float, Field(ge=0)]
    spread: Annotated[float, Field(gt=0)]
    folds: Annotated[int, Field(ge=2)]
    """Number of trainings behind the published spread."""
    train_loss: Annotated[float, Field(gt=0)]
    train_loss_factor: Annotated[float, Field(ge=1)]
    control: float
    """The least accuracy of the shallow model."""


class Predicted(Strict):
    """Ranges, both ends included, that a hypothesis predicts; accuracies as fractions."""

    level: Bounds
    """Mean test accuracy over the trainings, as trained."""
    spread: Bounds
    """Standard deviation of the test accuracy over the trainings."""
    train_loss: Bounds
    """Training loss of the last epoch: the running mean, in training mode."""
    control: Bounds | None = None
    """Mean test accuracy of the shallow model."""


class Hypothesis(Strict):
    """One way in which the published numbers may have come about."""

    because: str
    dataset: str
    model: str
    control: str | None = None
    """The shallow model, trained on the same dataset in the same way."""
    predicts: Predicted
    statistics: Literal["as_trained", "batch_statistics", "recalibrated"] = "as_trained"
    """Batch-norm statistics for the test samples."""
    same_as: str | None = None
    """Another hypothesis that gives the same numbers by construction; this one is then not trained."""


def runs_of(hypotheses: Iterable[Hypothesis]) -> list[tuple[str, str]]:
    """Return the unique (dataset, model) that hypotheses need, in their order: each model, then its control."""
    needed = [one for one in hypotheses if not one.same_as]
    return list(dict.fromkeys((one.dataset, model) for one in needed for model in (one.model, one.control) if model))


def hypothesis_faults(
    hypotheses: Mapping[str, Hypothesis], observed: Observed | None, datasets: Collection[str], models: Collection[str]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the faults of the hypotheses of an ablation as (key within it, rule)."""
    if hypotheses and observed is None:
        yield ("observed",), "is missing: hypotheses are judged by it"
    for name, one in hypotheses.items():
        key = ("hypotheses", name)
        if one.dataset not in datasets:
            yield (*key, "dataset"), f"must be one of its datasets; got {one.dataset!r}"
        for field, model in (("model", one.model), ("control", one.control)):
            if model is not None and model not in models:
                yield (*key, field), f"must be one of its models; got {model!r}"
        other = hypotheses.get(one.same_as) if one.same_as else None
        if one.same_as and (other is None or other.same_as):
            yield (*key, "same_as"), f"must be another hypothesis, which is trained itself; got {one.same_as!r}"
