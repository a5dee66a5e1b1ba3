"""The figure of a comparison, read from its artists."""

import numpy as np
import pytest
from helpers import show
from small_observers import observer

from reverse_correlation import compare, difference
from reverse_correlation.estimates.prediction import CrossPrediction
from reverse_correlation.figures.class_images import SHOWN_CLASSES
from reverse_correlation.figures.comparison import draw_comparison, mean_over_classes

NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def two():
    """Measurements of two networks of three classes, each with noise of its own."""
    rng = np.random.default_rng(0)
    return [show(observer(rng.normal(size=(5, 6, 1, 3))), 16_000, seed=i) for i in (0, 1)]


def test_the_images_of_each_observer_stand_in_its_row_and_differences_below(two):
    found, differing = compare(two, "logit", ("x", "y")), difference(*two, "logit")
    figure = draw_comparison(found, differing, two, NAMES, "logit")
    below = np.array(figure.subfigs[1].axes[:9]).reshape(3, 3)
    assert [row[0].get_ylabel() for row in below] == ["x", "y", "difference"]
    assert [axis.get_title() for axis in below[0]] == list(NAMES)
    images = [each.classes["logit"].image for each in two] + [differing.covariance]
    for row, maps in zip(below, images, strict=True):
        for axis, image in zip(row, maps[..., 0], strict=True):
            assert np.allclose(axis.images[0].get_array(), image / np.abs(image).max())
    for axis, r in zip(below[1], two[1].classes["logit"].reliability, strict=True):
        assert axis.get_xlabel() == ("r > .99" if r > 0.995 else f"r = .{round(100 * r)}")
    for axis, mask in zip(below[2], differing.significant, strict=True):
        assert axis.get_xlabel().startswith(f"{mask.sum()} pixels")


def test_the_matrix_says_what_it_shows(two):
    found = compare(two, "logit", ("x", "y"))
    figure = draw_comparison(found, None, two, NAMES, "logit")
    (axis,) = figure.subfigs[0].subfigs[0].axes
    matrix = found.disattenuated.mean(axis=2)
    assert np.allclose(axis.images[0].get_array(), matrix)
    assert [text.get_text() for text in axis.texts] == [f"{r:.2f}" for r in matrix.ravel()]
    assert f"0 ± {found.error:.2f}" in " ".join(figure.subfigs[0].subfigs[0].get_suptitle().split())


def test_agreement_by_band_shows_each_class_its_mean_and_what_unrelated_images_have(two):
    found = compare(two, "logit", ("x", "y"))
    (axis,) = draw_comparison(found, None, two, NAMES, "logit").subfigs[0].subfigs[1].axes
    r, error = found.bands.disattenuated[:, 0, 1], found.bands.disattenuated_error[:, 0, 1]
    assert [text.get_text() for text in axis.get_xticklabels()] == ["1–2", "2–4"]
    *classes, mean, _ = (line.get_ydata() for line in axis.lines)
    assert np.allclose(np.transpose(classes), r) and np.allclose(mean, r.mean(axis=1))
    tops = [bar.get_y() + bar.get_height() for bar in axis.patches]
    assert np.allclose(tops, 1.96 * error.mean(axis=1))


def test_the_mean_is_over_classes_that_have_a_correlation():
    r = np.array([[[0.2, np.nan, 0.4], [np.nan, np.nan, np.nan]]])
    assert np.allclose(mean_over_classes(r), [[0.3, np.nan]], equal_nan=True)


def test_the_commonest_of_many_classes_are_drawn_and_all_are_compared():
    rng = np.random.default_rng(1)
    two = [show(observer(rng.normal(size=(4, 4, 1, 24))), 16_000, seed=i) for i in (0, 1)]
    found = compare(two, "choice")
    assert found.correlation.shape == (2, 2, 24)
    figure = draw_comparison(found, None, two, [str(k) for k in range(24)], "choice")
    titles = [axis.get_title() for axis in figure.subfigs[1].axes if axis.get_title()]
    assert len(titles) == SHOWN_CLASSES and "20 commonest of 24" in figure.subfigs[1].get_suptitle()
    least = np.sort(two[0].answered)[-SHOWN_CLASSES]
    assert all(two[0].answered[int(title)] >= least for title in titles)


def test_what_images_predict_stands_beside_the_agreement():
    two = [show(observer(np.eye(16).reshape(4, 4, 1, 16)), 16_000, seed=i) for i in (0, 1)]
    found, share = compare(two, "logit"), np.array([[0.9, np.nan], [0.55, np.nan]])
    crossed = CrossPrediction(found.names, share, share, share, 2000)
    names = [str(k) for k in range(16)]
    figure = draw_comparison(found, None, two, names, "logit", crossed)
    left, right, *_ = figure.subfigs[0].subfigs
    (axis,) = right.axes
    assert [text.get_text() for text in axis.texts] == ["90%", "-", "55%", "-"]
    assert axis.images[0].get_clim() == (0, 1) and "2,000 fresh pairs" in right.get_suptitle()
    assert [text.get_text() for text in left.axes[0].texts][0] == "1.00"
