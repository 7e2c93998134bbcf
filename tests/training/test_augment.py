"""Augmentations against torchvision's single-image functions, its distributions, and values worked out by hand."""

from typing import get_args

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.stats import chisquare, ks_2samp, kstest

from shearbench.torchvision_ops import torchvision
from shearbench.training import augmentation as augment
from shearbench.training.augmentation import AUGMENTATIONS, Affine, augmentation
from shearbench.training.recipe import Augmentation, Recipe

transforms = torchvision.transforms
single = transforms.functional
DRAWS = 4000
SAME = 0.001  # p-value below which two samples are said to differ; the seeds are fixed


def _generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _images(count: int, channels: int = 1) -> torch.Tensor:
    """Smooth images, 0 .. 255, dark at the edge."""
    noise = torch.rand(count, channels, 28, 28, generator=_generator(7)) * 255
    return single.gaussian_blur(noise, [5, 5], [1.5, 1.5])


def _maps(rows: list[tuple[float, int, int, float, float]]) -> Affine:
    angle, dx, dy, scale, shear = torch.tensor(rows, dtype=torch.float64).T
    return Affine(angle=angle, shift=torch.stack([dx, dy], dim=1), scale=scale, shear=shear)


ROWS = [(5.0, 2, -1, 0.8, 5.0), (-5.0, -3, 3, 1.2, -5.0), (0.0, 0, 0, 1.0, 0.0), (3.3, 1, 0, 0.95, -2.2)]


def test_affine_is_torchvisions_for_given_angles() -> None:
    images = _images(len(ROWS))
    warped = augment.warp(images, _maps(ROWS), torch.zeros(len(ROWS), 28, 28, 2))
    for image, row, got in zip(images, ROWS, warped, strict=True):
        angle, dx, dy, scale, shear = row
        expected = single.affine(
            image, angle, [dx, dy], scale, [shear, 0.0], interpolation=transforms.InterpolationMode.BILINEAR
        )
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-2)


def test_nearest_affine_is_torchvisions_but_for_ties() -> None:
    maps = augment.draw_affine(200, (28, 28), _generator())
    images = _images(200)
    warped = augment.warp_affine(images, maps)
    expected = torch.stack(
        [
            single.affine(image, angle.item(), shift.tolist(), scale.item(), [shear.item(), 0.0], fill=0)
            for image, angle, shift, scale, shear in zip(
                images, maps.angle, maps.shift, maps.scale, maps.shear, strict=True
            )
        ]
    )
    assert (warped != expected).float().mean() < 1e-4  # pixels that lie half-way between two


def test_nearest_affine_moves_all_channels_alike_and_blanks_what_comes_from_outside() -> None:
    images = torch.arange(1.0, 2 * 28 * 28 + 1).reshape(1, 2, 28, 28)
    moved = augment.warp_affine(images, _maps([(0.0, 3, -2, 1.0, 0.0)]))  # 3 to the right, 2 up
    assert torch.equal(moved[..., :-2, 3:], images[..., 2:, :-3])
    assert not moved[..., -2:, :].any()
    assert not moved[..., :3].any()


def test_affine_draws_what_torchvision_draws() -> None:
    maps = augment.draw_affine(DRAWS, (28, 28), _generator())
    with torch.random.fork_rng():
        torch.manual_seed(2)
        drawn = [
            transforms.RandomAffine.get_params([-5.0, 5.0], (0.1, 0.1), (0.8, 1.2), [-5.0, 5.0], [28, 28])
            for _ in range(DRAWS)
        ]
    angle, shift, scale, shear = zip(*drawn, strict=True)
    for ours, theirs in (
        (maps.angle, angle),
        (maps.scale, scale),
        (maps.shear, [value[0] for value in shear]),
        (maps.shift[:, 0], [value[0] for value in shift]),
        (maps.shift[:, 1], [value[1] for value in shift]),
    ):
        assert ks_2samp(ours.numpy(), np.array(theirs)).pvalue > SAME
    assert set(maps.shift.flatten().tolist()) == {-3, -2, -1, 0, 1, 2, 3}
    assert abs(np.corrcoef(torch.stack([maps.angle, maps.scale, maps.shear]).numpy()) - np.eye(3)).max() < 0.06


def test_elastic_warps_as_torchvision_does() -> None:
    image = _images(1)
    displacement = torch.rand(1, 28, 28, 2, generator=_generator()) * 0.2 - 0.1
    expected = single.elastic_transform(image, displacement, fill=None)
    torch.testing.assert_close(augment.warp_elastic(image, displacement), expected, rtol=1e-4, atol=1e-2)


def test_the_blur_is_torchvisions() -> None:
    noise = torch.rand(1, 1, 28, 28, generator=_generator())
    blur = augment.blur_matrix(28, 4.0)
    torch.testing.assert_close(blur @ noise @ blur.T, single.gaussian_blur(noise, [33, 33], [4.0, 4.0]))


