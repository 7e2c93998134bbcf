"""The leakage check of tuned runs: leaks by id and by image, out of fold and on the test set, are refused."""

import numpy as np
import pytest

from patterns import point
from shearbench.comparison.table import refuse_leakage
from shearbench.data.dataset import Samples, read_samples, write_samples
from shearbench.data.folds import RESERVED, FoldTable, Reserved, part_of, read_folds, write_folds, write_part
from shearbench.errors import InputError
from shearbench.pipeline.configs import config_of
from shearbench.records import write_text
from shearbench.stages import compare, train
from shearbench.tuning.tuned import RunConfig, config_path, write_run_config

RUN = [("mnist", "mlp")]


def _refuse(root, params, part):
    write_part(root / "build" / "datasets" / "mnist" / "tuning_part.npz", np.array(part))
    refuse_leakage(root / "build", RUN, networks=params.cv.networks)


def test_digits_that_are_scored_nowhere_pass(finished, small_params):
    samples = read_samples(finished / "build" / "samples", "train")
    extra = Samples(
        "more",
        np.append(samples.ids, 1000),
        np.append(samples.images, [samples.images[0] ^ 1], 0),
        np.append(samples.labels, 0),
    )
    write_samples(finished / "build" / "samples", "train", extra)
    _refuse(finished, small_params, [1000])


def test_a_digit_that_a_fold_holds_out_is_refused(finished, small_params):
    with pytest.raises(InputError, match=r"mnist-mlp: .* has seen 2 of the samples that the folds hold out \(3, 7\)"):
        _refuse(finished, small_params, [7, 3])


@pytest.mark.parametrize(("split", "what"), [("train", "samples that the folds hold out"), ("test", "test samples")])
def test_the_image_of_a_scored_digit_under_another_id_is_refused(finished, small_params, split, what):
    samples, copied = (read_samples(finished / "build" / "samples", name) for name in ("train", split))
    extra = Samples(
        "copy",
        np.append(samples.ids, 1000),
        np.append(samples.images, copied.images[:1], 0),
        np.append(samples.labels, 0),
    )
    write_samples(finished / "build" / "samples", "train", extra)
    with pytest.raises(InputError, match=f"has seen 1 of the images of the {what}"):
        _refuse(finished, small_params, [1000])


def _tune(root, params, *, part, learning_rate=1e-3):
    """Give a run tuned settings, found on digits ``part``."""
    from shearbench.data.dataset import load

    reserved = Reserved.of(part_of(load(root / "build" / "datasets" / "mnist", "train"), np.array(part)))
    hyperparameters = point(learning_rate, 20, 0.1)
    write_run_config(config_path(root, "mnist", "mlp"), RunConfig(tuned=hyperparameters, reserved=reserved))


def test_the_comparison_fails_where_a_tuned_run_is_scored_on_what_its_search_saw(finished, small_params, monkeypatch):
    # Pictures, drawn after the guard was asked.
    monkeypatch.setattr(compare, "write_comparison", lambda *_, **__: None)
    write_part(finished / "build" / "datasets" / "mnist" / "tuning_part.npz", np.arange(10))
    compare.main(small_params, finished)  # nothing is tuned: nothing to say
    recipe = small_params.models["mlp"].recipe
    _tune(finished, small_params, part=np.arange(10), learning_rate=recipe.learning_rate)  # what it was trained with
    with pytest.raises(InputError, match="has seen 10 of the samples that the folds hold out"):
        compare.main(small_params, finished)


def test_training_refuses_folds_that_hold_out_what_the_search_saw(finished, small_params):
    write_part(finished / "build" / "datasets" / "mnist" / "tuning_part.npz", np.arange(10))
    _tune(finished, small_params, part=np.arange(10))
    with pytest.raises(InputError, match="has seen 10 of the samples that the folds hold out"):
        train.main(small_params, finished, "mnist-mlp")


def test_training_refuses_settings_that_were_found_on_other_digits(finished, small_params):
    write_part(finished / "build" / "datasets" / "mnist" / "tuning_part.npz", np.arange(20))
    _tune(finished, small_params, part=np.arange(10))
    with pytest.raises(InputError, match="mnist-mlp was found on samples with the ids hash"):
        train.main(small_params, finished, "mnist-mlp")


def test_with_the_part_set_apart_a_tuned_run_is_trained_with_what_was_found(finished, small_params, monkeypatch):
    build = finished / "build"
    table = read_folds(build / "datasets" / "mnist" / "folds.npz")
    folds = table.folds.copy()
    folds[:, :10] = RESERVED
    write_folds(build / "datasets" / "mnist" / "folds.npz", FoldTable(table.ids, folds))
    write_part(build / "datasets" / "mnist" / "tuning_part.npz", np.arange(10))
    _tune(finished, small_params, part=np.arange(10))
    trained = []
    monkeypatch.setattr(train, "cross_validate", lambda ablation, **_: trained.append(ablation) or [])
    monkeypatch.setattr(train, "_print_summary", lambda *_, **__: None)
    train.main(small_params, finished, "mnist-mlp")
    assert trained[0] == config_of(small_params, dataset="mnist", model="mlp").varied(point(1e-3, 20, 0.1))
    write_text(config_path(finished, "mnist", "mlp"), "{}\n")
    train.main(small_params, finished, "mnist-mlp")
    assert trained[1] == config_of(small_params, dataset="mnist", model="mlp")
