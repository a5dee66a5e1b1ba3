"""Which region of an image matters, where neighbouring pixels are not independent tests.

An image in units of its error is smoothed and brought back to a standard deviation of 1; where its
|z| passes a threshold, pixels that touch make a region, whose mass is the sum of |z| less that
threshold (Bullmore and others 1999; of classification images: Chauvin and others 2005). Its p is
the share of null images with a region of that mass or more anywhere: family-wise within an image.
Null images are those of the ensemble, A xi, with the errors of the image's own coefficients.
"""

import dataclasses
import functools
import math

import numpy as np
from scipy import ndimage, stats

from reverse_correlation.errors import UserError
from reverse_correlation.figures.class_images import response_of
from reverse_correlation.stimuli.orthogonal import ROWS
from reverse_correlation.texts import aligned, number

FORMING = 2.58  # the |z| at which a region begins: of single pixels, 1 % two-sided
SMOOTH = 1 / 32  # default deviation of the Gaussian, as a share of the shorter side
LEVEL = 0.05  # family-wise, of what is listed and drawn
LISTED = 3  # regions of a class in a table
AT_ONCE = 250  # null maps
HEAD = ("class", "sign", "row", "column", "pixels", "mass", "peak z", "p")
INSIDE_HEAD = ("class", "inside", "mean z", "s.d. of null", "p", "infoVal")
_TOUCHING = np.zeros((3, 3, 3), bool)  # of a stack of maps: the four neighbours in the same map
_TOUCHING[1] = ndimage.generate_binary_structure(2, 1)


@dataclasses.dataclass(frozen=True)
class Region:
    """Pixels that touch and whose smoothed z passes FORMING.

    Attributes:
        number: of the class, among all of the observer's.
        sign: 1 where brighter pixels speak for the class, -1 where they speak against it.
        mass: sum of |z| - FORMING.
        pixels: how many.
        row, column: of its centre, weighted like the mass; from 0, in pixels.
        peak: the z that is furthest from 0.
        p: family-wise within the image.
    """

    number: int
    sign: int
    mass: float
    pixels: int
    row: float
    column: float
    peak: float
    p: float

    @property
    def texts(self):
        """What stands below each of HEAD but the first."""
        sizes = f"{self.pixels:,}", f"{self.mass:.3g}", f"{self.peak:.1f}", f"{self.p:.2g}"
        return "+" if self.sign > 0 else "-", f"{self.row:.0f}", f"{self.column:.0f}", *sizes


