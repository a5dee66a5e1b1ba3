"""Does a direction found from noise alone change an answer into a chosen other one?

Design: every ordered pair of classes, test images that the network names right. The direction is
the class image of the target minus that of the source, scaled to a share of the image's L2 norm and
added; the sum is clipped to [0, 1]. Class images are logit images of Gaussian noise about grey and
about the mean training image, at the contrast that makes the best templates on the validation
split, and of sparse noise, as dark as the images. They are compared with mean training images,
which need data, with random directions, and with white boxes: the exact class images of Gaussian
noise about grey, each image's own gradient of target minus source logit, and its sign (FGSM,
Goodfellow et al. 2015), all in one step and of the same length. Success: the answer is the target.
Intervals: bootstrap over pairs.
"""

import collections.abc
import dataclasses

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from analysis import predict
from experiments.experiment import Experiment, at_best_contrast, class_means, row_of_mean
from figures import curve, curve_axes
from reverse_correlation import (
    Network,
    SparseNoise,
    WhiteNoise,
    exact_classification_images,
    measure,
)
from reverse_correlation.estimates.intervals import bootstrap_interval
from reverse_correlation.figures.style import SERIES, styled
from training import place

PRINTED_NORMS = (0.3, 0.5, 0.8)  # on the terminal; the results file has them all


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the result depends on."""

    noise_images: int = 100_000  # behind each set of class images
    contrasts: tuple = (0.05, 0.1, 0.2, 0.3)  # about the mean image; the validation split chooses
    contrast_images: int = 10_000  # stimuli shown at each of them
    exact_images: int = 10_000  # whose gradients give the exact class images
    attacked_images: int = 50  # of each class, attacked towards every other class
    norms: tuple = (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)  # of the push / norm of the image


@dataclasses.dataclass(frozen=True)
class Attack:
    """Where images are pushed."""

    label: str  # its name in figure and table
    # function of images (n, h, w, c), their class and the target that returns n directions, or one
    direction: collections.abc.Callable
    white_box: bool = False  # whether it needs the network's gradients


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What an attack achieved."""

    attack: Attack
    rates: np.ndarray  # (pairs, G), shares answered as the target, for each pair of classes
    low: np.ndarray  # (G,), of the interval of their mean
    high: np.ndarray


def run(*, network, train, test, validation, settings, seed, dataset, client, **_):
    """Attack, count, draw: (Rows, figure)."""
    images, labels = test
    right = predict(network, images).argmax(axis=1) == labels
    chosen = [
        images[right & (labels == k)][: settings.attacked_images] for k in range(train[1].max() + 1)
    ]
    outcomes = []
    for attack in attacks(
        network, train, validation, noise_images=settings.noise_images,
        contrasts=settings.contrasts, contrast_images=settings.contrast_images,
        exact_images=settings.exact_images, seed=seed, client=client,
    ):  # fmt: skip
        rates = attack_rates(network, chosen, attack.direction, settings.norms)
        outcomes.append(Outcome(attack, rates, *bootstrap_interval(rates, seed=seed)))
    count, pairs = sum(map(len, chosen)), len(outcomes[0].rates)
    figure = draw(
        settings.norms,
        outcomes,
        f"{place('lenet', dataset)}: attacks towards a chosen class\n"
        f"{count} test images named right, {pairs} pairs of classes; bars: 95 % over pairs;\n"
        f"class images from {settings.noise_images:,} noise images; dashed: white boxes",
    )
    rows = [
        row_of_mean(
            f"attack by {outcome.attack.label}, norm {norm:.1f}: answered as target",
            outcome.rates[:, i],
            f"{pairs} pairs of classes",
            interval=(outcome.low[i], outcome.high[i]),
            detail=norm not in PRINTED_NORMS,
        )
        for outcome in outcomes
        for i, norm in enumerate(settings.norms)
        if norm
    ]
    return rows, figure


