"""``shearbench predict``: classify image files with one network of the project, with calibrated confidence.

Reads ``reports/comparison.json`` (the best model) and ``build/runs/<dataset>/<model>/``. Digits are prepared like
MNIST; for a dataset of fields they are also sheared like the dataset.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shearbench.analysis.gradcam.measure import attribute
from shearbench.commands.handwriting import write_explanation
from shearbench.comparison.champion import Prediction, Trust, champion_of, trust_of, trusted_predictions
from shearbench.comparison.table import best_of_each_dataset
from shearbench.data import raw
from shearbench.data.config import ImageDataset, Mnist
from shearbench.data.dataset import DIGITS, Fields, Samples, materialise, read_card
from shearbench.data.handwritten import EXPLAINED, FORMATS, Picture, Unreadable, read_file
from shearbench.data.image_folder import UNREADABLE, decode
from shearbench.errors import InputError, shown
from shearbench.execution.calls import progress_bar
from shearbench.handwriting.class_pictures import pictures_in, prediction_json
from shearbench.handwriting.preparation import Prepared, mnist
from shearbench.mechanics.loads import displacements_of
from shearbench.mechanics.simulation import simulate
from shearbench.params import Params
from shearbench.pipeline.present import read_run
from shearbench.predictions.calibration import apply_temperature
from shearbench.predictions.folds import FoldRun
from shearbench.records import csv_of, read_json, write_text
from shearbench.training.results import ESTIMATOR, WEIGHTS, load_network, predict

Inputs = NDArray[np.uint8] | NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PreparedFile:
    path: Path
    picture: Picture
    prepared: Prepared


@dataclass(frozen=True, eq=False)
class Champion:
    """The network for predictions, and the calibration of its confidence."""

    fold_run: FoldRun
    trust: Trust

    @property
    def facts(self) -> dict[str, Any]:
        """Name, hash and calibration of the network, ready for JSON."""
        record = self.fold_run.record
        named = {key: record[key] for key in ("dataset", "model", "fold")}
        (digest,) = [each for name, each in record["files"].items() if name in (WEIGHTS, ESTIMATOR)]
        return {**named, "weights": digest, **asdict(self.trust)}


def main(
    params: Params, root: Path, files: Sequence[Path], *, dataset: str, model: str | None, explain: bool
) -> dict[str, Any]:
    """Return the model and its prediction for every file, ready for JSON.

    Raises:
        InputError: if the dataset or model is unknown or untrained, or its networks do not match the present
            parameters, code and data.
    """
    prepared = _prepared_files(params, root, dataset, files)
    champion = choose(params, root, dataset, model)
    if explain and not champion.fold_run.is_network:
        raise InputError(
            f"--explain looks into a network, and {champion.fold_run.record['model']} is a classifier of scikit-learn; "
            "leave --explain out, or name a network with --model"
        )
    predicted = _predictions(params, champion, _legible(prepared), explain=explain)
    images = [{"file": str(file), **predicted.get(file, {"unread": one})} for file, one in prepared.items()]
    return {"model": champion.facts, "images": images}


def default_dataset(params: Params) -> str:
    """Return the default of ``--dataset``: ``mnist`` if the project has it, else the first dataset with a run."""
    first = next(iter([*(run.dataset for run in params.runs.values()), *params.datasets]))
    return "mnist" if "mnist" in params.datasets else first


def choose(params: Params, root: Path, dataset: str, model: str | None) -> Champion:
    """Return the network for a dataset: of ``model``, or of the best model by cross-validation."""
    trained = [run.model for run in params.runs.values() if run.dataset == dataset]
    if model is None:
        best = best_of_each_dataset(read_json(root / "reports" / "comparison.json"))
        if dataset not in best:
            raise InputError(
                f"reports/comparison.json has no network for {dataset}; run `dvc repro`, or name a --model"
            )
        model = best[dataset]
    elif model not in trained:
        raise InputError(f"--model must be one of {', '.join(trained) or 'none'} for {dataset}; got {model!r}")
    fold_runs = read_run(params, root, f"{dataset}-{model}")
    return Champion(champion_of(fold_runs), trust_of(fold_runs, params.predict.accuracy))


def request(params: Params, root: Path, files: Sequence[Path], *, dataset: str) -> dict[str, Any]:
    """Return the body of a request to ``/invocations`` of MLflow's server for these files.

    Raises:
        InputError: if a file cannot be read, because the request cannot report this.
    """
    prepared = _prepared_files(params, root, dataset, files)
    faults = [f"{file} {one}" for file, one in prepared.items() if isinstance(one, str)]
    if faults:
        raise InputError("; ".join(faults))
    inputs, failed = _inputs(params, dataset, _legible(prepared))
    if any(failed):
        raise InputError(f"{dataset}: no equilibrium was found for {failed.count(True)} of the images; leave them out")
    return {"inputs": inputs.astype(np.float32).round(6).tolist()}


def _prepared_files(params: Params, root: Path, dataset: str, paths: Sequence[Path]) -> dict[Path, PreparedFile | str]:
    """Return the prepared image of each file, or the reason why there is none; a folder stands for its pictures."""
    if dataset not in params.datasets:
        raise InputError(f"--dataset must be one of {', '.join(params.datasets)}; got {dataset!r}")
    card, entry = read_card(root / "build" / "datasets" / dataset), params.datasets[dataset]
    is_mnist = isinstance(params.sources.images[entry.origin], Mnist)  # others with classes 0 to 9 may be no digits
    channels, kind = (1, "uint8") if is_mnist else raw.format_of(root / "data" / entry.origin)
    if kind != "uint8":
        raise InputError(
            f"--dataset {dataset}: the images of its source {entry.origin} are {kind}, and a picture holds bytes, so "
            "its values are not those that it was trained on; store the images as uint8, 0 to 255, and train again"
        )
    as_trained = partial(_as_trained, size=tuple(card["size"]), channels=channels)
    prepare: Callable[[Path, Picture], Prepared] = (lambda _, picture: mnist(picture)) if is_mnist else as_trained
    files = [each for path in paths for each in (path.is_dir() and [*pictures_in(path)]) or [(path, "")]]
    prepared = {
        file: fault or _prepared_file(file, prepare) for file, fault in files if not file.name.endswith(EXPLAINED)
    }
    if not prepared:
        raise InputError(
            f"every FILE ends with {EXPLAINED}, as --explain names its pictures; name the images themselves"
        )
    return prepared


def _prepared_file(file: Path, prepare: Callable[[Path, Picture], Prepared]) -> PreparedFile | str:
    if file.is_dir():
        return "is a folder without pictures"
    if not file.is_file():
        return "there is no such file"
    try:
        picture = read_file(file)
        prepared = prepare(file, picture)
    except Unreadable as error:
        return str(error)
    except UNREADABLE as error:
        return f"cannot be decoded ({error})"
    return prepared.rejected or PreparedFile(file, picture, prepared)


def _as_trained(file: Path, picture: Picture, *, size: tuple[int, int], channels: int) -> Prepared:
    """Return a picture as `shearbench data` would take it: (height, width) in grey or (channels, height, width)."""
    image = decode(file, size, channels, FORMATS)
    return Prepared(image if channels == 1 else image.transpose(2, 0, 1), {"height": size[0], "width": size[1]})


def _legible(prepared: Mapping[Path, PreparedFile | str]) -> list[PreparedFile]:
    return [one for one in prepared.values() if isinstance(one, PreparedFile)]


def _inputs(params: Params, dataset: str, files: Sequence[PreparedFile]) -> tuple[Inputs, list[bool]]:
    """Return the inputs of a dataset's networks for these files, and a list of failed simulations."""
    images = np.stack([file.prepared.image for file in files])
    entry, ids = params.datasets[dataset], np.arange(len(images))
    digits = Samples("the files", ids, images, np.zeros(len(images), np.int64))
    if isinstance(entry, ImageDataset):
        return materialise(entry, digits), [False] * len(images)
    displacement = displacements_of(entry.load, images.shape[1])[entry.step]
    solved = simulate(images, load=entry.load, displacements=[displacement], failures="record")
    steps = np.array([entry.step])
    fields = Fields("the files", ids, steps, np.nan_to_num(solved.displacement).astype(np.float32))
    return materialise(entry, digits, fields), [not each for each in solved.converged[:, 0]]


