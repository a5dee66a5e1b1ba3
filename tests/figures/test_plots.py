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
from reverse_correlation.figures.class_images import SHOWN_CLASSES


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
