"""The teacher's page: the predictions for a class's pictures, as one HTML file that loads nothing from elsewhere.

``write_class`` writes ``index.html``, ``results.json`` and ``results.csv``; all three hold the same numbers.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray

from shearbench.handwriting.class_reading import Reply
from shearbench.handwriting.folder import csv_cell
from shearbench.handwriting.looking import data_uri
from shearbench.handwriting.readers import Readers, explain
from shearbench.records import write_json, write_text
from shearbench.statistics.proportions import wilson

Row = dict[str, Any]

PAGE, RESULTS, TABLE = "index.html", "results.json", "results.csv"
_EXPLAINED = 60  # wrong and unsure pictures shown with Grad-CAM
_HEAT = np.array([255, 120, 0])


@dataclass(frozen=True, eq=False)
class ClassReport:
    """All results of a class: the predictions, the digits that look copied, and duplicate files."""

    name: str
    replies: Sequence[Reply]
    readers: Readers
    copies: Sequence[Row]
    copies_of: str
    """The MNIST digits that were searched for copies."""
    duplicates: Sequence[Sequence[str]]
    misnamed: Sequence[str]

    @property
    def read(self) -> list[Reply]:
        """The pictures with a prediction."""
        return [reply for reply in self.replies if reply.reading is not None]

    def summary(self) -> Row:
        """Return the numbers at the top of the page."""
        labelled = [reply for reply in self.read if reply.look.file.digit is not None]
        return {
            "files": len(self.replies),
            "read": len(self.read),
            "rejected": len(self.replies) - len(self.read),
            "not_sure": sum(reply.digit is None for reply in self.read),
            "answered": _share(labelled, among="answered"),
            "all": _share(labelled, among="all"),
        }

    def by(self, what: str) -> list[Row]:
        """Return a row for each group, or for each member of a group, over the labelled pictures."""
        rows: dict[tuple[str, ...], list[Reply]] = {}
        for reply in self.read:
            file = reply.look.file
            if file.digit is not None and (file.group or file.member):
                rows.setdefault((file.group,) if what == "group" else (file.group, file.member), []).append(reply)
        if what == "group" and set(rows) <= {("",)}:
            return []
        return [
            {"name": " ".join(part for part in key if part) or "(no group)", "n": len(own)}
            | {"not_sure": sum(reply.digit is None for reply in own)}
            | {"wrong": [reply.look.file.shown for reply in own if reply.is_wrong], "all": _share(own, among="all")}
            for key, own in sorted(rows.items(), key=lambda item: [_number(part) for part in item[0]])
        ]

    def as_json(self) -> Row:
        """Return all results, ready for JSON."""
        return {
            "class": self.name,
            "readers": self.readers.facts,
            "summary": self.summary(),
            "groups": self.by("group"),
            "writers": self.by("writer"),
            "images": [reply.as_json() for reply in self.replies],
            "copies": {"of": self.copies_of, "flagged": list(self.copies)},
            "duplicates": [list(group) for group in self.duplicates],
            "without_label": list(self.misnamed),
        }


def _number(text: str) -> tuple[int, str]:
    return (int(text), "") if text.isdecimal() else (10**9, text)


def _share(replies: Sequence[Reply], *, among: str) -> Row | None:
    """Return the number and share of correct predictions, with Wilson's 95 % interval; None without any.

    ``answered`` counts the predictions that the readers are sure of; ``all`` counts the most probable digit of each.
    """
    known = [reply for reply in replies if among == "all" or reply.digit is not None]
    if not known:
        return None
    right = sum(reply.reading is not None and reply.reading.digit == reply.look.file.digit for reply in known)
    low, high = wilson(right / len(known), len(known))
    return {"right": right, "n": len(known), "accuracy": right / len(known), "low": low, "high": high}


def write_class(folder: Path, report: ClassReport) -> Row:
    """Write the page and the results of a class; return the content of ``results.json``."""
    results = report.as_json()
    write_json(folder / RESULTS, results)
    write_text(folder / TABLE, table_of(report.replies))
    write_text(folder / PAGE, page_of(report))
    return results


def table_of(replies: Sequence[Reply]) -> str:
    """Return a CSV table with a row for each file."""
    columns = ["file", "digit", "group", "member", "class", "best", "confidence", "runner_up", "doubt", "unread"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="", extrasaction="ignore")
    writer.writeheader()
    for reply in replies:
        row = reply.as_json() | {"file": reply.look.file.shown}
        writer.writerow({key: csv_cell(value) if isinstance(value, str) else value for key, value in row.items()})
    return text.getvalue()


def page_of(report: ClassReport) -> str:
    """Return the page as HTML."""
    ordered = sorted(report.read, key=_doubtfulness)
    shown = [reply for reply in ordered if reply.digit is None or reply.is_wrong][:_EXPLAINED]
    maps = _maps(report.readers, shown)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("class_page.html").render(
        report=report,
        summary=report.summary(),
        groups=report.by("group"),
        writers=report.by("writer"),
        closer=[_card(reply) | {"seen": data_uri(seen)} for reply, seen in zip(shown, maps, strict=True)],
        more=sum(reply.digit is None or reply.is_wrong for reply in ordered) - len(shown),
        cards=[_card(reply) for reply in ordered],
        rejected=[reply.look for reply in report.replies if reply.reading is None],
        threshold=report.readers.trust.threshold,
    )


def _doubtfulness(reply: Reply) -> tuple[bool, bool, float]:
    assert reply.reading is not None
    return (not reply.is_wrong, reply.digit is not None, reply.reading.confidence)


def _card(reply: Reply) -> Row:
    assert reply.reading is not None
    state = "wrong" if reply.is_wrong else "unsure" if reply.digit is None else "sure"
    return {
        "file": reply.look.file.shown,
        "label": reply.look.file.digit,
        "state": state,
        "best": reply.reading.digit,
        "confidence": f"{100 * reply.reading.confidence:.0f} %",
        "runner_up": reply.reading.runner_up,
        "runner_up_confidence": f"{100 * reply.reading.runner_up_confidence:.0f} %",
        "doubt": reply.doubt,
        "picture": reply.look.tiles[0],
        "prepared": reply.look.tiles[1],
    }


def _maps(readers: Readers, shown: Sequence[Reply]) -> list[NDArray[np.uint8]]:
    """Return the prepared images in colour, orange where the Grad-CAM map is high."""
    if not shown:
        return []
    prepared = [reply.look.prepared for reply in shown]
    images = np.stack([one.image for one in prepared if one is not None])
    digits = [reply.reading.digit for reply in shown if reply.reading is not None]
    return [heated(image, heat) for image, heat in zip(images, explain(readers, images, digits), strict=True)]


def heated(image: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return an image (28, 28) in colour, (28, 28, 3), orange where ``heat`` (28, 28), 0 to 1, is high."""
    grey = np.repeat(image[..., None], 3, axis=2).astype(np.float64)
    share = 0.65 * heat[..., None]
    colour: NDArray[np.uint8] = np.round(grey * (1 - share) + _HEAT * share).astype(np.uint8)
    return colour