def _predictions(
    params: Params, champion: Champion, files: Sequence[PreparedFile], *, explain: bool
) -> dict[Path, dict[str, Any]]:
    if not files:
        return {}
    record, trust = champion.fold_run.record, champion.trust
    inputs, failed = _inputs(params, record["dataset"], files)
    network, normaliser, _ = load_network(champion.fold_run.folder)
    raw = predict(network, inputs, normaliser=normaliser)
    calibrated = apply_temperature(raw, trust.temperature)
    name: Callable[[int], int | str] = int if tuple(record["classes"]) == DIGITS else record["classes"].__getitem__
    results: dict[Path, dict[str, Any]] = {}
    chosen: list[tuple[int, PreparedFile, Prediction]] = []
    for row, (file, predicted, no_field) in enumerate(zip(files, trusted_predictions(raw, trust), failed, strict=True)):
        if no_field:
            results[file.path] = {"unread": "no equilibrium was found when it was sheared"}
            continue
        results[file.path] = prediction_json(predicted, calibrated[row], file.prepared, name=name)
        chosen.append((row, file, predicted))
    if explain:
        with progress_bar("Grad-CAM", 0, len(chosen)) as show:
            for done, (row, file, predicted) in enumerate(chosen, start=1):
                seen = normaliser.apply(inputs[row : row + 1])
                path = _explain(champion, network, file, seen, calibrated[row], predicted)
                results[file.path]["explanation"] = str(path)
                show(done)
    return results


