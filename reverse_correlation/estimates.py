"""What sums say: covariance, z, thresholds, reliability, and how many images are still needed."""

import dataclasses
import math

import numpy as np
from scipy import stats


@dataclasses.dataclass(frozen=True)
class Estimate:
    """The covariance of R responses with a stimulus (or another map) of shape (h, w, c).

    Attributes:
        covariance: (R, h, w, c), in units of response times pixel value.
        mean_response, response_std: (R,).
        z: (R, h, w, c), covariance over its standard error; standard normal where the pixel does
            not influence the response, NaN where the response never varied.
        reliability: (R,), correlation of the images of even and odd shards, stepped up to the
            whole by Spearman and Brown; NaN with fewer than two shards.
        count: how many (stimulus, response) pairs were averaged.
        nonnegative: whether the response is a rate, so that `average` has a meaning.
    """

    covariance: np.ndarray
    mean_response: np.ndarray
    response_std: np.ndarray
    z: np.ndarray
    reliability: np.ndarray
    count: int
    nonnegative: bool

    @property
    def image(self):
        """The covariance where there is one, (R, h, w, c): NaN if the response never varied."""
        varied = self.response_std[:, None, None, None] > 0
        return np.where(varied, self.covariance, np.nan)

    @property
    def average(self):
        """The response-weighted mean stimulus minus the mean stimulus: c / E r, (R, h, w, c).

        For decisions: the mean noise image of the trials answered k, minus that of all trials. For
        filters: the spike-triggered average. NaN where E r is 0 or r may be negative (a logit).
        """
        if not self.nonnegative:
            return np.full_like(self.covariance, np.nan)
        rate = np.where(self.mean_response > 0, self.mean_response, np.nan)
        return self.covariance / rate[:, None, None, None]

    @property
    def events(self):
        """Effective number of spikes behind each average: (sum of r)**2 / sum of r**2, (R,)."""
        power = self.mean_response**2 + self.response_std**2
        with np.errstate(invalid="ignore"):
            return np.nan_to_num(self.count * self.mean_response**2 / power)

    @property
    def significant(self):
        """(R, h, w, c) bool: pixels significant at family-wise 5 % within their image (Sidak)."""
        return np.abs(np.nan_to_num(self.z)) > sidak_threshold(self.z[0].size)

    def images_needed(self, correlation=0.9):
        """How many pairs would bring each image to that correlation with its expectation: (R,).

        The squared signal-to-noise ratio of an image of D pixels is the sum of z**2 minus D, and
        grows in proportion to the pairs averaged; the image's correlation with the truth is
        SNR / sqrt(SNR**2 + D - 1) (Murray 2011). Infinite where no signal has been seen yet.
        """
        z = self.z.reshape(len(self.z), -1)
        snr2 = np.maximum((z**2).sum(axis=1) - z.shape[1], 0)
        wanted = correlation**2 / (1 - correlation**2) * (z.shape[1] - 1)
        with np.errstate(divide="ignore"):
            return self.count * wanted / snr2


def estimate_from_sums(sums, nonnegative):
    """Turn one set of sums, kept apart for even and odd shards, into an Estimate.

    Args:
        sums: {name: (2, ...)} of n, r, rr, x, rx and either xx, or shards, nc and ncc.
        nonnegative: whether the response is a rate.
    """
    total = {name: value.sum(axis=0) for name, value in sums.items()}
    even, odd = ({name: value[i] for name, value in sums.items()} for i in (0, 1))
    n = total["n"]
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance = covariance_of(total)
        mean = total["r"] / n
        std = np.sqrt(np.maximum(total["rr"] / n - mean**2, 0))
        if "shards" in total:  # overlapping positions are not independent: compare shards instead
            freedom = total["shards"] - 1
            spread = total["ncc"] - total["nc"] ** 2 / n
            z = _normal_from_t(covariance / np.sqrt(spread / (freedom * n)), freedom)
        else:
            stimulus_std = np.sqrt(total["xx"] / n - (total["x"] / n) ** 2)
            z = covariance * math.sqrt(n) / np.multiply.outer(std, stimulus_std)
        z = np.where(std[:, None, None, None] > 0, z, np.nan)
        reliability = spearman_brown(correlations(covariance_of(even), covariance_of(odd)))
    return Estimate(covariance, mean, std, z, reliability, int(n), nonnegative)


def covariance_of(sums):
    """Return the covariance of r and x from their sums n, r, x and rx: (R, h, w, c)."""
    return (sums["rx"] - np.multiply.outer(sums["r"], sums["x"]) / sums["n"]) / sums["n"]


def sidak_threshold(pixels, alpha=0.05):
    """Return the |z| that none of `pixels` independent null pixels passes, with 1 - alpha."""
    return stats.norm.ppf(0.5 + 0.5 * (1 - alpha) ** (1 / pixels))


def spearman_brown(r):
    """Step the correlation of two halves up to the reliability of the whole: 2 r / (1 + |r|)."""
    return 2 * r / (1 + np.abs(r))


def cosines(a, b):
    """Return the cosine between the rows of two (n, ...) arrays: (n,); NaN where one is zero."""
    a, b = (np.asarray(rows, np.float64).reshape(len(rows), -1) for rows in (a, b))
    with np.errstate(divide="ignore", invalid="ignore"):
        return (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


def correlations(a, b):
    """Return Pearson's correlation between the rows of two (n, ...) arrays: (n,)."""
    a, b = (np.asarray(rows).reshape(len(rows), -1) for rows in (a, b))
    return cosines(a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True))


def _normal_from_t(t, freedom):
    """Turn Student's t into a z of the same tail probability (Wallace 1959; never overflows)."""
    scale = (8 * freedom + 1) / (8 * freedom + 3)
    return np.sign(t) * scale * np.sqrt(freedom * np.log1p(t**2 / freedom))
