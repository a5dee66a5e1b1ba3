"""What follows from sums: covariance, z, thresholds, reliability, explained variance."""

import dataclasses
import functools

import numpy as np

from reverse_correlation.estimates.correlation import split_half
from reverse_correlation.estimates.spectrum import spectrum_of
from reverse_correlation.estimates.sums import EPSILON, covariance_of, moments, whole_and_halves
from reverse_correlation.stimuli.null_images import sidak_threshold

MORE_THAN_CHANCE = 1.96  # the usual criterion of the informational value


@dataclasses.dataclass(frozen=True)
class VarianceSplit:
    """Shares of a response's variance under noise; they add up to 1.

    The estimates are without bias, so that one may come out a little below 0 or above 1.

    Attributes:
        linear: (R,), explained by a linear function of the stimulus.
        odd: (R,), the rest of the part that changes sign with the fluctuation.
        even: (R,), the part that is the same for a stimulus and its mirror image about the base.
        linear_error: (R,), standard error of `linear`.
    """

    linear: np.ndarray
    odd: np.ndarray
    even: np.ndarray
    linear_error: np.ndarray


@dataclasses.dataclass(frozen=True, repr=False)
class Estimate:
    """The covariance of R responses with a stimulus (or another map) of shape (h, w, c).

    Attributes:
        covariance: (R, h, w, c), in units of response times pixel value.
        standard_error: (R, h, w, c), or an array that broadcasts to it; of the covariance of a
            pixel that does not influence the response.
        mean_response, response_std: (R,).
        reliability: (R,), correlation of the images of even and odd shards, stepped up to the
            whole by Spearman and Brown; NaN with fewer than two shards.
        count: how many stimuli with their responses were averaged, both of a mirrored pair.
        nonnegative: whether the response is a rate, so that `average` has a meaning.
        threshold: the |z| that no pixel of a null image passes, with probability .95.
        freedom: degrees of freedom of the standard error, if it was itself estimated from few
            shards; None if it is known well.
        coefficients: (R, *coordinates), covariance with the independent numbers xi of the
            ensemble; None if the stimulus is not the ensemble's.
        coefficient_error: (R,), standard error of the coefficients, root mean square over the
            power of the ensemble if it is not the same for all; None likewise.
        errors_apart: (2, R), that of orthogonal coefficients and that of the others; None likewise.
        weights: (R, h, w, c), the coefficients as weights on pixels (for Gaussian noise the mean
            gradient); None if the ensemble cannot be inverted.
        variance: a VarianceSplit; None if stimuli come without mirror images.
        null_norm: median and scaled MAD of the norm of an image without signal whose coefficients
            have a standard error of 1; None if the stimulus is not the ensemble's.
        block: stimuli of a block of orthogonal numbers; 0 if they were drawn independently.
        fired: (R,), of filters: in how many images one of its units was active; None likewise.
        coefficient_errors: (R, 2), standard errors of the coefficients of orthogonal numbers and of
            independent ones; None if the stimulus is not the ensemble's.
        noise: the ensemble; None likewise.
    """

    covariance: np.ndarray
    standard_error: np.ndarray
    mean_response: np.ndarray
    response_std: np.ndarray
    reliability: np.ndarray
    count: int
    nonnegative: bool
    threshold: float
    freedom: float | None = None
    coefficients: np.ndarray | None = None
    coefficient_error: np.ndarray | None = None
    errors_apart: np.ndarray | None = None
    weights: np.ndarray | None = None
    variance: VarianceSplit | None = None
    null_norm: tuple | None = None
    block: int = 0
    fired: np.ndarray | None = None
    coefficient_errors: np.ndarray | None = None
    noise: object = None

    def plot(self, names=None, title=""):
        """Draw the images: a matplotlib Figure; names are (R,), by default numbers.

        Raises:
            UserError: for another number of names.
        """
        from reverse_correlation.figures.filters import plot_estimate

        return plot_estimate(self, names, title)

    def spectrum(self):
        """Return the power of the images by spatial frequency, less that of noise: a Spectrum.

        It is that of the whitened image, in which all channels count.

        Raises:
            UserError: if the stimulus is not the ensemble's, or the noise cannot be whitened.
        """
        return spectrum_of(self)

    def __repr__(self):
        """Say in a line what was measured, and how reliable it is."""
        from reverse_correlation.figures.class_images import range_of

        responses, *shape = self.covariance.shape
        known = range_of(self.reliability)
        return (
            f"<Estimate of {responses:,} response{'s' * (responses > 1)} to stimuli of "
            f"{tuple(shape)}: {self.count:,} stimuli{known and ', ' + known}>"
        )

    def _repr_html_(self):
        from reverse_correlation.figures.notebook import estimate_html

        return estimate_html(self)

    @functools.cached_property
    def z(self):
        """Covariance over its standard error, (R, h, w, c); NaN where the response never varied.

        Standard normal where the pixel does not influence the response.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            z = self.covariance / self.standard_error
            if self.freedom is not None:
                z = normal_from_t(z, self.freedom)
        return np.where(self.response_std[:, None, None, None] > 0, z, np.nan)

    @property
    def image(self):
        """The covariance, (R, h, w, c); NaN if the response never varied (within a pair)."""
        none = np.all(self.covariance == 0, axis=(1, 2, 3)) | ~(self.response_std > 0)
        return np.where(none[:, None, None, None], np.nan, self.covariance)

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
        """(R, h, w, c) bool: pixels significant at family-wise 5 % within their image."""
        return np.abs(np.nan_to_num(self.z)) > self.threshold

    @property
    def above_chance(self):
        """(R,) bool: images with a significant pixel, or an informational value above 1.96.

        Of images of nothing 5 to 9 % are, as each of the two criteria is passed by 2 to 6 %.
        """
        some = self.significant.any(axis=(1, 2, 3))
        return some | (np.nan_to_num(self.info_value) > MORE_THAN_CHANCE)

    @property
    def noise_share(self):
        """How much of each image's power is sampling error, (R,): sum se**2 / sum c**2."""
        error = np.broadcast_to(self.standard_error, self.covariance.shape)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = _power(error) / _power(self.covariance)
        return np.where(np.isnan(share), np.inf, share)

    @property
    def expected_correlation(self):
        """Expected correlation of each image as shown with its truth, (R,), 0 without signal.

        sqrt(1 - sum se**2 / sum c**2), after Murray (2011).
        """
        return np.sqrt(np.maximum(1 - self.noise_share, 0))

    def images_needed(self, correlation=0.9):
        """How many stimuli each image needs for that expected correlation with its truth: (R,).

        The squared signal-to-noise ratio grows in proportion to the stimuli shown (Murray 2011).
        Whole blocks, if numbers are orthogonal; infinite if no signal has been seen yet.
        """
        wanted = correlation**2 / (1 - correlation**2)
        with np.errstate(divide="ignore", invalid="ignore"):
            needed = self.count * wanted * self.noise_share / (1 - self.noise_share)
            if self.block:
                needed = np.maximum(np.ceil(needed / self.block), 1) * self.block
        return np.where(self.noise_share < 1, needed, np.inf)

    @property
    def info_value(self):
        """Informational value of each image as shown, (R,): how unusual its norm is under the null.

        (norm - median) / MAD of the norms of null images (Brinkman et al. 2019), with the MAD
        scaled to a standard deviation, as R's `mad` does. The usual criterion is 1.96.
        """
        if self.null_norm is None:
            return np.full(len(self.covariance), np.nan)
        median, deviation = self.null_norm
        with np.errstate(divide="ignore", invalid="ignore"):
            return (np.sqrt(_power(self.covariance)) / self.coefficient_error - median) / deviation


