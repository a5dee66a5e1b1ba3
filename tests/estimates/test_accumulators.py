"""Known answers: each network here is small enough for its images to be derived."""

import dataclasses
import itertools

import keras
import numpy as np
import pytest
from helpers import covariance_of_rows, drawn, same_bits, show
from keras import layers, ops
from scipy import integrate, stats
from small_observers import STD, centred, close, convolution, observer, yes_no

from reverse_correlation import (
    ACCUMULATORS,
    Accumulator,
    Ensemble,
    Measurement,
    UserError,
    WhiteNoise,
    measure,
    receptive_field,
)
from reverse_correlation.estimates.class_sums import ClassSums
from reverse_correlation.estimates.correlation import cosines
from reverse_correlation.estimates.estimate import estimate_from_sums, with_covariance
from reverse_correlation.estimates.layer_sums import pair_sums, pair_zeros

SHAPE = (4, 5, 1)
TEMPLATE = np.random.default_rng(0).normal(size=SHAPE)
UNIT = TEMPLATE / np.linalg.norm(TEMPLATE)


# --------------------------------------------------------------------------- classes


def test_a_linear_logit_gives_variance_times_weights():
    logits = show(observer(np.stack([TEMPLATE, -2 * TEMPLATE], -1), 0.3)).classes["logit"]
    assert close(logits, centred(STD**2 * np.stack([TEMPLATE, -2 * TEMPLATE])))
    assert logits.mean_response == pytest.approx(
        centred([TEMPLATE.sum() / 2 + 0.3, 0.3 - TEMPLATE.sum()]),
        abs=5 * logits.response_std.max() / 316,
    )


def test_uniform_noise_weighs_gradients_by_x_times_one_minus_x():
    weights = np.zeros((2, 2, 1, 2))
    weights[0, 0, 0, 1] = 1
    logits = show(observer(weights, -0.5, "relu"), kind="uniform").classes["logit"]
    expected = np.zeros((2, 2, 2, 1))
    expected[1, 0, 0, 0] = 1 / 24  # cov(max(x - 1/2, 0), x) by integration
    assert close(logits, centred(expected))


def test_binary_noise_gives_a_quarter_of_the_mean_difference(rng):
    weights = rng.normal(size=(2, 2, 1, 3))
    network = observer(weights, activation="tanh")
    stimuli = np.array(list(itertools.product([0.0, 1.0], repeat=4))).reshape(16, 2, 2, 1)
    responses = np.tanh(np.tensordot(stimuli, weights, 3))  # all sixteen, (16, 3)
    flat = stimuli.reshape(16, 4)
    expected = np.array(
        [
            [(r[flat[:, i] == 1].mean() - r[flat[:, i] == 0].mean()) / 4 for i in range(4)]
            for r in responses.T
        ]
    ).reshape(3, 2, 2, 1)
    assert close(show(network, kind="binary").classes["logit"], centred(expected))


def test_a_threshold_unit_gives_its_template():
    bias = -TEMPLATE.sum() / 2 + 0.4 * STD * np.linalg.norm(TEMPLATE)  # drive of mean .4 sigma
    decisions = show(yes_no(TEMPLATE, bias)).classes["decision"]
    yes, density = stats.norm.cdf(0.4), stats.norm.pdf(0.4)
    expected = STD * density * UNIT  # sigma^2 times the gradient of P(yes) in the mean
    assert close(decisions, np.stack([-expected, expected]))
    error = 5 * decisions.standard_error[1] / yes
    assert np.all(np.abs(decisions.average[1] - STD * density / yes * UNIT) < error)
    difference = decisions.average[1] - decisions.average[0]
    assert np.all(
        np.abs(difference - STD * density / yes / (1 - yes) * UNIT) < error / (1 - yes) * 1.01
    )


