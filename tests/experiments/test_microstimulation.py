"""Stimulated layers: known answers."""

import numpy as np
import pytest
from small_observers import yes_no

from experiments.microstimulation import (
    crossing,
    currents,
    mean_activity,
    psychometric_function,
    stimulated,
)
from lenet import LeNet
from reverse_correlation import WhiteNoise

SHAPE = (8, 8, 1)
UNIFORM = WhiteNoise("uniform", SHAPE)


def test_a_current_moves_the_middle_of_the_curve_as_far_as_it_must(rng):
    weights = rng.normal(size=SHAPE)
    images = np.broadcast_to(np.float32(weights > 0), (4000, *SHAPE))
    signal, half = (weights * images[0]).sum(), weights.sum() / 2
    bias = -0.4 * signal - 0.6 * half
    network, gammas = yes_no(weights, bias), np.linspace(0, 1, 41)
    seen = psychometric_function(network, UNIFORM.draw(0, 0, 4000), gammas)
    middles = {}
    for current in (-2.0, 0.0, 2.0):
        with stimulated(network, "logits", np.array([0, current])):
            middles[current] = crossing(gammas, seen(images, 1))
    for current, middle in middles.items():
        assert middle == pytest.approx(0.4 - current / (signal - half), abs=0.01)
    assert middles[2] < middles[0] - 0.05 and middles[-2] > middles[0] + 0.05
    assert network.get_layer("logits").bias.numpy().tolist() == [0, np.float32(bias)]


def test_stimulation_ends_even_if_what_was_to_be_measured_fails():
    network = LeNet()
    with pytest.raises(RuntimeError), stimulated(network, "conv2", np.ones(16)):
        assert np.all(network.get_layer("conv2").bias.numpy() == 1)
        raise RuntimeError
    assert np.all(network.get_layer("conv2").bias.numpy() == 0)


def test_mean_activity_is_that_of_each_filter_or_unit(rng):
    network = LeNet()
    network.get_layer("conv1").kernel.assign(np.zeros((5, 5, 1, 6)))
    network.get_layer("conv1").bias.assign([-1, 0, 1, 2, 3, 4])
    images = rng.random((3, 28, 28, 1), np.float32)
    assert mean_activity(network, "conv1", images).tolist() == [0, 0, 1, 2, 3, 4]
    assert mean_activity(network, "dense1", images).shape == (120,)


@pytest.mark.parametrize(
    ("rates", "expected"),
    [([0, 0.25, 0.75, 1], 1.5), ([0.6, 1, 1, 1], 0), ([0, 0, 0.1, 0.4], 3), ([0, 0.5, 0, 1], 1)],
)
def test_a_curve_is_crossed_where_a_straight_line_says(rates, expected):
    assert crossing((0, 1, 2, 3), rates) == expected


def test_the_last_current_is_the_published_one_and_silences():
    activity = np.array([0.0, 1.0, 4.0])
    assert currents("conv2", activity, (-1.0, 0.5))[0].tolist() == [0, -1, -4]
    assert currents("conv2", activity, (-1.0, 0.5))[1].tolist() == [0, 0.5, 2]
    assert currents("conv2", activity, (0.5,))[-1].tolist() == [0, -2.5, -10]
    assert currents("dense1", activity, (0.5,))[-1].tolist() == pytest.approx([0, -0.1, -0.4])
