"""How far observers agree, and their class images, side by side."""

import textwrap

import numpy as np

from reverse_correlation.figures.class_images import (
    class_row,
    commonest,
    fill_class_images,
    of_how_many,
    reliabilities,
)
from reverse_correlation.figures.style import SIGNED, Picture, styled, without_ticks
from reverse_correlation.texts import number


@styled
def draw_comparison(found, differing, measurements, classes, response):
    """Draw the matrix of agreement above the images, a row an observer and a column a class.

    Args:
        found, differing: the Agreement, and the Difference of two observers; None of more.
        measurements: of the observers.
        classes: names of the measured classes.
        response: whose images are drawn.
    """
    shown = commonest(measurements[0])
    rows = image_rows(found.names, differing, measurements, shown, response)
    side = min(1.8, max(1.02, 6 / len(shown)))
    width, top = max(side * len(shown) + 0.9, 6.4), 1.4 + 0.34 * len(found.names)
    figure = Picture(figsize=(width, top + (side + 0.4) * len(rows) + 0.8), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[top, figure.get_figheight() - top])
    draw_matrix(above, mean_over_classes(found.disattenuated), found.names, found.error)
    axes = below.subplots(len(rows), len(shown), squeeze=False)
    without_ticks(axes)
    fill_class_images(below, axes, rows, [classes[k] for k in shown])
    legend = "r: split-half reliability; outlined: pixels significant at family-wise 5 %"
    legend += "; difference: in units of each response's s.d." if differing else ""
    legend = textwrap.fill(legend, int(14 * width))
    below.suptitle(f"{response} images{of_how_many(measurements[0], shown)}\n{legend}")
    return figure


def image_rows(names, differing, measurements, shown, response):
    """Return the rows of `fill_class_images`, one an observer and one of their difference."""
    rows = {}
    for name, measurement in zip(names, measurements, strict=True):
        notes = reliabilities(measurement.classes[response])
        rows[name] = class_row(measurement, response, shown, notes)
    if differing:
        notes = [f"{mask.sum():,} pixels" for mask in differing.significant]
        reasons = ["varies\ntoo little"] * len(notes)
        parts = differing.covariance, differing.significant, notes, reasons
        rows["difference"] = [[part[k] for k in shown] for part in parts]
    return rows


def mean_over_classes(correlations):
    """Return the mean of correlations (M, M, K) over the classes that have one: (M, M)."""
    known = np.isfinite(correlations)
    with np.errstate(invalid="ignore"):
        return np.where(known, correlations, 0).sum(axis=2) / known.sum(axis=2)


def draw_matrix(figure, matrix, names, error):
    """Draw the correlation of every pair of observers, mean over classes."""
    axis = figure.subplots()
    axis.imshow(matrix, cmap=SIGNED, vmin=-1, vmax=1)
    for (i, j), value in np.ndenumerate(matrix):
        colour = "white" if abs(value) > 0.6 else "black"
        text = number(value, "{:.2f}")
        axis.text(j, i, text, ha="center", va="center", color=colour, fontsize=7)
    axis.set_xticks(range(len(names)), names, rotation=20, ha="right", fontsize=7)
    axis.set_yticks(range(len(names)), names, fontsize=7)
    figure.suptitle(
        "Agreement: correlation of class images without their noise, mean over classes\n"
        f"(unrelated observers: 0 ± {error:.2f} a class, before the noise is taken out)"
    )
