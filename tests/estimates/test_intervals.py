"""Intervals: known answers."""

import numpy as np
import pytest

from reverse_correlation.estimates.intervals import (
    bootstrap_interval,
    crossed_interval,
    difference_interval,
    jackknife_pairs,
    pair_mean,
    student_interval,
    wilson_interval,
)


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


def test_welchs_interval_is_that_of_the_tables():
    # of equal variances and sizes, 3 and 3, it has 4 degrees of freedom
    half = 2.776445 * np.sqrt(2 / 3)
    expected = pytest.approx((-4 - half, -4 + half))
    assert difference_interval([1.0, 2.0, 3.0], [5.0, 6.0, 7.0]) == expected
    # of one that hardly varies, those of the other: 2
    half = 4.302653 * np.sqrt(1 / 3)
    low, high = difference_interval([1.0, 2.0, 3.0], [6.0, 6.0 + 1e-9, 6.0])
    assert (low, high) == pytest.approx((-4 - half, -4 + half))
    assert difference_interval([1.0], [3.0, 5.0]) == (-3, -3)


def test_pseudo_values_of_a_mean_over_pairs_are_twice_what_each_member_adds(rng):
    each = rng.normal(size=7)
    matrix = each[:, None] + each[None]  # a pair is the sum of two members
    matrix[np.diag_indices(7)] = np.nan
    assert np.allclose(jackknife_pairs(matrix), 2 * each)
    assert np.isclose(pair_mean(matrix), 2 * each.mean())


def test_a_pseudo_values_mean_is_the_mean_over_pairs_whatever_the_matrix(rng):
    matrix = rng.normal(size=(6, 6, 3))
    matrix = matrix + matrix.transpose(1, 0, 2)
    assert np.allclose(jackknife_pairs(matrix).mean(axis=0), pair_mean(matrix))
    assert jackknife_pairs(matrix[:2, :2]).shape == (1, 3)  # of two members there is no spread


def test_intervals_over_networks_hold_the_truth_as_often_as_they_say(rng):
    shared = rng.normal(size=30)  # what all networks have in common
    truth = np.sum(shared**2) / 30  # the expected product of two of them
    held = np.zeros(2)
    for _ in range(200):
        a, b = (shared + rng.normal(size=(count, 30)) for count in (8, 6))
        within = student_interval(jackknife_pairs(a @ a.T / 30), limits=(-9, 9))
        between = crossed_interval(a @ b.T / 30)
        for i, (low, high) in enumerate((within, between)):
            held[i] += low <= truth <= high
    assert np.all(held >= 178)  # of 200; 190 are expected, fewer than 178 in one of 10,000