def test_a_relu_unit_gives_its_weights():
    weights = np.stack([TEMPLATE, -TEMPLATE], -1)
    norm = STD * np.linalg.norm(TEMPLATE)
    logits = show(observer(weights, [0.2, -0.1], "relu")).classes["logit"]
    drive = np.array([TEMPLATE.sum() / 2 + 0.2, -TEMPLATE.sum() / 2 - 0.1])
    a = drive / norm
    expected = STD**2 * np.moveaxis(weights, -1, 0) * stats.norm.cdf(a)[:, None, None, None]
    assert close(logits, centred(expected))
    mean = centred(drive * stats.norm.cdf(a) + norm * stats.norm.pdf(a))
    assert np.all(np.abs(logits.mean_response - mean) < 5 * logits.response_std / np.sqrt(100_000))


def test_a_sigmoid_unit_gives_its_weights():
    probability = show(yes_no(3 * TEMPLATE, 0.5)).classes["probability"]
    mean, std = 1.5 * TEMPLATE.sum() + 0.5, 3 * STD * np.linalg.norm(TEMPLATE)

    def slope(m):
        s = 1 / (1 + np.exp(-m))
        return s * (1 - s) * stats.norm.pdf(m, mean, std)

    expected = STD**2 * 3 * TEMPLATE * integrate.quad(slope, -60, 60)[0]
    assert close(probability, np.stack([-expected, expected]))


def test_softmax_regression_stays_in_the_row_space(rng):
    weights = rng.normal(size=(*SHAPE, 3))
    probability = show(observer(weights)).classes["probability"]
    rows = weights.reshape(20, 3)
    images = probability.covariance.reshape(3, 20)
    residual = images - images @ rows @ np.linalg.pinv(rows)
    assert np.all(np.abs(residual) < 5 * probability.standard_error.reshape(3, 20))
    assert np.abs(images.sum(axis=0)).max() < 1e-6 < np.abs(images).max() / 100


@pytest.mark.parametrize(("orthogonal", "count"), [(False, 12_345), (True, 7 * 2048)])
def test_decision_images_sum_to_zero_and_counts_to_all(orthogonal, count, rng):
    network = observer(rng.normal(size=(*SHAPE, 5)))
    measurement = show(network, 12_345, orthogonal=orthogonal)
    assert np.abs(measurement.classes["decision"].covariance.sum(axis=0)).max() < 1e-7
    assert measurement.answered.sum() == measurement.count == count


@pytest.mark.parametrize(("orthogonal", "count"), [(False, 2346), (True, 2 * 2048), (True, 1236)])
def test_class_means_are_the_means_of_the_stimuli(orthogonal, count, rng):
    network = observer(rng.normal(size=(*SHAPE, 3)))
    noise = WhiteNoise(shape=SHAPE, orthogonal=orthogonal)
    stimuli = drawn(noise, count, 1000, seed=5).astype(np.float64)
    answers = ops.convert_to_numpy(network(stimuli)).argmax(axis=1)
    measurement = measure(network, noise, count, seed=5, progress=False, block_images=1000)
    assert measurement.count == count
    for k in range(3):
        mean = stimuli[answers == k].mean(axis=0) - stimuli.mean(axis=0)
        assert np.allclose(measurement.classes["decision"].average[k], mean, atol=1e-6)
    assert np.array_equal(measurement.answered, np.bincount(answers, minlength=3))


def test_uniform_noise_bends_the_image_of_a_sparse_rectified_unit_and_gaussian_does_not():
    weights = np.zeros((1, 3, 1, 2))
    weights[0, :, 0, 1] = 3, 1, 0.5
    network = observer(weights, -4.0, "relu")  # fires on the 1 % of brightest stimuli
    grid = (np.arange(100) + 0.5) / 100
    cube = np.stack(np.meshgrid(grid, grid, grid, indexing="ij"))  # all of [0, 1]^3
    on = np.tensordot(weights[0, :, 0, 1], cube, 1) > 4
    expected = weights[0, :, 0, 1] * (cube * (1 - cube) / 2 * on).mean(axis=(1, 2, 3))
    uniform = show(network, kind="uniform").classes["logit"]
    error = uniform.standard_error[1].ravel()  # centred, of two logits: half
    assert np.all(np.abs(uniform.covariance[1].ravel() - expected / 2) < 5 * error)
    truth = [weights[0, :, 0, 1]]
    assert cosines(uniform.covariance[1:], truth) < 0.98
    assert cosines(show(network).classes["logit"].covariance[1:], truth) > 0.999


