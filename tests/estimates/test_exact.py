"""Images from gradients: closed forms, and what the black box says of the same networks."""

import keras
import numpy as np
import pytest
from helpers import show
from small_observers import STD, centred, observer

from lenet import LeNet
from reverse_correlation import (
    Network,
    UserError,
    WhiteNoise,
    exact_class_images,
    exact_classification_images,
    exact_receptive_fields,
    receptive_field,
)
from reverse_correlation.estimates.correlation import correlations, cosines
from reverse_correlation.observers import function

SHAPE = (4, 5, 1)


def test_exact_images_of_a_linear_network_are_its_weights(rng):
    weights = rng.normal(size=(*SHAPE, 3))
    exact = exact_classification_images(observer(weights), WhiteNoise(shape=SHAPE), 20)
    assert np.allclose(exact, centred(STD**2 * np.moveaxis(weights, -1, 0)), atol=1e-6)


def test_exact_images_under_uniform_noise_weigh_by_x_times_one_minus_x():
    weights = np.zeros((2, 2, 1, 2))
    weights[0, 0, 0, 1] = 1
    noise = WhiteNoise("uniform", (2, 2, 1))
    exact = exact_classification_images(observer(weights, -0.5, "relu"), noise, 20_000)
    error = 5 * 0.03 / np.sqrt(500)  # half the sd of x (1 - x) / 2 where x > 1/2, else 0
    assert exact[1, 0, 0, 0] == pytest.approx(1 / 48, abs=error)  # of centred logits
    assert np.count_nonzero(exact) == 2


@pytest.fixture(scope="module")
def convolutional():
    """A small convolutional network."""
    keras.utils.set_random_seed(3)
    images = keras.Input((6, 6, 1))
    x = keras.layers.Conv2D(4, 3, activation="relu")(images)
    x = keras.layers.Flatten()(keras.layers.MaxPooling2D(2)(x))
    x = keras.layers.Dense(3, name="logits")(keras.layers.Dense(8, activation="relu")(x))
    return keras.Model(images, keras.layers.Softmax()(x))


@pytest.mark.parametrize("kind", ["gaussian", "uniform"])
def test_the_black_box_agrees_with_the_gradients(convolutional, kind):
    exact = exact_class_images(convolutional, WhiteNoise(kind, (6, 6, 1)), 20_000)
    measurement = show(convolutional, 100_000, kind)
    for response in ("logit", "probability"):
        estimate = measurement.classes[response]
        images = exact[response].images
        unreliable = np.sqrt(1 - exact[response].reliability.min()) * np.abs(images).max()
        difference = np.abs(estimate.covariance - images)
        assert np.all(difference < 5 * estimate.standard_error + unreliable)
        assert cosines(images, estimate.covariance).min() > 0.95


def test_one_response_is_one_of_both(convolutional):
    noise = WhiteNoise(shape=(6, 6, 1))
    both = exact_class_images(convolutional, noise, 100)
    probability = exact_classification_images(convolutional, noise, 100, "probability")
    assert np.array_equal(probability, both["probability"].images)


def test_exact_receptive_fields_of_a_first_convolution_are_its_kernels():
    keras.utils.set_random_seed(0)
    network = LeNet()
    network.get_layer("conv1").bias.assign(np.ones(6))  # no filter is silent
    exact = exact_receptive_fields(network, WhiteNoise(), "conv1", 500).images
    assert exact.shape == (6, 5, 5, 1)
    assert cosines(exact, Network(network).kernels("conv1")) == pytest.approx(1, abs=1e-6)


def test_deep_receptive_fields_agree_with_their_gradients():
    keras.utils.set_random_seed(2)
    images = keras.Input((14, 14, 1))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(images)
    x = keras.layers.MaxPooling2D(2)(x)
    x = keras.layers.Conv2D(6, 3, activation="relu", name="deep")(x)
    network = keras.Model(images, keras.layers.Dense(3, "softmax")(keras.layers.Flatten()(x)))
    exact = exact_receptive_fields(network, WhiteNoise(shape=(14, 14, 1)), "deep", 2000).images
    filters = show(network, 40_000, layers=["deep"]).layers["deep"]
    live = filters.mean_response > 0.01
    assert exact.shape == filters.covariance.shape == (6, 8, 8, 1)
    assert live.sum() >= 2
    assert np.median(correlations(exact, filters.covariance)[live]) > 0.98


@pytest.mark.parametrize(
    "model",
    [lambda images: images, function(lambda images: images), ("a", "tuple"), None, "net.keras"],
)
def test_what_is_not_a_keras_model_has_no_exact_images(model):
    noise = WhiteNoise(shape=SHAPE)
    for refused in (
        lambda: exact_classification_images(model, noise, 10),
        lambda: exact_receptive_fields(model, noise, "conv", 10),
        lambda: receptive_field(model, "conv"),
    ):
        with pytest.raises(UserError, match="is not a Keras model.*: pass a Keras model"):
            refused()


def test_noise_of_another_shape_is_refused(rng):
    network = observer(rng.normal(size=(*SHAPE, 2)))
    for model in (network, Network(network)):
        with pytest.raises(UserError, match=r"\(4, 5, 1\), but the noise is \(4, 4, 1\)"):
            exact_classification_images(model, WhiteNoise(shape=(4, 4, 1)), 10)


def test_exact_images_refuse_what_has_no_gradient(rng):
    network = observer(rng.normal(size=(*SHAPE, 2)))
    with pytest.raises(UserError, match="decision"):
        exact_classification_images(network, WhiteNoise(shape=SHAPE), 10, "decision")
    with pytest.raises(UserError, match="binary"):
        exact_classification_images(network, WhiteNoise("binary", SHAPE), 10)
