"""Measurements as a notebook sees them, and the page of a network in a real browser."""

import json
import re

import numpy as np
import pytest
from browser import Browser, has_browser
from helpers import show
from small_observers import observer

import main
from reverse_correlation import Measurement, UserError
from reverse_correlation.figures.class_images import RESPONSES, SHOWN_CLASSES, draw_class_images
from reverse_correlation.figures.filters import draw_filters


def of_classes(count):
    weights = np.random.default_rng(0).normal(size=(6, 6, 1, count))
    return show(observer(weights), 16_000)


@pytest.fixture(scope="module")
def measurement():
    return of_classes(5)


def titles(figure):
    return [axis.get_title() for axis in figure.axes if axis.get_title()]


def test_a_measurement_plots_a_row_for_each_response_or_the_one_that_is_asked_for(measurement):
    figure, one = measurement.plot(), measurement.plot("choice", names=list("abcde"))
    rows = [axis.get_ylabel() for axis in figure.axes[:-1]]
    assert [row for row in rows if row] == ["choice", "decision", "probability", "logit"]
    assert titles(figure) == list("01234") and titles(one) == list("abcde")
    with pytest.raises(UserError, match="not 'decisions'"):
        measurement.plot("decisions")


def test_of_many_classes_the_commonest_answers_are_plotted():
    many = of_classes(24)
    figure = many.plot(kind="choice")
    assert "20 commonest of 24" in figure.get_suptitle()
    least = np.sort(many.answered)[-SHOWN_CLASSES]
    assert all(many.answered[int(title)] >= least for title in titles(figure))


def test_every_picture_of_a_plot_is_the_image_of_its_class(measurement):
    figure = measurement.plot("logit")
    for axis in figure.axes:
        if axis.images:
            image = measurement.classes["logit"].image[int(axis.get_title()), ..., 0]
            assert np.allclose(axis.images[0].get_array(), image / np.abs(image).max())


def test_chosen_classes_keep_their_numbers(measurement):
    weights = np.random.default_rng(0).normal(size=(6, 6, 1, 5))
    chosen = show(observer(weights), 16_000, only=(4, 2))  # of the network of `measurement`
    figure = chosen.plot("logit")
    assert titles(figure) == ["4", "2"] and "(2 chosen classes)" in figure.get_suptitle()
    for axis, image in zip(figure.axes, measurement.classes["logit"].image[[4, 2]], strict=False):
        shown = axis.images[0].get_array()
        assert np.allclose(shown, image[..., 0] / np.abs(image).max(), atol=1e-5)
    rows = re.findall(r"<tr><td>(\d+)</td><td>([\d,]+)</td>", chosen._repr_html_())
    assert rows == [(str(k), f"{measurement.answered[k]:,}") for k in (4, 2)]
    assert titles(chosen.plot("choice", names=["fifth", "third"])) == ["fifth", "third"]


def test_a_caption_and_notes_say_what_was_counted(measurement):
    figure = measurement.plot()
    assert "16,000 Gaussian noise images" in figure.get_suptitle()
    notes = [axis.get_xlabel() for axis in figure.axes[:20]]
    counts = [int(re.match(r"n = ([\d,]+)", note)[1].replace(",", "")) for note in notes[5:10]]
    assert sum(counts) == 16_000 and counts == measurement.answered.tolist()
    means = [float(re.match(r"mean (\S+)", note)[1]) for note in notes[10:15]]
    assert sum(means) == pytest.approx(1, abs=0.03)  # of probabilities
    rows = zip(RESPONSES, (notes[:5], notes[5:10], notes[10:15], notes[15:]), strict=True)
    for kind, row in rows:
        estimate = measurement.classes[kind]
        told = zip(row, estimate.reliability, estimate.images_needed(), strict=True)
        for note, r, needed in told:
            assert ("needs" in note) == np.isfinite(needed)
            assert f"r = {r:.3f}\nneeds {needed:,.0f}" in note or not np.isfinite(needed)


