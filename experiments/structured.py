"""Which noise gives class images that classify best by themselves?

Design: white noise about grey, uniform as published and Gaussian; coarse, pink and sinusoid-patch
noise about grey; all four (the white Gaussian) about the mean training image; and Gabor-PCA noise
fitted to training images, whose class images are taken as they come and multiplied by the
regularised inverse of its covariance. The same number of stimuli of each, in pairs. Of all there
are decision, choice and logit images, of pink noise the weights too, and of uniform noise the
published root-mean-square images. Each set classifies the test images by itself. Contrasts about
the mean image and the ridge of the inverse are chosen on the validation split, with the first seed.
All is repeated with other noise.
"""

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from data import CLASS_NAMES
from experiments.experiment import (
    Experiment,
    at_best_contrast,
    row_of_mean,
    share_right,
    sums_over_blocks,
)
from reverse_correlation import (
    CoarseNoise,
    GaborNoise,
    Network,
    PinkNoise,
    SinusoidNoise,
    WhiteNoise,
    measure,
)
from reverse_correlation.figures.style import empty, grid, picture, scale, show_signed, styled
from training import place

PUBLISHED = {"mnist": 0.3555, "fashion_mnist": 0.4121}  # test set; training set
RESPONSES = ("decision", "choice", "logit")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the result depends on."""

    repeats: int = 3  # seeds over which an interval is taken
    noise_images: int = 20_000  # behind each set of class images
    contrasts: tuple = (0.05, 0.1, 0.2, 0.3)  # about the mean image; the validation split chooses
    contrast_images: int = 10_000  # stimuli shown at each of them
    fit_images: int = 5_000  # training images to which the Gabor-PCA noise is fitted, as published
    components: int = 250  # of it, as published
    alpha: float = 0.1
    ridges: tuple = (0.003, 0.01, 0.03, 0.1, 0.3, 1, 3)  # shares of the mean eigenvalue


@dataclasses.dataclass(frozen=True)
class TemplateSet:
    """Class images of one sort, and how well they classify test images."""

    noise: str  # in words, such as "pink about grey"
    response: str  # "decision", "choice", "logit", "logit, as weights" or "root mean square"
    images: np.ndarray  # (K, h, w, c), of the first seed; NaN for a class that was never answered
    shares: tuple  # right, one for each seed
    ridge: float | None = None  # of the whitening, or None


def run(*, network, train, test, validation, settings, seed, dataset, client, **_):
    """Measure, classify, draw: (Rows, figure)."""
    network = Network(network)
    shown = ensembles(
        network, train[0], validation, contrasts=settings.contrasts,
        contrast_images=settings.contrast_images, fit_images=settings.fit_images,
        components=settings.components, alpha=settings.alpha, seed=seed,
    )  # fmt: skip
    sets = template_sets(
        network, shown, test, validation, repeats=settings.repeats,
        noise_images=settings.noise_images, ridges=settings.ridges, seed=seed, client=client,
    )  # fmt: skip
    figure = draw(
        [templates for templates in sets if templates.response.startswith(("logit", "root"))],
        CLASS_NAMES[dataset],
        f"{place('lenet', dataset)}: class images from {settings.noise_images:,} noise images "
        f"each,\nand the share of {len(test[1]):,} test images that they classify right by "
        f"themselves (mean of {settings.repeats} seeds)",
    )
    rows = []
    for templates in sets:
        what = f"class images ({templates.noise}, {templates.response})"
        if templates.ridge is not None:
            what += f", ridge {templates.ridge}"
        published = PUBLISHED[dataset] if templates.noise == "white, uniform" else None
        rows.append(row_of_mean(what, templates.shares, published=published))
    return rows, figure


def ensembles(
    network, images, validation, *, contrasts, contrast_images, fit_images, components, alpha, seed
):
    """Return what the network is shown, {name: ensemble}, made of training images (n, h, w, c)."""
    shape, mean = images.shape[1:], images.mean(axis=0)
    makers = {
        "white": WhiteNoise,
        "coarse": functools.partial(CoarseNoise, cells=2),
        "pink": PinkNoise,
        "sinusoid": SinusoidNoise,
    }
    makers = {name: functools.partial(make, orthogonal=False) for name, make in makers.items()}
    shown = {"white, uniform": WhiteNoise("uniform", shape)}
    shown |= {name: make(shape=shape) for name, make in makers.items()}
    for name, make in makers.items():
        noise = at_best_contrast(
            network, make(shape=shape, base=mean), contrasts, validation,
            images=contrast_images, seed=seed,
        )  # fmt: skip
        shown[f"{name} about the mean image, contrast {noise.contrast:g}"] = noise
    return {**shown, "Gabor-PCA": GaborNoise.fit(images[:fit_images], components, alpha)}


def template_sets(network, shown, test, validation, *, repeats, noise_images, ridges, seed, client):
    """Measure every sort of class images with one seed after the other: a list of TemplateSets."""
    chosen, found = {}, []
    for own in range(seed, seed + repeats):
        images = {}
        for name, noise in shown.items():
            measured = class_images(network, noise, noise_images, own, client)
            images |= {(name, response): maps for response, maps in measured.items()}
        gabor = shown["Gabor-PCA"]
        for response in RESPONSES:
            coloured = images["Gabor-PCA", response]
            if not np.isfinite(coloured).any():
                continue
            if response not in chosen:
                chosen[response] = best_ridge(gabor, coloured, *validation, ridges)
            images["Gabor-PCA whitened", response] = gabor.whiten(coloured, chosen[response])
        images["white, uniform", "root mean square"] = root_mean_square_images(
            network.graph, shown["white, uniform"], noise_images, own
        )
        found.append(images)
    return [
        TemplateSet(
            noise,
            response,
            first,
            tuple(share_right(images[noise, response], *test) for images in found),
            chosen.get(response) if noise == "Gabor-PCA whitened" else None,
        )
        for (noise, response), first in found[0].items()
        if all((noise, response) in images for images in found)
    ]


def class_images(network, noise, count, seed, client):
    """Measure class images of an ensemble: {response: (K, h, w, c)}."""
    classes = measure(network, noise, count, seed=seed, client=client, progress=False).classes
    images = {response: classes[response].image for response in RESPONSES}
    if classes["logit"].weights is not None and not noise.is_white:
        images["logit, as weights"] = classes["logit"].weights
    return images


def best_ridge(noise, images, x_validation, y_validation, ridges):
    """Return the ridge whose whitened class images classify the validation split best."""
    return max(
        ridges,
        key=lambda ridge: share_right(noise.whiten(images, ridge), x_validation, y_validation),
    )


def root_mean_square_images(model, noise, count, seed=0):
    """Return the root mean square of the stimuli of each answer: (K, h, w, c), or NaN for none.

    The published classifier of test images used these.
    """
    classes, pixels = model.outputs[0].shape[-1], int(np.prod(noise.shape))

    @tf.function(autograph=False)
    def block_sums(block, images):
        stimuli = noise.draw(seed, block, images)
        answered = tf.one_hot(tf.argmax(model(stimuli, training=False), axis=1), classes)
        squares = tf.matmul(answered, tf.square(tf.reshape(stimuli, (-1, pixels))), True)
        return tf.reduce_sum(answered, axis=0)[:, None], squares

    counts, squares = sums_over_blocks(block_sums, count)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(squares / counts).reshape(classes, *noise.shape)


@styled
def draw(sets, names, title):
    """Draw a row for each TemplateSet, images in units of their largest deviation from the mean."""
    columns = len(names)
    figure, axes = grid(len(sets), columns, columns + 1.2, 1.08 * len(sets) + 0.8, title)
    shown = None
    for line, templates in zip(axes, sets, strict=True):
        note = f"{np.mean(templates.shares):.1%} right"
        label = templates.noise.replace(" about", "\nabout").replace(", contrast", "\ncontrast")
        line[0].set_ylabel(f"{label}\n{templates.response}\n{note}", fontsize=6)
        for axis, values in zip(line, picture(templates.images), strict=True):
            if np.isnan(values).all():
                empty(axis, values.shape, "never\nanswered")
            else:
                shown = show_signed(axis, values - values.mean())
    for axis, name in zip(axes[0], names, strict=True):
        axis.set_title(name, pad=3)
    scale(figure, shown, axes, "deviation from the mean / its largest absolute value", shrink=0.8)
    return figure


EXPERIMENT = Experiment(Settings(), run)
