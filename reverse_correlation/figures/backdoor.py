"""Networks under test beside clean ones: their scores, the class that is suspected, and where."""

import numpy as np

from reverse_correlation.figures.style import (
    SERIES,
    WIDTH,
    Picture,
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
    height = 0.9 + 1.75 * len(found)
    figure = Picture(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(len(found), 4, squeeze=False, width_ratios=(1.3, 1, 1, 1))
    highest = max(max(one.score, one.references.max()) for one in found)
    for row, one, own, name in zip(axes, found, images, names, strict=True):
        draw_scores(row[0], one, highest)
        row[0].set_title(wrapped(f"{name}: p = {one.p_value:.3g}", 32))
        shown = draw_maps(row[1:], one, own, clean, classes)
    axes[-1, 0].set_xlabel("score: highest deviation, in s.d.")
    scale(figure, shown, list(axes[:, 3]), "value /\nits largest", shrink=1 / len(found))
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


def draw_maps(axes, found, own, clean, classes):
    """Draw the suspected class on three axes: its image, clean networks', and the deviation.

    Where the network is not told from clean ones they are faded. The rest is as for
    `draw_backdoors`. Returns the last of the images.
    """
    without_ticks(axes)
    k, strength = found.suspect, 1 if found.unusual else FADED
    maps = {
        f"its image of\n{wrapped(classes[k], 18)}": own[k].mean(axis=2),
        "the same, mean of\nclean networks": clean[k].mean(axis=2),
        "its deviation\nfrom clean ones": found.deviation[k],
    }
    for axis, (head, values) in zip(axes, maps.items(), strict=True):
        image = show_signed(axis, values, alpha=strength)
        axis.set_title(head)
    axes[1].set_xlabel("" if found.unusual else "faded: not told from clean ones", fontsize=7)
    outline_place(axes[2], found.place, "black" if found.unusual else "0.6")
    return image


def outline_place(axis, mask, colour="black"):
    """Draw the outline of a mask (h, w), closed also where it meets the border."""
    height, width = mask.shape
    framed = np.pad(mask.astype(float), 1)
    place = np.arange(-1, width + 1), np.arange(-1, height + 1)
    axis.contour(*place, framed, levels=[0.5], colors=[colour], linewidths=0.7)
    axis.set_xlim(-0.75, width - 0.25)
    axis.set_ylim(height - 0.25, -0.75)
