"""What a network is shown: ensembles of noise.

Noise here is a function, not a stream. Block b of an ensemble under seed s depends on (s, b) and
on nothing else: no global state, no order of drawing, no device. Any block can be drawn again
anywhere, every network of a run sees the same noise, and anyone can check a result.
"""

import dataclasses
import hashlib
import math

import numpy as np
import tensorflow as tf
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

from reverse_correlation.errors import UserError

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
        """Check the arguments."""
        if self.kind not in ("gaussian", "uniform", "binary"):
            raise UserError(f"unknown noise kind {self.kind!r}: choose gaussian, uniform or binary")
        shape = tuple(self.shape)
        shape = (*shape, 1) if len(shape) == 2 else shape
        if len(shape) != 3 or not all(isinstance(n, int) and n > 0 for n in shape):
            raise UserError(f"a stimulus has a shape (h, w, c) of positive integers, not {shape}")
        if not -math.inf < self.low < self.high < math.inf:
            raise UserError(f"a range goes from low to high, not from {self.low} to {self.high}")
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
        if self.kind == "gaussian":
            return self.mean + self.std * _normal(seed, block, shape)
        uniform = _uniform(seed, block, shape)
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
        raise UserError("binary noise has no gradient identity: use gaussian or uniform noise")

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


@dataclasses.dataclass(frozen=True)
class SparseNoise:
    """White noise on a dark ground: each pixel is 1 with probability `rate`, else 0.

    As white as binary `WhiteNoise`, of which it is the case that resembles images on black: a
    network answers it with the filters that it uses on those, where noise about 1/2 saturates
    many. cov(r, x) = rate (1 - rate) E[r(x_i = 1) - r(x_i = 0)] at pixel i, exactly.

    Args:
        rate: between 0 and 1, both excluded.
        shape: (h, w, c) of one stimulus.
    """

    rate: float = 0.1
    shape: tuple = (28, 28, 1)

    def __post_init__(self):
        """Check the arguments."""
        if not 0 < self.rate < 1:
            raise UserError(f"the rate of bright pixels lies between 0 and 1, not {self.rate}")

    @property
    def mean(self):
        """Mean of a pixel."""
        return self.rate

    @property
    def std(self):
        """Standard deviation of a pixel."""
        return math.sqrt(self.rate * (1 - self.rate))

    def draw(self, seed, block, count):
        """Draw the first `count` stimuli of a block: (count, h, w, c) float32; as `WhiteNoise`."""
        uniform = _uniform(seed, block, (count, *self.shape))
        return tf.cast(uniform < self.rate, tf.float32)

    def describe(self):
        """Return what identifies the ensemble, for the provenance of a result."""
        return {
            "ensemble": "sparse",
            "rate": self.rate,
            "shape": list(self.shape),
            "generator": "tensorflow stateless philox, seed (seed, block)",
        }


