"""What is shown: its moments, that it is a function, and what structured noise spans."""

import itertools
import json

import keras
import numpy as np
import pytest
from helpers import measurements
from keras import ops
from scipy import stats
from small_observers import centred, close, observer

from reverse_correlation import (
    CoarseNoise,
    GaborNoise,
    Measurement,
    PinkNoise,
    SinusoidNoise,
    SparseNoise,
    UserError,
    WhiteNoise,
    exact_class_images,
    measure,
    sidak_threshold,
)
from reverse_correlation.estimates.correlation import correlations, cosines
from reverse_correlation.stimuli import null_images
from reverse_correlation.stimuli.gabor import gabor_kernels
from reverse_correlation.stimuli.null_images import gumbel_quantile
from reverse_correlation.stimuli.orthogonal import ROWS


@pytest.mark.parametrize("kind", ["gaussian", "uniform", "binary"])
def test_moments_are_those_stated(kind):
    noise = WhiteNoise(kind)
    x = ops.convert_to_numpy(noise.draw(0, 0, 1000))
    assert x.shape == (1000, 28, 28, 1) and x.dtype == np.float32
    assert abs(x.mean() - noise.mean) < 5 * noise.std / np.sqrt(x.size)
    assert abs(x.std() - noise.std) < 5 * noise.std / np.sqrt(x.size)


@pytest.mark.parametrize("orthogonal", [True, False])
def test_gaussian_noise_is_normal_and_never_clipped(orthogonal):
    noise = WhiteNoise(orthogonal=orthogonal)
    x = ops.convert_to_numpy(noise.draw(3, 7, 1000)).ravel()
    found = stats.kstest((x - noise.mean) / noise.std, "norm")
    # orthogonal numbers are multiples of 1 / 1,024, and nearly normal
    assert found.statistic < 0.004 if orthogonal else found.pvalue > 0.001
    assert x.min() < -0.5 and x.max() > 1.5


def test_uniform_noise_is_uniform():
    x = ops.convert_to_numpy(WhiteNoise("uniform").draw(3, 7, 1000)).ravel()
    assert stats.kstest(x, "uniform").pvalue > 0.001


def test_pixels_are_independent():
    noise = WhiteNoise(shape=(5, 5, 1), orthogonal=False)
    x = ops.convert_to_numpy(noise.draw(0, 0, 50_000)).reshape(50_000, 25)
    z = np.corrcoef(x.T)[np.triu_indices(25, 1)] * np.sqrt(50_000)
    assert np.abs(z).max() < 4.5
    assert abs(z.std() - 1) < 5 / np.sqrt(2 * len(z))


@pytest.mark.parametrize("orthogonal", [True, False])
def test_a_block_is_a_function_of_seed_and_index(orthogonal):
    noise = WhiteNoise(shape=(3, 5, 1), orthogonal=orthogonal)  # an odd number of pixels
    x = ops.convert_to_numpy(noise.draw(1, 2, 10))
    keras.utils.set_random_seed(99)
    keras.random.normal([3])
    assert np.array_equal(x, ops.convert_to_numpy(noise.draw(1, 2, 10)))
    for seed, block in [(1, 3), (2, 2), (2, 1), (0, 0)]:
        assert (
            abs(
                np.corrcoef(x.ravel(), ops.convert_to_numpy(noise.draw(seed, block, 10)).ravel())[
                    0, 1
                ]
            )
            < 0.4
        )


def test_no_block_shares_its_random_numbers_with_another():
    """A pair of normal numbers is a point whose angle and radius each take a uniform number."""
    uniform, noise = [], WhiteNoise(shape=(1, 2, 1), orthogonal=False)
    for seed, block in itertools.product((0, 1), range(5)):
        x, y = ops.convert_to_numpy(noise.xi(seed, block, 2000)).reshape(2000, 2).T
        uniform += [np.arctan2(y, x) / (2 * np.pi) % 1, 1 - np.exp(-(x**2 + y**2) / 2)]
    z = np.corrcoef(uniform)[np.triu_indices(20, 1)] * np.sqrt(2000)
    assert np.abs(z).max() < 4.5  # of a number that two of them share: 45


