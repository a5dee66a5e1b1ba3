"""The counter-based generator Philox 4x32-10, as TensorFlow uses it, for every other framework.

Written with operators alone, so that it computes with arrays of NumPy and with tensors of PyTorch
on any device, and gives the same integers to the bit.

Source: Salmon and others 2011, Parallel random numbers: as easy as 1, 2, 3. How a seed of two
integers becomes a key and a counter is TensorFlow's (stateless_random_ops.cc), so that noise is the
same whatever draws it.
"""

import numpy as np

MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
STEPS = 0x9E3779B9, 0xBB67AE85  # of the key, from round to round
ROUNDS = 10
LOW = 0xFFFFFFFF
SCRAMBLE = 0x3EC8F720, 0x02461E29  # the key that turns a seed into a key
OUTPUTS = 4  # integers of a counter
AT_ONCE = 2**14  # counters on the host: as many as its cache holds, which takes half the time
MANTISSA = 0x7FFFFF  # the bits of an integer that make a uniform number
STEP = 2.0**-23  # of uniform numbers


def rounds(counter, key):
    """Return the four outputs of Philox, for a counter of four numbers and a key of two.

    Each is an int64 array, or an integer, from 0 to 2**32 - 1.
    """
    a, b, c, d = counter
    first, second = key
    for _ in range(ROUNDS):
        low, high = a * MULTIPLIERS[0], c * MULTIPLIERS[1]  # may wrap, which loses no bit
        a, b = (high >> 32 & LOW) ^ b ^ first, high & LOW
        c, d = (low >> 32 & LOW) ^ d ^ second, low & LOW
        first, second = first + STEPS[0] & LOW, second + STEPS[1] & LOW
    return a, b, c, d


def state(seed, second):
    """Return the key, and the upper half of the counter, that two integers stand for."""
    halves = [part for number in (seed, second) for part in (number & LOW, number >> 32 & LOW)]
    one, two, three, four = rounds(halves, SCRAMBLE)
    return (one, two), (three, four)


def integers(seed, second, places):
    """Return random integers from 0 to 2**32 - 1: four arrays or tensors as `places` is.

    Args:
        seed, second: the generator's seed, two integers.
        places: int64 array or tensor, which counters; integers 4 i to 4 i + 3 are those of place i.
    """
    key, upper = state(int(seed), int(second))
    return rounds((places & LOW, places >> 32 & LOW, *(0 * places + half for half in upper)), key)


def groups(numbers):
    """Return how many counters so many numbers take."""
    return -(-numbers // OUTPUTS)


def on_the_host(seed, second, start, numbers):
    """Return random integers as a NumPy array, from place `start` on: (numbers,) int64."""
    found = np.empty((groups(numbers), OUTPUTS), np.int64)
    for first in range(0, len(found), AT_ONCE):
        part = found[first : first + AT_ONCE]
        places = start + first + np.arange(len(part), dtype=np.int64)
        part[:] = np.stack(integers(seed, second, places), axis=-1)
    return found.reshape(-1)[:numbers]
