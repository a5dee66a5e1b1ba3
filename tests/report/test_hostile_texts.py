"""Names and questions that others chose: shown as typed by pages and figures, and never run."""

import html
import json
import re
from pathlib import Path

import matplotlib.text
import numpy as np
import onnx_files
import pytest
from browser import Browser, has_browser
from helpers import result_of
from matplotlib.cbook import is_math_text
from small_observers import convolution

from reverse_correlation import WhiteNoise, compare, difference, measure_choices
from reverse_correlation.estimates.findings import layer_findings
from reverse_correlation.figures.class_images import ImageRow, draw_bias, draw_rows
from reverse_correlation.figures.comparison import draw_comparison
from reverse_correlation.figures.filters import draw_filters, draw_receptive_fields
from reverse_correlation.figures.panels import draw_noise_activity
from reverse_correlation.figures.style import png, save
from reverse_correlation.figures.templates import draw_confusions
from reverse_correlation.figures.views import draw_views
from reverse_correlation.observers.network_files import read_observer
from reverse_correlation.people.figure import draw_people
from reverse_correlation.people.observers import StudyObserver, StudyResult
from reverse_correlation.people.page import write_page
from reverse_correlation.people.study import Study
from reverse_correlation.report.page import write_report
from reverse_correlation.report.summary import print_summary

ELEMENT = "<img src=x onerror=window.pwned=1>"
SCRIPT = "</script><script>window.pwned=1</script>"
DOLLARS = ("$5 to $10", r"$\frac$", r"100 \$ or a_b")  # matplotlib takes what is between two as TeX

in_a_browser = pytest.mark.skipif(not has_browser(), reason="no Chromium and chromedriver here")


@pytest.fixture(scope="module")
def browser():
    with Browser(1000, 800) as window:
        yield window


def open_inert(browser, path, scripts):
    """Open a page, and see that it has so many scripts of its own and that nothing else ran."""
    browser.complaints()  # of the page before
    browser.open(path)
    assert browser.run("return window.pwned === undefined")
    assert browser.run("return document.scripts.length") == scripts
    assert browser.run("return [...document.images].every(image => image.src.startsWith('data:'))")
    assert not browser.complaints()


# ----------------------------------------------------------------------- pages


def page_of(folder, stem, shown, names, command=""):
    """Write the page of a network in a file of that stem, with a figure of that name."""
    weights = np.random.default_rng(0).normal(size=(16, 3))
    model = read_observer(onnx_files.dense(folder / f"{stem}.onnx", weights, ["n", 4, 4, 1]))
    noise = WhiteNoise(shape=(4, 4, 1))
    result = result_of(model, noise, 1000, title=stem, shown=shown, names=names)
    figure = save(draw_bias(result.shown, result.class_names, stem), folder / f"bias_{stem}.png")
    return write_report(result, [figure], folder / "page.html", command, constants=command)


@in_a_browser
@pytest.mark.parametrize(
    ("stem", "shown", "names"),
    [
        ("net", "b.png", (SCRIPT, ELEMENT, "$figures &amp; \"'")),
        (f"a {ELEMENT}", "b.png", tuple("abc")),
        ("net", f"b {ELEMENT}{SCRIPT}.png", tuple("abc")),
        ("$place &amp; ${data}", "$maps", ("$command", "$$", "&lt;")),
    ],
    ids=["class names", "file of the network", "file of the base", "names of what is filled in"],
)
def test_the_page_of_a_network_shows_names_as_typed_and_runs_none_of_them(
    stem, shown, names, tmp_path, browser
):
    command = f"measure '{stem}.onnx' --base '{shown}' --class-names {' '.join(names)}"
    open_inert(browser, page_of(tmp_path, stem, shown, names, command), scripts=2)
    assert browser.text("h1") == f"What {stem} looks for"
    assert browser.run("return document.title") == f"{stem}"
    assert browser.texts(".map")[:3] == list(names)
    assert browser.text("h3") == f"{shown}, choice"
    assert browser.text("#command") == browser.text("#command + p") == command
    assert browser.text("figcaption code") == f"bias_{stem}.png"
    assert browser.run("return document.querySelector('figure img').alt") == f"bias_{stem}"
    for k, name in enumerate(names):
        browser.point_at(f"#set-0-choice-{k} canvas", 0.5, 0.5)
        assert browser.text("#which") == f"{shown}, choice: {name}"
    browser.click("#reliability th:first-child button")
    assert set(browser.texts("#reliability td:first-child")) == set(names)


@pytest.fixture
def study():
    noise = WhiteNoise(shape=(4, 4, 1), contrast=0.1)
    question = f'Which {ELEMENT} {SCRIPT} "is" $study &amp; ${{seed}}?'
    return Study(noise, 0, 8, question, f"{SCRIPT}{ELEMENT}")


@in_a_browser
def test_the_page_of_a_study_shows_texts_as_typed_and_runs_none_of_them(study, tmp_path, browser):
    write_page(study, tmp_path / "study.html", pause=4)
    open_inert(browser, tmp_path / "study.html", scripts=2)
    assert browser.text("#start h1") == browser.text("#trial h1") == study.question
    assert browser.run("return document.title") == study.question
    assert browser.run("return study.condition") == study.condition
    browser.find("#participant").send_keys(ELEMENT)
    browser.click("#begin")  # no name for a file: the form refuses it
    assert browser.run("return !document.querySelector('#start').hidden && session === null")


