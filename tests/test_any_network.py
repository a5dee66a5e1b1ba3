"""Networks of every kind, built by hand, each held against brute force."""

import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import main
import networks
import reverse_correlation
from networks import as_graph, convolutions, image_shape, images_that_fit, load_any_network
from noise import WhiteNoise
from reverse_correlation import measure, receptive_field


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras.Model):
    """A network with a `call`, made of Keras layers."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.convolution = layers.Conv2D(4, 3, strides=2, activation="relu", name="inner")
        self.drop, self.flat = layers.Dropout(0.5), layers.Flatten()
        self.dense = layers.Dense(3, activation="softmax")

    def call(self, images, training=None):
        return self.dense(self.flat(self.drop(self.convolution(images), training=training)))


@keras.saving.register_keras_serializable(package="tests")
class BlackBox(keras.Model):
    """A network whose `call` is not made of Keras layers."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(3)

    def build(self, input_shape):
        self.dense.build((None, int(np.prod(input_shape[1:]))))

    def call(self, images):
        return tf.nn.softmax(self.dense(tf.reshape(images, (tf.shape(images)[0], -1))))


def dense_only():
    return [
        keras.Input((9, 7, 1)),
        layers.Flatten(),
        layers.Dense(8, "relu"),
        layers.Dense(5, "softmax"),
    ]


def recurrent():  # over rows
    return [keras.Input((12, 8)), layers.GRU(6), layers.Dense(4)]


def binary():
    stack = [keras.Input((10, 12, 1)), layers.Conv2D(3, 3, activation="relu", name="conv")]
    return [*stack, layers.GlobalAveragePooling2D(), layers.Dense(1, "sigmoid")]


def one_logit():
    return [keras.Input((6, 5, 2)), layers.Flatten(), layers.Dense(1)]


def separable():
    return [
        keras.Input((19, 14, 3)),
        layers.DepthwiseConv2D(3, strides=2, padding="same", name="depthwise"),
        layers.SeparableConv2D(6, 3, padding="same", activation="relu", name="separable"),
        layers.Conv2D(4, 3, dilation_rate=2, padding="same", name="dilated"),
        layers.Flatten(),
        layers.Dense(4),
        layers.Softmax(),
    ]


def rescaled():
    stack = [
        keras.Input((8, 9, 1)),
        layers.Rescaling(1 / 127.5, -1),
        layers.Conv2D(2, 3, name="conv"),
    ]
    return [*stack, layers.ReLU(), layers.Flatten(), layers.Dense(3), layers.Activation("softmax")]


def residual():
    images = keras.Input((14, 17, 3))
    x = layers.Conv2D(4, 3, padding="same", name="stem")(images)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    y = layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(x)
    x = layers.Add()([x, layers.Conv2D(4, 3, padding="same", name="second")(y)])
    y = layers.Conv2D(5, 3, strides=2, padding="same", name="third")(x)
    x = keras.ops.relu(y + layers.Conv2D(5, 1, strides=2, name="shortcut")(x))
    x = layers.Conv2D(3, 3, activation="relu", name="last")(x)
    return keras.Model(images, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)), name="residual")


def nested():
    inner = keras.Input((12, 12, 3))
    base = keras.Model(inner, layers.Conv2D(4, 3, activation="relu", name="within")(inner))
    head = keras.Sequential([layers.Conv2D(3, 3, name="outside"), layers.GlobalMaxPooling2D()])
    images = keras.Input((12, 12, 3))
    return keras.Model(images, layers.Dense(3, "softmax")(head(base(images))))


def subclassed():
    network = Subclassed(name="subclassed")
    network(np.zeros((1, 13, 11, 2), np.float32))
    return network


def black_box():
    network = BlackBox(name="black_box")
    network(np.zeros((1, 5, 4, 1), np.float32))
    return network


SEQUENTIAL = (dense_only, recurrent, binary, one_logit, separable, rescaled)
ALL = (*SEQUENTIAL, residual, nested, subclassed, black_box)


def build(which):
    keras.utils.set_random_seed(3)
    network = keras.Sequential(which()) if which in SEQUENTIAL else which()
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):  # as after training: not the identity
            rng = np.random.default_rng(0)
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return network


def answers_of(network, stimuli):
    """The network's own answers, by its own call, as two columns or more, float64."""
    if len(network.inputs[0].shape if getattr(network, "inputs", None) else (0,) * 4) == 3:
        stimuli = stimuli[..., 0]
    answers = np.asarray(network(stimuli, training=False), np.float64)
    return answers


