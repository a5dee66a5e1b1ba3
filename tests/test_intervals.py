"""Intervals: known answers."""

import numpy as np
import pytest

from experiments.experiment import Row, row_of_mean
from experiments.intervals import bootstrap_interval, student_interval, wilson_interval


def test_a_bootstrap_interval_is_that_of_a_mean(rng):
    values = rng.normal(size=(400, 1))
    low, high = bootstrap_interval(values)
    error = values.std() / np.sqrt(400)
    assert low[0] == pytest.approx(values.mean() - 1.96 * error, abs=0.2 * error)
    assert high[0] == pytest.approx(values.mean() + 1.96 * error, abs=0.2 * error)


def test_wilson_intervals_are_those_of_the_tables():
    assert wilson_interval(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)
    assert wilson_interval(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert np.isnan(wilson_interval(0, 0)).all()


def test_one_row_has_no_spread():
    low, high = bootstrap_interval([[1.0, 2.0]])
    assert low.tolist() == high.tolist() == [1, 2]
    assert student_interval([0.3]) == (0.3, 0.3)


def test_students_interval_is_that_of_the_tables_and_stays_within_shares():
    low, high = student_interval([0.4, 0.5, 0.6])
    assert (low, high) == pytest.approx(
        (0.5 - 4.302653 * 0.1 / 3**0.5, 0.5 + 4.302653 * 0.1 / 3**0.5)
    )
    assert student_interval([0.0, 0.9]) == (0, 1)
    assert row_of_mean("share", None, [1.0, 1.0]) == Row("share", None, 1.0, (1, 1), "2 seeds")
