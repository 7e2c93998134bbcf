"""Stage ``simulate``: build/samples -> build/fields/{train,test}/<source>-<load>.npz, for every load of a dataset.

Finished shards of a killed run are kept in build/shards and reused.
"""

from collections import defaultdict
from pathlib import Path

from shearbench.data.config import SimulatedDataset
from shearbench.data.dataset import SPLITS, Samples, read_samples
from shearbench.data.mechanical import simulate_dataset
from shearbench.errors import InputError
from shearbench.params import Params
from shearbench.records import write_json


def main(params: Params, root: Path) -> None:
    """Simulate each load once, at all steps that the datasets of ``params`` use."""
    build = root / "build"
    for split in SPLITS:
        folder = build / "fields" / split
        folder.mkdir(parents=True, exist_ok=True)
        for (source, load), steps in steps_of(params).items():
            samples = read_samples(build / "samples", split, source)
            check_grey(samples, source)
            output = folder / f"{source}-{load}.npz"
            card = simulate_dataset(
                samples.images,
                output,
                ids=samples.ids,
                load=load,
                steps=steps,
                shard_folder=build / "shards",
                workers=params.execution.pool,
            )
            write_json(output.with_suffix(".json"), card)


def check_grey(samples: Samples, source: str) -> None:
    """Check that images are grey, because their values are the stiffness of the block.

    Raises:
        InputError: if the images have colours or are not bytes.
    """
    if not samples.grey:
        raise InputError(
            f"a simulated dataset needs grey images of bytes, and {source} has {samples.images.dtype} images "
            f"{samples.images.shape[1:]}; set sources.{source}.channels: 1, or take another source"
        )


def steps_of(params: Params) -> dict[tuple[str, str], list[int]]:
    """Return the sorted steps that datasets use, by source and load."""
    steps = defaultdict(set)
    for entry in params.datasets.values():
        if isinstance(entry, SimulatedDataset):
            steps[entry.of, entry.load].add(entry.step)
    return {key: sorted(found) for key, found in sorted(steps.items())}
