"""The numbers, colours and tables of a network's page, in a real browser and in its data."""

import base64
import dataclasses
import html
import json
import re

import numpy as np
import pytest
from browser import Browser, has_browser
from helpers import result_of
from small_observers import observer

from reverse_correlation import GaborNoise, WhiteNoise
from reverse_correlation.figures.class_images import draw_bias
from reverse_correlation.figures.style import save
from reverse_correlation.report.page import SEE, write_report

NAMES = ("ant", "bee", "cow", "12", "9")
in_a_browser = pytest.mark.skipif(not has_browser(), reason="no Chromium and chromedriver here")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of a network, and its measurement; "bee" is never answered.

    The noise is ten times as strong in the last column as in the first.
    """
    folder, rng = tmp_path_factory.mktemp("page"), np.random.default_rng(0)
    weights = rng.normal(size=(16, 16, 1, 5))
    weights -= weights.mean(axis=(0, 1))  # no class has a head start
    weights[..., 1] = -20
    maps = rng.normal(size=(40, 16, 16, 1)) * np.linspace(0.1, 1, 16)[:, None]
    noise = GaborNoise(np.full((16, 16, 1), 0.5), maps, np.full(40, 0.05))
    given = {"shown": "patches", "names": NAMES, "seed": 3, "test_accuracy": 0.98765}
    given["prediction_images"] = 200
    result = result_of(observer(weights), noise, 4000, **given)
    path = write_report(result, [], folder / "net.html", "python main.py")
    return path, result.shown[0].measurement


@pytest.fixture(scope="module")
def browser(page):
    with Browser(1200, 900) as window:
        window.open(page[0])
        yield window


def sets_of(path):
    """Return {(response, class): (shown as (h, w, c), entry of the page's data)}."""
    data = json.loads(re.search(r'id="data">(.*?)</script>', path.read_text(), re.S)[1])
    return {
        (one["id"].rpartition("-")[2], each["name"]): (one["shape"], each)
        for one in data
        for each in one["classes"]
    }


def test_every_pixel_of_the_page_is_that_of_the_class_of_its_name(page):
    found = sets_of(page[0])
    responses = ("choice", "decision", "logit", "probability")
    answered = {name for name, n in zip(NAMES, page[1].answered, strict=True) if n}
    assert "bee" not in answered and len(answered) == 4
    assert {name for response, name in found if response == "decision"} == answered
    for response in ("choice", "logit"):
        assert {name for told, name in found if told == response} == set(NAMES)
    assert {response for response, _ in found} == set(responses)
    for (response, name), (shape, each) in found.items():
        stored = np.frombuffer(base64.b64decode(each["values"]), np.int16).reshape(shape)
        covariance = page[1].classes[response].covariance[NAMES.index(name)]
        largest = np.abs(covariance).max()
        assert np.allclose(stored * each["scale"] / 32767, covariance, atol=largest / 60_000)


@in_a_browser
def test_z_is_in_units_of_each_pixel_s_own_error(page, browser):
    estimate, deviation = page[1].classes["logit"], page[1].noise.pixel_std[..., 0]
    assert deviation.max() > 5 * deviation.min()
    places = {np.unravel_index(i, (16, 16)) for i in np.argsort(deviation.ravel())[[0, 128, -1]]}
    places |= {np.unravel_index(np.argmax(np.abs(estimate.z[0])), (16, 16, 1))[:2]}
    starred = set()
    for row, column in places:
        browser.point_at("#set-0-logit-0 canvas", (column + 0.5) / 16, (row + 0.5) / 16)
        assert browser.text("#where") == f"{row}, {column}"
        z, *star = browser.text("#z").split()
        assert float(z) == pytest.approx(estimate.z[0, row, column, 0], abs=0.06)
        assert (star == ["*"]) == estimate.significant[0, row, column, 0]
        starred |= {*star}
    assert starred == {"*"}


@in_a_browser
def test_red_speaks_for_a_class_and_blue_against_it(page, browser):
    code = """const c = document.querySelector(arguments[0]);
    return [...c.getContext("2d").getImageData(0, 0, c.width, c.height).data]"""
    for k in (0, 2):
        values = page[1].classes["logit"].covariance[k, ..., 0]
        pixels = np.reshape(browser.run(code, f"#set-0-logit-{k} canvas"), (16, 16, 4))
        red, blue = pixels[..., 0], pixels[..., 2]
        clear = np.abs(values) > 0.05 * np.abs(values).max()
        assert np.array_equal((red > blue)[clear], (values > 0)[clear])
        strongest = np.unravel_index(np.argmax(np.abs(values)), values.shape)
        dark = [103, 0, 31] if values[strongest] > 0 else [5, 48, 97]  # the ends of the colours
        assert np.allclose(pixels[strongest][:3], dark, atol=2)


def rows(browser):
    """Return the table of reliability as a list of rows of texts."""
    cells = browser.texts("#reliability td")
    return [cells[i : i + 12] for i in range(0, len(cells), 12)]


@in_a_browser
def test_the_table_of_reliability_holds_the_numbers_of_each_class_and_response(page, browser):
    found = {(row[0], row[2]): row for row in rows(browser)}
    assert len(found) == 20
    for (name, response), row in found.items():
        estimate, k = page[1].classes[response], NAMES.index(name)
        assert int(row[3].replace(",", "")) == page[1].answered[k]
        tested = page[1].predictions.get(response)
        predicts = tested and (100 * tested.share[k], 100 * tested.ceiling[k], tested.explained[k])
        for cell, value, most in (
            (row[4], estimate.reliability[k], 5e-4),
            (row[5], estimate.images_needed()[k], 0.5),
            (row[6], estimate.significant[k].sum(), 0),
            (row[7], estimate.info_value[k], 0.05),
            (row[8].partition(" ")[0], estimate.variance.linear[k], 5e-3),
            *(
                (cell.partition(" ")[0].rstrip("%"), value, most)
                for cell, value, most in zip(
                    row[9:], predicts or [np.nan] * 3, (0.05, 0.05, 5e-3), strict=True
                )
            ),
        ):
            if np.isfinite(value):
                assert float(cell.replace(",", "")) == pytest.approx(value, abs=1.01 * most)
            else:
                assert cell == "-"


@pytest.mark.parametrize("count", [2000, 4096])
def test_the_table_of_reliability_says_from_how_many_images_on_there_is_one(count, tmp_path, rng):
    result = result_of(observer(rng.normal(size=(6, 6, 1, 2))), WhiteNoise(shape=(6, 6, 1)), count)
    text = write_report(result, [], tmp_path / "net.html", "").read_text()
    heads = re.findall(r"<th><button>(.*?)</button>", text)
    assert heads[4] == ("r (from 4,096 images on)" if count == 2000 else "r") and len(heads) == 12
    reliability = result.shown[0].measurement.classes["logit"].reliability
    assert np.isfinite(reliability).all() == (count == 4096)


@in_a_browser
def test_headings_sort_numbers_as_numbers_names_as_names_and_dashes_last(page, browser):
    def sort(column):
        browser.click(f"#reliability th:nth-child({column}) button")
        return [row[column - 1] for row in rows(browser)]

    before = sorted(map(tuple, rows(browser)))
    for descending in (False, True):
        needs = sort(6)
        numbers = [float(text.replace(",", "")) for text in needs if text != "-"]
        assert "-" in needs and "-" not in needs[: len(numbers)]  # nothing is known: last
        assert numbers == sorted(numbers, reverse=descending)
    order = sort(3)
    assert order == sorted(order) and len(set(order)) == 4
    names = sort(1)
    assert names.index("9") < names.index("12") < names.index("ant") < names.index("cow")
    assert sorted(map(tuple, rows(browser))) == before  # whole rows moved
    pressed = "return [...document.querySelectorAll('#reliability th')].map(h => h.ariaSort)"
    assert browser.run(pressed) == ["ascending"] + 11 * [None]


def test_the_page_says_what_was_shown(page):
    text = " ".join(page[0].read_text().split())
    assert "It names 98.77% of the test images right." in text
    assert "takes images of 16 × 16 × 1 and tells 5 classes apart" in text
    assert "patches: 4,000 images of Gabor-PCA noise about an image, pixels of" in text
    assert "in a range from 0 to 1, each with its mirror image about the base; seed 3." in text
    assert f"|z| above {page[1].classes['logit'].threshold:.2f} (patches)" in text


# ----------------------------------------------------------------------- images in colour

COMMAND = "python -m reverse_correlation measure 'a & b.keras' --contrast 0.123456789 --until 0.0"


@pytest.fixture(scope="module")
def in_colour(tmp_path_factory):
    """The page of a network of images in colour, with a figure, and its Result."""
    folder, shape = tmp_path_factory.mktemp("page"), (8, 7, 3)
    weights = np.random.default_rng(1).normal(size=(*shape, 4)).astype(np.float32)
    result = result_of(observer(weights), WhiteNoise(shape=shape), 16_000, title="colours")
    figure = save(draw_bias(result.shown, result.class_names, "it"), folder / "bias_colours.png")
    path = folder / "colours.html"
    return write_report(result, [figure], path, COMMAND, "At most 5,000 images' gradients."), result


def test_the_page_needs_nothing_from_elsewhere_and_says_how_to_repeat_it(in_colour):
    text = in_colour[0].read_text()
    assert not re.search(r'(src|href)="(?!data:)', text) and "@import" not in text
    command = re.search(r'<pre id="command">(.*?)</pre>', text, re.S)[1]
    assert html.unescape(command) == COMMAND and "network_sha256" in text
    assert "At most 5,000 images&#x27; gradients." in text


def test_an_image_that_is_not_above_chance_is_faint_on_the_page(in_colour, tmp_path):
    result = in_colour[1]
    logit = result.shown[0].measurement.classes["logit"]
    faint = dataclasses.replace(
        logit, standard_error=1e9 * logit.standard_error, coefficient_error=1e9 * np.ones(4)
    )
    result.shown[0].measurement.classes["logit"] = faint
    try:
        text = write_report(result, [], tmp_path / "a.html", "").read_text()
    finally:
        result.shown[0].measurement.classes["logit"] = logit
    assert text.count('class="map chance" id="set-0-logit-') == 4
    assert text.count("not above chance</div>") == 4
    assert 'class="map chance"' not in in_colour[0].read_text()


def test_the_page_shows_a_figure_and_what_to_see_in_it(in_colour):
    text = in_colour[0].read_text()
    assert f"<code>bias_colours.png</code> {SEE['bias']}" in text
    png = re.search(r'<img alt="bias_colours"[^>]*base64,([^"]*)"', text)[1]
    assert base64.b64decode(png) == in_colour[0].with_name("bias_colours.png").read_bytes()


def test_the_numbers_of_the_page_are_those_of_the_measurement(in_colour):
    text = re.search(r'id="data">(.*?)</script>', in_colour[0].read_text(), re.S)[1]
    sets = {each["id"]: each for each in json.loads(text)}
    estimate = in_colour[1].shown[0].measurement.classes["logit"]
    shown = sets["set-0-logit"]
    for k, each in enumerate(shown["classes"]):
        assert np.isclose(each["scale"], np.abs(estimate.covariance[k]).max())
        assert np.isclose(each["error"], estimate.coefficient_error[k])
    assert shown["shape"] == [8, 7, 3]


def test_each_ensemble_has_its_own_rows_in_the_order_of_the_figures(tmp_path, rng):
    noise = {"grey": WhiteNoise(shape=(4, 4, 1)), "dark": WhiteNoise(shape=(4, 4, 1), base=0.2)}
    result = result_of(observer(rng.normal(size=(4, 4, 1, 3))), noise, 2000, names="abc")
    text = write_report(result, [], tmp_path / "page.html", "").read_text()
    titles = re.findall(r"<h3>(.*?)</h3>", text)
    kinds = ("choice", "decision", "probability", "logit")
    assert titles == [f"{shown}, {kind}" for shown in ("grey", "dark") for kind in kinds]
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])
    assert [one["title"] for one in data] == titles
    for one in data:
        shown = result.shown[int(one["id"].split("-")[1])]
        estimate = shown.measurement.classes[one["id"].split("-")[2]]
        assert one["title"].startswith(shown.title)
        assert one["classes"][0]["scale"] == pytest.approx(np.abs(estimate.covariance[0]).max())


@in_a_browser
@pytest.mark.parametrize("width", [1200, 420])
def test_in_a_browser_the_pixel_under_the_pointer_is_shown_and_headings_sort(in_colour, width):
    estimate = in_colour[1].shown[0].measurement.classes["choice"]
    with Browser(width, 900) as browser:
        browser.open(in_colour[0])
        browser.point_at("#set-0-choice-2 canvas", 0.99, 0.01)  # the last column, the first row
        assert browser.text("#which").endswith("choice: 2") and browser.text("#where") == "0, 6"
        values = [float(value) for value in browser.text("#value").split()]
        z = [float(value.rstrip("*")) for value in browser.text("#z").split() if value != "*"]
        assert np.allclose(values, estimate.covariance[2, 0, 6], rtol=0.02, atol=1e-5)
        assert np.allclose(z, estimate.z[2, 0, 6], atol=0.06)
        for descending in (False, True):
            browser.click("#reliability th:nth-child(5) button")
            column = browser.texts("#reliability td:nth-child(5)")
            numbers = [float(text) for text in column if text != "-"]
            assert numbers == sorted(numbers, reverse=descending)
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
        assert not browser.complaints()
