"""What training would refuse after long work, or do wrongly in silence, is refused before."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shearbench.commands.doctor import build_networks
from shearbench.data import raw
from shearbench.data.config import ImageDataset, NpzFile
from shearbench.errors import InputError
from shearbench.params import Params
from shearbench.pipeline.configs import check_augmentation
from shearbench.training.recipe import Recipe

RECIPE = {"epochs": 1, "batch": 8, "learning_rate": 0.01, "weight_decay": 0.0}


@pytest.mark.parametrize(
    ("dtype", "side", "augment", "told"),
    [
        ("float32", 12, "noise", "augment: noise is for bytes, 0 to 255, and the images of mine are float32"),
        ("float32", 12, ["flip", "erasing"], "augment: erasing is for bytes"),
        ("uint8", 12, ["pens"], "pens is for 28 x 28 pixels, and the images of mine have 12 x 12"),
        ("uint8", 12, "noise", None),
        ("uint8", 28, "pens", None),
        ("float32", 12, "flip", None),
    ],
)
def test_an_augmentation_that_does_not_fit_the_images_is_refused(
    tmp_path: Path, dtype: str, side: int, augment: Any, told: str | None
) -> None:
    images = np.random.default_rng(1).random((20, side, side)) * (255 if dtype == "uint8" else 1)
    np.savez(tmp_path / "a.npz", train_images=images.astype(dtype), train_labels=np.arange(20) % 2)
    raw.write_own("mine", NpzFile(kind="npz", path="a.npz"), tmp_path, tmp_path / "data" / "mine", print)
    dataset = ImageDataset(source="mine", channels=1, normalise="pixel")
    recipe = Recipe.model_validate({**RECIPE, "augment": augment})
    if told is None:
        check_augmentation(recipe, dataset, tmp_path)
        return
    with pytest.raises(InputError, match=told):
        check_augmentation(recipe, dataset, tmp_path)


@pytest.mark.parametrize("options", [{"C": -1.0}, {"kernel": "rbff"}])
def test_option_values_of_a_classifier_are_checked(
    small_params: Params, tmp_path: Path, options: dict[str, Any]
) -> None:
    svm = small_params.models["mlp"].model_copy(
        update={"architecture": "sklearn.svm.SVC", "recipe": None, "options": options}
    )
    params = small_params.model_copy(update={"models": {**small_params.models, "mlp": svm}})
    with pytest.raises(
        InputError, match=r"the options of sklearn\.svm\.SVC .* have a fault: The '(C|kernel)' parameter"
    ):
        build_networks(params, tmp_path)
