"""``shearbench handwriting DIR``, and ``shearbench predict FILE...`` with the readers that ship with the package.

The readers need no project and no training. ``predict_class`` writes the teacher's page, and the same numbers as JSON
and CSV, to ``build/handwriting/<class>/``. ``study`` (``--study``) uses the project's networks.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from shearbench.data.config import BundledMnist
from shearbench.data.handwritten import Unreadable, read_file
from shearbench.data.mnist import collect
from shearbench.errors import few
from shearbench.handwriting import copies
from shearbench.handwriting.class_page import PAGE, RESULTS, TABLE, ClassReport, table_of, write_class
from shearbench.handwriting.class_pictures import RULE, ClassPicture, misnamed, named, predict_pictures
from shearbench.handwriting.folder import output_of
from shearbench.handwriting.readers import Readers, load
from shearbench.handwriting.readers import explain as gradcam_maps
from shearbench.handwriting.sheet import SIDE, drawn, predict_sheet
from shearbench.params import Params
from shearbench.records import write_text

BOXES = ".boxes.png"
"""Suffix of the pictures with boxes that ``--many`` writes beside a sheet."""
_SEED = 42
_NAMED_AT_MOST = 5


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
        for picture, image in zip(pictures, images, strict=True):
            if picture.predicted is not None:
                image["explanation"] = str(_explained(picture, readers))
    return {"model": readers.facts, "images": images}


def _explained(picture: ClassPicture, readers: Readers) -> Path:
    """Write a figure with a Grad-CAM map beside a file; return its path."""
    from shearbench.commands.prediction_figure import write_explanation

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


def print_sheets(result: dict[str, Any], *, quiet: bool) -> None:
    """Print the lines of digits of each sheet; ? marks a digit that is not sure."""
    for image in result["images"]:
        if "unread" in image:
            print(f"{image['file']}\t-" if quiet else f"{image['file']}: {image['unread']}")
        elif quiet:
            print("\n".join(f"{image['file']}\t{line}" for line in image["lines"]))
        else:
            unsure = sum(digit["class"] is None for digit in image["digits"])
            print("\n".join([f"{image['file']}:", *(f"  {line}" for line in image["lines"])]))
            print(f"  {len(image['digits'])} digits, {unsure} not sure; boxes: {image['boxes']}")
            print("  Touching digits are not separated.")


def predict_many(files: Sequence[Path]) -> dict[str, Any]:
    """Return predictions for pictures with many digits each; write a copy with boxes beside each picture."""
    readers = load()
    return {"model": readers.facts, "images": [_sheet(one.path, readers) for one in named(files)]}


def _sheet(file: Path, readers: Readers) -> dict[str, Any]:
    try:
        picture = read_file(file, side=SIDE)
    except Unreadable as error:
        return {"file": str(file), "unread": str(error)}
    digits_found = predict_sheet(picture, readers)
    if isinstance(digits_found, str):
        return {"file": str(file), "unread": digits_found}
    boxes = file.with_name(file.name + BOXES)
    drawn(picture, digits_found).save(boxes)
    digits: list[dict[str, Any]] = [
        {
            "line": found.line,
            "box": [found.box[2], found.box[0], found.box[3], found.box[1]],
            "class": predicted.label if predicted.answered and not found.doubt else None,
            "best": predicted.label,
            "confidence": predicted.confidence,
            "doubt": found.doubt,
        }
        for found, predicted in digits_found
    ]
    lines: dict[int, str] = {}
    for digit in digits:
        lines[digit["line"]] = lines.get(digit["line"], "") + ("?" if digit["class"] is None else str(digit["class"]))
    height, width = picture.colour.shape[:2]
    return {
        "file": str(file),
        "size": [width, height],
        "lines": [*lines.values()],
        "digits": digits,
        "boxes": str(boxes),
    }


def predict_class(root: Path, folder: Path, *, labels: Path | None = None) -> dict[str, Any]:
    """Classify a class's folder, write its page, print a summary, and return the results.

    Raises:
        InputError: if the folder does not exist, has no pictures, or the labels have an error.
    """
    began = time.monotonic()
    files = named([folder], labels)
    unlabelled = misnamed(files)
    for name in unlabelled[:_NAMED_AT_MOST]:
        print(f"{name}: no digit in its name, so its prediction cannot be checked")
    if len(unlabelled) > _NAMED_AT_MOST:
        print(f"and {len(unlabelled) - _NAMED_AT_MOST} more without a digit in their names")
    if unlabelled:
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
    return flagged, searched, [[looks[row].file.shown for row in group.rows] for group in same]


def _print_class(report: ClassReport, out: Path, seconds: float) -> None:
    summary = report.summary()
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{report.name}: {summary['files']} pictures, {summary['read']} classified in {seconds:.0f} s", markup=False
    )
    for name, text in (("answered", "accuracy of sure predictions"), ("all", "accuracy of all predictions")):
        one = summary[name]
        if one is not None:
            share = f"{one['right']} of {one['n']} = {100 * one['accuracy']:.1f} %"
            console.print(f"  {text}: {share} (95 % CI {100 * one['low']:.1f} to {100 * one['high']:.1f})")
    console.print(f"  not sure: {summary['not_sure']}; not classified: {summary['rejected']}")
    wrong = [picture.file.shown for picture in report.predicted if picture.is_wrong]
    if wrong:
        console.print(f"  predicted as another digit than named: {few(wrong, most=8)}", markup=False)
    console.print(f"  like an MNIST digit: {len(report.copies)}; groups of duplicates: {len(report.duplicates)}")
    console.print(f"  page for the teacher: {out / PAGE}", markup=False)
    console.print(f"  the same numbers:     {out / RESULTS} and {TABLE}", markup=False)
