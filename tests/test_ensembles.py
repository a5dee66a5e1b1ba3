"""What is shown: its moments, that it is a function, and what structured noise spans."""

import json

import numpy as np
import pytest
import tensorflow as tf
from observers import close, observer
from scipy import stats

from reverse_correlation import GaborNoise, SparseNoise, UserError, WhiteNoise, measure
from reverse_correlation.ensembles import gabor_kernels
from reverse_correlation.estimates import cosines


@pytest.mark.parametrize("kind", ["gaussian", "uniform", "binary"])
def test_moments_are_those_stated(kind):
    noise = WhiteNoise(kind)
    x = noise.draw(0, 0, 1000).numpy()
    assert x.shape == (1000, 28, 28, 1) and x.dtype == np.float32
    assert abs(x.mean() - noise.mean) < 5 * noise.std / np.sqrt(x.size)
    assert abs(x.std() - noise.std) < 5 * noise.std / np.sqrt(x.size)


def test_gaussian_noise_is_normal_and_never_clipped():
    noise = WhiteNoise()
    x = noise.draw(3, 7, 1000).numpy().ravel()
    assert stats.kstest((x - noise.mean) / noise.std, "norm").pvalue > 0.001
    assert x.min() < -0.5 and x.max() > 1.5


def test_uniform_noise_is_uniform():
    x = WhiteNoise("uniform").draw(3, 7, 1000).numpy().ravel()
    assert stats.kstest(x, "uniform").pvalue > 0.001


def test_pixels_are_independent():
    x = WhiteNoise(shape=(5, 5, 1)).draw(0, 0, 50_000).numpy().reshape(50_000, 25)
    z = np.corrcoef(x.T)[np.triu_indices(25, 1)] * np.sqrt(50_000)
    assert np.abs(z).max() < 4.5
    assert abs(z.std() - 1) < 5 / np.sqrt(2 * len(z))


def test_a_block_is_a_function_of_seed_and_index():
    noise = WhiteNoise(shape=(3, 5, 1))  # an odd number of pixels
    x = noise.draw(1, 2, 10).numpy()
    tf.random.set_seed(99)
    tf.random.normal([3])
    assert np.array_equal(x, noise.draw(1, 2, 10).numpy())
    for seed, block in [(1, 3), (2, 2), (2, 1), (0, 0)]:
        assert abs(np.corrcoef(x.ravel(), noise.draw(seed, block, 10).numpy().ravel())[0, 1]) < 0.4


@pytest.mark.parametrize("kind", ["gaussian", "uniform", "binary"])
def test_fewer_stimuli_are_the_beginning_of_more(kind):
    noise = WhiteNoise(kind, shape=(3, 5, 1))
    assert np.array_equal(noise.draw(1, 2, 7), noise.draw(1, 2, 1000)[:7])


@pytest.mark.parametrize("arguments", [("pink",), ("gaussian", (28,)), ("gaussian", (0, 2, 1))])
def test_an_ensemble_that_cannot_be_drawn_is_refused(arguments):
    with pytest.raises(UserError, match="choose gaussian|positive integers"):
        WhiteNoise(*arguments)


def structured_noise(pixels=(4, 5, 1), components=8):
    rng = np.random.default_rng(2)
    mean, maps = rng.normal(size=pixels), rng.normal(size=(components, *pixels))
    maps[0] *= 5  # far from white
    return GaborNoise(mean, maps, rng.uniform(0.5, 2, components))


def test_gabor_kernels_are_960_and_stay_in_their_tiles():
    kernels = gabor_kernels(28, 28)
    assert kernels.shape == (960, 28, 28)
    seen = (kernels != 0).any(axis=(1, 2))
    assert seen.all()
    assert np.count_nonzero(kernels[0, 3:]) == 0 and np.count_nonzero(kernels[0, :, 3:]) == 0
    assert kernels[0, 1, 1] == 1  # the peak of a cosine, in the middle of the first 3x3 tile


def test_structured_noise_has_the_moments_that_it_states():
    noise = structured_noise()
    x = noise.draw(3, 1, 50_000).numpy()
    assert x.dtype == np.float32 and x.shape == (50_000, 4, 5, 1)
    assert np.all(np.abs(x.mean(axis=0) - noise.mean) < 5 * noise.std / np.sqrt(50_000))
    assert np.allclose(x.std(axis=0), noise.std, rtol=0.03)
    flat = noise.components.reshape(8, -1)
    coefficients = np.linalg.lstsq(flat.T, (x - noise.mean).reshape(50_000, -1).T, rcond=None)[0]
    assert np.all(np.abs(coefficients) < 1.001 * noise.reach[:, None])  # uniform within the range
    assert np.allclose(np.abs(coefficients).max(axis=1), noise.reach, rtol=0.01)
    assert np.allclose(coefficients.var(axis=1), noise.reach**2 / 3, rtol=0.05)


