"""Two-interval forced choice by anyone: people, and networks on the very same trials.

    measurement = measure_choices(choices, noise, seed=0, name="participant 1")
    print(measurement.classes["choice"].reliability)

A trial is a pair of stimuli, base + A xi and base - A xi; trial i of a study has the i-th numbers
xi of the ensemble's first block. So the seed and the number of a trial are enough to draw it again,
and choices of +1 (the first stimulus) or -1 (the second) are all that has to be recorded. Even and
odd trials are kept apart for split-half reliability, as shards are in a pass.
"""

import numpy as np
from keras import ops

from reverse_correlation.errors import UserError
from reverse_correlation.estimates.class_sums import ChoiceSums
from reverse_correlation.estimates.measurement import Measurement
from reverse_correlation.observers.observer import refuse_nan
from reverse_correlation.observers.observer_of import observer_of
from reverse_correlation.stimuli.white import WhiteNoise

LEAST_TRIALS = 4  # two in each half
AT_ONCE = 100  # trials whose images are held as floating-point numbers


def trial_numbers(noise, seed, trials):
    """Return the numbers xi behind the first stimulus of trials: (trials, *coordinates) float32.

    They are independent, whatever the ensemble says: a session is shorter than a block of
    orthogonal numbers.

    Raises:
        UserError: if the ensemble is not symmetric.
    """
    if not noise.symmetric:
        raise UserError(
            f"{noise.title} noise is not symmetric about its base, so that stimuli have no mirror "
            "images to choose between: take white, coarse, pink, sinusoid or gabor noise"
        )
    return ops.convert_to_numpy(noise.independent.xi(seed, 0, trials))


def screen_levels(noise, xi):
    """Return the base, and what each trial adds to it, in the 256 levels of a screen.

    A screen shows the base plus and minus that, clipped to 0 and 255: the low of the ensemble is
    black, and its high is white.

    Returns:
        (base, push): (h, w, c) uint8, and (N, h, w, c) int8, clipped to -127 and 127.
    """

    def levels(values, low, high, dtype):
        return np.clip(np.rint(255 * values / (noise.high - noise.low)), low, high).astype(dtype)

    noise = noise.independent
    base = np.broadcast_to(noise.mean - noise.low, noise.shape)
    push = [
        levels(ops.convert_to_numpy(noise.fluctuation(xi[i : i + AT_ONCE])), -127, 127, np.int8)
        for i in range(0, len(xi), AT_ONCE)
    ]
    return levels(base, 0, 255, np.uint8), np.concatenate(push)


def shown_pair(noise, xi):
    """Return both stimuli of trials as a screen shows them, (N, h, w, c) float32 each."""
    base, push = (np.float32(levels) for levels in screen_levels(noise, xi))
    shown = (np.clip(base + push, 0, 255), np.clip(base - push, 0, 255))
    return tuple(noise.low + (noise.high - noise.low) * levels / 255 for levels in shown)


def measure_choices(choices, noise, *, seed=0, name="observer", question=""):
    """Measure what made an observer choose: a Measurement of one class, with its choice image.

    Args:
        choices: (N,), one for each trial from the first on: +1 where base + A xi was chosen, -1
            where base - A xi was, NaN where there was no answer; or the mean over several observers
            of the same trials.
        noise: the symmetric ensemble.
        seed: of the trials.
        name: of the observer.
        question: that was asked.

    Raises:
        UserError: if there are fewer than four trials, or two answers in a half of them, or choices
            that are not from -1 to 1.
    """
    choices = np.asarray(choices, np.float64)
    if choices.ndim != 1 or len(choices) < LEAST_TRIALS:
        raise UserError(
            f"choices are a row of at least {LEAST_TRIALS}, one for each trial, not an array of "
            f"{choices.shape}"
        )
    if np.any(np.abs(choices) > 1):
        raise UserError("a choice is 1 or -1, and the mean of several lies between")
    if min(np.isfinite(choices[i::2]).sum() for i in (0, 1)) < LEAST_TRIALS // 2:
        raise UserError(
            f"choices have answers to too few trials: at least {LEAST_TRIALS // 2} of the even and "
            "of the odd ones are needed"
        )
    xi = trial_numbers(noise, seed, len(choices))
    return measurement_of(choices, xi, noise, seed=seed, name=name, question=question)


def measurement_of(choices, xi, noise, *, seed, name, question=""):
    """Return the Measurement of choices (N,), or of other numbers, in trials with the numbers xi.

    Trials whose choice is NaN are left out; the arguments are otherwise those of `measure_choices`.
    """
    noise = noise.independent
    sums = ChoiceSums(tuple(xi.shape[1:]), 1, pixels=int(np.prod(noise.shape)))
    provenance = {
        "network": name,
        "noise": noise.describe(),
        "seed": seed,
        "count": 2 * int(np.isfinite(choices).sum()),
        "paired": True,
        "accumulators": [sums.describe()],
        "block_images": 2,
        "shard_blocks": 1,
        "class_names": ["choice"],
        **({"question": question} if question else {}),
    }
    return Measurement({sums.name: sums.of_trials(choices, np.float64(xi))}, provenance, noise)


def network_choices(model, noise, xi, to_range=(0.0, 1.0)):
    """Let a network judge trials as people saw them: (N, K) of +1 and -1, and 0 for no difference.

    Args:
        model: a classifier, as for `measure`.
        noise, xi: the ensemble, and the numbers of the trials.
        to_range: (low, high) of the network's input, to which the range of the ensemble is brought.

    Raises:
        UserError: if the model does not take such images, or answers labels alone, or NaN.
    """
    low, high = to_range
    observer = observer_of(model, WhiteNoise(shape=noise.shape, low=low, high=high))
    first, second = (
        observer.logits_of(low + (high - low) * (stimuli - noise.low) / (noise.high - noise.low))
        for stimuli in shown_pair(noise, xi)
    )
    refuse_nan(observer.name, first, second)
    return np.sign(first - second)
