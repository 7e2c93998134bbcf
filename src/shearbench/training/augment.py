"""Random augmentations of a batch of images, drawn independently for each image.

An augmentation takes images float32 (n, channels, height, width) with grey values 0 .. 255, background 0, and a CPU
generator. It returns new images on the same device. The random numbers are the same on every device; the images are
computed on theirs. All channels of an image are changed alike. ``augmentations.py`` has the table of augmentations.
Displacement fields are not augmented: moving their pixels without rotating their vectors would be wrong physics.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

WHITE = 255.0
Augment = Callable[[Tensor, torch.Generator], Tensor]
Size = Sequence[int]
"""Height and width."""


@dataclass(frozen=True, eq=False)
class Affine:
    """Maps of n images about their centres: ``angle`` and ``shear`` in degrees, ``shift`` (n, 2) in pixels, x first.

    ``stretch`` (n,), if given, multiplies the ratio of width to height after the map.
    """

    angle: Tensor
    shift: Tensor
    scale: Tensor
    shear: Tensor
    stretch: Tensor | None = None

    def inverse(self) -> Tensor:
        """Return the inverse maps (n, 2, 3) in pixels from the centre, with torchvision's definition of the map.

        With R the rotation, s the scale, H = [[1, -tan(shear)], [0, 1]] and t the shift: x = (s R H)^-1 (y - t).
        """
        cos, sin, tan = self.angle.deg2rad().cos(), self.angle.deg2rad().sin(), self.shear.deg2rad().tan()
        first = torch.stack([cos - sin * tan, cos * tan + sin], dim=1)
        second = torch.stack([-sin, cos], dim=1)
        linear = torch.stack([first, second], dim=1) / self.scale[:, None, None]  # (n, 2, 2)
        if self.stretch is not None:
            linear = linear / torch.stack([self.stretch.sqrt(), self.stretch.rsqrt()], dim=1)[:, None, :]
        return torch.cat([linear, -linear @ self.shift[:, :, None]], dim=2)


def draw_affine(count: int, size: Size, generator: torch.Generator) -> Affine:
    """Draw maps like ``RandomAffine(degrees=5, translate=(0.1, 0.1), scale=(0.8, 1.2), shear=5)``."""
    angle, dx, dy, scale, shear = torch.rand(5, count, generator=generator, dtype=torch.float64).mul(2).sub(1)
    shift = (torch.stack([dx, dy], dim=1) * 0.1 * torch.tensor([size[1], size[0]])).round()  # whole pixels
    return Affine(angle=5 * angle, shift=shift, scale=1 + 0.2 * scale, shear=5 * shear)


def warp_affine(images: Tensor, maps: Affine) -> Tensor:
    """Return mapped images, sampled with the nearest pixel; values outside the image are background.

    Indexing into images with a border of background is three times as fast as sampling on a grid.
    """
    count, channels, height, width = images.shape
    framed = width + 2
    across, down = (torch.arange(side, dtype=torch.float32, device=images.device) for side in (width, height))
    x, y = (across - (width - 1) / 2).repeat(height), (down - (height - 1) / 2).repeat_interleave(width)
    points = torch.stack([x, y, torch.ones_like(x)])  # pixels from the centre
    inverse = maps.inverse().float().to(images.device)
    sources = inverse @ points  # (n, 2, height * width), x first
    columns, rows = (
        sources[:, axis].add((side - 1) / 2).round_().clamp_(-1, side) for axis, side in enumerate((width, height))
    )
    # Indices into the image with a border of one pixel: the clamped coordinates -1 and `side` are background.
    places = torch.add(columns, rows, alpha=framed).add_(framed + 1).long()
    values = functional.pad(images, (1, 1, 1, 1)).view(count, channels, -1)
    return values.gather(2, places[:, None].expand(-1, channels, -1)).view_as(images)


def affine(images: Tensor, generator: torch.Generator) -> Tensor:
    """Rotate, shift, scale and shear slightly, with nearest-pixel sampling, like torchvision's ``RandomAffine``."""
    return warp_affine(images, draw_affine(len(images), images.shape[2:], generator))


def noise(images: Tensor, generator: torch.Generator, *, deviation: float = 0.1) -> Tensor:
    """Add Gaussian noise of ``deviation`` (a share of white) to every pixel, then clip to 0 .. 255."""
    drawn = torch.randn(images.shape, generator=generator).to(images.device)
    return (images + deviation * WHITE * drawn).clamp(0, WHITE)


def thickness(images: Tensor, generator: torch.Generator, *, thinnest: float = -1, thickest: float = 1) -> Tensor:
    """Thicken or thin strokes by a number of pixels on each side, drawn between ``thinnest`` and ``thickest``.

    One pixel is a step to the 3x3 maximum or minimum; a fraction of a pixel is that fraction of the step. Steps beyond
    the first only thicken.
    """
    drawn = torch.rand(len(images), 1, 1, 1, generator=generator).to(images.device)
    share = thinnest + (thickest - thinnest) * drawn
    thin = -_grown(-images)
    changed = images + share.clamp(-1, 0).abs() * (thin - images)
    for step in range(math.ceil(thickest)):
        changed = changed + (share - step).clamp(0, 1) * (_grown(changed) - changed)
    return changed


