"""Classifiers of scikit-learn by path: the same numbers as by hand, the same bytes twice, and nothing is unpickled."""

import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from numpy.typing import NDArray
from skimage.feature import hog
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from shearbench.data.normalise import Normaliser, fit
from shearbench.errors import InputError
from shearbench.models import classical
from shearbench.models.interface import Features, Option

TREES = "sklearn.ensemble.ExtraTreesClassifier"
OWN = """
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

def best(k: int = 20, C: float = 1.0):
    return make_pipeline(SelectKBest(f_classif, k=k), LogisticRegression(C=C, max_iter=500))
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module ``mine_classical`` with a function that makes a pipeline, where Python finds it."""
    (tmp_path / "mine_classical.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("mine_classical", None)


def _samples(count: int = 120, channels: int = 1) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    rng = np.random.default_rng(3)
    labels = np.arange(count) % 10
    images = rng.integers(0, 90, (count, channels, 28, 28), dtype=np.uint8)
    images[np.arange(count), 0, 2 * labels + 4] = 200
    return images, labels


def _fitted(architecture: str, kind: Any = "pixels", *, channels: int = 1, **options: Option) -> Pipeline:
    images, labels = _samples(channels=channels)
    made = classical.make(architecture, Features.model_validate(kind), options, seed=7)
    return classical.fit(made, architecture, fit("unit", images), images, labels)


def test_pca_and_a_calibrated_machine_are_what_scikit_learn_gives_by_hand() -> None:
    images, labels = _samples()
    rows = images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
    places = PCA(12, random_state=7)
    machine = CalibratedClassifierCV(SVC(C=5.0, random_state=7), method="sigmoid", cv=3, ensemble=False)
    with threadpool_limits(limits=1):
        machine.fit(places.fit_transform(rows), labels)
        expected = machine.predict_proba(places.transform(rows))

    found = _fitted("sklearn.svm.SVC", {"kind": "pca", "components": 12}, C=5.0)

    predicted = classical.probabilities(found, images, classes=10)
    assert predicted.dtype == np.float32
    np.testing.assert_allclose(predicted, expected, atol=1e-6)
    np.testing.assert_allclose(predicted.sum(axis=1), 1, atol=1e-5)


def test_folds_of_a_calibration_hold_out_whole_groups() -> None:
    images, labels = _samples()
    groups = np.arange(len(labels)) // 6
    made = classical.make("sklearn.svm.SVC", Features(), {}, seed=7)
    found = classical.fit(made, "sklearn.svm.SVC", fit("unit", images), images, labels, groups)
    values = images.reshape(len(images), -1).astype(np.float32) / 255
    folds = list(StratifiedGroupKFold(3).split(values, labels, groups))
    assert all(not set(groups[train]) & set(groups[held_out]) for train, held_out in folds)
    machine = CalibratedClassifierCV(SVC(random_state=7), method="sigmoid", cv=folds, ensemble=False)
    expected = machine.fit(values, labels).predict_proba(values)
    np.testing.assert_allclose(classical.probabilities(found, images, classes=10), expected, atol=1e-6)
    without = classical.probabilities(_fitted("sklearn.svm.SVC"), images, classes=10)
    assert np.abs(without - expected).max() > 1e-4
    assert found.steps[-1][1].cv == classical.CALIBRATION_FOLDS


@pytest.mark.parametrize("units", [None, np.array([0, 0, *range(2, 22)])])  # single samples; a copy among them
def test_a_class_of_two_samples_is_calibrated_in_two_folds(units: NDArray[np.int64] | None) -> None:
    labels = np.array([0] * 10 + [1] * 10 + [2] * 2)
    inputs = (
        np.random.default_rng(0).integers(0, 80, (22, 1, 8, 8)).astype(np.uint8)
        + 80 * labels.astype(np.uint8)[:, None, None, None]
    )
    pipeline = classical.make("sklearn.svm.SVC", Features(kind="pixels"), {}, seed=0)
    fitted = classical.fit(pipeline, "sklearn.svm.SVC", fit("unit", inputs), inputs, labels, units)
    assert classical.probabilities(fitted, inputs, classes=3).shape == (22, 3)


def test_a_classifier_with_probabilities_is_not_calibrated_again() -> None:
    images, labels = _samples()
    rows = images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
    expected = ExtraTreesClassifier(9, random_state=7).fit(rows, labels).predict_proba(rows)
    predicted = classical.probabilities(_fitted(TREES, n_estimators=9), images, classes=10)
    np.testing.assert_allclose(predicted, expected, atol=1e-6)


def test_hog_is_scikit_images_channel_by_channel() -> None:
    images, _ = _samples(4, channels=2)
    rows = classical.Hog(cell=7).transform(images / 255)
    one = hog(images[3, 1] / 255, orientations=9, pixels_per_cell=(7, 7), cells_per_block=(2, 2))
    np.testing.assert_allclose(rows[3, len(one) :], one, rtol=1e-5)
    assert rows.shape == (4, 2 * 3 * 3 * 4 * 9)


def test_components_of_hog_are_those_of_its_histograms() -> None:
    images, _ = _samples(channels=2)
    with threadpool_limits(limits=1):
        expected = PCA(12, random_state=7).fit_transform(classical.Hog(cell=7).transform(images / np.float32(255)))
    found = _fitted(TREES, {"kind": "hog", "components": 12}, channels=2, n_estimators=9)[:-1].transform(images)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert [name for name, _ in _fitted(TREES, "hog").steps] == ["normalise", "hog", "classifier"]


@pytest.mark.parametrize(
    ("architecture", "kind", "options"),
    [
        ("sklearn.svm.SVC", "pca", {"C": 5.0}),
        ("sklearn.ensemble.HistGradientBoostingClassifier", "hog", {"max_iter": 3}),
        ("sklearn.linear_model.RidgeClassifier", "pixels", {}),
        (
            "sklearn.neural_network.MLPClassifier",
            "pca",
            {"hidden_layer_sizes": [8, 8], "max_iter": 60, "learning_rate_init": 0.02},
        ),
        (TREES, "pixels", {"n_estimators": 5, "max_depth": None}),
        ("mine_classical.best", "pixels", {"k": 50}),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_equal_fits_give_equal_bytes_that_give_equal_answers(
    own: None, architecture: str, kind: str, options: dict[str, Option]
) -> None:
    images, labels = _samples()
    first, second = (_fitted(architecture, kind, **options) for _ in range(2))
    content = classical.to_bytes(first)
    assert content == classical.to_bytes(second)
    again = classical.from_bytes(content, architecture)
    predicted = [classical.probabilities(each, images, classes=10) for each in (first, again)]
    np.testing.assert_array_equal(*predicted)
    assert (predicted[0].argmax(axis=1) == labels).mean() > 0.5
    assert classical.numbers(first) > 0


def test_a_class_that_was_not_trained_on_has_probability_0() -> None:
    images, labels = _samples()
    there = labels != 4
    made = classical.make(TREES, Features(), {"n_estimators": 3}, seed=1)
    found = classical.fit(made, TREES, fit("unit", images[there]), images[there], labels[there])
    predicted = classical.probabilities(found, images, classes=12)
    assert predicted.shape == (120, 12)
    assert not predicted[:, [4, 10, 11]].any()
    assert predicted[:, 5].any()


def test_the_seed_decides_and_components_are_capped() -> None:
    images, labels = _samples()
    one, other = (
        classical.fit(
            classical.make(TREES, Features(kind="pca", components=500), {"n_estimators": 5}, seed=seed),
            TREES,
            fit("unit", images),
            images,
            labels,
        )
        for seed in (1, 2)
    )
    assert one.named_steps["pca"].n_components_ == 120
    assert classical.to_bytes(one) != classical.to_bytes(other)


def test_nothing_but_known_classes_is_made_of_a_file() -> None:
    evil = Pipeline([("run", FunctionTransformer(zipfile.is_zipfile))])
    with pytest.raises(InputError, match=r"it asks for zipfile\.is_zipfile"):
        classical.from_bytes(skops.io.dumps(evil), TREES)
    with pytest.raises(InputError, match="it holds a SVC"):
        classical.from_bytes(skops.io.dumps(SVC()), TREES)
    content = classical.to_bytes(_fitted(TREES, n_estimators=3))
    for damaged in (b"", content[: len(content) // 2], b"PK" + bytes(200)):
        with pytest.raises(InputError):
            classical.from_bytes(damaged, TREES)
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert {Path(name).suffix for name in archive.namelist()} == {".npy", ".json"}


@pytest.mark.parametrize(
    ("architecture", "options", "message"),
    [
        ("sklearn.svm.SVM", {}, r"none called 'SVM'"),
        ("sklearn.svn.SVC", {}, r"there is no module sklearn\.svn"),
        ("sklearn.svm.SVR", {}, r"must give a classifier of scikit-learn, .*it gives a SVR"),
        ("sklearn.svm.SVC", {"c": 1.0}, r"options of sklearn\.svm\.SVC .*'c'; it takes: C, kernel"),
        ("sklearn.pipeline.Pipeline", {}, r"(?s)options of sklearn\.pipeline\.Pipeline.*steps"),
        (TREES, {"n_jobs": 2}, r"`n_jobs` must not be given, as each fold has one core"),
        (TREES, {"random_state": 0}, r"`random_state` must not be given, as the seed of params.yaml sets it"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_fitted(
    architecture: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        classical.make(architecture, Features(), options, seed=0)


def test_an_option_with_a_wrong_value_is_named() -> None:
    with pytest.raises(InputError, match=r"sklearn\.svm\.SVC cannot be fitted to 120 samples: .*'kernel'"):
        _fitted("sklearn.svm.SVC", kernel="round")


def test_normalisation_is_the_first_step() -> None:
    images, labels = _samples()
    normaliser = Normaliser(np.full((1, 28, 28), 3, np.float32), np.full((1, 28, 28), 50, np.float32))
    made = classical.make(TREES, Features(), {"n_estimators": 3}, seed=1)
    found = classical.fit(made, TREES, normaliser, images, labels)
    np.testing.assert_array_equal(found[:1].transform(images), normaliser.apply(images))
