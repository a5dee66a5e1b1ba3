"""Attacks on answers: known answers."""

import numpy as np
import pytest
from small_observers import observer

from experiments import attack
from experiments.attack import (
    Attack,
    Outcome,
    Settings,
    at_random,
    attack_rates,
    attacks,
    between,
    draw,
    own_gradient,
)
from reverse_correlation.estimates.correlation import cosines

SHAPE = (8, 8, 1)


def test_a_linear_observer_falls_to_an_attack_exactly_where_geometry_says():
    weights = np.zeros((*SHAPE, 2))
    weights[0, 0, 0, 0] = weights[0, 1, 0, 1] = 1
    image = np.full(SHAPE, 0.5)
    image[0, 0], image[0, 1] = 0.7, 0.3
    gap = 0.4 / np.sqrt(2) / np.linalg.norm(image)  # along (w1 - w0) / |w1 - w0|
    maps = np.moveaxis(weights, -1, 0)
    norms = (0.98 * gap, 1.02 * gap)
    images = [image[None], image[None][:0]]
    network = observer(weights)
    gradient = own_gradient(network)

    def signs(*which):
        return np.sign(gradient(*which))

    for direction in (between(maps), gradient, signs):
        assert attack_rates(network, images, direction, norms).tolist() == [[0, 1]]
    for direction in (at_random(0), between(-maps)):
        assert attack_rates(network, images, direction, norms).tolist() == [[0, 0]]


def test_an_attacked_image_is_still_an_image():
    weights = np.zeros((*SHAPE, 2))
    weights[0, 0, 0, 1] = 1
    images = [np.full((1, *SHAPE), 0.5), np.zeros((0, *SHAPE))]
    direction = between(np.moveaxis(weights, -1, 0))
    clipped = attack_rates(observer(weights, [1.01, 0]), images, direction, (5.0,))
    reached = attack_rates(observer(weights, [0.99, 0]), images, direction, (5.0,))
    assert clipped.tolist() == [[0]] and reached.tolist() == [[1]]  # a pixel is 1 at most


def test_random_directions_are_others_for_every_image_and_the_same_for_the_same_seed():
    images = np.zeros((3, *SHAPE))
    first, again, other = (at_random(seed)(images, 0, 1) for seed in (0, 0, 1))
    assert first.shape == images.shape and not np.allclose(first[0], first[1])
    assert np.array_equal(first, again) and not np.allclose(first, other)


def three_classes():
    """A linear network of three classes, its templates (3, 8, 8, 1), and images of all of them."""
    weights = np.random.default_rng(0).normal(size=(*SHAPE, 3))
    templates = np.moveaxis(weights, -1, 0)
    bias = -weights.sum(axis=(0, 1, 2)) / 2  # nothing is answered to grey
    images = np.float32(0.5 + 0.1 * np.repeat(templates, 3, axis=0))
    return observer(weights, bias), templates, images, np.repeat(np.arange(3), 3)


def attacked(monkeypatch, labels, images, network, maps, **settings):
    """The Rows and the figure of one attack along maps, on a test set of these labels."""
    made = [Attack("maps", between(maps))]
    monkeypatch.setattr(attack, "attacks", lambda *_: made)
    return attack.run(
        network=network,
        train=(images, np.array([0, 1, 2] * 3)),
        test=(images, labels),
        validation=None,
        settings=Settings(norms=(0, 0.3, 0.4), **settings),
        seed=0,
        dataset="mnist",
        client=None,
    )


def test_an_image_that_is_misnamed_already_is_never_attacked(monkeypatch):
    network, templates, images, labels = three_classes()
    labels[0], labels[4] = 2, 0  # the network answers 0 and 1, as before
    rows, figure = attacked(monkeypatch, labels, images, network, templates)
    assert "\n7 test images named right, 6 pairs of classes" in figure.get_suptitle()
    (curve,) = figure.axes[0].containers
    assert curve[0].get_xdata().tolist() == [0, 0.3, 0.4]
    assert curve[0].get_ydata()[0] == 0  # unattacked, none is answered as the target
    assert [row.what for row in rows] == [
        "attack by maps, norm 0.3: answered as target",
        "attack by maps, norm 0.4: answered as target",
    ]
    assert [row.detail for row in rows] == [False, True]  # .4 is in the results file alone
    assert [row.ours for row in rows] == pytest.approx(curve[0].get_ydata()[1:].tolist())
    assert all(low <= row.ours <= high for row in rows for low, high in [row.interval])


def test_no_more_images_of_a_class_are_attacked_than_are_asked_for(monkeypatch):
    network, templates, images, labels = three_classes()
    _, figure = attacked(monkeypatch, labels, images, network, templates, attacked_images=2)
    assert "\n6 test images named right" in figure.get_suptitle()


def test_attacks_go_where_a_linear_network_says_and_mean_images_where_they_are():
    network, templates, images, labels = three_classes()
    settings = Settings(
        noise_images=16_000, contrasts=(0.1, 0.2), contrast_images=1000, exact_images=256
    )
    means = np.random.default_rng(1).random((3, *SHAPE), np.float32)
    made = attacks(
        network, means, np.full(SHAPE, 0.5, np.float32), (images, labels), settings, 0, None
    )
    expected = {
        "class images about grey": (False, 0.9),
        "class images about the mean image, contrast 0.1": (False, 0.9),
        "class images, sparse noise": (False, 0.8),
        "mean images": (False, None),
        "exact class images": (True, 0.999),
        "random": (False, None),
        "own gradient": (True, 0.999),
        "FGSM": (True, 0.7),
    }
    assert {each.label: each.white_box for each in made} == {
        label: white for label, (white, _) in expected.items()
    }
    towards = (templates[2] - templates[1])[None]
    for each in made:
        direction = np.broadcast_to(each.direction(images[3:5], 1, 2), (2, *SHAPE))
        if expected[each.label][1]:
            assert cosines(direction[:1], towards)[0] > expected[each.label][1], each.label
    # the covariance of a linear logit is its weights times the variance of the noise: of that about
    # grey, of that about the mean image, and of pixels that are 1 in ten of a hundred
    for each, variance in zip(made[:3], (1 / 12, 0.1**2, 0.1 * 0.9), strict=True):
        length = np.sum(each.direction(images, 1, 2) * towards) / np.sum(towards**2)
        assert length == pytest.approx(variance, rel=0.03), each.label
    assert np.allclose(made[3].direction(images, 1, 2), means[2] - means[1])
    assert set(np.unique(made[7].direction(images[3:5], 1, 2))) == {-1, 1}


def test_in_the_figure_white_boxes_are_dashed_and_named():
    rates = np.array([[0.0, 0.2], [0.0, 0.6]])
    outcomes = [
        Outcome(Attack("black", None), rates, np.zeros(2), np.array([0, 0.7])),
        Outcome(Attack("white", None, white_box=True), rates / 2, np.zeros(2), np.array([0, 0.3])),
    ]
    axis = draw((0, 0.5), outcomes, "title").axes[0]
    drawn = {bars.get_label(): bars for bars in axis.containers}
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["black", "white"]
    assert drawn["black"][0].get_linestyle() == "-" and drawn["white"][0].get_linestyle() == "--"
    assert drawn["black"][0].get_ydata().tolist() == [0, 0.4]
    segments = drawn["black"][2][0].get_segments()
    assert np.allclose(segments[1], [[0.5, 0], [0.5, 0.7]])
