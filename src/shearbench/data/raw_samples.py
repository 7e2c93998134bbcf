"""The samples of a source under ``data/``, with ids."""

from pathlib import Path

import numpy as np

from shearbench.data import own_images
from shearbench.data.dataset import SPLITS, Samples, Split
from shearbench.data.idx import GROUPS_FILES, MNIST_FILES, read_groups, read_pair
from shearbench.data.writers import unknown


def read_raw(folder: Path, first_id: int = 0) -> dict[Split, Samples]:
    """Read ``data/<source>/``; ids count on from ``first_id`` through the training and the test samples."""
    if (folder / own_images.CLASSES).is_file():
        return own_images.read(folder, first_id)
    samples: dict[Split, Samples] = {}
    for split in SPLITS:
        images, labels = read_pair(*(folder / name for name in MNIST_FILES[split]))
        ids = np.arange(first_id, first_id + len(labels), dtype=np.int64)
        known = folder / GROUPS_FILES[split]
        groups = read_groups(known) if known.is_file() else unknown(len(labels))
        samples[split] = Samples(str(folder / MNIST_FILES[split][0]), ids, images, labels.astype(np.int64), groups)
        first_id += len(labels)
    return samples
