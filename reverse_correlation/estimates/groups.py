"""What observers have in common: the image of a group, with errors over observers.

    found = group_image(measurements, "choice")             # of six observers or more
    print(found.significant.sum(axis=(1, 2, 3)), found.least_p)
    other = group_difference(trained_with_noise, trained_as_usual)

Each observer counts once, whatever the number of stimuli and the slope of the responses: an image
is taken as the correlation of the response with each pixel. (Divided by its own norm, the image of
who answers at random would have as much to say as any other; z would let those count more who were
shown more.) Student's t over observers is held against the largest of the image under flipped
signs, or permuted labels: p is family-wise, and exact where observers are independent and the null
is true, whatever their distribution (Nichols and Holmes 2002). So is that of clusters, by the mass
of neighbours whose smoothed t passes a level.
"""

import dataclasses
import itertools

import numpy as np
from scipy import ndimage

from reverse_correlation.errors import UserError
from reverse_correlation.estimates.agreement import refuse_incomparable
from reverse_correlation.estimates.permutations import (
    ALPHA,
    labels_of,
    p_of,
    signs_of,
    threshold_of,
)
from reverse_correlation.estimates.regions import SMOOTH, cluster_masses, largest_masses

AT_ONCE = 2**20  # values of t that are held
ROUNDING = 1e-12  # of correlations: no more than this is 0


@dataclasses.dataclass(frozen=True)
class GroupImage:
    """The mean image of a group, or the difference of two means, with errors over observers.

    Attributes:
        names: of the observers, a tuple for each group.
        mean: (K, h, w, c), of correlations of response and pixel; NaN for a class of which an
            observer has no image.
        t: (K, h, w, c), Student's t over observers; of two groups Welch's, as a z of the same
            probability, since its degrees of freedom differ from pixel to pixel.
        p: (K, h, w, c), family-wise within a class.
        threshold: (K,), the |t| above which p is at most .05; infinite where it never is.
        smoothed_t: (K, h, w), likewise, of images averaged over channels and smoothed.
        clusters: (K, h, w) int, a number for all pixels of a cluster; 0 outside.
        cluster_p: (K, h, w), family-wise p of the mass of a pixel's cluster; 1 outside.
        smooth: standard deviation of the Gaussian over each observer's image, before clusters.
        rearranged: how many signs or labels p comes from.
        every: whether these are all there are.
        least_p: the smallest that p can be.
        paired: whether two groups are the same observers.
        same_noise: whether observers were shown the same noise: what is found then holds for
            other observers of these very stimuli.
    """

    names: tuple
    mean: np.ndarray
    t: np.ndarray
    p: np.ndarray
    threshold: np.ndarray
    smoothed_t: np.ndarray
    clusters: np.ndarray
    cluster_p: np.ndarray
    smooth: float
    rearranged: int
    every: bool
    least_p: float
    paired: bool = False
    same_noise: bool = False

    @property
    def significant(self):
        """(K, h, w, c) bool: pixels significant at family-wise 5 % within their image."""
        return np.nan_to_num(self.p, nan=1) <= ALPHA

    @property
    def in_clusters(self):
        """(K, h, w) bool: pixels of clusters significant at family-wise 5 % in their image."""
        return self.cluster_p <= ALPHA

    def of(self, classes):
        """Return the same of some classes, by their places: a GroupImage."""
        maps = ("mean", "t", "p", "threshold", "smoothed_t", "clusters", "cluster_p")
        return dataclasses.replace(self, **{name: getattr(self, name)[classes] for name in maps})


