"""Random augmentations of a batch of images, drawn independently for each image: the table ``AUGMENTATIONS``.

An augmentation takes images float32 (n, channels, height, width) with grey values 0 .. 255, background 0, and a CPU
generator. It returns new images on the same device. The random numbers are the same on every device; the images are
computed on theirs. All channels of an image are changed alike. ``flip`` and ``crop`` suit photographs, ``strong`` and
``pens`` redraw digits. Displacement fields are not augmented: moving their pixels without rotating their vectors would
be wrong physics.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, reduce

import torch
from torch import Tensor
from torch.nn import functional

WHITE = 255.0
_INK = 0.15 * WHITE  # pixels above this value define the box of the digit
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


def flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror half of the images left to right, like ``RandomHorizontalFlip``."""
    mirrored = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    return torch.where(mirrored.to(images.device), images.flip(3), images)


def crop(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift each image by up to an eighth of its sides, and fill the gap with its reflection.

    It is ``RandomCrop(size, padding=size // 8, padding_mode="reflect")`` without a copy of the padded images.
    """
    for axis, reshape in ((2, (-1, 1, images.shape[2], 1)), (3, (-1, 1, 1, images.shape[3]))):
        last = images.shape[axis] - 1
        reach = images.shape[axis] // 8
        shift = torch.randint(-reach, reach + 1, (len(images), 1), generator=generator)
        places = last - (last - (torch.arange(last + 1) + shift).abs()).abs()  # reflected at both ends
        images = images.gather(axis, places.to(images.device).reshape(reshape).expand_as(images))
    return images


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


def augmentation(names: str | Sequence[str]) -> Augment:
    """Return the augmentation of a name, or a chain of several, which share one generator."""
    chain = [AUGMENTATIONS[name] for name in ([names] if isinstance(names, str) else names)]
    return lambda images, generator: reduce(lambda changed, augment: augment(changed, generator), chain, images)


def strong(images: Tensor, generator: torch.Generator) -> Tensor:
    """Make MNIST digits look like other people's: other pens, other hands, dirt and gaps, in a random degree per image.

    Strokes become 0.7 pixels thinner to 1.3 pixels thicker on each side, with unchanged brightness. One warp combines
    an affine map, with wider ranges than :func:`affine`, and an elastic map. Half of the images get a gap of up to 10 %
    of the image, half get noise with a deviation between 0 and 0.1.
    """
    drawn = _with_other_pen(images, generator, thinnest=-0.7, thickest=1.3)
    warped = warp(drawn, *draw_strong_warp(len(images), images.shape[2:], generator))
    return _with_grain(erasing(warped, generator, largest=0.1), generator, one_in=2, largest=0.1)


def draw_strong_warp(count: int, size: Size, generator: torch.Generator) -> tuple[Affine, Tensor]:
    """Draw affine maps and elastic displacements (n, h, w, 2) in pixels.

    Each image has a degree, 0 to 1, that multiplies all changes: angle and shear up to 15 degrees, scale 0.75 to
    1.15, shift up to 2 pixels, stretch up to 1.42 either way, and the displacement, with a standard deviation of 0 to
    1.2 pixels. So few digits get all changes at once, and some get almost none: networks trained at full degree
    classify clean digits less accurately.
    """
    degree = torch.rand(count, generator=generator, dtype=torch.float64)
    drawn = torch.rand(6, count, generator=generator, dtype=torch.float64).mul(2).sub(1) * degree
    angle, dx, dy, scale, shear, stretch = drawn
    maps = Affine(
        angle=15 * angle,
        shift=2 * torch.stack([dx, dy], dim=1),
        scale=1 - 0.05 * degree + 0.2 * scale,
        shear=15 * shear,
        stretch=torch.exp(0.35 * stretch),
    )
    return maps, _draw_displacement(1.2 * degree.float(), size, generator)


def warp(images: Tensor, maps: Affine, displacement: Tensor) -> Tensor:
    """Return images sampled bilinearly at their mapped pixels plus a displacement in pixels."""
    grid = _grid(images, maps, displacement)
    return functional.grid_sample(images, grid, padding_mode="zeros", align_corners=False)


def pens(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return images (n, channels, 28, 28) as if drawn by other people and photographed, framed like reader inputs.

    The preparation of a photographed digit crops it to its ink, scales it to a box of 20 x 20 pixels and centres it by
    mass. So each image is changed and then framed in the same way, with a small error; one sampling applies the affine
    map, the elastic map and the framing. Strokes become 0.8 pixels thinner to 1.6 pixels thicker on each side. The
    angle is up to 12 degrees, shear up to 25, stretch up to 1.5 either way, the deviation of the elastic displacement
    up to 1.3 pixels. The box of the ink is scaled to 15 to 21 pixels and moved up to 1.5 pixels from the centre of
    mass; a quarter of the images keep their frame. Some images then get a gap, sharper or softer edges, fainter ink,
    or noise.
    """
    drawn = _with_other_pen(images, generator, thinnest=-0.8, thickest=1.6)
    warps = draw_pens_warp(len(images), images.shape[2:], generator)
    framed = reframed(drawn, *warps, draw_frames(len(images), generator))
    inked = contrast(erasing(framed, generator, largest=0.08), generator)
    return _with_grain(inked, generator, one_in=3, largest=0.12)


def draw_pens_warp(count: int, size: Size, generator: torch.Generator) -> tuple[Affine, Tensor]:
    """Draw affine maps and elastic displacements (n, 28, 28, 2) in pixels, with a random degree for each image."""
    degree = torch.rand(count, generator=generator, dtype=torch.float64)
    angle, shear, stretch = torch.rand(3, count, generator=generator, dtype=torch.float64).mul(2).sub(1) * degree
    maps = Affine(
        angle=12 * angle,
        shift=torch.zeros(count, 2, dtype=torch.float64),
        scale=1 - 0.12 * degree,  # keeps a slanted digit inside the image until it is framed
        shear=25 * shear,
        stretch=torch.exp(0.4 * stretch),
    )
    return maps, _draw_displacement(1.3 * degree.float(), size, generator)


def draw_frames(count: int, generator: torch.Generator) -> Tensor:
    """Draw frames (n, 3): longest side in pixels (0: unchanged), and shift right and down."""
    side, right, down, unframed = torch.rand(4, count, generator=generator)
    length = torch.where(unframed < 0.25, torch.zeros(count), 18 + 3 * (2 * side - 1))
    return torch.stack([length, 1.5 * (2 * right - 1), 1.5 * (2 * down - 1)], dim=1)


def reframed(images: Tensor, maps: Affine, displacement: Tensor, frames: Tensor) -> Tensor:
    """Return images sampled at their mapped pixels, cropped to their ink and placed by ``frames``."""
    grid = _grid(images, maps, displacement)
    warped = functional.grid_sample(images[:, :1], grid, padding_mode="zeros", align_corners=False)[:, 0]
    second = _framing(warped, frames.to(images.device))
    again = functional.affine_grid(second, [len(images), 1, *images.shape[2:]], align_corners=False)
    # The two maps are composed as a grid, so that the image is interpolated only once and stays sharp.
    composed = functional.grid_sample(grid.movedim(-1, 1), again, padding_mode="border", align_corners=False)
    inside = (again.abs() <= 1).all(dim=-1, keepdim=True).movedim(-1, 1)
    return functional.grid_sample(images, composed.movedim(1, -1), padding_mode="zeros", align_corners=False) * inside


def _framing(warped: Tensor, frames: Tensor) -> Tensor:
    """Return the maps (n, 2, 3) from the pixels of the frame to those of ``warped`` (n, 28, 28), in half images."""
    size = warped.shape[-1]
    half, places = size / 2, torch.arange(size, device=warped.device, dtype=torch.float32)
    boxes, centres = [], []
    for axis in (1, 2):  # down the rows: x; along them: y
        there = (warped > _INK).any(dim=axis).float()
        first, last = there.argmax(dim=1), size - 1 - there.flip(1).argmax(dim=1)
        mass = warped.sum(dim=axis)
        centres.append((mass * (places + 0.5)).sum(dim=1) / mass.sum(dim=1).clamp(min=1))
        boxes.append((last - first + 1).float())
    longest = torch.maximum(*boxes).clamp(min=4)
    framed = frames[:, 0] > 0
    scale = torch.where(framed, longest / frames[:, 0].clamp(min=1), torch.ones_like(longest))
    theta = torch.zeros(len(warped), 2, 3, device=warped.device)
    for row, centre in enumerate(centres):
        moved = (torch.where(framed, centre - half, torch.zeros_like(centre)) - frames[:, 1 + row] * scale) / half
        theta[:, row, row], theta[:, row, 2] = scale, moved
    return theta


def contrast(images: Tensor, generator: torch.Generator) -> Tensor:
    """Sharpen the edges of strokes in 40 % of the images, soften them in 20 %, and fade the ink in 20 %."""
    which, degree, faint, much = torch.rand(4, len(images), 1, 1, 1, generator=generator).to(images.device)
    steep = torch.where(which < 0.4, 1 + 3 * degree, torch.ones_like(degree))
    sharp = ((images - WHITE / 2) * steep + WHITE / 2).clamp(0, WHITE)
    soft = functional.avg_pool2d(functional.pad(images, (1, 1, 1, 1)), 3, stride=1)
    mixed = torch.where(which > 0.8, images + degree * (soft - images), sharp)
    return mixed * torch.where(faint < 0.2, 1 - 0.5 * much, torch.ones_like(much))


def _with_other_pen(images: Tensor, generator: torch.Generator, *, thinnest: float, thickest: float) -> Tensor:
    """Return images with thinner or thicker strokes and unchanged brightness."""
    drawn = thickness(images, generator, thinnest=thinnest, thickest=thickest)
    peak, present = (each.amax(dim=(1, 2, 3), keepdim=True) for each in (images, drawn))
    return (drawn * (peak / present.clamp(min=1)).clamp(max=4)).clamp(max=WHITE)


def _with_grain(images: Tensor, generator: torch.Generator, *, one_in: int, largest: float) -> Tensor:
    """Add noise to one in ``one_in`` images, with a deviation of up to ``largest`` (a share of white)."""
    drawn = torch.rand(len(images), 1, 1, 1, generator=generator)
    deviation = (drawn * one_in - (one_in - 1)).clamp(min=0) * largest * WHITE
    grain = torch.randn(images[:, :1].shape, generator=generator) * deviation
    return (images + grain.to(images.device)).clamp_(0, WHITE)


def _draw_displacement(largest: Tensor, size: Size, generator: torch.Generator) -> Tensor:
    """Draw displacements (n, h, w, 2), smooth over about 5 pixels, with deviations of 0 to ``largest`` (n,) pixels."""
    spread = largest * torch.rand(len(largest), generator=generator)
    down, across = (_bumps(side) for side in size)
    drawn = torch.randn(len(largest), 2, down.shape[1], across.shape[1], generator=generator)
    return (down @ (drawn * spread[:, None, None, None]) @ across.T).movedim(1, -1)


def _grid(images: Tensor, maps: Affine, displacement: Tensor) -> Tensor:
    """Return the mapped pixels (n, h, w, 2) plus a displacement in pixels, in half images, x first."""
    height, width = images.shape[2:]
    half = torch.tensor([width, height], dtype=torch.float32) / 2
    theta = maps.inverse().float()
    # `affine_grid` measures each axis in half images, so a map in pixels is scaled by the ratio of the axes.
    theta[:, :, :2] *= half[None, :] / half[:, None]
    theta[:, :, 2] /= half
    grid = functional.affine_grid(theta.to(images.device), [len(images), 1, height, width], align_corners=False)
    return grid + displacement.to(images.device) / half.to(images.device)


@cache
def _bumps(size: int) -> Tensor:
    """Return B (size, k): k Gaussian bumps of deviation 3.4, 4 pixels apart, on a line and beyond its ends.

    For k independent normal numbers x, B x is smooth noise with variance 1 at every point of the line. It replaces
    the blurred noise of :func:`elastic` with a thirtieth of the random numbers.
    """
    centres = torch.arange(-8, size + 8, 4.0)
    basis = torch.exp(-0.5 * ((torch.arange(size)[:, None] - centres) / 3.4) ** 2)
    length: Tensor = basis.square().sum(dim=1, keepdim=True).sqrt()
    return basis / length


AUGMENTATIONS: dict[str, Augment] = {
    "none": lambda images, generator: images,
    "affine": affine,
    "noise": noise,
    "thickness": thickness,
    "elastic": elastic,
    "erasing": erasing,
    "flip": flip,
    "crop": crop,
    "strong": strong,
    "pens": pens,
}
