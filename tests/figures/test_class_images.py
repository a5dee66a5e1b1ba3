"""Figures of class images are asked what they hold."""

import numpy as np
import pytest
from small_observers import observer

from reverse_correlation import PinkNoise, WhiteNoise, measure
from reverse_correlation.estimates.correlation import correlations
from reverse_correlation.estimates.findings import Shown, class_findings
from reverse_correlation.figures.about_base import draw_about_base
from reverse_correlation.figures.class_images import draw_bias
from reverse_correlation.figures.templates import draw_confusions, draw_templates

SHAPE = (6, 5, 1)
NAMES = ("cat", "dog", "owl")
WEIGHTS = np.random.default_rng(3).normal(size=(*SHAPE, 3))
TEMPLATES = np.moveaxis(WEIGHTS - WEIGHTS.mean(axis=-1, keepdims=True), -1, 0)
GREY, BRIGHT = WhiteNoise(shape=SHAPE), WhiteNoise(shape=SHAPE, base=0.8, contrast=0.1)


def of(title, measurement, test=None):
    """What was shown, without exact images."""
    return Shown(title, measurement, class_findings(measurement, test=test))


@pytest.fixture(scope="module")
def measurement():
    """A linear network shown a thousand images of noise about grey."""
    return measure(observer(WEIGHTS), GREY, 1000, progress=False)


def caption(figure):
    """The title of a figure, wherever its lines were broken."""
    return figure.get_suptitle().replace("\n", " ")


def test_the_figure_of_biases_says_how_many_images_of_each_noise(measurement):
    bright = measure(observer(WEIGHTS), BRIGHT, 2000, progress=False)
    shown = of("pure noise", measurement), of("mean image", bright)
    first, second = (draw_bias(some, NAMES, "a net") for some in (shown[:1], shown))
    one, two = caption(first), caption(second)
    assert "of its answers with 1,000 Gaussian noise images n: times" in one
    assert (
        "with 1,000 Gaussian noise images (pure noise) and 2,000 Gaussian noise images (mean image)"
        in two
    )
    assert one.startswith("What a net looks for: ") and "exact" not in one + two
    rows = [axis.get_ylabel() for axis in second.axes if axis.get_ylabel()]
    responses = ["choice", "decision", "probability", "logit"]
    assert rows[:8] == [f"{noise}\n{name}" for noise in ("pure noise", "mean image")
                        for name in responses]  # fmt: skip
    axes = second.axes
    for row, measured in ((3, measurement), (7, bright)):
        for k, name in enumerate(NAMES):
            image = measured.classes["logit"].covariance[k, ..., 0]
            axis = axes[3 * row + k]
            assert np.allclose(axis.images[0].get_array(), image / np.abs(image).max())
            assert axes[k].get_title() == name