@pytest.mark.parametrize("orthogonal", [True, False])
@pytest.mark.parametrize("kind", ["gaussian", "uniform", "binary"])
def test_fewer_stimuli_are_the_beginning_of_more(kind, orthogonal):
    noise = WhiteNoise(kind, shape=(3, 5, 1), orthogonal=orthogonal)
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
    x = ops.convert_to_numpy(noise.draw(3, 1, 50_000))
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
    x = ops.convert_to_numpy(noise.draw(1, 2, 10))
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
    x = ops.convert_to_numpy(noise.draw(0, 0, 400))
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
    expected = centred(np.moveaxis(weights, -1, 0)).reshape(2, -1) @ inside
    whitened = noise.whiten(estimate.covariance, 0).reshape(2, -1)
    assert cosines(whitened, expected).min() > 0.995
    assert np.allclose(
        np.linalg.norm(whitened, axis=1), np.linalg.norm(expected, axis=1), rtol=0.05
    )
    assert cosines(estimate.covariance, expected).max() < 0.9  # as it comes, it is bent


def test_sparse_noise_is_bright_at_its_rate_and_white():
    noise = SparseNoise(0.1, (5, 5, 1))
    x = ops.convert_to_numpy(noise.draw(1, 2, 50_000))
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
    assert close(estimate, centred(np.stack([0 * expected, expected])).reshape(2, 2, 2, 1))


# --------------------------------------------------------------------------- every ensemble

SHAPE = (12, 12, 1)
FACE = np.random.default_rng(5).random(SHAPE)
EVERY = {
    "gaussian": WhiteNoise(shape=SHAPE),
    "gaussian about an image": WhiteNoise(shape=SHAPE, base=FACE, contrast=0.1),
    "uniform": WhiteNoise("uniform", SHAPE),
    "binary": WhiteNoise("binary", SHAPE),
    "coarse": CoarseNoise(SHAPE, cells=3),
    "pink": PinkNoise(SHAPE, base=0.3),
    "sinusoid": SinusoidNoise(SHAPE, base=FACE, contrast=0.3),
    "gabor": structured_noise(SHAPE, 20),
    "sparse": SparseNoise(0.2, SHAPE),
    "gaussian, independent": WhiteNoise(shape=SHAPE, orthogonal=False),
    "binary, independent": WhiteNoise("binary", SHAPE, orthogonal=False),
    "coarse, independent": CoarseNoise(SHAPE, cells=3, orthogonal=False),
    "pink, independent": PinkNoise(SHAPE, base=0.3, orthogonal=False),
    "sinusoid, independent": SinusoidNoise(SHAPE, base=FACE, contrast=0.3, orthogonal=False),
}


def matrix(noise):
    """A of an ensemble, (numbers, pixels), from its action on each number alone."""
    numbers = int(np.prod(noise.coordinates))
    units = np.eye(numbers).reshape(numbers, *noise.coordinates)
    return np.concatenate([noise.images(unit[None]) for unit in units]).reshape(numbers, -1)


@pytest.fixture(scope="module")
def shown():
    """A linear observer of three classes, shown every ensemble."""
    weights = np.random.default_rng(4).normal(size=(*SHAPE, 3))
    network = observer(weights)
    passes = {
        name: measure(network, noise, 24_000, progress=False, block_images=1000)
        for name, noise in EVERY.items()
    }
    return centred(weights.reshape(-1, 3).T), passes, network


@pytest.mark.parametrize("name", EVERY)
def test_the_numbers_behind_noise_are_as_stated_and_so_are_the_pixels(name):
    noise, count = EVERY[name], 20 * ROWS
    xi = ops.convert_to_numpy(noise.xi(1, 2, count)).reshape(count, -1)
    if noise.orthogonal_coordinates:
        numbers = xi.astype(np.float64)  # a row's mirror image is shown too: the mean is 0
        assert np.array_equal(numbers.T @ numbers, count * np.eye(xi.shape[1]))
    else:
        assert np.abs(xi.mean(axis=0)).max() < 5 / np.sqrt(count)
        assert np.allclose((xi**2).mean(axis=0), 1, atol=5 * np.sqrt((xi**4).mean() / count))
        z = (xi.T @ xi / count)[np.triu_indices(xi.shape[1], 1)] * np.sqrt(count)
        assert abs(z.std() - 1) < 5 / np.sqrt(2 * len(z)) and np.abs(z).max() < 5.5
    rows = matrix(noise)
    assert np.allclose(np.sqrt((rows**2).sum(axis=0)), noise.pixel_std.ravel(), rtol=1e-5)
    x = ops.convert_to_numpy(noise.draw(1, 2, count))
    shown = np.concatenate([x, 2 * noise.mean - x]) if noise.symmetric else x
    assert np.allclose(shown.std(axis=0), noise.pixel_std, rtol=0.05)
    error = noise.pixel_std.max() / np.sqrt(count)
    assert np.allclose(shown.mean(axis=0), noise.mean, atol=5 * error)
    fluctuation = (xi[:3] @ rows).reshape(3, *SHAPE)
    assert np.allclose(x[:3], noise.mean + fluctuation, atol=1e-5)
    again = ops.convert_to_numpy(noise.draw(1, 2, count))
    assert np.array_equal(x, again) and not np.array_equal(x[:9], noise.draw(1, 3, 9))
    json.dumps(noise.describe())