def estimate_from_sums(sums, nonnegative):
    """Turn sums of responses and signals into an Estimate; its error is that between shards.

    Linear filters have no other error with orthogonal numbers than that of rounding, which shards
    may share: no covariance is taken to be known better than float32 can say.

    Args:
        sums: {name: (2, ...)} of n, r, rr, x, rx, and those that `with_covariance` adds.
        nonnegative: whether the response is a rate.
    """
    total, even, odd = whole_and_halves(sums)
    n, freedom = total["n"], total["shards"] - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance = covariance_of(total)
        mean, std = moments(total)
        spread = total["ncc"] - total["nc"] ** 2 / n
        error = np.sqrt(np.maximum(spread, 0) / (freedom * n))
        rounding = EPSILON * np.abs(covariance).max(axis=(1, 2, 3), keepdims=True)
        reliability = split_half(covariance_of(even), covariance_of(odd))
    return Estimate(
        covariance=covariance,
        standard_error=np.maximum(error, rounding),
        mean_response=mean,
        response_std=std,
        reliability=reliability,
        count=int(n),
        nonnegative=nonnegative,
        threshold=sidak_threshold(covariance[0].size),
        freedom=float(freedom),
        fired=total.get("fired"),
    )


def with_covariance(shard):
    """Add a shard's own covariance and its square, since shards are independent of each other.

    Positions of a convolution overlap, and the two stimuli of a pair are not independent; so the
    error of an average over them is estimated from the variance between shards.
    """
    if not shard["n"]:  # a shard of which nothing was used
        return {**shard, "shards": np.float64(0), "nc": 0 * shard["rx"], "ncc": 0 * shard["rx"]}
    covariance, n = covariance_of(shard), shard["n"]
    return {**shard, "shards": np.float64(1), "nc": n * covariance, "ncc": n * covariance**2}


def _power(rows):
    """Return the sum of squares of each row: (R,)."""
    return np.sum(rows.reshape(len(rows), -1) ** 2, axis=1)


def normal_from_t(t, freedom):
    """Turn Student's t into a z of nearly the same tail probability (Wallace 1959)."""
    scale = (8 * freedom + 1) / (8 * freedom + 3)
    return np.sign(t) * scale * np.sqrt(freedom * np.log1p(t**2 / freedom))
