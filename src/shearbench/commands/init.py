"""``shearbench init``: create a project in a new folder; its ``make repro`` writes a table and a report.

The pipeline is that of shearbench's own repository without the stages for class digits and ablations. The models in
``params.yaml`` are sized to the number and the size of the images.
"""

import json
import math
import re
import shutil
import subprocess
import unicodedata
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from shutil import which
from string import Template

import numpy as np

from shearbench import yaml12
from shearbench.data import raw
from shearbench.data.config import NpzFile
from shearbench.data.image_folder import image_files, with_headers
from shearbench.data.units import units_of
from shearbench.errors import InputError
from shearbench.params import load
from shearbench.records import write_text

_LEFT_OUT = ("handwriting",)
_NOT_THERE = (
    *("build/handwriting/class_digits", "reports/full"),
    *("reports/calibration.csv", "reports/calibration.json", "reports/calibration.png"),
)
_MOST_SIDE = 64  # pixels; params.yaml declares the resizing of larger images
_SMALL = 32  # pixels; on larger images resnet18 is better than cnn2 in the same time, and mlp is near chance
_HOG_CELLS = 4  # along a side; accuracy on drawn shapes of 64 pixels: 93 % with gradients, 37 % with pixels
_COSTLY = 5000 * 32 * 32  # pixels of all images above which mlp and cnn2 are narrower
_STEPS = {"mlp": 1200, "cnn2": 800, "resnet18": 1000}  # mini-batches per training
_EPOCHS = (5, 100)
_FOLDS = 5
_LEAST = 3  # training images of a class: with fewer, some fold trains on a single one
_TRAINED = 0.8 * 0.8  # share of images in the training samples of one of five folds; a fifth is the test part
_MLP = """\
  mlp:
    architecture: mlp
    width: $width                 # multiplies the units or channels of every hidden layer
    options: {dropout: 0.2}
    recipe: {epochs: $epochs, batch: $batch, learning_rate: 1.0e-3, weight_decay: 1.0e-5, schedule: cosine}
    search: {learning_rate: [1.0e-4, 1.0e-2], batch: [32, 64, 128], width: [0.25, 0.5, 1.0, 2.0]}
"""
_GROUPS = """
  # If several images are of one person or scene, add groups with a regular expression for the file names, such as
  # groups: '_patient(\\d+)'. The images of a group stay on one side of every split."""
_DVC = "[core]\n    analytics = false\n    check_update = false\n    autostage = false\n"
_FILES = {
    ".gitignore": "/data\n/data.old*\n/.data.partial\n/build\n/mlruns/*\n!/mlruns/README.md\n/reports/*\n"
    "!/reports/README.md\n!/reports/joined\n__pycache__/\n/.venv\n",
    ".dvcignore": "__pycache__\n*.py[cod]\n*.nbi\n*.nbc\n.*.tmp\n",
    "mlruns/README.md": "MLflow's database and artifacts live here; `make ui` shows them.\n",
    "reports/README.md": "`dvc repro` writes `index.html` and the tables here.\n",
    "reports/joined/README.md": "`shearbench join` writes the comparison with models trained elsewhere here.\n",
    "claims/README.md": "A paper's published numbers, one YAML file each, for the report: see shearbench's guide "
    "docs/add-a-claim.md.\n",
    "networks/README.md": "Your networks go here: `networks/mine.py` with a class `Net` is `architecture: mine.Net`.\n",
}


@dataclass(frozen=True)
class Found:
    """The source of a project's images as an entry of ``params.yaml``, with the number and format of its images.

    ``rarest`` is the number of training images of the smallest class.
    """

    name: str
    source: str
    images: int
    channels: int
    side: int
    rarest: int

    @property
    def folds(self) -> int:
        """The number of folds, each of which can hold out every class."""
        return max(2, min(_FOLDS, self.rarest))


