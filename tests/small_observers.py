"""Tiny networks whose classification images are known in closed form, and a tolerance."""

import keras
import numpy as np
from keras import layers

STD = 1 / np.sqrt(12)  # of a pixel, Gaussian or uniform


def observer(weights, bias=0.0, activation=None):
    """A network of one dense layer: logits = activation(x . weights + bias).

    Args:
        weights: (h, w, c, K).
        bias: (K,) or a number.
    """
    weights = np.asarray(weights, np.float32)
    classes = weights.shape[-1]
    images = keras.Input(weights.shape[:-1])
    x = layers.Flatten()(images)
    x = layers.Dense(classes, activation=activation, name="logits")(x)
    network = keras.Model(images, layers.Softmax()(x), name="observer")
    bias = np.broadcast_to(np.float32(bias), (classes,))
    network.get_layer("logits").set_weights([weights.reshape(-1, classes), bias])
    return network


def yes_no(template, bias=0.0):
    """An observer that answers 1 where the template's drive is positive, else 0."""
    template = np.asarray(template, np.float32)
    return observer(np.stack([0 * template, template], axis=-1), [0.0, bias])


def convolution(kernel, size=12, strides=1, padding="valid", bias=0.0):
    """A network of one ReLU convolution, "conv"; kernel (kh, kw, c, filters)."""
    kernel = np.asarray(kernel, np.float32)
    images = keras.Input((size, size, kernel.shape[2]))
    conv = layers.Conv2D(
        kernel.shape[3], kernel.shape[:2], strides, padding, activation="relu", name="conv"
    )
    x = layers.GlobalAveragePooling2D()(conv(images))
    head = layers.Dense(2, kernel_initializer=keras.initializers.GlorotUniform(seed=0))
    network = keras.Model(images, layers.Softmax()(head(x)), name="convolution")
    conv.set_weights([kernel, np.broadcast_to(np.float32(bias), (kernel.shape[3],))])
    return network


def centred(rows):
    """Return rows less their mean, as logits are: (K, ...)."""
    return rows - np.mean(rows, axis=0)


def close(estimate, expected, errors=5):
    """Whether every pixel lies within so many standard errors of the known answer."""
    return np.all(np.abs(estimate.covariance - expected) <= errors * estimate.standard_error)
