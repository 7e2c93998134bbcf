"""Check that images fit into memory before they are read; the error names the numbers."""

import os

from shearbench.errors import InputError

COPIES = 4
"""Largest number of copies of the images in memory: the original, as floats, and in the parts of a split."""


def check_memory(key: str, count: int, size: tuple[int, int], channels: int, itemsize: int = 1) -> None:
    """Raise InputError if the arrays of images would not fit into memory.

    Args:
        key: of the source in ``params.yaml``.
        count: number of images.
        size: (height, width).
        channels: of each image.
        itemsize: bytes per value.

    Raises:
        InputError: with the required memory, the available memory, and a size that would fit.
    """
    needed = count * size[0] * size[1] * channels * itemsize
    most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // COPIES
    if needed > most:
        share = (most / needed) ** 0.5
        fits = [max(8, int(side * share)) for side in size]
        raise InputError(
            f"{key}: {count:,} images of {size[0]} x {size[1]} x {channels} take {needed / 1e9:.1f} GB, and this "
            f"machine holds {most / 1e9:.1f} GB of them (a {COPIES}th of its memory); set {key}.resize: {fits}, or use "
            "fewer images"
        )
