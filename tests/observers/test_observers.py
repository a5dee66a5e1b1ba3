"""Classifiers that are no Keras models: the same answers give the same images."""

import sys
from pathlib import Path

import keras
import numpy as np
import onnx_files
import pytest
from helpers import drawn, same_bits
from keras import ops
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from small_observers import STD, centred, close, observer

import lenet as lenet_class  # noqa: F401  (registers it, so that its files can be loaded)
from reverse_correlation import (
    CoarseNoise,
    Measurement,
    UserError,
    WhiteNoise,
    load_any_network,
    measure,
    observers,
)

LENET = Path(__file__).resolve().parents[2] / "models/mnist_lenet.keras"
NOISE = WhiteNoise(shape=(6, 5, 1))
WEIGHTS = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)


def linear(images):
    return images.reshape(len(images), -1) @ WEIGHTS


def show(answer, count=20_000, noise=NOISE, **kwargs):
    return measure(answer, noise, count, progress=False, **kwargs)


# ----------------------------------------------------------------------- the same network


@pytest.fixture(scope="module")
def lenet():
    return load_any_network(LENET)


@pytest.fixture(scope="module")
def of_keras(lenet):
    return show(lenet, 4_000, WhiteNoise())


def as_function(model, _):
    return lambda images: model.predict(images, batch_size=1000, verbose=0)


def as_onnx(model, folder):
    weights = [layer.get_weights() for layer in model.layers if layer.get_weights()]
    return observers.onnx(onnx_files.lenet(folder / "lenet.onnx", weights))


def as_torch(model, _):
    torch = pytest.importorskip("torch")
    one, two, *dense = [layer.get_weights() for layer in model.layers if layer.get_weights()]

    def convolution(weights, padding):
        kernel, bias = weights
        layer = torch.nn.Conv2d(*kernel.shape[2:], 5, padding=padding)
        layer.weight.data = torch.tensor(kernel.transpose(3, 2, 0, 1).copy())
        layer.bias.data = torch.tensor(bias)
        return [layer, torch.nn.ReLU(), torch.nn.MaxPool2d(2)]

    class ChannelsLast(torch.nn.Module):
        def forward(self, x):
            return x.permute(0, 2, 3, 1).flatten(1)

    layers = [*convolution(one, 2), *convolution(two, 0), ChannelsLast()]
    for kernel, bias in dense:
        layer = torch.nn.Linear(*kernel.shape)
        layer.weight.data, layer.bias.data = torch.tensor(kernel.T.copy()), torch.tensor(bias)
        layers += [layer, torch.nn.Tanh()]
    return observers.torch(torch.nn.Sequential(*layers[:-1]))


@pytest.mark.parametrize("made", [as_function, as_onnx, as_torch])
def test_the_same_network_in_any_framework_gives_the_same_images(made, lenet, of_keras, tmp_path):
    answer = made(lenet, tmp_path)
    measured = show(answer, 4_000, WhiteNoise())
    for response, estimate in of_keras.classes.items():
        largest = np.abs(estimate.covariance).max()
        difference = np.abs(measured.classes[response].covariance - estimate.covariance).max()
        assert difference < 1e-5 * largest, response
    assert np.array_equal(measured.answered, of_keras.answered)
    stimuli = drawn(WhiteNoise(), 2_000, 1_000, seed=3)
    p = lenet.predict(stimuli, verbose=0)
    best = np.sort(p, axis=1)
    answers = answer if isinstance(answer, observers.Observer) else observers.function(answer)
    ours = answers.looked(WhiteNoise()).logits_of(stimuli).argmax(axis=1)
    tied = best[:, -1] - best[:, -2] < 1e-4
    assert np.array_equal(ours[~tied], p.argmax(axis=1)[~tied]) and tied.mean() < 0.01


# ----------------------------------------------------------------------- kinds of answers


def test_a_linear_function_has_its_weights_as_logit_images():
    estimate = show(linear).classes["logit"]
    expected = centred(WEIGHTS.T).reshape(4, 6, 5, 1) * STD**2
    assert close(estimate, expected)