EXPECTED_LOGITS = {  # from the network's own answers
    dense_only: lambda p: np.log(p) - np.log(p).mean(axis=1, keepdims=True),
    rescaled: lambda p: np.log(p) - np.log(p).mean(axis=1, keepdims=True),
    nested: lambda p: np.log(p) - np.log(p).mean(axis=1, keepdims=True),
    subclassed: lambda p: np.log(p) - np.log(p).mean(axis=1, keepdims=True),
    black_box: lambda p: np.log(p) - np.log(p).mean(axis=1, keepdims=True),
    binary: lambda p: np.log(p / (1 - p)) / 2 * [[-1, 1]],
    one_logit: lambda z: z / 2 * [[-1, 1]],
    recurrent: lambda z: z,
    residual: lambda z: z,
    separable: None,  # ends in a Softmax layer, whose input it is
}


@pytest.mark.parametrize("which", ALL)
def test_class_images_are_the_covariance_of_the_networks_own_answers(which):
    network = build(which)
    noise = WhiteNoise(shape=image_shape(network), high=255.0 if which is rescaled else 1.0)
    found = measure(network, noise, 1500, progress=False)
    size = found.provenance["block_images"]
    stimuli = np.concatenate([noise.draw(0, b, size) for b in range(-(-1500 // size))])[:1500]
    answers = answers_of(network, stimuli)
    if which is separable:
        before = keras.Model(network.inputs[0], network.layers[-1].input)
        logits = np.asarray(before(stimuli), np.float64)
    else:
        logits = EXPECTED_LOGITS[which](answers)
    flat = stimuli.reshape(len(stimuli), -1).astype(np.float64)
    for kind, responses in [
        ("logit", logits),
        ("probability", np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)),
        ("decision", np.eye(logits.shape[1])[logits.argmax(axis=1)]),
    ]:
        centred = (responses - responses.mean(axis=0)).T
        expected = (centred @ (flat - flat.mean(axis=0)) / len(flat)).reshape(-1, *noise.shape)
        estimate = found.classes[kind]
        allowed = 1e-4 * responses.std(axis=0).max() * noise.std + 1e-9
        assert np.allclose(estimate.covariance, expected, rtol=1e-3, atol=allowed), kind
        assert np.allclose(estimate.mean_response, responses.mean(axis=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("which", "layer"),
    [
        (binary, "conv"),
        (separable, "depthwise"),
        (separable, "separable"),
        (separable, "dilated"),  # its field is larger than the image: clipped to it
        (rescaled, "conv"),
        (residual, "second"),
        (residual, "last"),
        (nested, "outside"),
        (subclassed, "inner"),
    ],
)
def test_filters_are_the_covariance_of_activity_and_patches(which, layer):
    network = build(which)
    noise = WhiteNoise(shape=image_shape(network), high=255.0 if which is rescaled else 1.0)
    found = measure(network, noise, 1000, layers=[layer], progress=False).layers[layer]
    stimuli = noise.draw(0, 0, 1000).numpy()
    graph = as_graph(network)
    activity = keras.Model(graph.inputs[0], networks.tapped(graph, layer))(stimuli, training=False)
    activity, field = np.asarray(activity, np.float64), receptive_field(network, layer)
    image, units = noise.shape[:2], activity.shape[1:3]
    chosen = []  # for rows and columns, what each unit that sees no padding sees
    for axis in (0, 1):
        size, stride, offset = field.size[axis], field.stride[axis], field.offset[axis]
        seen = [(i, offset + i * stride, offset + i * stride + size) for i in range(units[axis])]
        inside = [(i, a, b) for i, a, b in seen if a >= 0 and b <= image[axis]]
        # or, where there is none, what the image has of the middle unit's field
        chosen.append(inside or [(i, max(a, 0), b) for i, a, b in seen if i == units[axis] // 2])
    pairs = [(row, column) for row in chosen[0] for column in chosen[1]]
    patches = [stimuli[:, a:b, c:d] for (_, a, b), (_, c, d) in pairs]
    responses = [activity[:, i, j] for (i, *_), (j, *_) in pairs]
    patches, responses = np.concatenate(patches).astype(np.float64), np.concatenate(responses)
    flat = patches.reshape(len(patches), -1)
    centred = (responses - responses.mean(axis=0)).T @ (flat - flat.mean(axis=0)) / len(flat)
    expected = centred.reshape(-1, *patches.shape[1:])
    assert found.covariance.shape == expected.shape and found.count == len(flat)
    assert np.allclose(found.covariance, expected, atol=2e-4 * np.abs(expected).max())


def test_the_field_of_a_residual_network_is_where_its_gradient_is():
    network = build(residual)
    field = receptive_field(network, "last")
    graph = as_graph(network)
    tap, stimulus = (
        keras.Model(graph.inputs[0], networks.tapped(graph, "last")),
        tf.ones((1, 14, 17, 3)),
    )
    seen = np.zeros((14, 17), bool)
    for _ in range(5):  # a rectified unit is deaf at some images: look at several
        stimulus += tf.random.stateless_normal(stimulus.shape, (1, 2))
        with tf.GradientTape() as tape:
            tape.watch(stimulus)
            unit = tf.reduce_sum(tap(stimulus, training=False)[0, 1, 2])
        seen |= np.any(tape.gradient(unit, stimulus).numpy()[0] != 0, axis=2)
    for axis, index in enumerate((1, 2)):
        first = field.offset[axis] + index * field.stride[axis]
        where = np.flatnonzero(seen.any(axis=1 - axis))
        last = first + field.size[axis] - 1
        assert (where[0], where[-1]) == (max(first, 0), min(last, (13, 16)[axis]))


def test_convolutions_without_a_receptive_field_are_passed_over():
    images = keras.Input((12, 12, 1))
    x = layers.Conv2D(4, 3, padding="same", name="first")(images)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Conv2D(4, 3, name="gated")(layers.Multiply()([x, gate]))
    network = keras.Model(images, layers.Dense(2)(layers.Flatten()(x)))
    assert convolutions(network) == ["first"]
    with pytest.raises(ValueError, match="'gated' cannot be derived.*'global_average"):
        receptive_field(network, "gated")
    assert convolutions(build(dense_only)) == convolutions(build(recurrent)) == []


def test_a_large_network_is_shown_fewer_images_at_once():
    network = keras.Sequential(
        [
            keras.Input((224, 224, 3)),
            layers.Conv2D(64, 3, padding="same", activation="relu", name="first"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4),
        ]
    )
    images = images_that_fit(as_graph(network), ["first"])
    activities = images * 224 * 224 * 64 * 4
    assert images >= 4 and activities < networks.BLOCK_BYTES / 4
    with pytest.raises(ValueError, match="sums of 1,000 classes.*GB"):
        stack = [keras.Input((224, 224, 3)), layers.GlobalAveragePooling2D(), layers.Dense(1000)]
        wide = keras.Sequential(stack)
        measure(wide, WhiteNoise(shape=(224, 224, 3)), 10, progress=False)


def test_a_network_that_nearly_always_answers_the_same_is_remarked_upon(capsys):
    network = build(recurrent)
    kernel, bias = network.layers[-1].get_weights()
    network.layers[-1].set_weights([kernel, bias + [0, 50, 0, 0]])
    found = measure(network, WhiteNoise(shape=(12, 8)), 1000)
    said = capsys.readouterr().out
    assert "1,000 noise images 1,000 are answered 1" in said and "logit images" in said
    assert np.isfinite(found.classes["logit"].z).all()


# --------------------------------------------------------------------------- the command line


def run(tmp_path, capsys, *flags):
    code = main.run(["--noise-images", "2000", "--out", str(tmp_path / "out"), *map(str, flags)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err.splitlines()[-1] if captured.err else ""


def test_a_network_of_ones_own_gives_figures_with_its_name(tmp_path, capsys):
    build(residual).save(tmp_path / "mine.keras")
    code, out, _ = run(tmp_path, capsys, "--model", tmp_path / "mine.keras")
    figures = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.png")}
    assert code == 0 and "responses: logits" in out
    assert figures == {"part3_imgs/bias_mine.png"} | {
        f"part4_imgs/{stem}.png"
        for stem in (
            "sta_conv1_mine", "sta_convLast_mine", "conv1_mine_noise", "convLast_mine_noise"
        )
    }  # fmt: skip
    code, out, _ = run(tmp_path, capsys, "--model", tmp_path / "mine.keras", "--layers", "second")
    assert code == 0 and (tmp_path / "out/part4_imgs/sta_second_mine.png").exists()


def test_a_data_set_of_the_right_shape_gives_templates_too(tmp_path, capsys, monkeypatch):
    labels = np.tile(np.arange(10), 4)
    images = np.random.default_rng(0).random((40, 28, 28, 1), np.float32)
    monkeypatch.setattr("data.load_data", lambda name: ((images, labels), (images, labels)))
    stack = [keras.Input((28, 28)), layers.Rescaling(1 / 255), layers.Flatten()]
    keras.Sequential([*stack, layers.Dense(10, "softmax")]).save(tmp_path / "flat.keras")
    flags = ["--model", tmp_path / "flat.keras", "--dataset", "mnist", "--input-range", 0, 255]
    code, out, _ = run(tmp_path, capsys, *flags)
    assert code == 0 and "from 0 to 255" in out and "test accuracy of its logit images" in out
    assert "rescales its input itself" in out and "no Part 4" in out
    assert (tmp_path / "out/part3_imgs/template_flat_mnist.png").exists()
    found = reverse_correlation.Measurement.load(tmp_path / "out/results/model_flat_mnist.npz")
    assert found.provenance["noise"]["range"] == [0, 255]


def two_inputs(path):
    a, b = keras.Input((4, 4, 1)), keras.Input((4, 4, 1))
    keras.Model([a, b], layers.Dense(2)(layers.Flatten()(a + b))).save(path)


def two_outputs(path):
    a = keras.Input((4, 4, 1))
    x = layers.Flatten()(a)
    keras.Model(a, [layers.Dense(2)(x), layers.Dense(3)(x)]).save(path)


def a_vector(path):
    keras.Sequential([keras.Input((784,)), layers.Dense(3)]).save(path)


def a_map(path):
    keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(3, 3)]).save(path)


def damaged(value):
    def save(path):
        network = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(3)])
        kernel, bias = network.layers[-1].get_weights()
        network.layers[-1].set_weights([kernel * 0 + value, bias])
        network.save(path)

    return save


def truncated(path):
    a_map(path)
    path.write_bytes(path.read_bytes()[:-500])


def a_pickle(path):
    path.write_bytes(b"\x80\x04cos\nsystem\n(S'touch opened'\ntR.")


def unregistered(path):
    class Odd(layers.Layer):
        def call(self, x):
            return 2 * x

    keras.Sequential([keras.Input((4, 4, 1)), Odd(), layers.Flatten(), layers.Dense(2)]).save(path)


@pytest.mark.parametrize(
    ("save", "sentence"),
    [
        (lambda path: None, "there is no file"),
        (truncated, "not a whole .keras archive"),
        (a_pickle, "not a whole .keras archive"),
        (unregistered, "custom object 'Odd', which is not registered"),
        (two_inputs, "has 2 inputs"),
        (two_outputs, "has 2 outputs"),
        (a_vector, "not images"),
        (a_map, r"answers arrays of \(6, 6, 3\)"),
        (damaged(np.nan), "answers NaN"),
        (damaged(0.0), "answers all of 1,000 noise images alike"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_sentence(save, sentence, tmp_path, capsys):
    save(tmp_path / "odd.keras")
    code, _, error = run(tmp_path, capsys, "--model", tmp_path / "odd.keras")
    assert code == 2 and error.startswith("main.py: ")
    assert re.search(sentence, error), error


def test_an_h5_file_is_never_opened(tmp_path, capsys, monkeypatch):
    path = tmp_path / "old.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    monkeypatch.setattr(keras.saving, "load_model", None)  # calling it would fail
    code, _, error = run(tmp_path, capsys, "--model", path)
    assert code == 2 and "h5 files and pickles are never opened" in error


@pytest.mark.parametrize(
    "flags",
    [
        ["--model", "x.keras", "--epochs", "2"],
        ["--model", "x.keras", "--networks", "lenet"],
        ["--model", "x.keras", "--retrain"],
        ["--input-range", "0", "255"],
        ["--model", "x.keras", "--input-range", "0", "white"],
    ],
)
def test_flags_that_contradict_each_other_are_refused(flags, capsys):
    with pytest.raises(SystemExit) as stop:
        main.parse_arguments(flags)
    assert stop.value.code == 2
    assert "error: argument --" in capsys.readouterr().err.splitlines()[-1]


def test_a_registered_subclass_is_measured_from_its_file(tmp_path):
    """In a process of its own, which knows the class from the module that it was saved from."""
    build(subclassed).save(tmp_path / "subclassed.keras")
    root = Path(main.__file__).parent
    code = (
        "import sys, test_any_network, main; flags = ['--noise-images', '2000'];"
        "sys.exit(main.run([*flags, '--model', sys.argv[1], '--out', sys.argv[2]]))"
    )
    paths = os.pathsep.join([str(root), str(root / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "subclassed.keras", tmp_path / "out"],
        env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/part4_imgs/sta_conv1_subclassed.png").exists()


def test_probabilities_are_told_from_logits_without_a_softmax_layer():
    network = build(black_box)
    noise = WhiteNoise(shape=(5, 4, 1))
    assert "probabilities" in networks.logits_of(as_graph(network), noise)[1]
    assert networks.logits_of(as_graph(build(residual)), None)[1] == "logits"


def test_load_any_network_reads_what_keras_saved(tmp_path):
    network = build(nested)
    network.save(tmp_path / "nested.keras")
    again = load_any_network(tmp_path / "nested.keras")
    stimuli = WhiteNoise(shape=(12, 12, 3)).draw(0, 0, 5)
    assert np.array_equal(again(stimuli), network(stimuli))