@in_a_browser
@pytest.mark.parametrize("answered", [3, 8])
def test_a_participant_s_name_that_a_browser_has_kept_is_not_run(
    answered, study, tmp_path, browser
):
    write_page(study, tmp_path / "study.html", pause=4)
    session = {"participant": f"{ELEMENT}{SCRIPT}", "answers": [[1, 1, 700, "left", 0]] * answered}
    kept = [f"forced choice {study.id}", json.dumps(session)]
    code = {"source": f"localStorage.setItem(...{json.dumps(kept)})"}
    script = browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", code)
    open_inert(browser, tmp_path / "study.html", scripts=2)
    browser.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
    shown = {3: "#returning", 8: "#file"}[answered]
    assert f"{ELEMENT}{SCRIPT}" in browser.text(shown)
    assert browser.run("return document.querySelector(arguments[0]).children.length", shown) == 0


@pytest.fixture
def chosen(rng):
    """A measurement of somebody whose name is an element."""
    noise = WhiteNoise(shape=(4, 4, 1))
    return measure_choices(rng.choice([-1, 1], 40), noise, name=ELEMENT)


@in_a_browser
def test_a_notebook_s_table_runs_no_name(chosen, tmp_path, browser):
    (tmp_path / "cell.html").write_text(f"<!doctype html>{chosen._repr_html_()}")
    open_inert(browser, tmp_path / "cell.html", scripts=0)
    assert browser.text("b") == ELEMENT


def test_a_notebook_s_picture_is_described_by_the_name_as_typed(chosen):
    alt = re.search(r'<img alt="(.*?)"', chosen._repr_html_())[1]
    assert html.unescape(alt) == f"class images of {ELEMENT}" and "<" not in alt


# ----------------------------------------------------------------------- figures


def texts_of(figure):
    """Return what a figure's texts show, on one line each; one that is read as TeX is an error."""
    png(figure)  # which ends in an error where TeX is no TeX
    shown = []
    for artist in figure.findobj(matplotlib.text.Text):
        text = artist.get_text()
        if artist.get_parse_math():
            assert not is_math_text(text), text
            text = text.replace(r"\$", "$")
        shown.append(" ".join(text.split()))
    return shown


def measured(name, seed=0):
    """Return a measurement of three classes, by somebody of that name."""
    noise = WhiteNoise(shape=(4, 4, 1))
    return measure_choices(np.random.default_rng(seed).choice([-1, 1], 400), noise, name=name)


def class_images():
    maps = np.random.default_rng(0).normal(size=(3, 4, 4))
    row = ImageRow(maps, np.abs(maps) > 1, [""] * 3, [""] * 3)
    return draw_rows({"logit": row}, DOLLARS, f"What {DOLLARS[0]} looks for", DOLLARS[1])


def filters():
    maps = np.random.default_rng(0).normal(size=(3, 4, 4, 1))
    return draw_filters({"": maps}, DOLLARS, f"What {DOLLARS[0]} looks for")


def confusions():
    return draw_confusions({"row": {"choice": (np.eye(3), 1.0)}}, DOLLARS, f"By {DOLLARS[0]}")


def comparison():
    people = [measured(name, seed) for seed, name in enumerate(DOLLARS[:2])]
    found = compare(people, "choice", DOLLARS[:2])
    differing = difference(*people, "choice")
    return draw_comparison(found, differing, people, DOLLARS[2:], "choice")


def people_and_classes():
    study = Study(WhiteNoise(shape=(4, 4, 1)), 0, 40, f"Is it {DOLLARS[0]}?", "main")
    rng = np.random.default_rng(0)
    found = [StudyObserver.of(name, rng.choice([-1, 1], 40), study) for name in DOLLARS]
    return draw_people(StudyResult(study, found[:2], classes=found[2:], network=Path("$a$.onnx")))


@pytest.mark.parametrize(
    "draw", [class_images, filters, confusions, comparison, people_and_classes]
)
def test_dollar_signs_are_drawn_as_typed(draw):
    shown = texts_of(draw())
    for name in DOLLARS:
        assert any(name in text for text in shown), (name, shown)


def test_a_network_and_classes_with_dollar_signs_are_measured_and_drawn(tmp_path, rng, capsys):
    path = tmp_path / r"$\frac$.keras"
    convolution(rng.normal(size=(3, 3, 1, 2)), size=6).save(path)
    noise = WhiteNoise(shape=(6, 6, 1))
    title = path.stem
    result = result_of(
        read_observer(path), noise, 1000, title=title, names=DOLLARS[:2], layers=("conv",)
    )
    measurement = result.shown[0].measurement
    filters = layer_findings(
        result.observer, measurement, "conv", tmp_path / "e.npz", patches=8, live_rate=0, seed=1
    )
    drawn = [
        draw_bias(result.shown, result.class_names, title),
        draw_views(measurement, result.class_names, title),
        draw_noise_activity(measurement, "conv", [0, 1], result.class_names, title),
        draw_receptive_fields(measurement, filters, title),
        measurement.plot(names=DOLLARS[:2]),
        measurement.layers["conv"].plot(names=DOLLARS[:2], title=title),
    ]
    for figure in drawn:
        shown = texts_of(figure)
        for name in (title, *DOLLARS[: 2 * (figure is not drawn[3])]):
            assert any(name in text for text in shown), (name, shown)
    print_summary([result], [], tmp_path)
    assert f"noise answered {DOLLARS[0]}" in capsys.readouterr().out
