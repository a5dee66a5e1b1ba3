"""The questions asked of images, networks and measurements; arrays in, arrays out."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf
from sklearn.metrics import confusion_matrix

from networks import (
    as_graph,
    chain_to,
    images_that_fit,
    layer_named,
    looks_at_image,
    receptive_field,
    response_tensors,
    tapped,
)

PREDICT_BATCH = 1000


def generate_classification_images(noisy_images, labels, n):
    """Average the noisy images whose label is n: (h, w, c).

    Args:
        noisy_images: (N, h, w, c).
        labels: (N,) integers, the category of each image (by ground truth in Part 3).
        n: the category.

    Raises:
        ValueError: if no image has that label, or the lengths differ.
    """
    labels = np.asarray(labels)
    if len(labels) != len(noisy_images):
        raise ValueError(f"{len(noisy_images)} images but {len(labels)} labels: give one each")
    chosen = labels == n
    if not chosen.any():
        raise ValueError(f"none of the {len(labels)} images has the label {n}: nothing to average")
    return np.asarray(noisy_images)[chosen].mean(axis=0)


def predict(model, images):
    """Return the network's answers to images (n, h, w, c): (n, K), or whatever a tap gives."""
    batch = min(PREDICT_BATCH, images_that_fit(model))
    return model.predict(images, batch_size=batch, verbose=0)


def accuracy(model, images, labels):
    """Return the share of images that the network names right.

    Raises:
        ValueError: if the network answers NaN or infinity.
    """
    logits = predict(response_tensors(model), images)["logits"]
    if not np.isfinite(logits).all():
        raise ValueError(
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
        ValueError: if no template can win, or shapes differ.
    """
    templates, images = np.asarray(templates, np.float64), np.asarray(images)
    if templates.shape[1:] != images.shape[1:]:
        raise ValueError(f"templates {templates.shape[1:]} and images {images.shape[1:]} differ")
    flat = templates.reshape(len(templates), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    usable = norm[:, 0] > 1e-12  # NaN is not
    if not usable.any():
        raise ValueError("every template is NaN or constant: there is nothing to match")
    scores = images.reshape(len(images), -1) @ (flat[usable] / norm[usable]).T
    return np.flatnonzero(usable)[scores.argmax(axis=1)]


def confusion(labels, answers, classes):
    """Return the share of each true class (row) that was answered as each class (column)."""
    return confusion_matrix(labels, answers, labels=np.arange(classes), normalize="true")


def activation_maps(model, layer, images, labels):
    """Average a layer's activity over filters and over the images of each class: (K, h, w).

    This is the mean activation, not a spike-triggered average; NaN for a class without images.
    """
    graph = as_graph(model, images.shape[1:])
    taps = keras.Model(graph.inputs[0], keras.ops.mean(tapped(graph, layer), axis=3))
    activity = predict(taps, images)
    classes = response_tensors(graph).output["logits"].shape[-1]
    maps = np.full((classes, *activity.shape[1:]), np.nan, np.float32)
    for k in np.unique(labels):
        maps[k] = activity[labels == k].mean(axis=0)
    return maps


def kernels(model, layer):
    """Return the learned kernels of a first convolution, filter by filter: (f, kh, kw, c).

    None where the layer is no plain convolution of the (rescaled) image itself.
    """
    graph = as_graph(model)
    convolution = layer_named(graph, layer)
    if type(convolution) is not keras.layers.Conv2D or convolution.groups > 1:
        return None
    if convolution.dilation_rate != (1, 1) or not looks_at_image(graph, layer):
        return None
    return np.moveaxis(keras.ops.convert_to_numpy(convolution.kernel), 3, 0)


def cosines(a, b):
    """Return the cosine between the rows of two (n, ...) arrays: (n,); NaN where one is zero."""
    a, b = (np.asarray(rows, np.float64).reshape(len(rows), -1) for rows in (a, b))
    with np.errstate(divide="ignore", invalid="ignore"):
        return (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


def correlations(a, b):
    """Return Pearson's correlation between the rows of two (n, ...) arrays: (n,)."""
    a, b = (np.asarray(rows).reshape(len(rows), -1) for rows in (a, b))
    return cosines(a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True))


def exact_classification_images(model, noise, count=10_000, response="logit", seed=1):
    """Classification images from the network's own gradients: the yardstick, (K, h, w, c).

    For a response r that is differentiable almost everywhere and independent pixels,
    cov(r, x) = E[w(x) dr/dx], where w is the variance for Gaussian noise (Stein's identity) and
    (x - low) (high - x) / 2 for uniform noise. Gradients vary little from image to image, so that
    10,000 images give what the black box needs millions for.

    Args:
        model: a Keras classifier of images of `noise.shape`.
        noise: an ensemble with `gradient_weight`, such as `WhiteNoise()`.
        count: images to average over.
        response: "logit" or "probability"; a decision has no gradient.
        seed: of the noise; not the seed of the measurement that this is held against.

    Raises:
        ValueError: for another response, or an ensemble without such an identity.
    """
    if response not in ("logit", "probability"):
        raise ValueError(f"gradients exist for logit and probability, not for {response!r}")
    return exact_class_images(model, noise, count, seed)[response]