def attacks(
    network, train, validation, *, noise_images, contrasts, contrast_images, exact_images, seed,
    client,
):  # fmt: skip
    """Measure what the attacks need, and return them: a list of Attacks."""
    shape = train[0].shape[1:]
    grey, sparse = WhiteNoise(shape=shape, orthogonal=False), SparseNoise(shape=shape)
    about_mean = at_best_contrast(
        Network(network), dataclasses.replace(grey, base=train[0].mean(axis=0)), contrasts,
        validation, images=contrast_images, seed=seed,
    )  # fmt: skip
    measured = {
        "class images about grey": grey,
        f"class images about the mean image, contrast {about_mean.contrast:g}": about_mean,
        "class images, sparse noise": sparse,
    }
    made = []
    for label, noise in measured.items():
        shown = measure(network, noise, noise_images, seed=seed, client=client, progress=False)
        made.append(Attack(label, between(shown.classes["logit"].covariance)))
    exact = exact_classification_images(network, grey, exact_images, seed=seed + 1)
    gradient = own_gradient(network)
    return [
        *made,
        Attack("mean images", between(class_means(*train))),
        Attack("exact class images", between(exact), white_box=True),
        Attack("random", at_random(seed)),
        Attack("own gradient", gradient, white_box=True),
        Attack("FGSM", lambda *which: tf.sign(gradient(*which)), white_box=True),
    ]


def between(maps):
    """Return a direction from one class's map to another's; maps (K, h, w, c)."""
    return lambda images, source, target: maps[target] - maps[source]


def at_random(seed):
    """Return a direction that is a different one for every image."""
    rng = np.random.default_rng(seed)
    return lambda images, source, target: rng.normal(size=images.shape)


def own_gradient(model):
    """Return each image's own gradient of target minus source logit, as a direction."""
    responses = Network.of(model).responses()

    @tf.function(reduce_retracing=True, autograph=False)
    def gradient(images, source, target):
        with tf.GradientTape() as tape:
            tape.watch(images)
            logits = responses(images, training=False)["logits"]
            goal = tf.gather(logits, target, axis=1) - tf.gather(logits, source, axis=1)
        return tape.gradient(goal, images)

    return lambda images, source, target: gradient(images, tf.constant(source), tf.constant(target))


def attack_rates(model, images, direction, norms):
    """Return the share of images pushed from their class to another that are answered as it.

    Each image gets a perturbation of length norm * |image|, and the sum is clipped to [0, 1], so
    that it is an image again (and the perturbation that survives is often shorter).

    Images are (n_k, h, w, c) for each of K classes; direction and norms are as in Attack and
    Settings. Shares are (pairs, G), for each ordered pair of different classes that has images.
    """
    responses, rates = Network.of(model).responses(), []
    shares = tf.reshape(tf.constant(norms, tf.float32), (-1, 1, 1, 1, 1))

    @tf.function(reduce_retracing=True, autograph=False)
    def answers(batch, push):
        def length(x):
            return tf.sqrt(tf.reduce_sum(tf.square(x), axis=(1, 2, 3), keepdims=True))

        push = push * length(batch) / tf.maximum(length(push), 1e-12)
        pushed = tf.clip_by_value(batch[None] + shares * push[None], 0, 1)
        logits = responses(tf.reshape(pushed, (-1, *batch.shape[1:])), training=False)["logits"]
        return tf.reshape(tf.argmax(logits, axis=1), (len(norms), -1))

    for source, of_source in enumerate(images):
        if not len(of_source):
            continue
        batch = tf.constant(of_source, tf.float32)
        for target in range(len(images)):
            if target != source:
                push = np.asarray(direction(batch, source, target), np.float32)
                push = tf.constant(np.broadcast_to(push, batch.shape))
                rates.append(np.mean(answers(batch, push).numpy() == target, axis=1))
    return np.array(rates)


@styled
def draw(norms, outcomes, title):
    """Draw shares answered as the target against the length of the perturbation, with intervals."""
    figure = Figure(figsize=(6.2, 4.6), layout="constrained")
    axis = figure.subplots()
    for outcome, colour in zip(outcomes, SERIES, strict=False):
        attack, middle = outcome.attack, outcome.rates.mean(axis=0)
        style = "--" if attack.white_box else "-"
        curve(axis, norms, middle, outcome.low, outcome.high, colour, attack.label, style)
    curve_axes(
        axis, "L2 norm of the perturbation / norm of the image", "share answered as the target"
    )
    axis.legend(frameon=False)
    figure.suptitle(title)
    return figure


EXPERIMENT = Experiment(Settings(), run)
