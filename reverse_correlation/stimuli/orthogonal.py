"""Blocks of orthogonal numbers: alone each looks independent, and together they are better.

A block is n = 1,024 rows of (H D1)(H D2)(H D3) / n, where H is Sylvester's Hadamard matrix and D1
to D3 are diagonal matrices of random signs. Some of its columns, in a random order, are the numbers
of a block of stimuli. They are orthogonal, so the chance correlations between coordinates, which
make most of the error of a class image from independent numbers, vanish within a block.

Every number is a multiple of 1 / 1,024 with mean 0 and variance 1, nearly normal (kurtosis 2.99): a
sum of signs, which float32 holds exactly in any order of adding. The block is therefore the same to
the bit on every machine.

Source: orthogonal random features (Yu and others 2016), where three rounds of H D come close to a
random rotation. With two rounds an entry depends on the exclusive or of its row and column alone.
Signs (one round) are not used, for binary noise: the product of three of their columns is another
one, so that what an observer does with three pixels together would seem to be done by a fourth.
"""

import functools

import numpy as np
from keras import ops

from reverse_correlation.frameworks import framework

ROWS = 1024  # pairs of stimuli in a block
MOST_COLUMNS = 961  # in use: the other 63, at least, tell how much of a response is not linear
_SIDE = 32  # ROWS = 32 * 32, so a product with H is two products with the Hadamard matrix of 32
_WORDS = 4 * ROWS  # random integers behind a block: three rounds of signs, and an order


@functools.cache
def hadamard(size):
    """Return Sylvester's Hadamard matrix, for a power of two: (size, size) float32 of 1 and -1."""
    matrix = np.ones((1, 1), np.float32)
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


def orthogonal_numbers(seed, block, columns, times=1):
    """Return a block of orthogonal numbers, a function of (seed, block): (1024, columns) float32.

    The product of two columns is 0, and that of a column with itself 1,024, to the last bit.

    Args:
        seed, block: integers from 0 to 2**62 - 1; may be tensors.
        columns: how many, up to 1,024.
        times: for so many sets of 1,024 rows, one below the other, each with signs of its own.
    """
    # no other key has a negative number in it: nothing else is drawn from the same integers
    words = framework.words(seed, -1 - block, (times, _WORDS))
    if times > 1:
        return ops.concatenate([_from_words(words[i], columns) for i in range(times)], axis=0)
    return _from_words(words[0], columns)


def _from_words(words, columns):
    """Return the rows that 4,096 random integers stand for."""
    bits = ops.bitwise_and(words[: 3 * ROWS], 1)
    signs = ops.reshape(ops.cast(2 * bits - 1, "float32"), (3, ROWS))
    order = ops.argsort(words[3 * ROWS :])[:columns]
    # H of 1,024 is the Kronecker product of two of 32; as a constant of 4 MB in the graph of a pass
    # it would double the time of compiling it
    small = ops.convert_to_tensor(hadamard(_SIDE))
    high, low = (ops.take(small, part, axis=0) for part in (order // _SIDE, order % _SIDE))
    rows = ops.reshape(high[:, :, None] * low[:, None, :], (columns, ROWS))
    matrix = ops.transpose(rows * signs[0, :columns, None])
    return _signed_hadamard(signs[2], _signed_hadamard(signs[1], matrix)) / ROWS


def _signed_hadamard(signs, matrix):
    """Return H D times a matrix of 1,024 rows, D of these signs, which the small matrix takes."""
    small, columns = ops.convert_to_tensor(hadamard(_SIDE)), matrix.shape[1]
    signed = small * ops.reshape(signs, (_SIDE, 1, _SIDE))
    once = framework.product(signed, ops.reshape(matrix, (_SIDE, _SIDE, columns)))
    twice = framework.product(small, ops.reshape(once, (_SIDE, _SIDE * columns)))
    return ops.reshape(twice, (ROWS, columns))
