import keras
import numpy as np
import pytest
from observers import STD, observer, standard_error, yes_no
from scipy import stats

from analysis import (
    accuracy,
    activation_maps,
    confusion,
    correlations,
    cosines,
    exact_classification_images,
    exact_receptive_fields,
    generate_classification_images,
    kernels,
    match_templates,
)
from lenet import LeNet
from noise import WhiteNoise
from reverse_correlation import measure

RNG = np.random.default_rng(1)
SHAPE = (4, 5, 1)


def test_a_classification_image_is_the_mean_of_its_label():
    images = np.array([1.0, 2.0, 3.0, 10.0]).reshape(4, 1, 1, 1) * np.ones((4, 2, 3, 1))
    labels = np.array([0, 1, 1, 0])
    assert np.array_equal(generate_classification_images(images, labels, 1), 2.5 * images[0])
    assert np.array_equal(generate_classification_images(images, labels, 0), 5.5 * images[0])
    with pytest.raises(ValueError, match="label 7"):
        generate_classification_images(images, labels, 7)
    with pytest.raises(ValueError, match="4 images but 3 labels"):
        generate_classification_images(images, labels[:3], 0)


def test_templates_match_whatever_their_brightness_and_contrast():
    templates = RNG.normal(size=(5, *SHAPE))
    images = templates[[3, 1, 4, 0, 2]] + 7
    scaled = templates * np.array([1, 100, 0.01, 5, 3]).reshape(5, 1, 1, 1) + 50
    assert match_templates(scaled, images).tolist() == [3, 1, 4, 0, 2]


def test_a_nan_or_constant_template_never_wins():
    templates = RNG.normal(size=(4, *SHAPE))
    images = templates - 0.01
    templates[1], templates[2] = np.nan, 3
    answers = match_templates(templates, images)
    assert answers[0] == 0 and answers[3] == 3 and set(answers) <= {0, 3}
    with pytest.raises(ValueError, match="nothing to match"):
        match_templates(templates[1:3], images)


def test_confusion_rows_are_shares_of_the_true_class():
    shares = confusion([0, 0, 0, 0, 2], [0, 0, 0, 1, 0], 3)
    assert shares.tolist() == [[0.75, 0.25, 0], [0, 0, 0], [1, 0, 0]]


def test_accuracy_counts_and_refuses_nan():
    template = RNG.normal(size=SHAPE)
    images = np.stack([template, -template, template])
    assert accuracy(yes_no(template), images, np.array([1, 0, 0])) == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="NaN"):
        accuracy(yes_no(template * np.nan), images, np.array([1, 0, 0]))


def test_activation_maps_are_means_over_filters_and_images():
    network = LeNet()
    images = RNG.random((6, 28, 28, 1), np.float32)
    labels = np.array([0, 3, 0, 3, 3, 9])
    activity = keras.Model(network.inputs, network.get_layer("conv1").output).predict(
        images, verbose=0
    )
    maps = activation_maps(network, "conv1", images, labels)
    assert maps.shape == (10, 28, 28)
    assert np.allclose(maps[3], activity[[1, 3, 4]].mean(axis=(0, 3)), atol=1e-6)
    assert np.isnan(maps[1]).all()


def test_maps_under_noise_are_covariances_of_logit_and_activity():
    network, noise = LeNet(), WhiteNoise()
    taps = keras.Model(
        network.inputs, [network.get_layer("logits").output, network.get_layer("conv2").output]
    )
    logits, activity = taps.predict(noise.draw(0, 0, 1000).numpy(), verbose=0)
    activity = activity.mean(axis=3).reshape(1000, -1)
    expected = np.cov(logits.T, activity.T, bias=True)[:10, 10:].reshape(10, 10, 10, 1)
    found = measure(network, noise, 1000, layers=["conv2"], progress=False).maps["conv2"]
    assert np.allclose(found.covariance, expected, atol=1e-3 * np.abs(expected).max())


def test_1_exact_images_of_a_linear_network_are_its_weights():
    weights = RNG.normal(size=(*SHAPE, 3))
    exact = exact_classification_images(observer(weights), WhiteNoise(shape=SHAPE), 20)
    assert np.allclose(exact, STD**2 * np.moveaxis(weights, -1, 0), atol=1e-6)


