"""Do observers look for the same? Agreement between the class images of several measurements.

    a, b = (measure(network, noise, 100_000, seed=i) for i, network in enumerate(networks))
    found = compare([a, b], "choice")
    print(found.correlation[0, 1], "+-", found.error)   # (K,), class by class
    print(difference(a, b, "choice").significant.sum(axis=(1, 2, 3)))

Observers that are shown the same noise have errors in common, which correlate their images even if
their templates have nothing in common. So the even shards of one are always compared with the odd
shards of another, unless the noise of every observer had its own seed.
"""

import dataclasses
import functools

import numpy as np
from keras import ops
from scipy import stats

from reverse_correlation.errors import UserError
from reverse_correlation.estimates.correlation import correlations
from reverse_correlation.estimates.estimate import MORE_THAN_CHANCE
from reverse_correlation.estimates.intervals import LEVEL
from reverse_correlation.estimates.spectrum import (
    band_passed,
    frequencies,
    octaves,
    white_images,
)


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How far M observers agree on each of K classes.

    Attributes:
        names: of the observers.
        correlation: (M, M, K), of one observer's even shards with another's odd ones, averaged
            over both ways round; on the diagonal, the correlation of an observer's two halves.
        disattenuated: (M, M, K), the correlation that would be found without noise: divided by the
            root of the product of both observers' diagonal values. It may exceed 1, and is NaN
            where an observer's halves do not correlate.
        error: the standard deviation of the correlation of unrelated images of the ensemble.
        single, average: ICC(3,1) and ICC(3,k) of each class, as IntraclassCorrelations; None if
            more than two observers were shown the same noise.
        info_value: (M, K), infoVal of each observer's images.
        halves: the Estimates of each observer's even and of its odd shards, for `bands`.
    """

    names: tuple
    correlation: np.ndarray
    disattenuated: np.ndarray
    error: float
    single: object
    average: object
    info_value: np.ndarray
    halves: tuple = dataclasses.field(default=(), repr=False)

    @functools.cached_property
    def bands(self):
        """A BandAgreement; None if the noise cannot be whitened, or images are too small."""
        return agreement_by_band(self.halves) if self.halves else None


@dataclasses.dataclass(frozen=True)
class BandAgreement:
    """How far M observers agree on each of K classes in B bands of spatial frequency.

    Of whitened images that keep the band alone; all channels count.

    Attributes:
        edges: (B + 1,), in cycles along the longer side of an image.
        count: (B,), how many independent coefficients each band has.
        correlation, disattenuated: (B, M, M, K), as of an Agreement; the latter is NaN where the
            halves of an observer correlate by no more than 1.96 errors.
        error: (B,), the standard deviation of the correlation of unrelated images.
    """

    edges: np.ndarray
    count: np.ndarray
    correlation: np.ndarray
    disattenuated: np.ndarray
    error: np.ndarray

    @property
    def disattenuated_error(self):
        """The standard deviation of `disattenuated` if images are unrelated: (B, M, M, K)."""
        own = np.einsum("bmmk->bmk", self.correlation)
        with np.errstate(invalid="ignore"):
            own = np.sqrt(own[:, :, None] * own[:, None])
        error = self.error[:, None, None, None] / own
        return np.where(np.isfinite(self.disattenuated), error, np.nan)

    @property
    def names(self):
        """What each band is called: (B,) texts, such as "2 to 4"."""
        ends = zip(self.edges[:-1], self.edges[1:], strict=True)
        return [f"{low:.0f} to {high:.0f}" for low, high in ends]


@dataclasses.dataclass(frozen=True)
class IntraclassCorrelation:
    """The intraclass correlation of each of K classes with its 95 % interval; each (K,)."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclasses.dataclass(frozen=True)
