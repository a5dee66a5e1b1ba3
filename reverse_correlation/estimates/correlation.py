"""The correlation of images, and the reliability that follows from two halves."""

import numpy as np


def spearman_brown(r):
    """Step up the correlation of two halves to the reliability of the whole: 2 r / (1 + |r|)."""
    return 2 * r / (1 + np.abs(r))


def split_half(even, odd):
    """Return the reliability of images (n, ...) from those of their two halves: (n,)."""
    return spearman_brown(correlations(even, odd))


def cosines(a, b):
    """Return the cosines between the rows of two (n, ...) arrays: (n,); NaN where one is zero."""
    a, b = (np.asarray(rows, np.float64).reshape(len(rows), -1) for rows in (a, b))
    with np.errstate(divide="ignore", invalid="ignore"):
        return (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


def correlations(a, b):
    """Return Pearson's correlations between the rows of two (n, ...) arrays: (n,)."""
    a, b = (np.asarray(rows).reshape(len(rows), -1) for rows in (a, b))
    return cosines(a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True))
