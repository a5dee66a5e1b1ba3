"""Parts 3 and 4's questions of images."""

import keras
import numpy as np
import pytest
from small_observers import observer, yes_no

from analysis import (
    activation_maps,
    confusion,
    contrast_for_templates,
    generate_classification_images,
    match_templates,
    predict,
)
from lenet import LeNet
from reverse_correlation import Network, UserError, WhiteNoise

SHAPE = (4, 5, 1)


def test_a_classification_image_is_the_mean_of_its_label():
    images = np.array([1.0, 2.0, 3.0, 10.0]).reshape(4, 1, 1, 1) * np.ones((4, 2, 3, 1))
    labels = np.array([0, 1, 1, 0])
    assert np.array_equal(generate_classification_images(images, labels, 1), 2.5 * images[0])
    assert np.array_equal(generate_classification_images(images, labels, 0), 5.5 * images[0])
    with pytest.raises(UserError, match="label 7"):
        generate_classification_images(images, labels, 7)
    with pytest.raises(UserError, match="4 images but 3 labels"):
        generate_classification_images(images, labels[:3], 0)


def test_templates_match_whatever_their_brightness_and_contrast(rng):
    templates = rng.normal(size=(5, *SHAPE))
    images = templates[[3, 1, 4, 0, 2]] + 7
    scaled = templates * np.array([1, 100, 0.01, 5, 3]).reshape(5, 1, 1, 1) + 50
    assert match_templates(scaled, images).tolist() == [3, 1, 4, 0, 2]


def test_a_nan_or_constant_template_never_wins(rng):
    templates = rng.normal(size=(4, *SHAPE))
    images = templates - 0.01
    templates[1], templates[2] = np.nan, 3
    answers = match_templates(templates, images)
    assert answers[0] == 0 and answers[3] == 3 and set(answers) <= {0, 3}
    with pytest.raises(UserError, match="nothing to match"):
        match_templates(templates[1:3], images)


def test_confusion_rows_are_shares_of_the_true_class():
    shares = confusion([0, 0, 0, 0, 2], [0, 0, 0, 1, 0], 3)
    assert shares.tolist() == [[0.75, 0.25, 0], [0, 0, 0], [1, 0, 0]]


def test_accuracy_counts_and_refuses_nan(rng):
    template = rng.normal(size=SHAPE)
    images = np.stack([template, -template, template])
    labels = np.array([1, 0, 0])
    assert Network(yes_no(template)).accuracy(images, labels) == pytest.approx(2 / 3)
    with pytest.raises(UserError, match="NaN"):
        Network(yes_no(template * np.nan)).accuracy(images, labels)


def test_activation_maps_are_means_over_filters_and_images(rng):
    network = LeNet()
    images = rng.random((6, 28, 28, 1), np.float32)
    labels = np.array([0, 3, 0, 3, 3, 9])
    activity = keras.Model(network.inputs, network.get_layer("conv1").output).predict(
        images, verbose=0
    )
    maps = activation_maps(network, "conv1", images, labels)
    assert maps.shape == (10, 28, 28)
    assert np.allclose(maps[3], activity[[1, 3, 4]].mean(axis=(0, 3)), atol=1e-6)
    assert np.isnan(maps[1]).all()


def test_predictions_are_a_row_an_image(rng):
    weights = rng.normal(size=(*SHAPE, 3))
    images = rng.random((7, *SHAPE), np.float32)
    drive = np.tensordot(images, weights, 3)
    expected = np.exp(drive) / np.exp(drive).sum(axis=1, keepdims=True)
    assert np.allclose(predict(observer(weights), images), expected, atol=1e-5)


def test_the_contrast_that_serves_the_validation_split_best_is_chosen(rng):
    weights = rng.normal(size=(*SHAPE, 3))
    # a steep step: only faint noise about the base meets it
    network = Network(observer(weights, -weights.sum(axis=(0, 1, 2)) / 2, "tanh"))
    images = np.moveaxis(weights, -1, 0)[[0, 1, 2, 2, 1]]
    noise = WhiteNoise(shape=SHAPE)
    validation = images, np.array([0, 1, 2, 2, 1])
    best, shares = contrast_for_templates(
        network, noise, (0.01, 0.3), validation, images=4000, seed=0
    )
    assert shares[best] == 1 and set(shares) == {0.01, 0.3}
    other, _ = contrast_for_templates(
        network, noise, (0.3,), (images, np.array([1, 2, 0, 0, 2])), images=4000, seed=0
    )
    assert other == 0.3


def test_each_contrast_is_judged_by_noise_of_that_contrast(rng):
    weights = rng.normal(size=SHAPE)
    weights /= np.linalg.norm(weights)
    # x - x**3 rises with faint noise and falls with strong: E[(sx - (sx)**3) x] = s - 3 s**3
    network = Network(
        observer(
            np.stack([-weights, weights], axis=-1),
            np.array([1, -1]) * weights.sum() / 2,
            lambda x: x - x**3,
        )
    )
    noise = WhiteNoise(shape=SHAPE)
    validation = np.stack([-weights, weights, weights]), np.array([0, 1, 1])
    best, shares = contrast_for_templates(
        network, noise, (1.0, 0.1), validation, images=2000, seed=0
    )
    assert best == 0.1 and shares == {1.0: 0.0, 0.1: 1.0}


def test_the_noise_behind_the_choice_of_a_contrast_is_that_of_its_seed(rng):
    network = Network(observer(rng.normal(size=(10, 10, 1, 3)), activation="relu"))
    noise = WhiteNoise(shape=(10, 10, 1))
    validation = rng.normal(size=(1000, 10, 10, 1)), rng.integers(3, size=1000)

    def shares(images, seed):
        return contrast_for_templates(
            network, noise, (0.1, 0.3), validation, images=images, seed=seed
        )[1]

    first = shares(1000, 0)
    assert shares(1000, 0) == first != shares(1000, 1)
    assert shares(4000, 0) != first  # of more images, another average
