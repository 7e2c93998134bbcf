"""All results of a class: networks, steps of the recipe, groups, copies, hardness.

``findings_of`` measures; ``Findings`` holds predictions and measurements, and its methods return the rows of the tables
that ``output`` writes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.data.dataset import Samples
from shearbench.data.handwritten import Picture
from shearbench.execution.calls import Workers
from shearbench.handwriting.copies import (
    Copy,
    Duplicate,
    Limits,
    Reference,
    copying_groups,
    find_copies,
    find_duplicates,
    limits_of,
)
from shearbench.handwriting.folder import ClassDigits
from shearbench.handwriting.networks import (
    SAMPLED,
    STEPS,
    TRAININGS,
    Step,
    Trained,
    best_of,
    distances,
    leave_one_group_out,
    predict_all,
)
from shearbench.handwriting.preparation import PREPARATIONS, mnist
from shearbench.handwriting.scores import ClassPredictions, Writers, by_group, gain, rank_correlation, summary
from shearbench.seeds import generator_for
from shearbench.training.hardware import Device

Predicted = dict[str, NDArray[np.float32]]
Row = dict[str, Any]

_CHECKED = 1000  # MNIST test digits for the check of the preparation

FEATURES = {
    "stroke": "stroke width in the 20 x 20 box (pixels)",
    "contrast": "contrast of ink and paper (grey levels of 255)",
    "slant": "slant to the right (degrees)",
    "size": "size (share of the picture)",
    "offset": "offset from the middle (share of the picture)",
    "distance": "distance from MNIST in the last hidden layer\n(1: an ordinary MNIST digit)",
}
"""Features that may make a digit hard to classify: name in files -> label in figures."""


@dataclass(frozen=True, eq=False)
class Findings:
    """A class's digits, the predictions of every network, and the search for copies.

    ``chosen`` is the index of the network for detailed analyses. ``distance`` (n,) is that of the digits from MNIST in
    its last hidden layer. ``through_mnist`` holds its accuracies on MNIST test digits, unchanged and prepared by
    ``mnist``. ``fine_tuned`` (folds, n, 10), if requested, holds its predictions for each group after fine-tuning on
    the others. ``device`` is the device of all computations.
    """

    digits: ClassDigits
    networks: Sequence[Trained]
    predictions: Sequence[Predicted]
    chosen: int
    seed: int
    copies: Sequence[Copy]
    duplicates: Sequence[Duplicate]
    limits: Limits
    reference: Reference
    distance: NDArray[np.float64]
    device: str
    through_mnist: Row
    fine_tuned: NDArray[np.float32] | None

    @cached_property
    def writers(self) -> Writers:
        """The writers, with resamples that all intervals share."""
        return Writers.of(self.digits.writers, seed=self.seed)

    def predicted(self, place: int, preparation: str, *, filtered: bool = True) -> ClassPredictions:
        """Return a network's predictions for the digits of a preparation; ``filtered`` leaves out rejected ones."""
        counted = self.digits.accepted(preparation) if filtered else np.ones(len(self.digits.digits), bool)
        return ClassPredictions(self.predictions[place][preparation], self.digits.digits, counted)

    @property
    def families(self) -> list[str]:
        """The names of the networks with a training of the recipe, without repetition."""
        return list(dict.fromkeys(one.network for one in self.networks if one.training in TRAININGS))

    def of_step(self, network: str, step: Step) -> ClassPredictions | None:
        """Return a network's predictions at a step of the recipe; None if that training is not available."""
        for place, one in enumerate(self.networks):
            if one.network == network and one.training == step.training:
                return self.predicted(place, step.preparation, filtered=step.filtered)
        return None

    def network_rows(self) -> list[Row]:
        """Return a row for each network and preparation: accuracy and loss on accepted digits, also by group."""
        return [
            {
                "model": one.network,
                "training": one.training,
                "preparation": preparation,
                "mnist_accuracy": one.mnist_accuracy,
                **summary(predicted, self.writers),
                "groups": by_group(predicted, self.digits.groups, self.writers),
            }
            for place, one in enumerate(self.networks)
            for preparation in PREPARATIONS
            for predicted in [self.predicted(place, preparation)]
        ]

    def step_rows(self) -> list[Row]:
        """Return a row for each network and step of the recipe, with the gain over the previous available step."""
        return [row for network in self.families for row in self._steps_of(network)]

    def _steps_of(self, network: str) -> Iterator[Row]:
        before: tuple[Step, ClassPredictions] | None = None
        for step in STEPS:
            predicted = self.of_step(network, step)
            row: Row = {"model": network, "step": step.number, **asdict(step)}
            del row["number"]
            if predicted is None:
                yield row | {"missing": f"{network}_{step.training} has not been trained"}
                continue
            row |= summary(predicted, self.writers)
            if step.title == "per group":
                yield row | {"groups": by_group(predicted, self.digits.groups, self.writers)}
                continue
            if before is not None and (predicted.counted & before[1].counted).any():
                row |= {"gain_over": before[0].number, "gain": gain(predicted, before[1], self.writers)}
            before = step, predicted
            yield row

    @cached_property
    def examined(self) -> ClassPredictions:
        """The predictions of the chosen network for the digits that ``mnist`` accepts."""
        return self.predicted(self.chosen, "mnist")

    def copying(self) -> Row:
        """Return limits, flagged digits, copying groups, and accuracies with and without flagged digits."""
        named = copying_groups(self.copies, self.digits.groups)
        rows = [copy.row for copy in self.copies]
        counted = self.examined.counted.copy()
        counted[rows] = False
        return {
            "compared_with": len(self.reference.ids),
            "limits": {"correlation": self.limits.correlation.tolist(), "distance": self.limits.distance.tolist()},
            "limits_from": self.limits.sampled,
            "flagged_of_mnist": self.limits.flagged,
            "flagged": [
                {"file": self.digits.files[copy.row], "group": int(self.digits.groups[copy.row]), **asdict(copy)}
                for copy in self.copies
            ],
            "by_group": {
                int(group): int((self.digits.groups[rows] == group).sum()) for group in np.unique(self.digits.groups)
            },
            "groups": {str(group): {"flagged": count, "of": size} for group, (count, size) in named.items()},
            "accuracy": summary(self.examined, self.writers).get("accuracy"),
            "accuracy_without": summary(replace(self.examined, counted=counted), self.writers),
        }

    def duplicate_rows(self) -> list[Row]:
        return [
            {
                "files": [self.digits.files[row] for row in group.rows],
                "kind": group.kind,
                "correlation": group.correlation,
            }
            for group in self.duplicates
        ]

    def feature(self, name: str) -> NDArray[np.float64]:
        """Return a feature (n,) of the digits; NaN without ink."""
        if name != "distance":
            return self.digits.measured(name)
        return np.where(self.digits.accepted("mnist"), self.distance, np.nan)

    def hardness(self) -> list[Row]:
        """Return a row for each feature: its rank correlation with correct prediction, and its median by group."""
        rows = []
        counted = self.examined.counted
        for name in FEATURES:
            values = self.feature(name)
            known = counted & np.isfinite(values)
            if not known.any():
                continue
            correlation, interval = rank_correlation(values, self.examined.right, self.writers, counted)
            medians = {
                str(group): float(np.median(values[known & (self.digits.groups == group)]))
                for group in np.unique(self.digits.groups[known]).tolist()
            }
            rows.append(
                {"feature": name, "n": int(known.sum()), "rank_correlation": correlation, "interval": interval}
                | {"groups": medians}
            )
        return rows

    def fine_tuning(self) -> Row | None:
        """Return accuracy after leave-one-group-out fine-tuning, and the gain over no fine-tuning; None without."""
        if self.fine_tuned is None:
            return None
        after = replace(self.examined, probabilities=self.fine_tuned)
        return {
            **summary(after, self.writers),
            "gain": gain(after, self.examined, self.writers),
            "groups": by_group(after, self.digits.groups, self.writers),
        }

    def as_json(self) -> Row:
        counts = {by: sum(one["by"] == by for one in self.digits.rejected) for by in ("reading", *PREPARATIONS)}
        chosen = self.networks[self.chosen]
        return {
            "folder": self.digits.name,
            "stand_in": self.digits.stand_in,
            "files": {"all": len(self.digits.sheets), "read": len(self.digits.read), "rejected": counts},
            "groups": len(np.unique(self.digits.groups)),
            "writers": len(np.unique(self.digits.writers)),
            "models": self.network_rows(),
            "steps": self.step_rows(),
            "chosen": {"model": chosen.network, "training": chosen.training, "because": "best on MNIST's own folds"},
            "through_mnist": self.through_mnist,
            "copies": self.copying(),
            "duplicates": self.duplicate_rows(),
            "hardness": self.hardness(),
            "fine_tuning": self.fine_tuning(),
            "rejected": self.digits.rejected,
        }


