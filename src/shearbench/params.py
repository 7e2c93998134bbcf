"""``params.yaml`` as one frozen object, or one error that lists every fault with its line.

``load(path)`` is the only reader of that file. The class of each part is defined with the code that it configures.
This module composes them and checks relations between them (a run names an existing dataset and model, ...).
"""

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from shearbench import yaml12
from shearbench.ablation.hypotheses import Hypothesis, Observed, hypothesis_faults, runs_of
from shearbench.analysis.settings import Evaluate
from shearbench.data.config import FIELD_SOURCES, DatasetEntry, FieldDataset, SimulatedDataset, Sources
from shearbench.data.folds import TrainOn
from shearbench.errors import InputError
from shearbench.execution.settings import Execution
from shearbench.mechanics.loads import displacements_of
from shearbench.models import ARCHITECTURES, RULE
from shearbench.models.interface import SKLEARN, Features, Option, is_own
from shearbench.strict import Key, Strict, faults_of
from shearbench.training.recipe import Recipe, space_faults
from shearbench.yaml12 import NAME, RUN_NAME, Fault, with_bases

Name = Annotated[str, Field(pattern=f"^{NAME}$")]
RunName = Annotated[str, Field(pattern=f"^{RUN_NAME}$")]
RENAMED = {("cells",): "runs", ("experiments",): "ablations", ("evaluate", "digits"): "evaluate.samples"}
"""Keys of the previous version, with their present names."""
REMOVED = {("aa",): "benchmarks/calibration.py measures the size of the tests"}
"""Removed keys of previous versions, with their replacements."""


class Network(Strict):
    """A network with its architecture, width and recipe, or a classifier of scikit-learn with its features.

    An entry with a recipe is a network.
    """

    architecture: str
    width: Annotated[float, Field(gt=0)] = 1.0
    options: dict[str, Option] = Field(default_factory=dict)
    recipe: Recipe | None = None
    features: Features | None = None
    train_size: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The share of a fold's training samples used for training; smaller shares are subsets of larger ones."""

    @property
    def settled_features(self) -> Features | None:
        """The features of a classifier, by default all values of an image; None for a network."""
        return None if self.recipe else self.features or Features()


class Model(Network):
    """A network or classifier with an optional search space."""

    search: dict[str, Any] | None = Field(default=None, min_length=1)
    """The search space of ``tune``, see ``training/recipe.py``."""


class Run(Strict):
    """A run: one model on one dataset."""

    dataset: Name
    model: Name


class Ablation(Strict):
    """An ablation: all of its models on all of its datasets, compared by accuracy only.

    An ablation is self-contained, so edits elsewhere never retrain it. Its first dataset and its first model are the
    references of the comparisons.
    """

    question: str
    """The question that the ablation answers, in one sentence."""
    folds: Annotated[int, Field(ge=2)]
    """Number of folds to train, counted from the first of the fold table."""
    rope: Annotated[float, Field(gt=0, lt=1)]
    """Half-width of the region of practical equivalence, in fractions of accuracy."""
    diagnose: bool = False
    """Whether running averages and gradients are recorded during training and analysed afterwards."""
    train_on: TrainOn = "rest"
    """Whether a network trains on all other folds, or only on its own (independent trainings on disjoint sets)."""
    datasets: dict[Name, DatasetEntry] = Field(min_length=1)
    models: dict[Name, Network] = Field(min_length=1)
    observed: Observed | None = None
    """The published numbers that hypotheses must explain."""
    hypotheses: dict[Name, Hypothesis] = Field(default_factory=dict)
    """With hypotheses, only their runs are trained, in this order."""

    @property
    def runs(self) -> list[tuple[str, str]]:
        """The (dataset, model) pairs to train, in order."""
        if self.hypotheses:
            return runs_of(self.hypotheses.values())
        return [(dataset, model) for model in self.models for dataset in self.datasets]


