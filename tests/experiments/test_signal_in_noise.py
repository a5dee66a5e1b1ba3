"""What is said of two weak signals in noise."""

import numpy as np
import pytest

from experiments.four_cells import Cells
from experiments.signal_in_noise import answer_rows, condition_of, draw, image_rows


def cells(counts):
    """Cells of an experiment on classes 5 and 6 in which nothing else was answered."""
    counts = np.array(counts, float)
    answered = np.zeros((2, 10))
    answered[:, 5:7] = counts
    sums = np.random.default_rng(0).normal(size=(2, 2, 6, 7, 1))
    return Cells(answered, counts, sums, std=0.3)


def test_answers_stand_beside_the_published_ones_at_the_published_signal_only():
    rows = answer_rows(condition_of(0.3, cells([[75, 25], [10, 90]])), (5, 6), "56", True)
    assert [row.ours for row in rows] == [0.75, 0.25, 0, 0.1, 0.9, 0]
    published = [row.published for row in rows]
    assert published == pytest.approx([0.99888, 0.00112, None, 0.45704, 0.54296, None], abs=1e-5)
    assert rows[0].what == "signal 0.3, 5 shown: answered 5"
    for gamma, on_mnist in ((0.2, True), (0.3, False)):
        rows = answer_rows(condition_of(gamma, cells([[75, 25], [10, 90]])), (5, 6), "56", on_mnist)
        assert all(row.published is None for row in rows)


def test_one_answer_to_everything_leaves_an_empty_column_and_no_rows():
    usual = condition_of(0.3, cells([[75, 25], [10, 90]]))
    never = condition_of(0.1, cells([[100, 0], [100, 0]]))
    assert image_rows(never) == [] and len(image_rows(usual)) == 3
    axes = draw([usual, never], ["five", "six"], "title").axes
    assert [len(axis.images) for axis in axes[:4]] == [1, 0, 1, 0]
    assert axes[0].get_title() == "signal 0.3\nfive shown: 75% right\nsix shown: 90% right"
    assert "one answer" in axes[1].texts[0].get_text()
    assert np.abs(axes[0].images[0].get_array()).max() == 1
