"""Sparse noise: bright pixels on a dark background."""

import dataclasses
import math

from keras import ops

from reverse_correlation.errors import UserError
from reverse_correlation.stimuli.numbers import uniform_numbers
from reverse_correlation.stimuli.white import White


@dataclasses.dataclass(frozen=True, eq=False)
class SparseNoise(White):
    """White noise on a dark background: each pixel is `high` with probability `rate`, else `low`.

    Sparse noise is as white as binary `WhiteNoise`, but resembles images on black: a network
    answers it with the filters that it uses for such images, whereas noise about 1/2 saturates
    many of them. At pixel i, cov(r, x) = rate (1 - rate) (high - low) E[r(x_i = high) -
    r(x_i = low)] exactly. Sparse noise is not symmetric about its mean, so its stimuli come
    without mirror images.

    Args:
        shape, low, high: as for Ensemble; the rate determines base and contrast.
        rate: between 0 and 1, both excluded.
    """

    rate: float = 0.1
    shape: tuple = (28, 28, 1)
    low: float = 0.0
    high: float = 1.0

    symmetric = False
    distribution = title = "sparse"

    @classmethod
    def of(cls, kind, *, base, contrast, images, **fields):
        """Return the ensemble that `catalogue.ensemble_of` asks for, without base and contrast."""
        if base is not None or contrast is not None:
            raise UserError("sparse noise has a base and a contrast of its own: leave them out")
        return cls(**fields)

    def __post_init__(self):
        """Check the arguments."""
        if not 0 < self.rate < 1:
            raise UserError(f"the rate of bright pixels must be between 0 and 1, not {self.rate}")
        self._check_shape_and_range()

    @property
    def base(self):
        """The mean of a pixel."""
        return self.low + self.rate * (self.high - self.low)

    @property
    def contrast(self):
        """Standard deviation of a pixel, as a share of the range."""
        return math.sqrt(self.rate * (1 - self.rate))

    def xi(self, seed, block, count):
        """Draw (bright - rate) / sqrt(rate (1 - rate)) for each pixel."""
        return (self._bright(seed, block, count) - self.rate) / self.contrast

    def draw(self, seed, block, count):
        """Draw the first `count` stimuli of a block: (count, h, w, c) float32, of low and high."""
        return self.low + (self.high - self.low) * self._bright(seed, block, count)

    def _bright(self, seed, block, count):
        uniform = uniform_numbers(seed, block, (count, *self.shape))
        return ops.cast(uniform < self.rate, "float32")