def test_a_class_that_is_never_answered_says_so_and_has_a_choice_image_all_the_same():
    weights = np.random.default_rng(0).normal(size=(6, 6, 1, 3))
    figure = show(observer(weights, [0, 0, -1000]), 8_000).plot()
    choice, decision = figure.axes[2], figure.axes[5]
    assert choice.images and not choice.texts
    assert not decision.images and decision.texts[0].get_text() == "answered\n0 of\n8,000"


# ----------------------------------------------------------------------- signs and places


def colours(image, *values):
    """Return what an image artist shows values in: RGB from 0 to 1."""
    return [image.cmap(image.norm(value))[:3] for value in values]


def test_what_is_positive_is_red_and_what_is_negative_blue(measurement):
    figure = measurement.plot("logit")
    image, bar = figure.axes[0].images[0], figure.axes[-1]
    (red, _, blue), middle, (less_red, _, more_blue) = colours(image, 1.0, 0.0, -1.0)
    assert red > 2 * blue and more_blue > 2 * less_red and min(middle) > 0.9
    assert bar.get_ylim() == (-1, 1) and "covariance" in bar.get_ylabel()


def test_of_maps_in_colour_grey_is_zero_and_brighter_is_more():
    maps, no = np.zeros((1, 2, 2, 3)), np.zeros((1, 2, 2, 3), bool)
    maps[0, 0, 1], maps[0, 1, 0] = (4, 0, -2), (-4, 2, 0)
    figure = draw_class_images({"logit": (maps, no, [""], [""])}, ["a"], "title")
    shown = figure.axes[0].images[0].get_array()
    assert np.allclose(shown[0, 0], 0.5)
    assert np.allclose(shown[0, 1], [1, 0.5, 0.25]) and np.allclose(shown[1, 0], [0, 0.75, 0.5])
    assert "grey is 0" in figure.get_supxlabel()


def test_each_map_is_drawn_upright_under_its_name_and_significant_pixels_are_outlined():
    maps, significant = np.zeros((2, 4, 5, 1)), np.zeros((2, 4, 5, 1), bool)
    maps[0, 1, 3], maps[1, 2, 0] = -2, 8
    significant[0, 1, 3] = True
    rows = {"logit": (maps, significant, ["first", "second"], ["", ""])}
    figure = draw_class_images(rows, ["a", "b"], "title")
    one, other = figure.axes[:2]
    assert (one.get_title(), one.get_xlabel()) == ("a", "first")
    assert (other.get_title(), other.get_xlabel()) == ("b", "second")
    assert one.images[0].get_array()[1, 3] == -1 and other.images[0].get_array()[2, 0] == 1
    assert one.images[0].origin == "upper" and one.get_ylim()[0] > one.get_ylim()[1]
    outline = np.concatenate(
        [path.vertices for each in one.collections for path in each.get_paths()]
    )
    assert np.allclose(outline.mean(axis=0), [3, 1], atol=0.2)  # the fourth column, second row
    assert not other.collections


def test_filters_stand_above_their_estimates():
    kernels, found = np.zeros((2, 3, 3, 1)), np.zeros((2, 3, 3, 1))
    kernels[0, 0, 0], kernels[1, 1, 1], found[0, 0, 1] = 5, -5, -3
    figure = draw_filters({"kernel": kernels, "found": found}, ["one", "two"], "title")
    above, below = np.array(figure.axes[:4]).reshape(2, 2)
    assert [row[0].get_ylabel() for row in (above, below)] == ["kernel", "found"]
    assert above[0].images[0].get_array()[0, 0] == 1 and above[1].images[0].get_array()[1, 1] == -1
    assert below[0].images[0].get_array()[0, 1] == -1 and not below[1].images
    assert below[1].texts[0].get_text() == "silent"
    assert [axis.get_xlabel() for axis in below] == ["one", "two"]


def test_an_estimate_plots_its_images(measurement):
    figure = measurement.classes["logit"].plot(names=list("abcde"))
    labels = [axis.get_xlabel() for axis in figure.axes if axis.images]
    r = measurement.classes["logit"].reliability[0]
    assert labels[0] == f"a\nr = {r:.3f}" and len(labels) == 5


