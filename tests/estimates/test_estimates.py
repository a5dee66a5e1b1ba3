"""What sums say: z, thresholds, reliability and images needed, by hand and under the null."""

import numpy as np
import pytest
from helpers import measurements, show
from scipy import stats
from small_observers import STD, convolution, observer, yes_no

from reverse_correlation import (
    Estimate,
    PinkNoise,
    WhiteNoise,
    measure_choices,
    sidak_threshold,
)
from reverse_correlation.estimates.correlation import correlations, cosines, spearman_brown
from reverse_correlation.estimates.estimate import estimate_from_sums, with_covariance

SHAPE = (4, 5, 1)
TEMPLATE = np.random.default_rng(0).normal(size=SHAPE)
LINEAR = stats.norm.pdf(0) ** 2 / 0.25  # the share of an unbiased decision: 2 / pi


def estimate(z, count=1000, **more):
    """An Estimate of one response by four pixels with the given z."""
    z = np.array(z, float).reshape(1, 2, 2, 1)
    one = np.ones(1)
    given = {"covariance": z / 10, "standard_error": np.full_like(z, 0.1), "mean_response": one}
    given |= {"response_std": one, "reliability": one, "threshold": sidak_threshold(4)}
    return Estimate(**{**given, "count": count, "nonnegative": True, **more})


# --------------------------------------------------------------------------- by hand


def test_an_estimate_knows_how_many_images_it_rests_on():
    known = estimate([3, 1, 0, 0])  # of a power of 10, 4 are noise and 6 signal
    assert known.expected_correlation == pytest.approx(np.sqrt(0.6))
    assert known.images_needed(np.sqrt(0.6)) == pytest.approx(1000)
    assert known.images_needed() == pytest.approx(1000 * 4 / 6 * 0.81 / 0.19)  # for r = .9
    assert estimate([3, 1, 0, 0], 5000).images_needed(np.sqrt(0.6)) == pytest.approx(5000)
    assert np.isinf(estimate([1, 1, 1, 1]).images_needed())  # no signal has been seen


def test_the_image_is_the_covariance_where_the_response_varied():
    assert np.array_equal(estimate([3, 1, 0, 0]).image, estimate([3, 1, 0, 0]).covariance)
    silent = estimate([np.nan] * 4, covariance=np.zeros((1, 2, 2, 1)), response_std=np.zeros(1))
    assert np.isnan(silent.image).all() and not silent.significant.any()


def test_an_average_is_the_covariance_over_the_mean_response_and_signed_ones_have_none():
    rate = estimate([3, 1, 0, 0], mean_response=np.array([0.2]))
    assert np.allclose(rate.average.ravel(), [1.5, 0.5, 0, 0])
    never = estimate([3, 1, 0, 0], mean_response=np.array([0.0]))
    assert np.isnan(never.average).all()
    assert np.isnan(estimate([3, 1, 0, 0], nonnegative=False).average).all()


def test_events_count_spikes():
    yes = 0.25  # answered by a quarter: as many events as yeses
    std = np.array([np.sqrt(yes * (1 - yes))])
    decisions = estimate([0, 0, 0, 0], mean_response=np.array([yes]), response_std=std)
    assert decisions.events == pytest.approx(250)


def test_sums_say_what_numpy_says(rng):
    r, x = rng.normal(size=(600, 2)), rng.normal(size=(600, 3, 2, 1))
    halves = [slice(0, 400), slice(400, 600)]  # of even shards, and of odd ones

    def shard(r, x):
        sums = {"n": np.float64(len(r)), "r": r.sum(axis=0), "rr": (r**2).sum(axis=0)}
        sums |= {"x": x.sum(axis=0), "rx": np.tensordot(r, x, (0, 0))}
        return with_covariance(sums)

    shards = [shard(r[half], x[half]) for half in halves]
    sums = {name: np.stack([one[name] for one in shards]) for name in shards[0]}
    found = estimate_from_sums(sums, nonnegative=False)
    flat = x.reshape(600, 6)
    covariance = np.cov(r.T, flat.T, bias=True)[:2, 2:]
    assert found.count == 600
    assert np.allclose(found.mean_response, r.mean(axis=0))
    assert np.allclose(found.response_std, r.std(axis=0))
    assert np.allclose(found.covariance.reshape(2, 6), covariance)
    by_half = [np.cov(r[h].T, flat[h].T, bias=True)[:2, 2:] for h in halves]
    mean = (400 * by_half[0] + 200 * by_half[1]) / 600
    spread = 400 * (by_half[0] - mean) ** 2 + 200 * (by_half[1] - mean) ** 2
    assert np.allclose(found.standard_error.reshape(2, 6), np.sqrt(spread / 600))
    correlation = [np.corrcoef(by_half[0][k], by_half[1][k])[0, 1] for k in (0, 1)]
    assert np.allclose(found.reliability, spearman_brown(np.array(correlation)))


