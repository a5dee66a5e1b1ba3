"""Which region of an image matters, where neighbouring pixels are not independent tests.

An image in units of its error is smoothed and brought back to a standard deviation of 1. Where its
|z| passes a threshold, pixels that touch make a region, whose mass is the sum of |z| less that
threshold (Bullmore and others 1999; of classification images: Chauvin and others 2005). Its p is
the share of null images with a region of that mass or more anywhere: family-wise within an image.
Null images are those of the ensemble, A xi, with the errors that the image's coefficients have.
"""

import dataclasses
import math

import numpy as np
from scipy import ndimage, stats

from reverse_correlation.errors import UserError
from reverse_correlation.estimates.null_maps import NullMaps
from reverse_correlation.figures.class_images import response_of
from reverse_correlation.stimuli.base_images import checked_mask
from reverse_correlation.texts import aligned, number

FORMING = 2.58  # the |z| at which a region begins: of single pixels, 1 % two-sided
SMOOTH = 1 / 32  # deviation of the Gaussian, as a share of the shorter side, where none is asked
LEVEL = 0.05  # family-wise, of what is listed and drawn
LISTED = 3  # regions of a class in a table
HEAD = ("class", "sign", "row", "column", "pixels", "mass", "peak z", "p")
INSIDE_HEAD = ("class", "mean z inside", "s.d. of null", "p", "infoVal inside")
_TOUCHING = np.pad(ndimage.generate_binary_structure(2, 1)[None], ((1, 1), (0, 0), (0, 0)))


@dataclasses.dataclass(frozen=True)
class Region:
    """Pixels that touch and whose smoothed z passes FORMING.

    Attributes:
        number: of the class, among all of the observer's.
        sign: 1 where brighter pixels speak for the class, -1 where they speak against it.
        mass: sum of |z| - FORMING.
        pixels: how many.
        row, column: of its centre, weighted like the mass; in pixels, from 0.
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
        sizes = f"{self.pixels:,}", f"{self.mass:,.0f}", f"{self.peak:.1f}", f"{self.p:.2g}"
        return "+" if self.sign > 0 else "-", f"{self.row:.0f}", f"{self.column:.0f}", *sizes


@dataclasses.dataclass(frozen=True)
class Inside:
    """What an image is like inside a mask; NaN where the response never varied.

    Attributes:
        number: of the class, among all of the observer's.
        mean_z: mean of z, not smoothed; of null images it is 0 on average.
        null_std: standard deviation of that mean over null images.
        p: of the mean, two-sided.
        info_value: of z inside, after Brinkman and others (2019); above 1.96 is more than chance.
    """

    number: int
    mean_z: float
    null_std: float
    p: float
    info_value: float

    @property
    def texts(self):
        """What stands below each of INSIDE_HEAD but the first."""
        values = self.mean_z, self.null_std, self.p, self.info_value
        return tuple(map(number, values, ("{:.2f}", "{:.2g}", "{:.2g}", "{:.1f}")))


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Regions:
    """The regions of the images of one response.

    Attributes:
        response: whose images.
        smooth: standard deviation of the Gaussian, in pixels.
        null_images: how many.
        names: (K,), of the classes.
        regions: for each class, its Regions, the largest mass first.
        labels: (K, h, w) int: 0, or the place of a pixel's region in that list, from 1.
        z: (K, h, w), smoothed, of standard deviation 1 where nothing matters; of several channels,
            the luminance; 0 outside a mask.
        mask: (h, w) bool, or None.
        inside: for each class, an Inside; () without a mask.
    """

    response: str
    smooth: float
    null_images: int
    names: tuple
    regions: tuple
    labels: np.ndarray
    z: np.ndarray
    mask: np.ndarray | None = None
    inside: tuple = ()

    @property
    def significant(self):
        """Where a region is whose p is below .05: (K, h, w) bool."""
        # a class's regions stand in the order of their mass, so p grows along them
        count = [sum(region.p < LEVEL for region in found) for found in self.regions]
        return (self.labels > 0) & (self.labels <= np.array(count)[:, None, None])

    @property
    def title(self):
        """What its tables hold."""
        where = f" inside {self.mask.sum():,} pixels" if self.inside else ""
        return f"regions of {self.response} images{where}, smoothed by {self.smooth:.2g} pixels"

    @property
    def legend(self):
        """What stands below the tables."""
        return (
            f"the {LISTED} largest of an image with p < {LEVEL:g}, family-wise within it, from "
            f"{self.null_images:,} null images;\nrow, column: of the centre, from 0; mass: sum of "
            f"|z| - {FORMING} over the pixels"
        )

    def tables(self, shown=None, names=None):
        """Return tables of texts, a list of rows each: of regions, and of what is inside a mask.

        A class without a region whose p is below .05 has a row that says so, and its smallest p.

        Args:
            shown: places of the classes among the measured ones; by default all.
            names: of the measured classes; by default the observer's, or their numbers.
        """
        listed, names = [HEAD], names or self.names
        shown = range(len(names)) if shown is None else shown
        for k in shown:
            found = [region for region in self.regions[k] if region.p < LEVEL][:LISTED]
            listed += [(names[k], *region.texts) for region in found]
            if not found:
                least = number(min((r.p for r in self.regions[k]), default=None), "{:.2g}")
                listed.append((names[k], "none", *["-"] * (len(HEAD) - 3), least))
        inside = [INSIDE_HEAD, *((names[k], *self.inside[k].texts) for k in shown if self.inside)]
        return [listed, inside][: 1 + bool(self.inside)]

    def text(self, shown=None, names=None):
        """Return the title, the tables and the legend for a terminal."""
        lines = (line for table in self.tables(shown, names) for line in aligned(table))
        return "\n".join([self.title, *lines, self.legend])

    def __repr__(self):
        """Return what a terminal shows of all classes."""
        return self.text()


def find_regions(measurements, response=None, smooth=None, mask=None):
    """Find the regions of Measurements with the same noise, whose null is drawn once: [Regions].

    Args:
        response, smooth, mask: as for `Measurement.regions`.

    Raises:
        UserError: as `Measurement.regions`.
    """
    noise = measurements[0].noise
    responses = [response_of(each, response) for each in measurements]
    smooth = SMOOTH * min(noise.shape[:2]) if smooth is None else smooth
    if not 0 <= smooth < math.inf:
        raise UserError(f"smooth is a number of pixels from 0 up, not {smooth}")
    mask = None if mask is None else checked_mask(mask, noise.shape)
    null = NullMaps(noise, smooth, mask)
    unsmoothed = None if mask is None else NullMaps(noise, 0, mask)
    return [
        _regions_of(*each, null, unsmoothed) for each in zip(measurements, responses, strict=True)
    ]


def cluster_masses(maps, threshold):
    """Label the clusters of signed maps, those of positive and of negative values apart.

    Args:
        maps: (n, h, w), such as z or t.
        threshold: the absolute value that all pixels of a cluster pass.

    Returns:
        (labels, masses): (n, h, w) int, a number for each cluster of all maps, and 0 where there is
        none; and by that number the mass, the sum of |value| - threshold, which is 0 for 0.
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


