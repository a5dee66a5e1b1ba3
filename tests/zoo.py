"""Networks of every kind, small, and what their own answers say of their logits."""

import keras
import numpy as np
from keras import layers, ops


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
        if isinstance(images, keras.KerasTensor):
            raise TypeError("as of a framework's own function, which knows no symbolic tensors")
        return ops.softmax(self.dense(ops.reshape(images, (ops.shape(images)[0], -1))))


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
    """Build one of them with weights that are always the same."""
    keras.utils.set_random_seed(3)
    network = keras.Sequential(which()) if which in SEQUENTIAL else which()
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):  # as after training: not the identity
            rng = np.random.default_rng(0)
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return network


def answers_of(network, stimuli):
    """Return the network's own answers, by its own call, (n, outputs) float64."""
    if getattr(network, "inputs", None) and len(network.inputs[0].shape) == 3:
        stimuli = stimuli[..., 0]
    return np.float64(ops.convert_to_numpy(network(stimuli, training=False)))


def before_softmax(network, stimuli):
    """Return what a final Softmax layer is given."""
    before = keras.Model(network.inputs[0], network.layers[-1].input)
    return centred_answers(before, stimuli)


def centred_answers(network, stimuli):
    """Return the answers less their mean."""
    answers = answers_of(network, stimuli)
    return answers - answers.mean(axis=1, keepdims=True)


def centred_logarithms(network, stimuli):
    """Return log p - mean log p."""
    logarithms = np.log(answers_of(network, stimuli))
    return logarithms - logarithms.mean(axis=1, keepdims=True)


def log_odds(network, stimuli):
    """Return the log odds of one probability, as two classes."""
    p = answers_of(network, stimuli)
    return np.log(p / (1 - p)) / 2 * [[-1, 1]]


def halves(network, stimuli):
    """Return one logit, as two classes."""
    return answers_of(network, stimuli) / 2 * [[-1, 1]]


EXPECTED_LOGITS = {  # each from the network's own answers
    dense_only: centred_logarithms,
    rescaled: centred_logarithms,
    nested: centred_logarithms,
    subclassed: centred_logarithms,
    black_box: centred_logarithms,
    binary: log_odds,
    one_logit: halves,
    recurrent: centred_answers,
    residual: centred_answers,
    separable: before_softmax,
}
