"""The augmentation ``pens``: MNIST digits as if drawn by other people and photographed, framed like reader inputs.

A photographed digit reaches a network after the preparation ``mnist``: cropped to its ink, scaled to a box of
20 x 20 pixels, centred by mass. So each image is changed (pen, hand, contrast, gaps) and then framed in the
same way, with a small error. The affine map, the elastic map and the framing are applied in one sampling.
"""

import torch
from torch import Tensor
from torch.nn import functional

from shearbench.training.augment import WHITE, Affine, bumps, erasing, thickness

_INK = 0.15 * WHITE  # pixels above this value define the box of the digit


def pens(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return images (n, channels, 28, 28) as if drawn by other pens and hands, framed like prepared pictures.

    Strokes become 0.8 pixels thinner to 1.6 pixels thicker on each side. The angle is up to 12 degrees, shear up to 25,
    stretch up to 1.5 either way, the deviation of the elastic displacement up to 1.3 pixels. The box of the ink is
    scaled to 15 to 21 pixels and moved up to 1.5 pixels from the centre of mass; a quarter of the images keep their
    frame. Some images then get a gap, sharper or softer edges, fainter ink, or noise.
    """
    count = len(images)
    peak = images.amax(dim=(1, 2, 3), keepdim=True)
    drawn = thickness(images, generator, thinnest=-0.8, thickest=1.6)
    drawn = (drawn * (peak / drawn.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1)).clamp(max=4)).clamp(max=WHITE)
    framed = reframed(drawn, *draw_pens_warp(count, images.shape[-1], generator), draw_frames(count, generator))
    gapped = erasing(framed, generator, largest=0.08)
    inked = contrast(gapped, generator)
    deviation = (torch.rand(count, 1, 1, 1, generator=generator) * 3 - 2).clamp(min=0) * 0.12 * WHITE
    grain = torch.randn(images[:, :1].shape, generator=generator) * deviation
    return (inked + grain.to(images.device)).clamp_(0, WHITE)


def draw_pens_warp(count: int, size: int, generator: torch.Generator) -> tuple[Affine, Tensor]:
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
    spread = 1.3 * degree.float() * torch.rand(count, generator=generator)
    basis = bumps(size)
    noise = torch.randn(count, 2, basis.shape[1], basis.shape[1], generator=generator)
    return maps, (basis @ (noise * spread[:, None, None, None]) @ basis.T).movedim(1, -1)


def draw_frames(count: int, generator: torch.Generator) -> Tensor:
    """Draw frames (n, 3): longest side in pixels (0: unchanged), and shift right and down."""
    side, right, down, unframed = torch.rand(4, count, generator=generator)
    length = torch.where(unframed < 0.25, torch.zeros(count), 18 + 3 * (2 * side - 1))
    return torch.stack([length, 1.5 * (2 * right - 1), 1.5 * (2 * down - 1)], dim=1)


def reframed(images: Tensor, maps: Affine, displacement: Tensor, frames: Tensor) -> Tensor:
    """Return images sampled at their mapped pixels, cropped to their ink and placed by ``frames``."""
    size, half, device = images.shape[-1], images.shape[-1] / 2, images.device
    theta = maps.inverse().float().to(device)
    theta[:, :, 2] /= half
    shape = [len(images), 1, size, size]
    grid = functional.affine_grid(theta, shape, align_corners=False) + displacement.to(device) / half
    warped = functional.grid_sample(images[:, :1], grid, padding_mode="zeros", align_corners=False)[:, 0]
    second = _framing(warped, frames.to(device))
    again = functional.affine_grid(second, shape, align_corners=False)
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
