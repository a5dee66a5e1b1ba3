"""What an observer is shown: ensembles of noise about a base image.

    x = base + A xi,    xi independent numbers of mean 0 and variance 1

The base is a number (grey) or an image. A is a linear map: for white noise, the identity times a
standard deviation; for structured noise, a map that turns the numbers into blobs, clouds or
gratings. Everything is measured in xi, whose coordinates are independent whatever A is.

Noise is a function, not a stream: block b of an ensemble under seed s depends only on (s, b), so
that any block can be drawn again anywhere, and every observer of a run sees the same noise.
"""

import dataclasses
import functools
import hashlib
import math

import numpy as np
from keras import ops

from reverse_correlation.errors import UserError
from reverse_correlation.frameworks import framework
from reverse_correlation.stimuli.null_images import null_of
from reverse_correlation.stimuli.numbers import draw_numbers, normal_rows
from reverse_correlation.stimuli.orthogonal import MOST_COLUMNS, ROWS, orthogonal_numbers
from reverse_correlation.texts import in_short

UNIFORM_STD = 1 / math.sqrt(12)


class Ensemble:
    """The base class of ensembles; a subclass defines `fluctuation` and, mostly, `coordinates`.

    A subclass is a frozen dataclass with these fields, and possibly others of its own (or none of
    these, if properties take their place):

    Args:
        shape: (h, w, c) of one stimulus; (h, w) means one channel.
        low, high: the range of the observer's input.
        base: the image about which noise is shown: a number, one number per channel, or an image
            (h, w) or (h, w, c); by default the middle of the range.
        contrast: root mean square over the image of a pixel's standard deviation, as a share of
            high - low; by default that of noise uniform over the range, 1 / sqrt(12).
        orthogonal: whether the numbers of a block of 1,024 pairs are orthogonal; see
            `orthogonal.py`. Only normal numbers can be.
        achromatic: whether the channels of a pixel share one number; only of white, coarse and
            pink noise.

    Attributes:
        contrast_given: whether a contrast was asked for; if not, one about an image is looked for.
        at_threshold: how that contrast was found, as JSON can hold it; None if it was not.
        symmetric: whether xi and -xi are equally likely, so that stimuli come in pairs.
        is_white: whether A is a number times the identity.
        distribution: of xi: "gaussian", "uniform", "binary" or "sparse".
        cells: the side in pixels of the squares that take one number each; None if A mixes numbers.

    Raises:
        UserError: for a shape that is not an image's, an empty range, a base that does not fit
            the shape or leaves the range, or a contrast that is not positive.
    """

    symmetric = True
    is_white = False
    distribution = "gaussian"
    cells = None
    orthogonal = achromatic = False
    contrast_given, at_threshold = True, None
    _usual_contrast = UNIFORM_STD

    def __init_subclass__(cls, **kwargs):
        """Give a subclass the `__repr__` below as its own, so that `dataclass` makes no other."""
        super().__init_subclass__(**kwargs)
        cls.__repr__ = cls.__repr__

    def __repr__(self):
        """Return its fields; of a base image, the shape."""
        if not dataclasses.is_dataclass(self):
            return object.__repr__(self)
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        told = ", ".join(f"{name}={in_short(value)}" for name, value in fields.items())
        return f"{type(self).__name__}({told})"

    @classmethod
    def of(cls, kind, *, images, **fields):
        """Return the ensemble that `catalogue.ensemble_of` asks for; arguments are as there.

        Raises:
            UserError: if the ensemble does not support one of them.
        """
        return cls(**fields)

    def __post_init__(self):
        """Check the arguments."""
        self._check_shape_and_range()
        object.__setattr__(self, "base", self._fitted_base())
        object.__setattr__(self, "contrast_given", self.contrast is not None)
        if self.contrast is None:
            object.__setattr__(self, "contrast", self._usual_contrast)
        if not 0 < self.contrast < math.inf:
            raise UserError(
                "the contrast of noise must be a positive share of the input range, not "
                f"{self.contrast}"
            )

    def _check_shape_and_range(self):
        shape = tuple(self.shape)
        shape = (*shape, 1) if len(shape) == 2 else shape
        if len(shape) != 3 or not all(isinstance(n, int) and n > 0 for n in shape):
            raise UserError(
                f"the shape of a stimulus must be (h, w, c) in positive integers, not {shape}"
            )
        if not -math.inf < self.low < self.high < math.inf:
            raise UserError(f"a range must go from low to high, not from {self.low} to {self.high}")
        object.__setattr__(self, "shape", shape)

    def _fitted_base(self):
        """Return the base as a number or an array (h, w, c)."""
        if self.base is None:
            return (self.low + self.high) / 2
        base = np.asarray(self.base, np.float32)
        if base.ndim == 0:
            base = float(self.base)
        elif base.shape == self.shape[:2]:
            base = np.repeat(base[..., None], self.shape[2], axis=2)
        elif base.shape == self.shape[2:]:
            base = np.broadcast_to(base, self.shape)
        elif base.shape != self.shape:
            raise UserError(
                f"the base has the shape {base.shape}, but stimuli are {self.shape}: give a "
                "number, one number per channel, or an image of that shape"
            )
        if not np.isfinite(base).all():
            raise UserError("the base has pixels that are NaN or infinite: give finite numbers")
        least, most, rounding = np.min(base), np.max(base), 1e-3 * (self.high - self.low)
        if least < self.low - rounding or most > self.high + rounding:
            raise UserError(
                f"the base goes from {least:g} to {most:g}, but the observer's input from "
                f"{self.low:g} to {self.high:g}: give a base in that range, or another range"
            )
        return base

    @property
    def coordinates(self):
        """The shape of xi: by default one number per pixel and channel."""
        return (*self.shape[:2], self.colours)

    @property
    def colours(self):
        """How many numbers a pixel has: one per channel, or one for all."""
        return 1 if self.achromatic else self.shape[2]

    @property
    def about_image(self):
        """Whether the base differs from place to place."""
        base = np.asarray(self.base)
        return base.ndim == 3 and bool(np.any(base != base[:1, :1]))

    @property
    def deviation(self):
        """The contrast in the units of the input."""
        return self.contrast * (self.high - self.low)

    @property
    def mean(self):
        """The mean stimulus: a number, or (h, w, c)."""
        return self.base

    @property
    def std(self):
        """Standard deviation of a pixel: a number if it is the same for all, or (h, w, c)."""
        return self.pixel_std

    @property
    def orthogonal_coordinates(self):
        """How many coordinates are orthogonal within a block: the first ones, flattened.

        All, if a block has room for them or nearly; else those that an ensemble puts first, since
        they have most of its power, and none if all have the same.
        """
        if not self.orthogonal or self.distribution != "gaussian":
            return 0
        numbers = math.prod(self.coordinates)
        return min(numbers, MOST_COLUMNS) if numbers <= ROWS else self._strongest_coordinates

    _strongest_coordinates = 0

    @property
    def independent(self):
        """The same ensemble with independent numbers."""
        if not self.orthogonal:
            return self
        contrast = self.contrast if self.contrast_given else None
        return dataclasses.replace(self, orthogonal=False, contrast=contrast)

    def orthogonal_numbers(self, seed, block, times=1):
        """Draw the orthogonal numbers of a block: (1024 times, orthogonal_coordinates) float32."""
        return orthogonal_numbers(seed, block, self.orthogonal_coordinates, times)

    def xi(self, seed, block, count, first=0, orthogonal=None):
        """Draw the numbers behind stimuli of a block.

        Args:
            seed, block: integers from 0 to 2**62 - 1; `block` and `count` may be tensors.
            count: how many stimuli; those after 1,024 orthogonal ones are orthogonal to each other.
            first: of which stimulus on; only of orthogonal numbers.
            orthogonal: what `orthogonal_numbers` gave, if they have been drawn already.

        Returns:
            (count, *coordinates) float32, of mean 0 and variance 1. A row does not depend on how
            many are drawn.
        """
        shape, columns = (count, *self.coordinates), self.orthogonal_coordinates
        if not columns:
            return draw_numbers(self.distribution, seed, block, shape)
        if orthogonal is None:
            times = -(-(first + count) // ROWS) if isinstance(count, int) else 1
            orthogonal = self.orthogonal_numbers(seed, block, times)
        numbers, rest = orthogonal[first : first + count], math.prod(self.coordinates) - columns
        if rest:
            more = normal_rows(seed, block, first, count, rest)
            numbers = ops.concatenate([numbers, more], axis=1)
        return ops.reshape(numbers, (-1, *self.coordinates))

    def fluctuation(self, xi):
        """Return A xi, (n, h, w, c), for a tensor xi (n, *coordinates)."""
        raise NotImplementedError

    def draw(self, seed, block, count):
        """Draw the first `count` stimuli of a block: (count, h, w, c) float32.

        The same (seed, block) gives the same stimuli on all machines of one kind. In a pass, the
        mirror image of each stimulus about the mean is shown too.
        """
        return self.about(self.fluctuation(self.xi(seed, block, count)))

    def about(self, fluctuation):
        """Return the mean stimulus and a fluctuation (n, h, w, c), a tensor, added up."""
        mean = self.mean
        if np.ndim(mean):
            mean = ops.convert_to_tensor(mean, fluctuation.dtype)
        return fluctuation + mean

    def images(self, coefficients):
        """Return A c for coefficients c (R, *coordinates), as images (R, h, w, c) float64."""
        flat = np.asarray(coefficients, np.float64)
        starts = range(0, len(flat), self.at_once)
        with framework.double():
            tensors = (ops.convert_to_tensor(flat[i : i + self.at_once]) for i in starts)
            parts = [ops.convert_to_numpy(self.fluctuation(tensor)) for tensor in tensors]
        return np.concatenate(parts)

    def weights(self, coefficients):
        """Return the inverse of A transposed times c, the response's weights on pixels.

        For a differentiable response and Gaussian xi this is its mean gradient, (R, h, w, c). None
        if A cannot be inverted.
        """
        return None

    def whitened(self, images):
        """Return covariances with the stimulus, (R, h, w, c), as images with one error everywhere.

        For stimuli of covariance S these are the covariances times the inverse square root of S.
        None if S has no inverse.
        """
        return None

    @property
    def orthogonal_frequencies(self):
        """The share of a whitened image's error, by frequency, that orthogonal coordinates have.

        A number if it is the same for all, or (h, w) in the order of `np.fft.fft2`.
        """
        return self.orthogonal_coordinates / math.prod(self.coordinates)

    def _on_all_channels(self, images):
        """Return images (n, h, w, colours) with one for each channel: (n, h, w, c)."""
        return ops.repeat(images, self.shape[2], axis=3) if self.achromatic else images

    @functools.cached_property
    def pixel_std(self):
        """Standard deviation of each pixel, (h, w, c): the norm of the pixel's row of A."""
        if self.cells:
            return np.full(self.shape, self.deviation)
        size, total = math.prod(self.coordinates), np.zeros(self.shape)
        for first in range(0, size, self.at_once):
            probes = np.eye(min(self.at_once, size - first), size, first)
            total += np.sum(self.images(probes.reshape(-1, *self.coordinates)) ** 2, axis=0)
        return np.sqrt(total)

    @functools.cached_property
    def orthogonal_power(self):
        """The share of each pixel's variance from orthogonal coordinates: 0, 1 or (h, w, c)."""
        size, columns = math.prod(self.coordinates), self.orthogonal_coordinates
        if columns in (0, size):
            return float(columns > 0)
        total = np.zeros(self.shape)
        for first in range(0, columns, self.at_once):
            probes = np.eye(min(self.at_once, columns - first), size, first)
            total += np.sum(self.images(probes.reshape(-1, *self.coordinates)) ** 2, axis=0)
        return total / self.pixel_std**2

    @property
    def threshold(self):
        """The |z| that no pixel of a null image passes, with probability .95.

        Sidak's over independent cells; else the 95 % quantile of the largest |A xi|_i / |A_i| over
        draws of Gaussian xi, since the coefficients of an image from many stimuli are Gaussian. Of
        few draws it is that of the Gumbel distribution that has their mean and variance.
        """
        return self.null[0]

    @property
    def null_norm(self):
        """Median and scaled MAD of the norm |A xi| of a null image."""
        return self.null[1:]

    @functools.cached_property
    def null(self):
        """The threshold, and the median and scaled MAD of the norm: three numbers."""
        return null_of(self)

    @property
    def at_once(self):
        """To how many images A is applied at once."""
        return max(1, min(250, 2**22 // math.prod(self.shape)))

    def gradient_weight(self, xi):
        """Return w such that cov(r, xi) = E[w dr/dxi], elementwise, for a differentiable r.

        Gaussian: 1 (Stein's identity). Uniform: (3 - xi**2) / 2, by integration by parts. Both
        are exact for independent coordinates.

        Raises:
            UserError: for two-valued xi, whose identity has differences instead of gradients.
        """
        if self.distribution == "gaussian":
            return ops.ones_like(xi)
        if self.distribution == "uniform":
            return 0.5 * (3 - ops.square(xi))
        raise UserError(
            f"{self.title} noise has no gradient identity: use gaussian or uniform noise"
        )

    @property
    def has_gradient_identity(self):
        """Whether exact images can be had from a network's gradients with this ensemble."""
        return self.distribution in ("gaussian", "uniform")

    @property
    def title(self):
        """What the ensemble is called in a caption."""
        return type(self).__name__

    def describe(self):
        """Return what identifies the ensemble, for the provenance of a result."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        if not self.achromatic:
            fields.pop("achromatic", None)  # as before there was such noise
        return {
            "ensemble": type(self).__name__,
            **{name: _serialisable(value) for name, value in fields.items()},
            "generator": "tensorflow stateless philox, seed (seed, block)",
            "orthogonal_coordinates": self.orthogonal_coordinates,
        }


@dataclasses.dataclass(frozen=True, eq=False)
class StructuredNoise(Ensemble):
    """The base class of Gaussian ensembles that are not white: the fields of Ensemble."""

    shape: tuple = (28, 28, 1)
    low: float = 0.0
    high: float = 1.0
    base: object = None
    contrast: float | None = None
    orthogonal: bool = True


def _serialisable(value):
    """Return a value as JSON can hold it; of an array, its shape and hash."""
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(value, np.float32).tobytes())
        return {"shape": list(value.shape), "sha256": digest.hexdigest()}
    return list(value) if isinstance(value, tuple) else value
