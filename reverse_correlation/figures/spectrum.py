"""The power of class images by spatial frequency, over that of their noise."""

import numpy as np
from matplotlib.ticker import NullLocator

from reverse_correlation.figures.class_images import (
    LETTERS,
    NOT_MORE,
    commonest,
    noise_images,
    of_how_many,
    response_of,
)
from reverse_correlation.figures.style import SERIES, WIDTH, Picture, styled, wrapped

COLUMNS = 5  # of the figure


@styled
def draw_spectrum(measurement, names, place, response=None):
    """Draw at which spatial frequencies class images stand above their noise: a matplotlib Figure.

    Args:
        measurement: of a pass whose noise can be whitened.
        names: of the measured classes.
        place: what the observer is called.
        response: whose images; by default choice, if there is one.
    """
    response = response_of(measurement, response)
    estimate, shown = measurement.classes[response], commonest(measurement)
    found, faint = estimate.spectrum(), ~estimate.above_chance
    columns = min(COLUMNS, len(shown))
    lines, width = -(-len(shown) // columns), max(WIDTH * columns / COLUMNS, 4.5)
    medians = found.median[shown][~faint[shown]]
    title = wrapped(spectrum_title(place, response, medians), 13.5 * width)
    title += of_how_many(measurement, shown)
    caption = wrapped(spectrum_caption(measurement), 17 * width)
    height = 1.25 * lines + 0.75 + 0.17 * title.count("\n") + 0.13 * (caption.count("\n") + 1)
    figure = Picture(figsize=(width, height), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    for axis in axes.flat[len(shown) :]:
        axis.set_axis_off()
    for axis, k in zip(axes.flat, shown, strict=False):
        axis.set_title(wrapped(names[k], 2 * LETTERS), pad=3)
        draw_one(axis, found, k, faint[k])
    for axis in axes.flat[len(shown) - columns : len(shown)]:  # the lowest of each column
        axis.tick_params(labelbottom=True)
    for axis in axes[:, 0]:
        axis.set_ylabel("signal / noise")
    figure.suptitle(title)
    figure.supxlabel(caption, fontsize=7)
    return figure


def draw_one(axis, found, k, faint):
    """Draw the spectrum of class k of a Spectrum over the interval of noise alone."""
    axis.tick_params(labelsize=7, width=0.5)
    if np.isnan(found.power[k]).all():  # not `empty`: the panels have one scale
        axis.set_facecolor("0.93")
        style = {"transform": axis.transAxes, "ha": "center", "va": "center", "color": "0.35"}
        axis.text(0.5, 0.5, "varies\ntoo little", fontsize=7, **style)
        return
    axis.set_xscale("symlog", linthresh=1, linscale=0.5)
    axis.set_yscale("symlog", linthresh=1, linscale=0.5)
    floor, colour, alpha = found.floor[k], SERIES[0], 0.3 if faint else 1
    axis.fill_between(found.frequency, *found.chance[:, k], color="0.85", linewidth=0)
    axis.axhline(0, color="0.4", linewidth=0.6)
    axis.errorbar(
        found.frequency,
        found.power[k] / floor,
        found.error[k] / floor,
        color=colour,
        alpha=alpha,
        marker=".",
        markersize=3,
        linewidth=0.7,
    )
    if faint:
        axis.text(0.97, 0.95, NOT_MORE, transform=axis.transAxes, ha="right", va="top", fontsize=7)
    elif np.isfinite(found.median[k]):
        axis.axvline(found.median[k], color=SERIES[1], linewidth=0.8, linestyle=":")
    highest = max(found.frequency[-1], 1)
    axis.set_xticks([0, *2.0 ** np.arange(np.floor(np.log2(highest)) + 1)])
    axis.yaxis.get_major_locator().set_params(numticks=6)  # of eight decades, not all
    for ticks in (axis.xaxis, axis.yaxis):
        ticks.set_major_formatter("{x:g}")
        ticks.set_minor_locator(NullLocator())


def spectrum_title(place, response, medians):
    """Say at which frequencies the medians of the power of images that are above chance lie."""
    known = np.sort(medians[np.isfinite(medians)])
    if not len(known):
        return f"{place}: no {response} image is above chance"
    ends = " to ".join(dict.fromkeys(f"{end:g}" for end in known[[0, -1]]))
    return f"{place}, {response} images: median frequency of their power {ends} cycles an image"


def spectrum_caption(measurement):
    """Return the caption: what the points, the bars and the grey band are."""
    height, width, _ = measurement.noise.shape
    side = "the longer side" if height != width else "a side"
    return (
        "Power of the whitened class image above that of its noise, in units of the noise, by "
        f"cycles along {side} (0: the image's mean; last: all beyond, too), from "
        f"{noise_images(measurement)}. Bars: 1 standard error; grey: 95 % of images of noise "
        "alone; dotted: half of the power lies up to there; faded: not above chance."
    )
