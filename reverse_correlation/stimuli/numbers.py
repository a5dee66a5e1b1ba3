"""Independent numbers of mean 0 and variance 1, as a function of a seed and a block."""

import math

from keras import ops

from reverse_correlation.frameworks import framework


def draw_numbers(distribution, seed, block, shape):
    """Draw independent numbers of mean 0 and variance 1, a function of (seed, block)."""
    if distribution == "gaussian":
        return normal_numbers(seed, block, shape)
    uniform = uniform_numbers(seed, block, shape)
    if distribution == "binary":
        return 2 * ops.cast(uniform >= 0.5, "float32") - 1
    return math.sqrt(12) * (uniform - 0.5)


def uniform_numbers(seed, block, shape, stream=0, streams=1):
    """Draw uniform numbers on [0, 1), a function of (seed, block) and of which stream it is."""
    return framework.uniform(seed, streams * block + stream, shape)


def normal_rows(seed, block, first, count, numbers):
    """Draw rows of independent standard normal numbers from the middle of a block.

    Row i is a function of (seed, block, i): the generator's counter is moved on to it.

    Args:
        seed, block: as for `draw_numbers`.
        first, count: which rows; may be tensors.
        numbers: in a row.

    Returns:
        (count, numbers) float32.
    """
    half = 4 * -(-numbers // 8)  # the counter counts in fours
    start = first * (half // 4)
    uniform = (
        framework.uniform(seed, 2 * block + stream, (count, half), start) for stream in (0, 1)
    )
    return _box_muller(*uniform)[:, :numbers]


def normal_numbers(seed, block, shape):
    """Draw standard normal numbers (Box and Muller 1958), each row from its own uniform numbers.

    This takes 0.6 of the time of TensorFlow's stateless_normal, which works one number at a time.
    """
    count, numbers = shape[0], math.prod(shape[1:])
    half = -(-numbers // 2)
    first, second = (uniform_numbers(seed, block, (count, half), stream, 2) for stream in (0, 1))
    return ops.reshape(_box_muller(first, second)[:, :numbers], (-1, *shape[1:]))


def _box_muller(first, second):
    """Turn uniform numbers into twice as many normal ones: (n, h) and (n, h) to (n, 2 h)."""
    radius, angle = ops.sqrt(-2 * ops.log(1 - first)), 2 * math.pi * second
    return ops.concatenate([radius * ops.cos(angle), radius * ops.sin(angle)], axis=1)
