"""The questions asked of images, networks and measurements; arrays in, arrays out."""

import contextlib
import dataclasses

import keras
import numpy as np
import tensorflow as tf
from scipy import stats
from scipy.ndimage import gaussian_filter
from sklearn.metrics import confusion_matrix, roc_auc_score

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
BLOCK = 1000  # stimuli drawn and shown at once


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


# --------------------------------------------------------------------------- signal in noise


def mixing_rates(model, backgrounds, templates, gammas):
    """Share of mixtures (1 - gamma) * background + gamma * template k that are answered k: (K, G).

    Args:
        model: a Keras classifier of K classes.
        backgrounds: (n, h, w, c), noise or images; every template is mixed with each of them.
        templates: (K, h, w, c); one that is NaN does not exist, and its rates are 0.
        gammas: (G,) weights from 0 to 1.
    """
    shape = tuple(backgrounds.shape[1:])
    weights = tf.reshape(tf.constant(gammas, tf.float32), (-1, 1, 1, 1, 1))

    @tf.function(reduce_retracing=True)
    def answers(images, template):
        stimuli = (1 - weights) * images[None] + weights * template
        answered = tf.argmax(model(tf.reshape(stimuli, (-1, *shape)), training=False), axis=1)
        return tf.reshape(answered, (len(gammas), -1))

    rates = np.zeros((len(templates), len(gammas)))
    images = tf.constant(backgrounds, tf.float32)
    for k, template in enumerate(np.asarray(templates, np.float32)):
        if np.isfinite(template).all():
            rates[k] = np.mean(answers(images, tf.constant(template)).numpy() == k, axis=1)
    return rates


def unit_range(templates):
    """Scale each template linearly to [0, 1], as Borji and Lin mix them: (K, h, w, c)."""
    axes = tuple(range(1, np.ndim(templates)))
    low = np.min(templates, axis=axes, keepdims=True)
    return (templates - low) / (np.max(templates, axis=axes, keepdims=True) - low)


def crossing(gammas, rates, level=0.5):
    """Return the first gamma at which a curve rises through `level`; the last one if it never does.

    Args:
        gammas: (G,) increasing.
        rates: (G,); between two points the curve is a straight line.
    """
    above = np.flatnonzero(np.asarray(rates) >= level)
    if len(above) == 0:
        return float(gammas[-1])
    first = above[0]
    if first == 0:
        return float(gammas[0])
    left, right = rates[first - 1], rates[first]
    share = (level - left) / (right - left)
    return float(gammas[first - 1] + share * (gammas[first] - gammas[first - 1]))


@dataclasses.dataclass(frozen=True)
class Cells:
    """Trials of two stimuli (rows), sorted by the answer (columns); every trial is in one cell.

    Attributes:
        answered: (2, K), how often each of all K classes had the largest logit.
        counts: (2, 2), how often each of the two classes had the larger logit of the two.
        sums: (2, 2, h, w, c), sums of the noise, less its mean, over the trials of `counts`.
        std: standard deviation of a pixel of the noise.
    """

    answered: np.ndarray
    counts: np.ndarray
    sums: np.ndarray
    std: float


