"""Class images and filters from a network's own gradients: the yardstick for estimates.

For a response r that is differentiable almost everywhere and a stimulus x = base + A xi,

    cov(r, xi) = E[w(xi) dr/dxi],    cov(r, x) = A cov(r, xi),

where w is 1 for Gaussian xi (Stein's identity) and (3 - xi**2) / 2 for uniform xi. Gradients vary
little from image to image, so a few thousand images are as good as many more without gradients;
how many are enough is seen from their own split halves.
"""

import dataclasses

import keras
import numpy as np
from keras import ops

from reverse_correlation.errors import UserError
from reverse_correlation.estimates.correlation import split_half
from reverse_correlation.files import kept, read_arrays, write_arrays
from reverse_correlation.frameworks import framework
from reverse_correlation.observers.keras_networks import Network

ENOUGH = 0.999  # reliability at which no more gradients are taken
CLASS_BLOCK = 128  # images whose gradients are taken at once
PATCH_BLOCK = 1000  # patches drawn at once
DRIVEN_PATCHES = 128  # patches of a block used for a filter, at most
RARE = 1e-3  # a filter that a smaller share of patches drives gets no further patches


@dataclasses.dataclass(frozen=True)
class ExactImages:
    """Images from gradients.

    Attributes:
        images: (R, h, w, c), covariances with the stimulus.
        reliability: (R,), of the images, from split halves; NaN from a single block.
        count: how many stimuli were averaged, at most.
    """

    images: np.ndarray
    reliability: np.ndarray
    count: int


def exact_classification_images(model, noise, count=10_000, response="logit", seed=1):
    """Return the classification images that the network's own gradients give: (K, h, w, c).

    Args:
        model: a Keras classifier of images of `noise.shape`.
        noise: an ensemble with a gradient identity, such as `WhiteNoise()`.
        count: stimuli to average over, at most; fewer if the split halves agree at .999 earlier.
        response: "logit" or "probability"; a decision has no gradient.
        seed: of the noise; it must differ from that of the measurement compared with it.

    Raises:
        UserError: for another response, an ensemble without such an identity or of another shape,
            or what is not a Keras model and so has no gradients here.
    """
    if response not in ("logit", "probability"):
        raise UserError(f"gradients exist for logit and probability, not for {response!r}")
    return exact_class_images(model, noise, count, seed)[response].images


