"""Pieces of digits on a sheet: joined as by the definition, and with one comparison for each piece and each joint."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shearbench.data.handwritten import read_file
from shearbench.handwriting import sheet

HEIGHT = 40.0


def _belong(one: np.ndarray, other: np.ndarray) -> bool:
    """The definition for one pair, in numbers of its own."""
    (top, bottom, left, right), (top_2, bottom_2, left_2, right_2) = one.tolist(), other.tolist()
    is_low = min(bottom - top, bottom_2 - top_2) < 20
    is_stacked = min(right, right_2) - max(left, left_2) >= 0.4 * min(right - left, right_2 - left_2)
    is_close = max(top, top_2) - min(bottom, bottom_2) < 14
    return is_low and is_stacked and is_close and max(bottom, bottom_2) - min(top, top_2) < 60


def _joined_pair_by_pair(boxes: np.ndarray) -> list[tuple[list[int], list[int]]]:
    """Join the first pair that belongs together, and begin again."""
    groups = [(box, [place]) for place, box in enumerate(boxes)]
    pairs = [(0, 0)]
    while pairs:
        places = range(len(groups))
        pairs = [(i, j) for i in places for j in places[i + 1 :] if _belong(groups[i][0], groups[j][0])]
        for i, j in pairs[:1]:
            (one, own), (other, more) = groups[i], groups.pop(j)
            low, high = np.minimum(one, other), np.maximum(one, other)
            groups[i] = np.array([low[0], high[1], low[2], high[3]]), own + more
    return [(box.tolist(), own) for box, own in groups]


@pytest.mark.parametrize("seed", range(20))
def test_pieces_are_joined_as_by_the_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    top, left = rng.integers(0, 150, (2, 30))
    boxes = np.stack([top, top + rng.integers(2, 45, 30), left, left + rng.integers(2, 40, 30)], axis=1)
    joined = sheet._joined(boxes, np.arange(30), HEIGHT)
    assert [([*box], own) for box, own in joined] == _joined_pair_by_pair(boxes)
    assert len(joined) < 30


def test_a_sheet_of_six_hundred_fragments_is_joined_with_one_search_for_each_fragment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four hundred fives: every second one has a bar of its own, 4 pixels above its bow."""
    page = np.full((1210, 1210), 235, np.uint8)
    for place in range(400):
        row, column = divmod(place, 20)
        top, left = 12 + 60 * row, 15 + 60 * column
        page[top : top + 40, left : left + 22] = 40
        page[top + 6 : top + 10, left : left + 22] = 235 if place % 2 else 40
        page[top + 16 : top + 34, left : left + 14] = 235
    Image.fromarray(page).save(tmp_path / "sheet.png")
    searches = []
    belong = sheet._belong
    monkeypatch.setattr(sheet, "_belong", lambda *given: searches.append(1) or belong(*given))
    found = sheet.find_digits(read_file(tmp_path / "sheet.png", side=sheet.SIDE))
    assert not isinstance(found, str)
    assert len(found) == 400
    assert [one.line for one in found] == np.repeat(range(20), 20).tolist()
    assert {(bottom - top, right - left) for top, bottom, left, right in (one.box for one in found)} == {(40, 22)}
    assert len(searches) == 400 + 200