def _regions_of(measurement, response, null, unsmoothed):
    """Return the Regions of the images of one response, beside NullMaps."""
    estimate, numbers = measurement.classes[response], measurement.class_indices
    z, largest, inside = null.z(estimate), null.of_nothing(estimate, _largest), ()
    regions, labels = _regions(z, numbers, largest)
    if unsmoothed:
        mask = null.mask
        means = unsmoothed.of_nothing(estimate, lambda z: z[:, mask].mean(axis=1))
        norms = unsmoothed.of_nothing(estimate, lambda z: np.linalg.norm(z[:, mask], axis=1))
        values = unsmoothed.z(estimate)[:, mask]
        inside = map(_inside, numbers, values, means, norms)
    kept = response, null.smooth, null.parts.shape[1], measurement.class_names()
    return Regions(*kept, regions, labels, z, null.mask, tuple(inside))


def _largest(z):
    return largest_masses(z, FORMING)


def _regions(z, numbers, largest):
    """Return the Regions of each class and their labels, from z (K, h, w).

    Args:
        numbers: (K,), of the classes.
        largest: for each class, the masses (n,) of null images.
    """
    labels, masses = cluster_masses(z, FORMING)
    found, order = [[] for _ in numbers], np.zeros(len(masses), int)
    boxes = ndimage.find_objects(labels)
    for i in np.argsort(-masses[1:], kind="stable") + 1:
        box = boxes[i - 1]
        place = box[0].start
        rows, columns = np.nonzero(labels[box][0] == i)
        values = z[box][0][rows, columns]
        weights = np.abs(values) - FORMING
        null = largest[place]
        found[place].append(
            Region(
                number=int(numbers[place]),
                sign=int(np.sign(values[0])),
                mass=float(masses[i]),
                pixels=len(values),
                row=float(box[1].start + np.average(rows, weights=weights)),
                column=float(box[2].start + np.average(columns, weights=weights)),
                peak=float(values[np.argmax(weights)]),
                p=float((1 + np.sum(null >= masses[i])) / (1 + len(null))),
            )
        )
        order[i] = len(found[place])
    return tuple(map(tuple, found)), order[labels]


def _inside(number, z, means, norms):
    """Return the Inside of a class: its z (pixels,), and the mean and norm of null images (n,)."""
    if not z.any():
        return Inside(int(number), *[np.nan] * 4)
    p = (1 + np.sum(np.abs(means) >= abs(z.mean()))) / (1 + len(means))
    unusual = np.linalg.norm(z) - np.median(norms)
    unusual /= stats.median_abs_deviation(norms, scale="normal")
    return Inside(int(number), float(z.mean()), float(means.std()), float(p), float(unusual))