class Difference:
    """The difference of two observers' images, in units of each response's standard deviation.

    Attributes:
        covariance: (K, h, w, c).
        z: (K, h, w, c), standard normal where the observers do not differ.
        threshold: if the observers do not differ, no pixel's |z| exceeds this, with probability
            .95.
    """

    covariance: np.ndarray
    z: np.ndarray
    threshold: float

    @property
    def significant(self):
        """(K, h, w, c) bool: pixels that differ, at a family-wise level of 5 % within a class."""
        return np.abs(np.nan_to_num(self.z)) > self.threshold


def compare(measurements, response="choice", names=None):
    """Compare what observers look for, class by class: an Agreement.

    Args:
        measurements: two or more Measurements with the same ensemble and the same classes.
        response: "choice", "decision", "probability" or "logit".
        names: of the observers; by default those in the measurements.

    Raises:
        UserError: if there are fewer than two, or they cannot be compared.
    """
    _check(measurements, response, names)
    estimates = [[part.classes[response] for part in m.halves()] for m in measurements]
    halves = [[part.image for part in both] for both in estimates]
    error = null_error(measurements[0].noise)
    r, disattenuated = across_halves(halves, error)
    images, single, average = _independent_images(measurements, halves, response), None, None
    if images is not None:
        each_class = [intraclass(images[:, k]) for k in range(images.shape[1])]
        single, average = (
            IntraclassCorrelation(*values.T) for values in np.swapaxes(each_class, 0, 1)
        )
    return Agreement(
        names=tuple(names or (m.provenance["network"] for m in measurements)),
        correlation=r,
        disattenuated=disattenuated,
        error=error,
        single=single,
        average=average,
        info_value=np.array([m.classes[response].info_value for m in measurements]),
        halves=estimates,
    )


def across_halves(halves, least):
    """Return the correlations of M observers across halves, and disattenuated: (M, M, K) each.

    Args:
        halves: (even, odd) of each observer, images (K, h, w, c).
        least: that the two halves of an observer must correlate by to say something of a truth.
    """
    one_way = np.array([[correlations(even, odd) for _, odd in halves] for even, _ in halves])
    r = (one_way + one_way.swapaxes(0, 1)) / 2
    own = np.diagonal(r).T
    own = np.where(own > least, own, np.nan)  # an image that may be noise
    return r, r / np.sqrt(own[:, None] * own[None])


def agreement_by_band(halves):
    """Return the agreement in octaves of spatial frequency: a BandAgreement, or None.

    Args:
        halves: (even, odd) of each observer, Estimates.
    """
    white = [[white_images(half) for half in both] for both in halves]
    if white[0][0] is None:
        return None
    height, width, channels = white[0][0].shape[1:]
    edges, bands = octaves(height, width), []
    if not len(edges):
        return None
    count = channels * np.histogram(frequencies(height, width), edges)[0]
    error = 1 / np.sqrt(count)
    for low, high, least in zip(edges[:-1], edges[1:], MORE_THAN_CHANCE * error, strict=True):
        passed = [[band_passed(half, low, high) for half in both] for both in white]
        bands.append(across_halves(passed, least))
    return BandAgreement(edges, count, *map(np.array, zip(*bands, strict=True)), error)


def difference(first, second, response="choice"):
    """Return where two observers' class images differ: a Difference.

    If both were shown the same noise, the even shards of the first are compared with the odd
    shards of the second, which costs half of the data. Otherwise as `compare`.
    """
    _check([first, second], response)
    if not _have_own_noise([first, second]):
        first, second = first.halves()[0], second.halves()[1]
    parts = []
    for measurement in (first, second):
        estimate = measurement.classes[response]
        std = np.where(estimate.response_std > 0, estimate.response_std, np.nan)
        std = std[:, None, None, None]
        parts.append((estimate.image / std, estimate.standard_error / std))
    covariance = parts[0][0] - parts[1][0]
    error = np.hypot(parts[0][1], parts[1][1])
    with np.errstate(divide="ignore", invalid="ignore"):
        return Difference(covariance, covariance / error, first.noise.threshold)


