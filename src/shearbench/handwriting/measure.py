"""Measurements of a class: predictions, copies, duplicates, distances, and a check of the preparation."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from shearbench.data.dataset import Samples
from shearbench.data.handwritten import Picture
from shearbench.execution.calls import Workers
from shearbench.handwriting import copies, recipe
from shearbench.handwriting.fine_tuning import leave_one_group_out
from shearbench.handwriting.folder import ClassDigits
from shearbench.handwriting.networks import SAMPLED, distances, read_all
from shearbench.handwriting.preparation import PREPARATIONS, mnist
from shearbench.handwriting.results import Findings
from shearbench.seeds import generator_for
from shearbench.training.hardware import Device

_CHECKED = 1000  # MNIST test digits for the check of the preparation


def findings_of(
    digits: ClassDigits,
    networks: list[recipe.Trained],
    train: Samples,
    test: Samples,
    *,
    seed: int,
    workers: Workers,
    device: Device,
    fine_tune: bool,
) -> Findings:
    """Return all results of a class.

    Args:
        digits: the class's samples.
        networks: all available networks.
        train: MNIST's training samples, searched for originals of copies.
        test: MNIST's test samples, likewise.
        seed: seed of ``params.yaml``.
        workers: number of processes for predictions.
        device: device for predictions.
        fine_tune: whether to fine-tune the chosen network too, leaving out one group at a time.
    """
    images = {name: digits.images(name) for name in PREPARATIONS}
    predictions = read_all(networks, images, workers=workers, device=device)
    chosen = recipe.chosen(networks)
    checked = generator_for(seed, "handwriting", "checked").permutation(len(test.ids))[:_CHECKED]
    through = _through_mnist(test.images[checked])
    (mnist_predictions,) = read_all([chosen], through, workers=workers, device=device)
    reference = copies.Reference(
        train.images,
        test.images,
        np.concatenate([train.labels, test.labels]),
        np.concatenate([train.ids, test.ids]),
    )
    limits = copies.limits_of(reference, seed=seed)
    prepared, accepted = images["mnist"], digits.kept("mnist")
    rows = generator_for(seed, "handwriting", "distance").permutation(len(train.ids))[:SAMPLED]
    known = train.images[rows], train.labels[rows]
    place = networks.index(chosen)
    return Findings(
        digits=digits,
        networks=networks,
        predictions=predictions,
        chosen=place,
        seed=seed,
        copies=copies.find_copies(prepared, accepted, reference, limits),
        duplicates=copies.find_duplicates(
            prepared, accepted, [str(sheet.facts["sha256"]) for sheet in digits.read], digits.digits, limits
        ),
        limits=limits,
        reference=reference,
        distance=distances(chosen, prepared, *known, workers=workers, device=device),
        device=device,
        through_mnist=_check_of_preparation(mnist_predictions, through, test.labels[checked]),
        fine_tuned=leave_one_group_out(
            chosen, prepared, digits.digits, digits.groups, seed=seed, workers=workers, device=device
        )
        if fine_tune
        else None,
    )


def _through_mnist(images: Any) -> dict[str, Any]:
    """Return MNIST digits unchanged and after the preparation ``mnist``, which should not change them."""
    opaque, side = np.full(images.shape[1:], 255, np.uint8), images.shape[1:]
    pictures = [Picture(np.repeat(one[..., None], 3, axis=2), opaque, one, "PNG", "L", side) for one in images]
    return {"as they are": images, "through mnist": np.stack([mnist(picture).image for picture in pictures])}


def _check_of_preparation(predictions: Mapping[str, Any], through: Mapping[str, Any], labels: Any) -> dict[str, Any]:
    before, after = (float((predictions[name].argmax(axis=2) == labels).mean()) for name in through)
    return {"n": len(labels), "accuracy": before, "accuracy_prepared": after}
