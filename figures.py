"""The panels of Parts 3 to 5: arrays and findings in, PNG files out; no computing here."""

import numpy as np
import seaborn
from matplotlib.figure import Figure

from data import CLASS_NAMES
from reverse_correlation.figures.class_images import commonest, draw_bias
from reverse_correlation.figures.filters import draw_receptive_fields
from reverse_correlation.figures.panels import draw_activation_maps, draw_noise_activity, panels
from reverse_correlation.figures.style import PICTURE, SHARE, save, scale, styled
from reverse_correlation.figures.templates import draw_templates
from training import DATASET_TITLES, NETWORKS, place

# --------------------------------------------------------------------------- Part 3
# Each function draws one figure of the experiment, names it, saves it, and returns its path.


def plot_class_averages(averages, labels, signal, noise, dataset, folder):
    """Draw the average of the noisy test images of each true class.

    Args:
        averages: {class: (h, w, c)}; a class without images has an empty panel.
        labels: (n,) of the images.
        signal, noise: their weight, and that of uniform noise.
        dataset: "mnist" or "fashion_mnist".
        folder: of the figure.
    """
    names, shape = CLASS_NAMES[dataset], next(iter(averages.values())).shape
    maps = np.full((len(names), *shape), np.nan, np.float32)
    for n, average in averages.items():
        maps[n] = average
    figure = panels(
        maps,
        names,
        [f"n = {np.sum(labels == n)}" for n in range(len(names))],
        f"Mean of {len(labels):,} {DATASET_TITLES[dataset]} test images at {signal:.0%} signal and "
        f"{noise:.0%} uniform noise, by true class",
        "mean pixel value",
        cmap=PICTURE,
    )
    return save(figure, folder / f"classification_{dataset}.png")


def plot_confusion_matrix(answers, classes, name, dataset, folder):
    """Draw what a network takes the average of each class for.

    Args:
        answers: (n, K), probabilities.
        classes: (n,), whose averages it was shown.
        name: of the network.
        dataset, folder: as for `plot_class_averages`.
    """
    names, entry = CLASS_NAMES[dataset], NETWORKS[name]
    probabilities = np.full((len(names), len(names)), np.nan)
    probabilities[classes] = answers
    figure = confusion_matrix(
        {"": probabilities},
        names,
        f"{entry.title} shown the mean noisy image of each class: "
        f"{np.sum(answers.argmax(axis=1) == classes)} of {len(classes)} right",
        "probability of the answer",
    )
    return save(figure, folder / f"cm_{entry.part3}_{dataset}.png")


def plot_classification_images(shown, name, dataset, folder):
    """Draw the class images of each ensemble that a network was shown.

    Args:
        shown: a Shown of each.
        name, dataset, folder: as for `plot_confusion_matrix`.
    """
    figure = draw_bias(shown, CLASS_NAMES[dataset], place(name, dataset))
    return save(figure, folder / f"bias_{NETWORKS[name].part3}_{dataset}.png")


def plot_templates(shown, count, name, dataset, folder):
    """Draw how class images classify `count` test images by themselves."""
    figure = draw_templates(shown, CLASS_NAMES[dataset], place(name, dataset), count)
    return save(figure, folder / f"template_{NETWORKS[name].part3}_{dataset}.png")


@styled
def confusion_matrix(shares, names, title, label):
    """One or more matrices side by side: rows the ground truth, columns the prediction.

    Args:
        shares: {subtitle: (K, K) in [0, 1]}; one matrix has no subtitle, "".
        names: of the classes.
        label: of the colour bar.
    """
    long = max(map(len, names)) > 2
    figure = Figure(figsize=(0.6 + 4.9 * len(shares), 5.2 if long else 4.7), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.1, rect=(0, 0.03, 1, 0.97) if long else (0, 0, 1, 1))
    axes = figure.subplots(1, len(shares), squeeze=False)[0]
    for axis, (subtitle, matrix) in zip(axes, shares.items(), strict=True):
        text = [[f"{v:.2f}".removeprefix("0") if v >= 0.005 else "" for v in r] for r in matrix]
        seaborn.heatmap(
            matrix,
            ax=axis,
            annot=text,
            fmt="",
            annot_kws={"fontsize": 6.5},
            cmap=SHARE,
            vmin=0,
            vmax=1,
            square=True,
            cbar=False,
            linewidths=0.4,
            linecolor="white",
            xticklabels=names,
            yticklabels=names,
        )
        axis.set_title(subtitle)
        axis.set_xlabel("prediction")
        axis.set_ylabel("ground truth" if axis is axes[0] else "")
        axis.tick_params(length=0, labelsize=7)
        axis.tick_params(axis="x", labelrotation=40 if long else 0)
        axis.tick_params(axis="y", labelrotation=0)
        if long:
            for tick in axis.get_xticklabels():
                tick.set_horizontalalignment("right")
                tick.set_rotation_mode("anchor")
    figure.suptitle(title)
    scale(figure, axes[0].collections[0], list(axes), label, shrink=0.8)
    return figure


# --------------------------------------------------------------------------- Part 4


def plot_activation_maps(maps, labels, label, layer, name, dataset, folder):
    """Draw a layer's mean activity on the test images of each class.

    Args:
        maps: (K, h, w).
        labels: (n,) of the images.
        label: of the layer, in the names of figures.
        layer: its name.
        name, dataset, folder: as for `plot_confusion_matrix`.
    """
    figure = draw_activation_maps(maps, CLASS_NAMES[dataset], labels, layer, place(name, dataset))
    return save(figure, folder / f"{label}_{_part4(name, dataset)}.png")


def plot_noise_activity(measurement, label, layer, name, dataset, folder):
    """Draw how a layer's activity under noise goes with each class's logit."""
    figure = draw_noise_activity(
        measurement,
        layer,
        commonest(measurement),
        CLASS_NAMES[dataset],
        place(name, dataset),
    )
    return save(figure, folder / f"{label}_{_part4(name, dataset)}_noise.png")


def plot_receptive_fields(measurement, found, label, layer, name, dataset, folder):
    """Draw the spike-triggered averages of a layer's filters, with their LayerFindings."""
    figure = draw_receptive_fields(measurement, found, place(name, dataset))
    return save(figure, folder / f"sta_{label}_{_part4(name, dataset)}.png")


def _part4(name, dataset):
    return f"{NETWORKS[name].part4}_{dataset.removesuffix('_mnist')}"


# --------------------------------------------------------------------------- Part 5: curves


def curve_axes(axis, x_label, y_label, title=""):
    """Label an axis of shares from 0 to 1."""
    axis.set_ylim(-0.02, 1.02)
    axis.set_xlabel(x_label)
    axis.set_ylabel(y_label)
    axis.set_title(title)
    axis.grid(color="0.9", linewidth=0.5)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def curve(axis, x, middle, low, high, colour, label, style="-"):
    """Draw a curve with its interval as error bars."""
    middle, low, high = map(np.asarray, (middle, low, high))
    spread = np.maximum([middle - low, high - middle], 0)
    axis.errorbar(
        x, middle, spread, color=colour, label=label, linestyle=style, linewidth=1.2,
        marker="o", markersize=2.5, capsize=1.5, elinewidth=0.8,
    )  # fmt: skip