def test_the_caption_says_from_how_many_images_on_there_is_a_reliability(measurement):
    """Where some of the images have none: they were shown a single block."""
    two = measure(observer(WEIGHTS), BRIGHT, 4096, progress=False)
    before = "r: split-half reliability, from 4,096 images on; needs"
    for first, second in ((measurement, two), (two, measurement)):
        assert before in caption(first.plot()) or np.isfinite(first.classes["logit"].reliability[0])
        shown = of("pure noise", first), of("mean image", second)
        assert before in caption(draw_bias(shown, NAMES, "a net"))
    for figure in (two.plot(), draw_bias([of("mean image", two)], NAMES, "a net")):
        assert "r: split-half reliability; needs" in caption(figure)
    independent = measure(observer(WEIGHTS), GREY.independent, 1000, progress=False)
    n = independent.images_for_reliability
    assert f"reliability, from {n:,} images on;" in caption(independent.plot())
    enough = measure(observer(WEIGHTS), GREY.independent, n // 2 + 2, progress=False)
    assert "images on" not in caption(enough.plot())


def test_the_figure_of_biases_tells_the_agreement_of_every_image_with_the_exact_one(
    measurement,
):
    shown = of("pure noise", measurement)
    shown.findings.exact_agreement["logit"] = np.array([0.125, np.nan, 0.75])
    figure = draw_bias([shown], NAMES, "a net")
    notes = [axis.get_xlabel() for axis in figure.axes[9:12]]
    assert "exact 0.125" in notes[0] and "exact" not in notes[1] and "exact 0.750" in notes[2]
    assert not any("exact" in axis.get_xlabel() for axis in figure.axes[:9])
    assert "exact: correlation with the image from the network's gradients" in caption(figure)


@pytest.mark.parametrize(("orthogonal", "images"), [(False, 1000), (True, 2048)])
def test_weights_of_coloured_noise_are_expected_to_be_as_near_to_the_truth_as_they_are(
    orthogonal, images
):
    """A block of orthogonal numbers recovers those of a linear network exactly."""
    shape = (12, 12, 1)
    weights = np.random.default_rng(0).normal(size=(*shape, 2))
    truth = np.moveaxis(weights, -1, 0) - weights.mean(axis=-1)
    pink = measure(
        observer(weights), PinkNoise(shape, orthogonal=orthogonal), images, progress=False
    )
    expected = pink.weights_correlation()
    r = correlations(truth, pink.classes["logit"].weights)
    assert expected == pytest.approx(r, abs=1e-5 if orthogonal else 0.05)
    assert r.min() > 1 - 1e-5 if orthogonal else 0.5 < r.max() < 0.97
    axes = draw_bias([of("pink", pink)], ("no", "yes"), "a net").axes
    row = next(i for i, axis in enumerate(axes) if axis.get_ylabel() == "logit,\nas weights")
    for k, axis in enumerate(axes[row : row + 2]):
        drawn_weights = axis.images[0].get_array()
        assert correlations([drawn_weights], [truth[k]])[0] == pytest.approx(r[k])
        assert axis.get_xlabel() == f"expected r {expected[k]:.2f}"


def test_a_base_plus_an_image_is_brighter_where_the_image_is_positive():
    template = np.zeros(SHAPE)
    template[1, 2], template[4, 0] = 2, -1  # of class 1
    noise = WhiteNoise(shape=SHAPE, low=-1, high=1, base=0.2, contrast=0.1)
    seen = measure(
        observer(np.stack([-template, template], axis=-1)), noise, 20_000, progress=False
    )
    figure = draw_about_base(seen, ("no", "yes"), "a net")
    axes = figure.axes
    rows = {axes[i].get_ylabel(): axes[i : i + 2] for i in range(0, 8, 2)}
    assert [axis.get_title() for axis in axes[:2]] == ["no", "yes"]
    for response in ("choice", "logit"):
        for sign, word in ((1, "+"), (-1, "-")):
            line = rows[f"{response}\nbase {word} image"]
            for towards, axis in zip((-sign, sign), line, strict=True):  # away from "no", to "yes"
                pixels = axis.images[0].get_array()
                # from -1 to 1 is from black to white; a deviation is .1 of that at the largest
                assert pixels[1, 2] == pytest.approx(0.6 + 0.1 * towards)
                assert pixels[4, 0] == pytest.approx(0.6 - 0.05 * towards, abs=0.02)
                assert axis.images[0].get_clim() == (0, 1)
    assert "(Gaussian noise, 20,480 images)" in caption(figure)


def test_pictures_about_a_base_stay_within_the_range():
    template = np.ones(SHAPE)
    noise = WhiteNoise(shape=SHAPE, base=0.9, contrast=0.3)
    seen = measure(observer(np.stack([-template, template], axis=-1)), noise, 2000, progress=False)
    axes = draw_about_base(seen, ("no", "yes"), "a net").axes
    pictures = [axis.images[0].get_array() for axis in axes]
    assert max(pixels.max() for pixels in pictures) == 1
    assert min(pixels.min() for pixels in pictures) == pytest.approx(0.6)


def test_the_figure_of_templates_has_a_matrix_for_each_noise_and_response(measurement):
    bright = measure(observer(WEIGHTS), BRIGHT, 1000, progress=False)
    bright.classes["decision"].covariance[:] = 0  # as if one class had got every answer
    tested = TEMPLATES[[0, 1, 2, 2]], np.array([0, 1, 2, 0])
    shown = of("pure noise", measurement, tested), of("mean image", bright, tested)
    figure = draw_templates(shown, NAMES, "a net", 4)
    titles = [axis.get_title() for axis in figure.axes[:8]]
    assert titles[3] == titles[7] == "logit: 75.0% right" and titles[5] == "decision: none"
    assert figure.axes[0].get_ylabel() == "pure noise\nground truth"
    assert figure.axes[4].get_ylabel() == "mean image\nground truth"
    truth_down = [
        [0.5, 0, 0.5],
        [0, 1, 0],
        [0, 0, 1],
    ]  # one of two images of class 0 is taken for 2
    assert figure.axes[3].images[0].get_array().tolist() == truth_down
    assert "one answer" in figure.axes[5].texts[0].get_text() and not figure.axes[5].images
    assert caption(figure).startswith("4 test images classified by")


def test_a_row_of_confusions_may_be_shorter_than_another():
    matrix = np.eye(3), 1.0
    figure = draw_confusions(
        {"grey": {"choice": matrix, "logit": matrix}, "sparse": {"logit": (np.eye(3)[::-1], 0.25)}},
        NAMES,
        "title",
    )
    axes = figure.axes
    assert [axis.get_title() for axis in axes[:3]] == [
        "choice: 100.0% right",
        "logit: 100.0% right",
        "logit: 25.0% right",
    ]
    assert axes[2].images[0].get_array().tolist() == np.eye(3)[::-1].tolist()
    assert axes[2].axison and not axes[3].axison
    assert [text.get_text() for text in axes[2].get_xticklabels()] == list(NAMES)
    assert [text.get_text() for text in axes[2].get_yticklabels()] == list(NAMES)