@pytest.mark.parametrize("name", EVERY)
def test_every_ensemble_recovers_a_linear_observer(name, shown):
    weights, passes, _ = shown
    noise, rows = EVERY[name], matrix(EVERY[name])
    truth = weights @ rows.T @ rows
    classes = passes[name].classes
    logit = classes["logit"]
    images = logit.covariance.reshape(3, -1)
    found = cosines(images, truth)
    assert np.all(np.abs(found - logit.expected_correlation) < 0.03)
    assert close(logit, truth.reshape(3, *SHAPE), errors=7)  # pixels matter: more than null errors
    scale = (images * truth).sum(axis=1) / (truth**2).sum(axis=1)
    assert np.allclose(scale, 1, atol=0.1)
    if logit.weights is not None:
        inverse = np.linalg.solve(rows, logit.coefficients.reshape(3, -1).T).T
        assert np.allclose(logit.weights.reshape(3, -1), inverse, atol=1e-4 * np.abs(inverse).max())
    if noise.symmetric:
        assert np.all(cosines(classes["choice"].covariance, truth) > found - 0.1)
        assert logit.variance.linear.min() > 0.9 and np.abs(logit.variance.even).max() < 1e-3
    assert logit.info_value.min() > 5


@pytest.mark.parametrize("name", [name for name in EVERY if EVERY[name].has_gradient_identity])
def test_every_ensemble_agrees_with_the_gradients(name, shown):
    weights, _, network = shown
    rows = matrix(EVERY[name])
    exact = exact_class_images(network, EVERY[name], 2000)["logit"]
    truth = weights @ rows.T @ rows
    assert correlations(exact.images, truth).min() > 0.99
    if EVERY[name].distribution == "gaussian":  # the gradient of a linear observer is constant
        assert np.allclose(exact.images.reshape(3, -1), truth, atol=1e-4 * np.abs(truth).max())


@pytest.mark.parametrize("name", EVERY)
def test_every_ensemble_survives_saving(name, shown, tmp_path):
    measurement = shown[1][name]
    measurement.save(tmp_path / "m.npz")
    loaded = Measurement.load(tmp_path / "m.npz")
    for response, estimate in measurement.classes.items():
        assert np.array_equal(estimate.z, loaded.classes[response].z, equal_nan=True)
    assert loaded.noise.describe() == EVERY[name].describe()


@pytest.mark.parametrize("name", ["coarse", "pink", "sinusoid", "sparse"])
def test_null_images_pass_the_threshold_in_five_percent_whatever_the_noise(name):
    noise = EVERY[name]
    rng = np.random.default_rng(0)
    rows = matrix(noise).reshape(-1, np.prod(SHAPE))
    errors, largest, numbers = [], [], int(np.prod(noise.coordinates))
    for _ in range(600):  # coefficients of many stimuli are normal: images of pure error
        coefficients = rng.normal(size=numbers)
        z = (coefficients @ rows) / noise.pixel_std.ravel()
        errors.append(np.abs(z).max() > noise.threshold)
        largest.append(np.abs(coefficients).max() > sidak_threshold(numbers))
    allowed = 4.5 * np.sqrt(0.05 * 0.95 / 600)
    assert abs(np.mean(errors) - 0.05) < allowed and abs(np.mean(largest) - 0.05) < allowed


def test_of_large_images_few_null_images_say_nearly_the_same(monkeypatch):
    """Their largest |z| follow a Gumbel distribution, whose quantile a tenth of the draws give."""
    values = stats.gumbel_r.rvs(3.5, 0.2, size=20_000, random_state=0)
    exact = stats.gumbel_r.ppf(0.95, 3.5, 0.2)
    assert gumbel_quantile(values, 0.95) == pytest.approx(exact, abs=0.02)
    many = PinkNoise((32, 32, 1))
    known = many.threshold, *many.null_norm
    monkeypatch.setattr(null_images, "NULL_NUMBERS", 200 * 32 * 32)
    few = PinkNoise((32, 32, 1))
    assert few.threshold == pytest.approx(known[0], abs=0.15)
    assert few.null_norm[0] == pytest.approx(known[1], abs=5 * known[2] / np.sqrt(200))
    assert few.null_norm[1] == pytest.approx(known[2], rel=0.35)