def intraclass(images):
    """Return ICC(3,1), of one rater, and ICC(3,k), of the mean of k raters, with 95 % intervals.

    Two-way mixed effects, consistency (Shrout and Fleiss 1979). Pixels are the items and observers
    the raters, as in studies of people. The intervals assume that items are independent, as the
    pixels of white noise are; with coloured noise they are not, and the intervals are too narrow.

    Args:
        images: (k, items), one row per rater.

    Returns:
        ((value, low, high), (value, low, high)).
    """
    raters, items = images.shape
    rows, columns = images.mean(axis=0), images.mean(axis=1, keepdims=True)
    residual = images - rows - columns + images.mean()
    freedom = (raters - 1) * (items - 1)
    between = raters * np.sum((rows - images.mean()) ** 2) / (items - 1)
    within = np.sum(residual**2) / freedom
    tail = (1 - LEVEL) / 2
    with np.errstate(divide="ignore", invalid="ignore"):  # raters may agree completely
        ratio = between / within
        low = ratio / stats.f.ppf(1 - tail, items - 1, freedom)
        high = ratio * stats.f.ppf(1 - tail, freedom, items - 1)
        single = [(f - 1) / (f + raters - 1) for f in (ratio, low, high)]
        return single, [1 - 1 / f for f in (ratio, low, high)]


def null_error(noise, draws=200):
    """Return the standard deviation of the correlation of two unrelated images, from draws."""
    noise = noise.independent
    first = ops.convert_to_numpy(noise.fluctuation(noise.xi(0, 0, draws)))
    second = ops.convert_to_numpy(noise.fluctuation(noise.xi(0, 1, draws)))
    return float(np.sqrt(np.mean(correlations(first, second) ** 2)))


def _independent_images(measurements, halves, response):
    """Return images with independent errors, (M, K, items); None if there are none."""
    if _have_own_noise(measurements):
        images = np.array([m.classes[response].image for m in measurements])
    elif len(measurements) == 2:
        images = np.array([halves[0][0], halves[1][1]])
    else:
        return None
    flat = images.reshape(*images.shape[:2], -1)
    with np.errstate(invalid="ignore"):
        return flat / flat.std(axis=2, keepdims=True)  # slopes of responses must not count


def _have_own_noise(measurements):
    """Return whether no two observers were shown the same noise."""
    seeds = [m.provenance["seed"] for m in measurements]
    return len(set(seeds)) == len(seeds)


def _check(measurements, response, names=()):
    """Raise UserError if measurements cannot be compared."""
    if len(measurements) < 2:
        raise UserError("agreement is between two observers or more: give at least two")
    names = names or [m.provenance["network"] for m in measurements]
    refuse_incomparable(measurements, response, names)
    for m, name in zip(measurements, names, strict=True):
        if any(part.count == 0 for part in m.halves()):
            raise UserError(
                f"{name!r} was shown too few images for two halves: measure it again with at least "
                f"{2 * m.provenance['block_images'] * m.provenance['shard_blocks']:,} images, and "
                "until 0"
            )


def refuse_incomparable(measurements, response, names):
    """Raise UserError if measurements have other noise, classes or responses than the first."""
    first, wanted = measurements[0], measurements[0].provenance["noise"]
    for m, name in zip(measurements, names, strict=True):
        noise = m.provenance["noise"]
        if response not in m.classes:
            raise UserError(
                f"{name!r} has no {response} images: it has {', '.join(m.classes)}; choose one"
            )
        if noise != wanted:
            differing = [key for key in {**noise, **wanted} if noise.get(key) != wanted.get(key)]
            raise UserError(
                f"{name!r} was shown other noise than {names[0]!r} "
                f"({', '.join(differing)}): measure both with the same ensemble"
            )
        shape = m.classes[response].covariance.shape
        if shape != first.classes[response].covariance.shape or not np.array_equal(
            m.class_indices, first.class_indices
        ):
            raise UserError(
                f"{name!r} was measured on {shape[0]} classes that are not those of "
                f"{names[0]!r}: compare observers of one task"
            )
