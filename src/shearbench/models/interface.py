"""What a model takes: inputs, options, features of a classifier; and a user's networks. It does not import torch.

``architecture: package.module.Net`` names a class or function outside this package. It is imported from Python's path,
to which the command line adds the project's folder ``networks/``, and called as ``Net(channels=..., classes=...,
size=(height, width), width=..., **options)``. It returns a ``torch.nn.Module`` that maps (n, channels, height, width)
to logits (n, classes). Only ``channels`` is required. Without ``classes`` and ``size``, the network supports what its
layers fit. Without ``width``, only width 1 is allowed.

Networks of torchvision and timm (``architecture: torchvision.models.mobilenet_v3_small``) are adapted to the data:

- Weights are random. The head has one output per class.
- Channels: timm takes them as an argument. In torchvision's networks the first convolution is replaced by one with the
  same kernel, stride and padding, unless there are three channels.
- Option ``resize: 32`` enlarges the images to 32 x 32 before the first layer, for networks that halve small images too
  often. All other options are passed to the network.
"""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from pydantic import Field, model_validator

from shearbench.code import NETWORKS
from shearbench.errors import InputError
from shearbench.strict import Strict

if TYPE_CHECKING:
    from torch import nn

GIVEN = ("channels", "classes", "size", "width")
"""Arguments that are passed to a builder if it has them; all others are options."""
SKLEARN = "sklearn."
"""Prefix of the paths of scikit-learn's classifiers."""

Scalar = int | float | str | bool | None
Option = Scalar | list[Scalar]
"""A value of ``options`` in ``params.yaml``."""

Kind = Literal["pixels", "pca", "hog"]
FOLDER = NETWORKS.name
TAKE = "let it take `classes` and `size`, and build its layers by them"
ENLARGE = "larger images may suit it: add resize: 32 to its options"
_FAMILIES = ("torchvision.models.", "timm.")
_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


@dataclass(frozen=True)
class Inputs:
    """Inputs (n, ``channels``, *size) with ``size`` (height, width) and the number of ``classes``; MNIST by default."""

    channels: int
    classes: int = 10
    size: tuple[int, int] = (28, 28)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        return (self.channels, *self.size)


class Features(Strict):
    """``pixels``: all normalised values; ``pca``: their principal components; ``hog``: histograms of gradients, or the
    principal components of these.

    In ``params.yaml`` a kind alone, as ``features: pca``, means the defaults of that kind.
    """

    kind: Kind = "pixels"
    components: Annotated[int, Field(ge=1)] | None = 50
    """Number of principal components, limited by training samples and values; None: histograms without PCA."""
    cell: Annotated[int, Field(ge=2)] = 7
    """Side of a cell of ``hog`` in pixels; blocks have 2 x 2 cells, with 9 orientations each."""

    @model_validator(mode="before")
    @classmethod
    def _by_kind(cls, value: Any) -> Any:
        """Accept a kind alone; histograms have no components by default."""
        given = {"kind": value} if isinstance(value, str) else value
        return {"components": None, **given} if isinstance(given, dict) and given.get("kind") == "hog" else given

    @model_validator(mode="after")
    def _components_of_pca(self) -> "Features":
        if self.kind == "pca" and self.components is None:
            raise ValueError("components must be a number for the kind 'pca'")
        return self


def is_own(architecture: str) -> bool:
    """Return True if an architecture is the path of an object outside this package, as ``my_package.Net``."""
    return _NAME.fullmatch(architecture) is not None


