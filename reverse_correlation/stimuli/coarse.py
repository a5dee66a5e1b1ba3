"""Coarse noise: white noise whose cells are several pixels wide."""

import dataclasses
import math

from keras import ops

from reverse_correlation.errors import UserError
from reverse_correlation.stimuli.ensemble import StructuredNoise


@dataclasses.dataclass(frozen=True, eq=False)
class CoarseNoise(StructuredNoise):
    """White Gaussian noise with cells of g x g pixels.

    Args:
        cells: g, in pixels; it must divide height and width.
        shape, low, high, base, contrast, orthogonal, achromatic: as for Ensemble.
    """

    cells: int = 4
    achromatic: bool = False

    def __post_init__(self):
        """Check the arguments."""
        super().__post_init__()
        if self.cells < 1 or any(n % self.cells for n in self.shape[:2]):
            height, width = self.shape[:2]
            raise UserError(
                f"cells of {self.cells} pixels do not tile images of {height} x {width}: choose a "
                f"divisor of {math.gcd(height, width)}"
            )

    @property
    def coordinates(self):
        """The shape of xi: one number per cell and channel."""
        height, width, _ = self.shape
        return height // self.cells, width // self.cells, self.colours

    def fluctuation(self, xi):
        """Return the standard deviation times xi, each number filling its cell."""
        cells = xi[:, :, None, :, None] * ops.ones((1, 1, self.cells, 1, self.cells, 1), xi.dtype)
        cells = ops.reshape(cells, (-1, *self.shape[:2], self.colours))
        return self._on_all_channels(self.deviation * cells)

    def whitened(self, images):
        """Return the images, whose errors are the same everywhere."""
        return images

    @property
    def title(self):
        """What the ensemble is called in a caption."""
        return f"coarse ({self.cells} x {self.cells})"