def test_coloured_noise_gives_its_covariance_times_the_weights(rng):
    mixing = np.eye(20) + 0.3 * rng.normal(size=(20, 20))

    @dataclasses.dataclass(frozen=True, eq=False)
    class Coloured(Ensemble):
        """A user's own ensemble."""

        shape: tuple
        low: float = 0.0
        high: float = 1.0
        base: object = None
        contrast: float | None = None
        coordinates = (20,)

        def fluctuation(self, xi):
            mixed = STD * (xi @ ops.convert_to_tensor(mixing.T, xi.dtype))
            return ops.reshape(mixed, (-1, *self.shape))

    covariance = STD**2 * mixing @ mixing.T
    network = observer(np.stack([TEMPLATE, -TEMPLATE], -1))
    estimate = measure(network, Coloured(shape=SHAPE), 100_000, progress=False).classes["logit"]
    expected = (covariance @ TEMPLATE.ravel()).reshape(SHAPE)
    pixel_std = np.sqrt(np.diag(covariance)).reshape(SHAPE)
    assert np.allclose(Coloured(shape=SHAPE).pixel_std, pixel_std)
    assert close(estimate, np.stack([expected, -expected]), errors=7)
    recovered = np.linalg.solve(covariance, estimate.covariance[0].ravel())
    error = np.sqrt(np.diag(np.linalg.inv(covariance)) / 50_000) * estimate.response_std[0]
    assert np.all(np.abs(recovered - TEMPLATE.ravel()) < 5 * error)


def test_more_classes_and_pixels_than_memory_holds_are_refused():
    with pytest.raises(UserError, match="images of 1,000 classes over 150,528 numbers.*GB"):
        ClassSums((224, 224, 3), 1000)


# --------------------------------------------------------------------------- filters and maps


@pytest.mark.parametrize("strides, padding", [(1, "valid"), (1, "same"), (2, "same"), (3, "valid")])
def test_a_filter_is_recovered_over_all_positions(strides, padding, rng):
    kernel = rng.normal(size=(4, 3, 2, 3))
    kernel -= kernel.mean(axis=(0, 1, 2))  # so that every filter fires about half of the time
    network = convolution(kernel, 11, strides, padding, bias=0.3)
    measurement = show(network, 60_000, layers=["conv"])
    estimate, images = measurement.layers["conv"], measurement.maps["conv"].count
    drive = kernel.sum(axis=(0, 1, 2)) / 2 + 0.3
    a = drive / STD / np.linalg.norm(kernel.reshape(-1, 3), axis=0)
    expected = np.moveaxis(STD**2 * kernel * stats.norm.cdf(a), -1, 0)
    assert estimate.covariance.shape == (3, 4, 3, 2)
    error = STD * estimate.response_std / np.sqrt(images / 2)  # at most: as if positions were one
    assert np.all(np.abs(estimate.covariance - expected) < 4 * error[:, None, None, None])
    assert cosines(estimate.covariance, expected).min() > 0.999
    average = expected / estimate.mean_response[:, None, None, None]
    assert np.allclose(estimate.average, average, atol=0.01)


