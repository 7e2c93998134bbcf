"""``shearbench init``: create a project in a new folder; its ``make repro`` writes a table and a report.

The pipeline is that of shearbench's own repository without the stages for class digits and ablations. The models in
``params.yaml`` are sized to the number and the size of the images.
"""

import json
import math
import re
import subprocess
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from shutil import which
from string import Template

from PIL import Image, UnidentifiedImageError

from shearbench.data import raw
from shearbench.data.image_folder import image_files
from shearbench.errors import InputError
from shearbench.params import load
from shearbench.records import read_npz, write_text

_LEFT_OUT = ("ablation", "ablation_result", "handwriting")
_NOT_THERE = (
    *("claims", "build/handwriting/class_digits", "build/ablation_results", "reports/full"),
    *("reports/calibration.csv", "reports/calibration.json", "reports/calibration.png"),
)
_EXAMINED = 200  # images read to find their size
_MOST_SIDE = 64  # pixels; params.yaml declares the resizing of larger images
_SMALL = 32  # pixels; on larger images resnet18 is better than cnn2 in the same time, and mlp is near chance
_HOG_CELLS = 4  # along a side; accuracy on drawn shapes of 64 pixels: 93 % with gradients, 37 % with pixels
_COSTLY = 5000 * 32 * 32  # pixels of all images above which mlp and cnn2 are narrower
_STEPS = {"mlp": 1200, "cnn2": 800, "resnet18": 1000}  # mini-batches per training
_EPOCHS = (5, 100)
_TRAINED = 0.8 * 0.8  # share of images in the training samples of one of five folds; a fifth is the test part
_MLP = """\
  mlp:
    architecture: mlp
    width: $width                 # multiplies the units or channels of every hidden layer
    options: {dropout: 0.2}
    recipe: {epochs: $epochs, batch: $batch, learning_rate: 1.0e-3, weight_decay: 1.0e-5, schedule: cosine}
    search: {learning_rate: [1.0e-4, 1.0e-2], batch: [32, 64, 128], width: [0.25, 0.5, 1.0, 2.0]}
"""
_DVC = "[core]\n    analytics = false\n    check_update = false\n    autostage = false\n"
_FILES = {
    ".gitignore": "/data\n/data.old*\n/.data.partial\n/build\n/mlruns/*\n!/mlruns/README.md\n/reports/*\n"
    "!/reports/README.md\n!/reports/joined\n__pycache__/\n/.venv\n",
    ".dvcignore": "__pycache__\n*.py[cod]\n*.nbi\n*.nbc\n.*.tmp\n",
    "mlruns/README.md": "MLflow's database and artifacts live here; `make ui` shows them.\n",
    "reports/README.md": "`dvc repro` writes `index.html` and the tables here.\n",
    "reports/joined/README.md": "`shearbench join` writes the comparison with models trained elsewhere here.\n",
    "networks/README.md": "Your networks go here: `networks/mine.py` with a class `Net` is `architecture: mine.Net`.\n",
}


@dataclass(frozen=True)
class Found:
    """The source of a project's images as an entry of ``params.yaml``, with the number and format of its images."""

    name: str
    source: str
    images: int
    channels: int
    side: int


def main(folder: Path, *, images: Path | None, npz: Path | None) -> None:
    """Write a project with its data into a new or empty folder.

    Raises:
        InputError: if the folder is not empty, or the images cannot be used; files written before the error stay.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists and is not an empty folder; name another one")
    found = _folder(images) if images else _npz(npz) if npz else Found("mnist", "mnist: {kind: bundled}", 5000, 1, 28)
    facts = f"{found.images:,} images of {found.channels} channel(s), {found.side} pixels wide"
    contents = _FILES | {
        "params.yaml": _params(found),
        "dvc.yaml": _pipeline(),
        "tuned/dvc.yaml": _packaged("searches.yaml"),
        "Makefile": _packaged("Makefile"),
        "README.md": Template(_packaged("README.md")).substitute(title=folder.resolve().name, facts=facts),
    }
    for name, text in contents.items():
        write_text(folder / name, text)
    in_git = _begin_git(folder)
    write_text(folder / ".dvc" / "config", _DVC + ("" if in_git else "    no_scm = true\n"))
    sources = load(folder / "params.yaml").sources
    raw.build(folder / "data", sources, folder / "data.dvc", adopt=True, report=print)


def _params(found: Found) -> str:
    batch = 16 if found.images < 500 else 32
    small = found.side <= _SMALL
    cnn = "cnn2" if small else "resnet18"
    costly = found.images * found.side**2 > _COSTLY
    mlp = {"batch": batch, "epochs": _epochs(_STEPS["mlp"], batch, found.images), "width": 0.25 if costly else 1.0}
    return Template(_packaged("params.yaml")).substitute(
        name=found.name,
        source=found.source,
        channels=found.channels,
        features="pca" if small else f"{{kind: hog, cell: {found.side // _HOG_CELLS}, components: 50}}",
        batch=batch,
        mlp=Template(_MLP).substitute(mlp) if small else "",
        mlp_run=f"  {found.name}-mlp: {{dataset: {found.name}, model: mlp}}\n" if small else "",
        cnn=cnn,
        cnn_epochs=_epochs(_STEPS[cnn], batch, found.images),
        cnn_width="0.25" if not small else "0.5" if costly else "1.0",
        cnn_options="{dropout: 0.25}" if small else "{}",
    )


def _epochs(steps: int, batch: int, images: int) -> int:
    """Return the epochs in which a fold's training makes ``steps`` steps, within bounds."""
    return min(max(math.ceil(steps * batch / (_TRAINED * images)), _EPOCHS[0]), _EPOCHS[1])


