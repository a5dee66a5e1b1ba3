"""JAX: blocks of one shape compiled once; numbers are drawn on the host."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np

from reverse_correlation.frameworks import eager, philox

NAME, VERSION = "jax", jax.__version__
where = eager.where


def uniform(seed, second, shape, start=None):
    """Draw uniform numbers on [0, 1)."""
    drawn = philox.on_the_host(seed, second, start or 0, int(np.prod(shape)))
    unscaled = (drawn & philox.MANTISSA).astype(np.float32)
    return jnp.asarray(unscaled.reshape(shape) * np.float32(philox.STEP))


def words(seed, second, shape):
    """Draw random integers."""
    drawn = philox.on_the_host(seed, second, 0, int(np.prod(shape)))
    return jnp.asarray(drawn.astype(np.uint32).view(np.int32).reshape(shape))


def filtered(images, gain, added=None):
    """Return images with each frequency multiplied by its gain."""
    spectrum = jnp.fft.rfft2(images) * jnp.asarray(gain, images.dtype)
    if added is not None:
        spectrum = spectrum + jax.lax.complex(*added)
    return jnp.fft.irfft2(spectrum, images.shape[-2:])


def product(a, b):
    """Return a matrix product whose factors are not rounded."""
    return jnp.matmul(a, b, precision="highest")


def filter_sums(stimuli, activity, shape, strides):
    """Sum activity times the patch under it."""

    def convolved(filters):
        axes = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(
            stimuli, filters, strides, "VALID", dimension_numbers=axes
        )

    _, backwards = jax.vjp(convolved, jnp.zeros(shape, stimuli.dtype))
    return backwards(activity)[0]


def column_gradients(function, x):
    """Return function(x), and the gradients of the sum of each column."""
    answers, backwards = jax.vjp(function, x)
    ones = jnp.eye(answers.shape[1])[:, None, :] * jnp.ones_like(answers)
    return answers, jnp.stack([backwards(each)[0] for each in ones])


def compiled(function):
    """Return a function of tensors, compiled; numbers are not drawn inside."""
    return jax.jit(function)


def as_graph(function):
    """Return a function that draws numbers, or decides what it does, as it is."""
    return function


def shard_of(work, at_once):
    """Return a function for the sums of a shard.

    What follows the drawing of a block's numbers is compiled, once for each number of them.
    """
    return eager.shard_of(work, at_once, jax.jit)


def inference(device=None):
    """Return a context in which networks answer."""
    return contextlib.nullcontext()


def double():
    """Return a context in which float64 arrays stay so."""
    return jax.enable_x64(True)


def use_threads(count):
    """Do nothing: JAX takes as many threads as the process has cores."""
