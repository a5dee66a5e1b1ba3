"""Patches of sinusoids, as used in studies of people."""

import dataclasses
import functools

import numpy as np
from keras import ops

from reverse_correlation.errors import UserError
from reverse_correlation.stimuli.ensemble import StructuredNoise
from reverse_correlation.stimuli.orthogonal import MOST_COLUMNS


@dataclasses.dataclass(frozen=True, eq=False)
class SinusoidNoise(StructuredNoise):
    """Patches of sinusoids at several scales, orientations and phases, as in studies of people.

    At scale s an image has s x s patches, each with two cycles of a sinusoid in 6 orientations and
    2 phases, and each of these sinusoids has its own number (Mangini and Biederman 2004; Dotsch
    and Todorov 2012; the R package rcicr). Channels share the numbers.

    Args:
        scales: how many patches per side; by default those of 1, 2, 4, 8 and 16 that divide height
            and width into patches of at least 4 pixels.
        shape, low, high, base, contrast, orthogonal: as for Ensemble.
    """

    scales: tuple = ()

    title = "sinusoid-patch"

    def __post_init__(self):
        """Check the arguments."""
        super().__post_init__()
        height, width, _ = self.shape
        if not self.scales:
            fit = [s for s in (1, 2, 4, 8, 16) if height % s == width % s == 0]
            fit = [s for s in fit if min(height, width) >= 4 * s]
            object.__setattr__(self, "scales", tuple(fit))
        bad = [s for s in self.scales if s < 1 or height % s or width % s]
        if bad or not self.scales:
            raise UserError(
                f"{bad or 'no'} patches per side do not tile images of {height} x {width}: choose "
                "divisors of both"
            )
        object.__setattr__(self, "scales", tuple(self.scales))

    @property
    def coordinates(self):
        """The shape of xi: for each scale, by orientation, phase, column and row."""
        return (12 * sum(s * s for s in self.scales),)

    _strongest_coordinates = MOST_COLUMNS  # the coarsest come first

    @functools.cached_property
    def patterns(self):
        """The sinusoids at each scale, (12, patch height, patch width), scaled to the contrast."""
        height, width, _ = self.shape
        raw = [_sinusoids(height // s, width // s) for s in self.scales]
        power = sum(np.mean(np.sum(pattern**2, axis=0)) for pattern in raw)
        scale = self.deviation / np.sqrt(power)
        return [scale * pattern for pattern in raw]

    @functools.cached_property
    def pixel_std(self):
        """Standard deviation of each pixel, (h, w, c)."""
        tiled = [
            np.tile(np.sum(pattern**2, axis=0), (scale, scale))
            for scale, pattern in zip(self.scales, self.patterns, strict=True)
        ]
        return np.repeat(np.sqrt(sum(tiled))[..., None], self.shape[2], axis=2)

    def fluctuation(self, xi):
        """Return the sum of all patches, each times its number."""
        height, width, channels = self.shape
        total, first = 0.0, 0
        for scale, pattern in zip(self.scales, self.patterns, strict=True):
            numbers = ops.reshape(xi[:, first : first + 12 * scale**2], (-1, 12, scale, scale))
            pattern = ops.reshape(ops.convert_to_tensor(pattern, xi.dtype), (12, -1))
            # (n, column, row, pixels of a patch)
            # an operator, since `ops.matmul` of float64 is one of float32 with PyTorch
            patches = ops.reshape(ops.transpose(numbers, (0, 2, 3, 1)), (-1, 12)) @ pattern
            patches = ops.reshape(patches, (-1, scale, scale, height // scale, width // scale))
            total += ops.reshape(ops.transpose(patches, (0, 2, 3, 1, 4)), (-1, height, width))
            first += 12 * scale**2
        return ops.repeat(total[..., None], channels, axis=3)


def _sinusoids(height, width):
    """Return a patch's sinusoids of 6 orientations and 2 phases, as in rcicr: (12, h, w)."""
    x, y = np.linspace(0, 2, width), np.linspace(0, 2, height)[:, None]
    return np.array(
        [
            np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) + phase)
            for angle in np.radians([0, 30, 60, 90, 120, 150])
            for phase in (0, np.pi / 2)
        ]
    )
