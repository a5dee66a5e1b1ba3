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
    SERIES,
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
    "Correlation of class images without their noise, mean over classes (unrelated: 0 ± {:.2f} a "
    "class, before the noise is taken out)"
)
PREDICTED = (
    "Share of an observer's (column) choices that images (row) predict, mean over classes, {:,} "
    "fresh pairs (chance: 50%)"
)
ROW_LETTERS = 14  # of an observer's name that fit beside a row


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
    panels = above.subfigures(1, 1 + bool(crossed) + bool(found.bands), squeeze=False)[0]
    free = mean_over_classes(found.disattenuated)
    draw_matrix(panels[0], free, found.names, AGREEMENT.format(found.error))
    if crossed:
        title = PREDICTED.format(crossed.pairs)
        draw_matrix(panels[1], crossed.share, found.names, title, "{:.0%}", (0, 0.5, 1))
    if found.bands:
        draw_bands(panels[-1], found.bands)
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
        wrapped(name, ROW_LETTERS): class_row(measurement, response, shown)
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
    draw_title(figure, title)


def draw_title(figure, title):
    """Write a title above a part of a figure, on as many lines as it takes."""
    width = figure.bbox.width / figure.dpi
    figure.suptitle(wrapped(title, 15 * width), fontsize=7.5)


def draw_bands(figure, bands):
    """Draw the agreement of the pairs of observers in each band of a BandAgreement."""
    axis, at = figure.subplots(), np.arange(len(bands.count))
    first, second = np.triu_indices(bands.correlation.shape[1], 1)
    r, error = (v[:, first, second] for v in (bands.disattenuated, bands.disattenuated_error))
    each, means = r.reshape(len(at), -1), mean_over_classes(r.reshape(len(at), 1, -1))[:, 0]
    chance = 1.96 * mean_over_classes(error.reshape(len(at), 1, -1))[:, 0]
    axis.bar(at, 2 * chance, 0.8, -chance, color="0.88")
    axis.plot(at, each, ".", color=SERIES[0], alpha=0.3, markersize=3)
    axis.plot(at, means, "o-", color=SERIES[0], markersize=4, linewidth=1)
    axis.axhline(0, color="0.4", linewidth=0.6)
    axis.set_ylim(-1.1, 1.1)
    axis.set_xticks(at, [name.replace(" to ", "–") for name in bands.names], fontsize=7)
    axis.set_xlim(-0.5, len(at) - 0.5)
    axis.tick_params(labelsize=7, width=0.5)
    axis.set_xlabel("cycles an image", fontsize=7)
    title = "Where do they part? The same by spatial frequency, of whitened images"
    title += " (dots: a class of a pair; grey: 95 % of unrelated ones)"
    draw_title(figure, title)
