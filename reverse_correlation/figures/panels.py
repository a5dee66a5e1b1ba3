"""Maps of one kind on one scale: means of images, and of activity."""

import textwrap

import numpy as np

from reverse_correlation.figures.class_images import reliabilities
from reverse_correlation.figures.style import RATE, SIGNED, empty, grid, picture, scale, styled


@styled
def panels(maps, names, notes, title, label, signed=False, cmap=None):
    """Ten (or any number of) maps of one kind on one scale.

    Args:
        maps: (K, h, w) or (K, h, w, c); a map of NaN is an empty panel.
        names, notes: what stands above and below each panel.
        label: of the colour bar.
        signed: symmetric about zero, blue below and red above.
    """
    maps = picture(maps)
    rows, columns = -(-len(maps) // 5), min(5, len(maps))
    figure, axes = grid(rows, columns, 7.2, 0.45 + 1.6 * rows, title)
    high = np.nanmax(np.abs(maps)) if signed else np.nanmax(maps)
    low = -high if signed else np.nanmin(maps)
    cmap = cmap or (SIGNED if signed else RATE)
    image = None
    for axis, values, name, note in zip(axes.flat, maps, names, notes, strict=False):
        axis.set_title(name, pad=3)
        axis.set_xlabel(note, fontsize=6.5, labelpad=2)
        if np.isnan(values).all():
            empty(axis, values.shape, "no image")
        else:
            image = axis.imshow(values, cmap=cmap, vmin=low, vmax=high)
    for axis in axes.flat[len(maps) :]:
        axis.set_axis_off()
    if image is not None:
        scale(figure, image, axes, textwrap.fill(label, 22 * rows))
    return figure


def draw_activation_maps(maps, names, labels, layer, place):
    """Draw a layer's mean activity on the test images of each class.

    Args:
        maps: (K, h, w), as `activation_maps` returns them.
        names, labels: of the classes, and (n,) of the test images.
        layer, place: its name, and the observer's.
    """
    return panels(
        maps,
        names,
        [f"n = {np.sum(labels == n):,}" for n in range(len(names))],
        f"{layer} of {place}, test images:\nmean activity, averaged over filters, by true class",
        "mean activity",
    )


def draw_noise_activity(measurement, layer, shown, names, place):
    """Draw how a layer's activity under noise goes with the logit of each class.

    Args:
        shown: indices of the measured classes that are drawn.
        names: of the measured classes.
        measurement, layer, place: a Measurement, the layer's name, and the observer's.
    """
    estimate = measurement.maps[layer]
    with np.errstate(invalid="ignore"):
        maps = estimate.covariance / estimate.response_std[:, None, None, None]
    return panels(
        maps[shown],
        [names[k] for k in shown],
        np.array(reliabilities(estimate))[shown],
        f"{layer} of {place}, {estimate.count:,} {measurement.noise.title} noise images:\nmean "
        "activity, averaged over filters, weighted by the logit of each class",
        "change of activity per s.d. of logit",
        signed=True,
    )
