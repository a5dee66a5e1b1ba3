"""Figures of class images are asked what they hold."""

import numpy as np
import pytest
from small_observers import observer

from reverse_correlation import WhiteNoise, measure
from reverse_correlation.estimates.findings import Shown, class_findings
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


def title(figure):
    """The title of a figure, wherever its lines were broken."""
    return figure.get_suptitle().replace("\n", " ")


def caption(figure):
    """What stands below a figure, likewise."""
    return figure.get_supxlabel().replace("\n", " ")


def rows_of(figure, columns):
    """{label: the axes of its row}."""
    axes = [axis for axis in figure.axes if axis.axison]
    starts = [i for i, axis in enumerate(axes) if axis.get_ylabel() and axis.get_title() != "base"]
    return {axes[i].get_ylabel(): axes[i : i + columns] for i in starts}


def test_the_figure_of_biases_says_how_many_images_of_each_noise(measurement):
    bright = measure(observer(WEIGHTS), BRIGHT, 2000, progress=False)
    shown = of("pure noise", measurement), of("mean image", bright)
    first, second = (draw_bias(some, NAMES, "a net") for some in (shown[:1], shown))
    assert "with 1,000 Gaussian noise images; n: times answered" in caption(first)
    assert (
        "with 1,000 Gaussian noise images (pure noise) and 2,000 Gaussian noise images (mean image)"
        in caption(second)
    )
    assert title(first) == title(second) == "What a net looks for"
    assert list(rows_of(first, 3))[:3] == ["choice", "decision", "logit"]
    rows = rows_of(second, 3)
    assert list(rows)[:3] == ["pure noise\nchoice", "pure noise\ndecision", "mean image\nchoice"]
    for label, measured in (("pure noise", measurement), ("mean image", bright)):
        for k, axis in enumerate(rows[f"{label}\nchoice"]):
            image = measured.classes["choice"].covariance[k, ..., 0]
            assert np.allclose(axis.images[0].get_array(), image / np.abs(image).max())
    assert [axis.get_title() for axis in rows["pure noise\nchoice"]] == list(NAMES)


def test_the_caption_says_from_how_many_images_on_there_is_a_reliability(measurement):
    """Where some of the images have none: they were shown a single block."""
    two = measure(observer(WEIGHTS), BRIGHT, 4096, progress=False)
    before = "r: split-half reliability, from 4,096 images on; black"
    for first, second in ((measurement, two), (two, measurement)):
        assert before in caption(first.plot()) or np.isfinite(first.classes["logit"].reliability[0])
        shown = of("pure noise", first), of("mean image", second)
        assert before in caption(draw_bias(shown, NAMES, "a net"))
    for figure in (two.plot(), draw_bias([of("mean image", two)], NAMES, "a net")):
        assert "r: split-half reliability; black" in caption(figure)
    independent = measure(observer(WEIGHTS), GREY.independent, 1000, progress=False)
    n = independent.images_for_reliability
    assert f"reliability, from {n:,} images on;" in caption(independent.plot())
    enough = measure(observer(WEIGHTS), GREY.independent, n // 2 + 2, progress=False)
    assert "images on" not in caption(enough.plot())


def test_an_image_that_is_not_above_chance_is_faded_and_says_so():
    """One class depends on a pixel, one on nothing but what the others do not see."""

    def answer(images):
        hidden = np.sin(1e4 * images.sum(axis=(1, 2, 3)))  # no linear function of the pixels
        return np.stack([30 * images[:, 2, 2, 0], hidden], axis=1)

    seen = measure(answer, GREY.independent, 4000, progress=False)
    logit = seen.classes["logit"]
    assert logit.above_chance.tolist() == [True, True]  # centred: the one is minus the other
    logit.coefficient_error[:] = [1e-9, 1e9]
    logit.standard_error[1] *= 1e9
    vars(logit).pop("z", None)
    figure = seen.plot("logit")
    seen_one, unseen = figure.axes[:2]
    assert seen_one.images[0].get_alpha() == 1 and unseen.images[0].get_alpha() < 0.5
    assert "not above\nchance" in unseen.get_xlabel()
    assert "chance" not in seen_one.get_xlabel()


def test_the_outline_of_the_base_lies_over_every_image_about_it():
    base = np.zeros(SHAPE)
    base[1:4, 2] = 1
    noise = WhiteNoise(shape=SHAPE, base=base, contrast=0.2)
    seen = measure(observer(WEIGHTS), noise, 2048, progress=False)
    for axis in seen.plot("logit").axes[:3]:
        lines = [
            each for each in axis.collections if tuple(each.get_edgecolor()[0]) != (0, 0, 0, 1)
        ]
        outline = np.concatenate([path.vertices for each in lines for path in each.get_paths()])
        assert np.allclose((outline.min(axis=0) + outline.max(axis=0)) / 2, [2, 2], atol=0.1)
        assert np.allclose(np.ptp(outline, axis=0), [1, 3], atol=0.3)
    assert "green: outline of the image that noise is about" in caption(seen.plot())
    grey = measure(observer(WEIGHTS), GREY, 2048, progress=False)
    assert "outline" not in caption(grey.plot())


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
    assert title(figure).startswith("4 test images classified by")


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
