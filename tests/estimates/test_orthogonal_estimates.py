"""Errors are those of the residual where numbers are orthogonal: known answers."""

import numpy as np
import pytest
from helpers import measurements
from keras import ops
from scipy import stats
from small_observers import observer

from reverse_correlation import PinkNoise, WhiteNoise, exact_classification_images, measure
from reverse_correlation.estimates.class_sums import ClassSums
from reverse_correlation.stimuli.orthogonal import ROWS, orthogonal_numbers

BLOCK = 2 * ROWS  # stimuli of a block of pairs
SHAPE = (20, 20, 1)


def shown(network, count, **kwargs):
    noise = WhiteNoise(shape=tuple(network.inputs[0].shape[1:]))
    return measure(network, noise, count, progress=False, **kwargs)


def test_a_linear_observer_is_recovered_exactly_from_one_block(rng):
    weights = rng.normal(size=(*SHAPE, 3))
    logit = shown(observer(weights), BLOCK).classes["logit"]
    truth = np.moveaxis(weights - weights.mean(axis=-1, keepdims=True), -1, 0) / 12
    assert np.abs(logit.covariance - truth).max() < 1e-5 * np.abs(truth).max()
    assert np.all(np.abs(logit.variance.linear - 1) < 1e-4)
    assert np.all(logit.expected_correlation > 0.9999)


@pytest.mark.parametrize("count", [BLOCK, 4 * BLOCK])
def test_a_linear_observer_s_rounding_is_not_significant(count, rng):
    weights = np.zeros((*SHAPE, 2))
    weights[:10] = rng.normal(size=(10, 20, 1, 2))
    logit = shown(observer(weights), count).classes["logit"]
    assert np.all(logit.standard_error > 0) and np.all(np.isfinite(logit.info_value))
    assert np.all(logit.significant[:, :10].mean(axis=(1, 2, 3)) > 0.99)
    assert np.abs(logit.z[:, 10:]).max() < 1


def test_pixels_of_two_kinds_of_numbers_have_the_error_of_both(rng):
    """Of pink noise with more pixels than a block has room for: z of 32 that do nothing."""
    noise = PinkNoise((36, 36))
    columns = noise.images(np.eye(*noise.coordinates, dtype=np.float32)).reshape(-1, 36 * 36)
    null = rng.choice(36 * 36, 32, replace=False)
    templates = rng.normal(size=(36 * 36, 32))  # of covariance 0 with those pixels
    shared = columns.T @ columns[:, null]
    templates -= shared @ np.linalg.lstsq(shared, templates, rcond=None)[0]
    templates /= np.linalg.norm(columns @ templates, axis=0)
    network = observer(2 * templates.reshape(36, 36, 1, 32), -templates.sum(axis=0), "tanh")
    z = []
    for measurement in measurements(network, 6, 2 * BLOCK, shards=2, noise=noise):
        z.append(measurement.classes["logit"].z.reshape(32, -1)[:, null])
    assert 0 < noise.orthogonal_power < 1
    # neighbouring pixels err together: a tenth as many count
    assert abs(np.std(z) - 1) < 4 / np.sqrt(2 * np.size(z) / 10)


def cubic(x):
    """Return x**3 - x."""
    return x**3 - x


@pytest.mark.parametrize("function", [cubic, "relu", "tanh"])
def test_pixels_that_do_nothing_have_z_of_standard_deviation_1(function, rng):
    """Of cubic, rectified and saturating observers; decisions, probabilities, logits, choices."""
    weights = np.zeros((*SHAPE, 4))
    weights[:10] = rng.normal(size=(10, 20, 1, 4)) / 2
    network = observer(weights, activation=function)
    found = {}
    for measurement in measurements(network, 6, 2 * BLOCK, shards=2, orthogonal=True):
        for name, estimate in measurement.classes.items():
            found.setdefault(name, []).append(estimate.z[:, 10:])
    for name, z in found.items():
        z = np.concatenate(z).ravel()
        z = z[np.isfinite(z)]
        # the errors of classes are not independent: half as many numbers count
        assert abs(z.std() - 1) < 4 / np.sqrt(z.size), (name, z.std())


def test_an_orthogonal_picture_is_better_where_much_is_linear(rng):
    """By 1 / (1 - linear share), as r**2 / (1 - r**2) with the truth."""
    weights = rng.normal(size=(*SHAPE, 2)) / 10
    network = observer(weights, activation="tanh")
    truth = exact_classification_images(network, WhiteNoise(shape=SHAPE), 20_000)[1].ravel()
    ratio = {}
    for orthogonal in (True, False):
        gains = []
        for measurement in measurements(network, 4, 2 * BLOCK, shards=2, orthogonal=orthogonal):
            logit = measurement.classes["logit"]
            r = np.corrcoef(logit.covariance[1].ravel(), truth)[0, 1]
            gains.append(r**2 / (1 - r**2))
            if orthogonal:
                assert logit.expected_correlation[1] == pytest.approx(r, abs=0.01)
                share = logit.variance.linear[1] / (1 - logit.variance.even[1])
        ratio[orthogonal] = np.mean(gains)
    assert ratio[True] / ratio[False] == pytest.approx(1 / (1 - share), rel=0.3)


