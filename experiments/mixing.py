"""How much of a class image must be mixed in before the network answers its class?

Design: (1 - gamma) * background + gamma * class image, where the background is uniform noise or a
test image, and the class image comes from uniform noise alone (by decision or by logit) or is the
mean training image. Each class image is scaled linearly to [0, 1], as published; the logit image
also comes in two levels, 1 where it is positive and 0 elsewhere, the strongest contrast that pixels
allow (better at small gamma on the validation split). Shares are averaged over the targets. All is
repeated with other noise and other test images.
"""

import dataclasses

import numpy as np
from matplotlib.figure import Figure

from experiments.experiment import Experiment, answers_to_mixtures, class_means, row_of_mean
from figures import curve, curve_axes
from reverse_correlation import WhiteNoise, measure
from reverse_correlation.figures.style import SERIES, styled
from training import place

PRINTED_GAMMAS = (0.3, 0.5, 0.7, 0.9)  # on the terminal; the results file has them all
NOISE_BLOCK = 2**40  # of the backgrounds, which no pass of noise reaches

# Borji and Lin, ICLR 2020 (arXiv 1912.12106), and the notebooks with it: the share answered as the
# target, on MNIST, with a network of 20 and 50 filters of 5x5 and 500 hidden units
PUBLISHED_GAMMAS = tuple(g / 10 for g in range(11))
PUBLISHED = {  # by background, and class image of noise or mean training image
    ("noise", "class"): (0.1, 0.113, 0.127, 0.149, 0.174, 0.207, 0.271, 0.429, 0.666, 0.743, 0.9),
    ("image", "class"): (0.1, 0.1, 0.1, 0.1, 0.101, 0.102, 0.105, 0.123, 0.214, 0.587, 0.9),
    ("noise", "mean"): (0.1, 0.127, 0.179, 0.313, 0.618, 0.842, 0.986, 1, 1, 1, 1),
    ("image", "mean"): (0.1, 0.101, 0.103, 0.109, 0.149, 0.28, 0.534, 0.83, 0.994, 1, 1),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the result depends on."""

    repeats: int = 5  # seeds over which an interval is taken
    noise_images: int = 200_000  # behind each set of class images
    gammas: tuple = tuple(g / 10 for g in range(11))  # weights of the class image
    backgrounds: int = 500  # of either sort that each class image is mixed with


@dataclasses.dataclass(frozen=True)
class Curve:
    """Shares answered as the target."""

    background: str  # "noise" or "image"
    template: str  # "decision", "logit", "two-level logit" or "mean"
    shares: np.ndarray  # (repeats, G), means over the targets

    @property
    def published(self):
        """What was published for each gamma, {gamma: share}."""
        shares = PUBLISHED[self.background, "mean" if self.template == "mean" else "class"]
        return dict(zip(PUBLISHED_GAMMAS, shares, strict=True))


def run(*, network, train, test, settings, seed, dataset, client, **_):
    """Mix, ask, draw: (Rows, figure)."""
    means = class_means(*train)
    curves = mixing_curves(
        network, means, test[0], **dataclasses.asdict(settings), seed=seed, client=client
    )
    figure = draw(
        settings.gammas,
        curves,
        f"{place('lenet', dataset)}: share answered as the target when its class image is mixed "
        f"in\nmean over {len(means)} targets, {settings.backgrounds} backgrounds and "
        f"{settings.repeats} seeds (bars: least and most of these)\n"
        f"class images from {settings.noise_images:,} uniform noise images each",
    )
    names = {"noise": "noise", "image": "test image"}
    rows = [
        row_of_mean(
            f"{names[found.background]} + {gamma:.1f} of the {found.template} image: answered as "
            "target",
            shares,
            published=found.published.get(gamma) if dataset == "mnist" else None,
            detail=gamma not in PRINTED_GAMMAS,
        )
        for found in curves
        for gamma, shares in zip(settings.gammas, found.shares.T, strict=True)
    ]
    return rows, figure


def mixing_curves(
    network, means, images, *, repeats, noise_images, gammas, backgrounds, seed, client
):
    """Mix every template with every background, with one seed after the other: Curves.

    Mean training images are (K, h, w, c), test images (n, h, w, c).
    """
    noise, shares = WhiteNoise("uniform", means.shape[1:]), {}
    for repeat in range(repeats):
        measurement = measure(network, noise, noise_images, seed=seed + repeat, client=client)
        logit = measurement.classes["logit"].image
        templates = {
            "decision": measurement.classes["decision"].image,
            "logit": logit,
            "two-level logit": np.where(logit > 0, 1.0, 0.0),
            "mean": means,
        }
        drawn = np.random.default_rng([seed, repeat]).permutation(len(images))
        mixed_with = {
            "noise": noise.draw(seed + repeat, NOISE_BLOCK, backgrounds).numpy(),
            "image": images[drawn[:backgrounds]],
        }
        for background, under in mixed_with.items():
            for template, maps in templates.items():
                rates = mixing_rates(network, under, unit_range(maps), gammas)
                shares.setdefault((background, template), []).append(rates.mean(axis=0))
    return [Curve(*which, np.array(repeats)) for which, repeats in shares.items()]


def mixing_rates(model, backgrounds, templates, gammas):
    """Return the share of mixtures of a background and template k that are answered k: (K, G).

    Every template (K, h, w, c) is mixed with every background; the rates of one that is NaN are 0.
    """
    answers = answers_to_mixtures(model, gammas)
    rates = np.zeros((len(templates), len(gammas)))
    for k, template in enumerate(np.asarray(templates, np.float32)):
        if np.isfinite(template).all():
            rates[k] = np.mean(answers(template, backgrounds) == k, axis=1)
    return rates


def unit_range(templates):
    """Scale each template linearly to [0, 1], as Borji and Lin mix them: (K, h, w, c)."""
    axes = tuple(range(1, np.ndim(templates)))
    low = np.min(templates, axis=axes, keepdims=True)
    return (templates - low) / (np.max(templates, axis=axes, keepdims=True) - low)


@styled
def draw(gammas, curves, title):
    """Draw Curves against the weight of what is mixed in, ours and theirs.

    Bars reach from the least to the most of the repeats.
    """
    figure = Figure(figsize=(7.4, 3.9), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    names = {
        "decision": "decision image",
        "logit": "logit image",
        "mean": "mean training image",
        "two-level logit": "logit image, two levels",
    }
    colours = dict(zip(names, SERIES, strict=False))
    for axis, background in zip(axes, ("noise", "image"), strict=True):
        by_template = {found.template: found for found in curves if found.background == background}
        for template, name in names.items():
            shares = by_template[template].shares
            ends = shares.min(axis=0), shares.max(axis=0)
            curve(axis, gammas, shares.mean(axis=0), *ends, colours[template], f"{name}, ours")
        for template, name in (("decision", "decision image"), ("mean", "mean digit")):
            published = by_template[template].published
            axis.plot(
                published.keys(), published.values(), "--", color=colours[template], linewidth=1,
                label=f"{name}, published (MNIST)",
            )  # fmt: skip
        under = {"noise": "uniform noise", "image": "test image"}[background]
        curve_axes(axis, f"weight of the class image (the rest: {under})", "")
    axes[0].set_ylabel("share answered as the target")
    figure.suptitle(title)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


EXPERIMENT = Experiment(Settings(), run)
