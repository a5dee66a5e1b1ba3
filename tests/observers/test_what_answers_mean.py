"""One set of weights answered in many ways has one set of logits; labels may be independent."""

import keras
import ml_dtypes
import numpy as np
import onnx_files
import pytest
from keras import layers, ops
from onnx import helper
from small_observers import STD, close

from reverse_correlation import (
    UserError,
    WhiteNoise,
    exact_classification_images,
    measure,
    observers,
)
from reverse_correlation.observers.answers import read, refuse_changing, resolution
from reverse_correlation.observers.keras_networks import Network
from reverse_correlation.passes.first_look import first_remarks
from reverse_correlation.passes.noise_pass import NoisePass

NOISE = WhiteNoise(shape=(6, 5, 1))
WEIGHTS = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
INDEPENDENT = "log-odds of independent labels"


def logits(images, weights=WEIGHTS):
    return images.reshape(len(images), -1) @ weights - weights.sum(axis=0) / 2


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def show(answer, count=6_000, **kwargs):
    return measure(answer, NOISE, count, progress=False, **kwargs)


def agreement(measured, truth, response="logit"):
    ours, theirs = (m.classes[response].covariance.ravel() for m in (measured, truth))
    return np.corrcoef(ours, theirs)[0, 1]


# ----------------------------------------------------------------------- the same weights

ROUNDED = {
    "probabilities": (lambda p: p, 0.99999),
    "half": (lambda p: p.astype(np.float16), 0.9999),
    "half, as float32": (lambda p: p.astype(np.float16).astype(np.float32), 0.9999),
    "bfloat16": (lambda p: p.astype(ml_dtypes.bfloat16).astype(np.float32), 0.9999),
    "percent": (lambda p: 100 * p, 0.99999),
    "percent of half": (lambda p: 100 * p.astype(np.float16).astype(np.float32), 0.9999),
    "whole percent": (lambda p: np.round(100 * p), 0.998),
    "bytes": (lambda p: np.round(255 * p).astype(np.uint8), 0.998),
    "quantised": (lambda p: np.clip(np.round(256 * p), 0, 255) / 256, 0.998),
    "cut off": (lambda p: np.floor(256 * p) / 256, 0.998),
    "three digits": (lambda p: np.round(p, 3), 0.998),
    "logarithms": (np.log, 0.99999),
}


@pytest.mark.parametrize("columns", [4, 40])
@pytest.mark.parametrize("how", ROUNDED)
def test_however_they_are_rounded_probabilities_have_the_images_of_their_logits(how, columns):
    rounded, least = ROUNDED[how]
    weights = np.random.default_rng(1).normal(size=(30, columns)).astype(np.float32)
    truth = show(lambda images: logits(images, weights))
    ours = show(lambda images: rounded(softmax(logits(images, weights))))
    meaning = ours.provenance["logits"]
    assert ("logits" in meaning) == (how == "logarithms") and "independent" not in meaning
    assert ("quantised" in meaning) == (least < 0.999)
    assert agreement(ours, truth) > least
    assert agreement(ours, truth, "probability") > 0.99
    assert np.abs(ours.answered - truth.answered).max() < 0.05 * ours.count


@pytest.mark.parametrize("columns", [2, 3, 10, 100, 1000])
@pytest.mark.parametrize("scale", [0.1, 1, 4])
def test_what_answers_are_is_told_for_any_number_of_columns(columns, scale, rng):
    z = (scale * rng.normal(size=(100, columns))).astype(np.float32)
    p, each = softmax(z), sigmoid(z)
    for rows in (p, p.astype(np.float16), p.astype(ml_dtypes.bfloat16), 100 * p):
        reading = read(rows)
        assert reading.probabilities and not reading.independent
    if columns < 1000:  # where most are more than a step
        for rows in (np.round(256 * p) / 256, np.round(255 * p) / 255, np.round(255 * p)):
            assert read(rows).probabilities and not read(rows).independent
    for rows in (each, each.astype(np.float16), np.round(256 * each) / 256):
        assert read(rows).independent and read(rows).odds
    for rows in (z, np.log(p), z.astype(np.float16)):
        assert not read(rows).probabilities


def test_the_resolution_of_numbers_is_told(rng):
    p = rng.random(300)
    assert resolution(p) == (0, 24)
    assert resolution(p.astype(np.float16)) == (0, 11)
    assert resolution(p.astype(ml_dtypes.bfloat16)) == (0, 8)
    for steps in (10, 100, 255, 256, 1000):
        step, _ = resolution(np.round(steps * p) / np.float32(steps))
        assert step == pytest.approx(1 / steps, rel=1e-5)
    assert resolution(np.round(255 * p))[0] == 1
    assert resolution(p > 0.5)[0] == 0  # two answers are not a grid


