"""What a group of observers has in common, or how two groups differ."""

import numpy as np

from reverse_correlation.figures.class_images import ImageRow, show_cell
from reverse_correlation.figures.style import (
    PICTURE,
    SIGNED,
    WIDTH,
    grid,
    luminance,
    picture,
    scale,
    styled,
)
from reverse_correlation.texts import number

PUSH = 0.4  # of the input range, that an image changes a pixel of the base by at most
FEW = 4  # classes that have a line each, not a column


@styled
def draw_group(found, noise, names, title, caption):
    """Draw the base plus and minus the mean image of each class, its t, and smoothed t: a Figure.

    Args:
        found: a GroupImage, of ten classes at most.
        noise: the ensemble.
        names: of the classes.
        title, caption: above, and below before what marks mean.
    """
    views, few = group_rows(found, noise), len(names) <= FEW
    marks = "black: significant pixels, and clusters of smoothed t (family-wise 5 % each)"
    marks += "; green: outline of the base" * noise.about_image
    lines, columns = (len(names), len(views)) if few else (len(views), len(names))
    side = min(1.4, (WIDTH - 1.4) / columns)
    size = columns * side + 1.4, lines * (side + 0.25) + 0.7
    figure, axes = grid(lines, columns, *size, title, f"{caption}; {marks}.")
    image = None
    for i, (label, view) in enumerate(views.items()):
        for k, name in enumerate(names):
            axis = axes[k, i] if few else axes[i, k]
            shown = show_cell(axis, view, k)
            if shown is not None and (image is None or shown.get_alpha() == 1):
                image = shown
            of_line, of_column = (name, label) if few else (label, name)
            if axis in axes[0]:
                axis.set_title(of_column, pad=3)
            if axis in axes[:, 0]:
                axis.set_ylabel(of_line)
    if image is not None and image.get_cmap() == SIGNED:
        scale(figure, image, axes, "t / its largest absolute value")
    return figure


def group_rows(found, noise):
    """Return the rows of `fill_rows`: {label: ImageRow}."""
    pixels, clusters = found.significant.any(axis=3), found.in_clusters
    chance = ~(pixels | clusters).any(axis=(1, 2))
    base = (np.broadcast_to(noise.mean, noise.shape) - noise.low) / (noise.high - noise.low)
    image, rows = found.mean * noise.pixel_std, {}
    with np.errstate(invalid="ignore"):
        step = PUSH * image / np.abs(image).max(axis=(1, 2, 3), keepdims=True)
    reasons, outline = ["no image\nof some"] * len(image), base if noise.about_image else None
    for sign, label in ((1, "base\n+ mean"), (-1, "base\n- mean")):
        shown = picture(np.clip(base + sign * step, 0, 1))
        rows[label] = ImageRow(shown, None, (), reasons, chance, None, PICTURE)
    for label, t, mask, what in (
        (
            "mean t" if noise.shape[2] == 3 else "t",
            luminance(found.t),
            pixels,
            counts_of(found.significant, "pixel"),
        ),
        ("smoothed t", found.smoothed_t, clusters, counts_of(found.clusters * clusters, "cluster")),
    ):
        sizes = [number(np.abs(m).max(), "|t| ≤ {:.1f}") for m in t]
        notes = [f"{size}\n{counted}" for size, counted in zip(sizes, what, strict=True)]
        rows[label] = ImageRow(t, mask, notes, reasons, chance, outline)
    return rows


def counts_of(maps, what):
    """Return how many pixels of each map are True, or how many numbers it has: texts."""
    counts = [int(m.sum()) if m.dtype == bool else len(np.unique(m[m > 0])) for m in maps]
    return [f"{count:,} {what}{'s' * (count != 1)}" for count in counts]
