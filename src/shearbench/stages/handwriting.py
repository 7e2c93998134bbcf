"""Stage ``handwriting``: measure the accuracy of trained networks on class digits, by step, group and writer.

Reads ``data/class_digits/``, the networks of ``build/ablations/handwriting/`` and of the runs on MNIST, and
``build/samples/``; writes the record ``build/handwriting/class_digits/``. Nothing is trained.
``commands.handwriting.study`` does the same for any folder.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from shearbench.data.dataset import read_samples
from shearbench.errors import InputError
from shearbench.handwriting.folder import read_folder
from shearbench.handwriting.networks import available
from shearbench.handwriting.output import print_results, write_findings
from shearbench.handwriting.results import Findings, findings_of
from shearbench.params import Params
from shearbench.pipeline.present import is_current
from shearbench.records import write_json
from shearbench.training.hardware import settle_hardware

CLASS = "class_digits"


def main(params: Params, root: Path) -> None:
    """Evaluate the networks on ``data/class_digits`` and print the results; without it, print a message."""
    if params.sources.class_digits is None or "mnist" not in params.sources.images:
        reason = "sources names no mnist with class_digits, which it is about"
        write_json(output(root) / "skipped.json", {"skipped": reason})
        print(f"handwriting is skipped: {reason}")
        return
    print_results(measure(params, root, root / "data" / CLASS, output(root)))


def output(root: Path) -> Path:
    """Return the output folder for ``data/class_digits``."""
    return root / "build" / "handwriting" / CLASS


def measure(params: Params, root: Path, folder: Path, out: Path, *, fine_tune: bool = False) -> dict[str, Any]:
    """Predict a folder with every available network, write the record ``out``, and return its results.

    Raises:
        InputError: as :func:`find`.
    """
    return write_findings(out, find(params, root, folder, fine_tune=fine_tune))


def find(params: Params, root: Path, folder: Path, *, fine_tune: bool = False) -> Findings:
    """Predict a folder with every available network.

    Raises:
        InputError: if there is no network, folder or readable file, or only one group for fine-tuning.
    """
    networks = available(root / "build", is_current=partial(is_current, params, root))
    digits = read_folder(folder, workers=params.execution.pool)
    if fine_tune and len(np.unique(digits.groups)) < 2:
        raise InputError(f"{folder} has digits of one group alone; --fine-tune needs another group to train on")
    train, test = (read_samples(root / "build" / "samples", split) for split in ("train", "test"))
    return findings_of(
        digits,
        networks,
        train,
        test,
        seed=params.seed,
        workers=params.execution.pool,
        device=settle_hardware(params.execution).device,
        fine_tune=fine_tune,
    )