def network(answer, after=WEIGHTS.shape[1], dtype=None):
    """The weights as a dense layer "z", and what becomes of its output."""
    images = keras.Input((6, 5, 1))
    dense = layers.Dense(after, name="z", activation=dtype and answer, dtype=dtype)
    z = dense(layers.Flatten()(images))
    model = keras.Model(images, z if dtype else answer(z))
    dense.set_weights([WEIGHTS[:, :after], -WEIGHTS[:, :after].sum(axis=0) / 2])
    return model


KERAS = {
    "layer": layers.Softmax(),
    "activation": layers.Activation("softmax"),
    "operation": lambda z: ops.softmax(z),
    "logarithms": lambda z: ops.log_softmax(z),
    "half": lambda z: ops.softmax(ops.cast(z, "float16")),
    "half layer": layers.Activation("softmax", dtype="float16"),
    "half, then single": lambda z: ops.cast(ops.cast(ops.softmax(z), "float16"), "float32"),
    "percent": lambda z: 100 * ops.softmax(z),
}


@pytest.mark.parametrize("how", KERAS)
def test_a_keras_network_has_the_images_of_its_logits_whatever_its_head(how):
    truth, ours = show(network(lambda z: z)), show(network(KERAS[how]))
    assert min(agreement(ours, truth), agreement(ours, truth, "probability")) > 0.999
    assert np.abs(ours.answered - truth.answered).max() < 0.01 * ours.count


def test_a_softmax_in_half_precision_does_not_read_as_damaged_weights():
    model = network("softmax", dtype="float16")
    model.get_layer("z").set_weights([40 * w for w in model.get_layer("z").get_weights()])
    assert np.any(model.predict(NOISE.draw(0, 0, 100), verbose=0) == 0)
    for built in (model, lambda images: model.predict(images, verbose=0)):
        assert np.isfinite(show(built).classes["logit"].covariance).all()


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
def test_an_onnx_node_gives_the_images_of_its_input(kind, tmp_path):
    truth = show(observers.onnx(onnx_files.dense(tmp_path / "z.onnx", WEIGHTS, ["n", 1, 6, 5])))
    ours = show(observers.onnx(headed(tmp_path / "p.onnx", kind)))
    assert agreement(ours, truth) > 0.99999