@dataclasses.dataclass(frozen=True)
class Inside:
    """What an image is like inside a mask; NaN where the response never varied.

    Attributes:
        number: of the class, among all of the observer's.
        pixels: of the mask.
        mean_z: mean over the mask of z, not smoothed; of null images its mean is 0.
        null_std: and its standard deviation this.
        p: two-sided, of the mean.
        info_value: of z inside; above 1.96 is more than chance.
    """

    number: int
    pixels: int
    mean_z: float
    null_std: float
    p: float
    info_value: float

    @property
    def texts(self):
        """What stands below each of INSIDE_HEAD but the first."""
        values = self.mean_z, self.null_std, self.p, self.info_value
        templates = "{:.2f}", "{:.2g}", "{:.2g}", "{:.1f}"
        return f"{self.pixels:,}", *map(number, values, templates)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Regions:
    """The regions of the images of one response.

    Attributes:
        response: whose images.
        smooth: standard deviation of the Gaussian, in pixels.
        null_images: how many.
        regions: for each of K classes, its Regions, the largest mass first.
        labels: (K, h, w) int: 0, or the place of a pixel's region in that list, from 1.
        z: (K, h, w), smoothed, of standard deviation 1 where nothing matters; of several channels,
            the luminance; 0 outside a mask.
        names: (K,), of the classes.
        inside: for each class, an Inside; () without a mask.
    """

    response: str
    smooth: float
    null_images: int
    regions: tuple
    labels: np.ndarray
    z: np.ndarray
    names: tuple
    inside: tuple = ()

    @property
    def significant(self):
        """Where a region is whose p is below .05: (K, h, w) bool."""
        # regions of one class are in the order of their mass, so that p grows along them
        count = [sum(region.p < LEVEL for region in found) for found in self.regions]
        return (self.labels > 0) & (self.labels <= np.array(count)[:, None, None])

    @property
    def title(self):
        """What a table of regions holds."""
        where = " inside the mask" if self.inside else ""
        return (
            f"regions of {self.response} images{where}, z smoothed by {self.smooth:.2g} pixels: "
            f"|z| > {FORMING}, family-wise p < {LEVEL:g} of {self.null_images:,} null images, "
            f"the {LISTED} largest"
        )

    def table(self, shown=None, names=None):
        """Return HEAD, and a row of texts for each region of some classes whose p is below .05.

        A class without any has a row that says so, and its smallest p.

        Args:
            shown: places of the classes among the measured ones; by default all.
            names: of the measured classes; by default the observer's, or their numbers.
        """
        rows, names = [HEAD], names or self.names
        for k in range(len(self.names)) if shown is None else shown:
            found = [region for region in self.regions[k] if region.p < LEVEL][:LISTED]
            rows += [(names[k], *region.texts) for region in found]
            if not found:
                least = number(min((r.p for r in self.regions[k]), default=None), "{:.2g}")
                rows.append((names[k], "none", *["-"] * (len(HEAD) - 3), least))
        return rows

    def inside_table(self, shown=None, names=None):
        """Return INSIDE_HEAD and a row of texts for each of some classes; [] without a mask."""
        if not self.inside:
            return []
        names, shown = names or self.names, range(len(self.names)) if shown is None else shown
        return [INSIDE_HEAD, *((names[k], *self.inside[k].texts) for k in shown)]

    def __repr__(self):
        """Return both tables for a terminal."""
        tables = [self.title, *aligned(self.table())]
        return "\n".join(tables + aligned(self.inside_table()))


def find_regions(measurements, response=None, smooth=None, mask=None):
    """Find the regions of measurements with the same noise, whose null is then drawn once: [Regions].

    Args:
        measurements: several Measurements, with the same ensemble.
        response, smooth, mask: as for `Measurement.regions`.

    Raises:
        UserError: as `Measurement.regions`.
    """
    noise = measurements[0].noise
    responses = [response_of(each, response) for each in measurements]
    if smooth is None:
        smooth = SMOOTH * min(noise.shape[:2])
    if not 0 <= smooth < math.inf:
        raise UserError(f"smooth is a number of pixels from 0 up, not {smooth}")
    mask = None if mask is None else checked_mask(mask, noise.shape)
    null = _Null.of(noise, smooth, mask)
    return [
        null.regions(each, name) for each, name in zip(measurements, responses, strict=True)
    ]


def checked_mask(mask, shape):
    """Return a mask for images (h, w, c), (h, w) bool.

    Raises:
        UserError: if it has another size, or holds no pixel or all.
    """
    mask = np.asarray(mask) != 0
    if mask.shape != tuple(shape[:2]):
        sizes = (" x ".join(map(str, size)) for size in (mask.shape, shape[:2]))
        raise UserError("the mask is {}, but the images are {}: give one of their size".format(*sizes))
    if mask.all() or not mask.any():
        held = "every pixel" if mask.all() else "no pixel"
        raise UserError(f"the mask holds {held}: mark the region that you ask about, or leave it out")
    return mask


def cluster_masses(maps, threshold):
    """Label the clusters of signed maps, of positive and negative values apart.

    Args:
        maps: (n, h, w), such as z or t.
        threshold: the absolute value that all of a cluster's pixels pass.

    Returns:
        (labels, masses): (n, h, w) int, 0 where there is no cluster, and each cluster of all maps
        with a number of its own; the mass of each number, the sum of |value| - threshold, of
        which that of 0 is 0.
    """
    above, count = ndimage.label(maps > threshold, _TOUCHING)
    below, more = ndimage.label(maps < -threshold, _TOUCHING)
    labels = np.where(below > 0, below + count, above)
    excess = np.where(labels > 0, np.abs(maps) - threshold, 0)
    return labels, np.bincount(labels.ravel(), excess.ravel(), minlength=count + more + 1)


