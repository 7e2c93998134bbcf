"""The teacher's page: the predictions for a class's pictures, as one HTML file that loads nothing from elsewhere.

``write_class`` writes ``index.html``, ``results.json`` and ``results.csv``; all three hold the same numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray

from shearbench import errors
from shearbench.comparison.champion import Prediction
from shearbench.handwriting.class_pictures import ClassPicture, data_uri
from shearbench.handwriting.readers import Readers, explain
from shearbench.records import csv_of, write_bytes, write_json, write_text
from shearbench.statistics.proportions import wilson

Row = dict[str, Any]

PAGE, RESULTS, TABLE = "index.html", "results.json", "results.csv"
_EXPLAINED = 60  # wrong and unsure pictures shown with Grad-CAM
_HEAT = np.array([255, 120, 0])


@dataclass(frozen=True, eq=False)
class ClassReport:
    """All results of a class: the predictions, the digits that look copied, and duplicate files."""

    name: str
    pictures: Sequence[ClassPicture]
    readers: Readers
    copies: Sequence[Row]
    copies_of: str  # the MNIST digits that were searched for copies
    duplicates: Sequence[Sequence[str]]
    misnamed: Sequence[str]

    @property
    def predicted(self) -> list[ClassPicture]:
        return [picture for picture in self.pictures if not picture.unread]

    def summary(self) -> Row:
        """Return the numbers at the top of the page."""
        labelled = [picture for picture in self.predicted if picture.file.digit is not None]
        return {
            "files": len(self.pictures),
            "read": len(self.predicted),
            "rejected": len(self.pictures) - len(self.predicted),
            "not_sure": sum(picture.digit is None for picture in self.predicted),
            "answered": _share([picture for picture in labelled if picture.digit is not None]),
            "all": _share(labelled),
        }

    def by(self, what: str) -> list[Row]:
        """Return a row for each group, or for each member of a group, over the labelled pictures."""
        rows: dict[tuple[str, ...], list[ClassPicture]] = {}
        for picture in self.predicted:
            file = picture.file
            if file.digit is not None and (file.group or file.member):
                rows.setdefault((file.group,) if what == "group" else (file.group, file.member), []).append(picture)
        if what == "group" and set(rows) <= {("",)}:
            return []
        return [
            {
                "name": " ".join(part for part in key if part) or "(no group)",
                "n": len(own),
                "not_sure": sum(picture.digit is None for picture in own),
                "wrong": [picture.file.shown for picture in own if picture.is_wrong],
                "all": _share(own),
            }
            for key, own in sorted(rows.items(), key=lambda item: [_number(part) for part in item[0]])
        ]

    def as_json(self) -> Row:
        return {
            "class": self.name,
            "readers": self.readers.facts,
            "summary": self.summary(),
            "groups": self.by("group"),
            "writers": self.by("writer"),
            "images": [picture.as_json() for picture in self.pictures],
            "copies": {"of": self.copies_of, "flagged": list(self.copies)},
            "duplicates": [list(group) for group in self.duplicates],
            "without_label": list(self.misnamed),
        }


def _number(text: str) -> tuple[int, str]:
    return (int(text), "") if text.isdecimal() else (10**9, text)


def _share(pictures: Sequence[ClassPicture]) -> Row | None:
    """Return number and share of pictures with the right most probable digit, with Wilson's 95 % interval."""
    if not pictures:
        return None
    right, n = sum(_of(picture).label == picture.file.digit for picture in pictures), len(pictures)
    low, high = wilson(right / n, n)
    return {"right": right, "n": n, "accuracy": right / n, "low": low, "high": high}


def _of(picture: ClassPicture) -> Prediction:
    assert picture.predicted is not None
    return picture.predicted


def write_class(folder: Path, report: ClassReport) -> Row:
    """Write the page and the results of a class; return the content of ``results.json``."""
    results = report.as_json()
    write_json(folder / RESULTS, results)
    write_text(folder / TABLE, table_of(report.pictures))
    page = page_of(report).encode(errors="backslashreplace")  # a file name may hold bytes that are no UTF-8
    write_bytes(folder / PAGE, page)
    return results


def table_of(pictures: Sequence[ClassPicture]) -> str:
    columns = ["file", "digit", "group", "member", "class", "best", "confidence", "runner_up", "doubt", "unread"]
    lines = [columns]
    for picture in pictures:
        row = picture.as_json() | {"file": picture.file.shown}
        lines.append([row.get(name, "") for name in columns])
    return csv_of(lines)


def page_of(report: ClassReport) -> str:
    ordered = sorted(
        report.predicted, key=lambda each: (not each.is_wrong, each.digit is not None, _of(each).confidence)
    )
    doubtful = [picture for picture in ordered if picture.digit is None or picture.is_wrong]
    shown = doubtful[:_EXPLAINED]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["shown"] = errors.shown  # a name may hold marks that change the order of reading
    return environment.get_template("class_page.html").render(
        report=report,
        summary=report.summary(),
        groups=report.by("group"),
        writers=report.by("writer"),
        closer=[_card(each) | {"seen": seen} for each, seen in zip(shown, _maps(report.readers, shown), strict=True)],
        more=len(doubtful) - len(shown),
        cards=[_card(picture) for picture in ordered],
        rejected=[picture for picture in report.pictures if picture.unread],
        threshold=report.readers.trust.threshold,
    )


def _card(picture: ClassPicture) -> Row:
    predicted = _of(picture)
    return {
        "file": picture.file.shown,
        "label": picture.file.digit,
        "state": "wrong" if picture.is_wrong else "unsure" if picture.digit is None else "sure",
        "best": predicted.label,
        "confidence": f"{100 * predicted.confidence:.0f} %",
        "runner_up": predicted.runner_up,
        "doubt": picture.doubt,
        "picture": picture.tiles[0],
        "prepared": picture.tiles[1],
    }


def _maps(readers: Readers, pictures: Sequence[ClassPicture]) -> list[str]:
    """Return the prepared images as data URIs, orange where the Grad-CAM map is high."""
    if not pictures:
        return []
    images = np.stack([picture.prepared.image for picture in pictures if picture.prepared is not None])
    maps = explain(readers, images, [_of(picture).label for picture in pictures])
    return [data_uri(heated(image, heat)) for image, heat in zip(images, maps, strict=True)]


def heated(image: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return an image (28, 28) in colour, (28, 28, 3), orange where ``heat`` (28, 28), 0 to 1, is high."""
    grey = np.repeat(image[..., None], 3, axis=2).astype(np.float64)
    share = 0.65 * heat[..., None]
    return np.asarray(np.round(grey * (1 - share) + _HEAT * share).astype(np.uint8))
