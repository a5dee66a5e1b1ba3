"""Part 3's stimuli: test images mixed with white noise."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from noise import generate_white_noise_images, mixture
from reverse_correlation import UserError


def test_a_mixture_is_the_weighted_sum_of_arrays_and_of_tensors():
    images, noise = np.array([[1.0, 2.0]]), np.array([[10.0], [20.0]])
    expected = [[5.5, 6.0], [10.5, 11.0]]  # halves of each, broadcast
    assert mixture(images, noise, 0.5, 0.5).tolist() == expected
    assert mixture(tf.constant(images), tf.constant(noise), 0.5, 0.5).numpy().tolist() == expected


def test_signal_and_noise_are_mixed_with_their_weights():
    images = np.linspace(0, 1, 4000 * 6).reshape(4000, 2, 3, 1)
    mixed = generate_white_noise_images(images, signal=0.7, noise=0.3)
    noise = (mixed - 0.7 * images) / 0.3
    assert mixed.dtype == np.float32 and mixed.shape == images.shape
    assert -1e-5 < noise.min() and noise.max() < 1 + 1e-5
    assert abs(noise.mean() - 0.5) < 5 / np.sqrt(12 * noise.size)
    assert np.allclose(generate_white_noise_images(images, 1, 0), images)
    again = generate_white_noise_images(images[:10], signal=0.7, noise=0.3)
    assert np.array_equal(again, mixed[:10])
    assert not np.array_equal(generate_white_noise_images(images, seed=1), mixed)


def test_mixing_refuses_bad_input():
    with pytest.raises(UserError, match="shape"):
        generate_white_noise_images(np.zeros((2, 28, 28)))
    with pytest.raises(UserError, match="weights"):
        generate_white_noise_images(np.zeros((2, 28, 28, 1)), noise=-1)


def test_a_linear_unit_follows_the_mixing_curve():
    rng = np.random.default_rng(0)
    weights, signal = rng.normal(size=(2, 20, 20, 1))
    images = np.broadcast_to(signal, (20_000, 20, 20, 1))
    norm, total = np.linalg.norm(weights), weights.sum()
    for gamma in (0.1, 0.3, 0.5):
        stimuli = generate_white_noise_images(images, gamma, 1 - gamma, seed=int(10 * gamma))
        bias = -gamma * (weights * signal).sum() - (1 - gamma) * total / 2 + 0.05 * norm
        yes = np.mean(stimuli.reshape(20_000, -1) @ weights.ravel() + bias > 0)
        drive = gamma * (weights * signal).sum() + (1 - gamma) * total / 2 + bias
        expected = stats.norm.cdf(drive / ((1 - gamma) * norm / np.sqrt(12)))
        assert abs(yes - expected) < 5 * np.sqrt(expected * (1 - expected) / 20_000)
