"""Stimulated layers: known answers."""

import keras
import numpy as np
import pytest
from small_observers import yes_no

from experiments.microstimulation import (
    LayerResult,
    Settings,
    crossing,
    currents,
    draw,
    mean_activity,
    psychometric_function,
    run,
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


def test_a_dose_that_drives_a_class_shifts_its_curve_to_the_left_against_no_dose():
    # two units of "dense1" see one pixel each and are the logits of two classes
    images = keras.Input((1, 2, 1))
    units = keras.layers.Dense(2, activation="relu", name="dense1")(keras.layers.Flatten()(images))
    network = keras.Model(images, keras.layers.Softmax()(units))
    network.get_layer("dense1").set_weights([np.eye(2), np.zeros(2)])
    shown = np.array([[[1.0, 0.0]], [[0.0, 1.0]]], np.float32)[..., None]
    training, labels = np.repeat(shown, 5, axis=0), np.repeat([0, 1], 5)
    settings = Settings(layers=("dense1",), doses=(-0.2, 0.0, 0.2), images=5)
    rows, figure = run(
        network=network,
        train=(training, labels),
        test=(training, labels),
        settings=settings,
        seed=0,
        dataset="mnist",
    )
    shifts = {row.what: row for row in rows}
    assert list(shifts) == [
        "dense1, dose -0.20: shift of the 50 % point",
        "dense1, dose +0.20: shift of the 50 % point",
        "dense1, published dose (theirs: modest): shift of the 50 % point",
    ]
    silenced, driven, published = (row.ours for row in rows)
    assert driven <= 0 < silenced and 0 < published < silenced  # the published one silences by .1
    assert all(low <= row.ours <= high for row in rows for low, high in [row.interval])
    assert rows[0].over == "2 classes"
    assert "mean over 2 classes, 5 images each" in figure.get_suptitle()


def test_the_figure_has_a_curve_for_each_dose_and_the_shifts_beside():
    doses, gammas = (-1.0, 0.0, 1.0), (0, 0.5, 1.0)
    curves = np.arange(4)[:, None, None] / 10 * np.ones((4, 2, 3))
    curves[:, 1] += 0.2  # two classes, whose mean is drawn
    shifts = np.array([[0.1, 0.3], [0.0, 0.0], [-0.1, -0.2], [0.9, 0.9]])
    results = [
        LayerResult(layer, curves, sign * shifts, np.full(4, -0.5), np.full(4, 0.5))
        for layer, sign in (("conv1", 1), ("conv2", -1))
    ]
    first, second, last = draw(gammas, doses, results, "title").axes
    assert (first.get_title(), second.get_title(), last.get_title()) == (
        "conv1",
        "conv2",
        "all layers",
    )
    heights = {line.get_label(): line.get_ydata()[0] for line in first.lines}
    heights = {label: height for label, height in heights.items() if not label.startswith("_")}
    assert heights == pytest.approx({"as published": 0.4, "-1": 0.1, "0": 0.2, "+1": 0.3})
    colours = {line.get_label(): line.get_color() for line in first.lines}
    assert colours["-1"][2] > colours["-1"][0] and colours["+1"][0] > colours["+1"][2]
    assert first.lines[0].get_linestyle() == ":"
    shown = {bars.get_label(): bars[0].get_ydata().tolist() for bars in last.containers}
    assert shown == {
        "conv1": pytest.approx([0.2, 0, -0.15]),
        "conv2": pytest.approx([-0.2, 0, 0.15]),
    }
    assert last.containers[0][0].get_xdata().tolist() == [-1, 0, 1]
