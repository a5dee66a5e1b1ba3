"""Fresh pairs: images are put to the test on stimuli that they were not made of.

    measurement = measure(network, noise, 100_000)
    found = predict(network, measurement)["choice"]
    print(found.share, found.ceiling)  # (K,): of its choices; what the linear share would allow

The pairs are drawn independently, whatever the pass did, with a seed of their own.
"""

import math

import numpy as np
from keras import ops

from reverse_correlation.errors import UserError, whole_number
from reverse_correlation.estimates.measurement import Measurement
from reverse_correlation.estimates.prediction import (
    LEAST_PAIRS,
    PREDICTED,
    TEST,
    cross_prediction,
    prediction_sums,
    predictions_of,
)
from reverse_correlation.observers.observer import refuse_nan
from reverse_correlation.observers.observer_of import observer_of
from reverse_correlation.stimuli.numbers import draw_numbers

PREDICTION_IMAGES = 4000  # shown, at most, unless another number is asked for
PART_OF_A_PASS = 4  # they are at most the fourth part of what the pass showed
OWN_SEED = 2**34  # added to the seed of the pass, which is below 2**32; see also threshold.py
MOST_PAIRS = 250  # drawn and shown at once
MOST_PIXELS = 2**22  # of the pairs that are drawn at once, over all channels


def predict(model, measurement, count=PREDICTION_IMAGES, *, seed=None):
    """Put the images of a Measurement to the test on fresh pairs: {response: a Prediction}.

    Args:
        model: the observer that was measured, as for `measure`; or another one of the same classes,
            to see how many of its choices these images predict.
        measurement: of paired stimuli, with images of choices or logits.
        count: how many stimuli are shown, both of a pair; the error of a share of choices is about
            1 / sqrt(2 count).
        seed: of the stimuli; by default one that no pass of these seeds has.

    Raises:
        UserError: if it answers labels alone, if the stimuli came without mirror images, if there
            are fewer than eight, or if the observer has other classes or takes other images.
    """
    count = whole_number(count, "the number of stimuli")
    observer = observer_of(model, measurement.noise)
    why = _cannot(observer, measurement)
    if not why and count < 2 * LEAST_PAIRS:
        why = f"{count} stimuli are too few for two halves: show {2 * LEAST_PAIRS} or more"
    if why:
        raise UserError(why)
    sums = _shown(observer, measurement, count, own_seed(measurement) if seed is None else seed)
    return predictions_of(sums, measurement.classes)


def with_prediction(observer, measurement, most, progress=True):
    """Return a Measurement with its images put to the test; as it is where that cannot be.

    Args:
        observer: that was measured.
        most: stimuli that are shown, at most.
        progress: whether to print how many.
    """
    count, seed = images_of_a_test(most, measurement.count), own_seed(measurement)
    if count < 2 * LEAST_PAIRS or _cannot(observer, measurement):
        return measurement
    if progress:
        print(f"{observer.name}: its images are put to the test on {count:,} fresh stimuli")
    return Measurement(
        measurement.sums | {TEST: _shown(observer, measurement, count, seed)},
        measurement.provenance | {TEST: {"stimuli": count, "seed": seed}},
        measurement.noise,
        measurement.kinds,
    )


def images_of_a_test(most, shown):
    """Return how many fresh stimuli follow a pass that showed so many: whole pairs."""
    return min(most, shown // PART_OF_A_PASS) // 2 * 2


def own_seed(measurement):
    """Return the seed of the fresh pairs that follow a pass."""
    return measurement.provenance["seed"] + OWN_SEED


def fresh_pairs(noise, count, seed):
    """Draw independent pairs of an ensemble, block by block, so many stimuli in all.

    Yields:
        (xi, stimuli): (n, numbers) of the first stimuli, and (2 n, h, w, c), their mirror images
        last.
    """
    pairs = count // 2
    size = int(np.clip(MOST_PIXELS // math.prod(noise.shape), 1, MOST_PAIRS))
    for block, first in enumerate(range(0, pairs, size)):
        xi = _independent_numbers(noise, seed, block, min(size, pairs - first))
        fluctuation = noise.fluctuation(xi)
        stimuli = noise.about(ops.concatenate([fluctuation, -fluctuation], axis=0))
        yield ops.convert_to_numpy(xi).reshape(len(xi), -1), ops.convert_to_numpy(stimuli)


def _independent_numbers(noise, seed, block, count):
    """Draw numbers xi of an ensemble that are independent, although its blocks are orthogonal.

    Its `independent` version may have other coordinates, as pink noise of large images has.
    """
    if not noise.orthogonal_coordinates:
        return noise.xi(seed, block, count)
    return draw_numbers(noise.distribution, seed, block, (count, *noise.coordinates))


def cross_predict(observers, measurements, response, count, seed):
    """Show fresh pairs to observers; return what their images predict, a CrossPrediction.

    Args:
        observers: {name: Observer}, or None of a measurement whose observer is not there.
        measurements: of the same ensemble and classes, one for each name.
        response: whose images predict.
        count, seed: of the stimuli.
    """
    kept = [m.classes[response].coefficients for m in measurements]
    kept = [np.float32(c).reshape(len(c), -1).T for c in kept]
    only = measurements[0].class_indices
    drives, answers = [[] for _ in kept], {name: [] for name in observers}
    judges = {n: o for n, o in observers.items() if o is not None and not o.labels}
    for xi, stimuli in fresh_pairs(measurements[0].noise, count, seed):
        for drive, coefficients in zip(drives, kept, strict=True):
            drive.append(xi @ coefficients)
        for name, observer in judges.items():
            first, second = _logits(observer, stimuli, only)
            answers[name].append(first - second)
    differences = [np.concatenate(parts) if parts else None for parts in answers.values()]
    return cross_prediction(observers, list(map(np.concatenate, drives)), differences)


def _cannot(observer, measurement):
    """Say why an observer cannot judge what the images of a measurement predict; "" if it can."""
    described = measurement.provenance["accumulators"]
    classes = max((one["classes"] for one in described if "classes" in one), default=0)
    if not measurement.noise.symmetric or not set(PREDICTED) & set(measurement.classes):
        return "there are no choices to predict: measure pairs of stimuli, with logits"
    if observer.labels:
        return f"{observer.name!r} answers labels alone, and so does not choose within a pair"
    if observer.classes != classes:
        return f"{observer.name!r} has {observer.classes:,} classes, and these images {classes:,}"
    return ""


def _logits(observer, stimuli, classes):
    """Return the logits of some classes, of the first stimuli and of the second: (2, n, K)."""
    logits = observer.logits_of(stimuli)[:, classes]
    refuse_nan(observer.name, logits)
    return logits.reshape(2, -1, len(classes))


def _shown(observer, measurement, count, seed):
    """Show an observer fresh pairs; return the sums of what the images predict."""
    responses = [name for name in PREDICTED if name in measurement.classes]
    images = np.concatenate([measurement.classes[name].coefficients for name in responses])
    images = np.float32(images).reshape(len(images), -1).T
    drives, logits = [], []
    for xi, stimuli in fresh_pairs(measurement.noise, count, seed):
        drives.append((xi @ images).reshape(len(xi), len(responses), -1).swapaxes(0, 1))
        logits.append(_logits(observer, stimuli, measurement.class_indices))
    return prediction_sums(np.concatenate(drives, axis=1), np.concatenate(logits, axis=1))
