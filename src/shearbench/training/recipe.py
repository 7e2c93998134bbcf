"""The recipe of a training and the search space of its hyperparameters, from ``params.yaml``; does not import torch.

A hyperparameter is a key of the recipe (``TUNABLE``), ``width``, or an option of the model. Each has a list of choices,
``{log: [low, high]}`` or ``{range: [low, high]}``; two whole numbers as bounds are drawn as whole numbers. A list of
two numbers for ``learning_rate`` is short for ``{log: [low, high]}``.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, ValidationError

from shearbench.models.interface import Option, Scalar
from shearbench.strict import Strict

Augmentation = Literal["none", "affine", "noise", "thickness", "elastic", "erasing", "flip", "crop", "strong", "pens"]
Hyperparameters = dict[str, Scalar]
"""One point of a space: values by name."""
TUNABLE = ("learning_rate", "batch", "weight_decay", "schedule")
"""Keys of the recipe that a search may vary."""
WIDTH = "width"
_MEMORY = ("batch", WIDTH)  # larger values need more memory
_FREE = ("learning_rate", "weight_decay")
_COLUMNS = ("trial", "state", "epochs", "accuracy", "parameters", "seconds", "failure", "samples")


class Recipe(Strict):
    """Adam on shuffled mini-batches of cross-entropy, with optional early stopping on the inner part."""

    epochs: Annotated[int, Field(ge=1)]
    batch: Annotated[int, Field(ge=2)]
    learning_rate: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    patience: Annotated[int, Field(ge=1)] | None = None
    """Epochs without a lower loss on the inner part before training stops; None trains all epochs."""
    augment: Augmentation | Annotated[tuple[Augmentation, ...], Field(strict=False, min_length=1)] = "none"
    """Random augmentation of images: one name, or several that are applied in turn.

    Fields are never augmented: rotating one rotates its vectors too.
    """
    schedule: Literal["constant", "cosine"] = "constant"
    """Schedule of the learning rate: constant, or decaying to 0 along half a cosine over all epochs."""

    adam_epsilon: Annotated[float, Field(gt=0)] = 1.0e-8
    """Adam's epsilon, added to the root of the second moment; Keras uses 1e-7."""
    decay: Literal["l2", "decoupled"] = "l2"
    """Whether weight decay is added to the gradient, or decoupled (Loshchilov & Hutter, 1711.05101)."""
    shuffle: bool = True
    """Whether each epoch has its own random order, or uses the order of the dataset."""
    last_batch: Literal["joined", "kept"] = "joined"
    """Whether a last batch below half the size is joined to the one before, or kept (usual in training loops)."""
    mislabelled: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of training samples with exchanged labels, as if rows had been permuted."""

    def rate_at(self, epochs_done: float) -> float:
        """Return the learning rate after a number of epochs, which need not be whole."""
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * epochs_done / self.epochs))


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, uniform or log-uniform; whole numbers if both bounds are."""

    low: float
    high: float
    log: bool


Axis = Range | tuple[Scalar, ...]
Space = Mapping[str, Axis]


def axis_of(name: str, given: Any) -> Axis:
    """Return the values that ``search.<name>`` of ``params.yaml`` allows; ValueError with the violated rule."""
    if name == "learning_rate" and isinstance(given, list) and len(given) == 2:
        given = {"log": given}
    if isinstance(given, Mapping):
        return _range(given)
    if not isinstance(given, list) or not given or not all(isinstance(each, get_args(Scalar)) for each in given):
        raise ValueError(f"must be a list of choices, {{log: [low, high]}} or {{range: [low, high]}}; got {given}")
    if any(_same(a, b) for place, a in enumerate(given) for b in given[:place]):
        raise ValueError(f"must hold each choice once; got {given}")
    return tuple(given)