def test_coordinates_that_do_not_matter_have_standard_normal_z():
    noise = CoarseNoise((16, 16, 1), cells=2)
    weights = np.zeros((16, 16, 1, 2), np.float32)
    weights[:2, :2, 0] = 1, -1  # one cell
    network = observer(weights, 0, "tanh")
    z = []
    for measurement in measurements(network, 12, 4096, shards=2, noise=noise):
        for response in ("logit", "choice", "decision"):
            estimate = measurement.classes[response]
            z.append((estimate.coefficients[0] / estimate.coefficient_error[0]).ravel()[1:])
            assert np.allclose(estimate.z[0, ::2, ::2, 0].ravel()[1:], z[-1])
    z = np.concatenate(z)
    assert abs(z.std() - 1) < 0.06 and abs(z.mean()) < 0.06


@pytest.mark.parametrize("orthogonal", [True, False])
@pytest.mark.parametrize(
    "noise",
    [WhiteNoise(shape=(8, 8, 1)), CoarseNoise((8, 8, 1), cells=2), PinkNoise((8, 8, 1))],
    ids=["white", "coarse", "pink"],
)
def test_the_informational_value_of_images_is_that_of_simulated_norms(noise, orthogonal, rng):
    noise = noise if orthogonal else noise.independent
    network = observer(rng.normal(size=(8, 8, 1, 2)), 0)
    estimate = measure(network, noise, 4000, progress=False).classes["choice"]
    null = noise.images(rng.normal(size=(20_000, *noise.coordinates)))
    norms = np.linalg.norm(null.reshape(len(null), -1), axis=1)
    middle = np.median(norms)
    spread = np.median(np.abs(norms - middle)) / stats.norm.ppf(0.75)
    norm = np.linalg.norm(estimate.covariance.reshape(2, -1), axis=1)
    expected = (norm / estimate.coefficient_error - middle) / spread
    assert estimate.info_value == pytest.approx(expected, rel=0.07)


# --------------------------------------------------------------------------- pairs and choice


def quadratic(even=3.0, cubic=2.0):
    """Two logits whose half difference is w.f + even (v.f)^2 + cubic (v.f)^3, D = 20."""
    rng = np.random.default_rng(1)
    w, v = rng.normal(size=(2, 20))
    w, v = w / np.linalg.norm(w), v / np.linalg.norm(v)
    images = keras.Input((4, 5, 1))
    f = keras.layers.Flatten()(images) - 0.5
    a = keras.layers.Dense(1, use_bias=False, name="w")(f)
    b = keras.layers.Dense(1, use_bias=False, name="v")(f)
    r = a + even * b * b + cubic * b * b * b
    network = keras.Model(images, keras.ops.concatenate([-r, r], axis=1))
    network.get_layer("w").set_weights([w[:, None]])
    network.get_layer("v").set_weights([v[:, None]])
    return network, w, v


def test_the_variance_of_a_response_is_split_as_it_must_be():
    network, w, v = quadratic()
    noise = WhiteNoise(shape=(4, 5, 1), contrast=0.3)
    estimate = measure(network, noise, 200_000, progress=False).classes["logit"]
    gradient = w + 2.0 * 3 * 0.3**2 * v  # E grad of w.f + 2 (v.f)^3
    wv, s2 = w @ v, 0.09
    odd = s2 + 2 * 2 * wv * 3 * s2**2 + 4 * 15 * s2**3
    even = 9 * 2 * s2**2
    assert s2 * gradient @ gradient / odd == pytest.approx(0.868, abs=0.15)  # depends on w.v
    split = estimate.variance
    assert split.linear[1] / (1 - split.even[1]) == pytest.approx(
        s2 * gradient @ gradient / odd, abs=0.02
    )
    assert split.even[1] == pytest.approx(even / (odd + even), abs=0.02)
    assert split.linear + split.odd + split.even == pytest.approx(np.ones(2))


def test_an_even_response_has_no_image():
    images = keras.Input((4, 5, 1))
    r = keras.ops.sum(keras.ops.square(keras.layers.Flatten()(images) - 0.5), axis=1, keepdims=True)
    network = keras.Model(images, keras.ops.concatenate([-r, r], axis=1))
    estimate = measure(network, WhiteNoise(shape=(4, 5, 1)), 8000, progress=False).classes["logit"]
    assert estimate.variance.even == pytest.approx(np.ones(2), abs=1e-6)
    assert np.abs(estimate.covariance).max() < 1e-6


