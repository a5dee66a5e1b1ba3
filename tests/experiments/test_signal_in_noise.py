"""What is said of two weak signals in noise."""

import numpy as np
import pytest

from experiments.four_cells import Cells, CombinedImage
from experiments.signal_in_noise import Condition, answer_rows, condition_of, draw, image_rows


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


def combined(snr2, expected_snr2, sign=1):
    """A CombinedImage whose first pixel has that sign."""
    z = np.zeros((6, 7, 1))
    z[0, 0] = sign
    return CombinedImage(z, snr2, expected_snr2)


@pytest.mark.parametrize(
    ("optimal", "linear", "predicted"),
    [((25.0, 100.0), 0.25, 5), ((60.0, 60.0), 1, 10), ((-3.0, 60.0), 0, 0)],
)
def test_the_linear_share_by_the_optimal_image_predicts_ahumadas(optimal, linear, predicted):
    condition = Condition(
        0.3, cells([[75, 25], [10, 90]]), combined(16.0, 100.0), combined(*optimal)
    )
    assert condition.linear == linear and condition.predicted == predicted
    ahumada, best, share = image_rows(condition)
    assert ahumada.what == f"signal 0.3, SNR of Ahumada's image (predicted {predicted}.0)"
    assert best.what == "signal 0.3, SNR of the optimally weighted image"
    assert share.what == "signal 0.3, decision variance linear in noise"
    assert ahumada.ours == 4 and best.ours == max(optimal[0], 0) ** 0.5 and share.ours == linear
    # the sum of 42 squares has a variance of 2 * 42 + 4 SNR**2, of which 1.96 deviations are taken
    half = 1.959964 * (84 + 4 * 16) ** 0.5
    assert ahumada.interval == pytest.approx((0, (16 + half) ** 0.5))


def test_each_image_stands_in_its_row_with_its_ratio_below_it():
    condition = Condition(
        0.3, cells([[75, 25], [10, 90]]), combined(16.0, 100.0), combined(25.0, 100.0, -1)
    )
    upper, lower = draw([condition], ["five", "six"], "title").axes[:2]
    assert (upper.get_ylabel(), upper.get_xlabel()) == ("Ahumada", "SNR 4.0\npredicted 5.0")
    assert (lower.get_ylabel(), lower.get_xlabel()) == ("optimal", "SNR 5.0")
    assert upper.images[0].get_array()[0, 0] == 1 and lower.images[0].get_array()[0, 0] == -1
    red, _, blue, _ = upper.images[0].to_rgba(np.array([[1.0]]))[0, 0]
    assert red > 2 * blue  # what speaks for the second class is red


def test_other_classes_are_those_that_won_of_ten():
    condition = condition_of(0.3, cells([[75, 25], [10, 90]]))
    condition.cells.answered[0, [5, 7]] += [-30, 30]
    rows = answer_rows(condition, (5, 6), ["five", "six"], False)
    assert [row.what for row in rows[2::3]] == [
        "signal 0.3, five shown: other classes, of ten",
        "signal 0.3, six shown: other classes, of ten",
    ]
    assert rows[2].ours == pytest.approx(0.3) and rows[5].ours == 0
    assert rows[0].ours == 0.75 and rows[0].over == "100 trials, forced"