def largest_masses(maps, threshold):
    """Return the largest mass of a cluster in each of the maps (n, h, w), 0 without one: (n,)."""
    labels, masses = cluster_masses(maps, threshold)
    return masses[labels].max(axis=(1, 2))


@dataclasses.dataclass(frozen=True, eq=False)
class _Maps:
    """Maps without signal, from coordinates whose error is 1, in parts of orthogonal and of others.

    Attributes:
        parts: (P, n, ...), P = 1 where all coordinates have the same error.
    """

    parts: np.ndarray

    @functools.cached_property
    def power(self):
        """The variance of each part, (P, ...)."""
        return np.mean(self.parts**2, axis=1, dtype=np.float64)

    def z(self, maps, errors):
        """Return maps (K, ...) in units of their own deviation, if coordinates have errors (P, K)."""
        return _over(maps, np.tensordot(errors.T**2, self.power, 1))

    def null_z(self, errors, scale):
        """Yield blocks of the same of null maps, whose coordinates have errors (P,).

        Args:
            scale: (n,), what the variance of the first part came out as, over what it is.
        """
        count = self.parts.shape[1]
        for first in range(0, count, AT_ONCE):
            some = self.parts[:, first : first + AT_ONCE]
            # the power is that of the other null images, as it is for the measured image
            variance = (count * self.power[:, None] - some**2) / (count - 1)
            variance = (errors**2 * variance.T).T
            variance[0] = (scale[first : first + AT_ONCE] * variance[0].T).T
            yield _over(np.tensordot(errors, some, 1), variance.sum(axis=0))


