"""How much of a class image must be mixed in: known answers."""

import numpy as np
from scipy import stats
from small_observers import yes_no

from experiments.mixing import Curve, draw, mixing_rates, unit_range
from reverse_correlation import WhiteNoise

SHAPE = (8, 8, 1)
UNIFORM = WhiteNoise("uniform", SHAPE)


def test_mixing_rates_follow_the_curve_of_a_linear_unit(rng):
    weights = rng.normal(size=SHAPE)
    signal = unit_range((weights + rng.normal(size=SHAPE))[None])[0]
    norm, total = np.linalg.norm(weights), weights.sum()
    bias = -0.5 * (weights * signal).sum() - 0.25 * total + 0.1
    gammas = (0.2, 0.4, 0.6)
    backgrounds = UNIFORM.draw(0, 0, 20_000)
    templates = np.stack([np.full(SHAPE, np.nan), signal])
    rates = mixing_rates(yes_no(weights, bias), backgrounds, templates, gammas)
    drive = [g * (weights * signal).sum() + (1 - g) * total / 2 + bias for g in gammas]
    expected = stats.norm.cdf(np.array(drive) / ((1 - np.array(gammas)) * norm / np.sqrt(12)))
    assert np.all(np.abs(rates[1] - expected) < 5 * np.sqrt(expected * (1 - expected) / 20_000))
    assert np.ptp(expected) > 0.1 and np.all(rates[0] == 0)  # a template of NaN does not exist


def test_templates_are_scaled_to_the_range_of_images():
    scaled = unit_range(np.array([[[[-2.0], [2.0]]], [[[5.0], [6.0]]]]))
    assert scaled.ravel().tolist() == [0, 1, 0, 1]


def test_the_figure_shows_the_mean_of_the_repeats_and_what_was_published():
    shares = np.array([[0.0, 0.4], [0.2, 0.6]])
    templates = ("decision", "logit", "two-level logit", "mean")
    curves = [Curve(under, kind, shares) for under in ("noise", "image") for kind in templates]
    assert curves[0].published[0.7] == 0.429 and curves[3].published[0.7] == 1
    figure = draw((0.5, 1.0), curves, "title")
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert lines["decision image, published (MNIST)"].get_ydata()[7] == 0.429
    middles = [bars[0].get_ydata().tolist() for bars in figure.axes[0].containers]
    assert np.allclose(middles, [[0.1, 0.5]] * 4)