def test_the_linear_share_of_an_odd_response_is_the_known_one():
    """Of w f + 3 (v f)**2 + 2 (v f)**3 with D = 20 and deviation .3: about .87 of the odd part."""
    rng = np.random.default_rng(4)
    w, v = np.linalg.qr(rng.normal(size=(20, 2)))[0].T

    def answer(images):
        f = images.reshape(len(images), -1) - 0.5
        r = f @ w + 3 * (f @ v) ** 2 + 2 * (f @ v) ** 3
        return np.stack([-r, r], axis=1) / 2

    noise = WhiteNoise(shape=(5, 4), contrast=0.3)
    estimates = [
        measure(answer, noise, count, progress=False).classes["logit"].variance
        for count in (8 * BLOCK, BLOCK, 1000)
    ]
    # sigma**2 |E grad|**2 / var(odd): E grad = w + 6 sigma**2 v, var(odd) from moments of normals
    s2 = 0.09
    odd = s2 + 2 * 2 * 3 * s2**2 * (w @ v) + 4 * 15 * s2**3
    linear = s2 * (1 + 12 * s2 * (w @ v) + 36 * s2**2)
    for variance in estimates:
        of_odd = 1 - variance.even[1]
        share, error = variance.linear[1] / of_odd, variance.linear_error[1] / of_odd
        assert abs(share - linear / odd) < 4 * error + 1e-3 and error < 0.2


def test_an_energy_model_has_no_linear_share(rng):
    template = rng.normal(size=400)

    def answer(images):
        flat = images.reshape(len(images), -1)
        drive = ((flat - 0.5) @ template / 10) ** 2 + 1e-3 * flat[:, 0]  # little that is odd
        return np.stack([-drive, drive], axis=1)

    logit = measure(answer, WhiteNoise(shape=SHAPE), 3 * BLOCK, progress=False).classes["logit"]
    assert np.all(logit.variance.even > 0.99)


def sums_of_null(responses, columns, blocks, seed):
    """The sums of responses that nothing causes: rows of normal numbers, choices of their signs."""
    rng = np.random.default_rng(seed)
    sums = ClassSums((columns,), responses, pixels=columns, orthogonal=columns)
    halves = [{}, {}]
    for index in range(blocks):
        xi = ops.convert_to_numpy(orthogonal_numbers(seed, index, columns)).astype(np.float64)
        odd = rng.normal(size=(ROWS, responses))
        odd = np.concatenate([odd, odd, odd, np.sign(odd)], axis=1)
        zero = np.zeros(3 * responses)
        shard = {
            "n": np.float64(BLOCK), "pairs": np.float64(ROWS), "r": zero, "rr": zero + 1,
            "e": zero, "ee": zero, "oo": np.sum(odd**2, axis=0), "ox": odd.T @ xi,
            "x": np.zeros(columns),
        }  # fmt: skip
        half = halves[index % 2]
        for name, value in sums.finish(shard).items():
            half[name] = half.get(name, 0) + value
    return sums, {name: np.stack([half[name] for half in halves]) for name in halves[0]}


@pytest.mark.parametrize("response", ["logit", "choice"])
def test_no_more_than_five_percent_of_null_images_have_a_significant_pixel(response):
    sums, found = sums_of_null(1000, 256, 2, 3)
    estimate = sums.estimates(found, WhiteNoise(shape=(16, 16)))["classes"][response]
    z = (estimate.coefficients / estimate.coefficient_error[:, None]).reshape(1000, -1)
    assert abs(z.std() - 1) < 4 / np.sqrt(2 * z.size)
    hits = int(np.sum(np.abs(z).max(axis=1) > estimate.threshold))
    low, high = stats.binom.interval(0.999, 1000, 0.05)
    assert low <= hits <= high


def test_less_than_a_block_counts_as_independent_draws_and_more_as_whole_blocks(rng, capsys):
    network = observer(rng.normal(size=(*SHAPE, 2)) / 10, activation="tanh")
    noise = WhiteNoise(shape=SHAPE)
    few = shown(network, BLOCK - 2)
    assert few.count == BLOCK - 2
    logit = few.classes["logit"]
    odd = np.sqrt(few.sums["classes"]["oo"][0, 4:6] / (ROWS - 1))  # of a pair's half difference
    assert np.allclose(logit.coefficient_error, odd / np.sqrt(ROWS - 1))
    more = measure(network, noise, BLOCK + 2)
    assert more.count == 2 * BLOCK
    assert "4,096 images: 2 whole blocks of orthogonal numbers" in capsys.readouterr().out
    assert measure(network, noise.independent, BLOCK + 2, progress=False).count == BLOCK + 2


def test_halves_exist_from_the_second_block_on(rng):
    network = observer(rng.normal(size=(*SHAPE, 2)) / 10, activation="tanh")
    one, two = (shown(network, count) for count in (BLOCK, 2 * BLOCK))
    assert np.isnan(one.classes["logit"].reliability).all()
    assert np.all(two.classes["logit"].reliability > 0.8)
    assert one.images_for_reliability == two.images_for_reliability == 2 * BLOCK