@dataclasses.dataclass(frozen=True, eq=False)
class _Null:
    """What regions of nothing are like, under one ensemble, smoothing and mask."""

    noise: object
    smooth: float
    mask: np.ndarray | None
    smoothed: _Maps  # (P, n, h, w)
    inside: _Maps | None  # (P, n, pixels of the mask), not smoothed
    kept: dict = dataclasses.field(default_factory=dict)  # largest masses that are known

    @classmethod
    def of(cls, noise, smooth, mask):
        """Draw the null images."""
        numbers, columns = math.prod(noise.coordinates), noise.orthogonal_coordinates
        keep = np.reshape(np.arange(numbers) < columns, noise.coordinates).astype(np.float32)
        apart = [keep, 1 - keep] if 0 < columns < numbers else [np.float32(1)]
        smoothed, inside = [], []
        for xi in noise.null_numbers():
            maps = [_luminance(np.asarray(noise.fluctuation(xi * part)), noise) for part in apart]
            smoothed.append([_smoothed(each, smooth, mask) for each in maps])
            if mask is not None:
                inside.append([each[:, mask] for each in maps])
        inside = _Maps(np.concatenate(inside, axis=1)) if inside else None
        return cls(noise, smooth, mask, _Maps(np.concatenate(smoothed, axis=1)), inside)

    def regions(self, measurement, response):
        """Return the Regions of one response of a measurement."""
        estimate, numbers = measurement.classes[response], measurement.class_indices
        several = len(self.smoothed.parts) > 1
        errors = estimate.errors_apart if several else estimate.coefficient_error[None]
        errors, maps = np.nan_to_num(errors), _luminance(np.nan_to_num(estimate.image), self.noise)
        z = self.smoothed.z(_smoothed(maps, self.smooth, self.mask), errors)
        null = [self._null(*each) for each in self._keys(estimate, errors)]
        largest = np.array([masses for masses, _, _ in null])
        regions, labels = _regions(z, numbers, largest)
        inside = ()
        if self.mask is not None:
            inside = tuple(
                _inside(number, values, *each)
                for number, values, (_, *each) in zip(
                    numbers, self.inside.z(maps[:, self.mask], errors), null, strict=True
                )
            )
        names = measurement.class_names()
        return Regions(
            response, self.smooth, largest.shape[1], regions, labels, z, names, inside
        )

    def _keys(self, estimate, errors):
        """Return what the null of each class depends on, [(ratio of errors, degrees of freedom)].

        The ratio, of orthogonal coordinates to the others, is rounded, so that classes share nulls.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.nan_to_num(errors[0] / errors[-1])
        blocks = estimate.count // estimate.block if estimate.block else 0
        freedom = blocks * (ROWS - self.noise.orthogonal_coordinates)
        return [(round(float(ratio), 1), freedom) for ratio in ratios]

    def _null(self, ratio, freedom):
        """Return the largest mass of each null image; and inside the mask, the mean and norm of z."""
        if (ratio, freedom) not in self.kept:
            count, parts = self.smoothed.parts.shape[1], len(self.smoothed.parts)
            errors, scale = np.array([ratio, 1.0][-parts:]), np.ones(count)
            if freedom:  # of one block of orthogonal numbers the error itself is known to 3 to 9 %
                scale = np.random.default_rng(0).chisquare(freedom, count) / freedom
            blocks = self.smoothed.null_z(errors, scale)
            found = [np.concatenate([largest_masses(z, FORMING) for z in blocks]), None, None]
            if self.inside:
                z = np.concatenate(list(self.inside.null_z(errors, scale)))
                found[1:] = z.mean(axis=1), np.linalg.norm(z, axis=1)
            self.kept[ratio, freedom] = found
        return self.kept[ratio, freedom]


def _luminance(images, noise):
    """Return images (n, h, w, c) in units of the noise, channels averaged: (n, h, w) float32."""
    scale = np.where(noise.pixel_std > 0, noise.pixel_std, np.inf)
    return np.mean(images / scale, axis=3, dtype=np.float32)


def _smoothed(maps, smooth, mask):
    """Return maps (n, h, w) smoothed by a Gaussian, of what is inside a mask alone."""
    inside = 1 if mask is None else mask
    return inside * ndimage.gaussian_filter(
        inside * maps, (0, smooth, smooth), mode="constant", truncate=3
    )


def _over(maps, variance):
    """Return maps over the root of a variance, 0 where that is 0."""
    return np.divide(maps, np.sqrt(variance), out=np.zeros(maps.shape), where=variance > 0)


def _regions(z, numbers, largest):
    """Return the Regions of each class, and their labels, from z (K, h, w).

    Args:
        numbers: (K,), of the classes.
        largest: (K, n), mass in null images.
    """
    labels, masses = cluster_masses(z, FORMING)
    count, flat = len(masses), labels.ravel()
    weights = np.where(labels > 0, np.abs(z) - FORMING, 0)

    def mean(values, weights=weights, total=masses):
        sums = np.bincount(flat, (weights * values).ravel(), minlength=count)
        return sums / np.maximum(total, 1e-300)

    pixels = np.bincount(flat, minlength=count)
    place, row, column = (mean(grid) for grid in np.indices(z.shape, sparse=True))
    peaks = ndimage.maximum(weights, labels, np.arange(count)) + FORMING
    sign = ndimage.maximum(np.sign(z), labels, np.arange(count))
    place = np.rint(place).astype(int)
    found, rank = [[] for _ in numbers], np.zeros(count, int)
    for i in sorted(range(1, count), key=lambda i: -masses[i]):
        k = place[i]
        p = (1 + np.sum(largest[k] >= masses[i])) / (1 + largest.shape[1])
        region = Region(
            int(numbers[k]), int(sign[i]), float(masses[i]), int(pixels[i]), float(row[i]),
            float(column[i]), float(sign[i] * peaks[i]), float(p),
        )  # fmt: skip
        found[k].append(region)
        rank[i] = len(found[k])
    return tuple(map(tuple, found)), rank[labels]


def _inside(number, z, means, norms):
    """Return the Inside of one class, from its z (pixels,) and the means and norms of null images."""
    if not z.any():
        return Inside(int(number), len(z), *[np.nan] * 4)
    mean, norm = z.mean(), np.linalg.norm(z)
    p = (1 + np.sum(np.abs(means) >= abs(mean))) / (1 + len(means))
    spread = stats.median_abs_deviation(norms, scale="normal")
    value = (norm - np.median(norms)) / spread
    return Inside(int(number), len(z), float(mean), float(means.std()), float(p), float(value))
