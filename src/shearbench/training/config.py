"""The training config: all that decides the numbers of a run except the data itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import model_validator
from torch import nn

from shearbench import code
from shearbench.data import folds, normalise
from shearbench.data.config import DatasetEntry, FieldDataset
from shearbench.data.dataset import Dataset
from shearbench.data.folds import TrainOn
from shearbench.data.normalise import Normaliser
from shearbench.models import build
from shearbench.models.interface import Features, Inputs, Option, Scalar
from shearbench.records import hash_of
from shearbench.seeds import seed_for
from shearbench.strict import Strict
from shearbench.training.hardware import Device, Hardware, Precision
from shearbench.training.optimiser import Adam
from shearbench.training.recipe import TUNABLE, WIDTH, Hyperparameters, Recipe
from shearbench.training.state import FitConfig, Part, Splits

Rows = NDArray[np.int64]


class TrainingConfig(Strict):
    """The resolved config of a run, stored in records as ``config``, from which folds can be trained again.

    A network has a recipe; a classifier of scikit-learn has features instead.
    """

    dataset: str
    model: str
    seed: int
    architecture: str
    width: float
    options: dict[str, Option]
    recipe: Recipe | None
    features: Features | None = None
    entry: DatasetEntry
    inner_fraction: float
    device: Device
    precision: Precision
    diagnose: bool = False
    train_on: TrainOn = "rest"
    train_size: float = 1.0

    @model_validator(mode="after")
    def _fields_are_not_augmented(self) -> "TrainingConfig":
        assert (self.recipe is None) != (self.features is None), "a network or a classifier"
        fields = isinstance(self.entry, FieldDataset) and self.recipe is not None
        assert not fields or self.training.augment == "none", "see applicable()"
        return self

    @property
    def training(self) -> Recipe:
        """The recipe of a network; a classifier has none."""
        assert self.recipe is not None, "a classifier has none"
        return self.recipe

    @property
    def units(self) -> int:
        """Progress units of a fold: the epochs of a network, 1 for a classifier."""
        return 1 if self.recipe is None else self.recipe.epochs

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "TrainingConfig":
        """Return the training config of a record."""
        named = {key: record[key] for key in ("dataset", "model", "seed")}
        return cls.model_validate({**named, **record["config"]})

    @property
    def config(self) -> dict[str, Any]:
        """The config as JSON, without the names and the seed, which a record stores beside it."""
        return self.model_dump(mode="json", exclude={"dataset", "model", "seed"})

    @property
    def config_hash(self) -> str:
        """The hash of the whole config, names and seed included."""
        return hash_of(self.model_dump(mode="json"))

    @property
    def hardware(self) -> Hardware:
        """Device and precision."""
        return Hardware(self.device, self.precision)

    def seed_of(self, fold: int) -> int:
        """Return the seed from which the random streams of a fold are derived."""
        return seed_for(self.seed, "train", self.dataset, self.model, fold)

    def varied(self, point: Hyperparameters) -> "TrainingConfig":
        """Return the config with other hyperparameters: values of its recipe, width or options."""
        if self.recipe is None:
            return self.model_copy(update={"options": {**self.options, **point}})
        options = {name: value for name, value in point.items() if name not in (*TUNABLE, WIDTH)}
        recipe = {name: point[name] for name in TUNABLE if name in point}
        update = {
            "width": float(cast("float", point.get(WIDTH, self.width))),
            "recipe": Recipe.model_validate({**dict(self.recipe), **recipe}),
            "options": {**self.options, **options},
        }
        return self.model_copy(update=update)

    def values_of(self, names: Iterable[str]) -> Hyperparameters:
        """Return the current values of the named hyperparameters."""
        own = {**dict(self.recipe), WIDTH: self.width} if self.recipe else {}
        return {name: own[name] if name in own else cast("Scalar", self.options[name]) for name in names}


@dataclass(frozen=True, eq=False)
class Selection:
    """Rows of a dataset, int64, for training (``train``), early stopping (``inner``) and scoring (``validation``)."""

    train: Rows
    validation: Rows
    inner: Rows | None = None


@dataclass(frozen=True, eq=False)
class TrainingState:
    """A network with optimiser and data, ready for ``loop.fit``."""

    network: nn.Module
    optimiser: Adam
    splits: Splits
    fit_config: FitConfig
    normaliser: Normaliser


def applicable(recipe: Recipe | None, entry: DatasetEntry) -> Recipe | None:
    """Return the recipe for a dataset: fields are not augmented."""
    if recipe is None or not isinstance(entry, FieldDataset):
        return recipe
    return recipe.model_copy(update={"augment": "none"})


def select(table: folds.FoldTable, labels: Rows, *, fold: int, config: TrainingConfig) -> Selection:
    """Return the rows of a fold; with patience, a share of the training rows is the inner part.

    The inner part and the nested part (``train_size``) are the same for every dataset and model of a seed.
    """
    train, validation = table.split(fold, config.train_on)
    if config.train_size < 1:
        seed = seed_for(config.seed, "train_size", fold)
        train = train[folds.nested_part(labels[train], share=config.train_size, seed=seed)]
    if config.recipe is None or config.recipe.patience is None:
        return Selection(train, validation)
    inner = folds.split_off(
        table.units[train],
        labels[train],
        share=config.inner_fraction,
        seed=seed_for(config.seed, "inner", fold),
        parameter="cv.inner_fraction",
    )
    return Selection(train[~inner], validation, train[inner])


def assemble(config: TrainingConfig, dataset: Dataset, rows: Selection, *, seed: int) -> TrainingState:
    """Return a network with weights drawn from ``seed``, and data with a normalisation fitted to the training rows.

    Raises:
        InputError: if an option of the network or the normalisation does not fit the data.
    """
    recipe, hardware = config.training, config.hardware
    normaliser = normalise.fit_entry(config.entry, dataset.inputs[rows.train])
    network = build(
        config.architecture,
        inputs=Inputs(dataset.channels, len(dataset.classes), dataset.size),
        width=config.width,
        options=config.options,
        seed=seed_for(seed, "weights"),
    )
    hardware.place(network)
    train = mislabelled(Part.of(dataset, rows.train, hardware), recipe.mislabelled, seed=seed)
    inner = None if rows.inner is None else Part.of(dataset, rows.inner, hardware)
    splits = Splits(train, Part.of(dataset, rows.validation, hardware), inner)
    fit_config = FitConfig.of(recipe, normaliser, seed=seed, hardware=hardware, diagnose=config.diagnose)
    return TrainingState(network, Adam(network, recipe), splits, fit_config, normaliser)


def mislabelled(part: Part, share: float, *, seed: int) -> Part:
    """Return the samples with wrong labels.

    A ``share`` of the samples, drawn at random, each gets the label of the sample drawn before it. Some labels stay
    right by chance.
    """
    generator = torch.Generator().manual_seed(seed_for(seed, "mislabelled"))
    rows = torch.randperm(len(part.labels), generator=generator)[: round(share * len(part.labels))]
    rows = rows.to(part.labels.device)
    labels = part.labels.clone()
    labels[rows] = part.labels[rows.roll(1)]
    return Part(part.inputs, labels)


def code_hash(config: TrainingConfig, *, torch_version: str | None = None) -> str:
    """Return a hash of the code that decides the numbers of a fold: sources, including a user's, and library versions.

    ``torch_version`` replaces the installed one, to compare sources only.
    """
    also = [code.TREND] if config.entry.normalise == "detrend" else []
    libraries = () if config.features is None else ("scikit-learn", "scikit-image", "skops")
    versions = [torch_version or torch.__version__, *map(version, libraries)]
    return hash_of([*versions, code.hash_of(code.closure(code.TRAINING, [config.architecture], also))])
