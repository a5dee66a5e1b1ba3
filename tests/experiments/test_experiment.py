"""Rows of the closing table: known answers."""

from experiments.experiment import Row, row_of_mean


def test_the_row_of_a_mean_has_its_interval_and_says_of_how_many_seeds():
    assert row_of_mean("share", [1.0, 1.0]) == Row("share", 1.0, (1, 1), "2 seeds")
