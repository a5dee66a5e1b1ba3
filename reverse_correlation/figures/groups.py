"""What a group of observers has in common, or how two groups differ."""

import numpy as np

from reverse_correlation.figures.class_images import ImageRow, fill_rows
from reverse_correlation.figures.style import PICTURE, WIDTH, grid, luminance, picture, styled

PUSH = 0.4  # of the input range, that an image changes a pixel of the base by at most
T = "t / its largest absolute value"


@styled
def draw_group(found, noise, names, title, caption):
    """Draw the base plus and minus the mean image of each class, its t, and smoothed t: a Figure.

    Args:
        found: a GroupImage, of ten classes at most.
        noise: the ensemble.
        names: of the classes.
        title, caption: above, and below before what marks mean.
    """
    rows, columns = group_rows(found, noise), max(len(names), 4)
    side = min(1.3, (WIDTH - 1.4) / columns)
    marks = "black: significant pixels, and clusters of smoothed t (family-wise 5 % each)"
    marks += "; green: outline of the base" * noise.about_image
    figure, axes = grid(
        len(rows),
        len(names),
        side * columns + 1.4,
        len(rows) * (side + 0.2) + 0.7,
        title,
        f"{caption}; {marks}.",
    )
    fill_rows(figure, axes, rows, names, T)
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
        ("t", luminance(found.t), pixels, counts_of(found.significant, "pixel")),
        ("smoothed t", found.smoothed_t, clusters, counts_of(found.clusters * clusters, "cluster")),
    ):
        notes = [f"|t| < {np.abs(m).max():.3g}\n{n}" for m, n in zip(t, what, strict=True)]
        rows[label] = ImageRow(t, mask, notes, reasons, chance, outline)
    return rows


def counts_of(maps, what):
    """Return how many pixels of each map are True, or how many numbers it has: texts."""
    counts = [np.sum(m) if m.dtype == bool else len(np.unique(m[m > 0])) for m in maps]
    return [f"{count:,} {what}{'s' * (count != 1)}" for count in counts]
