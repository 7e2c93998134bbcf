"""``tuned/<model>.yaml``: the results of searches, one section per dataset; written by ``tune``, versioned by git.

``read_tuned`` validates the file, as users may edit it. ``build/training_configs/<dataset>/<model>.yaml`` is the
config of a run: the stage ``training_configs`` writes it, so that a change to one section of one file affects one run.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import Field, ValidationError

from shearbench import yaml12
from shearbench.data.folds import Reserved
from shearbench.errors import InputError
from shearbench.records import locked, write_text
from shearbench.strict import Strict, faults_of
from shearbench.training.recipe import SoundHyperparameters

T = TypeVar("T", bound=Strict)

_HEAD = "# What `shearbench tune {model}` found, for each dataset. training.use_tuned in params.yaml puts it to use.\n"


class Score(Strict):
    """A finalist's cross-validation on the tuning part: mean accuracy and its standard deviation over the folds."""

    trial: int
    hyperparameters: SoundHyperparameters
    accuracy: float | None
    sd: float | None
    parameters: int
    seconds: float
    """Training time of one fold, on the machine of the search."""
    reason: str | None = None


class Difference(Strict):
    """Found minus present: corrected resampled t over the folds, Holm over all finalists against the present."""

    mean: float
    low: float
    high: float
    p_holm: float
    verdict: str
    rule: str

    @property
    def interval(self) -> tuple[float, float]:
        """Return the interval, which ends where a difference of accuracies must."""
        return max(-1.0, self.low), min(1.0, self.high)


class Search(Strict):
    trials: int
    complete: int
    stopped_early: int
    failed: int
    epochs: int
    folds: int
    samples_scored: int
    seed: int


class Tuned(Strict):
    """The section of one dataset."""

    hyperparameters: SoundHyperparameters
    present: SoundHyperparameters
    epochs: int
    """Epochs of the recipe of the search."""
    difference: Difference | None = None
    finalists: Annotated[tuple[Score, ...], Field(strict=False)]
    sizes: Annotated[tuple[Score, ...], Field(strict=False)] = ()
    """The best trials of widths without a finalist, cross-validated like the finalists; none can win."""
    search: Search
    reserved: Reserved


class RunConfig(Strict):
    """The training config of a run where it differs from ``params.yaml``; no difference if ``tuned`` is None."""

    tuned: SoundHyperparameters | None = None
    reserved: Reserved | None = None


def tuned_path(root: Path, model: str) -> Path:
    return root / "tuned" / f"{model}.yaml"


def config_path(root: Path, dataset: str, model: str) -> Path:
    return root / "build" / "training_configs" / dataset / f"{model}.yaml"


def read_tuned(path: Path) -> dict[str, Tuned]:
    """Read the search results of a model by dataset; empty if there is no file.

    Raises:
        InputError: listing every fault of the file.
    """
    if not path.is_file():
        return {}
    document = _load(path)
    return {str(name): _validated(Tuned, section, path, str(name)) for name, section in document.items()}


def write_tuned(root: Path, model: str, dataset: str, tuned: Tuned) -> None:
    """Write the section of one dataset; the other sections stay, even if two searches end at once."""
    path = tuned_path(root, model)
    with locked(root / "build" / "tuning" / f"{model}.lock"):
        sections = {**read_tuned(path), dataset: tuned}
        document = {name: sections[name].model_dump(mode="json", exclude_none=True) for name in sorted(sections)}
        text = yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)
        write_text(path, _HEAD.format(model=path.stem) + text)


def write_run_config(path: Path, run_config: RunConfig) -> None:
    write_text(path, yaml.safe_dump(run_config.model_dump(mode="json", exclude_none=True), sort_keys=False))


def read_run_config(path: Path) -> RunConfig:
    """Read the training config of a run; InputError if it is missing or damaged."""
    if not path.is_file():
        raise InputError(f"{path} is missing; run `dvc repro training_configs` to make it")
    return _validated(RunConfig, _load(path), path)


def _load(path: Path) -> Mapping[str, Any]:
    try:
        document = yaml12.parse(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(document, dict):
        raise InputError(f"{path} must hold a mapping; `shearbench tune` writes one")
    return document


def _validated(kind: type[T], document: Any, path: Path, *prefix: str) -> T:
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        faults = [
            f"- {'.'.join((*prefix, *key))}: {fault['msg']}; got {fault['input']!r:.60}"
            for key, fault in faults_of(error, document)
        ]
        head = f"{path} has {len(faults)} fault(s) to mend, or run `shearbench tune`:"
        raise InputError("\n".join([head, *faults])) from None