def test_elastic_moves_pixels_by_about_a_pixel() -> None:
    """Uniform noise of deviation 1/sqrt(3), blurred by sigma, has 1/(2 sqrt(pi) sigma) of it; times alpha: 1.38."""
    ramp = torch.arange(28.0).expand(500, 1, 28, 28)
    moved = augment.elastic(ramp, _generator()) - ramp
    inner = moved[:, :, 10:18, 10:18]  # far from the edges, where mirroring raises the deviation
    assert inner.std().item() == pytest.approx(34 / 3**0.5 / (2 * np.pi**0.5 * 4), rel=0.1)


def test_noise_has_its_deviation_and_stays_in_range() -> None:
    grey = torch.full((50, 1, 28, 28), 127.5)
    added = (augment.noise(grey, _generator()) - grey).flatten()
    assert kstest(added.numpy() / 25.5, "norm").pvalue > SAME
    dark = augment.noise(torch.zeros(5, 1, 28, 28), _generator())
    assert dark.min() == 0
    assert dark.max() <= 255


def test_thickness_lies_between_erosion_and_dilation() -> None:
    stroke = torch.zeros(300, 1, 28, 28)
    stroke[:, :, 10:13, 5:20] = 200
    changed = augment.thickness(stroke, _generator())
    inside, beside, centre = changed[:, 0, 10, 10], changed[:, 0, 9, 10], changed[:, 0, 11, 10]
    assert (centre == 200).all()  # a stroke of three pixels keeps its middle
    assert (changed[:, 0, 8] == 0).all()  # and grows by no more than one
    assert ((inside == 200) | (beside == 0)).all()  # an image is thickened or thinned, never both
    share = torch.where(beside > 0, beside / 200, inside / 200 - 1)
    assert kstest(share.numpy(), "uniform", args=(-1, 2)).pvalue > SAME


def test_thickness_of_more_than_a_pixel_goes_on_from_the_first() -> None:
    stroke = torch.zeros(300, 1, 28, 28)
    stroke[:, :, 10:13, 5:20] = 200
    changed = augment.thickness(stroke, _generator(), thinnest=0, thickest=2)
    first, second = changed[:, 0, 9, 10] / 200, changed[:, 0, 8, 10] / 200
    assert ((first > 0.999) | (second == 0)).all()
    assert kstest((first + second).numpy() / 2, "uniform").pvalue > SAME
    assert (changed[:, 0, 7] == 0).all()


def test_growth_is_the_maximum_of_3_by_3_pixels() -> None:
    images = _images(4, channels=2)
    assert torch.equal(augment._grown(images), torch.nn.functional.max_pool2d(images, 3, stride=1, padding=1))


def test_a_warp_without_map_is_the_displacement() -> None:
    images, still = _images(4), torch.zeros(4, 28, 28, 2)
    nothing = _maps([(0.0, 0, 0, 1.0, 0.0)] * 4)
    moved = augment.warp(images, nothing, still + torch.tensor([2.0, -1.0]))  # taken from 2 to the right, 1 above
    torch.testing.assert_close(moved[:, :, 1:, :-2], images[:, :, :-1, 2:], rtol=1e-4, atol=1e-2)


def test_a_stretched_map_is_the_map_and_then_a_stretch_of_its_area() -> None:
    row, stretch = (5.0, 0, 0, 0.9, 4.0), 1.44  # wider by 1.2, lower by 1.2
    plain = _maps([row]).inverse()[0, :, :2]
    maps = _maps([row])
    stretched = Affine(maps.angle, maps.shift, maps.scale, maps.shear, torch.tensor([stretch], dtype=torch.float64))
    image_of = torch.linalg.inv(stretched.inverse()[0, :, :2])
    assert torch.allclose(image_of, torch.diag(torch.tensor([1.2, 1 / 1.2]).double()) @ torch.linalg.inv(plain))


def test_strong_draws_its_maps_and_smooth_displacements_to_a_degree() -> None:
    maps, displacement = augment.draw_strong_warp(DRAWS, (28, 28), _generator())
    assert maps.stretch is not None
    for drawn, most in (
        (maps.angle, 15),
        (maps.shear, 15),
        (maps.shift[:, 0], 2),
        (maps.shift[:, 1], 2),
        (maps.stretch.log(), 0.35),
    ):
        share = drawn / most  # a number in -1 .. 1 times one in 0 .. 1: its size has P(size < s) = s - s log s
        assert kstest(share.abs().numpy(), lambda s: s - s * np.log(s)).pvalue > SAME
        assert abs(share.sign().mean()) < 0.06
    assert maps.scale.min() > 0.75
    assert maps.scale.max() < 1.15
    # the deviation is 1.2 times a product of two uniform numbers, whose mean square is 1/9
    for row, column in ((0, 0), (14, 14), (27, 13)):
        assert displacement[:, row, column].square().mean().item() == pytest.approx(1.2**2 / 9, rel=0.08)
    steps = displacement[:, 1:] - displacement[:, :-1]
    # bumps of width w give a correlation of exp(-1 / 4 w^2) to the next pixel
    expected = 2 * (1 - np.exp(-1 / (4 * 3.4**2))) * 1.2**2 / 9
    assert steps.square().mean().item() == pytest.approx(expected, rel=0.1)