def findings_of(
    digits: ClassDigits,
    networks: list[Trained],
    train: Samples,
    test: Samples,
    *,
    seed: int,
    workers: Workers,
    device: Device,
    fine_tune: bool,
) -> Findings:
    """Return all results of a class, with ``fine_tune`` also those of the chosen network after fine-tuning.

    MNIST's ``train`` and ``test`` samples are searched for originals of copies.
    """
    images = {name: digits.images(name) for name in PREPARATIONS}
    predictions = predict_all(networks, images, workers=workers, device=device)
    chosen = best_of(networks)
    labels, ids = np.concatenate([train.labels, test.labels]), np.concatenate([train.ids, test.ids])
    reference = Reference(train.images, test.images, labels, ids)
    limits = limits_of(reference, seed=seed)
    prepared, accepted = images["mnist"], digits.accepted("mnist")
    hashes = [str(sheet.facts["sha256"]) for sheet in digits.read]
    rows = generator_for(seed, "handwriting", "distance").permutation(len(train.ids))[:SAMPLED]
    known = train.images[rows], train.labels[rows]
    groups = digits.digits, digits.groups
    return Findings(
        digits=digits,
        networks=networks,
        predictions=predictions,
        chosen=networks.index(chosen),
        seed=seed,
        copies=find_copies(prepared, accepted, reference, limits),
        duplicates=find_duplicates(prepared, accepted, hashes, digits.digits, limits),
        limits=limits,
        reference=reference,
        distance=distances(chosen, prepared, *known, workers=workers, device=device),
        device=device,
        through_mnist=_through_mnist(chosen, test, seed=seed, workers=workers, device=device),
        fine_tuned=leave_one_group_out(chosen, prepared, *groups, seed=seed, workers=workers, device=device)
        if fine_tune
        else None,
    )


def _through_mnist(network: Trained, test: Samples, *, seed: int, workers: Workers, device: Device) -> Row:
    """Return a network's accuracies on MNIST digits, unchanged and prepared by ``mnist``."""
    rows = generator_for(seed, "handwriting", "checked").permutation(len(test.ids))[:_CHECKED]
    images, side = test.images[rows], test.images.shape[1:]
    opaque = np.full(side, 255, np.uint8)
    pictures = [Picture(np.repeat(one[..., None], 3, axis=2), opaque, one, "PNG", "L", side) for one in images]
    prepared = np.stack([mnist(picture).image for picture in pictures])
    inputs = {"accuracy": images, "accuracy_prepared": prepared}
    (predicted,) = predict_all([network], inputs, workers=workers, device=device)
    correct = {name: each.argmax(axis=2) == test.labels[rows] for name, each in predicted.items()}
    return {"n": len(rows), **{name: float(each.mean()) for name, each in correct.items()}}
