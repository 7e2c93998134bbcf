"""Stage ``datasets``: build/samples and build/fields -> build/datasets/<dataset>/{train.npz,test.npz,card.json}.

The fold table and the tuning part of the source are copied beside them, so the folder is self-contained. Published
fields are read from their archive, which is stored in build/downloads if it came from a URL.
"""

from pathlib import Path

from shearbench.data.dataset import (
    SPLITS,
    Dataset,
    Split,
    write_dataset,
)
from shearbench.params import Params
from shearbench.pipeline.inputs import copy_tables, field_facts, make_split, unit_text


def main(params: Params, root: Path) -> None:
    """Make every dataset of ``params``."""
    for name, entry in params.datasets.items():
        splits: dict[Split, Dataset] = {split: make_split(name, entry, split, root / "build") for split in SPLITS}
        facts = {"entry": entry.model_dump(), "units": unit_text(entry, splits["train"])}
        folder = root / "build" / "datasets" / name
        write_dataset(folder, splits, {**facts, **field_facts(entry, root / "build")})
        copy_tables(entry, root / "build", folder)
