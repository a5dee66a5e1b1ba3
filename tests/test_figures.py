"""Figures are asked what data they hold, not compared as pixels."""

import matplotlib
import numpy as np
import pytest
from PIL import Image

import figures

NAMES = [f"class {k}" for k in range(10)]
MAPS = np.random.default_rng(0).normal(size=(10, 6, 7))


def images_of(figure):
    return [image for axis in figure.axes for image in axis.images]


def test_signed_maps_share_one_scale_symmetric_about_zero():
    maps = MAPS.copy()
    maps[4] = np.nan
    figure = figures.panels(maps, NAMES, ["n = 3"] * 10, "title", "label", signed=True)
    shown = images_of(figure)
    assert len(shown) == 9
    high = np.nanmax(np.abs(maps))
    assert {image.get_clim() for image in shown} == {(-high, high)}
    assert np.array_equal(shown[0].get_array(), maps[0])
    assert "no image" in [text.get_text() for text in figure.axes[4].texts]


def test_class_images_show_an_empty_panel_for_a_class_never_answered():
    maps = MAPS[..., None].copy()
    maps[2] = np.nan
    row = (maps, np.abs(maps) > 1, ["n = 5"] * 10, [f"0 of {k}" for k in range(10)])
    figure = figures.classification_images({"decision": row}, NAMES, "title")
    assert figure.axes[2].texts[0].get_text() == "0 of 2" and not figure.axes[2].images
    assert figure.axes[0].images[0].get_clim() == (-1, 1)
    assert np.abs(figure.axes[0].images[0].get_array()).max() == 1
    assert figure.axes[0].get_xlabel() == "n = 5"


def test_a_confusion_matrix_has_truth_in_rows():
    shares = np.eye(10)
    shares[3] = 0
    shares[3, 7] = 1
    axis = figures.confusion_matrix({"": shares}, NAMES, "title", "share").axes[0]
    mesh = axis.collections[0].get_array().reshape(10, 10)
    assert mesh[3, 7] == 1 and axis.get_ylabel() == "ground truth"
    assert axis.get_xlabel() == "prediction" and axis.yaxis_inverted()


def test_a_silent_filter_is_said_to_be_silent():
    kernels = np.random.default_rng(0).normal(size=(6, 5, 5, 1))
    averages = 0.1 * kernels
    averages[2] = 0
    figure = figures.filters({"kernel": kernels, "STA": averages}, list("abcdef"), "title")
    texts = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert texts == ["silent"] and len(images_of(figure)) == 11


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    before = dict(matplotlib.rcParams)
    paths = [
        figures.save(
            figures.panels(MAPS, NAMES, NAMES, "title", "label"), tmp_path / f"{i}" / "a.png"
        )
        for i in (0, 1)
    ]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert Image.open(paths[0]).getpixel((0, 0)) == 255  # white, exactly
    assert dict(matplotlib.rcParams) == before  # no global setting was touched


@pytest.mark.parametrize("count", [2, 7])
def test_any_number_of_classes_fits(count, tmp_path):
    figure = figures.panels(MAPS[:count], NAMES[:count], NAMES[:count], "title", "label")
    assert len(images_of(figure)) == count
    figures.save(figure, tmp_path / "a.png")
