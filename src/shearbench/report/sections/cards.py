"""The card of every model on every dataset."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.report.blocks import Block, Facts, Heading, Prose, Section
from shearbench.report.card import facts_of
from shearbench.report.pictures import evaluations, missing

_TEXT = """A card has what a user of one model needs: data, recipe, scores, weaknesses and how to load it.
`shearbench export FOLDER` writes each as `MODEL_CARD.md`."""


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    evaluated = {(record["dataset"], record["model"]) for _, record in evaluations(root, rows)}
    blocks: list[Block] = [Prose(_TEXT)]
    for row in rows:
        if (row["dataset"], row["model"]) in evaluated:
            facts = [pair for of_heading in facts_of(root, row).values() for pair in of_heading.items()]
            blocks += [Heading(f"{row['model']} on {row['dataset']}"), Facts(facts)]
    return Section("cards", "Model cards", blocks, missing(root, rows))