class CrossValidation(Strict):
    """Stratified folds, the number of repeats, and the share of the training folds in the inner part.
    With ``{design: disjoint, sets: N}`` the folds are N training sets that share no sample."""

    folds: Annotated[int, Field(ge=2)]
    repeats: Annotated[int, Field(ge=1)]
    inner_fraction: Annotated[float, Field(gt=0, lt=0.5)]
    design: Literal["folds", "disjoint"] = "folds"
    sets: Annotated[int, Field(ge=2)] | None = None
    """Number of training sets of the design ``disjoint``, instead of ``folds`` and ``repeats``."""

    @model_validator(mode="before")
    @classmethod
    def _sets_are_folds(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "sets" not in value or value.get("design") != "disjoint":
            return value
        return {**value, "folds": value["sets"], "repeats": 1}

    @property
    def train_on(self) -> TrainOn:
        """Whether a network trains on its own fold or on the rest."""
        return "fold" if self.design == "disjoint" else "rest"

    @property
    def networks(self) -> int:
        """The number of networks of a run: one per fold and repeat."""
        return self.folds * self.repeats


class Compare(Strict):
    """Declarations before the run: significance level, power, and regions of practical equivalence."""

    alpha: Annotated[float, Field(gt=0, lt=0.5)]
    power: Annotated[float, Field(gt=0.5, lt=1)]
    rope: dict[Name, Annotated[float, Field(gt=0, lt=1)]]
    """Half-width of the region of practical equivalence for each dataset, in fractions of accuracy."""
    detect: dict[Name, Annotated[float, Field(gt=0, lt=1)]] = Field(default_factory=dict)
    """The smallest true difference that the run is designed to detect, by dataset; see ``shearbench design``."""


class Predict(Strict):
    """The accuracy that ``shearbench predict`` must reach; it abstains from less certain predictions."""

    accuracy: Annotated[float, Field(gt=0, lt=1)]
    """Least accuracy on held-out samples of the predictions without abstention."""


class Training(Strict):
    """Whether runs use tuned hyperparameters: those of all models with a search space, none, or the named models."""

    use_tuned: bool | Annotated[tuple[Name, ...], Field(strict=False)]

    def uses_tuned(self, name: str, model: Model) -> bool:
        """Return True if the runs of a model use its tuned hyperparameters."""
        return (
            name in self.use_tuned if isinstance(self.use_tuned, tuple) else self.use_tuned and model.search is not None
        )


class Tuning(Strict):
    """The data and resources of ``tune``."""

    dataset: Name
    trials: Annotated[int, Field(ge=1)]
    """Least number of trials; it is rounded up to whole brackets of ``reduction ** (rungs - 1)`` trials."""
    timeout: Annotated[int, Field(ge=1)]
    """Time limit of the search in seconds; at least one bracket is completed."""
    share: Annotated[float, Field(gt=0, lt=1)]
    """Share of the training samples in the tuning part, the only samples that a search uses."""
    inner_fraction: Annotated[float, Field(gt=0, lt=1)]
    """Share of the tuning part that scores the trials."""
    reduction: Annotated[int, Field(ge=2)]
    """At each rung, one of ``reduction`` trials continues."""
    rungs: Annotated[int, Field(ge=1)]
    finalists: Annotated[int, Field(ge=1)]
    """Number of trials that are cross-validated, besides the present hyperparameters."""
    sizes: bool
    """Whether the best trial of each other width is cross-validated too, for the cost figure."""
    folds: Annotated[int, Field(ge=2)]
    """Number of folds of that cross-validation within the tuning part."""
    storage: str
    """``default``: a journal file under ``build/tuning/``; otherwise the URL of a database."""


class Tracking(Strict):
    """MLflow's store: ``default`` is SQLite under ``mlruns/``, ``off`` sends nothing."""

    uri: str

    @field_validator("uri", mode="before")
    @classmethod
    def _off_is_a_word(cls, value: object) -> object:
        """Convert ``false``, the value of ``off`` in YAML 1.1, to ``off``."""
        return "off" if value is False else value


class Params(Strict):
    """All of ``params.yaml``."""

    seed: int
    sources: Sources
    datasets: dict[Name, DatasetEntry]
    models: dict[Name, Model]
    runs: dict[RunName, Run]
    ablations: dict[Name, Ablation]
    cv: CrossValidation
    evaluate: Evaluate
    compare: Compare
    predict: Predict
    execution: Execution
    training: Training
    tuning: Tuning
    tracking: Tracking


def load(path: Path) -> Params:
    """Read and check ``params.yaml``.

    Raises:
        InputError: listing every unknown, missing, ill-typed or contradictory parameter with its line.
    """
    node, document = yaml12.read(path)
    lines = dict(yaml12.lines_of(node))
    faults = [f"line {line}: {'.'.join(key)} is given twice" for key, line in yaml12.duplicates(node)]
    document, found = with_bases(document)
    try:
        params = Params.model_validate(document)
        found += _contradictions(params)
    except ValidationError as error:
        former = {(*old[:-1], new.rpartition(".")[2]) for old, new in RENAMED.items() if old in lines}
        faulty = faults_of(error, document)
        found += [_described(key, fault) for key, fault in faulty if fault["type"] != "missing" or key not in former]
    faults += [f"line {_line(lines, key)}: {'.'.join(key)} {rule}" for key, rule in found]
    if faults:
        raise InputError("\n".join([f"{path} has {len(faults)} fault(s) to mend:", *(f"- {f}" for f in faults)]))
    return params


def _contradictions(params: Params) -> Iterator[Fault]:
    """Yield contradictions between the parts: (key, rule)."""
    for name, model in params.models.items():
        yield from _network_faults(("models", name), model)
        for field, rule in space_faults(model.search or {}, model.recipe, model.options):
            yield ("models", name, "search", field), rule
        used = {run.dataset for run in params.runs.values() if run.model == name}
        inputs = [entry for dataset, entry in params.datasets.items() if dataset in used]
        yield from _augment_faults(("models", name), model, inputs)
    for name in params.sources.images:
        if name in FIELD_SOURCES or not re.fullmatch(NAME, name):
            rule = f"must be named with a-z, 0-9 and _, and otherwise than {', '.join(FIELD_SOURCES)}"
            yield ("sources", name), f"{rule}; got {name!r}"
    for name, dataset in params.datasets.items():
        yield from _dataset_faults(("datasets", name), dataset, params.sources)
    for name, ablation in params.ablations.items():
        yield from _ablation_faults(("ablations", name), ablation, params)
    for name, run in params.runs.items():
        yield from _unless_in(params.datasets, "datasets", ("runs", name, "dataset"), run.dataset)
        yield from _unless_in(params.models, "models", ("runs", name, "model"), run.model)
        if name != f"{run.dataset}-{run.model}":
            yield ("runs", name), f"must be called {run.dataset}-{run.model}, after its dataset and model"
    if (params.cv.design == "disjoint") != (params.cv.sets is not None):
        rule = "and `design: disjoint` need each other: cv: {design: disjoint, sets: 15, inner_fraction: 0.15}"
        yield ("cv", "sets"), rule
    for name in sorted(params.compare.detect):
        yield from _unless_in(params.datasets, "datasets", ("compare", "detect", name), name)
    compared = {run.dataset for run in params.runs.values()}
    for name in sorted((compared & params.datasets.keys()) - params.compare.rope.keys()):
        yield ("compare", "rope"), f"must say for {name} how large a difference in accuracy does not matter"
    for field, rule in params.execution.faults():
        yield ("execution", field), rule
    yield from _store_faults(params.tracking.uri, params.tuning.storage)
    if not isinstance(params.training.use_tuned, bool):
        for name in params.training.use_tuned:
            if name not in params.models:
                yield ("training", "use_tuned"), f"must be true, false or a list of models; there is no model {name!r}"
            elif params.models[name].search is None:
                yield ("training", "use_tuned"), f"must name models with a search space; models.{name} has no search"
    yield from _unless_in(params.datasets, "datasets", ("tuning", "dataset"), params.tuning.dataset)


def _unless_in(known: Collection[str], part: str, key: tuple[str, ...], value: str) -> Iterator[Fault]:
    if value not in known:
        yield key, f"must be one of {part}; got {value!r}"


def _store_faults(uri: str, storage: str) -> Iterator[Fault]:
    if uri not in ("default", "off") and "://" not in uri:
        yield ("tracking", "uri"), f"must be default, off or the URI of a server or database; got {uri!r}"
    if storage != "default" and "://" not in storage:
        yield ("tuning", "storage"), f"must be default or the URL of a database; got {storage!r}"
    if storage != "default" and (storage == uri or storage.endswith("mlruns/mlflow.db")):
        yield ("tuning", "storage"), "must be another database than MLflow's: each would take the other's for its own"


def _network_faults(key: tuple[str, ...], network: Network) -> Iterator[Fault]:
    if network.architecture not in ARCHITECTURES and not is_own(network.architecture):
        yield (*key, "architecture"), f"{RULE}; got {network.architecture!r}"
    elif network.recipe is None and network.architecture in ARCHITECTURES:
        yield key, f"must have a recipe, as {network.architecture} is a network: {{epochs, batch, learning_rate, ...}}"
    elif network.recipe is not None and network.architecture.startswith(SKLEARN):
        rule = "must not be given: classifiers of scikit-learn have no epochs and no batches; remove it"
        yield (*key, "recipe"), rule
    if network.recipe is not None and network.features is not None:
        yield (*key, "features"), "must not be given for a network, which gets the images; remove it"
    if network.recipe is None and network.width != 1:
        yield (*key, "width"), "must not be given for a classifier of scikit-learn; remove it"


def _augment_faults(key: tuple[str, ...], network: Network, inputs: Collection[DatasetEntry]) -> Iterator[Fault]:
    """Yield a fault if a recipe augments and all inputs of the network are fields, which are never augmented."""
    augments = network.recipe is not None and network.recipe.augment != "none"
    if augments and inputs and all(isinstance(each, FieldDataset) for each in inputs):
        yield (*key, "recipe", "augment"), "must be none, as displacement fields are not augmented"


def _dataset_faults(key: tuple[str, ...], entry: DatasetEntry, sources: Sources) -> Iterator[Fault]:
    is_field = isinstance(entry, FieldDataset)
    if entry.origin not in sources.images:
        known = ", ".join([*sources.images, *(() if is_field else FIELD_SOURCES)])
        yield (*key, "of" if is_field else "source"), f"must be one of {known}; got {entry.origin!r}"
    if isinstance(entry, FieldDataset) and entry.step >= len(displacements_of(entry.load)):
        last = len(displacements_of(entry.load)) - 1
        yield (*key, "step"), f"must be 1 to {last} for {entry.load}; got {entry.step}"
    if is_field and entry.normalise == "unit":
        yield (*key, "normalise"), "must be another one than unit, which scales 8-bit images"
    if not is_field and entry.normalise == "detrend":
        yield (*key, "normalise"), "must be another one than detrend, which is for displacement fields"


def _ablation_faults(key: tuple[str, ...], ablation: Ablation, params: Params) -> Iterator[Fault]:
    if ablation.folds > params.cv.folds:
        yield (*key, "folds"), f"must be at most cv.folds, {params.cv.folds}; got {ablation.folds}"
    for name, network in ablation.models.items():
        yield from _network_faults((*key, "models", name), network)
        yield from _augment_faults((*key, "models", name), network, ablation.datasets.values())
        if ablation.diagnose and network.recipe is None:
            yield (*key, "models", name), "must be a network where diagnose is true: a classifier has no gradients"
    for part, rule in hypothesis_faults(ablation.hypotheses, ablation.observed, ablation.datasets, ablation.models):
        yield (*key, *part), rule
    simulated = {(one.of, one.load, one.step) for one in params.datasets.values() if isinstance(one, SimulatedDataset)}
    for name, entry in ablation.datasets.items():
        yield from _dataset_faults((*key, "datasets", name), entry, params.sources)
        if isinstance(entry, SimulatedDataset) and (entry.of, entry.load, entry.step) not in simulated:
            rule = "must be simulated for an entry of datasets, as an ablation simulates nothing; add one there"
            yield (*key, "datasets", name), f"{rule}; got {entry.load} at step {entry.step}"


def _described(key: Key, fault: ErrorDetails) -> Fault:
    """Return the key and the rule of a fault of pydantic."""
    if key in RENAMED:
        return key, f"is called {RENAMED[key]} now; rename the key"
    if key in REMOVED:
        return key, f"is not a parameter any more: {REMOVED[key]}; remove the key"
    if fault["type"] == "missing":
        return key, "is missing"
    if fault["type"] == "extra_forbidden":
        return key, "is not a parameter; remove or correct it"
    return key, f"{fault['msg'][0].lower()}{fault['msg'][1:]}; got {fault['input']!r}"


def _line(lines: dict[tuple[str, ...], int], key: tuple[str, ...]) -> int:
    """Return the line of a key, or of its nearest parent in the file."""
    while key and key not in lines:
        key = key[:-1]
    return lines.get(key, 1)
