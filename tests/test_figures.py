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


def test_a_confusion_matrix_has_truth_in_rows():
    shares = np.eye(10)
    shares[3] = 0
    shares[3, 7] = 1
    axis = figures.confusion_matrix({"": shares}, NAMES, "title", "share").axes[0]
    mesh = axis.collections[0].get_array().reshape(10, 10)
    assert mesh[3, 7] == 1 and axis.get_ylabel() == "ground truth"
    assert axis.get_xlabel() == "prediction" and axis.yaxis_inverted()


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    before = dict(matplotlib.rcParams)
    paths = [
        figures.save(
            figures.panels(MAPS, NAMES, NAMES, "title", "label"), tmp_path / f"{i}" / "a.png"
        )
        for i in (0, 1)
    ]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert Image.open(paths[0]).convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    assert dict(matplotlib.rcParams) == before  # no global setting was touched


@pytest.mark.parametrize("count", [2, 7])
def test_any_number_of_classes_fits(count, tmp_path):
    figure = figures.panels(MAPS[:count], NAMES[:count], NAMES[:count], "title", "label")
    assert len(images_of(figure)) == count
    figures.save(figure, tmp_path / "a.png")
