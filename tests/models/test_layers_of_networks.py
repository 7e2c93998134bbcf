"""Our dropout against what dropout is: independent units, mean kept, the same mask backward, nothing when reading.

Our convolution, pooling behind ReLU and flattening against torch's.
"""

from typing import Any

import pytest
import torch
from scipy.stats import binomtest
from torch import nn

from shearbench.models.layers import Conv1x1, Conv3x3, Dropout, Flatten, MaxPoolAfterReLU, ReLUBeforePool, draw_mask

UNITS = 400_000


@pytest.mark.parametrize("p", [0.1, 0.2, 0.5, 0.9])
def test_units_are_zeroed_with_probability_p_and_the_others_scaled(p: float) -> None:
    torch.manual_seed(1)
    out = Dropout(p)(torch.ones(UNITS))
    zeroed = int((out == 0).sum())
    assert binomtest(zeroed, UNITS, p).pvalue > 0.001
    assert out.unique() == pytest.approx([0, 1 / (1 - p)], rel=1e-4)


def test_neighbours_are_dropped_independently() -> None:
    """Four units share one 64-bit draw: none may say anything about another."""
    torch.manual_seed(2)
    kept = draw_mask(UNITS, 2**15).reshape(-1, 4).double()
    together = torch.corrcoef(kept.T) - torch.eye(4)
    assert together.abs().max() < 4 / (UNITS / 4) ** 0.5


def test_the_gradient_passes_where_the_unit_was_kept_with_the_same_scale() -> None:
    inputs = torch.randn(64, 33, requires_grad=True)
    torch.manual_seed(3)
    out = Dropout(0.3)(inputs)
    (gradient,) = torch.autograd.grad(out.sum(), inputs)
    torch.testing.assert_close(out, inputs * gradient)
    assert gradient.detach().unique() == pytest.approx([0, 1 / 0.7], rel=1e-4)


def test_the_same_seed_draws_the_same_mask_and_the_next_call_another() -> None:
    layer, inputs = Dropout(0.5), torch.ones(1000)
    torch.manual_seed(4)
    first, second = layer(inputs), layer(inputs)
    torch.manual_seed(4)
    assert torch.equal(layer(inputs), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("layer", [Dropout(0.5).eval(), Dropout(0.0)])
def test_reading_and_zero_probability_leave_the_inputs_and_draw_nothing(layer: Dropout) -> None:
    inputs = torch.randn(5, 7)
    state = torch.get_rng_state()
    assert layer(inputs) is inputs
    assert torch.equal(torch.get_rng_state(), state)


def test_bf16_stays_bf16() -> None:
    assert Dropout(0.5)(torch.ones(8, dtype=torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("count", [3, 0])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (2, 2), (3, 3), (4, 3), (4, 4), (4, 5)])
@pytest.mark.parametrize("side", [1, 3])
def test_the_convolution_is_torchs_and_so_are_its_gradients(
    side: int, stride: int, size: tuple[int, int], count: int
) -> None:
    torch.manual_seed(5)
    shape: Any = (6, 4, side, stride, side // 2, 1, 1, False)
    theirs = torch.nn.Conv2d(*shape).double()
    ours = {1: Conv1x1, 3: Conv3x3}[side](*shape).double()
    ours.load_state_dict(theirs.state_dict())
    inputs = torch.randn(count, 6, *size, dtype=torch.float64, requires_grad=True)
    out, expected = ours(inputs), theirs(inputs)
    torch.testing.assert_close(out, expected)
    weights = torch.randn_like(out)
    got = torch.autograd.grad((out * weights).sum(), [inputs, ours.weight])
    torch.testing.assert_close(got, torch.autograd.grad((expected * weights).sum(), [inputs, theirs.weight]))


def _activated(relu: nn.Module, pool: nn.Module, flatten: nn.Module, inputs: torch.Tensor) -> list[torch.Tensor]:
    """Return what two layers make of maps, and the gradient of a weighted sum of it."""
    maps = inputs.clone().contiguous(memory_format=torch.channels_last).requires_grad_()
    out = flatten(pool(relu(maps)))
    weights = torch.linspace(-1, 1, out.numel()).to(out.dtype).view_as(out)
    (gradient,) = torch.autograd.grad((out * weights).sum(), maps)
    return [out.detach(), gradient]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("side", [8, 7])
def test_relu_pooling_and_flattening_have_the_bits_of_torchs(side: int, dtype: torch.dtype, training: bool) -> None:
    """Maps of few values: windows with ties, of negative ones alone, and of zeros."""
    inputs = torch.randint(-3, 3, (5, 4, side, side), generator=torch.Generator().manual_seed(5)).to(dtype)
    ours = [ReLUBeforePool(), MaxPoolAfterReLU(2), Flatten()]
    theirs = [nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    found, expected = (_activated(*[layer.train(training) for layer in layers], inputs) for layers in (ours, theirs))
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)
    assert (found[1] != 0).any()


def test_the_map_behind_relu_can_be_looked_at_in_evaluation_mode() -> None:
    inputs = torch.tensor([[[[-1.0, 2.0]]]])
    assert ReLUBeforePool().eval()(inputs).tolist() == [[[[0.0, 2.0]]]]
    assert ReLUBeforePool()(inputs) is inputs


def test_the_gradient_of_flattening_is_channels_last() -> None:
    maps = torch.randn(2, 8, 3, 3).contiguous(memory_format=torch.channels_last).requires_grad_()
    (gradient,) = torch.autograd.grad(Flatten()(maps).square().sum(), maps)
    assert gradient.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(gradient, 2 * maps)
