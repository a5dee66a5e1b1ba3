"""A pass that ends when its images are good enough, at the same place wherever it is computed."""

import numpy as np
import pytest
from helpers import same_bits
from small_observers import observer

from reverse_correlation import PinkNoise, UserError, measure
from reverse_correlation.passes.shards import decision_level, is_decision_place

NOISE = PinkNoise((8, 8, 1))
BLOCK = 20
SHARD = {NOISE: 2048, NOISE.independent: 8 * BLOCK}  # images
UNTIL = {True: 0.995, False: 0.95}  # of orthogonal numbers, and of independent ones
BOTH = pytest.mark.parametrize("noise", SHARD, ids=["orthogonal", "independent"])


@pytest.fixture(scope="module")
def network():
    """A linear observer of three classes."""
    return observer(np.random.default_rng(0).normal(size=(8, 8, 1, 3)))


def run(network, noise, count, **kwargs):
    block_images = SHARD[noise] // 8
    return measure(network, noise, count, progress=False, block_images=block_images, **kwargs)


@pytest.fixture(scope="module")
def stopped(network):
    """A pass with each noise that ended when its images were as good as asked."""
    return {noise: run(network, noise, 10**9, until=UNTIL[noise.orthogonal]) for noise in SHARD}


def test_decisions_fall_at_eighths_of_powers_of_eight():
    places = [done for done in range(0, 600) if is_decision_place(done)]
    assert places == [*range(1, 8), *range(8, 64, 8), *range(64, 512, 64), 512]
    assert [decision_level(done) for done in (0, 7, 8, 63, 64, 511, 512)] == [0, 0, 1, 1, 2, 2, 3]


@BOTH
def test_the_pass_ends_at_a_decision_with_images_as_good_as_asked(noise, network, stopped):
    measurement = stopped[noise]
    shards = measurement.count // SHARD[noise]
    assert is_decision_place(shards) and measurement.provenance["shards"] == shards
    for response in ("logit", "choice"):
        assert measurement.classes[response].expected_correlation.min() >= UNTIL[noise.orthogonal]
    whole = run(network, noise, measurement.count)
    assert same_bits(measurement, whole)
    assert run(network, noise, measurement.count * 2, until=0).count == 2 * measurement.count


@BOTH
def test_interrupted_or_asked_again_it_ends_at_the_same_place(noise, network, stopped, tmp_path):
    until, whole = UNTIL[noise.orthogonal], stopped[noise]
    part = whole.count // SHARD[noise] // 2 * SHARD[noise]
    run(network, noise, part, checkpoint=tmp_path / "sums.npz", save_seconds=0)
    again = run(network, noise, 10**9, until=until, checkpoint=tmp_path / "sums.npz")
    assert same_bits(again, whole) and again.provenance == whole.provenance
    third = run(network, noise, 10**9, until=until, checkpoint=tmp_path / "sums.npz")
    assert same_bits(third, whole)


@pytest.mark.parametrize("until", [-0.1, 1.0])
def test_a_correlation_that_cannot_be_reached_is_refused(network, until):
    with pytest.raises(UserError, match="from 0 up and below 1"):
        run(network, NOISE, 100, until=until)
