"""How long `shearbench handwriting` takes on a class of 1,000 pictures, start and page included.

    python benchmarks/read_class.py                # this machine, as it is
    python benchmarks/read_class.py --avx2         # limited to AVX2

The pictures are the bundled MNIST test digits, drawn with a dark pen on 300 x 300 pixels of grainy paper under a lamp.
Printed are seconds by the clock and CPU seconds of all processes. Beside other work only the latter can be compared.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from shearbench.data.config import BundledMnist
from shearbench.data.mnist import collect

SIDE = 300
AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}


def write_pictures(folder: Path, count: int) -> None:
    """Write ``count`` pictures named digit-group-member.png, of ten groups."""
    part = collect(BundledMnist(kind="bundled"), Path())["test"]
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    for number, (digit, label) in enumerate(zip(part.images[:count], part.labels[:count], strict=True)):
        size = int(SIDE * rng.uniform(0.5, 0.9))
        drawn = np.asarray(Image.fromarray(digit).resize((size, size), Image.Resampling.BICUBIC)) / 255.0
        ink = np.zeros((SIDE, SIDE))
        top, left = rng.integers(0, SIDE - size + 1, 2)
        ink[top : top + size, left : left + size] = np.clip((drawn - 0.35) / 0.3, 0, 1)
        paper = 200 + 30 * (rng.uniform(-1, 1) * x + rng.uniform(-1, 1) * y) + rng.normal(0, 4, ink.shape)
        picture = np.clip(paper + (40 - paper) * ink, 0, 255).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"{label}-{1 + number % 10}-{number}.png")


def main() -> None:
    """Write the pictures, read them and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--avx2", action="store_true")
    parser.add_argument("--pictures", type=int, default=1000)
    arguments = parser.parse_args()
    with TemporaryDirectory() as place:
        folder = Path(place) / "class"
        folder.mkdir()
        write_pictures(folder, arguments.pictures)
        command = [str(Path(sys.executable).with_name("shearbench")), "handwriting", str(folder)]
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run(command, cwd=place, env={**os.environ, **(AVX2 if arguments.avx2 else {})}, check=True)
        after, seconds = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - began
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{arguments.pictures} pictures: {seconds:.1f} s, {cpu:.1f} CPU s")


if __name__ == "__main__":
    main()
