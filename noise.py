"""What the network is shown: ensembles of noise, and signal mixed with noise.

Noise here is a function, not a stream. Block b of an ensemble under seed s depends on (s, b) and
on nothing else: no global state, no order of drawing, no device. Any block can be drawn again
anywhere, every network of a run sees the same noise, and anyone can check a result.
"""

import dataclasses
import math

import numpy as np
import tensorflow as tf

UNIFORM_STD = 1 / math.sqrt(12)


@dataclasses.dataclass(frozen=True)
class WhiteNoise:
    """Independent pixels of one distribution.

    Args:
        kind: "gaussian" (the mean and standard deviation of the uniform noise, never clipped:
            Stein's identity holds exactly), "uniform" from low to high (Borji and Lin's, on
            [0, 1]), or "binary", either low or high.
        shape: (h, w, c) of one stimulus; (h, w) is one channel.
        low, high: the range of the network's input.

    Raises:
        ValueError: for another kind, a shape that is no image's, or a range that is none.
    """

    kind: str = "gaussian"
    shape: tuple = (28, 28, 1)
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self):
        """Refuse what cannot be drawn."""
        if self.kind not in ("gaussian", "uniform", "binary"):
            raise ValueError(
                f"unknown noise kind {self.kind!r}: choose gaussian, uniform or binary"
            )
        shape = tuple(self.shape)
        shape = (*shape, 1) if len(shape) == 2 else shape
        if len(shape) != 3 or not all(isinstance(n, int) and n > 0 for n in shape):
            raise ValueError(f"a stimulus has a shape (h, w, c) of positive integers, not {shape}")
        if not -math.inf < self.low < self.high < math.inf:
            raise ValueError(f"a range goes from low to high, not from {self.low} to {self.high}")
        object.__setattr__(self, "shape", shape)

    @property
    def mean(self):
        """Mean of a pixel."""
        return (self.low + self.high) / 2

    @property
    def std(self):
        """Standard deviation of a pixel."""
        return (self.high - self.low) * (0.5 if self.kind == "binary" else UNIFORM_STD)

    def draw(self, seed, block, count):
        """Draw the first `count` stimuli of a block: (count, h, w, c) float32.

        Args:
            seed, block: integers from 0 to 2**63 - 1; the same pair gives the same stimuli on
                every machine of one kind. `block` and `count` may be tensors.
            count: how many; fewer are the beginning of more.
        """
        shape = (count, *self.shape)
        key = tf.stack([tf.cast(seed, tf.int64), tf.cast(block, tf.int64)])
        if self.kind == "gaussian":
            return self.mean + self.std * _stateless_normal(shape, key)
        uniform = tf.random.stateless_uniform(shape, key, alg="philox")
        if self.kind == "binary":
            uniform = tf.cast(uniform >= 0.5, tf.float32)
        return self.low + (self.high - self.low) * uniform

    def gradient_weight(self, stimuli):
        """Return w(x) such that cov(r, x) = E[w(x) dr/dx], elementwise, for a differentiable r.

        Gaussian: the variance (Stein's identity). Uniform: (x - low) (high - x) / 2, by
        integration by parts. Both are exact for independent pixels.

        Raises:
            ValueError: for binary noise, whose identity has differences instead of gradients.
        """
        if self.kind == "gaussian":
            return self.std**2
        if self.kind == "uniform":
            return 0.5 * (stimuli - self.low) * (self.high - stimuli)
        raise ValueError("binary noise has no gradient identity: use gaussian or uniform noise")

    def describe(self):
        """Return what identifies the ensemble, for the provenance of a result."""
        return {
            "ensemble": "white",
            "kind": self.kind,
            "shape": list(self.shape),
            "range": [self.low, self.high],
            "mean": self.mean,
            "std": self.std,
            "generator": "tensorflow stateless philox, seed (seed, block)",
        }


def _stateless_normal(shape, key):
    """Standard normal numbers by Box and Muller (1958), each row from its own uniform numbers.

    TensorFlow's own stateless_normal works one number at a time; this takes 0.6 of its time.
    """
    count, numbers = shape[0], math.prod(shape[1:])
    half = -(-numbers // 2)
    uniform = [
        tf.random.stateless_uniform((count, half), [key[0], 2 * key[1] + i], alg="philox")
        for i in (0, 1)
    ]
    radius = tf.sqrt(-2 * tf.math.log(1 - uniform[0]))
    angle = 2 * math.pi * uniform[1]
    normal = tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], axis=1)
    return tf.reshape(normal[:, :numbers], shape)


def generate_white_noise_images(images, signal=0.7, noise=0.3, seed=0):
    """Mix images with uniform white noise: signal * image + noise * U[0, 1].

    Args:
        images: (n, h, w, c) in [0, 1].
        signal, noise: weights, not negative.
        seed: of the noise; image i always gets the same noise.

    Returns:
        (n, h, w, c) float32.

    Raises:
        ValueError: if the images are not four-dimensional or a weight is negative.
    """
    images = np.asarray(images, np.float32)
    if images.ndim != 4:
        raise ValueError(f"images must have the shape (n, h, w, c), not {images.shape}")
    if signal < 0 or noise < 0:
        raise ValueError(f"signal and noise are weights from 0 up, not {signal} and {noise}")
    stimuli = WhiteNoise("uniform", images.shape[1:]).draw(seed, 0, len(images)).numpy()
    return np.float32(signal) * images + np.float32(noise) * stimuli
