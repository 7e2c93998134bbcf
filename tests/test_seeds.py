"""Seeds are hashes of names: known answers, independence of order, no global state."""

import hashlib

import numpy as np
import pytest

from shearbench.seeds import generator_for, seed_for


def test_a_seed_is_the_head_of_the_sha256_of_its_json_name():
    digest = hashlib.sha256(b'[42, "train", "mnist", "cnn3", 0]').digest()
    assert seed_for(42, "train", "mnist", "cnn3", 0) == int.from_bytes(digest[:8]) >> 1


def test_seeds_fit_a_signed_64_bit_integer_and_differ():
    seeds = {seed_for(42, "train", fold) for fold in range(1000)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_names_do_not_run_into_each_other():
    assert seed_for("ab", "c") != seed_for("a", "bc")
    assert seed_for(1) != seed_for("1")


@pytest.mark.parametrize("names", [(), (1.5,), (None,), ("a", b"b")])
def test_other_names_are_refused(names):
    with pytest.raises(ValueError, match="text or integers"):
        seed_for(*names)


def test_generators_repeat_and_leave_the_global_state_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = generator_for(42, "noise").random(5)
    assert np.array_equal(first, generator_for(42, "noise").random(5))
    assert not np.array_equal(first, generator_for(43, "noise").random(5))
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
