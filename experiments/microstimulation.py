"""Does driving or silencing what a class drives move the point where the class is seen?

Design: +-k times the class's mean activity (of each filter, averaged over training images and
positions) is added to the layer's biases, and so before its nonlinearity, and the class's test
images are shown in uniform noise at weights gamma from 0 to 1. The psychometric curve is the share
answered as the class; its 50 % point is read off, and its shift against k = 0. The dose is in the
same unit in every layer. The published doses were not; the largest of each layer is applied too.
Intervals: bootstrap over classes. A curve that never reaches 50 % counts as gamma = 1, the least
shift it can have.
"""

import contextlib
import dataclasses

import keras
import matplotlib
import numpy as np
from matplotlib.figure import Figure

from analysis import predict
from experiments.experiment import Experiment, answers_to_mixtures, row_of_mean
from figures import curve, curve_axes
from reverse_correlation import WhiteNoise
from reverse_correlation.estimates.intervals import bootstrap_interval
from reverse_correlation.figures.style import SERIES, styled
from reverse_correlation.progress import progress_bar
from training import place


@dataclasses.dataclass(frozen=True)
class PublishedDose:
    """What Borji and Lin, ICLR 2020, applied to a layer, and the shift that they report."""

    share: float  # the largest, of the class's mean activity
    over_largest: bool  # whether that activity is first divided by its largest among the units
    shift: str  # in words


PUBLISHED = {
    "conv1": PublishedDose(1.0, over_largest=True, shift="hardly any"),
    "conv2": PublishedDose(10.0, over_largest=True, shift="far right"),
    "dense1": PublishedDose(0.1, over_largest=False, shift="modest"),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the result depends on."""

    layers: tuple = ("conv1", "conv2", "dense1")  # stimulated one at a time
    doses: tuple = (-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0)  # of mean activity, 0 among them
    gammas: tuple = tuple(g / 20 for g in range(21))  # weights of the image in noise
    images: int = 100  # of each class


@dataclasses.dataclass(frozen=True)
class LayerResult:
    """What stimulating one layer did; the last of the J + 1 doses is the published one."""

    layer: str
    curves: np.ndarray  # (J + 1, K, G), shares answered as the class
    shifts: np.ndarray  # (J + 1, K), of the 50 % point against dose 0
    low: np.ndarray  # (J + 1,), of the interval of their mean over classes
    high: np.ndarray


def run(*, network, train, test, settings, seed, dataset, **_):
    """Stimulate, ask, draw: (Rows, figure)."""
    curves = stimulated_curves(network, train, test, **dataclasses.asdict(settings), seed=seed)
    middles = np.apply_along_axis(lambda c: crossing(settings.gammas, c), 3, curves)
    unstimulated = settings.doses.index(0)
    shifts = middles - middles[:, [unstimulated]]
    results = [
        LayerResult(layer, *parts, *bootstrap_interval(parts[1].T, seed=seed))
        for layer, *parts in zip(settings.layers, curves, shifts, strict=True)
    ]
    classes = curves.shape[2]
    figure = draw(
        settings.gammas,
        settings.doses,
        results,
        f"{place('lenet', dataset)}: a dose of a class's mean activity is added to a layer\n"
        f"mean over {classes} classes, {settings.images} images each; "
        "bars: 95 % by bootstrap over classes",
    )
    doses = [f"dose {dose:+.2f}" for dose in settings.doses]
    rows = []
    for result in results:
        published = f"published dose (theirs: {PUBLISHED[result.layer].shift})"
        for j, dose in enumerate([*doses, published]):
            if j != unstimulated:
                what = f"{result.layer}, {dose}: shift of the 50 % point"
                interval = result.low[j], result.high[j]
                over = f"{classes} classes"
                rows.append(row_of_mean(what, result.shifts[j], over, interval=interval))
    return rows, figure


def stimulated_curves(network, train, test, *, layers, doses, gammas, images, seed):
    """Measure psychometric curves under every dose of every layer: (layers, J + 1, K, G)."""
    (x_train, y_train), (x_test, y_test) = train, test
    fields = WhiteNoise("uniform", x_test.shape[1:]).draw(seed, 0, images)
    share_seen = psychometric_function(network, fields, gammas)
    classes, points = y_train.max() + 1, len(gammas)
    curves = np.zeros((len(layers), len(doses) + 1, classes, points))
    with progress_bar(curves.size * images, "stimulated network") as bar:
        for k in range(classes):
            shown = x_test[y_test == k][:images]
            for i, layer in enumerate(layers):
                activity = mean_activity(network, layer, x_train[y_train == k])
                for j, current in enumerate(currents(layer, activity, doses)):
                    with stimulated(network, layer, current):
                        curves[i, j, k] = share_seen(shown, k)
                    bar.update(len(shown) * points)
    return curves


def currents(layer, activity, doses):
    """Return what each of J doses, and last the published one, adds to the units' inputs.

    A class's mean activity is (units,), the result (J + 1, units).
    """
    published = PUBLISHED[layer]
    unit = max(activity.max(), 1e-12) if published.over_largest else 1
    return [*(dose * activity for dose in doses), -published.share * activity / unit]


def mean_activity(model, layer, images):
    """Return the mean activity of each unit of a layer, or of each filter over positions."""
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
    """Return f(images, label), the shares of mixtures with noise that are answered `label`: (G,).

    There is a noise field (n, h, w, c) for each of the images; see `answers_to_mixtures`.
    """
    answers = answers_to_mixtures(model, gammas)
    return lambda images, label: np.mean(answers(images, fields[: len(images)]) == label, axis=1)


def crossing(gammas, rates, level=0.5):
    """Return the first gamma at which a curve (G,) reaches `level`; the last one if it never does.

    Gammas increase; between two points the curve is a straight line.
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


@styled
def draw(gammas, doses, results, title):
    """Draw a panel of curves for each LayerResult, one for each dose, and the shifts of all layers.

    The curve of the published dose is dotted, its shift is not drawn.
    """
    figure = Figure(figsize=(9.6, 3.7), layout="constrained")
    *axes, last = figure.subplots(1, len(results) + 1)
    tones = matplotlib.colormaps["coolwarm"]((np.array(doses) / max(map(abs, doses)) + 1) / 2)
    tones[np.array(doses) == 0] = (0, 0, 0, 1)
    for axis, result in zip(axes, results, strict=True):
        rates = result.curves.mean(axis=1)  # (J + 1, G)
        axis.plot(gammas, rates[-1], "k:", linewidth=1.4, label="as published")
        for dose, tone, rate in zip(doses, tones, rates, strict=False):
            axis.plot(gammas, rate, color=tone, linewidth=1.1, label=f"{dose:+g}" if dose else "0")
        axis.axhline(0.5, color="0.7", linewidth=0.5, linestyle=":")
        curve_axes(axis, "weight of the image in noise", "", result.layer)
    axes[0].set_ylabel("share answered as the class")
    labels = axes[0].get_legend_handles_labels()
    figure.legend(*labels, title="dose", loc="outside lower left", ncols=len(doses) + 1)
    for result, colour in zip(results, SERIES, strict=False):
        middle = result.shifts.mean(axis=1)
        ends = result.low[:-1], result.high[:-1]
        curve(last, doses, middle[:-1], *ends, colour, result.layer)
    last.axhline(0, color="0.7", linewidth=0.5)
    curve_axes(last, "dose / class's mean activity", "shift of the 50 % point", "all layers")
    last.autoscale(axis="y")
    last.legend(frameon=False, fontsize=6.5)
    figure.suptitle(title)
    return figure


EXPERIMENT = Experiment(Settings(), run)
