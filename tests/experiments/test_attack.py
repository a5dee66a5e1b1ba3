"""Attacks on answers: known answers."""

import numpy as np
from small_observers import observer

from experiments.attack import at_random, attack_rates, between, own_gradient

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
