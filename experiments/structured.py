"""Which noise gives class images that classify best by themselves?

Design: white noise about grey, uniform as published and Gaussian; white, pink and sinusoid-patch
noise about the mean training image; coarse, pink and sinusoid-patch noise about grey; and Gabor-PCA
noise fitted to training images, as it comes and multiplied by the regularised inverse of its
covariance. As many stimuli of each, in pairs; decision, choice and logit images, of pink noise also
the weights; and the published root-mean-square images. Each set classifies the test images alone.
Contrasts about the mean image and the ridge of the inverse are chosen on the validation split, with
the first seed; repeated with other noise.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from analysis import contrast_for_templates
from data import CLASS_NAMES
from experiments.experiment import Experiment, place, row_of_mean, share_right
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

PUBLISHED = {"mnist": 0.3555, "fashion_mnist": 0.4121}  # test set; training set
BLOCK_IMAGES = 1000  # stimuli shown at once for root-mean-square images
RESPONSES = ("decision", "choice", "logit")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the result depends on.

    Attributes:
        repeats: seeds over which an interval is taken.
        noise_images: behind each set of class images.
        contrasts: of noise about the mean training image; the validation split chooses.
        contrast_images: stimuli shown at each of them.
        fit_images: training images that the Gabor-PCA noise is fitted to, as published.
        components, alpha: of the Gabor-PCA noise, as published.
        ridges: of the whitening, as shares of the mean eigenvalue; the validation split chooses.
    """

    repeats: int = 3
    noise_images: int = 20_000
    contrasts: tuple = (0.05, 0.1, 0.2, 0.3)
    contrast_images: int = 10_000
    fit_images: int = 5_000
    components: int = 250
    alpha: float = 0.1
    ridges: tuple = (0.003, 0.01, 0.03, 0.1, 0.3, 1, 3)


@dataclasses.dataclass(frozen=True)
class TemplateSet:
    """Class images of one sort, and how well they classify test images.

    Attributes:
        noise: in words, such as "pink about grey".
        response: "decision", "choice", "logit", "logit, as weights" or "root mean square".
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
    network = Network(network)
    shown = ensembles(network, train[0], validation, settings, seed)
    sets = template_sets(network, shown, test, validation, settings, seed, client)
    figure = draw(
        [each for each in sets if each.response.startswith(("logit", "root"))],
        CLASS_NAMES[dataset],
        f"{place(dataset)}: class images from {settings.noise_images:,} noise images each,\n"
        f"and the share of {len(test[1]):,} test images that they classify right by themselves "
        f"(mean of {settings.repeats} seeds)",
    )
    rows = []
    for each in sets:
        what = f"class images ({each.noise}, {each.response})"
        if each.ridge is not None:
            what += f", ridge {each.ridge}"
        published = PUBLISHED[dataset] if each.noise == "white, uniform" else None
        rows.append(row_of_mean(what, published, each.shares))
    return rows, figure


def ensembles(network, images, validation, settings, seed):
    """Return what the network is shown: {name: ensemble}."""
    shape, mean = images.shape[1:], images.mean(axis=0)
    shown = {
        "white, uniform": WhiteNoise("uniform", shape),
        "white": WhiteNoise(shape=shape),
        "coarse": CoarseNoise(shape, cells=2),
        "pink": PinkNoise(shape),
        "sinusoid": SinusoidNoise(shape),
    }
    about_mean = {
        "white": WhiteNoise(shape=shape, base=mean),
        "coarse": CoarseNoise(shape, base=mean, cells=2),
        "pink": PinkNoise(shape, base=mean),
        "sinusoid": SinusoidNoise(shape, base=mean),
    }
    for name, noise in about_mean.items():
        contrast, _ = contrast_for_templates(
            network,
            noise,
            settings.contrasts,
            validation,
            images=settings.contrast_images,
            seed=seed,
        )
        title = f"{name} about the mean image, contrast {contrast:g}"
        shown[title] = dataclasses.replace(noise, contrast=contrast)
    gabor = GaborNoise.fit(images[: settings.fit_images], settings.components, settings.alpha)
    return {**shown, "Gabor-PCA": gabor}


def template_sets(network, shown, test, validation, settings, seed, client):
    """Measure every sort of class images with one seed after the other: a list of TemplateSets."""
    ridges, repeats = {}, []
    for repeat in range(settings.repeats):
        images = {}
        for name, noise in shown.items():
            measured = class_images(network, noise, settings.noise_images, seed + repeat, client)
            images |= {(name, response): maps for response, maps in measured.items()}
        gabor = shown["Gabor-PCA"]
        for response in RESPONSES:
            coloured = images["Gabor-PCA", response]
            if not np.isfinite(coloured).any():
                continue
            if response not in ridges:
                ridges[response] = best_ridge(gabor, coloured, *validation, settings.ridges)
            images["Gabor-PCA whitened", response] = gabor.whiten(coloured, ridges[response])
        images["white, uniform", "root mean square"] = root_mean_square_images(
            network.graph, shown["white, uniform"], settings.noise_images, seed + repeat
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
        if all((noise, response) in images for images in repeats)
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

    sums = 0.0
    for block in range(-(-count // BLOCK_IMAGES)):
        images = min(BLOCK_IMAGES, count - block * BLOCK_IMAGES)
        sums += block_sums(tf.constant(block), tf.constant(images)).numpy().astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(sums[:, 1:] / sums[:, :1]).reshape(classes, *noise.shape)


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
        label = each.noise.replace(" about", "\nabout").replace(", contrast", "\ncontrast")
        line[0].set_ylabel(f"{label}\n{each.response}\n{note}", fontsize=6)
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
