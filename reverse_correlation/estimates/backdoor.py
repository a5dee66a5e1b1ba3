"""Is a network unlike clean ones, as a backdoor makes it? A score, an exact p, a class and a place.

    found, = find_backdoors([suspect], clean)     # Measurements of one noise; 19 clean ones or more
    found.p_value, found.suspect, found.place     # place: (h, w) bool

A patch that forces one answer shows as a peak in that class's image. Which peaks are unusual, clean
networks say. The network under test and the references make one pool, and each of the pool, the
references too, is scored by its distance from all the *others* of it. Where the one under test is
clean, all scores of the pool are exchangeable, so that its rank among them gives a p that is exact,
whatever the distribution of scores (conformal prediction, Vovk et al. 2005). It would not be if
references were held against each other alone: they would never have met the one under test, which
has met them.
"""

import dataclasses
import functools

import numpy as np
from scipy import ndimage

from reverse_correlation.errors import UserError
from reverse_correlation.estimates.agreement import refuse_incomparable
from reverse_correlation.estimates.groups import names_of, refuse_twice

ALPHA = 0.05
SMOOTH = 0.6 / 28  # standard deviation of the Gaussian over images, in shorter sides
FLOOR = 3.0  # of the variance, in medians of it
PLACE = 0.5  # of the peak: what is as high, and connected with it, is where a patch would be


@dataclasses.dataclass(frozen=True)
class Suspicion:
    """What is said of a network under test.

    Attributes:
        deviation: (K, h, w), of its class images from those of the references, in standard
            deviations.
        references: (n,), the references' scores, each held against the others and this one.
    """

    deviation: np.ndarray
    references: np.ndarray

    @functools.cached_property
    def peaks(self):
        """The highest deviation in each class's image: (K,)."""
        return self.deviation.max(axis=(1, 2))

    @property
    def suspect(self):
        """The class into which a backdoor would turn others."""
        return int(self.peaks.argmax())

    @property
    def score(self):
        """The highest peak of any class."""
        return float(self.peaks.max())

    @property
    def p_value(self):
        """The probability that a clean network is as unusual; exact."""
        return float(conformal_p(self.score, self.references))

    @property
    def least_p(self):
        """The smallest that p can be with so many references."""
        return 1 / (len(self.references) + 1)

    @property
    def unusual(self):
        """Whether it is told from clean networks at 5 %."""
        return self.p_value <= ALPHA

    @property
    def class_p(self):
        """(K,): p of each class's own peak, held against the highest of all classes."""
        return conformal_p(self.peaks, self.references)

    @property
    def place(self):
        """Where the patch would be: (h, w) bool, what is half as high as the peak, and joins it."""
        values = self.deviation[self.suspect]
        regions, _ = ndimage.label(values >= PLACE * values.max())
        return regions == regions.ravel()[values.argmax()]


def conformal_p(scores, references):
    """Return (1 + how many of n references score at least as high) / (n + 1), for each score."""
    as_high = np.asarray(references) >= np.asarray(scores)[..., None]
    return (1 + as_high.sum(axis=-1)) / (np.size(references) + 1)


def find_backdoors(tested, references, response="logit", *, names=None, smooth=None):
    """Hold networks against clean ones, one by one: a list of Suspicions.

    Args:
        tested, references: Measurements; of clean networks, trained as those under test are said
            to be. All were shown the same noise, or each noise of a seed of its own.
        response: "logit", "probability", "choice" or "decision".
        names: of the tested and the references; by default those in the measurements.
        smooth: standard deviation, in pixels, of the Gaussian over images; by default SMOOTH.

    Raises:
        UserError: if there are fewer than two references, or the measurements are not alike.
    """
    everyone = [*tested, *references]
    refuse_too_few(references)
    refuse_unlike(everyone, response, names_of(everyone, names))
    images = np.array([m.classes[response].covariance for m in everyone])
    if not np.isfinite(images).all():
        raise UserError(f"some {response} images do not exist: choose --response logit")
    prepared = against_others(images, smooth)
    clean = prepared[len(tested) :]
    return [held_against(one, clean) for one in prepared[: len(tested)]]


def against_others(images, smooth=None):
    """Return class images (n, K, h, w, c) less the mean of the other classes, smoothed.

    What all classes share is no backdoor. Channels are averaged: (n, K, h, w).
    """
    images = np.asarray(images, np.float64).mean(axis=4)
    images = images - (images.sum(axis=1, keepdims=True) - images) / (images.shape[1] - 1)
    smooth = SMOOTH * min(images.shape[2:]) if smooth is None else smooth
    return ndimage.gaussian_filter(images, (0, 0, smooth, smooth))


def held_against(prepared, references, floor=FLOOR):
    """Score a network and n references as one pool, each against all others: a Suspicion.

    Args:
        prepared, references: (K, h, w) and (n, K, h, w), as `against_others` returns them.
        floor: as for `deviation`.
    """
    pool = np.concatenate([references, prepared[None]])
    pool = pool - pool.mean(axis=0)
    squares = np.sum(pool**2, axis=0)
    scores = [deviation(one, squares, len(pool), floor).max() for one in pool[:-1]]
    return Suspicion(deviation(pool[-1], squares, len(pool), floor), np.array(scores))


def deviation(one, squares, count, floor=FLOOR):
    """Return how far one of a pool is from the mean of the others, in their standard deviation.

    With x the distance from the mean of all N, and S the sum of its squares over all, the distance
    from the mean of the others is x N / (N - 1), and their variance (S - x² N / (N - 1)) / (N - 2).

    Args:
        one, squares: x and S, (K, h, w).
        count: N.
        floor: so many median variances are added to the variance, lest pixels decide where a few
            networks happen to agree.
    """
    distance = one * count / (count - 1)
    variance = np.maximum(squares - one * distance, 0) / (count - 2)
    spread = np.sqrt(variance + floor * np.median(variance))
    return np.divide(distance, spread, out=np.zeros_like(distance), where=distance != 0)


def refuse_too_few(references):
    """Raise UserError if clean networks are too few to know how much they differ."""
    if len(references) < 2:
        raise UserError(
            "it takes two clean networks or more to know how much they differ, and 19 for p = .05: "
            "name them with --references"
        )


def refuse_unlike(measurements, response, names):
    """Raise UserError if one of the networks would stand out by how it was measured."""
    refuse_incomparable(measurements, response, names)
    refuse_twice(measurements, names)
    first = measurements[0]
    for m, name in zip(measurements, names, strict=True):
        if m.count != first.count:
            raise UserError(
                f"{name!r} was shown {m.count:,} images and {names[0]!r} {first.count:,}: who was "
                "shown fewer would stand out; measure all with the same --noise-images"
            )
    seeds = {m.provenance["seed"] for m in measurements}
    if len(seeds) not in (1, len(measurements)):
        raise UserError(
            "some networks were shown the same noise and others not, who would stand out: measure "
            "all with the same --seed, or each with a seed of its own"
        )