def test_2_exact_images_under_uniform_noise_weigh_by_x_times_one_minus_x():
    weights = np.zeros((2, 2, 1, 2))
    weights[0, 0, 0, 1] = 1
    noise = WhiteNoise("uniform", (2, 2, 1))
    exact = exact_classification_images(observer(weights, -0.5, "relu"), noise, 20_000)
    error = 5 * 0.06 / np.sqrt(20_000)  # sd of x (1 - x) / 2 where x > 1/2, else 0
    assert exact[1, 0, 0, 0] == pytest.approx(1 / 24, abs=error)
    assert np.count_nonzero(exact) == 1


@pytest.mark.parametrize("response", ["logit", "probability"])
@pytest.mark.parametrize("kind", ["gaussian", "uniform"])
def test_1_and_2_the_black_box_agrees_with_the_gradients(kind, response):
    keras.utils.set_random_seed(3)
    images = keras.Input((6, 6, 1))
    x = keras.layers.Conv2D(4, 3, activation="relu")(images)
    x = keras.layers.Flatten()(keras.layers.MaxPooling2D(2)(x))
    x = keras.layers.Dense(3, name="logits")(keras.layers.Dense(8, activation="relu")(x))
    network = keras.Model(images, keras.layers.Softmax()(x))
    noise = WhiteNoise(kind, (6, 6, 1))
    exact = exact_classification_images(network, noise, 20_000, response)
    estimate = measure(network, noise, 100_000, progress=False).classes[response]
    gradient_error = 0.1 * standard_error(estimate)  # gradients vary far less than responses
    assert np.all(
        np.abs(estimate.covariance - exact) < 5 * standard_error(estimate) + 5 * gradient_error
    )
    assert cosines(exact, estimate.covariance).min() > 0.95


def test_exact_receptive_fields_of_a_first_convolution_are_its_kernels():
    keras.utils.set_random_seed(0)
    network = LeNet()
    network.get_layer("conv1").bias.assign(np.ones(6))  # no filter is silent
    exact = exact_receptive_fields(network, WhiteNoise(), "conv1", 500)
    assert exact.shape == (6, 5, 5, 1)
    assert cosines(exact, kernels(network, "conv1")) == pytest.approx(1, abs=1e-6)


def test_deep_receptive_fields_agree_with_their_gradients():
    keras.utils.set_random_seed(2)
    network, noise = LeNet(), WhiteNoise()
    exact = exact_receptive_fields(network, noise, "conv2", 2000)
    found = measure(network, noise, 40_000, layers=["conv2"], progress=False).layers["conv2"]
    live = found.mean_response > 0.01
    assert live.sum() >= 6
    assert np.median(correlations(exact, found.covariance)[live]) > 0.98


def test_exact_images_refuse_what_has_no_gradient():
    network = observer(RNG.normal(size=(*SHAPE, 2)))
    with pytest.raises(ValueError, match="decision"):
        exact_classification_images(network, WhiteNoise(shape=SHAPE), 10, "decision")
    with pytest.raises(ValueError, match="binary"):
        exact_classification_images(network, WhiteNoise("binary", SHAPE), 10)


def test_15_cosine_with_the_template_is_as_predicted():
    template = RNG.normal(size=(8, 8, 1))
    network, noise = yes_no(template, -template.sum() / 2), WhiteNoise(shape=(8, 8, 1))
    found = []
    for seed in range(20):
        decision = measure(network, noise, 1000, seed=seed, progress=False).classes["decision"]
        found.append(cosines([template], decision.covariance[1:])[0])
    snr2 = 1000 * stats.norm.pdf(0) ** 2 / 0.25  # N h, no internal noise
    assert np.mean(found) == pytest.approx(np.sqrt(snr2 / (snr2 + 63)), abs=0.01)


def test_kernels_come_filter_by_filter_and_only_from_a_first_convolution():
    network = LeNet()
    learned = network.get_layer("conv1").kernel.numpy()
    assert kernels(network, "conv1").shape == (6, 5, 5, 1)
    assert np.array_equal(kernels(network, "conv1")[3], learned[..., 3])
    assert kernels(network, "conv2") is None  # its kernels are not in units of the image