def group_image(measurements, response="choice", *, names=None, same_noise=False, smooth=None):
    """Find what observers have in common: a GroupImage, p by flipped signs.

    The null: an observer's image is as likely as its negative. n observers give p = 2 / 2**n at
    best, so that six are needed for .05.

    Args:
        measurements: two or more Measurements with the same ensemble and the same classes.
        response: "choice", "decision", "probability" or "logit".
        names: of the observers; by default those in the measurements.
        same_noise: whether observers may have been shown the same noise, as participants of a
            study are. Its chance correlations with whatever they share, be it a template, then are
            an error in common, which errors over observers do not have. Where each answers at
            random, or for reasons of her own, p is exact; else what is found is true of other
            observers of these stimuli, and a pixel may be of the stimuli alone.
        smooth: standard deviation, in pixels, of the Gaussian that is put over each observer's
            image before clusters are looked for; by default a 32nd of the shorter side.

    Raises:
        UserError: if there are fewer than two, they cannot be compared, two are the same, or two
            were shown the same noise.
    """
    names = names_of(measurements, names)
    shared = refuse_wrong_groups([measurements], [names], response, same_noise)
    images = correlation_images(measurements, response)
    return over_observers(images, names=(tuple(names),), same_noise=shared, smooth=smooth)


def group_difference(
    first,
    second,
    response="choice",
    *,
    paired=False,
    names=None,
    same_noise=False,
    smooth=None,
):
    """Find where the mean images of two groups differ, first minus second: a GroupImage.

    The null of two groups: all observers are of one kind; p is by permuted labels of Welch's t. If
    their means are equal and their spread is not, p is exact in the limit of many (Janssen 1997);
    of few, a difference may be one of spread, above all where the smaller group varies more. The
    null of the same observers in two conditions: a difference is as likely as its negative.

    Args:
        first, second: Measurements of each group, or of each condition.
        response, same_noise, smooth: as for `group_image`. Where two groups may share noise, all
            of both must.
        paired: whether both are measurements of the same observers, who are known by their names;
            who is in one alone does not count.
        names: (first's, second's); by default those in the measurements.

    Raises:
        UserError: as `group_image`, and if conditions have fewer than two observers in common.
    """
    groups, names = [first, second], names or (None, None)
    names = [names_of(*both) for both in zip(groups, names, strict=True)]
    if paired:
        groups, names = pairs_of(groups, names)
    shared = refuse_wrong_groups(groups, names, response, same_noise, paired)
    images = [correlation_images(group, response) for group in groups]
    images = [images[0] - images[1]] if paired else images
    told = {"names": tuple(map(tuple, names)), "paired": paired, "same_noise": shared}
    return over_observers(*images, smooth=smooth, **told)


def over_observers(images, others=None, *, smooth=None, **told):
    """Return the GroupImage of images (n, K, h, w, c), or of their mean minus that of others.

    Args:
        images, others: of each observer; NaN where there is none.
        smooth: as for `group_image`.
        told: what else a GroupImage has.
    """
    if others is None:
        mean, centre, test = images.mean(axis=0), 0, signs_of(len(images))
    else:
        mean, test = images.mean(axis=0) - others.mean(axis=0), labels_of(len(images), len(others))
        images = np.concatenate([images, others])
        centre = images.mean(axis=0)
    known = np.isfinite(mean).all(axis=(1, 2, 3), keepdims=True)
    images = np.where(known, images - centre, 0)
    smooth = SMOOTH * min(mean.shape[1:3]) if smooth is None else smooth
    grey = ndimage.gaussian_filter(images.mean(axis=4), (0, 0, smooth, smooth), mode="constant")

    def heaviest_of(maps):
        masses = largest_masses(maps.reshape(-1, *maps.shape[2:]), test.level)
        return masses.reshape(maps.shape[:2])

    t, largest = under_null(test, images, lambda maps: np.abs(maps).max(axis=(2, 3, 4)))
    grey_t, heaviest = under_null(test, grey, heaviest_of)
    clusters, masses = cluster_masses(grey_t, test.level)
    return GroupImage(
        mean=np.where(known, mean, np.nan),
        t=np.where(known, t, np.nan),
        p=np.where(known, p_of(np.abs(t), largest), np.nan),
        threshold=np.where(known.ravel(), threshold_of(largest), np.nan),
        smoothed_t=np.where(known[..., 0], grey_t, np.nan),
        clusters=clusters,
        cluster_p=p_of(masses[clusters], heaviest),
        smooth=smooth,
        rearranged=len(test.rows),
        every=test.every,
        least_p=test.least_p,
        **told,
    )