def _range(given: Mapping[str, Any]) -> Range:
    (kind, bounds), *others = [*given.items()] or [("", [])]
    numbers = isinstance(bounds, list) and len(bounds) == 2 and all(type(each) in (int, float) for each in bounds)
    if others or kind not in ("log", "range") or not numbers:
        raise ValueError(f"must be {{log: [low, high]}} or {{range: [low, high]}} with two numbers; got {dict(given)}")
    low, high = bounds
    if not low <= high or (kind == "log" and low <= 0):
        rule = "0 < low <= high" if kind == "log" else "low <= high"
        raise ValueError(f"must be two numbers {rule}; got {low}, {high}")
    return Range(low, high, kind == "log")


def space_of(searched: Mapping[str, Any]) -> Space:
    """Return the space of a valid ``search``, with learning rate, batch and width first; Optuna draws in this order."""
    names = sorted(searched, key=lambda name: [*TUNABLE[:2], WIDTH, name].index(name))
    return {name: axis_of(name, searched[name]) for name in names}


def space_faults(
    searched: Mapping[str, Any], recipe: Recipe | None, options: Mapping[str, Option]
) -> Iterator[tuple[str, str]]:
    """Yield the faults of the ``search`` of a model: (name, rule)."""
    for name, given in searched.items():
        try:
            axis = axis_of(name, given)
        except ValueError as error:
            yield name, str(error)
            continue
        ends = (axis.low, axis.high) if isinstance(axis, Range) else axis
        if name in _COLUMNS or (recipe is not None and name in Recipe.model_fields.keys() - {*TUNABLE}):
            yield name, f"cannot be searched; of the recipe, {', '.join(TUNABLE)} can"
        elif recipe is not None and name in (*TUNABLE, WIDTH):
            yield from ((name, rule) for end in ends if (rule := value_fault(name, end)))
        elif name not in options or not isinstance(options[name], get_args(Scalar)):
            yield name, f"must have its present value, which is what to beat: options: {{{name}: ...}}"


def value_fault(name: str, value: Scalar) -> str | None:
    """Return why a value is invalid for a key of the recipe or the width, or None."""
    if name == WIDTH:
        return None if isinstance(value, int | float) and value > 0 else f"must be greater than 0; got {value}"
    least = {"epochs": 1, "batch": 2, "learning_rate": 1.0, "weight_decay": 0.0}
    try:
        Recipe.model_validate({**least, name: value})
    except ValidationError as error:
        return f"{error.errors()[0]['msg'].lower()}; got {value!r}"
    return None


def _sound(values: Hyperparameters) -> Hyperparameters:
    for name in values.keys() & {*TUNABLE, WIDTH}:
        if rule := value_fault(name, values[name]):
            raise ValueError(f"{name} {rule}")
    return values


SoundHyperparameters = Annotated[Hyperparameters, AfterValidator(_sound)]
"""Validated hyperparameters, for files that a user may have edited."""


def as_json(space: Space) -> dict[str, Any]:
    """Return a space as JSON for records."""
    return {name: asdict(axis) if isinstance(axis, Range) else list(axis) for name, axis in space.items()}


def including(space: Space, point: Hyperparameters) -> Space:
    """Return the space, extended so that it contains a point."""
    return {name: _with(axis, point[name]) for name, axis in space.items()}


def _with(axis: Axis, value: Scalar) -> Axis:
    if isinstance(axis, Range):
        assert isinstance(value, int | float)
        return Range(min(axis.low, value), max(axis.high, value), axis.log)
    if any(_same(value, each) for each in axis):
        return axis
    numbers = all(type(each) in (int, float) for each in (*axis, value))
    return tuple(sorted((*axis, value))) if numbers else (*axis, value)  # type: ignore[type-var]


def _same(a: Scalar, b: Scalar) -> bool:
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def needs_no_less_memory(point: Hyperparameters, other: Hyperparameters) -> bool:
    """Return True if batch and width are at least those of ``other``, and all options are equal."""
    return all(
        point[name] >= value if name in _MEMORY else point[name] == value  # type: ignore[operator]
        for name, value in other.items()
        if name not in _FREE
    )


def described(point: Hyperparameters) -> str:
    """Return a point as text: ``learning rate 0.0011, batch 32, width 0.5``."""
    return ", ".join(f"{name.replace('_', ' ')} {_short(value)}" for name, value in point.items())


def _short(value: Scalar) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
