"""95 % intervals: of a share, of a mean of shares, and of any statistic by resampling."""

import numpy as np
from scipy import stats

from reverse_correlation.errors import UserError

LEVEL = 0.95
DRAWS = 2000  # of the bootstrap


def wilson_interval(hits, trials):
    """Interval of a share by Wilson's (1927) score: (low, high); NaN without trials."""
    if not trials:
        return np.nan, np.nan
    interval = stats.binomtest(int(hits), int(trials)).proportion_ci(LEVEL, method="wilson")
    return float(interval.low), float(interval.high)


def student_interval(values, limits=(0, 1)):
    """Student's interval of the mean of values, by default shares, cut off at limits: (low, high).

    A single value has no spread.
    """
    mean, half = float(np.mean(values)), 0.0
    if len(values) > 1:
        half = stats.sem(values) * stats.t.ppf(0.5 + LEVEL / 2, len(values) - 1)
    return float(max(mean - half, limits[0])), float(min(mean + half, limits[1]))


def difference_interval(first, second):
    """Welch's (1947) interval of the difference of two means, first minus second: (low, high).

    Single values have no spread.
    """
    if min(len(first), len(second)) < 2:
        difference = float(np.mean(first) - np.mean(second))
        return difference, difference
    interval = stats.ttest_ind(first, second, equal_var=False).confidence_interval(LEVEL)
    return float(interval.low), float(interval.high)


def pair_mean(matrix):
    """Return the mean over pairs i < j of a symmetric matrix (n, n, ...), without its diagonal."""
    return np.nanmean(matrix[np.triu_indices(len(matrix), 1)], axis=0)


def jackknife_pairs(matrix):
    """Return pseudo-values of the mean over pairs, one for each member: (n, ...).

    Pairs share members, so that they are not independent; of a mean over pairs the jackknife's
    pseudo-values n m - (n - 1) m_without_i are, in the limit, and their mean is that mean (Arvesen
    1969). Of fewer than three members, the mean itself.

    Args:
        matrix: (n, n, ...), symmetric; its diagonal does not count.
    """
    count, whole = len(matrix), pair_mean(matrix)
    if count < 3:
        return whole[None]
    rest = [np.delete(np.delete(matrix, i, axis=0), i, axis=1) for i in range(count)]
    return np.array([count * whole - (count - 1) * pair_mean(part) for part in rest])


def crossed_interval(matrix):
    """Interval of the mean over pairs of two groups' members, (n, m): (low, high).

    The variance is the sum of both groups', of the means of their members, with as many degrees of
    freedom as the smaller group has; single members have no spread.
    """
    mean, variance = float(np.mean(matrix)), 0.0
    for axis in (0, 1):
        means = matrix.mean(axis=axis)
        variance += np.var(means, ddof=1) / len(means) if len(means) > 1 else 0.0
    freedom = max(min(matrix.shape) - 1, 1)
    half = np.sqrt(variance) * stats.t.ppf(0.5 + LEVEL / 2, freedom)
    return mean - half, mean + half


def bootstrap_interval(*samples, statistic=np.mean, seed=0):
    """Percentile interval of a statistic of samples (n, ...) by resampling their rows: (low, high).

    Args:
        samples: one or more arrays, of their own lengths; a single row has no spread.
        statistic: a function of the samples and `axis`; by default the mean of the only one.
        seed: of the resampling.
    """
    if any(len(sample) == 0 for sample in samples):
        raise UserError(
            "there is nothing to take an interval over: a sample has no values, as where a network "
            "names no image right"
        )
    if all(len(sample) == 1 for sample in samples):
        value = statistic(*samples, axis=0)
        return value, value
    interval = stats.bootstrap(
        samples,
        statistic,
        n_resamples=DRAWS,
        axis=0,
        confidence_level=LEVEL,
        method="percentile",
        random_state=np.random.default_rng(seed),  # `rng` only from SciPy 1.15 on
    ).confidence_interval
    return interval.low, interval.high
