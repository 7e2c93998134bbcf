"""Classifiers of scikit-learn by path, as ``architecture: sklearn.svm.SVC``, with ``options`` for their arguments.

A class or function outside scikit-learn (``my_module.pipeline``) works too, if it returns a classifier with the
interface of scikit-learn. It is the last step of a pipeline: normalisation, features, classifier. A classifier without
``predict_proba`` is calibrated by Platt's sigmoid on predictions of three folds within its training samples. Every
``random_state`` comes from the seed of the fold. The fitted pipeline is stored by skops, not pickled.
"""

import inspect
import io
import re
import zipfile
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline
from threadpoolctl import ThreadpoolController

from shearbench.data.normalise import Normaliser
from shearbench.errors import HyperparametersFailed, InputError
from shearbench.models import interface
from shearbench.models.interface import Features

CALIBRATION_FOLDS = 3
_SEEDS = 2**32
_SCHEMA = "schema.json"  # in a file of skops
_ADDRESS = re.compile(r'(?<="__id__": )\d+|(?<="file": ")\d+')
_FUNCTIONS = ("sklearn.feature_selection.", "sklearn.metrics.")
_OURS = "shearbench.models.classical."


class _Fitted(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A step of a pipeline that has nothing to fit."""

    def fit(self, inputs: NDArray[Any], labels: object = None) -> Self:
        """Do nothing."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True


class Normalise(_Fitted):
    """The affine map of a :class:`Normaliser`, as the first step of a pipeline for inputs as stored."""

    def __init__(self, mean: NDArray[np.float32], scale: NDArray[np.float32]) -> None:
        self.mean, self.scale = mean, scale  # (channels, height, width)

    def transform(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Return normalised inputs, float32 (n, channels, height, width)."""
        return Normaliser(self.mean, self.scale).apply(np.asarray(inputs))


class Pixels(_Fitted):
    """Flatten each input to one row."""

    def transform(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Return (n, channels * height * width)."""
        return inputs.reshape(len(inputs), -1)


class Hog(_Fitted):
    """Histograms of oriented gradients (Dalal and Triggs, CVPR 2005), by scikit-image, channel by channel.

    A cell is at most half an image wide, because a block has 2 x 2 cells.
    """

    def __init__(self, cell: int = 7) -> None:
        self.cell = cell  # pixels

    def transform(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Return (n, channels * values per channel)."""
        from skimage.feature import hog  # takes half a second to import

        side = min(self.cell, *(each // 2 for each in inputs.shape[2:]))
        options = {"orientations": 9, "pixels_per_cell": (side, side), "cells_per_block": (2, 2)}
        rows = [[hog(channel, **options) for channel in each] for each in inputs]
        return np.asarray(rows, dtype=np.float32).reshape(len(inputs), -1)


class CappedPCA(PCA):  # type: ignore[misc]
    """PCA with ``n_components``, reduced to the number of samples or values if that is smaller."""

    def fit(self, inputs: NDArray[Any], labels: object = None) -> "CappedPCA":
        """Fit as ``PCA`` does."""
        self.fit_transform(inputs)
        return self

    def fit_transform(self, inputs: NDArray[Any], labels: object = None) -> NDArray[np.float32]:
        """Fit to inputs (n, values) and return their components."""
        self.n_components = min(int(self.n_components), *inputs.shape)  # type: ignore[has-type]
        rows: NDArray[np.float32] = super().fit_transform(inputs)
        return rows


def make(architecture: str, features: Features, options: Mapping[str, Any], *, seed: int) -> Pipeline:
    """Return an unfitted pipeline: features, then the seeded classifier, calibrated if it has no ``predict_proba``.

    Raises:
        InputError: if the classifier or one of its options does not exist.
    """
    classifier = _seeded(_classifier(architecture, options), architecture, seed)
    if not hasattr(classifier, "predict_proba"):
        classifier = CalibratedClassifierCV(classifier, method="sigmoid", cv=CALIBRATION_FOLDS, ensemble=False)
    return Pipeline([*_features(features, seed), ("classifier", classifier)])


def fit(
    pipeline: Pipeline,
    architecture: str,
    normaliser: Normaliser,
    inputs: NDArray[Any],
    labels: NDArray[np.int64],
    units: NDArray[np.int64] | None = None,
) -> Pipeline:
    """Fit a pipeline of :func:`make` to inputs (n, channels, height, width) as stored.

    Normalisation becomes the first step. The returned pipeline is serialised and loaded again, because arrays with
    another memory layout would round differently. ``units`` (n,) mark samples that share a fold of the calibration.

    Raises:
        HyperparametersFailed: with the reason, if the pipeline cannot be fitted.
    """
    whole = Pipeline([("normalise", Normalise(normaliser.mean, normaliser.scale)), *pipeline.steps])
    with _threads().limit(limits=1):
        try:
            _calibrate_by(whole, labels, units)
            whole.fit(inputs, labels)
            # The split by units holds row numbers of this fold; the stored pipeline must not depend on them.
            _calibrate_by(whole, labels, None)
        except (ValueError, TypeError, MemoryError, AttributeError) as error:
            raise HyperparametersFailed(
                f"{architecture} cannot be fitted to {len(inputs)} samples: {_first_line(error)}"
            ) from error
    return from_bytes(to_bytes(whole), architecture)


def _calibrate_by(pipeline: Pipeline, labels: NDArray[np.int64], units: NDArray[np.int64] | None) -> None:
    """Set the folds of a calibration, with whole units if any unit has several samples; 2 for a class of 2 samples."""
    last = pipeline.steps[-1][1]
    if isinstance(last, CalibratedClassifierCV):
        folds = max(2, min(CALIBRATION_FOLDS, int(np.unique(labels, return_counts=True)[1].min())))
        together = units is not None and len(np.unique(units)) < len(units)
        by_unit = StratifiedGroupKFold(folds).split(labels, labels, units) if together else None
        last.set_params(cv=folds if by_unit is None else list(by_unit))


def probabilities(pipeline: Pipeline, inputs: NDArray[Any], *, classes: int) -> NDArray[np.float32]:
    """Return probabilities float32 (n, classes); 0 for classes without training samples."""
    with _threads().limit(limits=1):
        given = pipeline.predict_proba(inputs)
    filled = np.zeros((len(inputs), classes), np.float32)
    filled[:, pipeline.classes_] = given
    return filled


def numbers(pipeline: Pipeline) -> int:
    """Return the count of numbers in the arrays of a fitted pipeline, without its normalisation."""
    with zipfile.ZipFile(io.BytesIO(_skops().dumps(Pipeline(pipeline.steps[1:])))) as archive:
        return sum(
            int(np.load(archive.open(name), allow_pickle=False).size)
            for name in archive.namelist()
            if name.endswith(".npy")
        )


def to_bytes(pipeline: Pipeline) -> bytes:
    """Return a fitted pipeline in the format of skops; equal pipelines give equal bytes.

    Skops names objects by memory address and stores the time. Here objects are numbered, and the time is 1980.
    """
    made, numbers_of = io.BytesIO(), dict[str, str]()
    with zipfile.ZipFile(io.BytesIO(_skops().dumps(pipeline))) as given, zipfile.ZipFile(made, "w") as output:
        schema = _ADDRESS.sub(
            lambda found: numbers_of.setdefault(found[0], str(len(numbers_of))), given.read(_SCHEMA).decode()
        )
        names = {numbers_of[Path(name).stem] + Path(name).suffix: name for name in given.namelist() if name != _SCHEMA}
        for new, name in sorted(names.items()):
            output.writestr(zipfile.ZipInfo(new), _without_padding(given.read(name)), zipfile.ZIP_DEFLATED)
        output.writestr(zipfile.ZipInfo(_SCHEMA), schema, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def _without_padding(content: bytes) -> bytes:
    """Return an array file with zeros in the padding of its records, which in trees is uninitialised memory."""
    if not content.startswith(b"\x93NUMPY"):
        return content
    array = np.load(io.BytesIO(content), allow_pickle=False)
    if not array.dtype.names:
        return content
    clean, made = np.zeros(array.shape, array.dtype), io.BytesIO()  # zeros_like would keep the padding
    for name in array.dtype.names:
        clean[name] = array[name]
    np.save(made, clean, allow_pickle=False)
    return made.getvalue()


def from_bytes(content: bytes, architecture: str) -> Pipeline:
    """Return the pipeline that :func:`to_bytes` wrote. Only classes of scikit-learn, of this module, and of the
    package of the architecture are instantiated.

    Raises:
        InputError: if the content is damaged, or contains another type.
    """
    try:
        wanted = _skops().get_untrusted_types(data=content)
        refused = [name for name in wanted if not _is_trusted(name, architecture)]
        if refused:
            raise InputError(f"it asks for {', '.join(refused)}")
        found = _skops().loads(content, trusted=wanted)
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError, OSError, EOFError) as error:
        raise InputError(_first_line(error)) from None
    if not isinstance(found, Pipeline):
        raise InputError(f"it holds a {type(found).__name__}")
    return found


def trusted_types(content: bytes, architecture: str) -> list[str]:
    """Return the types in the content that must be trusted in addition to those of skops."""
    return [name for name in _skops().get_untrusted_types(data=content) if _is_trusted(name, architecture)]


def _is_trusted(name: str, architecture: str) -> bool:
    module, _, attribute = name.rpartition(".")
    top = module.partition(".")[0]
    if top not in ("sklearn", architecture.partition(".")[0]) and not name.startswith(_OURS):
        return False
    found = getattr(import_module(module), attribute, None)
    return inspect.isclass(found) or name.startswith(_FUNCTIONS)


def _classifier(architecture: str, options: Mapping[str, Any]) -> Any:
    found = interface.find(architecture, needs=())
    allowed = ", ".join(inspect.signature(found).parameters) or "none"
    where = f"the options of {architecture} (params.yaml, models.*.options)"
    try:
        made = found(**options)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where} have a fault: {_first_line(error)}; it takes: {allowed}") from None
    if not (is_classifier(made) and hasattr(made, "get_params")):
        raise InputError(
            f"{architecture} must give a classifier of scikit-learn, as sklearn.svm.SVC does; it gives a "
            f"{type(made).__name__}. A network needs a recipe in params.yaml"
        )
    return made


def _seeded(classifier: Any, architecture: str, seed: int) -> Any:
    given = classifier.get_params(deep=True)
    for name, value in given.items():
        last = name.rpartition("__")[2]
        if last == "random_state" and value is not None:
            raise InputError(f"{architecture}: `{name}` must not be given, as the seed of params.yaml sets it")
        if last == "n_jobs" and value not in (None, 1):
            raise InputError(f"{architecture}: `{name}` must not be given, as each fold has one core")
    names = [name for name in given if name.rpartition("__")[2] == "random_state"]
    return classifier.set_params(**dict.fromkeys(names, seed % _SEEDS))


def _features(features: Features, seed: int) -> list[tuple[str, Any]]:
    rows = ("hog", Hog(features.cell)) if features.kind == "hog" else ("pixels", Pixels())
    if features.kind == "pixels" or features.components is None:
        return [rows]
    return [rows, ("pca", CappedPCA(features.components, random_state=seed % _SEEDS))]


def _skops() -> Any:
    """Return skops.io, imported late because it takes seconds to import all of scikit-learn."""
    return import_module("skops.io")


@cache
def _threads() -> ThreadpoolController:
    """Return the thread pools of BLAS and OpenMP; they get one thread, because sums depend on the number of threads."""
    return ThreadpoolController()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
