"""Stage ``simulate``: build/samples -> build/fields/{train,test}/<load>.npz, for every load that a dataset names.

The finished part of a killed run is kept under build/shards and taken up again.
"""

from collections import defaultdict
from pathlib import Path

from shearbench.data.config import SimulatedDataset
from shearbench.data.mechanical import simulate_dataset
from shearbench.params import Params
from shearbench.records import read_npz, write_json, write_npz

SPLITS = ("train", "test")


def main(params: Params, root: Path) -> None:
    """Simulate each load once, at all the steps that the datasets of ``params`` ask of it."""
    build = root / "build"
    for split in SPLITS:
        samples = read_npz(build / "samples" / f"{split}.npz")
        folder = build / "fields" / split
        folder.mkdir(parents=True, exist_ok=True)
        for load, steps in steps_of(params).items():
            fields = simulate_dataset(
                samples["images"],
                load=load,
                steps=steps,
                shard_folder=build / "shards",
                workers=params.execution.pool,
            )
            write_npz(folder / f"{load}.npz", {"ids": samples["ids"], **fields.arrays()})
            write_json(folder / f"{load}.json", fields.card())


def steps_of(params: Params) -> dict[str, list[int]]:
    """Return the steps asked of each load, in order."""
    steps = defaultdict(set)
    for entry in params.datasets.values():
        if isinstance(entry, SimulatedDataset):
            steps[entry.load].add(entry.step)
    return {load: sorted(asked) for load, asked in sorted(steps.items())}
