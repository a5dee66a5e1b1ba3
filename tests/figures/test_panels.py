"""Figures of Parts 3 and 4 are asked what data they hold, not compared as pixels."""

import numpy as np

from reverse_correlation.figures.class_images import ImageRow, draw_rows
from reverse_correlation.figures.filters import draw_filters

NAMES = [f"class {k}" for k in range(10)]
MAPS = np.random.default_rng(0).normal(size=(10, 6, 7))


def test_class_images_show_an_empty_panel_for_a_class_never_answered():
    maps = MAPS.copy()
    maps[2] = np.nan
    row = ImageRow(maps, np.abs(maps) > 1, ["n = 5"] * 10, [f"0 of {k}" for k in range(10)])
    figure = draw_rows({"decision": row}, NAMES, "title")
    assert figure.axes[2].texts[0].get_text() == "0 of 2" and not figure.axes[2].images
    assert figure.axes[0].images[0].get_clim() == (-1, 1)
    assert np.abs(figure.axes[0].images[0].get_array()).max() == 1
    assert figure.axes[0].get_xlabel() == "n = 5"


def test_a_silent_filter_is_said_to_be_silent():
    kernels = np.random.default_rng(0).normal(size=(6, 5, 5, 1))
    averages = 0.1 * kernels
    averages[2] = 0
    figure = draw_filters({"kernel": kernels, "STA": averages}, list("abcdef"), "title")
    texts = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert (
        texts == ["silent"] and len([image for axis in figure.axes for image in axis.images]) == 11
    )