def test_labels_give_the_decision_images_and_nothing_else():
    labels = show(lambda images: linear(images).argmax(axis=1), 5_000, classes=4)
    full = show(linear, 5_000)
    assert set(labels.classes) == {"decision"}
    ours, theirs = (m.classes["decision"].covariance for m in (labels, full))
    assert np.array_equal(ours, theirs) and np.array_equal(labels.answered, full.answered)
    assert "decision" in labels._repr_html_() and "logit" not in labels._repr_html_()


def test_labels_can_be_measured_until_they_are_known_well_enough():
    labels = show(lambda images: linear(images).argmax(axis=1), 10**6, classes=4, until=0.8)
    assert labels.count < 10**5
    assert labels.classes["decision"].expected_correlation.min() >= 0.8


def test_probabilities_and_their_logits_give_the_same_images():
    def probabilities(images):
        e = np.exp(linear(images))
        return e / e.sum(axis=1, keepdims=True)

    ours, theirs = show(probabilities, 2_000), show(linear, 2_000)
    assert "probabilities" in ours.provenance["logits"]
    for response in ours.classes:
        a, b = (m.classes[response].covariance for m in (ours, theirs))
        assert np.allclose(a, b, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize("as_probability", [False, True])
def test_one_number_an_image_counts_as_two_classes(as_probability):
    def single(images):
        z = linear(images)[:, :1] / 3
        return 1 / (1 + np.exp(-z)) if as_probability else z

    estimate = show(single).classes["logit"]
    expected = np.stack([-WEIGHTS[:, 0], WEIGHTS[:, 0]]).reshape(2, 6, 5, 1) / 6 * STD**2
    assert close(estimate, expected)


@pytest.mark.parametrize("kind", [LogisticRegression, LinearSVC])
def test_an_estimator_of_scikit_learn_has_its_coefficients(kind, rng):
    images = rng.random((400, 30))
    estimator = kind().fit(images, (images @ WEIGHTS).argmax(axis=1))
    estimate = show(observers.sklearn(estimator)).classes["logit"]
    expected = centred(estimator.coef_).reshape(-1, 6, 5, 1) * STD**2
    assert close(estimate, expected)


@pytest.mark.parametrize(
    ("shape", "channels"),
    [
        (["n", 3, 6, 5], None),
        (["n", 6, 5, 3], None),
        ([7, 3, 6, 5], None),  # takes seven at once
        (["n", 3, 3, 3], "first"),
        (["n", 3, 3, 3], "last"),
        (["n", "c", "h", "w"], "first"),
    ],
)
def test_an_onnx_file_of_either_order_and_any_batch(shape, channels, tmp_path, rng):
    first = channels == "first" or shape[1] == 3 and channels is None
    size = (3, 6, 5) if isinstance(shape[3], str) else tuple(shape[1:])
    weights = rng.normal(size=(*size, 4))
    path = onnx_files.dense(tmp_path / "net.onnx", weights.reshape(-1, 4), shape)
    ordered = weights.transpose(1, 2, 0, 3) if first else weights
    estimate = show(
        observers.onnx(path, channels), 20_000, WhiteNoise(shape=ordered.shape[:3])
    ).classes["logit"]
    assert close(estimate, centred(np.moveaxis(ordered, 3, 0)) * STD**2)


def test_normalised_channels_are_what_the_network_is_shown(tmp_path, rng):
    weights = rng.normal(size=(4, 4, 3, 2)).astype(np.float32)
    noise, std = WhiteNoise(shape=(4, 4, 3)), np.array([0.5, 1, 2])

    def answer(images):
        return images.reshape(len(images), -1) @ weights.reshape(-1, 2)

    estimate = show(
        observers.function(answer).normalised([0.4, 0.5, 0.6], std), 20_000, noise
    ).classes["logit"]
    assert close(estimate, centred(np.moveaxis(weights / std[:, None], 3, 0)) * STD**2)


# ----------------------------------------------------------------------- resume, and many classes


@pytest.mark.parametrize(("noise", "calls_made"), [(NOISE.independent, 60), (NOISE, 180)])
def test_an_interrupted_pass_of_a_function_continues_to_the_same_bits(noise, calls_made, tmp_path):
    path, calls = tmp_path / "sums.npz", []

    def stops(images):
        calls.append(len(images))
        if len(calls) == calls_made:
            raise KeyboardInterrupt
        return linear(images)

    kwargs = {"noise": noise, "block_images": 50}
    with pytest.raises(KeyboardInterrupt):
        show(stops, 8_000, checkpoint=path, **kwargs)
    assert 0 < Measurement.load(path).count < 8_000
    calls += [0] * calls_made  # never again
    resumed = show(stops, 8_000, checkpoint=path, **kwargs)
    assert same_bits(resumed, show(linear, 8_000, **kwargs))


def test_a_checkpoint_of_another_function_is_refused(tmp_path):
    path = tmp_path / "sums.npz"
    show(linear, 16_000, checkpoint=path)
    with pytest.raises(UserError, match="network_sha256"):
        show(lambda images: -linear(images), 16_000, checkpoint=path)


@pytest.mark.parametrize("as_function", [False, True])
def test_chosen_classes_have_the_images_that_all_of_them_have(as_function, rng):
    weights = rng.normal(size=(6, 5, 1, 40)).astype(np.float32)
    network = observer(weights)
    answer = (lambda x: x.reshape(len(x), -1) @ weights.reshape(-1, 40)) if as_function else network
    chosen, full = show(answer, 4_000, only=(31, 3, 17)), show(answer, 4_000)
    for response, estimate in chosen.classes.items():
        theirs = full.classes[response].covariance[[31, 3, 17]]
        assert np.allclose(estimate.covariance, theirs, atol=1e-6 * np.abs(theirs).max())
    assert np.array_equal(chosen.answered, full.answered[[31, 3, 17]])
    assert np.array_equal(chosen.class_indices, [31, 3, 17])


def test_maps_of_chosen_classes(rng):
    keras.utils.set_random_seed(0)
    images = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(2, 3, activation="relu", name="conv")(images)
    network = keras.Model(images, keras.layers.Dense(30)(keras.layers.Flatten()(x)))
    noise = WhiteNoise(shape=(8, 8, 1))
    chosen = show(network, 8_000, noise, layers=["conv"], only=(7,)).maps["conv"].covariance
    full = show(network, 8_000, noise, layers=["conv"]).maps["conv"].covariance
    assert np.allclose(chosen, full[[7]], atol=1e-6 * np.abs(full).max())


def test_three_classes_of_a_thousand_are_measured_with_coarse_noise(capsys):
    """Images of 224 x 224 x 3; how much memory real architectures take is in own-networks.md."""
    stack = [keras.Input((224, 224, 3)), keras.layers.Conv2D(8, 3, strides=4, activation="relu")]
    stack += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1000, "softmax")]
    noise = CoarseNoise(shape=(224, 224, 3), cells=16)
    network = keras.Sequential(stack)
    measurement = measure(network, noise, 60, only=(3, 17, 207))
    assert measurement.classes["choice"].covariance.shape == (3, 224, 224, 3)
    assert "s for 1,000)" in capsys.readouterr().out
    with pytest.raises(UserError, match="measure fewer classes, .*--classes"):
        measure(network, noise, 60)