def test_choice_gives_the_template_of_a_linear_observer_whatever_is_even():
    network, w, _ = quadratic(even=3.0, cubic=0.0)
    noise = WhiteNoise(shape=(4, 5, 1), contrast=0.3)
    choice = measure(network, noise, 200_000, progress=False).classes["choice"]
    expected = 0.3 * np.sqrt(2 / np.pi) * w.reshape(4, 5, 1)
    assert close(choice, np.stack([-expected, expected]))
    assert choice.mean_response.max() == 0
    assert choice.response_std == pytest.approx(np.ones(2), abs=1e-5)  # few pairs are a draw


def test_no_class_is_without_a_choice_image(rng):
    weights = rng.normal(size=(6, 6, 1, 3))
    classes = measure(
        observer(weights, [0, 0, -1000]), WhiteNoise(shape=(6, 6, 1)), 8000, progress=False
    ).classes
    assert np.isnan(classes["decision"].image[2]).all()
    assert cosines(classes["choice"].covariance, centred(np.moveaxis(weights, -1, 0))).min() > 0.9


# --------------------------------------------------------------------------- bases, refusals, peers


def test_a_base_is_a_number_one_a_channel_or_an_image():
    shape = (4, 5, 3)
    assert WhiteNoise(shape=shape, base=0.2).mean == 0.2
    assert np.allclose(PinkNoise(shape, base=(0.1, 0.2, 0.3)).mean[1, 1], [0.1, 0.2, 0.3])
    grey = np.random.default_rng(0).random((4, 5))
    assert np.allclose(CoarseNoise(shape, base=grey, cells=1).mean[..., 2], grey)
    assert WhiteNoise(shape=shape, low=-1, high=1, contrast=0.1).std == pytest.approx(0.2)
    coloured = ops.convert_to_numpy(SinusoidNoise((8, 8, 3)).draw(0, 0, 2))
    assert np.array_equal(coloured[..., 0], coloured[..., 2])  # channels share the numbers


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: WhiteNoise(shape=(4, 4, 1), base=np.zeros((5, 4))), "but stimuli are"),
        (lambda: WhiteNoise(shape=(4, 4, 3), base=(1, 2)), "one number per channel"),
        (lambda: PinkNoise((4, 4, 1), base=np.full((4, 4), np.nan)), "NaN"),
        (lambda: PinkNoise((4, 4, 1), contrast=0), "positive share"),
        (lambda: WhiteNoise(shape=(4, 4, 1), base=7), "base goes from 7 to 7, .* from 0 to 1"),
        (lambda: PinkNoise((4, 4, 1), base=np.full((4, 4), 128.0)), "base goes from 128 to 128"),
        (lambda: PinkNoise((4, 4, 1), exponent=-1), "exponent"),
        (lambda: CoarseNoise((10, 8, 1), cells=4), "do not tile images of 10 x 8.*divisor of 2"),
        (lambda: SinusoidNoise((10, 8, 1), scales=(1, 4)), "patches per side do not tile"),
        (lambda: WhiteNoise(shape=(4, 4, 1), low=1, high=0), "from low to high"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_a_sentence(make, sentence):
    with pytest.raises(UserError, match=sentence):
        make()


def test_pink_noise_falls_with_frequency():
    noise = PinkNoise((32, 32, 1))
    power = (
        np.abs(np.fft.fft2(ops.convert_to_numpy(noise.draw(0, 0, 2000))[..., 0] - noise.mean)) ** 2
    )
    along = np.sqrt(power.mean(axis=0)[0, 1:9])
    assert np.allclose(along * np.arange(1, 9) / along[0], 1, rtol=0.1)


def test_sinusoid_images_are_those_of_rcpyci():
    core = pytest.importorskip("rcpyci.core")
    noise = SinusoidNoise((64, 64, 1), scales=(1, 2, 4, 8, 16))
    rng = np.random.default_rng(0)
    parameters = rng.uniform(-1, 1, size=(50, *noise.coordinates))
    choices = rng.choice([-1, 1], size=(50, 1))
    theirs = core.compute_ci(np.zeros((64, 64)), choices, parameters)
    ours = noise.images((parameters * choices).mean(axis=0)[None])[0, ..., 0]
    scale = np.sum(ours * theirs) / np.sum(ours**2)
    assert np.allclose(scale * ours, theirs, atol=1e-6 * np.abs(theirs).max())
