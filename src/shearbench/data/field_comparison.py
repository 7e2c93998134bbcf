"""Compare simulated with published displacement fields by the relative L2 difference of each sample."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shearbench.data.dataset import Split
from shearbench.data.mechanical import read_bitmaps
from shearbench.data.openbu import check_orientation, read_published
from shearbench.errors import InputError
from shearbench.records import atomic_file, read_json, read_npz, sha256_of, write_json, write_text

_WORST = 6  # samples in the picture
Floats = NDArray[np.float32] | NDArray[np.float64]


def relative_differences(ours: Floats, theirs: Floats) -> NDArray[np.float64]:
    """Return |ours - theirs| / |theirs| (n,) of fields (n, 2, h, w), by the L2 norm over components and pixels."""
    if ours.shape != theirs.shape or ours.ndim != 4:
        raise InputError(f"fields to compare must have one shape (n, 2, h, w); got {ours.shape} and {theirs.shape}")
    flat = [np.asarray(fields, dtype=np.float64).reshape(len(fields), -1) for fields in (ours, theirs)]
    return np.asarray(np.linalg.norm(flat[0] - flat[1], axis=1) / np.linalg.norm(flat[1], axis=1))


def compare_files(
    fields: Path, archive: Path, output: Path, *, bitmaps: Path, step: int, split: Split
) -> dict[str, Any]:
    """Compare simulated fields with the published ones of the same digits, and check the orientation of the latter.

    Writes `differences.csv` (sample, relative_l2), `worst.png` and `summary.json`.

    Args:
        fields: npz file with `steps` (s,) and `displacement` (n, s, 2, h, w), from `simulate_file` or build/fields; the
            .json beside it names the load.
        archive: published `FEA_displacement_results_step<k>.zip`; its first n digits are compared.
        bitmaps: IDX or .npy file of the digits, in the order of both.

    Returns the summary: samples, median, maximum and 95 % quantile of the difference, worst samples, hashes.

    Raises:
        InputError: on files that cannot be read or do not belong together.
    """
    ours, load = _ours(fields, step)
    digits = read_bitmaps(bitmaps)
    theirs = read_published(archive, step=step, split=split)
    if not len(ours) <= min(len(theirs), len(digits)):
        raise InputError(
            f"{fields} has {len(ours)} samples, but {archive} has {len(theirs)} and {bitmaps} {len(digits)}: "
            "simulate the digits of the archive, or the first of them"
        )
    theirs, digits = theirs[: len(ours)], digits[: len(ours)]
    orientation = check_orientation(theirs, digits, load=load, step=step)
    differences = relative_differences(ours, theirs)
    worst = np.argsort(-differences, kind="stable")[:_WORST]
    lines = [f"{index},{value:.6e}" for index, value in enumerate(differences)]
    write_text(output / "differences.csv", "\n".join(["sample,relative_l2", *lines]) + "\n")
    _picture(output / "worst.png", digits[worst], ours[worst], theirs[worst], worst)
    summary = {
        "load": load,
        "step": step,
        "split": split,
        "samples": len(ours),
        "relative_l2": {
            "median": float(np.median(differences)),
            "quantile_95": float(np.quantile(differences, 0.95)),
            "maximum": float(differences.max()),
        },
        "orientation_check": orientation,
        "worst": [{"sample": int(index), "relative_l2": float(differences[index])} for index in worst],
        "files": {path.name: sha256_of(path) for path in (fields, archive)},
    }
    write_json(output / "summary.json", summary)
    return summary


def _picture(
    path: Path, bitmaps: NDArray[np.uint8], ours: Floats, theirs: Floats, samples: NDArray[np.integer[Any]]
) -> None:
    """Draw one row per sample: the digit, u_x and u_y of both sets on one colour scale, and |difference|."""
    rows = len(samples)
    figure = Figure(figsize=(13, 2.1 * rows + 0.5), layout="constrained", dpi=110)
    axes = figure.subplots(rows, 6, squeeze=False)
    for row, sample in enumerate(samples):
        axes[row, 0].imshow(bitmaps[row], cmap="gray_r", vmin=0, vmax=255)
        axes[row, 0].set_ylabel(f"sample {sample}")
        for component in range(2):
            pair = (ours[row, component], theirs[row, component])
            low, high = min(map(np.min, pair)), max(map(np.max, pair))
            for place, values in enumerate(pair):
                image = axes[row, 1 + 2 * component + place].imshow(values, cmap="cividis", vmin=low, vmax=high)
            figure.colorbar(image, ax=axes[row, 2 + 2 * component])
        difference = np.linalg.norm(ours[row] - theirs[row], axis=0)
        figure.colorbar(axes[row, 5].imshow(difference, cmap=colormaps["magma_r"], vmin=0), ax=axes[row, 5])
    titles = ["digit", "$u_x$ simulated", "$u_x$ published", "$u_y$ simulated", "$u_y$ published", "|difference|"]
    for column, title in enumerate(titles):
        axes[0, column].set_title(title)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    figure.suptitle("displacement in pixels, largest relative difference first")
    with atomic_file(path) as file:
        figure.savefig(file, format="png", metadata={"Software": None})


def _ours(path: Path, step: int) -> tuple[Floats, str]:
    """Return the simulated displacement at a step, (n, 2, h, w), and the name of the load."""
    arrays, card = read_npz(path), read_json(path.with_suffix(".json"))
    if not {"steps", "displacement"} <= arrays.keys():
        raise InputError(f"{path} must hold the arrays steps and displacement; got {sorted(arrays)}")
    found = np.flatnonzero(arrays["steps"] == step)
    if not len(found):
        raise InputError(f"{path} has no step {step}, only {arrays['steps'].tolist()}; simulate it")
    if not isinstance(card, dict) or "load" not in card:
        raise InputError(f"{path.with_suffix('.json')} must name the load of {path.name}; simulate it again")
    return arrays["displacement"][:, int(found[0])], str(card["load"])
