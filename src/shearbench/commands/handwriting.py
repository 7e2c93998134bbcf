"""``shearbench handwriting DIR``, and ``shearbench predict FILE...`` with the readers that ship with the package.

The readers need no project and no training. ``predict_class`` writes the teacher's page, and the same numbers as JSON
and CSV, to ``build/handwriting/<class>/``. ``study`` (``--study``) uses the project's networks. ``write_explanation``
draws the figure of ``shearbench predict --explain``: file, network input, Grad-CAM map and class probabilities.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from rich.console import Console

from shearbench.comparison.champion import Prediction
from shearbench.data.config import BundledMnist
from shearbench.data.dataset import DIGITS
from shearbench.data.handwritten import EXPLAINED
from shearbench.data.mnist import collect
from shearbench.errors import few, shown
from shearbench.execution.calls import progress_bar
from shearbench.handwriting import copies
from shearbench.handwriting.class_page import PAGE, RESULTS, TABLE, ClassReport, table_of, write_class
from shearbench.handwriting.class_pictures import RULE, ClassPicture, misnamed, named, predict_pictures
from shearbench.handwriting.folder import output_of
from shearbench.handwriting.readers import Readers, load
from shearbench.handwriting.readers import explain as gradcam_maps
from shearbench.params import Params
from shearbench.plotting.canvas import BLUE, GREY, ORANGE, figure, plain, png, shortened
from shearbench.records import write_bytes, write_text

_SEED = 42
_NAMED_AT_MOST = 5
_OPACITY = 0.8
_FRAME = "#bbbbbb"
_INCH = 2.3
_BARS = 10  # number of classes drawn


def predict(
    files: Sequence[Path], *, labels: Path | None = None, table: Path | None = None, explain: bool = False
) -> dict[str, Any]:
    """Return the readers and their predictions for files and folders, ready for JSON; write them to ``table`` as CSV.

    ``explain`` writes a figure with a Grad-CAM map beside each file.
    """
    readers = load()
    pictures = predict_pictures(named(files, labels), readers)
    if table is not None:
        write_text(table, table_of(pictures))
    images = [picture.as_json() for picture in pictures]
    if explain:
        with progress_bar("Grad-CAM", 0, len(images)) as show:
            for done, (picture, image) in enumerate(zip(pictures, images, strict=True), start=1):
                if picture.predicted is not None:
                    image["explanation"] = str(_explained(picture, readers))
                show(done)
    return {"model": readers.facts, "images": images}


def _explained(picture: ClassPicture, readers: Readers) -> Path:
    """Write a figure with a Grad-CAM map beside a file; return its path."""
    predicted, prepared, thumbnail = picture.predicted, picture.prepared, picture.thumbnail
    assert predicted is not None
    assert prepared is not None
    assert thumbnail is not None
    assert picture.probabilities is not None
    return write_explanation(
        picture.file.path,
        thumbnail,
        (prepared.image[None] / 255).astype(np.float32),
        gradcam_maps(readers, prepared.image[None], [predicted.label])[0],
        predicted=predicted,
        probabilities=picture.probabilities,
        doubt=picture.doubt,
        threshold=readers.trust.threshold,
        model=", ".join(readers.networks),
    )


def predict_class(root: Path, folder: Path, *, labels: Path | None = None) -> dict[str, Any]:
    """Classify a class's folder, write its page, print a summary, and return the results.

    Raises:
        InputError: if the folder does not exist, has no pictures, or the labels have an error.
    """
    began = time.monotonic()
    files = named([folder], labels)
    unlabelled = misnamed(files)
    for name in unlabelled[:_NAMED_AT_MOST]:
        where = f"in {labels}" if labels else "in its name"
        print(f"{shown(name)}: no digit {where}, so its prediction cannot be checked")
    if len(unlabelled) > _NAMED_AT_MOST:
        print(f"and {len(unlabelled) - _NAMED_AT_MOST} more without a digit")
    if unlabelled and labels is None:
        print(f"The rule: {RULE}")
    readers = load()
    pictures = predict_pictures(files, readers)
    report = ClassReport(folder.resolve().name, pictures, readers, *_alike(pictures), unlabelled)
    out = output_of(root, folder)
    results = write_class(out, report)
    _print_class(report, out, time.monotonic() - began)
    return results


def study(params: Params, root: Path, folder: Path, *, fine_tune: bool) -> dict[str, Any]:
    """Run the stage ``handwriting`` on a user's folder, print and track the results, and write a report with them.

    Returns:
        The content of ``results.json`` of the record ``build/handwriting/<name>-<digest>/``.
    """
    from shearbench.handwriting.output import print_results
    from shearbench.stages import handwriting, report, track

    out = output_of(root, folder)
    results = handwriting.measure(params, root, folder, out, fine_tune=fine_tune)
    print_results(results)
    track.main(params, root)
    print(f"Tables and pictures: {out}")
    if (root / "reports" / "comparison.json").is_file():
        page = out.with_suffix(".html")
        report.main(params, root, page)
        print(f"Report with this class: {page}")
    else:
        print("No report yet: run `dvc repro`, then this command again")
    return results


def _alike(pictures: Sequence[ClassPicture]) -> tuple[list[dict[str, Any]], str, list[list[str]]]:
    """Return the digits that look copied from MNIST, the searched MNIST digits, and groups of duplicate files."""
    parts = collect(BundledMnist(kind="bundled"), Path())
    train, test = parts["train"], parts["test"]
    labels = np.concatenate([train.labels, test.labels]).astype(np.int64)
    reference = copies.Reference(train.images, test.images, labels, np.arange(len(labels)))
    limits = copies.limits_of(reference, seed=_SEED)
    searched = f"{len(labels):,} digits of MNIST"
    read = [
        (picture, picture.prepared.image, picture.predicted.label)
        for picture in pictures
        if picture.predicted is not None and picture.prepared is not None
    ]
    if not read:
        return [], searched, []
    looks, pictures, digits = zip(*read, strict=True)
    images, usable = np.stack(pictures), np.ones(len(read), bool)
    flagged = [
        {"file": looks[copy.row].file.shown, "mnist": copy.mnist, "correlation": copy.correlation}
        for copy in copies.find_copies(images, usable, reference, limits)
    ]
    same = copies.find_duplicates(images, usable, [look.digest for look in looks], np.array(digits), limits)
    groups = [[looks[row] for row in group.rows] for group in same]
    # Prepared images can be alike because of a shadow; only sure digits, or the same bytes, are worth a hint.
    named_ones = [
        group
        for group in groups
        if len({look.digest for look in group}) == 1 or all(look.digit is not None for look in group)
    ]
    return flagged, searched, [[look.file.shown for look in group] for group in named_ones]


def _print_class(report: ClassReport, out: Path, seconds: float) -> None:
    summary = report.summary()
    console = Console(highlight=False, soft_wrap=True)
    pictures = f"{summary['files']} picture{'' if summary['files'] == 1 else 's'}"
    console.print(f"{shown(report.name)}: {pictures}, {summary['read']} classified in {seconds:.0f} s", markup=False)
    for name, text in (("answered", "accuracy of sure predictions"), ("all", "accuracy of all predictions")):
        one = summary[name]
        if one is not None:
            share = f"{one['right']} of {one['n']} = {100 * one['accuracy']:.1f} %"
            console.print(f"  {text}: {share} (95 % CI {100 * one['low']:.1f} to {100 * one['high']:.1f})")
    console.print(f"  not sure: {summary['not_sure']}; not classified: {summary['rejected']}")
    unread = [f"{picture.file.shown}: {picture.unread}" for picture in report.pictures if picture.unread]
    for reason in unread[:_NAMED_AT_MOST]:
        console.print(f"    {shown(reason)}", markup=False)
    if len(unread) > _NAMED_AT_MOST:
        console.print(f"    and {len(unread) - _NAMED_AT_MOST} more, named on the page")
    wrong = [shown(picture.file.shown) for picture in report.predicted if picture.is_wrong]
    if wrong:
        console.print(f"  predicted as another digit than named: {few(wrong, most=8)}", markup=False)
    console.print(f"  like an MNIST digit: {len(report.copies)}; groups of duplicates: {len(report.duplicates)}")
    console.print(f"  page for the teacher: {out / PAGE}", markup=False)
    console.print(f"  the same numbers:     {out / RESULTS} and {TABLE}", markup=False)


def write_explanation(
    file: Path,
    picture: NDArray[np.uint8],
    seen: NDArray[np.float32],
    weight: NDArray[np.float32],
    *,
    predicted: Prediction,
    probabilities: NDArray[np.float64],
    doubt: str,
    classes: Sequence[str] = DIGITS,
    threshold: float | None,
    model: str,
    method: str = "Grad-CAM",
) -> Path:
    """Write the figure of one prediction beside its file; return the path.

    Args:
        picture: the content of the file, (h, w, 3).
        seen: the normalised input of the network, (channels, h, w).
        weight: the map of the predicted class by the attribution ``method``, (h, w), 0 to 1.
        probabilities: calibrated, (classes,).
        doubt: the reason to doubt that the file shows one digit; empty without one.
        threshold: the least confidence of a sure prediction; None if no prediction is sure.
    """
    best, second = classes[predicted.label], classes[predicted.runner_up]
    unsure = doubt or ("" if predicted.answered else f"{best} or {second}")
    made = figure(_INCH * (len(seen) + 2) + 3.2, _INCH + 0.9)
    made.suptitle(f"{file.name}: {f'not sure: {unsure}' if unsure else f'predicted as {best}'} ({model})", fontsize=11)
    grid = made.subplots(1, len(seen) + 3, width_ratios=[*(1,) * (len(seen) + 2), 1.3])
    for axes in grid[:-1]:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color(_FRAME)
    grid[0].imshow(picture)
    grid[0].set_title("the file", fontsize=10)
    _draw_input(list(grid[1:-2]), seen)
    size = np.sqrt((seen**2).sum(axis=0))
    grid[-2].imshow(size, cmap="gray_r", vmin=0)
    grid[-2].imshow(np.dstack([np.full((*weight.shape, 3), to_rgb(ORANGE)), _OPACITY * weight]))
    grid[-2].set_title(f"{method} for {shortened(best)}" if weight.any() else f"{method}: no map", fontsize=10)
    _bars(grid[-1], probabilities, predicted.label, classes, threshold)
    path = file.with_name(file.name + EXPLAINED)
    write_bytes(path, png(made))
    return path


def _draw_input(row: list[Axes], seen: NDArray[np.float32]) -> None:
    """Draw the input on one scale: grey for an image; for a field, blue below and red above the mean."""
    signed = seen.min() < 0
    largest = float(np.abs(seen).max()) or 1.0
    size = f"input, {seen.shape[1]} x {seen.shape[2]}"
    names = ("$u_x$", "$u_y$") if signed and len(seen) == 2 else (size,) * len(seen)
    for axes, channel, name in zip(row, seen, names, strict=True):
        axes.imshow(channel, cmap="RdBu_r" if signed else "gray_r", vmin=-largest if signed else 0, vmax=largest)
        axes.set_title(name, fontsize=10)


def _bars(
    axes: Axes, probabilities: NDArray[np.float64], best: int, classes: Sequence[str], threshold: float | None
) -> None:
    """Draw the calibrated probabilities of the most probable classes, and the threshold of a sure prediction."""
    plain(axes)
    shown = np.sort(np.argsort(-probabilities, kind="stable")[:_BARS])
    colours = [BLUE if label == best else GREY for label in shown]
    axes.barh(range(len(shown)), probabilities[shown], color=colours)
    axes.set_yticks(range(len(shown)), [shortened(classes[label]) for label in shown])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("calibrated probability", fontsize=9)
    axes.set_ylabel("class", fontsize=9)
    axes.tick_params(labelsize=8)
    if threshold is not None:
        axes.axvline(threshold, color=ORANGE, linewidth=1.2)
        axes.set_title(f"sure from {threshold:.3f} on", fontsize=10, color=ORANGE)