def test_shards_that_agree_to_the_bit_are_known_as_well_as_float32_says(rng):
    r, x = rng.normal(size=(50, 2)), rng.normal(size=(50, 3, 2, 1))
    one = {"n": np.float64(50), "r": r.sum(axis=0), "rr": (r**2).sum(axis=0)}
    one = with_covariance(one | {"x": x.sum(axis=0), "rx": np.tensordot(r, x, (0, 0))})
    found = estimate_from_sums({name: np.stack([v, v]) for name, v in one.items()}, False)
    largest = np.abs(found.covariance).max(axis=(1, 2, 3))
    assert np.allclose(found.standard_error, largest[:, None, None, None] * 2**-23)
    assert np.isfinite(found.z).all()


def test_the_threshold_is_sidaks():
    assert sidak_threshold(784) == pytest.approx(3.99, abs=0.005)
    assert sidak_threshold(1) == pytest.approx(1.96, abs=0.001)


def test_correlations_and_cosines_are_of_rows():
    assert cosines([[1, 0], [3, 4]], [[1, 1], [-3, -4]]) == pytest.approx([np.sqrt(0.5), -1])
    assert np.isnan(cosines([[0, 0]], [[1, 1]])).all()
    assert correlations([[1, 2, 3], [1, 2, 4]], [[10, 20, 30], [5, 5, 2]]) == pytest.approx(
        [1, np.corrcoef([1, 2, 4], [5, 5, 2])[0, 1]]
    )
    assert spearman_brown(np.array([0.5, 1, 0])) == pytest.approx([2 / 3, 1, 0])


# --------------------------------------------------------------------------- under the null


def test_null_z_is_standard_normal_and_the_family_wise_error_is_five_percent():
    weights = np.zeros((256, 128, 2), np.float32)  # classes 2k and 2k + 1 are pixel k and minus it
    weights[np.arange(128), np.arange(128)] = 1, -1
    network = observer(weights.reshape(16, 16, 1, 256))
    errors, spread = 0, []
    for measurement in measurements(network, times=8, images=20_000):
        z = measurement.classes["logit"].z.reshape(128, 2, 256)[:, 0]
        z = np.where(weights[..., 0].T > 0, 0, z)
        spread.append(z[z != 0])
        errors += np.sum(np.abs(z).max(axis=1) > sidak_threshold(255))
    z = np.concatenate(spread)
    assert abs(z.std() - 1) < 0.01 and abs(z.mean()) < 0.01
    assert abs(errors / 1024 - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 1024)


@pytest.mark.parametrize(("orthogonal", "times"), [(False, 3), (True, 12)])
def test_filter_z_is_calibrated_though_positions_overlap(orthogonal, times, rng):
    kernel = np.zeros((7, 7, 1, 32))
    kernel[2:5, 2:5] = rng.normal(size=(3, 3, 1, 32))  # the other 40 weights are null
    spread, network = [], convolution(kernel, 14)
    how = {"shards": 25, "layers": ["conv"], "orthogonal": orthogonal}
    for measurement in measurements(network, times, 20_000, **how):
        z = measurement.layers["conv"].z[..., 0]
        z[:, 2:5, 2:5] = np.nan
        spread.append(z[np.isfinite(z)])
    assert abs(np.concatenate(spread).std() - 1) < 0.05


def test_pixels_outside_the_receptive_field_stay_within_the_null():
    template = TEMPLATE.copy()
    template[:, :2] = 0
    z = show(yes_no(template)).classes["decision"].z[1]
    assert np.abs(z[:, :2]).max() < sidak_threshold(8, 0.001) < np.abs(z[:, 2:]).max()


def test_reliability_is_high_for_signal_and_nil_for_noise():
    linear = show(observer(np.stack([TEMPLATE, -TEMPLATE], -1)), 20_000).classes["logit"]
    assert linear.reliability.min() > 0.95
    weights = np.zeros((16, 16, 1, 2))
    weights[0, 0] = 1e-6, -1e-6
    null = show(observer(weights, [0.0, 0.0]), 20_000).classes["logit"]
    assert np.abs(null.z[:, 1:]).max() < 5  # all but the top row is noise
    assert np.isnan(show(observer(weights), 100).classes["logit"].reliability).all()  # one shard


# --------------------------------------------------------------------------- as predicted