def test_structured_noise_is_a_function_of_seed_and_block():
    noise = structured_noise()
    x = noise.draw(1, 2, 10).numpy()
    assert np.array_equal(x, noise.draw(1, 2, 10))
    assert np.allclose(x[:3], noise.draw(1, 2, 3), rtol=1e-5, atol=1e-5)  # a matrix product
    assert not np.array_equal(x, noise.draw(1, 3, 10))
    assert not np.array_equal(x, noise.draw(2, 2, 10))
    assert noise.describe() != structured_noise(components=7).describe()
    json.dumps(noise.describe())


def test_fitted_noise_spans_the_range_of_its_images():
    images = np.random.default_rng(0).random((30, 28, 28, 1))
    noise = GaborNoise.fit(images, components=20)
    assert noise.components.shape == (20, 28, 28, 1)
    x = noise.draw(0, 0, 400).numpy()
    assert 0.2 < np.corrcoef(x.std(axis=0).ravel(), noise.std.ravel())[0, 1]
    middle = (images - noise.mean).reshape(30, -1)
    assert np.linalg.matrix_rank(noise.components.reshape(20, -1)) == 20
    weights = np.linalg.lstsq(noise.components.reshape(20, -1).T, middle.T, rcond=None)[0]
    residual = middle - weights.T @ noise.components.reshape(20, -1)
    assert np.mean(residual**2) < 0.7 * np.mean(middle**2)


def test_structured_noise_refuses_what_does_not_fit():
    noise = structured_noise()
    with pytest.raises(UserError, match="differ in shape"):
        GaborNoise(noise.mean[:3], noise.components, noise.reach)
    with pytest.raises(UserError, match="as many coefficient ranges"):
        GaborNoise(noise.mean, noise.components, noise.reach[:3])
    with pytest.raises(UserError, match="not 10"):
        GaborNoise.fit(np.zeros((10, 28, 28, 1)), components=20)
    with pytest.raises(UserError, match="h, w, 1"):
        GaborNoise.fit(np.zeros((30, 28, 28, 3)), components=20)


def test_whitening_undoes_the_covariance_of_structured_noise():
    noise, rng = structured_noise(), np.random.default_rng(1)
    weights = rng.normal(size=(4, 5, 1, 2))
    estimate = measure(observer(weights), noise, 40_000, progress=False).classes["logit"]
    flat = noise.components.reshape(8, -1)
    inside = np.linalg.pinv(flat) @ flat  # projects on what the noise can show
    expected = np.moveaxis(weights, -1, 0).reshape(2, -1) @ inside
    whitened = noise.whiten(estimate.covariance, 0).reshape(2, -1)
    assert cosines(whitened, expected).min() > 0.995
    assert np.allclose(
        np.linalg.norm(whitened, axis=1), np.linalg.norm(expected, axis=1), rtol=0.05
    )
    assert cosines(estimate.covariance, expected).max() < 0.9  # as it comes, it is bent


def test_sparse_noise_is_bright_at_its_rate_and_white():
    noise = SparseNoise(0.1, (5, 5, 1))
    x = noise.draw(1, 2, 50_000).numpy()
    assert set(np.unique(x)) == {0, 1} and x.dtype == np.float32
    assert abs(x.mean() - noise.mean) < 5 * noise.std / np.sqrt(x.size)
    assert np.allclose(x.std(axis=0), noise.std, rtol=0.03)
    z = np.corrcoef(x.reshape(50_000, 25).T)[np.triu_indices(25, 1)] * np.sqrt(50_000)
    assert np.abs(z).max() < 4.5
    assert np.array_equal(x[:7], noise.draw(1, 2, 7))
    assert not np.array_equal(x[:7], noise.draw(1, 3, 7))
    with pytest.raises(UserError, match="between 0 and 1"):
        SparseNoise(1.0)


def test_sparse_noise_measures_what_a_bright_pixel_changes():
    weights = np.zeros((2, 2, 1, 2))
    weights[0, 0, 0, 1], weights[0, 1, 0, 1] = 1, -0.5
    network = observer(weights, -0.2, "relu")  # max(0, x00 - x01 / 2 - .2)
    noise = SparseNoise(0.1, (2, 2, 1))
    estimate = measure(network, noise, 100_000, progress=False).classes["logit"]
    first = 0.9 * 0.8 + 0.1 * 0.3  # E[r(x00 = 1) - r(x00 = 0)], over x01
    second = 0.1 * (0.3 - 0.8)
    expected = 0.09 * np.array([first, second, 0, 0])
    assert close(estimate, np.stack([0 * expected, expected]).reshape(2, 2, 2, 1), std=noise.std)