def exact_class_images(model, noise, count=10_000, seed=1):
    """Return {"logit": (K, h, w, c), "probability": (K, h, w, c)} from the same gradients.

    As `exact_classification_images`; the gradient of a probability follows from those of the
    logits z: dp_k = p_k (dz_k - sum over j of p_j dz_j).
    """
    network = response_tensors(model, (), noise)

    @tf.function
    def block_sum(block, images):
        stimuli = _mirrored(noise, seed, block, images)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(stimuli)
            logits = network(stimuli, training=False)["logits"]
            columns = tf.unstack(logits, axis=1)
        weight = noise.gradient_weight(stimuli)
        of_logits = tf.stack([weight * tape.gradient(z, stimuli) for z in columns])
        p = tf.nn.softmax(logits)
        mean = tf.einsum("nk,knhwc->nhwc", p, of_logits)
        of_probabilities = tf.einsum("nk,knhwc->khwc", p, of_logits - mean)
        return tf.stack([tf.reduce_sum(of_logits, axis=1), of_probabilities])

    fit = images_that_fit(network, gradients=True)
    images = _mean_over_blocks(block_sum, count, min(250, fit))
    return dict(zip(("logit", "probability"), images, strict=True))


def exact_receptive_fields(model, noise, layer, count=20_000, seed=1):
    """Spike-triggered averages from gradients, times the mean response: (filters, rf_h, rf_w, c).

    The covariance of a filter's activity with the patch that it sees, as in
    `exact_classification_images`, for one unit that sees no padding, cut out of the network. Where
    a rectified unit is silent its gradient is zero, so that only patches that drive it are needed.

    Raises:
        ValueError: if the layer's receptive field cannot be derived or is larger than the image,
            or the network branches below the layer.
    """
    unit = _unit_network(model, layer)
    patches = dataclasses.replace(noise, shape=tuple(unit.inputs[0].shape[1:]))

    @tf.function
    def block_sum(block, images):
        stimuli = _mirrored(patches, seed, block, images)
        activity = unit(stimuli, training=False)[:, 0, 0, :]

        def weighted_gradient(index):
            driven = tf.concat([[True], activity[1:, index] != 0], axis=0)  # never an empty batch
            chosen = tf.boolean_mask(stimuli, driven)
            with tf.GradientTape() as tape:
                tape.watch(chosen)
                response = unit(chosen, training=False)[:, 0, 0, index]
            weight = patches.gradient_weight(chosen)
            return tf.reduce_sum(weight * tape.gradient(response, chosen), axis=0)

        filters = tf.range(tf.shape(activity)[1])
        return tf.map_fn(weighted_gradient, filters, fn_output_signature=tf.float32)

    fit = images_that_fit(unit, gradients=True)
    return _mean_over_blocks(block_sum, count, min(2000, fit))


def _unit_network(model, layer):
    """Cut out what one unit of each filter computes: patches (n, rf_h, rf_w, c) to (n, 1, 1, f).

    The layers below the unit again, without padding, on a patch of the receptive field's size.
    """
    graph = as_graph(model)
    size, (*image, channels) = receptive_field(graph, layer).size, graph.inputs[0].shape[1:]
    if any(field > pixels for field, pixels in zip(size, image, strict=True)):
        raise ValueError(f"no unit of layer {layer!r} sees the image without padding")
    x = patch = keras.Input((*size, channels))
    for original in chain_to(graph, layer):
        config = original.get_config()
        if "padding" in config:
            config["padding"] = "valid"
        copy = type(original).from_config(config)
        x = copy(x)
        copy.set_weights(original.get_weights())
    return keras.Model(patch, x)


def _mirrored(noise, seed, block, images):
    """Draw stimuli in pairs, x and its mirror image about the mean, which is as likely.

    What is odd in a gradient then cancels within each pair instead of over many.
    """
    half = noise.draw(seed, block, (images + 1) // 2)
    return tf.concat([half, 2 * noise.mean - half], axis=0)[:images]


def _mean_over_blocks(block_sum, count, block_images):
    """Average over `count` images what `block_sum(block, images)` adds up, in float64."""
    total = 0.0
    for block in range(-(-count // block_images)):
        images = min(block_images, count - block * block_images)
        total += block_sum(tf.constant(block), tf.constant(images)).numpy().astype(np.float64)
    return total / count
