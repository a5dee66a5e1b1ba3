"""The base plus and minus class images, as studies of people show them."""

import numpy as np

from reverse_correlation.figures.class_images import commonest
from reverse_correlation.figures.style import PICTURE, empty, grid, picture, styled


def draw_about_base(measurement, names, place, push=1.0):
    """Draw the base plus and minus each class's images: a matplotlib Figure.

    Each image is scaled to `push` standard deviations of the noise where it is largest; pixels
    are clipped to the input range in the picture. The observer is called `place`, and its measured
    classes `names`.
    """
    noise, shown = measurement.noise, commonest(measurement)
    low, high = noise.low, noise.high
    rows = {}
    for response in (name for name in ("choice", "logit") if name in measurement.classes):
        maps = measurement.classes[response].image[shown]
        largest = np.abs(maps).max(axis=(1, 2, 3), keepdims=True)
        step = push * np.mean(noise.pixel_std) * maps / largest
        for sign, word in ((1, "base + image"), (-1, "base - image")):
            pixels = np.clip(noise.mean + sign * step, low, high)
            rows[f"{response}\n{word}"] = (pixels - low) / (high - low)
    return draw_pictures(
        rows,
        [names[k] for k in shown],
        f"The base plus and minus each class image of {place} ({noise.title} noise, "
        f"{measurement.count:,} images);\nat its largest, an image changes a pixel by {push:g} "
        "standard deviation of the noise",
    )


@styled
def draw_pictures(rows, names, title):
    """Rows of pictures in [0, 1], grey or RGB: {label: (K, h, w, c)}."""
    count = len(names)
    figure, axes = grid(len(rows), count, 1.1 * count + 0.7, 1.15 * len(rows) + 0.7, title)
    for line, (label, maps) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(label)
        for axis, values in zip(line, picture(maps), strict=True):
            if np.isnan(values).all():
                empty(axis, values.shape, "no image")
            else:
                axis.imshow(values, cmap=PICTURE, vmin=0, vmax=1)
    for axis, name in zip(axes[0], names, strict=True):
        axis.set_title(name, pad=3)
    return figure
