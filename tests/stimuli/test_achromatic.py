"""Noise with one number for all channels of a pixel."""

import numpy as np
import pytest
from keras import ops
from scipy import stats
from small_observers import centred, observer

from reverse_correlation import CoarseNoise, PinkNoise, UserError, WhiteNoise, measure
from reverse_correlation.estimates.findings import layers_to_measure
from reverse_correlation.stimuli.catalogue import ensemble_of
from reverse_correlation.stimuli.orthogonal import ROWS

SHAPE = (8, 6, 3)
EVERY = {
    "white": WhiteNoise(shape=SHAPE, achromatic=True),
    "uniform": WhiteNoise("uniform", SHAPE, achromatic=True),
    "coarse": CoarseNoise(SHAPE, cells=2, achromatic=True),
    "pink": PinkNoise(SHAPE, achromatic=True),
    "pink of many pixels": PinkNoise((40, 36, 3), achromatic=True),
    "pink, independent": PinkNoise(SHAPE, achromatic=True, orthogonal=False),
}


@pytest.mark.parametrize("name", EVERY)
def test_the_channels_of_a_pixel_are_equal_and_have_the_stated_deviation(name):
    noise = EVERY[name]
    images = ops.convert_to_numpy(noise.draw(0, 0, ROWS))
    assert images.shape[1:] == noise.shape
    assert np.array_equal(images, np.repeat(images[..., :1], 3, axis=3))
    spread = np.sqrt(np.mean((images - 0.5) ** 2, axis=(0, 3)))
    assert np.sqrt(np.mean(spread**2)) == pytest.approx(noise.contrast, rel=0.02)
    assert np.allclose(noise.pixel_std, noise.contrast, rtol=1e-6)


@pytest.mark.parametrize("name", ["white", "coarse", "pink"])
def test_a_linear_observer_has_the_sum_of_its_channels_exactly_from_one_block(name):
    """A is the same for all channels, so that c = A A' w has the sum of w over channels."""
    noise = EVERY[name]
    weights = np.random.default_rng(1).normal(size=(*SHAPE, 3))
    seen = measure(observer(weights), noise, 2 * ROWS, progress=False)
    grey = measure(
        observer(weights.sum(axis=2, keepdims=True)),
        type(noise)(shape=(*SHAPE[:2], 1), **({"cells": 2} if name == "coarse" else {})),
        2 * ROWS,
        progress=False,
    )
    found, expected = seen.classes["logit"], grey.classes["logit"]
    for channel in range(3):
        difference = found.covariance[..., channel] - expected.covariance[..., 0]
        assert np.abs(difference).max() < 1e-4 * np.abs(expected.covariance).max()
    if name == "white":
        truth = centred(np.moveaxis(weights.sum(axis=2), -1, 0)) * noise.std**2
        assert np.allclose(found.covariance[..., 0], truth, atol=1e-4 * np.abs(truth).max())
    assert found.weights is None  # A cannot be inverted


@pytest.mark.parametrize("name", ["white", "pink", "coarse"])
def test_images_of_nothing_are_calibrated(name):
    """z of random responses, the threshold and the informational value."""
    noise, rng, runs = EVERY[name].independent, np.random.default_rng(2), 400
    xi = rng.normal(size=(runs, *noise.coordinates))
    images = noise.images(xi)  # as the images of many stimuli with a standard error of 1
    z = images / noise.pixel_std
    assert z.std() == pytest.approx(1, abs=0.1 if name == "pink" else 0.03)
    passed = np.mean(np.abs(z).max(axis=(1, 2, 3)) > noise.threshold)
    low, high = stats.binom.interval(0.9999, runs, 0.05)
    assert low <= runs * passed <= high
    median, deviation = noise.null_norm
    norms = np.linalg.norm(images.reshape(runs, -1), axis=1)
    assert np.median(norms) == pytest.approx(median, abs=5 * deviation / np.sqrt(runs))


def test_achromatic_white_noise_of_several_channels_measures_no_receptive_fields():
    assert layers_to_measure(EVERY["white"], ("conv1", "conv2")) == {}
    grey = WhiteNoise(shape=(8, 6, 1), achromatic=True)  # of one channel it is white noise
    assert layers_to_measure(grey, ("conv1",)) == {"conv1": "conv1"}
    assert np.array_equal(grey.draw(0, 0, 9), WhiteNoise(shape=(8, 6, 1)).draw(0, 0, 9))


@pytest.mark.parametrize("kind", ["sinusoid", "sparse", "gabor"])
def test_what_has_no_numbers_of_its_own_for_each_channel_is_refused(kind):
    with pytest.raises(UserError, match=f"{kind} noise cannot be achromatic"):
        ensemble_of(kind, (16, 16, 3), achromatic=True)


@pytest.mark.parametrize("kind", ["gaussian", "uniform", "binary", "coarse", "pink"])
def test_it_is_asked_for_by_name(kind):
    noise = ensemble_of(kind, (8, 8, 3), achromatic=True)
    assert noise.achromatic and noise.describe()["achromatic"]