def _explain(
    champion: Champion,
    network: torch.nn.Module,
    file: PreparedFile,
    seen: NDArray[np.float32],
    probabilities: NDArray[np.float64],
    predicted: Prediction,
) -> Path:
    found, record = (
        attribute(network, torch.from_numpy(seen), torch.tensor([predicted.label])),
        champion.fold_run.record,
    )
    return write_explanation(
        file.path,
        file.picture.colour,
        seen[0],
        found.maps[0],
        predicted=predicted,
        probabilities=probabilities,
        doubt=file.prepared.doubt,
        classes=record["classes"],
        threshold=champion.trust.threshold,
        model=f"{record['model']} on {record['dataset']}, fold {record['fold']}",
        method={"grad-cam": "Grad-CAM", "saliency": "saliency"}[found.method],
    )


def write_table(path: Path, images: Sequence[Mapping[str, Any]]) -> None:
    """Write predictions as CSV."""
    columns = ["file", "class", "best", "confidence", "runner_up", "doubt", "unread"]
    rows = [[image.get(name, "") for name in columns] for image in images]
    write_text(path, csv_of([columns, *rows]))


def print_result(result: dict[str, Any], *, quiet: bool) -> None:
    """Print the predictions; with ``quiet`` only file and class: ? if not sure, - if the file cannot be read."""
    if quiet:
        for image in result["images"]:
            label = image.get("class", "-")
            print(f"{shown(image['file'])}\t{'?' if label is None else label}")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("file", overflow="fold")
    table.add_column("predicted", no_wrap=True)
    table.add_column("confidence", justify="right", no_wrap=True)
    table.add_column("runner-up", no_wrap=True)
    table.add_column("", overflow="fold")
    for image in result["images"]:
        table.add_row(*map(escape, _row(image)))
    console = Console()
    console.print(table)
    console.print(escape(_calibration(result["model"])), style="dim")
    if written := [image["explanation"] for image in result["images"] if "explanation" in image]:
        console.print(f"Grad-CAM of {len(written)}: beside each file, FILE{EXPLAINED}", style="dim")


def _row(image: dict[str, Any]) -> list[str]:
    file = shown(image["file"])
    if "unread" in image:
        return [file, "-", "", "", shown(image["unread"])]
    label, confidence = image["class"], f"{100 * image['confidence']:.1f} %"
    runner_up = f"{image['runner_up']} ({100 * image['runner_up_confidence']:.1f} %)"
    if label is None:
        reason = image["doubt"] or f"most probable: {image['best']}"
        return [file, "?", confidence, runner_up, f"not sure: {reason}"]
    return [file, str(label), confidence, runner_up, ""]


def _calibration(network: dict[str, Any]) -> str:
    if "readers" in network:
        return (
            f"Predicted by {' and '.join(network['readers'])} of shearbench, {network['views']} views. Confidence is "
            f"calibrated on {network['predictions']:,} digits of other writers, drawn with other pens. A prediction is "
            f"sure from {100 * network['threshold']:.1f} % on."
        )
    calibrated = (
        f"{network['model']} trained on {network['dataset']}, fold {network['fold']}. Confidence is calibrated on "
        f"{network['predictions']:,} held-out samples of {network['dataset']} "
        f"(temperature {network['temperature']:.2f})."
    )
    if network["threshold"] is None:
        return f"{calibrated} No confidence reaches the accuracy of {100 * network['demanded']:g} % in params.yaml."
    return (
        f"{calibrated} A prediction is sure from {100 * network['threshold']:.1f} % on: "
        f"{100 * network['coverage']:.1f} % of these samples, with accuracy {100 * network['accuracy']:.1f} %. "
        "Images of another origin are harder."
    )