@dataclasses.dataclass(frozen=True, eq=False)
class GaborNoise:
    """Structured noise: random mixtures of the principal components of Gabor-coded images.

    A stimulus is mean + sum_j a_j component_j with independent a_j, uniform on +-reach_j: the
    Gabor-PCA noise of Borji and Lin (2020), and in its idea that of Mangini and Biederman (2004).
    It is deterministic in (seed, block) like white noise, and has the same interface, but its
    pixels are neither independent nor of one mean and variance: `mean` and `std` are images, and
    a covariance cov(r, x) is blurred by the covariance of the pixels; see `whiten`.

    Args:
        mean: (h, w, c), the mean stimulus.
        components: (J, h, w, c).
        reach: (J,), half the range of each component's coefficient.
    """

    mean: np.ndarray
    components: np.ndarray
    reach: np.ndarray

    def __post_init__(self):
        """Check that the arrays fit together."""
        if self.components.ndim != 4 or self.components.shape[1:] != self.mean.shape:
            raise UserError(
                f"components {self.components.shape} and mean {self.mean.shape} differ in shape"
            )
        if self.reach.shape != (len(self.components),):
            raise UserError(f"{len(self.components)} components need as many coefficient ranges")

    @classmethod
    def fit(cls, images, components=250, alpha=0.1):
        """Fit the ensemble to images (n, h, w, 1), as published.

        Ridge regression writes each image as a sum of Gabor kernels (960 for 28x28 pixels), PCA
        finds the components of the regression coefficients, and each component's coefficient is
        uniform within its range over the images.

        Args:
            images: at least as many as components.
            components: how many principal components are kept.
            alpha: the ridge.

        Raises:
            ValueError: if the images are not (n, h, w, 1), or fewer than the components.
        """
        images = np.asarray(images, np.float64)
        if images.ndim != 4 or images.shape[3] != 1:
            raise UserError(f"Gabor noise is for images (n, h, w, 1), not {images.shape}")
        if len(images) < components:
            raise UserError(f"{components} components need as many images, not {len(images)}")
        kernels = gabor_kernels(*images.shape[1:3])
        pixels = kernels.reshape(len(kernels), -1)
        ridge = Ridge(alpha, fit_intercept=False).fit(pixels.T, images.reshape(len(images), -1).T)
        pca = PCA(components, svd_solver="full").fit(ridge.coef_)
        coefficients = pca.transform(ridge.coef_)
        low, high = coefficients.min(axis=0), coefficients.max(axis=0)
        shown = pca.components_ @ pixels
        mean = pca.mean_ @ pixels + (low + high) / 2 @ shown
        shape = images.shape[1:]
        return cls(mean.reshape(shape), shown.reshape(-1, *shape), (high - low) / 2)

    @property
    def shape(self):
        """The shape (h, w, c) of one stimulus."""
        return tuple(self.mean.shape)

    @property
    def std(self):
        """Standard deviation of each pixel, (h, w, c)."""
        return np.sqrt(np.tensordot(self.reach**2 / 3, self.components**2, 1))

    def draw(self, seed, block, count):
        """Draw the first `count` stimuli of a block: (count, h, w, c) float32; as `WhiteNoise`."""
        uniform = _uniform(seed, block, (count, len(self.reach)))
        scaled = (self.reach[:, None] * self.components.reshape(len(self.reach), -1)).astype("f4")
        stimuli = tf.matmul(2 * uniform - 1, tf.constant(scaled))
        return self.mean.astype("f4") + tf.reshape(stimuli, (-1, *self.shape))

    def whiten(self, covariance, ridge):
        """Turn cov(r, x), (R, h, w, c), into the weights of r on x within the components' span.

        With coloured noise of covariance S, cov(r, x) = S E[dr/dx] (exactly for a linear r, nearly
        for others); so it is multiplied by the inverse of S, which exists only within the span
        and is ill-conditioned there: 1 / s becomes 1 / (s + ridge * mean s) for each eigenvalue s.

        Args:
            covariance: of responses with stimuli of this ensemble, as `measure` estimates it.
                `measure`'s z, threshold and `images_needed` assume independent pixels of one
                variance and are not valid here; its reliability is.
            ridge: share of the mean eigenvalue that is added, from 0 up.
        """
        scaled = (self.reach[:, None] / np.sqrt(3)) * self.components.reshape(len(self.reach), -1)
        _, singular, axes = np.linalg.svd(scaled, full_matrices=False)
        power = singular**2
        keep = power > 1e-12 * power.max()
        power, axes = power[keep], axes[keep]
        flat = covariance.reshape(len(covariance), -1) @ axes.T
        weights = flat / (power + ridge * power.mean()) @ axes
        return weights.reshape(covariance.shape)

    def describe(self):
        """Return what identifies the ensemble, for the provenance of a result."""
        digest = hashlib.sha256()
        for array in (self.mean, self.components, self.reach):
            digest.update(np.ascontiguousarray(array, np.float32).tobytes())
        return {
            "ensemble": "Gabor-PCA",
            "shape": list(self.shape),
            "components": len(self.components),
            "sha256": digest.hexdigest(),
            "generator": "tensorflow stateless philox, seed (seed, block)",
        }


def gabor_kernels(height, width):
    """Gabor kernels tiled over an image: (960, 28, 28) for 28x28 pixels.

    Square tiles of 3, 7 and 15 pixels, each with 4 orientations and 2 phases; standard deviation
    and wavelength half the tile, aspect ratio 1/2 (Borji and Lin 2020). Tiles at the right and
    lower edge are cut off.
    """
    kernels = []
    for size in (3, 7, 15):
        y, x = np.mgrid[:size, :size] - size // 2
        tiles = [
            _gabor(x, y, size / 2, theta, phase)
            for theta in np.arange(4) * np.pi / 4
            for phase in (0, np.pi / 2)
        ]
        for top in range(0, height, size):
            for left in range(0, width, size):
                for tile in tiles:
                    picture = np.zeros((height + size, width + size))
                    picture[top : top + size, left : left + size] = tile
                    kernels.append(picture[:height, :width])
    return np.array(kernels)


def _gabor(x, y, scale, theta, phase):
    """A cosine of wavelength `scale` under a Gaussian of standard deviation `scale`."""
    along = x * np.cos(theta) + y * np.sin(theta)
    across = y * np.cos(theta) - x * np.sin(theta)
    envelope = np.exp(-(along**2 + across**2 / 4) / (2 * scale**2))
    return envelope * np.cos(2 * np.pi * along / scale + phase)


def _uniform(seed, block, shape, stream=0, streams=1):
    """Uniform numbers on [0, 1) that are a function of (seed, block), for one of some streams."""
    key = tf.stack([tf.cast(seed, tf.int64), streams * tf.cast(block, tf.int64) + stream])
    return tf.random.stateless_uniform(shape, key, alg="philox")


def _normal(seed, block, shape):
    """Standard normal numbers by Box and Muller (1958), each row from its own uniform numbers.

    TensorFlow's own stateless_normal works one number at a time; this takes 0.6 of its time.
    """
    count, numbers = shape[0], math.prod(shape[1:])
    half = -(-numbers // 2)
    first, second = (_uniform(seed, block, (count, half), stream, 2) for stream in (0, 1))
    radius = tf.sqrt(-2 * tf.math.log(1 - first))
    angle = 2 * math.pi * second
    normal = tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], axis=1)
    return tf.reshape(normal[:, :numbers], shape)
