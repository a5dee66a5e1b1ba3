"""What class images look like without any signal: the threshold of their pixels, their norm."""

import numpy as np
from scipy import optimize, stats


def sidak_threshold(pixels, alpha=0.05):
    """Return the |z| that no independent null pixel passes, with probability 1 - alpha."""
    return stats.norm.ppf(0.5 + 0.5 * (1 - alpha) ** (1 / pixels))


def chi_null(numbers, scale=1.0):
    """Return the median and scaled MAD of the norm of normal numbers with this scale."""
    null = stats.chi(numbers)
    median = null.median()
    mad = optimize.brentq(
        lambda d: null.cdf(median + d) - null.cdf(median - d) - 0.5, 0, null.ppf(0.999)
    )
    return scale * median, scale * mad / stats.norm.ppf(0.75)


def gumbel_quantile(largest, probability):
    """Return a quantile of the Gumbel distribution that has the moments of a sample of largest."""
    scale = np.sqrt(6) / np.pi * np.std(largest, ddof=1)
    return stats.gumbel_r.ppf(probability, np.mean(largest) - np.euler_gamma * scale, scale)
