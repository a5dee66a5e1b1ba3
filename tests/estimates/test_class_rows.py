"""The numbers of each class, as data and as texts, against the Estimates that they come from."""

import re

import numpy as np
import pytest
from helpers import show
from small_observers import observer

from reverse_correlation import Measurement, PinkNoise, UserError, measure_choices

NAMES = ("ant", "bee", "cow", "dog", "elk")


def of_classes(count, images=16_384, **given):
    weights = np.random.default_rng(0).normal(size=(6, 6, 1, count))
    return show(observer(weights), images, **given)


@pytest.fixture(scope="module")
def measurement():
    return of_classes(5)


@pytest.mark.parametrize("response", ["choice", "decision", "probability", "logit"])
def test_every_number_of_a_row_is_that_of_its_class(measurement, response):
    rows, estimate = measurement.summary(response, NAMES).rows, measurement.classes[response]
    assert [row.number for row in rows] == [0, 1, 2, 3, 4]
    assert [row.name for row in rows] == list(NAMES)
    for k, row in enumerate(rows):
        assert row.response == response and row.answered == measurement.answered[k]
        found = [row.reliability, row.images_needed, row.significant, row.info_value, row.linear]
        expected = [
            estimate.reliability[k],
            estimate.images_needed()[k],
            (np.abs(np.nan_to_num(estimate.z[k])) > estimate.threshold).sum(),
            estimate.info_value[k],
            estimate.variance.linear[k],
        ]
        assert np.array_equal(found, expected, equal_nan=True)


def test_the_interval_of_the_linear_share_is_two_standard_errors_either_way(measurement):
    summary, variance = measurement.summary("logit"), measurement.classes["logit"].variance
    assert summary.column("linear") == pytest.approx(1, abs=0.01)  # the logits are linear
    half = (summary.column("linear_high") - summary.column("linear_low")) / 2
    assert half == pytest.approx(1.96 * variance.linear_error)


def test_the_interval_of_the_linear_share_is_known_however_sums_are_rounded(measurement):
    sums = {**measurement.sums["classes"]}
    sums["both"] = sums["both"] * (1 + 1e-6)  # as much as float32 knows of it, and more than enough
    rounded = Measurement({"classes": sums}, measurement.provenance, measurement.noise)
    assert np.isfinite(rounded.classes["logit"].variance.linear_error).all()


def test_choice_is_summed_up_unless_another_is_asked_for_and_else_what_there_is(measurement):
    assert measurement.summary().rows[0].response == "choice"
    labels = of_classes(3, 2000)
    labels.classes.pop("choice")
    assert labels.summary().rows[0].response == "logit"
    with pytest.raises(UserError, match="has choice, decision, probability, logit .* 'logits'"):
        measurement.summary("logits")
    with pytest.raises(UserError, match="3 class names were given for 5 classes"):
        measurement.summary(names="abc")


def test_a_terminal_shows_a_table_in_columns_and_a_dash_for_what_is_not_known(measurement):
    first, head, *rows = repr(measurement.summary("decision", np.array(NAMES))).splitlines()[:7]
    assert first == "observer: decision images, from 16,384 Gaussian noise images"
    columns = ["class", "answered", "r", "needs", "significant", "infoVal", "linear"]
    columns += ["predicts", "ceiling", "R2"]
    assert head.split() == columns and {len(row) for row in rows} == {len(head)}
    for name, n, row in zip(NAMES, measurement.answered, rows, strict=True):
        assert row.split()[:2] == [name, f"{n:,}"]
        assert (row.split()[2] == "-") == (n == 0) and "nan" not in row
    assert 0 in measurement.answered


def test_a_notebook_shows_the_same_texts_escaped(measurement):
    names = ("<b>ant</b>", *NAMES[1:])
    summary = measurement.summary(names=names)
    cells = re.findall("<td>(.*?)</td>", summary._repr_html_())
    assert cells[0] == "&lt;b&gt;ant&lt;/b&gt;" and cells[1:10] == summary.rows[0].texts[1:]
    assert measurement._repr_html_().startswith(measurement.summary()._repr_html_())


def test_of_many_classes_the_commonest_are_shown_and_all_are_data():
    many = of_classes(24)
    summary = many.summary()
    assert len(summary.rows) == 24 and list(summary.column("answered")) == many.answered.tolist()
    shown = [int(line.split()[0]) for line in repr(summary).splitlines()[2:22]]
    assert min(many.answered[shown]) >= np.sort(many.answered)[-20]
    assert "4 more classes are in .rows" in repr(summary)
    assert "20 commonest of 24 answers" in repr(summary)
    assert summary._repr_html_().count("<tr>") == 21 and "4 more" in summary._repr_html_()


def test_chosen_classes_keep_their_numbers_and_names(measurement):
    chosen = of_classes(5, only=(4, 2))
    rows = chosen.summary("decision", NAMES).rows
    assert [(row.number, row.name) for row in rows] == [(4, "elk"), (2, "cow")]
    assert [row.answered for row in rows] == measurement.answered[[4, 2]].tolist()


def test_there_is_a_summary_of_people_and_of_too_few_images_for_a_reliability(rng):
    person = measure_choices(rng.choice([-1, 1], 40), PinkNoise(shape=(8, 8, 1)), name="p1")
    expected = "p1: choice images, from 40 trials of pink (1/f) noise\n"
    assert repr(person.summary()).startswith(expected)
    few = of_classes(2, 100)
    assert "; r from 4,096 images on\n" in repr(few.summary())
    assert np.isnan(few.summary().column("reliability")).all()


# ----------------------------------------------------------------------- in a line


def test_a_measurement_says_in_a_line_what_it_is(measurement):
    said = "<Measurement of observer: 16,384 Gaussian noise images, 5 classes, choice r > .99>"
    assert repr(measurement) == said
    few = "<Measurement of observer: 100 Gaussian noise images, 2 classes, r from 4,096 images on>"
    assert repr(of_classes(2, 100)) == few


def test_an_estimate_says_in_a_line_what_it_is(measurement):
    said = "<Estimate of 5 responses to stimuli of (6, 6, 1): 16,384 stimuli, r > .99>"
    assert repr(measurement.classes["logit"]) == said


def test_a_measurement_without_classes_says_so():
    none = of_classes(2, 100)
    none.estimates.pop("classes")
    assert repr(none) == "<Measurement of observer: 100 Gaussian noise images>"
    assert none._repr_html_() is None
    with pytest.raises(UserError, match="no images of classes"):
        none.summary()