def _pipeline() -> str:
    """Return the packaged ``dvc.yaml`` without stages that a new project cannot run."""
    head, *blocks = re.split(r"(?m)^(?=  \w+:$)", _packaged("pipeline.yaml").partition("\nplots:")[0])
    included = [block for block in blocks if block.strip().partition(":")[0] not in _LEFT_OUT]
    lines = [line for line in "".join(included).splitlines() if line.strip().removeprefix("- ") not in _NOT_THERE]
    return head + "\n".join(lines).rstrip() + "\n"


def _folder(path: Path) -> Found:
    """Inspect a folder of images with one sub-folder per class, optionally below ``train`` and ``test``."""
    if not path.is_dir():
        raise InputError(f"--images must name a folder with one sub-folder per class; {path} is not one")
    print(f"looking for images in {path}", flush=True)  # a million files take minutes from a cold disk
    pictures = [each.name for each in image_files(path, [])]
    sampled, examined = pictures[:: max(1, len(pictures) // _EXAMINED)], list[tuple[tuple[int, int], str]]()
    for each in sampled:  # `shearbench data` lists damaged ones with the reason
        with suppress(UnidentifiedImageError, OSError), Image.open(path / each) as image:
            examined.append((image.size, image.mode))
    if not examined:
        raise InputError(f"--images: {path} has no readable PNG or JPEG in a class's folder")
    sizes, modes = ({*each} for each in zip(*examined, strict=True))
    longest = max(max(size) for size in sizes)
    side = min(longest, _MOST_SIDE)
    channels = 1 if modes <= {"L", "1", "I;16"} else 3
    same = len(sizes) == 1 and longest <= _MOST_SIDE
    resize = "" if same else f", resize: [{side}, {side}]"
    name = _name_of(path)
    text = f"{name}: {{kind: folder, path: {_quoted(path)}, channels: {channels}{resize}}}"
    return Found(name, text, len(pictures) * len(examined) // len(sampled), channels, side)


def _npz(path: Path) -> Found:
    arrays = read_npz(path)
    if "train_images" not in arrays:
        raise InputError(f"--npz: {path} must hold train_images and train_labels; it holds {', '.join(arrays)}")
    images = arrays["train_images"]
    channels, name = (images.shape[3] if images.ndim == 4 else 1), _name_of(path)
    total = sum(len(each) for key, each in arrays.items() if key.endswith("_images"))
    return Found(name, f"{name}: {{kind: npz, path: {_quoted(path)}}}", total, channels, max(images.shape[1:3]))


def _quoted(path: Path) -> str:
    """Return the absolute path as a YAML string."""
    return json.dumps(str(path.resolve()), ensure_ascii=False)


def _name_of(path: Path) -> str:
    """Return a name for ``params.yaml``: lower-case letters, digits and underscores."""
    plain = unicodedata.normalize("NFKD", path.resolve().stem.lower()).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:30]
    return name if name and name not in ("class_digits", "simulated", "openbu") else "images"


def _begin_git(folder: Path) -> bool:
    """Create a git repository, unless the folder is in one; return True if it is in one now."""
    if which("git") is None:
        return False
    for command in (["git", "-C", str(folder), "rev-parse", "--git-dir"], ["git", "init", "--quiet", str(folder)]):
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return True
    return False


def _packaged(name: str) -> str:
    return (files("shearbench.commands") / "project" / name).read_text(encoding="utf-8")
