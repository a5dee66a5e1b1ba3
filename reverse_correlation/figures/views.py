"""Class images about a base: the base plus and minus them, the images themselves, and whitened."""

import dataclasses

import numpy as np
from keras import ops

from reverse_correlation.figures.class_images import (
    ImageRow,
    class_row,
    commonest,
    fill_rows,
    noise_images,
    of_how_many,
    reliable_from,
    response_of,
    show_cell,
)
from reverse_correlation.figures.style import (
    BLUE_YELLOW,
    PICTURE,
    RED_GREEN,
    SIGN,
    WIDTH,
    Picture,
    luminance,
    picture,
    scale,
    styled,
    without_ticks,
    wrapped,
)

PUSH = 0.4  # of the input range, that an image changes a pixel of the base by at most
OPPONENT = {  # orthonormal combinations of red, green and blue, so that their errors are equal
    "red - green": ((1, -1, 0), RED_GREEN),
    "blue - yellow": ((-1, -1, 2), BLUE_YELLOW),
}
COLUMNS = 10  # of a figure
EXAMPLES = ("base", "base + noise", "base - noise")
THERE_IS_NO_THRESHOLD = {  # by how the search for it ended
    "largest": " (as at every contrast that was tried: this is the usual one)",
    "smallest": " (the smallest contrast that was tried)",
}


def view_rows(measurement, shown, regions):
    """Return three views of the class images of a measurement, {label: ImageRow}.

    The base plus and minus each image; the image with its significant regions, and the two colour
    opponents of one in colour, with their significant pixels; and the whitened image, where the
    noise can be whitened. An image with a significant region is more than chance.
    """
    response, noise = regions.response, measurement.noise
    estimate, found = measurement.classes[response], regions.significant[shown]
    images, plain = estimate.image[shown], class_row(measurement, response, shown)
    faint, reasons, rows = plain.chance & ~found.any(axis=(1, 2)), plain.reasons, {}
    plain = dataclasses.replace(plain, significant=found, chance=faint)
    with np.errstate(invalid="ignore"):
        step = PUSH * images / np.abs(images).max(axis=(1, 2, 3), keepdims=True)
    for sign, label in ((1, "base\n+ image"), (-1, "base\n- image")):
        base = (np.asarray(noise.mean) - noise.low) / (noise.high - noise.low)
        pixels = picture(np.clip(base + sign * step, 0, 1))
        rows[label] = ImageRow(pixels, None, (), reasons, faint, None, PICTURE)
    coloured = noise.shape[2] == 3 and not noise.achromatic
    rows["luminance" if noise.shape[2] == 3 else "image"] = plain
    for name, (weights, colours) in OPPONENT.items() if coloured else ():
        weights = np.array(weights) / np.linalg.norm(weights)
        significant = np.abs(np.nan_to_num(estimate.z[shown]) @ weights) > estimate.threshold
        parts = images @ weights, significant, (), reasons, faint, plain.base, colours
        rows[name] = ImageRow(*parts)
    white = noise.whitened(np.nan_to_num(estimate.image[shown]))
    if white is not None and not (noise.cells and noise.shape[2] != 3):
        maps = in_blocks(np.where(np.isnan(plain.maps), np.nan, luminance(white)))
        rows["whitened"] = ImageRow(
            maps, np.zeros(maps.shape, bool), (), reasons, faint, plain.base
        )
    return rows


