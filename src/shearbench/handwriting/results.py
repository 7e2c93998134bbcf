"""All results of a class as one value: networks, steps of the recipe, groups, copies, hardness.

``Findings`` holds predictions and measurements; its methods return the rows of the tables that ``output`` writes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.handwriting.copies import Copy, Duplicate, Limits, Reference, copying_groups
from shearbench.handwriting.folder import ClassDigits
from shearbench.handwriting.preparation import PREPARATIONS
from shearbench.handwriting.recipe import STEPS, TRAININGS, Step, Trained
from shearbench.handwriting.scores import Answers, Writers, by_group, gain, rank_correlation, summary

Predicted = dict[str, NDArray[np.float32]]
Row = dict[str, Any]

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

    ``chosen`` is the index of the network for detailed analyses. ``through_mnist`` holds its accuracies on MNIST test
    digits, unchanged and prepared by ``mnist``. ``fine_tuned`` (folds, n, 10), if requested, holds its predictions for
    each group after fine-tuning on the others. ``device`` is the device of all computations.
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
    through_mnist: Row = field(default_factory=dict)
    fine_tuned: NDArray[np.float32] | None = None

    @cached_property
    def writers(self) -> Writers:
        """The writers, with resamples that all intervals share."""
        return Writers.of(self.digits.writers, seed=self.seed)

    def answers(self, place: int, preparation: str, *, filtered: bool, without_copies: bool = False) -> Answers:
        """Return a network's predictions for the digits of a preparation; ``filtered`` leaves out rejected ones."""
        counted = self.digits.kept(preparation) if filtered else np.ones(len(self.digits.digits), bool)
        if without_copies:
            counted[[copy.row for copy in self.copies]] = False
        return Answers(self.predictions[place][preparation], self.digits.digits, counted)

    @property
    def families(self) -> list[str]:
        """The names of the networks with a training of the recipe, without repetition."""
        return list(dict.fromkeys(one.network for one in self.networks if one.training in TRAININGS))

    def of_step(self, network: str, step: Step) -> Answers | None:
        """Return a network's predictions at a step of the recipe; None if that training is not available."""
        places = [
            place for place, one in enumerate(self.networks) if one.network == network and one.training == step.training
        ]
        return self.answers(places[0], step.preparation, filtered=step.filtered) if places else None

    def network_rows(self) -> list[Row]:
        """Return a row for each network and preparation: accuracy and loss on accepted digits, also by group."""
        return [
            {
                "model": one.network,
                "training": one.training,
                "preparation": preparation,
                "mnist_accuracy": one.mnist_accuracy,
                **summary(answers, self.writers),
                "groups": by_group(answers, self.digits.groups, self.writers),
            }
            for place, one in enumerate(self.networks)
            for preparation in PREPARATIONS
            for answers in [self.answers(place, preparation, filtered=True)]
        ]

    def step_rows(self) -> list[Row]:
        """Return a row for each network and step of the recipe, with the gain over the previous available step."""
        return [row for network in self.families for row in self._steps_of(network)]

    def _steps_of(self, network: str) -> Iterator[Row]:
        before: tuple[Step, Answers] | None = None
        for step in STEPS:
            answers = self.of_step(network, step)
            row: Row = {"model": network, "step": step.number, "title": step.title, **asdict(step)}
            del row["number"]
            if answers is None:
                yield row | {"missing": f"{network}_{step.training} has not been trained"}
                continue
            row |= summary(answers, self.writers)
            if step.title == "per group":
                row["groups"] = by_group(answers, self.digits.groups, self.writers)
            elif before is not None:
                row |= {"gain_over": before[0].number, "gain": gain(answers, before[1], self.writers)}
            before = before if step.title == "per group" else (step, answers)
            yield row

    @property
    def looked_at(self) -> Answers:
        """The predictions of the chosen network for the digits that ``mnist`` accepts."""
        return self.answers(self.chosen, "mnist", filtered=True)

    def copying(self) -> Row:
        """Return limits, flagged digits, copying groups, and accuracies with and without flagged digits."""
        named = copying_groups(self.copies, self.digits.groups)
        rows = [copy.row for copy in self.copies]
        groups = np.unique(self.digits.groups)
        return {
            "compared_with": len(self.reference.ids),
            "limits": {"correlation": self.limits.correlation.tolist(), "distance": self.limits.distance.tolist()},
            "limits_from": self.limits.sampled,
            "flagged_of_mnist": self.limits.flagged,
            "flagged": [
                {"file": self.digits.files[copy.row], "group": int(self.digits.groups[copy.row]), **asdict(copy)}
                for copy in self.copies
            ],
            "by_group": {int(group): int((self.digits.groups[rows] == group).sum()) for group in groups},
            "groups": {str(group): {"flagged": count, "of": size} for group, (count, size) in named.items()},
            "accuracy": summary(self.looked_at, self.writers).get("accuracy"),
            "accuracy_without": self._without_copies(),
        }

    def _without_copies(self) -> Row:
        without = self.answers(self.chosen, "mnist", filtered=True, without_copies=True)
        return summary(without, self.writers)

    def duplicate_rows(self) -> list[Row]:
        """Return a row for each group of files that show the same digit."""
        return [
            {"files": [self.digits.files[row] for row in group.rows], "kind": group.kind}
            | {"correlation": group.correlation}
            for group in self.duplicates
        ]

    def feature(self, name: str) -> NDArray[np.float64]:
        """Return a feature (n,) of the digits; NaN without ink."""
        if name != "distance":
            return self.digits.measured(name)
        return np.where(self.digits.kept("mnist"), self.distance, np.nan)

    def hardness(self) -> list[Row]:
        """Return a row for each feature: its rank correlation with correct prediction, and its median by group."""
        rows = []
        counted = self.looked_at.counted
        for name in FEATURES:
            values = self.feature(name)
            known = counted & np.isfinite(values)
            if not known.any():
                continue
            correlation, interval = rank_correlation(values, self.looked_at.right, self.writers, counted)
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
        accepted = self.digits.kept("mnist")
        after = Answers(self.fine_tuned, self.digits.digits, accepted)
        return {
            **summary(after, self.writers),
            "gain": gain(after, self.looked_at, self.writers),
            "groups": by_group(after, self.digits.groups, self.writers),
        }

    def as_json(self) -> Row:
        """Return all results, ready for JSON."""
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
