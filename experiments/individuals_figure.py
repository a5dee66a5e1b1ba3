"""The figure of individuals: one class image of each, their answers, templates and agreement."""

import numpy as np

from figures import curve_axes
from reverse_correlation.estimates.intervals import student_interval
from reverse_correlation.figures.style import (
    SERIES,
    SIGNED,
    Picture,
    picture,
    scale,
    show_signed,
    styled,
    without_ticks,
)

EXAMPLE = 3  # the class whose images are shown
RESPONSES = ("logit", "choice", "decision")
BASES = ("pure noise", "mean image")


@styled
def draw(individuals, agreements, names, title):
    """Draw a class image of every Individual; below, for each base, answers, templates, agreement.

    Individuals are given group by group; names are of the classes.
    """
    figure = Picture(figsize=(12.6, 8.9), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1, 3.7), hspace=0.02)
    groups = {network.group.title: network.group for network in individuals}
    colours = dict(zip(groups, SERIES, strict=False))
    _draw_examples(above, individuals, colours, names[EXAMPLE])
    axes = below.subplots(2, 4, width_ratios=(1.35, 0.95, 1.35, 1.1))
    for line, base in zip(axes, BASES, strict=True):
        _draw_answers(line[0], individuals, colours, base, names)
        _draw_right(line[1], individuals, colours, base)
        _draw_classes(line[2], agreements, colours, base, names)
        image = _draw_matrix(line[3], individuals, agreements, base, list(groups))
    scale(below, image, list(axes[:, 3]), "correlation of choice images without noise", shrink=0.6)
    handles = [
        axes[0, 0].plot([], [], "o", color=colour, markersize=4)[0] for colour in colours.values()
    ]
    labels = [_description(group) for group in groups.values()]
    below.legend(handles, labels, loc="outside lower center", ncols=len(groups), frameon=False)
    figure.suptitle(title)
    return figure


def _description(group):
    """Describe a group in the legend."""
    noisy = f", trained with white noise in {group.noisy_share:.0%} of the images"
    return f"{group.title} ({group.count} networks{noisy if group.noisy_share else ''})"


def _draw_examples(figure, individuals, colours, name):
    """Draw the choice image of one class for every network, a row for each base."""
    axes = figure.subplots(2, len(individuals), squeeze=False)
    without_ticks(axes)
    for line, base in zip(axes, BASES, strict=True):
        line[0].set_ylabel(base, fontsize=7)
        for axis, network in zip(line, individuals, strict=True):
            estimate = network.measurements[base].classes["choice"]
            show_signed(axis, picture(estimate.image[EXAMPLE : EXAMPLE + 1])[0])
            axis.set_xlabel(f"{estimate.reliability[EXAMPLE]:.2f}", fontsize=6, labelpad=3)
            for spine in axis.spines.values():
                spine.set(color=colours[network.group.title], linewidth=1.5)
    figure.suptitle(
        f"choice image of {name} of each network, in units of its own largest absolute value; "
        "below it, its split-half reliability",
        fontsize=8,
    )


def _draw_answers(axis, individuals, colours, base, names):
    """Draw how often noise gets each answer: a dot a network, a bar for the mean."""
    curve_axes(axis, "", "share of noise so answered", f"{base}: answers")
    for place, title in _beside(colours):
        shares = np.array([n.answered(base) for n in individuals if n.group.title == title])
        for k, values in enumerate(shares.T):
            _strip(axis, k + place, values, colours[title])
    _name_classes(axis, names)


def _draw_right(axis, individuals, colours, base):
    """Draw how many test images a network's class images classify right by themselves."""
    curve_axes(axis, "", "share of test images right", f"{base}: class images as templates")
    axis.axhline(0.1, color="0.6", linewidth=0.8, linestyle=":")
    for place, title in _beside(colours):
        right = [n.right[base] for n in individuals if n.group.title == title]
        for k, response in enumerate(RESPONSES):
            _strip(axis, k + place, [shares[response] for shares in right], colours[title])
    axis.set_xticks(range(len(RESPONSES)), RESPONSES)


def _draw_classes(axis, agreements, colours, base, names):
    """Draw the mean agreement within a group, class by class, with its interval."""
    curve_axes(axis, "", "r, mean over pairs", f"{base}: agreement within a group")
    within = [a for a in agreements if a.base == base and a.parts is not None]
    least = 0.0
    for place, agreement in _beside(within):
        for k, parts in enumerate(agreement.parts.T):
            low, high = student_interval(parts, limits=(-1, 1))
            colour = colours[agreement.groups[0]]
            axis.plot([k + place] * 2, [low, high], color=colour, linewidth=1)
            axis.plot(k + place, parts.mean(), "o", color=colour, markersize=3.5)
            least = min(least, low)
    axis.set_ylim(min(-0.02, least - 0.02), 1.02)
    _name_classes(axis, names)


def _draw_matrix(axis, individuals, agreements, base, groups):
    """Draw the agreement of every pair, mean over classes; grey where the noise was another."""
    sizes = [sum(network.group.title == title for network in individuals) for title in groups]
    ends = np.cumsum([0, *sizes])
    matrix = np.full((ends[-1], ends[-1]), np.nan)
    for agreement in agreements:
        if agreement.base == base:
            i, j = (groups.index(title) for title in agreement.groups)
            part = np.nanmean(agreement.matrix, axis=2)
            matrix[ends[i] : ends[i + 1], ends[j] : ends[j + 1]] = part
            matrix[ends[j] : ends[j + 1], ends[i] : ends[i + 1]] = part.T
    np.fill_diagonal(matrix, np.nan)
    axis.set_facecolor("0.85")
    image = axis.imshow(matrix, cmap=SIGNED, vmin=-1, vmax=1)
    for end in ends[1:-1]:
        axis.axhline(end - 0.5, color="k", linewidth=0.6)
        axis.axvline(end - 0.5, color="k", linewidth=0.6)
    middles = (ends[:-1] + ends[1:] - 1) / 2
    axis.set_xticks(middles, groups, fontsize=6.5)
    axis.set_yticks(middles, groups, fontsize=6.5, rotation=90, va="center")
    axis.tick_params(length=0)
    note = "\n(grey: shown another contrast)" if np.isnan(matrix).sum() > len(matrix) else ""
    axis.set_title(f"{base}: agreement of pairs{note}")
    return image


def _beside(groups):
    """Return (place beside a tick, group) of each."""
    return [((i - (len(groups) - 1) / 2) * 0.24, group) for i, group in enumerate(groups)]


def _strip(axis, place, values, colour):
    """Draw a dot for each value, and the mean with its interval."""
    low, high = student_interval(values)
    axis.plot([place] * len(values), values, "o", color=colour, markersize=2.2, alpha=0.35)
    axis.plot([place] * 2, [low, high], color=colour, linewidth=1)
    axis.plot(place, np.mean(values), "_", color=colour, markersize=5, markeredgewidth=1.4)


def _name_classes(axis, names):
    """Name the ticks of classes, slanted where the names are long."""
    slanted = {"rotation": 40, "ha": "right"} if max(map(len, names)) > 2 else {}
    axis.set_xticks(range(len(names)), names, fontsize=7, **slanted)
