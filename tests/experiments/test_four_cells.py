"""Two signals in noise: the cells and their images of observers whose images are known."""

import numpy as np
import pytest
from scipy import stats
from small_observers import observer

from experiments.four_cells import cell_weights, combine_cells, four_cells, snr_interval
from reverse_correlation import UserError, WhiteNoise
from reverse_correlation.estimates.correlation import cosines

SHAPE = (8, 8, 1)
UNIFORM = WhiteNoise("uniform", SHAPE)


def two_of_four(rng):
    """A linear observer of four classes; classes 1 and 3 differ by a template of unit norm."""
    template = rng.normal(size=SHAPE)
    template /= np.linalg.norm(template)
    weights = np.stack([0 * template, -template / 2, 0 * template, template / 2], axis=-1)
    return template, observer(weights)


def shown_images(template, drives, gamma):
    """An image of class 1 and one of class 3 that drive the observer of uniform noise so far."""
    drives = np.array(drives) - (1 - gamma) * template.sum() / 2
    return np.stack([template * drive / gamma for drive in drives])


def test_no_trial_is_lost_and_the_cells_hold_what_a_linear_observer_gives(rng):
    template, network = two_of_four(rng)
    gamma, count = 0.3, 40_000
    spread = (1 - gamma) / np.sqrt(12)  # of the decision variable
    images = shown_images(template, [-0.2, 0.3], gamma)
    cells = four_cells(network, images, [1, 3], (1, 3), gamma, UNIFORM, count)
    assert cells.counts.sum() == count and cells.answered.sum() == count
    assert cells.counts.sum(axis=1).tolist() == [count / 2, count / 2]
    p = stats.norm.cdf(np.array([-0.2, 0.3]) / spread)
    error = np.sqrt(p * (1 - p) / (count / 2))
    assert np.all(np.abs(cells.counts[:, 1] / (count / 2) - p) < 5 * error)
    assert np.all(cells.answered[:, [1, 3]].sum(axis=1) == count / 2)  # the larger of +-x wins
    means = cells.sums / cells.counts[:, :, None, None, None]
    length = UNIFORM.std * stats.norm.pdf(stats.norm.ppf(p)) / (p * (1 - p))
    errors = UNIFORM.std * np.sqrt((1 / cells.counts).sum(axis=1))
    for s in (0, 1):
        difference = means[s, 1] - means[s, 0] - length[s] * template
        assert np.abs(difference).max() < 5 * errors[s]


@pytest.mark.parametrize("weighting", ["ahumada", "optimal"])
def test_the_signal_to_noise_ratio_is_as_predicted(rng, weighting):
    template, network = two_of_four(rng)
    images = shown_images(template, [-0.5, 0.02], 0.3)  # one stimulus nearly always answered right
    cells = four_cells(network, images, [1, 3], (1, 3), 0.3, UNIFORM, 40_000)
    image = combine_cells(cells, weighting)
    expected, pixels = image.expected_snr2, image.z.size
    assert abs(image.snr2 - expected) < 5 * np.sqrt(4 * expected + 2 * pixels)
    cosine = np.sqrt(expected / (expected + pixels - 1))
    assert cosines([template], [image.z])[0] == pytest.approx(cosine, abs=0.02)


def test_the_interval_of_a_signal_to_noise_ratio_covers_it():
    rng, covered = np.random.default_rng(3), []
    for _ in range(400):
        z = rng.normal(size=64)
        z[0] += 12  # SNR 12
        low, high = snr_interval(np.sum(z**2) - 64, (8, 8, 1))
        covered.append(low < 12 < high)
    assert 0.9 < np.mean(covered) < 0.99
    assert snr_interval(-5.0, (8, 8, 1))[0] == 0


def test_optimal_weights_beat_equal_ones(rng):
    template, network = two_of_four(rng)
    images = shown_images(template, [-0.5, 0.02], 0.3)
    cells = four_cells(network, images, [1, 3], (1, 3), 0.3, UNIFORM, 40_000)
    equal, best = (combine_cells(cells, weighting) for weighting in ("ahumada", "optimal"))
    assert best.snr2 > 1.5 * equal.snr2 and best.expected_snr2 > 1.5 * equal.expected_snr2


def test_pixels_that_do_not_matter_are_standard_normal():
    template = np.zeros((16, 16, 1))
    template[:2, :2] = 0.5
    noise = WhiteNoise("uniform", (16, 16, 1))
    network = observer(np.stack([0 * template, template], axis=-1), [0, -template.sum() / 2])
    cells = four_cells(network, np.ones((2, 16, 16, 1)), [0, 1], (0, 1), 0.0, noise, 10_000)
    null = combine_cells(cells, "optimal").z.ravel()[template.ravel() == 0]
    assert abs(null.std() - 1) < 5 / np.sqrt(2 * null.size) and abs(null.mean()) < 0.33


def test_a_stimulus_that_always_got_one_answer_is_left_out(rng):
    counts = np.array([[100, 0], [40, 60]])
    assert cell_weights(counts, "ahumada").tolist() == [0, 1]
    shown = np.array([[90, 10], [900, 100]])  # the same answers, ten times as often
    assert cell_weights(shown, "optimal")[1] == pytest.approx(
        10 * cell_weights(shown, "optimal")[0]
    )
    assert cell_weights(counts, "optimal")[0] == 0 < cell_weights(counts, "optimal")[1]
    with pytest.raises(UserError, match="nothing to compare"):
        cell_weights(np.array([[100, 0], [0, 100]]), "optimal")
    with pytest.raises(UserError, match="ahumada or optimal"):
        cell_weights(counts, "equal")
    with pytest.raises(UserError, match="classes 1 and 3 do not both have images"):
        four_cells(two_of_four(rng)[1], np.zeros((1, *SHAPE)), [1], (1, 3), 0.1, UNIFORM, 10)