def test_a_notebook_shows_a_table_and_the_images(measurement):
    text = measurement._repr_html_()
    row = re.search(r"<tr><td>3</td><td>([\d,]+)</td>", text)
    assert int(row[1].replace(",", "")) == measurement.answered[3]
    assert text.count("<tr>") == 6 and "data:image/png;base64,iVBOR" in text
    assert measurement.classes["logit"]._repr_html_().count("<tr>") == 6
    assert measurement.plot("logit")._repr_png_().startswith(b"\x89PNG")


# ----------------------------------------------------------------------- the page


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of a network of images in colour, and its folder."""
    folder = tmp_path_factory.mktemp("page")
    keep = np.random.default_rng(1).normal(size=(8, 7, 3, 4)).astype(np.float32)
    observer(keep).save(folder / "colours.keras")
    flags = ["--noise-images", "16000", "--until", "0", "--out", folder]
    code = main.run([*map(str, flags), "--model", str(folder / "colours.keras")])
    assert code == 0
    return folder / "results/model_colours.html", folder


def test_the_page_needs_nothing_from_elsewhere_and_says_how_to_repeat_it(page):
    text = page[0].read_text()
    assert not re.search(r'(src|href)="(?!data:)', text) and "@import" not in text
    command = re.search(r'<pre id="command">(.*?)</pre>', text, re.S)[1]
    assert (
        "--model" in command and "--noise-images 16000 --until 0 --noise-kind gaussian" in command
    )
    assert "--input-range 0 1" in command and "network_sha256" in text


def test_the_numbers_of_the_page_are_those_of_the_measurement(page):
    measurement = Measurement.load(page[1] / "results/model_colours.npz")
    text = re.search(r'id="data">(.*?)</script>', page[0].read_text(), re.S)[1]
    sets = {each["id"]: each for each in json.loads(text)}
    estimate, shown = measurement.classes["logit"], sets["set-0-logit"]
    for k, each in enumerate(shown["classes"]):
        assert np.isclose(each["scale"], np.abs(estimate.covariance[k]).max())
        assert np.isclose(each["error"], estimate.coefficient_error[k])
    assert shown["shape"] == [8, 7, 3]


def test_no_report_leaves_the_page_out(tmp_path):
    observer(np.ones((5, 5, 1, 2)) * np.array([1, -1])).save(tmp_path / "net.keras")
    flags = ["--model", tmp_path / "net.keras", "--out", tmp_path, "--no-report"]
    assert main.run([*map(str, flags), "--noise-images", "1000"]) == 0
    assert not list(tmp_path.rglob("*.html"))


@pytest.mark.skipif(not has_browser(), reason="no Chromium and chromedriver here")
@pytest.mark.parametrize("width", [1200, 420])
def test_in_a_browser_the_pixel_under_the_pointer_is_told_and_headings_sort(page, width):
    estimate = Measurement.load(page[1] / "results/model_colours.npz").classes["choice"]
    with Browser(width, 900) as browser:
        browser.open(page[0])
        browser.point_at("#set-0-choice-2 canvas", 0.99, 0.01)  # the last column, the first row
        assert browser.text("#which").endswith("choice: 2") and browser.text("#where") == "0, 6"
        values = [float(value) for value in browser.text("#value").split()]
        z = [float(value.rstrip("*")) for value in browser.text("#z").split() if value != "*"]
        assert np.allclose(values, estimate.covariance[2, 0, 6], rtol=0.02, atol=1e-5)
        assert np.allclose(z, estimate.z[2, 0, 6], atol=0.06)
        browser.click("#reliability th:nth-child(5) button")
        column = browser.texts("#reliability td:nth-child(5)")
        told = [float(text) for text in column if text != "-"]
        assert told == sorted(told)
        browser.click("#reliability th:nth-child(5) button")
        told = [float(t) for t in browser.texts("#reliability td:nth-child(5)") if t != "-"]
        assert told == sorted(told, reverse=True)
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
        assert not browser.complaints()
