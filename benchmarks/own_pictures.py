"""What a newcomer with pictures waits for: ``shearbench init --images``, then ``make repro`` in the new project.

    python benchmarks/own_pictures.py                          # 5,000 drawn pictures of 64 x 64 pixels in 5 classes
    python benchmarks/own_pictures.py --shearbench ENV/bin     # by the programs of another environment, as of a wheel

A picture shows one shape: its place, size, angle and colours are drawn, and noise is added. Seconds by the clock and
CPU seconds of all processes, for ``init`` and each stage, and the accuracies go to
``build/benchmarks/own_pictures.json``. On a machine with other work the CPU seconds alone can be compared.
"""

import argparse
import json
import math
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw

from first_minutes import processor, rows, run

SHAPES = ("cross", "ring", "square", "star", "triangle")
OUT = Path("build") / "benchmarks" / "own_pictures.json"
NOISE = 12  # standard deviation, of 255
_FINE = 3  # a shape is drawn so many times larger, for smooth edges


def draw(folder: Path, pictures: int, side: int) -> None:
    """Write ``folder/<shape>/<number>.png``, as many of each shape."""
    rng = np.random.default_rng(0)
    for shape in SHAPES:
        (folder / shape).mkdir(parents=True)
    for number in range(pictures):
        shape = SHAPES[number % len(SHAPES)]
        _picture(shape, side, rng).save(folder / shape / f"{number}.png")


def _picture(shape: str, side: int, rng: Generator) -> Image.Image:
    ground = rng.integers(0, 256, 3)
    ink = (ground + rng.integers(60, 197, 3)) % 256
    size = side * _FINE
    image = Image.new("RGB", (size, size), tuple(int(value) for value in ground))
    radius = rng.uniform(0.16, 0.34) * size
    centre = rng.uniform(radius, size - radius, 2)
    corners = [tuple(centre + radius * corner) for corner in _corners(shape, rng.uniform(0, 2 * math.pi))]
    colour = tuple(int(value) for value in ink)
    if shape == "ring":
        around = (*(centre - radius), *(centre + radius))
        ImageDraw.Draw(image).ellipse(around, outline=colour, width=int(radius * rng.uniform(0.25, 0.6)))
    else:
        ImageDraw.Draw(image).polygon(corners, fill=colour)
    pixels = np.asarray(image.resize((side, side), Image.Resampling.BOX)) + rng.normal(0, NOISE, (side, side, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _corners(shape: str, angle: float) -> list[np.ndarray]:
    """Return the corners of a shape of radius 1 about the origin, turned by an angle."""
    radii = {"square": (1.0,) * 4, "triangle": (1.0,) * 3, "star": (1.0, 0.45) * 5, "ring": ()}
    if shape == "cross":
        arm = 0.3
        quarter = [complex(1, -arm), complex(1, arm), complex(arm, arm)]
        points = [point * 1j**turn for turn in range(4) for point in quarter]
    else:
        given = radii[shape]
        points = [radius * np.exp(2j * math.pi * place / len(given)) for place, radius in enumerate(given)]
    return [np.array([turned.real, turned.imag]) for turned in np.array(points) * np.exp(1j * angle)]


def main() -> None:
    """Draw the pictures, make the project, run it, write down what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--side", type=int, default=64, help="pixels")
    parser.add_argument("--folder", type=Path, help="a new folder; default: a temporary one")
    parser.add_argument("--shearbench", type=Path, default=Path(sys.executable).parent, help="folder of the programs")
    chosen = parser.parse_args()
    folder = (chosen.folder or Path(mkdtemp(prefix="own-pictures-"))).resolve()
    draw(folder / "pictures", chosen.pictures, chosen.side)
    programs = chosen.shearbench.absolute()
    took = {"init": run(folder, "shearbench", "init", "project", "--images", "pictures", programs=programs)}
    project = folder / "project"
    took["make repro"] = run(project, "make", "repro", programs=programs)
    found: dict[str, Any] = {
        "processor": processor(),
        "took": took,
        "stages": json.loads((project / "build" / "seconds.json").read_text()),
        "accuracy": {
            row["model"]: {key: float(row[key]) for key in ("cv_accuracy_mean", "test_accuracy_mean")}
            for row in rows(project / "reports" / "comparison.csv")
        },
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
