"""What the experiments share: how one is described, the rows of its result, and their helpers."""

import collections.abc
import dataclasses

import numpy as np
import tensorflow as tf

from analysis import contrast_for_templates, generate_classification_images, match_templates
from noise import mixture
from reverse_correlation.estimates.intervals import student_interval
from reverse_correlation.observers.observer import BLOCK_IMAGES


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A question, as `paper.py` runs it.

    Attributes:
        settings: a frozen dataclass whose fields are what the result depends on, and nothing else.
        run: a function of named parameters that returns a list of Rows and a matplotlib figure. It
            is called with network (a Keras model), train, test and validation (each images and
            labels), settings, seed, dataset, client (of a Dask cluster, or None) and folder (for
            files of its own); it ignores what it does not need.
        asked: function of (network, train) that returns the network on whose layers and weights
            the result depends; by default the one that `run` gets.
        large: settings of a run that takes hours, for `--large`; None if there is but one size.
    """

    settings: object
    run: collections.abc.Callable
    asked: collections.abc.Callable = lambda network, train: network
    large: object = None


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str  # in words
    ours: float  # the number found here
    interval: tuple | None = None  # its 95 % interval, (low, high), or None
    over: str = ""  # what the interval is over
    published: float | None = None  # the number in the paper, or None if it has none
    detail: bool = False  # whether the row is in the results file only, and not on the terminal


def row_of_mean(what, values, over="", *, interval=None, published=None, detail=False):
    """Return the Row of a mean, by default of shares over seeds, with Student's interval."""
    low, high = interval or student_interval(values)
    over = over or f"{len(values)} seeds"
    interval = float(low), float(high)
    return Row(what, float(np.mean(values)), interval, over, published, detail)


def class_means(images, labels):
    """Return the mean image of each class: (K, h, w, c)."""
    classes = range(labels.max() + 1)
    return np.stack([generate_classification_images(images, labels, k) for k in classes])


def share_right(templates, images, labels):
    """Return the share of images that templates classify right; 0 if no template exists."""
    if not np.isfinite(templates).any():  # with one answer to everything, no decision images
        return 0.0
    return float(np.mean(match_templates(templates, images) == labels))


def at_best_contrast(observer, noise, contrasts, validation, *, images, seed):
    """Return an ensemble at the best of some contrasts; see `contrast_for_templates`."""
    contrast, _ = contrast_for_templates(
        observer, noise, contrasts, validation, images=images, seed=seed
    )
    return dataclasses.replace(noise, contrast=contrast)


def answers_to_mixtures(model, gammas):
    """Return f(signals, backgrounds): the answers to each mixture of the two, (G, n).

    The mixtures are (1 - gamma) * background + gamma * signal. Backgrounds are (n, h, w, c), and
    signals too, or a single one (h, w, c). Between two calls of f the model's weights may change.
    """
    weights = tf.reshape(tf.constant(gammas, tf.float32), (-1, 1, 1, 1, 1))

    @tf.function(reduce_retracing=True, autograph=False)
    def answers(signals, backgrounds):
        stimuli = mixture(signals, backgrounds, weights, 1 - weights)  # (G, n, h, w, c)
        stimuli = tf.reshape(stimuli, (-1, *backgrounds.shape[1:]))
        answered = tf.argmax(model(stimuli, training=False), axis=1)
        return tf.reshape(answered, (len(gammas), -1))

    def answers_of(signals, backgrounds):
        both = (tf.convert_to_tensor(images, tf.float32) for images in (signals, backgrounds))
        return answers(*both).numpy()

    return answers_of


def sums_over_blocks(block_sums, count):
    """Add up, in float64, the tensors that a compiled function of (block, images) returns: a list.

    `count` stimuli are shown, in blocks of BLOCK_IMAGES.
    """
    total = None
    for first in range(0, count, BLOCK_IMAGES):
        images = min(BLOCK_IMAGES, count - first)
        sums = block_sums(tf.constant(first // BLOCK_IMAGES), tf.constant(images))
        sums = [part.numpy().astype(np.float64) for part in sums]
        total = [*map(np.add, total, sums)] if total else sums
    return total