def _grown(images: Tensor) -> Tensor:
    """Return the 3x3 maximum around each pixel, by rows then columns; ten times as fast as max pooling."""
    rows = images.clone()
    torch.maximum(rows[..., 1:, :], images[..., :-1, :], out=rows[..., 1:, :])
    torch.maximum(rows[..., :-1, :], images[..., 1:, :], out=rows[..., :-1, :])
    both = rows.clone()
    torch.maximum(both[..., 1:], rows[..., :-1], out=both[..., 1:])
    torch.maximum(both[..., :-1], rows[..., 1:], out=both[..., :-1])
    return both


def elastic(images: Tensor, generator: torch.Generator, *, sigma: float = 4.0, alpha: float = 34.0) -> Tensor:
    """Displace pixels by ``alpha`` pixels times uniform noise in -1 .. 1 blurred by ``sigma`` (Simard et al., 2003)."""
    height, width = images.shape[2:]
    drawn = torch.rand(len(images), 2, height, width, generator=generator).mul(2).sub(1)
    down, across = (blur_matrix(side, sigma).to(images.device) for side in (height, width))
    halves = torch.tensor([alpha * 2 / width, alpha * 2 / height], device=images.device)  # in units of half the image
    displacement = (down @ drawn.to(images.device) @ across.T) * halves[:, None, None]
    return warp_elastic(images, displacement.movedim(1, -1))


def warp_elastic(images: Tensor, displacement: Tensor) -> Tensor:
    """Return images sampled bilinearly at their pixels plus ``displacement`` (n, h, w, 2), in half images, x first."""
    identity = torch.eye(2, 3, device=images.device).expand(len(images), 2, 3)
    grid = functional.affine_grid(identity, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid + displacement, padding_mode="zeros", align_corners=False)


def blur_matrix(size: int, sigma: float) -> Tensor:
    """Return B (size, size) such that B x is x blurred by a Gaussian truncated at 4 sigma, reflected at the ends."""
    reach = math.ceil(4 * sigma)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=torch.float64) / sigma) ** 2)
    # Indices beyond an end are reflected with period 2 (size - 1); the end itself is not repeated.
    places = torch.arange(-reach, size + reach).abs() % (2 * (size - 1))
    places = torch.where(places < size, places, 2 * (size - 1) - places)
    columns = torch.eye(size, dtype=torch.float64)[:, places]
    return columns.unfold(1, len(kernel), 1).matmul(kernel / kernel.sum()).T.float()


def erasing(images: Tensor, generator: torch.Generator, *, largest: float = 0.33) -> Tensor:
    """Blank one rectangle in half of the images, like ``RandomErasing(p=0.5)`` (Zhong et al., 2020).

    ``largest`` is the largest area, as a share of the image.
    """
    boxes = draw_boxes(len(images), images.shape[2:], generator, largest=largest).to(images.device)
    top, left, height, width = boxes.T[:, :, None]
    down, across = (torch.arange(side, device=images.device) for side in images.shape[2:])
    rows = (down >= top) & (down < top + height)
    columns = (across >= left) & (across < left + width)
    return images.masked_fill(rows[:, None, :, None] & columns[:, None, None, :], 0)


def draw_boxes(count: int, size: Size, generator: torch.Generator, *, largest: float = 0.33) -> Tensor:
    """Draw boxes (n, 4): top, left, height, width in pixels; height and width are 0 for half of them.

    The area is 2 % of the image to ``largest``, the aspect ratio 0.3 to 3.3 (uniform in its logarithm). A box that does
    not fit is drawn again, at most 10 times; after that, the image stays whole.
    """
    drawn = torch.rand(2, 10, count, generator=generator)
    area = (0.02 + (largest - 0.02) * drawn[0]) * (size[0] * size[1])
    ratio = torch.exp(math.log(0.3) + math.log(3.3 / 0.3) * drawn[1])
    heights, widths = (area * ratio).sqrt().round().long(), (area / ratio).sqrt().round().long()  # (10, n)
    fits = (heights < size[0]) & (widths < size[1])
    chosen = fits.long().argmax(dim=0, keepdim=True)  # the first that fits
    wanted, top, left = torch.rand(3, count, generator=generator)
    used = fits.any(dim=0) & (wanted < 0.5)
    height, width = (sizes.gather(0, chosen)[0] * used for sizes in (heights, widths))
    return torch.stack(
        [(top * (size[0] - height + 1)).long(), (left * (size[1] - width + 1)).long(), height, width], dim=1
    )
