"""``shearbench predict``: classify image files with one network of the project, with calibrated confidence.

Reads ``reports/comparison.json`` (the best model) and ``build/runs/<dataset>/<model>/``. Digits are prepared like
MNIST; for a dataset of fields they are also sheared like the dataset.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shearbench.analysis.gradcam.measure import attribute
from shearbench.commands.prediction_figure import reading_figure
from shearbench.comparison.champion import Reading, Trust, champion_of, readings, trust_of
from shearbench.comparison.table import best_of_each_dataset
from shearbench.data.config import ImageDataset
from shearbench.data.convert import to_channels, to_size
from shearbench.data.dataset import DIGITS, Fields, Samples, materialise, read_card
from shearbench.data.handwritten import EXPLAINED, SIDE, Picture, Unreadable, read_file
from shearbench.errors import InputError
from shearbench.handwriting.naming import pictures_in
from shearbench.handwriting.preparation import Prepared, mnist
from shearbench.mechanics.loads import displacements_of
from shearbench.mechanics.simulation import simulate
from shearbench.params import Params
from shearbench.pipeline.present import read_run
from shearbench.plotting.canvas import png
from shearbench.predictions.calibration import apply_temperature
from shearbench.predictions.folds import FoldRun
from shearbench.records import read_json, write_bytes
from shearbench.text import shown
from shearbench.training.weights import ESTIMATOR, WEIGHTS, load_network, predict

Inputs = NDArray[np.uint8] | NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Sheet:
    """A file and its prepared image; ``unread`` is the reason why it cannot be read, empty if it can."""

    file: Path
    picture: Picture | None
    prepared: Prepared | None
    unread: str = ""


@dataclass(frozen=True)
class Wanted:
    """The format of a source's images: names of its ``classes``, ``size`` (height, width) and ``channels``."""

    classes: tuple[str, ...]
    size: tuple[int, int]
    channels: int

    @property
    def is_mnist(self) -> bool:
        """Whether classes and size are those of MNIST."""
        return self.classes == DIGITS and self.size == (SIDE, SIDE)

    def image(self, picture: Picture) -> NDArray[np.uint8]:
        """Return a picture in this format, (height, width) in grey or (channels, height, width), on white."""
        opaque = picture.opacity[..., None].astype(np.float32) / 255
        colour = (picture.colour * opaque + 255 * (1 - opaque)).round().astype(np.uint8)
        converted = to_channels("the files", colour.transpose(2, 0, 1)[None], self.channels)
        resized: NDArray[np.uint8] = to_size(converted, self.size)[0]
        return resized[0] if self.channels == 1 else resized


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
    champion = choose(params, root, dataset, model)
    if explain and not champion.fold_run.is_network:
        raise InputError(
            f"--explain looks into a network, and {champion.fold_run.record['model']} is a classifier of scikit-learn; "
            "leave --explain out, or name a network with --model"
        )
    wanted = wanted_of(params, root, dataset)
    sheets = [prepare(file, wanted) for file in _found(files) if not file.name.endswith(EXPLAINED)]
    if not sheets:
        raise InputError(
            f"every FILE ends with {EXPLAINED}, as --explain names its pictures; name the images themselves"
        )
    legible = [sheet for sheet in sheets if not sheet.unread]
    read = _read(params, champion, legible, explain=explain) if legible else []
    found = iter(read)
    images = [
        {"file": str(sheet.file), **(next(found) if not sheet.unread else {"unread": sheet.unread})} for sheet in sheets
    ]
    return {"model": champion.facts, "images": images}


def default_dataset(params: Params) -> str:
    """Return the default of ``--dataset``: ``mnist`` if the project has it, else its first dataset."""
    return "mnist" if "mnist" in params.datasets else next(iter(params.datasets))


def choose(params: Params, root: Path, dataset: str, model: str | None) -> Champion:
    """Return the network for a dataset: of ``model``, or of the best model by cross-validation."""
    if dataset not in params.datasets:
        raise InputError(f"--dataset must be one of {', '.join(params.datasets)}; got {dataset!r}")
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
    if dataset not in params.datasets:
        raise InputError(f"--dataset must be one of {', '.join(params.datasets)}; got {dataset!r}")
    wanted = wanted_of(params, root, dataset)
    sheets = [prepare(file, wanted) for file in _found(files)]
    faults = [f"{sheet.file} {sheet.unread}" for sheet in sheets if sheet.unread]
    if faults:
        raise InputError("; ".join(faults))
    inputs, failed = _inputs(params, dataset, sheets)
    if any(failed):
        raise InputError(f"{dataset}: no equilibrium was found for {failed.count(True)} of the images; leave them out")
    return {"inputs": inputs.astype(np.float32).round(6).tolist()}