def in_blocks(maps):
    """Return maps (n, h, w) whose blocks of pixels have their mean, so that some 32 are a side.

    The means of white noise are white noise, in which what is coarse is seen.
    """
    count, height, width = maps.shape
    size = max(1, min(height, width) // 32)
    blocks = maps[:, : height // size * size, : width // size * size]
    means = blocks.reshape(count, height // size, size, width // size, size).mean(axis=(2, 4))
    whole = np.repeat(np.repeat(means, size, axis=1), size, axis=2)
    after = ((0, 0), (0, height - whole.shape[1]), (0, width - whole.shape[2]))
    return np.pad(whole, after, mode="edge")


@styled
def draw_views(measurement, names, place, response=None, regions=None):
    """Draw what is shown, and three views of each class image: a matplotlib Figure.

    Args:
        measurement: of a pass.
        names: of the measured classes.
        place: what the observer is called.
        response: whose images; by default choice, if there is one.
        regions: their Regions; by default those that the measurement finds.
    """
    response = response_of(measurement, response)
    regions = regions or measurement.regions(response)
    shown = commonest(measurement)[:COLUMNS]
    rows = view_rows(measurement, shown, regions)
    side = min(1.3, (WIDTH - 1.4) / max(len(shown), 4))
    title = f"{place}: {response} images{of_how_many(measurement, shown)}"
    caption = views_caption(measurement, rows, regions)
    width = max(side * len(shown) + 1.1, 4.5)
    below = wrapped(caption, 17 * width)
    heights = 1.45, (side + 0.05) * len(rows) + 0.45
    figure = Picture(
        figsize=(width, sum(heights) + 0.3 + 0.13 * (below.count("\n") + 1)), layout="constrained"
    )
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.04, wspace=0.02, hspace=0.02)
    above, lower = figure.subfigures(2, 1, height_ratios=heights)
    _draw_examples(above.subplots(1, 3), measurement)
    axes = lower.subplots(len(rows), len(shown), squeeze=False)
    without_ticks(axes)
    fill_rows(lower, axes, rows, [names[k] for k in shown])
    figure.suptitle(wrapped(title, 13.5 * width))
    figure.supxlabel(below, fontsize=7)
    return figure


def views_caption(measurement, rows, regions):
    """Return the caption of three views."""
    noise, start = measurement.noise, reliable_from([measurement])
    contrast = getattr(noise, "contrast", None)  # Gabor-PCA noise has none
    parts = [
        noise_images(measurement) + (f", contrast {contrast:.3g}" if contrast else ""),
        f"at its largest, an image changes a pixel of the base by {PUSH:g} of the input range",
        f"r: split-half reliability{start and ', ' + start}",
        f"black: significant {regions.title} (family-wise 5 %)",
    ]
    if "red - green" in rows:
        parts.append("in the rows of opponent colours, significant pixels")
    if noise.about_image:
        parts.append("green: outline of the base")
    if "whitened" in rows:
        size = max(1, min(noise.shape[:2]) // 32)
        means = f", means of {size} x {size} pixels" if size > 1 else ""
        parts.append(f"whitened: every spatial frequency in units of its error{means}")
    return "; ".join(parts) + "."


def _draw_examples(axes, measurement):
    """Draw the base, and a stimulus with its mirror image, or another where there are none."""
    noise = measurement.noise
    base = np.broadcast_to(np.asarray(noise.mean, np.float32), noise.shape)
    first, second = ops.convert_to_numpy(noise.draw(measurement.provenance["seed"], 0, 2))
    other = 2 * base - first if noise.symmetric else second
    titles = EXAMPLES if noise.symmetric else ("mean", "a stimulus", "another")
    for axis, title, pixels in zip(axes, titles, (base, first, other), strict=True):
        shown = picture(
            ((np.clip(pixels, noise.low, noise.high) - noise.low) / (noise.high - noise.low))[None]
        )[0]
        axis.imshow(shown, cmap=PICTURE, vmin=0, vmax=1)
        axis.set_title(title, pad=3)
    without_ticks(np.array(axes))


@styled
def draw_about(measurement, names, place, what):
    """Draw an image, what noise makes of it, and what would make it each class: a Figure.

    Args:
        measurement: of a pass about an image.
        names: of the measured classes, ten at most.
        place: what the observer is called.
        what: what the image is called.
    """
    response = response_of(measurement, "logit" if "logit" in measurement.classes else None)
    row, shown = class_row(measurement, response, commonest(measurement)), len(names)
    row = dataclasses.replace(row, significant=None)  # nearly all pixels are
    columns, lines = min(5, shown), -(-shown // 5)
    figure = Picture(figsize=(WIDTH, 1.55 * max(lines, 2) + 0.75), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.03, wspace=0.02, hspace=0.02)
    left, right = figure.subfigures(1, 2, width_ratios=(1, 5))
    _draw_examples(left.subplots(3, 1), measurement)
    axes = right.subplots(lines, columns, squeeze=False)
    without_ticks(axes)
    image = None
    for axis in axes.flat[shown:]:
        axis.set_axis_off()
    for k, (axis, name) in enumerate(zip(axes.flat, names, strict=False)):
        axis.set_title(f"more {name}", pad=3)
        image = show_cell(axis, row, k) or image
    if image is not None:
        scale(right, image, axes, SIGN)
    kept = ""
    if found := measurement.provenance.get("at_threshold"):
        kept = f", at which its answer survives in {found['survived']:.0%} of the noise"
        kept += THERE_IS_NO_THRESHOLD.get(found["end"], "")
    figure.suptitle(f"{place}: what would make {what} another class")
    start = reliable_from([measurement])
    caption = (
        f"{response} images from {noise_images(measurement)} about it, contrast "
        f"{measurement.noise.contrast:.3g}{kept}. Red: the brighter, the more it is that class; "
        f"green: outline of the image; r: split-half reliability{start and ', ' + start}."
    )
    figure.supxlabel(wrapped(caption, 17 * WIDTH), fontsize=7)
    return figure
