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
from reverse_correlation.figures.views import draw_about, draw_views
from training import DATASET_TITLES, NETWORKS, place

# --------------------------------------------------------------------------- Part 3
# Each function draws one figure of the experiment, names it, saves it in a folder, and returns its
# path. `name` is a network's in NETWORKS, `dataset` is "mnist" or "fashion_mnist"; `other` is "pdf"
# or "svg" for a second file beside the PNG.


def plot_class_averages(averages, labels, signal, noise, dataset, folder, other=""):
    """Draw the average of the noisy test images of each true class.

    Args:
        averages: {class: (h, w, c)}; a class without images has an empty panel.
        labels: (n,) of the images.
        signal, noise: their weight, and that of uniform noise.
    """
    names, shape = CLASS_NAMES[dataset], next(iter(averages.values())).shape
    maps = np.full((len(names), *shape), np.nan, np.float32)
    maps[list(averages)] = list(averages.values())
    figure = panels(
        maps,
        names,
        [f"n = {np.sum(labels == n)}" for n in range(len(names))],
        f"Mean of {len(labels):,} {DATASET_TITLES[dataset]} test images at {signal:.0%} signal and "
        f"{noise:.0%} uniform noise, by true class",
        "mean pixel value",
        cmap=PICTURE,
    )
    return save(figure, folder / f"classification_{dataset}.png", other)


def plot_confusion_matrix(answers, classes, name, dataset, folder, other=""):
    """Draw what a network takes averages for: answers (n, K), probabilities, to n classes."""
    names, entry = CLASS_NAMES[dataset], NETWORKS[name]
    probabilities = np.full((len(names), len(names)), np.nan)
    probabilities[classes] = answers
    figure = confusion_matrix(
        probabilities,
        names,
        f"{entry.title} shown the mean noisy image of each class: "
        f"{np.sum(answers.argmax(axis=1) == classes)} of {len(classes)} right",
    )
    return save(figure, folder / f"cm_{entry.part3}_{dataset}.png", other)


def plot_classification_images(shown, name, dataset, folder, other=""):
    """Draw the class images of each ensemble that a network was shown, with a Shown of each."""
    figure = draw_bias(shown, CLASS_NAMES[dataset], place(name, dataset))
    return save(figure, folder / f"bias_{NETWORKS[name].part3}_{dataset}.png", other)


def plot_about_image(measurement, what, name, dataset, folder, other=""):
    """Draw what would make one test image each class, from noise about it."""
    where = place(name, dataset)
    figure = draw_about(measurement, CLASS_NAMES[dataset], where, f"this {what}")
    return save(figure, folder / f"about_{NETWORKS[name].part3}_{dataset}.png", other)


def plot_views(measurement, name, dataset, folder, other=""):
    """Draw an image that noise is about, plus and minus each class image, and these."""
    figure = draw_views(measurement, CLASS_NAMES[dataset], place(name, dataset))
    return save(figure, folder / f"base_{NETWORKS[name].part3}_{dataset}.png", other)


def plot_templates(shown, count, name, dataset, folder, other=""):
    """Draw how class images classify `count` test images by themselves."""
    figure = draw_templates(shown, CLASS_NAMES[dataset], place(name, dataset), count)
    return save(figure, folder / f"template_{NETWORKS[name].part3}_{dataset}.png", other)


@styled
def confusion_matrix(shares, names, title):
    """Draw probabilities (K, K) of the answers, columns, to the ground truth, rows."""
    long = max(map(len, names)) > 2
    figure = Figure(figsize=(5.5, 5.2 if long else 4.7), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.1, rect=(0, 0.03, 1, 0.97) if long else (0, 0, 1, 1))
    axis = figure.subplots()
    text = [[f"{v:.2f}".removeprefix("0") if v >= 0.005 else "" for v in r] for r in shares]
    seaborn.heatmap(
        shares,
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
    axis.set(xlabel="prediction", ylabel="ground truth")
    axis.tick_params(length=0, labelsize=7)
    axis.tick_params(axis="x", labelrotation=40 if long else 0)
    axis.tick_params(axis="y", labelrotation=0)
    if long:
        for tick in axis.get_xticklabels():
            tick.set(horizontalalignment="right", rotation_mode="anchor")
    figure.suptitle(title)
    scale(figure, axis.collections[0], [axis], "probability of the answer", shrink=0.8)
    return figure


# --------------------------------------------------------------------------- Part 4
# `label` is the layer's in the names of figures, such as "convLast".


def plot_activation_maps(maps, labels, label, layer, name, dataset, folder, other=""):
    """Draw a layer's mean activity (K, h, w) on the test images of each class; labels are (n,)."""
    figure = draw_activation_maps(maps, CLASS_NAMES[dataset], labels, layer, place(name, dataset))
    return save(figure, folder / f"{label}_{_part4(name, dataset)}.png", other)


def plot_noise_activity(measurement, label, layer, name, dataset, folder, other=""):
    """Draw how a layer's activity under noise goes with each class's logit."""
    shown, names = commonest(measurement), CLASS_NAMES[dataset]
    figure = draw_noise_activity(measurement, layer, shown, names, place(name, dataset))
    return save(figure, folder / f"{label}_{_part4(name, dataset)}_noise.png", other)


def plot_receptive_fields(measurement, found, label, layer, name, dataset, folder, other=""):
    """Draw the spike-triggered averages of a layer's filters, with their LayerFindings."""
    figure = draw_receptive_fields(measurement, found, place(name, dataset))
    return save(figure, folder / f"sta_{label}_{_part4(name, dataset)}.png", other)


def _part4(name, dataset):
    return f"{NETWORKS[name].part4}_{dataset.removesuffix('_mnist')}"


# --------------------------------------------------------------------------- Part 5: curves


def curve_axes(axis, x_label, y_label, title=""):
    """Label an axis of shares from 0 to 1."""
    axis.set(ylim=(-0.02, 1.02), xlabel=x_label, ylabel=y_label, title=title)
    axis.grid(color="0.9", linewidth=0.5)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def curve(axis, x, middle, low, high, colour, label, style="-"):
    """Draw a curve with its interval as error bars."""
    middle, low, high = map(np.asarray, (middle, low, high))
    spread = np.maximum([middle - low, high - middle], 0)
    axis.errorbar(
        x, middle, spread, color=colour, label=label, linestyle=style, linewidth=1.2,
        marker="o", markersize=2.5, capsize=1.5, elinewidth=0.8,
    )  # fmt: skip