def exact_class_images(model, noise, count=10_000, seed=1):
    """Return {"logit": ExactImages, "probability": ExactImages} from the same gradients.

    Arguments are as for `exact_classification_images`. The gradient of a probability follows from
    those of the logits z: dp_k = p_k (dz_k - sum over j of p_j dz_j), and that of an independent
    label is p_k (1 - p_k) dz_k. The agreement of the logit images decides how many stimuli are
    enough.
    """
    network, noise = Network.of(model, noise), noise.independent
    network.refuse_shape(noise)
    responses = network.responses()
    coordinates = (-1, *noise.coordinates)

    def logits_of(xi):
        return responses(noise.about(noise.fluctuation(xi)), training=False)["logits"]

    @framework.compiled
    def block_sum(xi):
        logits, gradients = framework.column_gradients(logits_of, xi)
        gradients = noise.gradient_weight(xi) * gradients
        flat = ops.reshape(gradients, (network.classes, ops.shape(xi)[0], -1))
        if network.independent:
            p = ops.sigmoid(logits)
            of_probabilities = ops.einsum("nk,knd->kd", p * (1 - p), flat)
        else:
            p = ops.softmax(logits)
            mean = ops.einsum("nk,knd->nd", p, flat)
            of_probabilities = ops.einsum("nk,knd->kd", p, flat - mean)
        both = ops.concatenate([ops.sum(flat, axis=1), of_probabilities], axis=0)
        return ops.reshape(both, coordinates)

    size = min(CLASS_BLOCK, network.images_that_fit(gradients=True))
    halves = np.zeros((2, 2 * network.classes, *noise.coordinates))
    for block in range(max(1, count // size)):
        images = min(size, count - block * size)
        halves[block % 2] += ops.convert_to_numpy(block_sum(_mirrored(noise, seed, block, images)))
        shown = block * size + images
        if block % 2 and shown >= 4 * size:
            reliability = split_half(*map(noise.images, halves))
            if np.nanmin(reliability[: network.classes]) >= ENOUGH:
                break
    images = np.split(noise.images(halves.sum(axis=0) / shown), 2)
    reliability = np.split(split_half(*map(noise.images, halves)), 2)
    return {
        name: ExactImages(images[i], reliability[i], shown)
        for i, name in enumerate(("logit", "probability"))
    }


def exact_receptive_fields(model, noise, layer, count=20_000, seed=1):
    """Return the covariances of filters with the patches they see: ExactImages (f, rf_h, rf_w, c).

    They are spike-triggered averages times the mean response, computed as in
    `exact_classification_images` for one unit that sees no padding, cut out of the network. A
    rectified unit that is silent has no gradient, so only patches that drive it are needed, and no
    more of these once its split halves agree at .999. A filter that fires at less than one patch
    in a thousand gets no further patches.

    Args:
        model, layer: a Keras classifier, and the name of its layer.
        noise: white noise about a number.
        count, seed: of the patches; fewer may be drawn.

    Raises:
        UserError: if the layer's receptive field cannot be derived or is larger than the image,
            the network branches below the layer, or the noise is not the same everywhere.
    """
    unit = _unit_network(model, layer)
    if not noise.is_white or np.ndim(noise.mean):
        raise UserError(
            f"{noise.title} noise about this base is not the same in every patch: use white noise "
            "about a number"
        )
    patches = dataclasses.replace(noise, shape=tuple(unit.inputs[0].shape[1:]))

    @framework.compiled
    def activity_of(xi):
        return unit(patches.about(patches.fluctuation(xi)), training=False)[:, 0, 0, :]

    @framework.compiled
    def weighted_gradients(xi, index):
        """Return the weighted gradients of one filter's activity."""
        _, gradients = framework.column_gradients(
            lambda x: ops.take(activity_of(x), index, axis=1), xi
        )
        return patches.gradient_weight(xi) * gradients[0]

    def mean_gradient(xi, driven, index):
        """Return a filter's mean weighted gradient over a block's patches, of which some drive."""
        used = np.flatnonzero(driven)[:DRIVEN_PATCHES]
        filled = np.resize(used, DRIVEN_PATCHES) if len(used) else np.zeros(DRIVEN_PATCHES, int)
        gradients = weighted_gradients(ops.take(xi, filled, axis=0), np.array([index]))
        gradients = ops.convert_to_numpy(gradients)[: len(used)]
        return driven.mean() * gradients.sum(axis=0) / max(1, len(used))

    filters = unit.outputs[0].shape[-1]
    sums, blocks = np.zeros((2, filters, *patches.shape)), np.zeros((2, filters))
    driven = np.zeros(filters)  # share of patches that drive each filter, summed over blocks
    wanted = np.arange(filters)
    for block in range(max(2, count // PATCH_BLOCK)):
        xi = _mirrored(patches, seed, block, PATCH_BLOCK)
        drive = ops.convert_to_numpy(activity_of(xi)) != 0
        for k in wanted:
            sums[block % 2, k] += mean_gradient(xi, drive[:, k], k)
        driven[wanted] += drive.mean(axis=0)[wanted]
        blocks[block % 2, wanted] += 1
        if block % 2:
            reliability = split_half(*sums)
            rare = driven < RARE * blocks.sum(axis=0)
            wanted = np.flatnonzero(~(reliability >= ENOUGH) & ~rare)
            if not len(wanted):
                break
    mean = sums.sum(axis=0) / blocks.sum(axis=0)[:, None, None, None]
    count = int(blocks.sum(axis=0).max()) * PATCH_BLOCK
    return ExactImages(patches.images(mean), reliability, count)


def kept_exact(path, identity, compute):
    """Return the {name: ExactImages} that a .npz file keeps; see `files.kept`."""
    return kept(path, identity, _read, compute, _write)


def _read(path):
    identity, arrays = read_arrays(path)
    fields = {}
    for key, array in arrays.items():
        name, _, field = key.partition(":")
        fields.setdefault(name, {})[field] = array if array.ndim else int(array)
    return identity, {name: ExactImages(**values) for name, values in fields.items()}


def _write(path, identity, exact):
    arrays = {
        f"{name}:{field}": array
        for name, images in exact.items()
        for field, array in vars(images).items()
    }
    write_arrays(path, identity, arrays)


def _unit_network(model, layer):
    """Cut out one unit of each filter, unpadded: patches (n, rf_h, rf_w, c) to (n, 1, 1, f)."""
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
    """Draw xi with mirror images, so the odd part of a gradient cancels within each pair."""
    half = noise.xi(seed, block, (images + 1) // 2)
    return ops.concatenate([half, -half], axis=0)[:images]