def _found(paths: Sequence[Path]) -> list[Path]:
    """Return the files, with folders replaced by their pictures; an empty folder stays."""
    return [file for path in paths for file in (path.is_dir() and list(pictures_in(path))) or [path]]


def wanted_of(params: Params, root: Path, dataset: str) -> Wanted:
    """Return the image format of a dataset's source, from the card of the dataset."""
    card, entry = read_card(root / "build" / "datasets" / dataset), params.datasets[dataset]
    channels = entry.channels if isinstance(entry, ImageDataset) and entry.channels != 2 else 1
    return Wanted(tuple(card["classes"]), (card["size"][0], card["size"][1]), channels)


def prepare(file: Path, wanted: Wanted) -> Sheet:
    """Read and prepare one file; ``unread`` holds the reason if that fails.

    A digit is prepared like MNIST. Any other image gets the size and channels of the source.
    """
    if file.is_dir():
        return Sheet(file, None, None, "is a folder without pictures")
    if not file.is_file():
        return Sheet(file, None, None, "there is no such file")
    try:
        picture = read_file(file)
    except Unreadable as error:
        return Sheet(file, None, None, str(error))
    if wanted.is_mnist:
        prepared = mnist(picture)
    else:
        prepared = Prepared(wanted.image(picture), {"height": wanted.size[0], "width": wanted.size[1]})
    return Sheet(file, picture, prepared, prepared.rejected)


def _inputs(params: Params, dataset: str, sheets: Sequence[Sheet]) -> tuple[Inputs, list[bool]]:
    """Return the inputs of a dataset's networks for these files, and a list of failed simulations."""
    images = np.stack([sheet.prepared.image for sheet in sheets if sheet.prepared is not None])
    entry, ids = params.datasets[dataset], np.arange(len(images))
    digits = Samples("the files", ids, images, np.zeros(len(images), np.int64))
    if isinstance(entry, ImageDataset):
        return materialise(entry, digits), [False] * len(images)
    displacement = displacements_of(entry.load, images.shape[1])[entry.step]
    solved = simulate(images, load=entry.load, displacements=[displacement], failures="record")
    steps = np.array([entry.step])
    fields = Fields("the files", ids, steps, np.nan_to_num(solved.displacement).astype(np.float32))
    return materialise(entry, digits, fields), [not each for each in solved.converged[:, 0]]


def _read(params: Params, champion: Champion, sheets: Sequence[Sheet], *, explain: bool) -> list[dict[str, Any]]:
    """Return the prediction for each sheet, ready for JSON."""
    inputs, failed = _inputs(params, champion.fold_run.record["dataset"], sheets)
    network, normaliser, _ = load_network(champion.fold_run.folder)
    raw = predict(network, inputs, normaliser=normaliser)
    predicted = readings(raw, champion.trust)
    calibrated = apply_temperature(raw, champion.trust.temperature)
    results = []
    for row, (sheet, reading, no_field) in enumerate(zip(sheets, predicted, failed, strict=True)):
        if no_field:
            results.append({"unread": "no equilibrium was found when it was sheared"})
            continue
        result = _result(sheet, reading, calibrated[row], champion.fold_run.record["classes"])
        if explain:
            seen = normaliser.apply(inputs[row : row + 1])
            result["explanation"] = str(_explain(champion, network, sheet, seen, calibrated[row], reading))
        results.append(result)
    return results


def _named(label: int, classes: Sequence[str]) -> int | str:
    """Return the name of a class; for digits, the number."""
    return label if tuple(classes) == DIGITS else classes[label]


