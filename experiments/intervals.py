"""95 % intervals: of a share, of a mean of shares, and of any statistic by resampling."""

import numpy as np
from scipy import stats

from reverse_correlation import UserError

LEVEL = 0.95
DRAWS = 2000  # of the bootstrap


def wilson_interval(hits, trials):
    """Interval of a share by Wilson's (1927) score: (low, high); NaN without trials."""
    if not trials:
        return np.nan, np.nan
    interval = stats.binomtest(int(hits), int(trials)).proportion_ci(LEVEL, method="wilson")
    return float(interval.low), float(interval.high)


def student_interval(shares):
    """Student's interval of the mean of shares, cut off at 0 and 1: (low, high)."""
    mean, half = float(np.mean(shares)), 0.0
    if len(shares) > 1:
        half = stats.sem(shares) * stats.t.ppf(0.5 + LEVEL / 2, len(shares) - 1)
    return float(max(mean - half, 0)), float(min(mean + half, 1))


def bootstrap_interval(*samples, statistic=np.mean, seed=0):
    """Percentile interval of a statistic of samples (n, ...) by resampling their rows: (low, high).

    Args:
        samples: one or more arrays, of their own lengths; a single row has no spread.
        statistic: a function of the samples and `axis`; by default the mean of the only one.
        seed: of the resampling.
    """
    if any(len(sample) == 0 for sample in samples):
        raise UserError(
            "there is nothing to take an interval over: the network names no image right; train it "
            "again with --retrain"
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
