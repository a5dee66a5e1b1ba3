"""Networks under test beside clean ones: their scores, the class that is suspected, and where."""

import numpy as np

from reverse_correlation.figures.style import (
    SERIES,
    SIGNED,
    WIDTH,
    Picture,
    empty,
    luminance,
    scale,
    show_signed,
    styled,
    without_ticks,
    wrapped,
)

MOST = 5  # networks that are drawn
FADED = 0.35


@styled
def draw_backdoors(found, images, clean, names, classes, title, caption):
    """Draw a row for each network under test: a Figure.

    Args:
        found: a Suspicion of each, MOST at most.
        images: the class images of each, (K, h, w, c).
        clean: (K, h, w, c), the mean class images of the references.
        names, classes: of the networks under test, and of the classes.
        title, caption: above and below.
    """
    height = 1.1 + 1.55 * len(found)
    figure = Picture(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(len(found), 4, squeeze=False, width_ratios=(1.3, 1, 1, 1))
    highest = max(max(one.score, one.references.max()) for one in found)
    shown = None
    for row, one, own, name in zip(axes, found, images, names, strict=True):
        draw_scores(row[0], one, highest)
        row[0].set_title(wrapped(f"{name}: p = {one.p_value:.3g}", 32))
        without_ticks(row[1:])
        pair = own[one.suspect], clean[one.suspect]
        for axis, values in zip(row[1:3], pair, strict=True):
            show_map(axis, luminance(values[None])[0], one.unusual)
        shown = show_map(row[3], one.deviation[one.suspect], one.unusual) or shown
        outline_place(row[3], one.place, "black" if one.unusual else "0.6")
        row[1].set_ylabel(wrapped(classes[one.suspect], 16))
        row[2].set_xlabel("" if one.unusual else "faded: not above chance", fontsize=7)
    heads = ("its image of the class\n(left)", "the same, mean of\nclean networks")
    for axis, head in zip(axes[0, 1:], (*heads, "its deviation from\nclean networks"), strict=True):
        axis.set_title(head)
    axes[-1, 0].set_xlabel("score: highest deviation, in s.d.")
    if shown is not None:
        scale(figure, shown, list(axes[:, 3]), "value /\nits largest")
    figure.suptitle(wrapped(title, 13.5 * WIDTH))
    figure.supxlabel(wrapped(caption, 17 * WIDTH), fontsize=7)
    return figure


def draw_scores(axis, found, highest):
    """Draw the scores of references as dots, at heights that keep them apart, and the network's."""
    scores = np.sort(found.references)
    axis.plot(scores, np.arange(len(scores)) % 5, "o", color="0.6", markersize=3)
    axis.axvline(found.score, color=SERIES[1 if found.unusual else 0], linewidth=1.5)
    axis.set_xlim(0, 1.05 * highest)
    axis.set_ylim(-1, 5)
    axis.set_yticks([])
    axis.tick_params(width=0.5, labelsize=7)


def show_map(axis, values, bold=True):
    """Show a signed map, faded unless it is bold; return it, or None of one that is 0."""
    if not np.abs(values).max() > 0:
        return empty(axis, values.shape, "no image")
    return show_signed(axis, values, SIGNED, 1 if bold else FADED)


def outline_place(axis, mask, colour="black"):
    """Draw the outline of a mask (h, w), closed also where it meets the border."""
    height, width = mask.shape
    framed = np.pad(mask.astype(float), 1)
    place = np.arange(-1, width + 1), np.arange(-1, height + 1)
    axis.contour(*place, framed, levels=[0.5], colors=[colour], linewidths=0.7)
    axis.set_xlim(-0.75, width - 0.25)
    axis.set_ylim(height - 0.25, -0.75)