def _result(
    sheet: Sheet, reading: Reading, probabilities: NDArray[np.float64], classes: Sequence[str]
) -> dict[str, Any]:
    assert sheet.prepared is not None
    return {
        "class": _named(reading.digit, classes) if reading.answered and not sheet.prepared.doubt else None,
        "best": _named(reading.digit, classes),
        "confidence": reading.confidence,
        "runner_up": _named(reading.runner_up, classes),
        "runner_up_confidence": reading.runner_up_confidence,
        "doubt": sheet.prepared.doubt,
        "probabilities": probabilities.tolist(),
        "prepared": dict(sheet.prepared.done),
    }


def _explain(
    champion: Champion,
    network: torch.nn.Module,
    sheet: Sheet,
    seen: NDArray[np.float32],
    probabilities: NDArray[np.float64],
    reading: Reading,
) -> Path:
    """Write the figure of one prediction beside its file; return the path."""
    assert sheet.picture is not None
    assert sheet.prepared is not None
    found = attribute(network, torch.from_numpy(seen), torch.tensor([reading.digit]))
    record = champion.fold_run.record
    best, second = (record["classes"][label] for label in (reading.digit, reading.runner_up))
    verdict = f"read as {best}" if reading.answered else f"not sure: {best} or {second}"
    verdict = f"not sure: {sheet.prepared.doubt}" if sheet.prepared.doubt else verdict
    drawn = reading_figure(
        f"{sheet.file.name}: {verdict} ({record['model']} on {record['dataset']}, fold {record['fold']})",
        sheet.picture.colour,
        seen[0],
        found.maps[0],
        probabilities=probabilities,
        reading=reading,
        classes=record["classes"],
        threshold=champion.trust.threshold,
        method={"grad-cam": "Grad-CAM", "saliency": "saliency"}[found.method],
    )
    path = sheet.file.with_name(sheet.file.name + EXPLAINED)
    write_bytes(path, png(drawn))
    return path


def print_result(result: dict[str, Any], *, quiet: bool) -> None:
    """Print the predictions; with ``quiet`` only file and class: ? if not sure, - if not read."""
    if quiet:
        for image in result["images"]:
            label = image.get("class", "-")
            print(f"{shown(image['file'])}\t{'?' if label is None else label}")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("file", overflow="fold")
    table.add_column("read as", no_wrap=True)
    table.add_column("confidence", justify="right", no_wrap=True)
    table.add_column("runner-up", no_wrap=True)
    table.add_column("", overflow="fold")
    for image in result["images"]:
        table.add_row(*map(escape, _row(image)))
    console = Console()
    console.print(table)
    console.print(escape(_declared(result["model"])), style="dim")
    if written := [image["explanation"] for image in result["images"] if "explanation" in image]:
        console.print(f"Grad-CAM of {len(written)}: beside each file, FILE{EXPLAINED}", style="dim")


def _row(image: dict[str, Any]) -> list[str]:
    if "unread" in image:
        return [shown(image["file"]), "-", "", "", shown(image["unread"])]
    sure = image["class"] is not None
    note = "" if sure else f"not sure; most probable: {image['best']}"
    if image.get("doubt"):
        note = f"not sure: {image['doubt']}"
    runner_up = f"{image['runner_up']} ({100 * image['runner_up_confidence']:.1f} %)"
    return [
        shown(image["file"]),
        str(image["class"]) if sure else "?",
        f"{100 * image['confidence']:.1f} %",
        runner_up,
        note,
    ]


def _declared(network: dict[str, Any]) -> str:
    if "readers" in network:
        who = f"Read by {' and '.join(network['readers'])} of shearbench, {network['views']} views."
        basis = f"{network['predictions']:,} digits of other writers, drawn with other pens"
        return f"{who} Confidence is calibrated on {basis}. An answer needs {100 * network['threshold']:.1f} %."
    who = f"{network['model']} trained on {network['dataset']}, fold {network['fold']}."
    basis = f"{network['predictions']:,} digits of {network['dataset']} that were held out in training"
    calibrated = f"Confidence is calibrated on {basis} (temperature {network['temperature']:.2f})."
    answered, demanded = 100 * network["coverage"], 100 * network["demanded"]
    if network["threshold"] is None:
        return (
            f"{who} {calibrated} No share of them was read at the {demanded:g} % that params.yaml demands: no answers."
        )
    return (
        f"{who} {calibrated} It answers from {100 * network['threshold']:.1f} % on: that would have answered "
        f"{answered:.1f} % of them, {100 * network['accuracy']:.1f} % of these rightly. "
        "Images of another origin are harder."
    )
