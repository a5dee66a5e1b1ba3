"""The pass: what it counts, repeats, saves, remarks upon and refuses."""

import re

import keras
import numpy as np
import pytest
from helpers import drawn, same_bits, show
from keras import ops
from small_observers import convolution, observer, yes_no
from zoo import build, recurrent

from reverse_correlation import Measurement, PinkNoise, UserError, WhiteNoise, measure
from reverse_correlation.passes.noise_pass import NoisePass

SHAPE = (4, 5, 1)
TEMPLATE = np.random.default_rng(0).normal(size=SHAPE)


@pytest.fixture(scope="module")
def network():
    """A convolution of two filters."""
    return convolution(np.random.default_rng(0).normal(size=(3, 3, 1, 2)))


@pytest.fixture(scope="module")
def measurement(network):
    """What a pass of 12,000 images gives of it."""
    return show(network, 12_000, layers=["conv"], seed=3)


@pytest.mark.parametrize(("block", "count"), [(1000, 1), (100, 730), (250, 250), (249, 250)])
def test_every_image_counts_once_whatever_the_block_size(block, count, rng):
    network = observer(rng.normal(size=(*SHAPE, 3)))
    measurement = show(network, count, orthogonal=False, block_images=block)
    assert measurement.provenance["block_images"] == block
    assert measurement.count == count == measurement.answered.sum()
    assert measurement.sums["classes"]["n"].sum() == count


@pytest.mark.parametrize(
    ("asked", "block", "count", "shown"),
    [
        (1000, 512, 1, 1),
        (100, 64, 730, 730),
        (250, 128, 250, 250),
        (249, 128, 251, 251),
        (2048, 1024, 2047, 2047),
        (1000, 512, 2048, 2048),
        (1000, 512, 2049, 4096),
        (100, 64, 2348, 4096),
        (100, 64, 6144, 6144),
    ],
)
def test_more_than_a_block_of_orthogonal_numbers_is_rounded_up(
    asked, block, count, shown, rng, capsys
):
    network = observer(rng.normal(size=(*SHAPE, 3)))
    measurement = measure(network, WhiteNoise(shape=SHAPE), count, block_images=asked)
    assert measurement.provenance["block_images"] == block
    assert measurement.provenance["count"] == shown
    assert measurement.count == shown == measurement.answered.sum()
    assert measurement.sums["classes"]["n"].sum() == shown
    assert measurement.sums["classes"]["blocks"].sum() == shown // 2048
    said = f"{shown:,} images: {shown // 2048} whole blocks of orthogonal numbers"
    assert (said in capsys.readouterr().out) == (shown > count)