def four_cells(model, images, labels, classes, gamma, noise, count, seed=0):
    """Show two classes in noise, (1 - gamma) * noise + gamma * image, and sort the noise: Cells.

    Trials alternate between the two classes and take the images of each in turn. The answer is a
    forced choice, the larger of the two classes' logits, so that no trial is lost to the others.

    Args:
        model: a Keras classifier.
        images, labels: (n, h, w, c) and (n,), of which those of the two classes are shown.
        classes: the two.
        gamma: weight of the image; the noise has 1 - gamma.
        noise: an ensemble such as `WhiteNoise("uniform")`.
        count: how many trials.

    Raises:
        ValueError: if there is no image of one of the classes.
    """
    banks = [np.asarray(images)[np.asarray(labels) == k] for k in classes]
    if not all(len(bank) for bank in banks):
        raise ValueError(f"there are no images of the classes {classes[0]} and {classes[1]} both")
    banks = [tf.constant(bank, tf.float32) for bank in banks]
    network, pixels = response_tensors(model), int(np.prod(noise.shape))
    total = model.outputs[0].shape[-1]

    @tf.function
    def block_sums(block, trials):
        fields = noise.draw(seed, block, trials)
        number = (tf.cast(block, tf.int64) * BLOCK + tf.range(trials, dtype=tf.int64)) // 2
        shown = tf.range(trials) % 2
        signals = [tf.gather(bank, number % len(bank)) for bank in banks]
        signal = tf.where((shown == 0)[:, None, None, None], *signals)
        logits = network((1 - gamma) * fields + gamma * signal, training=False)["logits"]
        rows = tf.one_hot(shown, 2)
        raw = tf.one_hot(tf.argmax(logits, axis=1), total)
        forced = tf.one_hot(tf.argmax(tf.gather(logits, classes, axis=1), axis=1), 2)
        cells = tf.reshape(rows[:, :, None] * forced[:, None, :], (-1, 4))
        centred = tf.reshape(fields - noise.mean, (-1, pixels))
        return (
            tf.matmul(rows, raw, transpose_a=True),
            tf.reduce_sum(cells, axis=0),
            tf.matmul(cells, centred, transpose_a=True),
        )

    sums = [0.0, 0.0, 0.0]
    for block in range(-(-count // BLOCK)):
        trials = min(BLOCK, count - block * BLOCK)
        parts = block_sums(tf.constant(block), tf.constant(trials))
        sums = [s + part.numpy().astype(np.float64) for s, part in zip(sums, parts, strict=True)]
    answered, counts, fields = sums
    return Cells(answered, counts.reshape(2, 2), fields.reshape(2, 2, *noise.shape), noise.std)


def cell_weights(counts, kind):
    """Weights of the two stimuli in a classification image from four cells: (2,).

    "ahumada": 1 and 1, so that c = (n12 + n22) - (n11 + n21) (Ahumada & Lovell 1971). "optimal":
    N_s phi(z_s) with z_s the normal quantile of P(second answer | s), which gives a linear
    observer's image the largest signal-to-noise ratio (Ahumada 2002, Murray 2011). A stimulus that
    always got the same answer has no difference to offer, and weight 0.

    Raises:
        ValueError: for another kind, or if both stimuli always got the same answer.
    """
    counts = np.asarray(counts, np.float64)
    usable = counts.min(axis=1) > 0
    if not usable.any():
        raise ValueError("each stimulus always got the same answer: there is nothing to compare")
    if kind == "ahumada":
        return usable.astype(np.float64)
    if kind != "optimal":
        raise ValueError(f"weights are ahumada or optimal, not {kind!r}")
    shown = counts.sum(axis=1)
    return np.where(usable, shown * stats.norm.pdf(stats.norm.ppf(counts[:, 1] / shown)), 0)


def combine_cells(cells, kind):
    """Combine the four cells into one classification image, in units of its standard error.

    c = sum over stimuli s of w_s (mean noise of answer 2 - mean noise of answer 1). White noise of
    variance v gives each pixel of c the variance v sum w_s**2 (1 / N_s1 + 1 / N_s2).

    Args:
        cells: Cells.
        kind: of the weights, see `cell_weights`.

    Returns:
        (z, snr2, expected): the image (h, w, c), standard normal where a pixel does not matter; its
        squared signal-to-noise ratio, the sum of z**2 less the number of pixels; and what a linear
        observer without internal noise would reach with these counts, (sum w_s phi_s /
        (p_s q_s))**2 / sum w_s**2 / (N_s p_s q_s) (Murray 2011).
    """
    weights = cell_weights(cells.counts, kind)
    used = weights > 0
    counts, sums, weights = cells.counts[used], cells.sums[used], weights[used]
    means = sums / counts[:, :, None, None, None]
    image = np.tensordot(weights, means[:, 1] - means[:, 0], 1)
    variance = np.sum(weights**2 * (1 / counts).sum(axis=1))
    z = image / (cells.std * np.sqrt(variance))
    shown = counts.sum(axis=1)
    p = counts[:, 1] / shown
    signal = np.sum(weights * stats.norm.pdf(stats.norm.ppf(p)) / (p * (1 - p)))
    return z, float(np.sum(z**2) - z.size), float(signal**2 / variance)


def snr_interval(snr2, shape, level=0.95):
    """Interval of a signal-to-noise ratio from its estimated square: (low, high).

    The sum of z**2 over D pixels is noncentral chi-square, of variance 2 D + 4 SNR**2.
    """
    snr2 = max(snr2, 0)
    half = stats.norm.ppf(0.5 + level / 2) * np.sqrt(2 * np.prod(shape) + 4 * snr2)
    return float(np.sqrt(max(snr2 - half, 0))), float(np.sqrt(snr2 + half))


# --------------------------------------------------------------------------- attacks and intervals


def attack_rates(model, images, maps, direction, norms, seed=0):
    """Share of images pushed from their class to another that are answered as that other.

    Each image gets a perturbation of length norm * |image|, and the sum is clipped to [0, 1], so
    that it is an image again (and the perturbation that survives is often shorter).

    Args:
        model: a Keras classifier.
        images: for each of K classes, (n_k, h, w, c), its images.
        maps: (K, h, w, c); the direction from source to target is maps[target] - maps[source].
            None for directions that need none.
        direction: "random", "own gradient" (each image's, of target minus source logit; white
            box), "FGSM" (its sign), or anything else for `maps`.
        norms: (G,) shares of each image's norm.
        seed: of random directions.

    Returns:
        (pairs, G): for each ordered pair of different classes that has images.
    """
    rng, network, rates = np.random.default_rng(seed), response_tensors(model), []
    shares = tf.reshape(tf.constant(norms, tf.float32), (-1, 1, 1, 1, 1))

    @tf.function(reduce_retracing=True)
    def gradient(batch, source, target):
        with tf.GradientTape() as tape:
            tape.watch(batch)
            logits = network(batch, training=False)["logits"]
            goal = tf.gather(logits, target, axis=1) - tf.gather(logits, source, axis=1)
        return tape.gradient(goal, batch)

    @tf.function(reduce_retracing=True)
    def answers(batch, push):
        def length(x):
            return tf.sqrt(tf.reduce_sum(tf.square(x), axis=(1, 2, 3), keepdims=True))

        push = push * length(batch) / tf.maximum(length(push), 1e-12)
        pushed = tf.clip_by_value(batch[None] + shares * push[None], 0, 1)
        logits = network(tf.reshape(pushed, (-1, *batch.shape[1:])), training=False)["logits"]
        return tf.reshape(tf.argmax(logits, axis=1), (len(norms), -1))

    for source, batch in enumerate(images):
        for target in range(len(images)):
            if target == source or not len(batch):
                continue
            batch = tf.constant(batch, tf.float32)
            if direction == "random":
                push = tf.constant(rng.normal(size=batch.shape), tf.float32)
            elif direction in ("own gradient", "FGSM"):
                push = gradient(batch, tf.constant(source), tf.constant(target))
                push = tf.sign(push) if direction == "FGSM" else push
            else:
                difference = np.asarray(maps[target] - maps[source], np.float32)
                push = tf.constant(np.broadcast_to(difference, batch.shape))
            rates.append(np.mean(answers(batch, push).numpy() == target, axis=1))
    return np.array(rates)


def bootstrap_interval(values, seed=0, level=0.95, draws=2000):
    """Interval of the mean of rows (n, G) by resampling rows: (low (G,), high (G,)); percentile."""
    values = np.asarray(values)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(values), size=(draws, len(values)))
    means = np.stack([values[rows].mean(axis=0) for rows in drawn])
    tail = 50 * (1 - level)
    return tuple(np.percentile(means, [tail, 100 - tail], axis=0))


def wilson_interval(hits, trials, level=0.95):
    """Interval of a share by Wilson's (1927) score: (low, high); NaN without trials."""
    if not trials:
        return np.nan, np.nan
    z = stats.norm.ppf(0.5 + level / 2)
    share, z2 = hits / trials, z**2
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = z * np.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
    return middle - half, middle + half


# --------------------------------------------------------------------------- microstimulation


def mean_activity(model, layer, images):
    """Mean activity of each filter (over images and positions) or unit of a layer: (units,)."""
    activity = keras.Model(model.inputs, model.get_layer(layer).output)
    mean = predict(activity, images).mean(axis=0)
    return mean.reshape(-1, mean.shape[-1]).mean(axis=0)


@contextlib.contextmanager
def stimulated(model, layer, current):
    """Add `current` (units,) to the biases of a layer, before its nonlinearity; undo it after."""
    bias = model.get_layer(layer).bias
    before = bias.numpy()
    bias.assign(before + current)
    try:
        yield model
    finally:
        bias.assign(before)


def psychometric_function(model, fields, gammas):
    """Return f(images, label), the share of (1 - gamma) * field + gamma * image answered `label`.

    Args:
        model: a Keras classifier; its weights may change between two calls of f.
        fields: (n, h, w, c), a noise field for each of the n images that f is given.
        gammas: (G,); f returns (G,).
    """
    shape = tuple(fields.shape[1:])
    weights = tf.reshape(tf.constant(gammas, tf.float32), (-1, 1, 1, 1, 1))

    @tf.function(reduce_retracing=True)
    def answers(images):
        stimuli = (1 - weights) * fields[None, : tf.shape(images)[0]] + weights * images[None]
        answered = tf.argmax(model(tf.reshape(stimuli, (-1, *shape)), training=False), axis=1)
        return tf.reshape(answered, (len(gammas), -1))

    return lambda images, label: np.mean(answers(tf.constant(images)).numpy() == label, axis=1)


# --------------------------------------------------------------------------- other templates


def root_mean_square_images(model, noise, count, seed=0):
    """Root of the mean squared stimulus of each answer, (K, h, w, c); NaN where there is none.

    The published classifier of test images used these; only their contrast within a class matters
    to `match_templates`, as for any other template.
    """
    classes, pixels = model.outputs[0].shape[-1], int(np.prod(noise.shape))

    @tf.function
    def block_sums(block, images):
        stimuli = noise.draw(seed, block, images)
        answered = tf.one_hot(tf.argmax(model(stimuli, training=False), axis=1), classes)
        squares = tf.matmul(answered, tf.square(tf.reshape(stimuli, (-1, pixels))), True)
        return tf.concat([tf.reduce_sum(answered, axis=0)[:, None], squares], axis=1)

    mean = _mean_over_blocks(block_sums, count, BLOCK)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(mean[:, 1:] / mean[:, :1]).reshape(classes, *noise.shape)


# --------------------------------------------------------------------------- backdoors


def backdoor_deviation(images, references, smoothing=0.6, floor=3.0):
    """How far each class's image departs from those of clean networks: (K, h, w).

    Every class image is first taken against the mean of the network's other classes, which removes
    what all of them share, and smoothed. The difference from the mean of the clean networks is
    divided by their standard deviation at that pixel and class; `floor` times the median variance
    is added to the variance, so that pixels where a few clean networks happen to agree do not
    decide.

    Args:
        images: (K, h, w, c), covariances of a network's logits with noise.
        references: (M, K, h, w, c), those of M clean networks; at least 2.
        smoothing: standard deviation of a Gaussian, in pixels.
        floor: from 0 up.

    Raises:
        ValueError: if there are fewer than two references.
    """
    if len(references) < 2:
        raise ValueError("clean networks differ: two at least are needed to know by how much")
    images = against_others(images, smoothing)
    references = np.array([against_others(one, smoothing) for one in references])
    variance = references.var(axis=0, ddof=1)
    return (images - references.mean(axis=0)) / np.sqrt(variance + floor * np.median(variance))


def against_others(images, smoothing):
    """Class images (K, h, w, c) less the mean of the other classes', smoothed: (K, h, w)."""
    images = np.asarray(images, np.float64).mean(axis=3)
    images = images - (images.sum(axis=0) - images) / (len(images) - 1)
    return gaussian_filter(images, (0, smoothing, smoothing))


def backdoor_score(deviation):
    """Return the suspected class and how suspect it is, from `backdoor_deviation`'s result.

    A patch that forces one answer shows as a peak in that class's image; the score is the highest
    peak of all.
    """
    peaks = deviation.reshape(len(deviation), -1).max(axis=1)
    return int(peaks.argmax()), float(peaks.max())


def clean_null(references):
    """Scores of clean networks (M, K, h, w, c), each held against the others: (M,)."""
    rest = [np.delete(references, i, axis=0) for i in range(len(references))]
    pairs = zip(references, rest, strict=True)
    return np.array([backdoor_score(backdoor_deviation(one, others))[1] for one, others in pairs])


def null_p_value(score, null):
    """P(a further clean network scores at least this much), if log scores are normal.

    Student's prediction: t = (log s - mean) / (sd sqrt(1 + 1 / M)) with M - 1 degrees of freedom.
    """
    middle, spread = _prediction(null)
    return stats.t.sf((np.log(score) - middle) / spread, len(null) - 1)


def null_threshold(null, alpha=0.05):
    """Return the score whose `null_p_value` is alpha."""
    middle, spread = _prediction(null)
    return float(np.exp(middle + spread * stats.t.isf(alpha, len(null) - 1)))


def _prediction(null):
    """Mean of the log scores, and standard deviation of a further one about it."""
    null = np.log(null)
    return null.mean(), null.std(ddof=1) * np.sqrt(1 + 1 / len(null))


def auc_interval(clean, poisoned, seed=0, level=0.95, draws=2000):
    """Area under the ROC curve and its bootstrap interval over networks: (auc, low, high)."""
    clean, poisoned = np.asarray(clean), np.asarray(poisoned)
    truth = np.repeat([0, 1], [len(clean), len(poisoned)])
    area = float(roc_auc_score(truth, np.concatenate([clean, poisoned])))
    # the area is the share of pairs in which the poisoned network scores higher
    higher = (poisoned[:, None] > clean) + 0.5 * (poisoned[:, None] == clean)
    rng, areas = np.random.default_rng(seed), []
    for _ in range(draws):
        rows, columns = (rng.integers(n, size=n) for n in higher.shape)
        areas.append(higher[rows][:, columns].mean())
    tail = 50 * (1 - level)
    return area, *np.percentile(areas, [tail, 100 - tail])


def overlap_with(mask, deviation):
    """Share of a patch's pixels (h, w) that are among as many of the most deviant ones."""
    top = np.argsort(deviation.ravel())[::-1][: mask.sum()]
    return float(np.mean(mask.ravel()[top]))
