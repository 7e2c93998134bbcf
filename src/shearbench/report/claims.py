"""A paper's claim and its published numbers, read from ``claims/<name>.yaml``.

The code of the report depends on no paper: each file in ``claims/`` has the quotes with their sources, the ablation
that tests the claim, and the numbers to compare with ours.
"""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError

from shearbench.errors import InputError
from shearbench.strict import Strict

FOLDER = "claims"
Names = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
Share = Annotated[float, Field(gt=0, le=1)]


class Study(Strict):
    """The published study: its name in sentences, and its size."""

    label: str
    folds: Annotated[int, Field(ge=2)]
    samples: Annotated[int, Field(ge=1)]
    epochs: Annotated[int, Field(ge=1)] | None = None


class Quote(Strict):
    """Words of the paper, and their place in it."""

    text: str
    source: str


class ClaimTest(Strict):
    """The ablation that tests the claim, and the published numbers of its two models; accuracies are fractions."""

    ablation: str
    suspect: str
    """The model that fails, according to the claim."""
    reference: str
    """The model that does not fail, according to the claim."""
    readings: dict[str, str] = Field(min_length=1)
    """Dataset -> how it is made, in words, for each dataset that the paper's text allows."""
    far_above_chance: Share
    """The least lower end of the reference's 95 % interval on a dataset that can show a fall of the suspect."""
    level: Share
    spread: Annotated[float, Field(gt=0)]
    reference_level: Share
    train_loss: Annotated[float, Field(gt=0)] | None = None
    settled_by: str


class Entry(Strict):
    """Fields of every published number."""

    label: str
    models: Names
    """Names of our models; each has a line."""
    source: str


class Accuracy(Entry):
    """Accuracy in %, with its ± if it has one."""

    kind: Literal["accuracy"]
    dataset: str
    value: float
    spread: Annotated[float, Field(gt=0)] | None = None


class Drop(Entry):
    """Percentage points lost from one dataset to another."""

    kind: Literal["drop"]
    before: str
    after: str
    value: float


class TrainLoss(Entry):
    """Training loss of the first or the last epoch."""

    kind: Literal["train_loss"]
    dataset: str
    epoch: Literal["first", "last"]
    value: float


class Confusion(Entry):
    """Number of samples of one class that are predicted as another, before and after a distortion."""

    kind: Literal["confusion"]
    dataset: str
    true_class: int
    predicted_class: int
    before: int
    after: int


class PValue(Entry):
    """A test of two models on one dataset, in the words of the paper."""

    kind: Literal["p_value"]
    dataset: str
    text: str


class Parameters(Entry):
    """Millions of parameters."""

    kind: Literal["parameters"]
    dataset: str
    millions: float


class Gain(Strict):
    """Percentage points by which the first model of an ablation is better than another one."""

    kind: Literal["gain"]
    label: str
    ablation: str
    against: str
    value: float
    source: str


Number = Annotated[Accuracy | Drop | TrainLoss | Confusion | PValue | Parameters | Gain, Field(discriminator="kind")]


class Claim(Strict):
    """The content of one file."""

    study: Study
    claim: str
    quotes: Annotated[tuple[Quote, ...], Field(strict=False)]
    test: ClaimTest
    published: Annotated[tuple[Number, ...], Field(strict=False)]


def read_claims(root: Path) -> dict[str, Claim]:
    """Return the claims of a project by the names of their files; empty without a folder ``claims/``.

    Raises:
        InputError: naming the file and every key that breaks its rule.
    """
    return {path.stem: read_claim(path) for path in sorted((root / FOLDER).glob("*.yaml"))}


def read_claim(path: Path) -> Claim:
    """Read one file; see :func:`read_claims`."""
    try:
        return Claim.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid YAML: {error}; compare it with claims/mechanical-mnist.yaml") from None
    except ValidationError as error:
        lines = [f"- {'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()]
        raise InputError("\n".join([f"{path} has {len(lines)} fault(s) to mend:", *lines])) from None