@pytest.mark.parametrize(
    ("noise", "block", "count"),
    [
        (WhiteNoise(shape=SHAPE), 100, 4096),
        (WhiteNoise("binary", SHAPE), 1000, 731),
        (PinkNoise((36, 36, 1)), 700, 2048),  # of 1,296 numbers some are independent
        (WhiteNoise(shape=SHAPE, orthogonal=False), 100, 1771),
    ],
    ids=["white", "binary", "pink", "independent"],
)
def test_every_stimulus_of_a_pass_is_shown_once_in_the_order_of_its_numbers(noise, block, count):
    seen = []

    def answer(images):
        seen.append(images.copy())
        return images.reshape(len(images), -1)[:, :3]

    work = NoisePass(answer, noise, block_images=block, seed=5)
    seen.clear()  # of a first look
    for shard in range(-(-count // work.shard_images)):
        work.shard_sums(shard, min(work.shard_images, count - shard * work.shard_images))
    stimuli = drawn(noise, count, block, seed=5)
    seen = np.concatenate(seen)
    assert seen.shape == (count, *noise.shape) and np.allclose(seen, stimuli, atol=1e-6)
    if noise.orthogonal_coordinates == np.prod(noise.shape) and count % 2048 == 0:
        for each in np.split(seen.reshape(count, -1).astype(np.float64), count // 2048):
            products = (each - 0.5).T @ (each - 0.5) / 2048
            assert np.allclose(products, np.eye(20) * noise.std**2, atol=1e-7)


def test_blocks_that_count_lie_in_even_and_odd_shards():
    for noise in (WhiteNoise(shape=SHAPE), WhiteNoise(shape=SHAPE, orthogonal=False)):
        for block in (2048, 512, 64, 2):
            work = NoisePass(yes_no(TEMPLATE), noise, block_images=block)
            size = work.shard_blocks
            for every in (1, 2, 4, 8):
                counts = work._counts(np.arange(32 * size), every).reshape(32, size)
                shards = counts.any(axis=1)
                assert counts.mean() == 1 / every
                assert shards[::2].sum() == shards[1::2].sum() > 0


def test_a_pass_repeats_to_the_bit(network, measurement):
    assert same_bits(measurement, show(network, 12_000, layers=["conv"], seed=3))


def test_a_measurement_survives_saving(measurement, tmp_path):
    measurement.save(tmp_path / "m.npz")
    loaded = Measurement.load(tmp_path / "m.npz")
    assert loaded.provenance == measurement.provenance and loaded.provenance["seed"] == 3
    assert same_bits(loaded, measurement)
    for response in ("decision", "probability", "logit"):
        kept, loaded_again = measurement.classes[response], loaded.classes[response]
        assert np.array_equal(kept.z, loaded_again.z, equal_nan=True)
    assert np.array_equal(measurement.layers["conv"].average, loaded.layers["conv"].average)
    assert np.array_equal(measurement.maps["conv"].covariance, loaded.maps["conv"].covariance)


def test_bfloat16_says_what_it_takes_and_measures_nearly_the_same_network(network, capsys):
    noise = WhiteNoise(shape=(12, 12, 1))
    exact = measure(network, noise, 8000, layers=["conv"], progress=False)
    assert capsys.readouterr().out == ""
    rough = measure(network, noise, 8000, layers=["conv"], precision="bfloat16")
    said = capsys.readouterr().out
    assert re.search(r"bfloat16 takes \d+\.\d\d of the time of float32 here", said)
    assert rough.provenance["precision"] == "bfloat16"
    for a, b in [
        (exact.classes["logit"], rough.classes["logit"]),
        (exact.layers["conv"], rough.layers["conv"]),
    ]:
        assert not np.array_equal(a.covariance, b.covariance)
        assert np.corrcoef(a.covariance.ravel(), b.covariance.ravel())[0, 1] > 0.99
    with pytest.raises(UserError, match="float32 or bfloat16"):
        show(network, 10, precision="float16")


def test_a_network_that_nearly_always_answers_the_same_is_remarked_upon(capsys):
    network = build(recurrent)
    kernel, bias = network.layers[-1].get_weights()
    network.layers[-1].set_weights([kernel, bias + [0, 50, 0, 0]])
    measurement = measure(network, WhiteNoise(shape=(12, 8)), 1000)
    said = capsys.readouterr().out
    assert (
        "class 1 is the answer to 1,000 of the first 1,000 noise images" in said
        and "logit images" in said
    )
    assert np.isfinite(measurement.classes["logit"].z).all()


def test_a_network_that_answers_nan_or_always_the_same_is_refused():
    with pytest.raises(UserError, match="answers NaN"):
        show(yes_no(TEMPLATE * np.nan), 100)
    with pytest.raises(UserError, match="alike"):
        show(observer(np.zeros((*SHAPE, 3)), [0.1, 0.2, 0.3]), 100)


def test_bad_counts_and_shapes_are_refused():
    with pytest.raises(UserError, match="at least 1, not 0"):
        show(yes_no(TEMPLATE), 0)
    with pytest.raises(UserError, match=r"takes images of \(4, 5, 1\)"):
        measure(yes_no(TEMPLATE), WhiteNoise(), 10)


def test_a_network_whose_sums_would_not_fit_is_refused_before_it_is_run():
    images = keras.Input((224, 224, 3))
    x = keras.layers.GlobalAveragePooling2D()(images)
    wide = keras.Model(images, keras.layers.Dense(1000)(x))
    with pytest.raises(UserError, match="sums and images of 1,000 classes.*GB"):
        measure(wide, WhiteNoise(shape=(224, 224, 3)), 10, progress=False)


class Broken(WhiteNoise):
    """An ensemble with a bug."""

    def fluctuation(self, xi):
        return ops.convert_to_tensor(np.zeros(6).reshape(4, 5))


def test_a_bug_does_not_look_like_a_users_mistake():
    with pytest.raises(ValueError, match="cannot reshape array") as bug:
        measure(yes_no(TEMPLATE), Broken(shape=SHAPE), 10, progress=False)
    assert not isinstance(bug.value, UserError)
