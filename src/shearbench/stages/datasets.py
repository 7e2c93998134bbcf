"""Stage ``datasets``: build/digits and build/fields -> build/datasets/<dataset>/{train.npz,test.npz,card.json}."""

from pathlib import Path
from typing import Any

from shearbench.data.config import FieldDataset, ImageDataset
from shearbench.data.dataset import SPLITS, Dataset, Split, materialise, read_digits, read_fields, write_dataset
from shearbench.params import Params
from shearbench.records import read_json

UNITS = {"mnist": "grey value, 0 to 255", "simulated": "displacement in pixels: u_x to the right, u_y up"}


def main(params: Params, root: Path) -> None:
    """Make every dataset that ``params`` names."""
    for name, entry in params.datasets.items():
        splits: dict[Split, Dataset] = {split: make_split(name, entry, split, root / "build") for split in SPLITS}
        facts = {"entry": entry.model_dump(), "units": UNITS[entry.source], **field_facts(entry, root / "build")}
        write_dataset(root / "build" / "datasets" / name, splits, facts)


def make_split(name: str, entry: ImageDataset | FieldDataset, split: Split, build: Path) -> Dataset:
    """Make one split of a dataset from the digits and, where the entry asks for them, their fields."""
    digits = read_digits(build / "digits", split)
    fields = read_fields(_fields(build, split, entry)) if isinstance(entry, FieldDataset) else None
    return Dataset(name, digits.ids, materialise(entry, digits, fields), digits.labels)


def field_facts(entry: ImageDataset | FieldDataset, build: Path) -> dict[str, Any]:
    """Return what the simulation wrote down about each split of its fields; nothing for images."""
    if not isinstance(entry, FieldDataset):
        return {}
    return {"fields": {split: read_json(_fields(build, split, entry).with_suffix(".json")) for split in SPLITS}}


def _fields(build: Path, split: Split, entry: FieldDataset) -> Path:
    return build / "fields" / split / f"{entry.load}.npz"
