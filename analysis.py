"""Parts 3 and 4's questions of images: class averages, templates, confusion, activation maps."""

import keras
import numpy as np
import tensorflow as tf
from sklearn.metrics import confusion_matrix

from reverse_correlation import Network, Observer, UserError
from reverse_correlation.observers.graphs import named_tensors
from reverse_correlation.observers.keras_networks import images_that_fit
from reverse_correlation.passes.noise_pass import logits_of, refuse_nan

PREDICT_BATCH = 1000


def generate_classification_images(noisy_images, labels, n):
    """Average the noisy images whose label is n: (h, w, c).

    Args:
        noisy_images: (N, h, w, c).
        labels: (N,) integers, the category of each image (by ground truth in Part 3).
        n: the category.

    Raises:
        UserError: if no image has that label, or the lengths differ.
    """
    labels = np.asarray(labels)
    if len(labels) != len(noisy_images):
        raise UserError(f"{len(noisy_images)} images but {len(labels)} labels: give one each")
    chosen = labels == n
    if not chosen.any():
        raise UserError(f"none of the {len(labels)} images has the label {n}: nothing to average")
    return np.asarray(noisy_images)[chosen].mean(axis=0)


def predict(model, images):
    """Return the network's answers to images (n, h, w, c): (n, K), or whatever a tap gives."""
    batch = min(PREDICT_BATCH, images_that_fit(named_tensors(model)))
    return model.predict(images, batch_size=batch, verbose=0)


def accuracy(model, images, labels):
    """Return the share of images that the network, or an Observer of one, names right.

    Raises:
        UserError: if the network answers NaN or infinity.
    """
    logits = logits_of(model if isinstance(model, Observer) else Network.of(model), images)
    if not np.isfinite(logits).all():
        raise UserError(
            f"the network {model.name!r} answers NaN or infinity: its weights are damaged; "
            "train it again with --retrain"
        )
    return float(np.mean(logits.argmax(axis=1) == labels))


def match_templates(templates, images):
    """Classify images by the template that each resembles most: (n,) int.

    Templates are brought to zero mean and unit norm, so that neither brightness nor contrast of a
    template counts; the image is assigned to the largest inner product.

    Args:
        templates: (K, h, w, c); one that is NaN or constant never wins.
        images: (n, h, w, c).

    Raises:
        UserError: if no template can win, or shapes differ.
    """
    templates, images = np.asarray(templates, np.float64), np.asarray(images)
    if templates.shape[1:] != images.shape[1:]:
        raise UserError(f"templates {templates.shape[1:]} and images {images.shape[1:]} differ")
    flat = templates.reshape(len(templates), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    usable = norm[:, 0] > 1e-12  # NaN is not
    if not usable.any():
        raise UserError("every template is NaN or constant: there is nothing to match")
    scores = images.reshape(len(images), -1) @ (flat[usable] / norm[usable]).T
    return np.flatnonzero(usable)[scores.argmax(axis=1)]


def contrast_for_templates(network, noise, contrasts, validation, *, images, seed):
    """Choose the contrast of noise whose logit images classify the validation split best.

    All contrasts are tried on the same numbers xi, in pairs about the base, with one compiled
    graph.

    Args:
        network: a Network.
        noise: an ensemble with a contrast, about the base.
        contrasts: those that are tried.
        validation: (images, labels).
        images: stimuli shown at each contrast.
        seed: of the noise.

    Returns:
        (contrast, {contrast: share right}).
    """
    responses = network.responses()
    size = min(PREDICT_BATCH, network.images_that_fit()) // 2  # pairs at once

    @tf.function(autograph=False)
    def block_sum(block, scale):
        """Sum the odd part of every logit times xi over a block: (K, *coordinates)."""
        xi = noise.xi(seed, block, size)
        push = scale * noise.fluctuation(xi)
        stimuli = tf.concat([noise.mean + push, noise.mean - push], axis=0)
        logits = responses(stimuli, training=False)["logits"]
        return tf.tensordot(logits[:size] - logits[size:], xi, ((0,), (0,)))

    shares = {}
    for contrast in contrasts:
        scale = tf.constant(contrast / noise.contrast, tf.float32)
        sums = sum(block_sum(tf.constant(b), scale) for b in range(max(1, images // (2 * size))))
        refuse_nan(network.name, sums)
        answers = match_templates(noise.images(sums), validation[0])
        shares[contrast] = float(np.mean(answers == validation[1]))
    return max(shares, key=shares.get), shares


def confusion(labels, answers, classes):
    """Return the share of each true class (row) that was answered as each class (column)."""
    return confusion_matrix(labels, answers, labels=np.arange(classes), normalize="true")


def activation_maps(model, layer, images, labels):
    """Average a layer's activity over filters and over the images of each class: (K, h, w).

    This is the mean activation, not a spike-triggered average; NaN for a class without images.
    """
    network = Network.of(model)
    mean = keras.ops.mean(network.tapped(layer), axis=3)
    activity = predict(keras.Model(network.graph.inputs[0], mean), images)
    maps = np.full((network.classes, *activity.shape[1:]), np.nan, np.float32)
    for k in np.unique(labels):
        maps[k] = activity[labels == k].mean(axis=0)
    return maps
