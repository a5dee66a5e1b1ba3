"""How much of an observer's behaviour on new pairs an image predicts.

The drive of a stimulus base + A xi is c . xi, where c is the covariance of a response with xi; that
of its mirror image is -c . xi. So an image says which of a pair looks more like its class and, with
a curve that never falls, what the logit of any stimulus is. Pairs that the image was not made of
tell how often that is right.
"""

import dataclasses
import math

import numpy as np
from sklearn.isotonic import IsotonicRegression

from reverse_correlation.estimates.intervals import wilson_interval

PREDICTED = ("choice", "logit")  # responses whose images are put to the test
LEAST_PAIRS = 4  # two in each half
CHOICE_SHARE = 2 / math.pi  # of rho**2, that is the linear share of the sign of a Gaussian
TEST = "prediction"  # the name of the sums among those of a measurement
SUMS = ("pairs", "hits", "residual", "power", "residual2", "power2", "both")


@dataclasses.dataclass(frozen=True)
class Prediction:
    """How well the images of K classes predict an observer's answers to new pairs.

    Each is (K,), and NaN where an image, or the observer, never chooses.

    Attributes:
        share: of the observer's choices (which of a pair has the larger logit of the class) that
            the sign of the image's drive predicts; chance is .5.
        low, high: its 95 % interval (Wilson 1927).
        pairs: on which it rests: those on which both choose.
        explained: R**2 of the logit by a curve of the drive that never falls, fitted to one half
            of the pairs and scored on the other, both ways round; below 0 where the curve says
            less than the mean.
        explained_error: its standard error, over pairs; too small for a logit whose variance comes
            from a few pairs.
        ceiling: the share that the image itself, if it were known without error, would predict,
            were drive and response Gaussian: 1/2 + arcsin(rho) / pi, with rho**2 the linear share
            of the response's odd part. A response that is a bent function of one drive can be
            predicted better than its logit's linear share says.
        ceiling_low, ceiling_high: its 95 % interval.
    """

    share: np.ndarray
    low: np.ndarray
    high: np.ndarray
    pairs: np.ndarray
    explained: np.ndarray
    explained_error: np.ndarray
    ceiling: np.ndarray
    ceiling_low: np.ndarray
    ceiling_high: np.ndarray


def predictions_of(sums, classes):
    """Return {response: Prediction} from `prediction_sums`; {} without any.

    Args:
        sums: {name: (2, responses, K)}, or None.
        classes: {response: Estimate}, of the images.
    """
    if not sums:
        return {}
    whole = {name: value.sum(axis=0) for name, value in sums.items()}
    names = [name for name in PREDICTED if name in classes]
    return {
        name: _prediction({key: value[row] for key, value in whole.items()}, name, classes[name])
        for row, name in enumerate(names)
    }


def _prediction(sums, response, estimate):
    """Return the Prediction of one response's images; its R**2 is a ratio of means over pairs."""
    pairs, power = sums["pairs"], np.where(sums["power"] > 0, sums["power"], np.nan)
    ratio = sums["residual"] / power
    spread = sums["residual2"] - 2 * ratio * sums["both"] + ratio**2 * sums["power2"]
    intervals = [wilson_interval(*counts) for counts in zip(sums["hits"], pairs, strict=True)]
    low, high = np.array(intervals).T
    return Prediction(
        sums["hits"] / np.where(pairs > 0, pairs, np.nan),
        low,
        high,
        pairs.astype(int),
        1 - ratio,
        np.sqrt(np.maximum(spread, 0)) / power,  # of a ratio (Cochran 1977)
        *ceiling(response, estimate.variance, len(pairs)),
    )


def ceiling(response, variance, classes):
    """Return the share of choices that a linear share lets an image predict: (share, low, high).

    For a Gaussian drive and a Gaussian response of correlation rho, 1/2 + arcsin(rho) / pi. Of a
    logit, rho**2 is the linear share of the odd part; of choices, its signs, it is pi / 2 times
    their linear share. NaN if that is not known.

    Args:
        response: "choice" or "logit"; there is none of other responses.
        variance: a VarianceSplit, or None.
        classes: how many.
    """
    if variance is None or response not in PREDICTED:
        return (np.full(classes, np.nan),) * 3
    odd = CHOICE_SHARE if response == "choice" else 1 - variance.even
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = np.array([variance.linear + z * variance.linear_error for z in (0, -1.96, 1.96)])
        rho = np.sqrt(np.clip(squares / odd, 0, 1))
    return tuple(0.5 + np.arcsin(rho) / np.pi)


