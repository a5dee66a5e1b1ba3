"""Flipped signs and permuted labels of observers, t under them, and family-wise p.

With few observers all signs, or all labels, are taken; else a sample of REARRANGED, the first of
them as it was found, so that p is never 0 and its test is exact (Phipson and Smyth 2010).
"""

import dataclasses
import itertools
import math
from collections.abc import Callable

import numpy as np
from scipy import stats

from reverse_correlation.estimates.estimate import normal_from_t

ALPHA = 0.05
FORMING = 0.01  # p of the pixels that a cluster is made of
REARRANGED = 5_000  # signs or labels, drawn where there are more in all
ALIKE = 1e-9  # what only rounding tells from 0, of numbers about 1


@dataclasses.dataclass(frozen=True)
class Rearrangements:
    """Signs or labels of n observers, all of them or a sample, the first as they are.

    Attributes:
        rows: (m, n).
        t_of: gives t (m, P) of rows (m, n) and columns (n, P) of numbers.
        level: the |t| of single pixels whose p is FORMING, two-sided.
        every, least_p: as of a GroupImage.
    """

    rows: np.ndarray
    t_of: Callable
    level: float
    every: bool
    least_p: float


def signs_of(count):
    """Return all signs of so many observers, or a sample; the first keeps its own, as |t| does."""
    if every := 2 ** (count - 1) <= REARRANGED:
        rows = np.array(list(itertools.product((1.0,), *[(1.0, -1.0)] * (count - 1))))
    else:
        rows = np.random.default_rng(0).choice([1.0, -1.0], (REARRANGED, count))
        rows[0] = 1
    level = stats.t.isf(FORMING / 2, count - 1)
    return Rearrangements(rows, mean_t, level, every, 1 / len(rows))


def labels_of(first, second):
    """Return all labels, 1 of the first group and 0 of the second, or a sample."""
    count, all_of_them = first + second, math.comb(first + second, first)
    if every := all_of_them <= REARRANGED:
        chosen = np.array(list(itertools.combinations(range(count), first)))
        rows = np.zeros((all_of_them, count))
        np.put_along_axis(rows, chosen, 1, axis=1)
    else:
        rows = np.tile(np.arange(count) < first, (REARRANGED, 1)).astype(float)
        rows[1:] = np.random.default_rng(0).permuted(rows[1:], axis=1)
    alike = 1 + (every and first == second)  # with both groups exchanged, |t| is the same
    level = stats.norm.isf(FORMING / 2)
    return Rearrangements(rows, difference_t, level, every, alike / len(rows))


def mean_t(signs, columns):
    """Return Student's t of the means of columns (n, P) under signs (m, n): (m, P).

    The mean square of a column is 1, under all signs, so that it takes one product of matrices.
    """
    count, sums = len(columns), signs @ columns
    return sums * np.sqrt((count - 1) / np.maximum(count**2 - sums**2, ALIKE))


def difference_t(labels, columns):
    """Return Welch's t of the means of columns where labels are 1 minus the others': (m, P).

    As normal z of the same probability: degrees of freedom differ between columns and labels, and
    groups of other variances would seem to have other means. The mean of a column (n, P) is 0, and
    its mean square 1.
    """
    first, sums, squares = labels[0].sum(), labels @ columns, labels @ columns**2
    mean, error, freedom, rest = 0, 0, 0, len(columns) - first
    for count, total, power in ((rest, -sums, len(columns) - squares), (first, sums, squares)):
        own = np.maximum(power - total**2 / count, ALIKE) / (count - 1) / count
        mean, error, freedom = total / count - mean, error + own, freedom + own**2 / (count - 1)
    return normal_from_t(mean / np.sqrt(error), error**2 / freedom)


def p_of(values, null):
    """Return which share of null values (m, K), one of them as found, reaches values (K, ...)."""
    shares = [
        1 - np.searchsorted(np.sort(each), value * (1 - ALIKE)) / len(each)
        for value, each in zip(values, null.T, strict=True)
    ]
    return np.array(shares)


def threshold_of(largest):
    """Return the |t| above which p is at most ALPHA, of null values (m, K): (K,)."""
    passed = int(ALPHA * len(largest) + ALIKE)
    none = np.full(largest.shape[1], np.inf)
    return np.sort(largest, axis=0)[-passed - 1] if passed else none