@pytest.mark.parametrize(("orthogonal", "images"), [(False, 5000), (True, 3 * 2048)])
def test_a_class_that_is_nearly_always_answered_has_the_image_that_pairs_give(
    orthogonal, images, rng
):
    template = rng.normal(size=(28, 28, 1))
    unit = template / np.linalg.norm(template)
    bias = -template.sum() / 2 + stats.norm.ppf(0.95) * STD * np.linalg.norm(template)
    decision = show(yes_no(template, bias), images, orthogonal=orthogonal).classes["decision"]
    image = decision.covariance[1]
    signal = (image * unit).sum()
    # a tenth of the pairs are answered differently, so that var(odd) = .1 / 4
    linear = stats.norm.pdf(stats.norm.ppf(0.95)) ** 2
    errs = 0.025 - orthogonal * linear
    known = np.sqrt(images / 2 * linear / errs)  # 32.6; of orthogonal numbers 47.7
    assert signal / (image - signal * unit).std() == pytest.approx(known, abs=4)
    found = decision.variance.linear[1] * decision.response_std[1] ** 2
    assert found == pytest.approx(linear, rel=0.2)


def test_the_images_needed_are_those_that_reach_the_correlation(rng):
    template = rng.normal(size=(16, 16, 1))
    network = yes_no(template, -template.sum() / 2)
    decision = show(network, 20_000, orthogonal=False).classes["decision"]
    needed = decision.images_needed(0.9)[1]
    assert needed == pytest.approx(2 * 0.9**2 / (1 - 0.9**2) * 256 / LINEAR, rel=0.15)
    reached = [
        correlations([template], measurement.classes["decision"].covariance[1:])
        for measurement in measurements(network, times=5, images=int(needed), orthogonal=False)
    ]
    assert np.mean(reached) == pytest.approx(0.9, abs=0.02)


def test_the_images_needed_are_whole_blocks_of_orthogonal_numbers(rng):
    template = rng.normal(size=(16, 16, 1))
    network = yes_no(template, -template.sum() / 2)

    def expected(blocks):
        signal = blocks * 1024 * LINEAR / (1 - LINEAR)  # of all pairs, over the error of one
        return np.sqrt(signal / (signal + 256))

    decision = show(network, 20_000, orthogonal=True).classes["decision"]
    assert decision.images_needed(expected(2.5))[1] == 3 * 2048
    assert decision.images_needed(0.1)[1] == 2048
    reached = [
        correlations([template], measurement.classes["decision"].covariance[1:])
        for measurement in measurements(network, 5, 3 * 2048, shards=3, orthogonal=True)
    ]
    assert np.mean(reached) == pytest.approx(expected(3), abs=0.01)


@pytest.mark.parametrize(("orthogonal", "images"), [(False, 1000), (True, 2048)])
def test_the_cosine_with_the_template_is_as_predicted(orthogonal, images, rng):
    template = rng.normal(size=(8, 8, 1))
    network = yes_no(template, -template.sum() / 2)
    reached = [
        cosines([template], measurement.classes["decision"].covariance[1:])
        for measurement in measurements(network, times=20, images=images, orthogonal=orthogonal)
    ]
    snr2 = images / 2 * (LINEAR / (1 - LINEAR) if orthogonal else LINEAR)  # no internal noise
    assert np.mean(reached) == pytest.approx(np.sqrt(snr2 / (snr2 + 63)), abs=0.01)


# --------------------------------------------------------------------------- where nothing varies


def test_a_class_that_is_never_answered_has_no_image():
    decision = show(yes_no(TEMPLATE, -1000), 5000).classes["decision"]
    assert np.isnan(decision.average[1]).all() and np.isnan(decision.z).all()
    assert np.isnan(decision.image).all() and np.isfinite(decision.covariance).all()
    assert decision.mean_response.tolist() == [1, 0]
    assert not decision.significant.any()


def test_a_silent_filter_has_no_average(rng):
    kernel = rng.normal(size=(3, 3, 1, 2)) * [1, 0]
    filters = show(convolution(kernel, bias=-0.01), 5000, layers=["conv"]).layers["conv"]
    assert np.isfinite(filters.average[0]).all() and np.isnan(filters.average[1]).all()
    assert np.isfinite(filters.image[0]).all() and np.isnan(filters.image[1]).all()


@pytest.mark.parametrize("ensemble", [WhiteNoise, PinkNoise])
def test_an_image_of_nothing_is_above_chance_in_seven_percent(ensemble):
    """Choices at random, in a family of studies; two criteria of 2 to 6 % each, which overlap."""
    noise, rng, studies = ensemble(shape=(8, 8, 1)).independent, np.random.default_rng(1), 500
    passed = 0
    for seed in range(studies):
        choices = rng.choice([-1, 1], 200)
        found = measure_choices(choices, noise, seed=seed, name="nobody").classes["choice"]
        passed += found.above_chance[0]
    low, high = stats.binom.ppf(1e-4, studies, 0.045), stats.binom.ppf(1 - 1e-4, studies, 0.09)
    assert low <= passed <= high