def headed(path, kind, weights=WEIGHTS):
    nodes = [
        helper.make_node("Flatten", ["images"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["z"]),
        helper.make_node(kind, ["z"], ["answers"]),
    ]
    return onnx_files.save(path, nodes, {"weights": weights}, ["n", 1, 6, 5], "answers")


# ----------------------------------------------------------------------- independent labels


def sigmoids(how, folder):
    if how == "function":
        return lambda images: sigmoid(logits(images))
    if how == "onnx":
        return observers.onnx(headed(folder / "sigmoids.onnx", "Sigmoid"))
    if how == "half":
        return network(lambda z: ops.cast(ops.cast(ops.sigmoid(z), "float16"), "float32"))
    if how == "dense":
        return network("sigmoid", dtype="float32")
    return network({"operation": ops.sigmoid, "layer": layers.Activation("sigmoid")}[how])


@pytest.mark.parametrize("how", ["function", "onnx", "dense", "layer", "operation", "half"])
def test_independent_labels_have_their_own_log_odds_as_logits(how, tmp_path):
    measured = show(sigmoids(how, tmp_path), 20_000)
    assert measured.provenance["logits"].startswith(INDEPENDENT)
    expected = WEIGHTS.T.reshape(4, 6, 5, 1) * STD**2
    # the logarithm of rounded probabilities is not quite linear
    assert close(measured.classes["logit"], expected, 5 if how != "half" else 20)
    for template, choice in zip(expected, measured.classes["choice"].covariance, strict=True):
        assert np.corrcoef(template.ravel(), choice.ravel())[0, 1] > 0.99


def test_a_sigmoid_at_the_end_of_an_onnx_file_is_seen_even_if_its_rows_have_the_sum_1(tmp_path):
    opposite = np.concatenate([WEIGHTS[:, :1], -WEIGHTS[:, :1]], axis=1)
    for kind, meaning in (("Sigmoid", INDEPENDENT), ("Softmax", "centred")):
        path = headed(tmp_path / f"{kind}.onnx", kind, opposite)
        assert observers.onnx(path).looked(NOISE).meaning.startswith(meaning)
    said = observers.onnx(tmp_path / "Sigmoid.onnx", labels="exclusive").looked(NOISE)
    assert said.meaning == "centred, from its probabilities"


def test_decisions_on_independent_labels_are_those_above_a_half():
    measured = show(sigmoids("function", None))
    single = [
        show(lambda images, k=k: sigmoid(logits(images)[:, k : k + 1])) for k in range(4)
    ]  # two classes, yes and no
    for k, alone in enumerate(single):
        assert measured.answered[k] == alone.answered[1]
        for response in ("decision", "probability", "choice"):
            a, b = (
                m.classes[response].covariance[i].ravel() for m, i in ((measured, k), (alone, 1))
            )
            assert np.allclose(a, b, atol=1e-5 * np.abs(b).max()), response
    p = measured.classes["probability"].mean_response
    assert np.all(np.abs(p - 0.5) < 0.02)  # each for itself; as classes they would be a quarter


def test_chosen_labels_are_measured_as_all_are():
    chosen, full = (show(sigmoids("layer", None), only=only) for only in ((2, 0), ()))
    assert np.array_equal(chosen.answered, full.answered[[2, 0]])


@pytest.mark.parametrize("response", ["logit", "probability"])
def test_gradients_give_the_images_of_independent_labels(response):
    model = sigmoids("layer", None)
    exact = exact_classification_images(model, NOISE, 4_000, response)
    measured = show(model, 40_000).classes[response].covariance
    assert np.corrcoef(exact.ravel(), measured.ravel())[0, 1] > 0.99


def test_labels_are_what_they_are_said_to_be():
    function, together = observers.function, "centred, from the log-odds of its probabilities"
    told = {
        ("independent", logits): f"{INDEPENDENT}, from its logits",
        ("", logits): "centred, from its logits",
        ("exclusive", lambda images: sigmoid(logits(images))): together,
        ("independent", lambda images: softmax(logits(images))): f"{INDEPENDENT}, from its pro",
        ("independent", lambda images: logits(images)[:, :1]): "one logit counts as two classes",
    }
    for (labels, answer), meaning in told.items():
        assert function(answer, labels=labels).looked(NOISE).meaning.startswith(meaning)
    for head, kind, meaning in [
        (layers.Softmax(), "independent", f"{INDEPENDENT}, from its probabilities"),
        (layers.Activation("sigmoid"), "exclusive", "centred, from the inputs of its sigmoids"),
        (lambda z: z, "independent", f"{INDEPENDENT}, from its logits"),
    ]:
        assert Network(network(head), NOISE, labels=kind).meaning == meaning
    with pytest.raises(UserError, match="independent or exclusive, not 'both'"):
        observers.function(logits, labels="both")


def test_one_sigmoid_stays_two_classes():
    for head in (ops.sigmoid, layers.Activation("sigmoid")):
        measured = show(network(head, after=1))
        assert measured.provenance["logits"] == "one sigmoid output counts as two classes"
        assert measured.answered.sum() == measured.count
    with pytest.raises(UserError, match="noise images alike"):
        show(network(layers.Softmax(), after=1))  # always 1


def test_a_label_that_is_always_the_strongest_says_nothing_of_the_others():
    def answer(images):
        return sigmoid(logits(images) + [9, 0, 0, 0])

    assert not first_remarks(NoisePass(answer, NOISE))
    assert first_remarks(NoisePass(lambda images: logits(images) + [99, 0, 0, 0], NOISE))


# ----------------------------------------------------------------------- answers that change


class AlwaysDrops(layers.Dropout):
    """Drops in inference, too."""

    def call(self, x, training=None):
        return super().call(x, training=True)


class OfTheBatch(layers.Layer):
    """Standardises over the images that are shown at once."""

    def call(self, x):
        return (x - ops.mean(x, axis=0)) / (ops.std(x, axis=0) + 1e-3)


class Training(keras.Model):
    """Calls one of its layers as in training."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.flat, self.dense = layer, layers.Flatten(), layers.Dense(3)

    def call(self, images):
        return self.dense(self.flat(self.layer(images, training=True)))


@pytest.mark.parametrize(
    "layer",
    [
        AlwaysDrops(0.5),
        OfTheBatch(),
        layers.Dropout(0.5),
        layers.GaussianNoise(0.5),
        layers.BatchNormalization(),
        layers.RandomFlip("horizontal"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_keras_network_that_answers_differently_the_second_time_is_refused(layer):
    if isinstance(layer, (AlwaysDrops, OfTheBatch)):
        stack = [keras.Input((6, 5, 1)), layer, layers.Flatten(), layers.Dense(3)]
        model = keras.Sequential(stack)
    else:
        model = Training(layer)
        model(np.zeros((1, 6, 5, 1), np.float32))
    with pytest.raises(UserError, match="answers the same images differently the second time"):
        show(model)


def test_last_digits_may_differ_the_second_time(rng):
    p = rng.random((100, 3))
    for rows, digit in [(np.round(256 * p) / 256, 1 / 256), (p.astype(np.float16), 2**-11)]:
        again = np.float32(rows)
        again[7, 1] += digit
        refuse_changing("x", np.float32(rows), again)
        again[7, 1] += 9 * digit
        with pytest.raises(UserError, match="differently the second time"):
            refuse_changing("x", np.float32(rows), again)