def test_strong_keeps_a_digits_brightness_and_adds_noise_to_half_of_the_images() -> None:
    stroke = torch.zeros(1000, 1, 28, 28)
    stroke[:, :, 8:20, 12:16] = 200
    changed = augment.strong(stroke, _generator())
    assert (changed[:, 0].amax(dim=(1, 2)) > 150).float().mean() > 0.99
    grainy = (changed[:, 0, :2] > 0).any(dim=2).any(dim=1)
    assert grainy.float().mean().item() == pytest.approx(0.5, abs=0.05)


def test_several_augmentations_are_done_in_turn_on_one_generator() -> None:
    images = _images(8)
    generator = _generator()
    expected = augment.erasing(augment.affine(images, generator), generator)
    assert torch.equal(augmentation(("affine", "erasing"))(images, _generator()), expected)
    assert torch.equal(augmentation("none")(images, _generator()), images)


def test_a_recipe_takes_one_augmentation_or_several_and_comes_back_from_json() -> None:
    settings = {"epochs": 1, "batch": 2, "learning_rate": 0.1, "weight_decay": 0.0}
    for augmented in ("strong", ["affine", "noise"]):
        recipe = Recipe.model_validate({**settings, "augment": augmented})
        assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe
    for wrong in ("stronger", [], ["affine", "stronger"]):
        with pytest.raises(ValidationError):
            Recipe.model_validate({**settings, "augment": wrong})


def test_boxes_are_drawn_as_random_erasing_does() -> None:
    boxes = augment.draw_boxes(DRAWS, (28, 28), _generator()).double()
    blank = torch.zeros(1, 28, 28)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        drawn = [transforms.RandomErasing.get_params(blank, (0.02, 0.33), (0.3, 3.3), [0.0])[:4] for _ in range(DRAWS)]
    used = boxes[boxes[:, 2] > 0]
    assert len(used) / DRAWS == pytest.approx(0.5, abs=0.04)
    for column, theirs in enumerate(zip(*drawn, strict=True)):
        assert ks_2samp(used[:, column].numpy(), np.array(theirs)).pvalue > SAME


def test_erasing_blanks_a_rectangle_and_nothing_else() -> None:
    images = torch.ones(64, 2, 28, 28)
    erased = augment.erasing(images, _generator())
    for image, (top, left, height, width) in zip(
        erased, augment.draw_boxes(64, (28, 28), _generator()).tolist(), strict=True
    ):
        expected = torch.ones(2, 28, 28)
        expected[:, top : top + height, left : left + width] = 0
        assert torch.equal(image, expected)


def test_flip_mirrors_half_of_the_images() -> None:
    images = _images(DRAWS, channels=2)
    flipped = augment.flip(images, _generator())
    mirrored = (flipped == single.hflip(images)).all(dim=(1, 2, 3))
    assert (mirrored | (flipped == images).all(dim=(1, 2, 3))).all()
    assert mirrored.float().mean() == pytest.approx(0.5, abs=0.04)


def test_crop_is_a_window_of_the_reflected_image_and_each_is_as_likely() -> None:
    image = torch.rand(1, 2, 24, 16, generator=_generator(7))
    padded = single.pad(image, [2, 3], padding_mode="reflect")
    windows = torch.stack([padded[0, :, y : y + 24, x : x + 16] for y in range(7) for x in range(5)])
    cropped = augment.crop(image.expand(DRAWS, 2, 24, 16).contiguous(), _generator())
    which = torch.stack([(cropped == window).all(dim=(1, 2, 3)) for window in windows])
    assert (which.sum(dim=0) == 1).all()
    assert chisquare(which.sum(dim=1)).pvalue > SAME


def test_the_table_has_the_names_of_the_recipe() -> None:
    assert tuple(AUGMENTATIONS) == get_args(Augmentation)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_entry_keeps_shape_and_range_and_draws_from_its_generator(name: str) -> None:
    images, before = _images(8, channels=2), torch.get_rng_state()
    kept = images.clone()
    changed = AUGMENTATIONS[name](images, _generator(1))
    assert changed.shape == images.shape
    assert changed.dtype == torch.float32
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert torch.equal(images, kept)
    assert torch.equal(changed, AUGMENTATIONS[name](images, _generator(1)))
    assert name == "none" or not torch.equal(changed, AUGMENTATIONS[name](images, _generator(2)))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS if name not in ("none", "noise")])
def test_the_channels_of_an_image_are_changed_alike_and_images_are_not(name: str) -> None:
    changed = AUGMENTATIONS[name](_images(1).expand(8, 2, 28, 28).contiguous(), _generator())
    assert torch.equal(changed[:, 0], changed[:, 1])
    assert len(torch.unique(changed[:, 0], dim=0)) > (1 if name == "flip" else 4)
