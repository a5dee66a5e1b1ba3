"""Do class images from structured noise classify better than those from white noise?

Design: Gabor-PCA noise fitted to training images, and uniform white noise; as many stimuli of each;
decision and logit images, from Gabor-PCA noise both as they come and multiplied by the regularised
inverse of its covariance; and the published root-mean-square images. Each set classifies the test
images alone. The ridge of the inverse is chosen on the validation split, for each set, with the
first seed; repeated with other noise.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from analysis import match_templates
from data import CLASS_NAMES
from experiments.experiment import Experiment, place, row_of_mean
from figures import empty, grid, picture, scale, show_signed, styled
from reverse_correlation import GaborNoise, WhiteNoise, measure
from reverse_correlation.exact import mean_over_blocks
from reverse_correlation.networks import BLOCK_IMAGES

# Borji and Lin, ICLR 2020: share right with class images of white noise
PUBLISHED = {"mnist": 0.3555, "fashion_mnist": 0.4121}  # of the test set; of the training set
RIDGE_OF_NOTHING = 1  # where one answer to everything leaves no images to choose by


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the result depends on.

    Attributes:
        repeats: seeds over which an interval is taken.
        noise_images: behind each set of class images.
        fit_images: training images that the Gabor-PCA noise is fitted to, as published.
        components, alpha: of that noise, as published.
        ridges: of the whitening, of which validation chooses.
    """

    repeats: int = 5
    noise_images: int = 200_000
    fit_images: int = 5_000
    components: int = 250
    alpha: float = 0.1
    ridges: tuple = (0.003, 0.01, 0.03, 0.1, 0.3, 1, 3)


@dataclasses.dataclass(frozen=True)
class TemplateSet:
    """Class images of one sort, and how well they classify test images.

    Attributes:
        noise: "white", "Gabor-PCA" or "Gabor-PCA whitened".
        response: "decision", "logit" or "root mean square".
        images: (K, h, w, c), of the first seed; NaN for a class that was never answered.
        shares: right, one for each seed.
        ridge: of the whitening, or None.
    """

    noise: str
    response: str
    images: np.ndarray
    shares: tuple
    ridge: float | None = None


def run(*, network, train, test, validation, settings, seed, dataset, client, **_):
    """Measure, classify, draw: (Rows, figure)."""
    gabor = GaborNoise.fit(train[0][: settings.fit_images], settings.components, settings.alpha)
    sets = template_sets(network, gabor, test, validation, settings, seed, client)
    figure = draw(
        sets,
        CLASS_NAMES[dataset],
        f"{place(dataset)}: class images from {settings.noise_images:,} white or Gabor-PCA noise "
        f"images,\nand the share of {len(test[1]):,} test images that they classify right by "
        f"themselves (mean of {settings.repeats} seeds)",
    )
    rows = []
    for each in sets:
        what = f"class images ({each.noise}, {each.response}) as classifier"
        if each.ridge is not None:
            what += f", ridge {each.ridge}"
        published = PUBLISHED[dataset] if each.noise == "white" else None
        rows.append(row_of_mean(what, published, each.shares))
    return rows, figure


def template_sets(network, gabor, test, validation, settings, seed, client):
    """Measure every sort of class images with one seed after the other: a list of TemplateSets."""
    ridges, repeats = {}, []
    for repeat in range(settings.repeats):
        images = class_images(network, gabor, settings.noise_images, seed + repeat, client)
        for response in ("decision", "logit"):
            coloured = images["Gabor-PCA", response]
            if response not in ridges and np.isfinite(coloured).any():
                ridges[response] = best_ridge(gabor, coloured, *validation, settings.ridges)
            ridge = ridges.get(response, RIDGE_OF_NOTHING)
            images["Gabor-PCA whitened", response] = gabor.whiten(coloured, ridge)
        images["white", "root mean square"] = root_mean_square_images(
            network, WhiteNoise("uniform", gabor.shape), settings.noise_images, seed + repeat
        )
        repeats.append(images)
    return [
        TemplateSet(
            noise,
            response,
            first,
            tuple(share_right(images[noise, response], *test) for images in repeats),
            ridges.get(response) if noise == "Gabor-PCA whitened" else None,
        )
        for (noise, response), first in repeats[0].items()
    ]


def class_images(network, gabor, count, seed, client):
    """Measure class images of white and of Gabor-PCA noise: {(noise, response): (K, h, w, c)}."""
    images = {}
    for name, noise in (("white", WhiteNoise("uniform", gabor.shape)), ("Gabor-PCA", gabor)):
        measurement = measure(network, noise, count, seed=seed, client=client)
        for response in ("decision", "logit"):
            images[name, response] = measurement.classes[response].image
    return images


def best_ridge(noise, images, x_validation, y_validation, ridges):
    """Return the ridge whose whitened class images classify the validation split best."""
    return max(
        ridges,
        key=lambda ridge: share_right(noise.whiten(images, ridge), x_validation, y_validation),
    )


def share_right(templates, images, labels):
    """Return the share of images that templates classify right; 0 if no template exists."""
    if not np.isfinite(templates).any():  # with one answer to everything, no decision images
        return 0.0
    return float(np.mean(match_templates(templates, images) == labels))


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

    mean = mean_over_blocks(block_sums, count, BLOCK_IMAGES)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(mean[:, 1:] / mean[:, :1]).reshape(classes, *noise.shape)


@styled
def draw(sets, names, title):
    """Draw rows of class images, each in units of its own largest deviation from its mean.

    Args:
        sets: TemplateSets.
        names: of the classes.
    """
    columns = len(names)
    figure, axes = grid(len(sets), columns, columns + 1.2, 1.08 * len(sets) + 0.8, title)
    shown = None
    for line, each in zip(axes, sets, strict=True):
        note = f"{np.mean(each.shares):.1%} right"
        line[0].set_ylabel(f"{each.noise}\n{each.response}\n{note}", fontsize=7)
        for axis, values in zip(line, picture(each.images), strict=True):
            if np.isnan(values).all():
                empty(axis, values.shape, "never\nanswered")
            else:
                shown = show_signed(axis, values - values.mean())
    for axis, name in zip(axes[0], names, strict=True):
        axis.set_title(name, pad=3)
    scale(figure, shown, axes, "deviation from the mean / its largest absolute value", shrink=0.8)
    return figure


EXPERIMENT = Experiment(Settings(), run)