def main(folder: Path, *, images: Path | None, npz: Path | None) -> None:
    """Write a project with its data into a new or empty folder.

    Raises:
        InputError: if the folder is not empty, or the images cannot be used. Nothing is left of the project then.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists and is not an empty folder; name another one")
    if images is not None and folder.resolve().is_relative_to(images.resolve()):
        raise InputError(
            f"{folder} is inside of --images {images}, so figures of the project would become images of a class; "
            "name a folder outside of it"
        )
    found = (
        _folder(images) if images else _npz(npz) if npz else Found("mnist", "mnist: {kind: bundled}", 5000, 1, 28, 400)
    )
    channels = "1 channel" if found.channels == 1 else f"{found.channels} channels"
    facts = f"{found.images:,} images of {channels}, {found.side} pixels wide"
    contents = _FILES | {
        "params.yaml": _params(found),
        "dvc.yaml": _pipeline(),
        "tuned/dvc.yaml": _packaged("searches.yaml"),
        "Makefile": _packaged("Makefile"),
        "README.md": Template(_packaged("README.md")).substitute(title=folder.resolve().name, facts=facts),
    }
    with _whole_or_nothing(folder):
        for name, text in contents.items():
            write_text(folder / name, text)
        in_git = _begin_git(folder)
        write_text(folder / ".dvc" / "config", _DVC + ("" if in_git else "    no_scm = true\n"))
        sources = load(folder / "params.yaml").sources
        raw.build(folder / "data", sources, folder / "data.dvc", adopt=True, report=print)
        found = replace(found, rarest=min(found.rarest, _taken(folder / "data" / found.name)))
        write_text(folder / "params.yaml", _params(found))  # damaged images and copies count no more
    if found.folds < _FOLDS:
        print(f"cv.folds is {found.folds}, because the smallest class has {found.rarest} training images")


def _taken(folder: Path) -> int:
    """Return the number of different training images of the smallest class in ``data/<source>/``.

    Raises:
        InputError: if a fold would train on a single image of this class.
    """
    train = raw.read(folder)["train"]
    units = units_of(train.images, train.groups)
    counts = [len(np.unique(units[train.labels == label])) for label in range(len(train.classes))]
    if min(counts) < _LEAST:
        raise InputError(
            f"class {train.classes[int(np.argmin(counts))]!r} keeps {min(counts)} different training images, without "
            f"damaged files and copies; the least is {_LEAST}; add images or remove the class"
        )
    return min(counts)


@contextmanager
def _whole_or_nothing(folder: Path) -> Iterator[None]:
    """Empty the folder after a failure, so that the same command works once its cause is mended."""
    existed = folder.exists()
    try:
        yield
    except BaseException:
        for path in list(folder.iterdir()) if existed else [folder]:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        raise


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
        folds=found.folds,
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
    name = _name_of(path)
    files = with_headers(f"sources.{name}", path, list(image_files(path, [])), [])  # `data` lists damaged ones
    if not any(each.split == "train" for each in files):
        raise InputError(
            f"--images: {path} has no readable PNG, JPEG or WEBP in a class's folder: make one sub-folder per "
            "class, named after it, with the images of the class in it"
        )
    sizes = {each.size for each in files}
    longest = max(max(size) for size in sizes)
    side = min(longest, _MOST_SIDE)
    channels = 1 if all(each.channels == 1 for each in files) else 3
    same = len(sizes) == 1 and longest <= _MOST_SIDE
    resize = "" if same else f", resize: [{side}, {side}]"
    text = f"{name}: {{kind: folder, path: {_quoted(path)}, channels: {channels}{resize}}}{_GROUPS}"
    counts = Counter(each.label for each in files if each.split == "train")
    rarest = _rarest(path, counts, has_test=any(each.split == "test" for each in files))
    return Found(name, text, len(files), channels, side, rarest)


def _rarest(path: Path, counts: dict[str, int], *, has_test: bool) -> int:
    """Return the number of training images of the smallest class; without a test part, a fifth goes to it.

    Raises:
        InputError: if a fold would train on a single image of this class.
    """
    name = min(counts, key=counts.__getitem__)
    have = counts[name]
    trained = have if has_test else have - max(1, round(have / 5))
    if trained < _LEAST:
        part, needed = (" in its training part", _LEAST) if has_test else (", test part included", _LEAST + 1)
        raise InputError(
            f"{path}: each class must have at least {needed} images{part}, so that every fold trains on 2 of them or "
            f"more; class {name!r} has {have}; add images or remove the class"
        )
    return trained


def _npz(path: Path) -> Found:
    """Inspect an NPZ file, which is read as `shearbench data` reads it."""
    if not path.is_file():
        raise InputError(f"--npz must name an NPZ file; {path} is not one")
    name = _name_of(path)
    collected = raw.collect_own(name, NpzFile(kind="npz", path=str(path.resolve())), path)
    train, test = collected.parts["train"], collected.parts["test"]
    with np.load(path, allow_pickle=False) as archive:
        has_test = "test_images" in archive.files
    longest, channels = max(train.images.shape[-2:]), (train.images.shape[1] if train.images.ndim == 4 else 1)
    side = min(longest, _MOST_SIDE)
    resize = f", resize: [{side}, {side}]" if longest > side else ""
    counted = train.labels if has_test else np.append(train.labels, test.labels)
    rarest = _rarest(path, Counter(collected.classes[label] for label in counted.tolist()), has_test=has_test)
    source = f"{name}: {{kind: npz, path: {_quoted(path)}{resize}}}"
    return Found(name, source, len(train.images) + len(test.images), channels, side, rarest)


def _quoted(path: Path) -> str:
    return json.dumps(str(path.resolve()), ensure_ascii=False)


def _name_of(path: Path) -> str:
    """Return a name for ``params.yaml``: lower-case letters, digits and underscores."""
    plain = unicodedata.normalize("NFKD", path.resolve().stem.lower()).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:30]
    if name and not isinstance(yaml12.parse(name), str):  # YAML would read a number, true or null
        return f"images_{name}"
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