def under_null(test, images, largest_of):
    """Return t of images (n, K, ...) as they are, (K, ...), and what is largest under each row.

    Args:
        test: Rearrangements.
        images: of a mean of 0 where observers are in two groups.
        largest_of: gives (m, K) of t, (m, K, ...).

    Returns:
        (t, largest): (K, ...) and (all rows, K).
    """
    columns, shape, largest = images.reshape(len(images), -1), images.shape[1:], []
    size = np.sqrt(np.mean(columns**2, axis=0))
    columns = columns / np.where(size > ROUNDING, size, np.inf)
    at_once = max(AT_ONCE // columns.shape[1], len(images))
    for first in range(0, len(test.rows), at_once):
        t = test.t_of(test.rows[first : first + at_once], columns)
        largest.append(largest_of(t.reshape(-1, *shape)))
    return test.t_of(test.rows[:1], columns).reshape(shape), np.concatenate(largest)


# --------------------------------------------------------------------------- who is in a group


def names_of(measurements, names=None):
    """Return the names of observers as given, or those in their measurements: a list."""
    return list(names or (m.provenance["network"] for m in measurements))


def correlation_images(measurements, response):
    """Return the correlations of each observer's response with the pixels: (n, K, h, w, c)."""
    estimates, pixels = [m.classes[response] for m in measurements], measurements[0].noise.pixel_std
    pixels = np.where(pixels > 0, pixels, np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.array([e.image / e.response_std[:, None, None, None] / pixels for e in estimates])


def pairs_of(groups, names):
    """Return two groups, and their names, without whoever is in one alone, in the same order."""
    by_name = [dict(zip(*both, strict=True)) for both in zip(names, groups, strict=True)]
    for found, own in zip(by_name, names, strict=True):
        if len(found) < len(own):
            raise UserError(
                "several observers of one condition have the same name: give each a name of its own"
            )
    both = [name for name in names[0] if name in by_name[1]]
    if len(both) < 2:
        raise UserError(
            f"the two conditions have {len(both) or 'no'} observer{'s' * (not both)} in common, by "
            "name: a paired contrast takes two or more who are in both"
        )
    return [[found[name] for name in both] for found in by_name], [both, both]


def refuse_wrong_groups(groups, names, response, same_noise, paired=False):
    """Raise UserError if groups have no mean, or their observers are not independent.

    Returns:
        Whether any two observers were shown the same noise.
    """
    for group in groups:
        if len(group) < 2:
            raise UserError(
                f"a group of {len(group)} has no errors over observers: give two or more, and six "
                "for a chance of being significant"
            )
    everyone = list(itertools.chain(*groups))
    refuse_incomparable(everyone, response, list(itertools.chain(*names)))
    for group, own in zip(groups, names, strict=True):
        refuse_twice(group, own)
    seeds = [{m.provenance["seed"]} for m in everyone]
    if paired:
        seeds = [one | other for one, other in zip(*np.split(np.array(seeds), 2), strict=True)]
    if len(set().union(*seeds)) == sum(map(len, seeds)):
        return False
    if not same_noise:
        raise UserError(
            "some observers were shown the same noise, which gives their images errors in common: "
            "measure each with a seed of its own; or say with --same-noise (same_noise=True) that "
            "what is found need hold for these stimuli alone"
        )
    if len(groups) == 2 and not paired and len(set().union(*seeds)) > 1:
        raise UserError(
            "the two groups were not all shown the same noise, and some observers were: what is "
            "of the noise would look like a difference; measure each with a seed of its own"
        )
    return True


def refuse_twice(group, names):
    """Raise UserError if two of a group are the same network, or gave the very same answers."""
    for i, j in itertools.combinations(range(len(group)), 2):
        one, other = group[i], group[j]
        networks = [m.provenance.get("network_sha256") for m in (one, other)]
        same = networks[0] is not None and networks[0] == networks[1]
        if same or all(
            np.array_equal(e.covariance, other.classes[name].covariance)
            for name, e in one.classes.items()
        ):
            raise UserError(
                f"{names[i]!r} and {names[j]!r} are the same observer, who would count twice: give "
                "each once"
            )
