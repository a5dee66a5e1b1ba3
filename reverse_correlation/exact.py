"""The same images from a network's own gradients: the yardstick for every black-box estimate."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from reverse_correlation.errors import UserError
from reverse_correlation.graphs import named_tensors
from reverse_correlation.networks import Network, images_that_fit


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
        UserError: for another response, or an ensemble without such an identity.
    """
    if response not in ("logit", "probability"):
        raise UserError(f"gradients exist for logit and probability, not for {response!r}")
    return exact_class_images(model, noise, count, seed)[response]


def exact_class_images(model, noise, count=10_000, seed=1):
    """Return {"logit": (K, h, w, c), "probability": (K, h, w, c)} from the same gradients.

    As `exact_classification_images`; the gradient of a probability follows from those of the
    logits z: dp_k = p_k (dz_k - sum over j of p_j dz_j).
    """
    network = Network.of(model, noise)
    responses = network.responses()

    @tf.function(autograph=False)  # which would turn a UserError into one of its own
    def block_sum(block, images):
        stimuli = _mirrored(noise, seed, block, images)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(stimuli)
            logits = responses(stimuli, training=False)["logits"]
            columns = tf.unstack(logits, axis=1)
        weight = noise.gradient_weight(stimuli)
        of_logits = tf.stack([weight * tape.gradient(z, stimuli) for z in columns])
        p = tf.nn.softmax(logits)
        mean = tf.einsum("nk,knhwc->nhwc", p, of_logits)
        of_probabilities = tf.einsum("nk,knhwc->khwc", p, of_logits - mean)
        return tf.stack([tf.reduce_sum(of_logits, axis=1), of_probabilities])

    fit = network.images_that_fit(gradients=True)
    images = mean_over_blocks(block_sum, count, min(250, fit))
    return dict(zip(("logit", "probability"), images, strict=True))


def exact_receptive_fields(model, noise, layer, count=20_000, seed=1):
    """Spike-triggered averages from gradients, times the mean response: (filters, rf_h, rf_w, c).

    The covariance of a filter's activity with the patch that it sees, as in
    `exact_classification_images`, for one unit that sees no padding, cut out of the network. Where
    a rectified unit is silent its gradient is zero, so that only patches that drive it are needed.

    Raises:
        UserError: if the layer's receptive field cannot be derived or is larger than the image,
            or the network branches below the layer.
    """
    unit = _unit_network(model, layer)
    patches = dataclasses.replace(noise, shape=tuple(unit.inputs[0].shape[1:]))

    @tf.function(autograph=False)
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

    fit = images_that_fit(named_tensors(unit), gradients=True)
    return mean_over_blocks(block_sum, count, min(2000, fit))


def _unit_network(model, layer):
    """Cut out what one unit of each filter computes: patches (n, rf_h, rf_w, c) to (n, 1, 1, f).

    The layers below the unit again, without padding, on a patch of the receptive field's size.
    """
    network = Network.of(model)
    size, (*image, channels) = network.receptive_field(layer).size, network.shape
    if any(field > pixels for field, pixels in zip(size, image, strict=True)):
        raise UserError(f"no unit of layer {layer!r} sees the image without padding")
    x = patch = keras.Input((*size, channels))
    for original in network.chain_to(layer):
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


def mean_over_blocks(block_sum, count, block_images):
    """Average over `count` images what `block_sum(block, images)` adds up, in float64."""
    total = 0.0
    for block in range(-(-count // block_images)):
        images = min(block_images, count - block * block_images)
        total += block_sum(tf.constant(block), tf.constant(images)).numpy().astype(np.float64)
    return total / count
