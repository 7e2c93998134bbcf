"""``shearbench handwriting DIR`` and ``shearbench predict FILE...`` with the readers that ship with the package.

They need no project and no training. ``read_class`` also writes ``build/handwriting/<class>/``: the teacher's page, and
the same numbers as JSON and CSV.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from shearbench.data.config import BundledMnist
from shearbench.data.handwritten import EXPLAINED, Unreadable, read_file
from shearbench.data.mnist import collect
from shearbench.handwriting import copies
from shearbench.handwriting.class_page import PAGE, RESULTS, TABLE, ClassReport, table_of, write_class
from shearbench.handwriting.class_reading import Reply, read_pictures
from shearbench.handwriting.folder import output_of
from shearbench.handwriting.naming import RULE, misnamed, named
from shearbench.handwriting.readers import Readers, load
from shearbench.handwriting.readers import explain as gradcam_maps
from shearbench.handwriting.sheet import SIDE, drawn, read_sheet
from shearbench.records import write_bytes, write_text

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
    replies = read_pictures(named(files, labels), readers)
    if table is not None:
        write_text(table, table_of(replies))
    images = [reply.as_json() for reply in replies]
    if explain:
        for reply, image in zip(replies, images, strict=True):
            if reply.reading is not None:
                image["explanation"] = str(_explained(reply, readers))
    return {"model": readers.facts, "images": images}


def _explained(reply: Reply, readers: Readers) -> Path:
    """Write a figure with a Grad-CAM map beside a file; return its path."""
    from shearbench.commands.prediction_figure import reading_figure
    from shearbench.plotting.canvas import png

    assert reply.reading is not None
    assert reply.look.prepared is not None
    assert reply.look.thumbnail is not None
    assert reply.probabilities is not None
    image, reading = reply.look.prepared.image, reply.reading
    verdict = f"read as {reading.digit}" if reply.digit is not None else f"not sure: {reading.digit}"
    content = png(
        reading_figure(
            f"{reply.look.file.shown}: {verdict} ({', '.join(readers.networks)})",
            reply.look.thumbnail,
            (image[None] / 255).astype(np.float32),
            gradcam_maps(readers, image[None], [reading.digit])[0],
            probabilities=reply.probabilities,
            reading=reading,
            threshold=readers.trust.threshold,
            method="Grad-CAM",
        )
    )
    path = reply.look.file.path.with_name(reply.look.file.path.name + EXPLAINED)
    write_bytes(path, content)
    return path


def print_sheets(result: dict[str, Any], *, quiet: bool) -> None:
    """Print the lines of digits of each sheet; ? marks a digit that is not sure."""
    for image in result["images"]:
        if "unread" in image:
            print(f"{image['file']}\t-" if quiet else f"{image['file']}: {image['unread']}")
            continue
        print("\n".join(f"{image['file']}\t{line}" for line in image["lines"]) if quiet else f"{image['file']}:")
        if not quiet:
            unsure = sum(digit["class"] is None for digit in image["digits"])
            print("\n".join(f"  {line}" for line in image["lines"]))
            print(f"  {len(image['digits'])} digits, {unsure} not sure; boxes: {image['boxes']}")
            print("  Digits that touch one another are not parted.")


def predict_many(files: Sequence[Path]) -> dict[str, Any]:
    """Return predictions for pictures with many digits each; write a copy with boxes beside each picture."""
    readers = load()
    return {"model": readers.facts, "images": [_sheet(one.path, readers) for one in named(files)]}


def _sheet(file: Path, readers: Readers) -> dict[str, Any]:
    try:
        picture = read_file(file, side=SIDE)
    except Unreadable as error:
        return {"file": str(file), "unread": str(error)}
    digits_found = read_sheet(picture, readers)
    if isinstance(digits_found, str):
        return {"file": str(file), "unread": digits_found}
    boxes = file.with_name(file.name + BOXES)
    drawn(picture, digits_found).save(boxes)
    digits = [
        {
            "line": found.line,
            "box": [found.box[2], found.box[0], found.box[3], found.box[1]],
            "class": reading.digit if reading.answered and not found.doubt else None,
            "best": reading.digit,
            "confidence": reading.confidence,
            "doubt": found.doubt,
        }
        for found, reading in digits_found
    ]
    lines: dict[int, str] = {}
    for found, reading in digits_found:
        text = str(reading.digit) if reading.answered and not found.doubt else "?"
        lines[found.line] = lines.get(found.line, "") + text
    height, width = picture.colour.shape[:2]
    return {
        "file": str(file),
        "size": [width, height],
        "lines": [*lines.values()],
        "digits": digits,
        "boxes": str(boxes),
    }


def read_class(root: Path, folder: Path, *, labels: Path | None = None) -> dict[str, Any]:
    """Classify a class's folder, write its page, print a summary, and return the results.

    Raises:
        InputError: if the folder does not exist, has no pictures, or the labels have an error.
    """
    began = time.monotonic()
    files = named([folder], labels)
    print_misnamed(misnamed(files))
    readers = load()
    replies = read_pictures(files, readers)
    report = ClassReport(folder.resolve().name, replies, readers, *_alike(replies), misnamed(files))
    out = output_of(root, folder)
    results = write_class(out, report)
    print_class(report, out, time.monotonic() - began)
    return results


def print_misnamed(files: Sequence[str]) -> None:
    """Print files without a digit in their name, and the rule for names."""
    for name in files[:_NAMED_AT_MOST]:
        print(f"{name}: no digit in its name, so its answer cannot be checked")
    if len(files) > _NAMED_AT_MOST:
        print(f"and {len(files) - _NAMED_AT_MOST} more without a digit in their names")
    if files:
        print(f"The rule: {RULE}")


def _alike(replies: Sequence[Reply]) -> tuple[list[dict[str, Any]], str, list[list[str]]]:
    """Return the digits that look copied from MNIST, the searched MNIST digits, and groups of duplicate files."""
    parts = collect(BundledMnist(kind="bundled"), Path())
    train, test = parts["train"], parts["test"]
    labels = np.concatenate([train.labels, test.labels]).astype(np.int64)
    reference = copies.Reference(train.images, test.images, labels, np.arange(len(labels)))
    limits = copies.limits_of(reference, seed=_SEED)
    read = [reply for reply in replies if reply.reading is not None and reply.look.prepared is not None]
    if not read:
        return [], f"{len(labels):,} digits of MNIST", []
    images = np.stack([reply.look.prepared.image for reply in read if reply.look.prepared is not None])
    usable = np.ones(len(read), bool)
    digits = np.array([reply.reading.digit for reply in read if reply.reading is not None])
    flagged = [
        {"file": read[copy.row].look.file.shown, "mnist": copy.mnist, "correlation": copy.correlation}
        for copy in copies.find_copies(images, usable, reference, limits)
    ]
    same = copies.find_duplicates(images, usable, [reply.look.digest for reply in read], digits, limits)
    groups = [[read[row].look.file.shown for row in group.rows] for group in same]
    return flagged, f"{len(labels):,} digits of MNIST", groups


def print_class(report: ClassReport, out: Path, seconds: float) -> None:
    """Print a summary and the path of the page."""
    summary = report.summary()
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{report.name}: {summary['files']} pictures, {summary['read']} read in {seconds:.0f} s", markup=False
    )
    for name, text in (("answered", "right where the readers are sure"), ("all", "right if every picture counts")):
        one = summary[name]
        if one is not None:
            share = f"{one['right']} of {one['n']} = {100 * one['accuracy']:.1f} %"
            console.print(f"  {text}: {share} (95 % interval {100 * one['low']:.1f} to {100 * one['high']:.1f})")
    console.print(f"  not sure: {summary['not_sure']}; not read: {summary['rejected']}")
    wrong = [reply.look.file.shown for reply in report.read if reply.is_wrong]
    if wrong:
        more = f" and {len(wrong) - 8} more" if len(wrong) > 8 else ""
        console.print(f"  read as another digit than named: {', '.join(wrong[:8])}{more}", markup=False)
    console.print(f"  like an MNIST digit: {len(report.copies)}; groups of equal pictures: {len(report.duplicates)}")
    console.print(f"  page for the teacher: {out / PAGE}", markup=False)
    console.print(f"  the same numbers:     {out / RESULTS} and {TABLE}", markup=False)
