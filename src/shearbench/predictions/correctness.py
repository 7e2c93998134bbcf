"""The correctness of a run per sample, with the image and the group of each sample: the input of ``statistics``."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shearbench.data.dataset import SPLITS, read_samples, sources_in
from shearbench.predictions.folds import FoldRun, overlap_of
from shearbench.predictions.scores import BySample
from shearbench.statistics.crossed import clusters_of
from shearbench.statistics.runs import Run

Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Origins:
    """Id -> hash of the image that all datasets are made from, and id -> group (writer), or -1 if unknown."""

    images: Mapping[int, bytes]
    groups: Mapping[int, int]

    def images_of(self, ids: Ids) -> NDArray[np.bytes_]:
        """Return the hash of the image of each sample, (n,)."""
        return np.array([self.images[number] for number in ids.tolist()])

    def groups_of(self, ids: Ids) -> Ids:
        """Return the group of each sample, (n,)."""
        return np.array([self.groups[number] for number in ids.tolist()])

    def clusters_of(self, ids: Ids) -> Ids:
        """Return the cluster of each sample, (n,): its group, or a number of its own if the group is unknown."""
        return clusters_of(self.groups_of(ids), ids)


def read_origins(folder: Path) -> Origins:
    """Read the images and groups of all samples of every source in ``build/samples/``."""
    images: dict[int, bytes] = {}
    groups: dict[int, int] = {}
    for split in SPLITS:
        for source in sources_in(folder, split):
            samples = read_samples(folder, split, source)
            ids = samples.ids.tolist()
            groups |= dict(zip(ids, samples.groups.tolist(), strict=True))
            images |= {
                number: hashlib.sha256(image.tobytes()).hexdigest().encode()
                for number, image in zip(ids, samples.images, strict=True)
            }
    return Origins(images, groups)


def run_of(
    fold_runs: Sequence[FoldRun], held_out: BySample, test: BySample, origins: Origins, *, model: str | None = None
) -> Run:
    """Return the correctness of a run from its predictions; ``model`` replaces the name of its model."""
    record, repeats = fold_runs[0].record, len(held_out.correct)
    assert held_out.folds is not None
    return Run(
        dataset=record["dataset"],
        model=model or record["model"],
        data_hash=record["hashes"]["data"],
        ids=held_out.ids,
        folds=held_out.folds,
        correct=held_out.correct,
        test_ids=test.ids,
        test_correct=test.correct.reshape(repeats, -1, len(test.ids)),
        content=origins.images_of(held_out.ids),
        test_content=origins.images_of(test.ids),
        groups=origins.groups_of(held_out.ids),
        test_groups=origins.groups_of(test.ids),
        train_size=float(np.mean([fold_run.record["sizes"]["train"] for fold_run in fold_runs])),
        disjoint=not overlap_of(fold_runs),
    )
