"""How far observers agree, and their class images, side by side."""

import numpy as np

from reverse_correlation.figures.class_images import (
    COLUMNS,
    ImageRow,
    class_row,
    commonest,
    fill_rows,
    of_how_many,
)
from reverse_correlation.figures.style import (
    SIGNED,
    WIDTH,
    Picture,
    luminance,
    styled,
    without_ticks,
    wrapped,
)
from reverse_correlation.texts import number

AGREEMENT = (
    "Agreement: correlation of class images\nwithout their noise, mean over classes\n"
    "(unrelated: 0 ± {:.2f} a class, with noise)"
)
PREDICTED = (
    "Share of an observer's (column) choices\nthat images (row) predict, mean over\n"
    "classes, {:,} fresh pairs (chance: 50%)"
)


@styled
def draw_comparison(found, differing, measurements, classes, response, crossed=None):
    """Draw the matrix of agreement above the images, a row an observer and a column a class.

    Args:
        found, differing: the Agreement, and the Difference of two observers; None of more.
        measurements: of the observers.
        classes: names of the measured classes.
        response: whose images are drawn.
        crossed: the CrossPrediction, or None.
    """
    shown = commonest(measurements[0])
    rows = image_rows(found.names, differing, measurements, shown, response)
    columns = min(len(shown), COLUMNS)
    lines, side = -(-len(shown) // columns), min(1.5, (WIDTH - 1.4) / columns)
    top = 1.4 + 0.34 * len(found.names)
    height = top + lines * ((side + 0.3) * len(rows) + 0.2) + 0.6
    figure = Picture(figsize=(WIDTH, height), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[top, figure.get_figheight() - top])
    agreement = mean_over_classes(found.disattenuated), found.names, AGREEMENT.format(found.error)
    if crossed is None:
        draw_matrix(above, *agreement)
    else:
        left, right = above.subfigures(1, 2)
        draw_matrix(left, *agreement)
        title = PREDICTED.format(crossed.pairs)
        draw_matrix(right, crossed.share, found.names, title, "{:.0%}", (0, 0.5, 1))
    axes = below.subplots(lines * len(rows), columns, squeeze=False)
    without_ticks(axes)
    fill_rows(below, axes, rows, [classes[k] for k in shown])
    legend = "r: split-half reliability; black: significant pixels (family-wise 5 %)"
    legend += "; difference: in units of each response's s.d." if differing else ""
    legend += "; green: outline of the image that noise is about" * (
        measurements[0].noise.about_image
    )
    below.supxlabel(wrapped(legend, 17 * WIDTH), fontsize=7)
    below.suptitle(f"{response} images{of_how_many(measurements[0], shown)}")
    return figure


def image_rows(names, differing, measurements, shown, response):
    """Return the rows of `fill_rows`, one an observer and one of their difference."""
    rows = {
        name: class_row(measurement, response, shown)
        for name, measurement in zip(names, measurements, strict=True)
    }
    if differing:
        masks = differing.significant[shown]
        notes = [f"{mask.sum():,} pixels" for mask in masks]
        reasons = ["varies\ntoo little"] * len(notes)
        maps, masks = luminance(differing.covariance[shown]), masks.any(axis=3)
        rows["difference"] = ImageRow(maps, masks, notes, reasons, ~masks.any(axis=(1, 2)))
    return rows


def mean_over_classes(correlations):
    """Return the mean of correlations (M, M, K) over the classes that have one: (M, M)."""
    known = np.isfinite(correlations)
    with np.errstate(invalid="ignore"):
        return np.where(known, correlations, 0).sum(axis=2) / known.sum(axis=2)


def draw_matrix(figure, matrix, names, title, template="{:.2f}", limits=(-1, 0, 1)):
    """Draw a number for every pair of observers; limits are the least, nothing, and the most."""
    axis, (least, nothing, most) = figure.subplots(), limits
    axis.imshow(matrix, cmap=SIGNED, vmin=least, vmax=most)
    for (i, j), value in np.ndenumerate(matrix):
        colour = "white" if abs(value - nothing) > 0.6 * (most - nothing) else "black"
        text = number(value, template)
        axis.text(j, i, text, ha="center", va="center", color=colour, fontsize=7)
    axis.set_xticks(range(len(names)), names, rotation=20, ha="right", fontsize=7)
    axis.set_yticks(range(len(names)), names, fontsize=7)
    figure.suptitle(title)