def test_deep_filters_and_maps_match_a_brute_force_covariance():
    keras.utils.set_random_seed(0)
    images = keras.Input((15, 14, 2))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(images)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(3, 3, strides=2, padding="same", activation="relu", name="deep")(x)
    z = layers.Dense(2, name="logits")(layers.Flatten()(x))
    network = keras.Model(images, layers.Softmax()(z))
    noise = WhiteNoise(shape=(15, 14, 2))
    stimuli = drawn(noise, 1000, 1000)  # block 0, the one that counts
    both = keras.Model(images, [x, z])(stimuli)
    activity, logits = (np.float64(ops.convert_to_numpy(a)) for a in both)
    field = receptive_field(network, "deep")
    assert (field.size, field.stride, field.offset) == ((8, 8), (4, 4), (-3, -3))
    patches, responses = [], []
    for i in range(activity.shape[1]):
        for j in range(activity.shape[2]):
            top, left = 4 * i - 3, 4 * j - 3
            if min(top, left) >= 0 and top + 8 <= 15 and left + 8 <= 14:
                patches.append(stimuli[:, top : top + 8, left : left + 8])
                responses.append(activity[:, i, j])
    assert len(patches) == 4
    patches, responses = np.concatenate(patches), np.concatenate(responses)
    expected = covariance_of_rows(responses, patches)
    measurement = measure(network, noise, 1000, layers=["deep"], progress=False)
    filters = measurement.layers["deep"]
    assert np.allclose(filters.covariance, expected, atol=1e-4 * np.abs(expected).max())
    assert np.allclose(filters.mean_response, responses.mean(axis=0), rtol=1e-5)
    assert filters.count == 4000

    logits -= logits.mean(axis=1, keepdims=True)
    expected = covariance_of_rows(logits, activity.mean(axis=3, keepdims=True))
    maps = measurement.maps["deep"]
    assert maps.count == 1000 and maps.covariance.shape == (2, 4, 4, 1)
    assert np.allclose(maps.covariance, expected, atol=1e-3 * np.abs(expected).max())


def test_filters_do_not_depend_on_the_images_of_a_block(rng):
    network = convolution(rng.normal(size=(3, 3, 1, 2)))
    thousand, fewer = (
        show(network, 40_000, layers=["conv"], block_images=block).layers["conv"].covariance
        for block in (1000, 500)
    )
    assert np.corrcoef(thousand.ravel(), fewer.ravel())[0, 1] > 0.999


# --------------------------------------------------------------------------- something new


@dataclasses.dataclass(frozen=True)
class SquaredLogits(Accumulator):
    """The square of every class's logit against the stimulus."""

    shape: tuple
    classes: int
    name, every = "squares", 1

    @classmethod
    def for_pass(cls, network, noise, layers):
        return [cls(tuple(noise.shape), network.classes)]

    def zeros(self):
        return pair_zeros(self.classes, self.shape)

    def block(self, block):
        return pair_sums(ops.square(block["logits"]), block["stimuli"], self.shape)

    def finish(self, shard):
        return with_covariance(shard)

    def estimates(self, sums, noise):
        return {"squares": {"logit": estimate_from_sums(sums, nonnegative=True)}}


def test_something_new_is_measured_with_one_class_and_no_other_change(tmp_path, rng):
    weights, bias = rng.normal(size=(*SHAPE, 3)), np.array([0.5, -0.5, 0])
    network = observer(weights, bias)
    weights -= weights.mean(axis=-1, keepdims=True)  # of centred logits
    bias -= bias.mean()
    accumulators = (*ACCUMULATORS, SquaredLogits)
    measurement = show(network, orthogonal=False, accumulators=accumulators)
    squares = measurement.estimates["squares"]["logit"]
    mean = weights.sum(axis=(0, 1, 2)) / 2 + bias  # of a logit z, where cov(z^2, x) is known:
    expected = 2 * STD**2 * mean * weights
    assert close(squares, np.moveaxis(expected, -1, 0))
    variance = STD**2 * (weights**2).sum(axis=(0, 1, 2))
    assert np.allclose(squares.mean_response, mean**2 + variance, rtol=0.03)

    measurement.save(tmp_path / "squares.npz")
    loaded = Measurement.load(tmp_path / "squares.npz", accumulators=accumulators)
    assert same_bits(loaded, measurement)
    assert np.array_equal(loaded.estimates["squares"]["logit"].average, squares.average)
    with pytest.raises(UserError, match="sums of SquaredLogits: name that class"):
        Measurement.load(tmp_path / "squares.npz")
    without = show(network, orthogonal=False).classes["logit"]
    assert np.array_equal(without.covariance, measurement.classes["logit"].covariance)

    exact = show(network, 2048, accumulators=accumulators).estimates["squares"]["logit"]
    expected = np.moveaxis(expected, -1, 0)  # without error in a block of orthogonal numbers
    assert np.abs(exact.covariance - expected).max() < 1e-5 * np.abs(expected).max()