# ----------------------------------------------------------------------- what is refused


def uncertain(images):
    return linear(images) + np.random.default_rng().normal(size=(len(images), 4))


def of_the_batch(images):
    rows = linear(images)
    return rows - rows.mean(axis=0) * 0.5


@pytest.mark.parametrize(
    ("answer", "kwargs", "sentence"),
    [
        (uncertain, {}, "differently the second time"),
        (of_the_batch, {}, "differently the second time"),
        (lambda x: linear(x) * np.nan, {}, "answers NaN or infinity"),
        (lambda x: linear(x)[:-1], {}, r"answers an array of \(99, 4\) to 100 images"),
        (lambda x: x, {}, r"answers an array of \(100, 6, 5, 1\)"),
        (lambda x: linear(x).argmax(1), {}, "say how many classes there are"),
        (lambda x: linear(x).argmax(1) + 1, {"classes": 4}, "whole numbers from 0 to 3"),
        (lambda x: linear(x).max(1), {"classes": 4}, "whole numbers from 0 to 3"),
        (lambda x: linear(x).astype(str), {}, "expected numbers"),
        (linear, {"classes": 5}, "has 4 classes, not 5"),
        (linear, {"only": (1, 4)}, "classes 4 cannot be chosen: .* has 4"),
        (linear, {"only": (1, 1)}, "name each class once"),
        (linear, {"layers": ["conv"]}, "cannot be tapped"),
        (linear, {"precision": "bfloat16"}, "cannot be copied in bfloat16"),
        (lambda x: 0 * linear(x), {}, "answers all of 1,000 noise images alike"),
        (3, {}, "type int cannot be shown images"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_sentence(answer, kwargs, sentence):
    with pytest.raises(UserError, match=sentence):
        show(answer, 1_000, **kwargs)


def test_a_function_that_turns_to_nan_later_is_refused():
    with pytest.raises(UserError, match="answers NaN"):
        show(lambda x: np.where(linear(x) > 3, np.nan, linear(x)) if len(x) > 100 else linear(x))


def test_dropout_left_on_in_a_module_is_noticed():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    layers = [
        torch.nn.Flatten(),
        torch.nn.Linear(30, 20),
        torch.nn.Dropout(),
        torch.nn.Linear(20, 3),
    ]
    module = torch.nn.Sequential(*layers)
    with pytest.raises(UserError, match=r"module.eval\(\)"):
        show(observers.torch(module))
    assert show(observers.torch(module.eval()), 1_000).count == 1_000


def test_a_torch_module_answers_alike_however_it_flattens_and_wherever_its_channels_lie(rng):
    """`view` works on memory in the order of the axes alone."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    convolution, dense = torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(4 * 4 * 4, 5)

    class Flattens(torch.nn.Module):
        def __init__(self, how):
            super().__init__()
            self.layers, self.how = torch.nn.ModuleList([convolution, dense]), how

        def forward(self, images):
            active = self.layers[0](images)
            return self.layers[1](getattr(active, self.how)(len(images), -1))

    images = rng.random((7, 6, 6, 3)).astype(np.float32)
    with torch.inference_mode():
        channels_first = torch.from_numpy(np.array(images.transpose(0, 3, 1, 2), order="C"))
        expected = ops.convert_to_numpy(Flattens("reshape")(channels_first))
    for how in ("reshape", "view"):
        assert np.allclose(observers.torch(Flattens(how)).answer(images), expected, atol=1e-6)
    with pytest.raises(RuntimeError):
        observers.torch(Flattens("reshape")).answer(images[:, :5])


@pytest.mark.parametrize("package", ["onnxruntime", "torch"])
def test_without_an_extra_package_that_is_said(package, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, package, None)
    path = onnx_files.dense(tmp_path / "a.onnx", WEIGHTS, ["n", 1, 6, 5])
    with pytest.raises(UserError, match="is not installed: pip install"):
        observers.onnx(path) if package == "onnxruntime" else observers.torch(None)


def test_onnx_files_that_cannot_be_measured(tmp_path):
    path = tmp_path / "net.onnx"
    with pytest.raises(UserError, match="there is no file"):
        observers.onnx(path)
    path.write_bytes(b"not a network")
    with pytest.raises(UserError, match="cannot be read as an ONNX network"):
        observers.onnx(path)
    onnx_files.dense(path, WEIGHTS, ["n", 30])
    with pytest.raises(UserError, match="expected one input of images"):
        observers.onnx(path)
    onnx_files.dense(path, WEIGHTS, ["n", 1, 3, 10])
    with pytest.raises(UserError, match=r"takes images of \(3, 10, 1\), but the noise is"):
        show(observers.onnx(path))
    onnx_files.dense(path, np.ones((27, 2)), ["n", 3, 3, 3])
    with pytest.raises(UserError, match="whether channels come first or last"):
        observers.onnx(path)


def test_coarse_noise_through_a_function_keeps_its_cells():
    noise = CoarseNoise(shape=(6, 6, 1), cells=3)
    estimate = show(lambda x: x.reshape(len(x), -1)[:, :3], 2_000, noise).classes["logit"]
    assert estimate.coefficients.shape == (3, 2, 2, 1)
