"""Stage ``severity``: build/samples/test -> build/severity/<source>-<load>.npz, every step of each load.

The samples are those that the models divide among themselves (``evaluate.samples``). Without a dataset of fields the
folder has only its card.
"""

from pathlib import Path

from shearbench.analysis.settings import interleaved
from shearbench.data.config import FieldDataset
from shearbench.data.dataset import read_samples
from shearbench.data.mechanical import simulate_dataset
from shearbench.mechanics.loads import displacements_of
from shearbench.params import Params
from shearbench.records import write_json
from shearbench.seeds import generator_for


def main(params: Params, root: Path) -> None:
    """Simulate the test samples for the severity analysis.

    Raises:
        InputError: if the samples are missing or damaged.
        TasksFailed: if a sample has no equilibrium.
    """
    build = root / "build"
    loads = sorted({(entry.of, entry.load) for entry in params.datasets.values() if isinstance(entry, FieldDataset)})
    cards = {}
    for source, load in loads:
        samples = read_samples(build / "samples", "test", source)
        order = interleaved(samples.ids, samples.labels, generator_for(params.seed, "evaluate", "digits"))
        rows = order[: params.evaluate.samples * params.cv.networks]
        cards[f"{source}-{load}"] = simulate_dataset(
            samples.images[rows],
            build / "severity" / f"{source}-{load}.npz",
            ids=samples.ids[rows],
            load=load,
            steps=range(1, len(displacements_of(load))),
            shard_folder=build / "shards",
            workers=params.execution.pool,
        )
    write_json(build / "severity" / "card.json", cards)
