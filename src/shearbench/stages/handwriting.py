"""Stage ``handwriting``: how well the trained networks read a class's own digits, whom they fail, and why.

Reads ``data/class_digits/``, the networks of
``build/ablations/handwriting/`` and of the runs on MNIST, and ``build/samples/``; writes the record
``build/handwriting/class_digits/``. Nothing is trained. ``class_folder`` does the same for any folder.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from shearbench.data.dataset import Samples, read_samples
from shearbench.errors import InputError
from shearbench.handwriting import copies, recipe
from shearbench.handwriting.fine_tuning import leave_one_group_out
from shearbench.handwriting.folder import ClassDigits, read_folder
from shearbench.handwriting.networks import SAMPLED, distances, read_all
from shearbench.handwriting.output import nodes, write_findings
from shearbench.handwriting.preparation import PREPARATIONS, mnist
from shearbench.handwriting.reading import Picture
from shearbench.handwriting.results import Findings
from shearbench.handwriting.tables import print_results
from shearbench.params import Params
from shearbench.seeds import generator_for
from shearbench.stages.present import is_current
from shearbench.training.hardware import settle_device

CLASS = "class_digits"
_CHECKED = 1000  # MNIST test digits that are sent through the preparation


def main(params: Params, root: Path) -> None:
    """Read the class of ``data/class_digits`` and print what was found."""
    print_results(measure(params, root, root / "data" / CLASS, output(root)))


def output(root: Path) -> Path:
    """Return where the findings about ``data/class_digits`` go."""
    return root / "build" / "handwriting" / CLASS


def track(params: Params, root: Path, out: Path) -> bool:
    """Send MLflow the record ``out``; return whether it has it now."""
    from shearbench import tracking

    return tracking.track_nodes(root, params, nodes(out))


def measure(params: Params, root: Path, folder: Path, out: Path, *, fine_tune: bool = False) -> dict[str, Any]:
    """Read a folder with every network at hand, write the record ``out``, and return its results.

    Raises:
        InputError: if there is no network, no such folder or nothing in it to read, or only one group to fine-tune on.
    """
    networks = recipe.at_hand(root / "build", is_current=partial(is_current, params, root))
    digits = read_folder(folder, workers=params.execution.pool)
    if fine_tune and len(np.unique(digits.groups)) < 2:
        raise InputError(f"{folder} has digits of one group alone; --fine-tune needs another group to train on")
    train, test = (read_samples(root / "build" / "samples", split) for split in ("train", "test"))
    findings = _found(params, digits, networks, train, test, fine_tune=fine_tune)
    return write_findings(out, findings)


def _found(
    params: Params,
    digits: ClassDigits,
    networks: list[recipe.Trained],
    train: Samples,
    test: Samples,
    *,
    fine_tune: bool,
) -> Findings:
    seed, workers, device = params.seed, params.execution.pool, settle_device(params.execution)
    images = {name: digits.images(name) for name in PREPARATIONS}
    predictions = read_all(networks, images, workers=workers, device=device)
    chosen = recipe.chosen(networks)
    checked = generator_for(seed, "handwriting", "checked").permutation(len(test.ids))[:_CHECKED]
    through = _through_mnist(test.images[checked])
    (unchanged,) = read_all([chosen], through, workers=workers, device=device)
    reference = copies.Reference(
        train.images,
        test.images,
        np.concatenate([train.labels, test.labels]),
        np.concatenate([train.ids, test.ids]),
    )
    limits = copies.limits_of(reference, seed=seed)
    prepared, kept = images["mnist"], digits.kept("mnist")
    rows = generator_for(seed, "handwriting", "distance").permutation(len(train.ids))[:SAMPLED]
    known = train.images[rows], train.labels[rows]
    place = networks.index(chosen)
    return Findings(
        digits=digits,
        networks=networks,
        predictions=predictions,
        chosen=place,
        seed=seed,
        copies=copies.find_copies(prepared, kept, reference, limits),
        duplicates=copies.find_duplicates(
            prepared, kept, [str(sheet.facts["sha256"]) for sheet in digits.read], digits.digits, limits
        ),
        limits=limits,
        reference=reference,
        distance=distances(chosen, prepared, *known, workers=workers, device=device),
        device=device,
        through_mnist=_lost(unchanged, through, test.labels[checked]),
        fine_tuned=leave_one_group_out(
            chosen, prepared, digits.digits, digits.groups, seed=seed, workers=workers, device=device
        )
        if fine_tune
        else None,
    )


def _through_mnist(images: Any) -> dict[str, Any]:
    """Return MNIST digits as they are and as the preparation ``mnist`` makes them, which should change nothing."""
    opaque, side = np.full(images.shape[1:], 255, np.uint8), images.shape[1:]
    pictures = [Picture(np.repeat(one[..., None], 3, axis=2), opaque, one, "PNG", "L", side) for one in images]
    return {"as they are": images, "through mnist": np.stack([mnist(picture).image for picture in pictures])}


def _lost(predictions: Mapping[str, Any], through: Mapping[str, Any], labels: Any) -> dict[str, Any]:
    before, after = (float((predictions[name].argmax(axis=2) == labels).mean()) for name in through)
    return {"n": len(labels), "accuracy": before, "accuracy_prepared": after}
