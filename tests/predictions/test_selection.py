"""Which test digits are asked about: balanced, shared out among the folds, the same for every dataset."""

import numpy as np

from shearbench.analysis.settings import first_of_each_class, interleaved, one_of_each_class, share_of_fold

IDS = np.arange(100, 160)
LABELS = np.arange(60) % 3  # 20 of each of three classes


def order(seed: int = 0) -> np.ndarray:
    return interleaved(IDS, LABELS, np.random.default_rng(seed))


def test_lowest_ids_of_each_class() -> None:
    ids, labels = np.array([9, 4, 7, 5, 8]), np.array([1, 0, 0, 1, 1])
    assert one_of_each_class(ids, labels) == (1, 3)
    assert first_of_each_class(ids, labels, 2).tolist() == [1, 2, 3, 4]  # ids 4 and 7 of class 0, 5 and 8 of class 1
    assert first_of_each_class(ids, labels, 9).tolist() == [1, 2, 3, 4, 0]


def test_every_stretch_is_balanced_and_nothing_is_lost() -> None:
    drawn = order()
    assert np.array_equal(np.sort(drawn), np.arange(60))
    for start in range(0, 60, 6):
        assert np.bincount(LABELS[drawn[start : start + 6]]).tolist() == [2, 2, 2]


def test_the_draw_is_named_by_its_generator_and_blind_to_the_order_of_the_file() -> None:
    assert np.array_equal(order(), order())
    assert not np.array_equal(order(), order(1))
    shuffled = np.random.default_rng(5).permutation(60)
    other = interleaved(IDS[shuffled], LABELS[shuffled], np.random.default_rng(0))
    assert np.array_equal(IDS[shuffled][other], IDS[order()])


def test_folds_share_out_the_digits_before_any_is_read_twice() -> None:
    drawn = order()
    shares = [share_of_fold(drawn, fold, 20) for fold in range(4)]
    assert np.array_equal(np.sort(np.concatenate(shares[:3])), np.arange(60))
    assert np.array_equal(shares[3], shares[0])  # begins again
    assert np.array_equal(share_of_fold(drawn, 3, 60), drawn)
    assert np.array_equal(share_of_fold(drawn, 3, 61), drawn)