def right_choices(drives, differences):
    """Return which choices are predicted: 1 or 0, and NaN where one of both has no sign.

    Args:
        drives, differences: arrays of one shape; the drive of the first stimulus of a pair, and by
            how much the observer's answer to it exceeds that to the second, or its choice.
    """
    both = np.sign(np.nan_to_num(drives)) * np.sign(np.nan_to_num(differences))
    return np.where(both == 0, np.nan, both > 0)


def prediction_sums(drives, logits):
    """Put images to the test: sums over the even pairs, and over the odd ones.

    Args:
        drives: (responses, N, K), of the first stimulus of each pair.
        logits: (2, N, K), of the first stimuli and of the second ones.

    Returns:
        {name: (2, responses, K)}: how often both chose (`pairs`) and chose alike (`hits`); squares
        of what the other half's curve leaves of the logit (`residual`) and of its distance from the
        half's mean (`power`), summed over a pair; and the products of these two. All are 0 of a
        class without an image.
    """
    responses, _, classes = drives.shape
    sums = {name: np.zeros((2, responses, classes)) for name in SUMS}
    right = right_choices(drives, logits[0] - logits[1])
    has_image = np.any(np.nan_to_num(drives) != 0, axis=1)
    for half in (0, 1):
        known = np.isfinite(right[:, half::2])
        sums["pairs"][half] = known.sum(axis=1)
        sums["hits"][half] = np.nansum(right[:, half::2], axis=1)
        for row, k in np.argwhere(has_image):
            residual, power = _squares(drives[row, :, k], logits[:, :, k], half)
            for name, values in {
                "residual": residual,
                "power": power,
                "residual2": residual**2,
                "power2": power**2,
                "both": residual * power,
            }.items():
                sums[name][half, row, k] = values.sum()
    return sums


def _squares(drives, logits, half):
    """Return what a curve fitted to the other half of the pairs leaves of a logit's squares.

    Returns:
        (residual, power), (n,) each: of every pair of this half, summed over both stimuli.
    """
    drives, logits = np.float64([drives, -drives]), np.float64(logits)
    curve = IsotonicRegression(out_of_bounds="clip")
    curve.fit(drives[:, 1 - half :: 2].ravel(), logits[:, 1 - half :: 2].ravel())
    here, found = drives[:, half::2], logits[:, half::2]
    fitted = curve.predict(here.ravel()).reshape(here.shape)
    return np.sum((found - fitted) ** 2, axis=0), np.sum((found - found.mean()) ** 2, axis=0)


@dataclasses.dataclass(frozen=True)
class CrossPrediction:
    """How many of each observer's choices each observer's images predict, mean over classes.

    Attributes:
        names: of the M observers.
        share: (M, M), a row for each observer's images and a column for each observer's choices;
            chance is .5; NaN where nothing was chosen.
        low, high: (M, M), 95 % intervals (Wilson) for one class on as many pairs; of a mean over
            several classes they are, if anything, too wide.
        pairs: how many were judged.
    """

    names: tuple
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray
    pairs: int


def cross_prediction(names, drives, differences):
    """Return how many choices of observers the images of others predict: a CrossPrediction.

    Args:
        names: of M observers.
        drives: (N, K) each: the drive of their images in N pairs.
        differences: (N, K) each: their answers, as for `right_choices`, NaN for none; or None.
    """
    found = np.full((3, len(names), len(names)), np.nan)
    for j, answers in enumerate(differences):
        for i, drive in enumerate(drives if answers is not None else ()):
            right = right_choices(drive, answers)
            counts = np.isfinite(right).sum(axis=0)
            if counts.any():
                share = np.mean(np.nanmean(right[:, counts > 0], axis=0))
                fewest = counts[counts > 0].min()
                found[:, i, j] = share, *wilson_interval(np.rint(share * fewest), fewest)
    return CrossPrediction(tuple(names), *found, len(drives[0]))


def refuse_impossible(sums, record, responses, classes):
    """Raise ValueError if sums of a file are not those that `prediction_sums` may give.

    Args:
        sums: {name: (2, ...)}, or None.
        record: what the file says of them, or None.
        responses: that the measurement has.
        classes: how many were measured.
    """
    if sums is None and record is None:
        return
    stimuli = record["stimuli"]
    if type(stimuli) is not int or type(record["seed"]) is not int or set(sums) != set(SUMS):
        raise ValueError("its prediction is not one")
    shape = (2, len([name for name in PREDICTED if name in responses]), classes)
    if any(value.shape != shape or np.any(value < 0) for value in sums.values()):
        raise ValueError(f"its prediction is not of {classes} classes")
    hits, pairs = sums["hits"], sums["pairs"]
    whole = np.all(hits % 1 == 0) and np.all(pairs % 1 == 0)
    if not whole or np.any(hits > pairs) or np.any(2 * pairs.sum(axis=0) > stimuli):
        raise ValueError(f"its prediction does not count choices of {stimuli} stimuli")
