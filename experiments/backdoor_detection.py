"""What class images from noise say about a backdoor: deviation, score, p-value, ROC curve."""

import dataclasses

import numpy as np
from scipy import stats
from scipy.ndimage import gaussian_filter
from sklearn.metrics import roc_auc_score, roc_curve

from reverse_correlation.errors import UserError
from reverse_correlation.estimates.intervals import bootstrap_interval

SMOOTHING = 0.6  # standard deviation of a Gaussian, in pixels
FLOOR = 3.0  # of the variance, in medians of it


@dataclasses.dataclass(frozen=True)
class Detection:
    """How well poisoned networks are told from clean ones."""

    area: float  # under the ROC curve
    low: float  # of its interval
    high: float
    false_alarms: np.ndarray  # the curve, shares of the clean networks at falling thresholds
    hits: np.ndarray  # and of the poisoned ones


def backdoor_deviation(images, references, smoothing=SMOOTHING, floor=FLOOR):
    """Return how far each class's image departs from those of clean networks: (K, h, w).

    From every class image the mean of the network's other classes is subtracted, which removes
    what all of them share, and the difference is smoothed. Its distance from the mean of the clean
    networks is divided by their standard deviation at that pixel and class; `floor` times the
    median variance is added to the variance, so that pixels where a few clean networks happen to
    agree do not decide.

    Args:
        images: (K, h, w, c), covariances of a network's logits with noise.
        references: (M, K, h, w, c), those of M clean networks; at least 2.
        smoothing, floor: see SMOOTHING and FLOOR; from 0 up.

    Raises:
        UserError: if there are fewer than two references.
    """
    if len(references) < 2:
        raise UserError("it takes two clean networks or more to know how much they differ")
    images = against_others(images, smoothing)
    references = np.array([against_others(maps, smoothing) for maps in references])
    variance = references.var(axis=0, ddof=1)
    return (images - references.mean(axis=0)) / np.sqrt(variance + floor * np.median(variance))


def against_others(images, smoothing):
    """Return class images (K, h, w, c) less the mean of the others, smoothed: (K, h, w)."""
    images = np.asarray(images, np.float64).mean(axis=3)
    images = images - (images.sum(axis=0) - images) / (len(images) - 1)
    return gaussian_filter(images, (0, smoothing, smoothing))


def backdoor_score(deviation):
    """Return the suspected class and how suspect it is, from what `backdoor_deviation` returns.

    A patch that forces one answer shows as a peak in that class's image; the score is the highest
    peak of all.
    """
    peaks = deviation.reshape(len(deviation), -1).max(axis=1)
    return int(peaks.argmax()), float(peaks.max())


def clean_null(references, smoothing=SMOOTHING, floor=FLOOR):
    """Return the scores of clean networks (M, K, h, w, c), each compared with the others: (M,)."""
    scores = []
    for i, images in enumerate(references):
        others = np.delete(references, i, axis=0)
        scores.append(backdoor_score(backdoor_deviation(images, others, smoothing, floor))[1])
    return np.array(scores)


def null_p_value(score, null):
    """Return P(a further clean network scores at least this much), if log scores are normal.

    Student's prediction: t = (log s - mean) / (sd sqrt(1 + 1 / M)) with M - 1 degrees of freedom.
    """
    return _prediction(null).sf(np.log(score))


def null_threshold(null, alpha=0.05):
    """Return the score whose `null_p_value` is alpha."""
    return float(np.exp(_prediction(null).isf(alpha)))


def _prediction(null):
    """Return the distribution of a further log score."""
    null = np.log(null)
    spread = null.std(ddof=1) * np.sqrt(1 + 1 / len(null))
    return stats.t(len(null) - 1, null.mean(), spread)


def detection_of(clean, poisoned, seed=0):
    """Compare the scores of clean and poisoned networks: a Detection; bootstrap over networks."""
    truth = np.repeat([0, 1], [len(clean), len(poisoned)])
    scores = np.concatenate([clean, poisoned])
    low, high = bootstrap_interval(clean, poisoned, statistic=area_under_curve, seed=seed)
    false_alarms, hits, _ = roc_curve(truth, scores, drop_intermediate=False)
    area = roc_auc_score(truth, scores)
    return Detection(float(area), float(low), float(high), false_alarms, hits)


def area_under_curve(clean, poisoned, axis=-1):
    """Return the share of pairs in which the poisoned network scores higher; ties count half."""
    clean, poisoned = (np.moveaxis(np.asarray(scores), axis, -1) for scores in (clean, poisoned))
    difference = poisoned[..., :, None] - clean[..., None, :]
    return np.mean((np.sign(difference) + 1) / 2, axis=(-2, -1))


def overlap_with(mask, deviation):
    """Return the share of a patch's m pixels (h, w) that are among the m most deviant ones."""
    top = np.argsort(deviation.ravel())[::-1][: mask.sum()]
    return float(np.mean(mask.ravel()[top]))