def find(architecture: str, *, needs: Sequence[str] = ("channels",)) -> Callable[..., Any]:
    """Import the class or function of an architecture, which must take the parameters ``needs``.

    Raises:
        InputError: if the module does not exist, cannot be imported, or lacks the class or function.
    """
    module_name, _, name = architecture.rpartition(".")
    module = _import(architecture, module_name)
    found = getattr(module, name, None)
    if not (inspect.isclass(found) or inspect.isfunction(found)):
        own = [each for each, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
        own = own or get_close_matches(name, vars(module))  # a package imports its names from modules
        place = getattr(module, "__file__", module_name)  # a built-in module has no file
        raise InputError(
            f"architecture {architecture!r} must name a class or function, and {place} has none called "
            f"{name!r}; it has: {', '.join(own) or 'none'}"
        )
    if missing := [name for name in needs if name not in inspect.signature(found).parameters]:
        raise InputError(
            f"{architecture} must take `{missing[0]}`, the number of channels of its inputs; add that to it"
        )
    return cast("Callable[..., Any]", found)


def arguments(builder: Callable[..., Any], architecture: str, inputs: Inputs, *, width: float) -> dict[str, Any]:
    """Return the arguments of a builder except its options.

    Raises:
        InputError: if ``width`` is not 1 and the network has no parameter ``width``.
    """
    taken = inspect.signature(builder).parameters
    if "width" not in taken and width != 1:
        raise InputError(f"{architecture} takes no `width`, so that its width must be 1 in params.yaml; got {width:g}")
    available = {**asdict(inputs), "width": width}
    return {name: value for name, value in available.items() if name in taken}


def _import(architecture: str, name: str) -> Any:
    """Import a module, and torchvision's operators first, because the module may import torchvision."""
    import shearbench.torchvision_ops  # noqa: F401
    from shearbench.models.contract import user_code

    try:
        with user_code(f"architecture {architecture!r}", f"importing {name}"):
            module = import_module(name)
    except InputError as fault:
        error = fault.__cause__
        if not isinstance(error, ModuleNotFoundError):
            raise InputError(f"{fault}; mend that file") from error
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise InputError(
                f"architecture {architecture!r}: there is no module {error.name}; put it into {FOLDER}/ or install it"
            ) from None
        raise InputError(f"{fault}; install that module") from error
    _refuse_hidden(module, name)
    return module


def _refuse_hidden(module: Any, name: str) -> None:
    """Raise InputError if another module hides one of the project, as Python's ``test`` hides ``test.py``."""
    top = name.partition(".")[0]
    own = [path for path in (NETWORKS / f"{top}.py", NETWORKS / top / "__init__.py") if path.is_file()]
    found = getattr(module, "__file__", None)
    if own and found and NETWORKS.resolve() not in Path(found).resolve().parents:
        raise InputError(f"{own[0]} is hidden by {found}, which Python finds first; give it another name")


def is_adapted(architecture: str) -> bool:
    """Return True if an architecture names a network of torchvision or timm."""
    return architecture.startswith(_FAMILIES)


def build_adapted(found: Callable[..., Any], architecture: str, inputs: Inputs, *, options: Mapping[str, Any]) -> Any:
    """Return a network for ``inputs``.

    Raises:
        InputError: if pretrained weights are requested, ``resize`` is not a size, or the network has no convolution.
    """
    from torch import nn

    refused = {"weights", "pretrained", "num_classes", "in_chans"} & options.keys()
    if refused:
        raise InputError(
            f"{architecture}: {', '.join(sorted(refused))} must not be given; its weights are random, and "
            "its classes and channels are those of the data; docs/add-a-model.md shows how to start from other weights"
        )
    own = dict(options)
    resize = own.pop("resize", None)
    if resize is not None and (not isinstance(resize, int) or resize < 1):
        raise InputError(f"{architecture}: resize must be a positive number of pixels; got {resize!r}")
    if architecture.startswith("torchvision.models.vit_"):
        own.setdefault("image_size", resize or inputs.size[0])
    if architecture.startswith("timm."):
        network = found(pretrained=False, num_classes=inputs.classes, in_chans=inputs.channels, **own)
    else:
        network = _with_channels(found(weights=None, num_classes=inputs.classes, **own), architecture, inputs.channels)
    if resize is None or not isinstance(network, nn.Module):
        return network
    return nn.Sequential(nn.Upsample(size=(resize, resize), mode="bilinear"), network)


def _with_channels(network: "nn.Module", architecture: str, channels: int) -> "nn.Module":
    """Return the network with a first convolution for ``channels`` input channels."""
    from torch import nn

    first = next(((name, each) for name, each in network.named_modules() if isinstance(each, nn.Conv2d)), None)
    if first is None:
        raise InputError(f"{architecture} has no convolution that could be adapted to {channels} channels")
    name, old = first
    if old.in_channels == channels:
        return network
    if old.groups != 1:
        raise InputError(
            f"{architecture} begins with a grouped convolution, which cannot be adapted to {channels} channels"
        )
    new = nn.Conv2d(
        channels,
        old.out_channels,
        old.kernel_size,  # type: ignore[arg-type]
        old.stride,  # type: ignore[arg-type]
        old.padding,  # type: ignore[arg-type]
        old.dilation,  # type: ignore[arg-type]
        bias=old.bias is not None,
        padding_mode=old.padding_mode,
    )
    parent, _, leaf = name.rpartition(".")
    setattr(network.get_submodule(parent), leaf, new)
    return network
