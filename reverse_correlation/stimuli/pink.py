"""Pink noise: the spatial frequencies of natural images."""

import dataclasses
import functools
import math

import numpy as np
from keras import ops

from reverse_correlation.errors import UserError
from reverse_correlation.frameworks import framework
from reverse_correlation.stimuli.ensemble import StructuredNoise
from reverse_correlation.stimuli.orthogonal import MOST_COLUMNS, ROWS


@dataclasses.dataclass(frozen=True, eq=False)
class PinkNoise(StructuredNoise):
    """Gaussian noise whose amplitude falls as 1 / frequency**exponent, as in natural images.

    Each channel is filtered separately by Fourier transform, so opposite edges of an image join.
    The mean of the image has the amplitude of the lowest frequency.

    Args:
        exponent: 0 for white noise, 1 for pink.
        shape, low, high, base, contrast, orthogonal, achromatic: as for Ensemble.
    """

    exponent: float = 1.0
    achromatic: bool = False

    def __post_init__(self):
        """Check the arguments."""
        super().__post_init__()
        if not 0 <= self.exponent <= 4:
            raise UserError(
                f"the exponent of 1/f noise must lie between 0 and 4, not {self.exponent}"
            )

    @functools.cached_property
    def gain(self):
        """The factor of each frequency, (h, w) float64."""
        height, width, _ = self.shape
        frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
        gain = np.maximum(frequency, 1 / max(height, width)) ** -self.exponent
        return self.deviation * gain / np.sqrt(np.mean(gain**2))

    @property
    def by_frequency(self):
        """Whether the lowest frequencies have numbers of their own.

        They do where a block of orthogonal numbers has no room for a number per pixel.
        """
        return self.orthogonal and math.prod(super().coordinates) > ROWS

    @property
    def coordinates(self):
        """The shape of xi: a number per pixel and channel, after those of the lowest frequencies.

        If these have their own, they are taken out of what the pixels' numbers give.
        """
        pixels = super().coordinates
        if not self.by_frequency:
            return pixels
        return (self._strongest_coordinates + math.prod(pixels),)

    @property
    def _window(self):
        """How many of the lowest frequencies have orthogonal numbers, in rows and in columns."""
        height, width, _ = self.shape
        most = math.isqrt(MOST_COLUMNS // self.colours)
        return tuple(min(most, pixels) - (min(most, pixels) + 1) % 2 for pixels in (height, width))

    @property
    def _strongest_coordinates(self):
        return math.prod(self._window) * self.colours

    @property
    def pixel_std(self):
        """Standard deviation of each pixel, (h, w, c)."""
        return np.full(self.shape, self.deviation)

    @property
    def orthogonal_power(self):
        """The share of each pixel's variance from orthogonal coordinates: 0 to 1, or (h, w, c)."""
        if not self.by_frequency:
            return super().orthogonal_power
        return float(np.sum(self.gain[self._is_lowest] ** 2) / np.sum(self.gain**2))

    @property
    def orthogonal_frequencies(self):
        """As for Ensemble: 1 where a frequency has numbers of its own."""
        if not self.by_frequency:
            return super().orthogonal_frequencies
        return self._is_lowest.astype(float)

    @property
    def _is_lowest(self):
        """Which frequencies have numbers of their own: (h, w) bool."""
        rows, columns = (
            np.abs(np.fft.fftfreq(size, 1 / size)) <= window // 2
            for size, window in zip(self.shape, self._window, strict=False)
        )
        return np.outer(rows, columns)

    def fluctuation(self, xi):
        """Return xi with each frequency multiplied by its gain."""
        return self._on_all_channels(self._filtered(xi, self.gain))

    def weights(self, coefficients):
        """Return coefficients with each frequency divided by its gain."""
        if self.colours < self.shape[2]:
            return None
        with framework.double():
            flat = ops.convert_to_tensor(np.asarray(coefficients, np.float64))
            return ops.convert_to_numpy(self._filtered(flat, 1 / self.gain))

    def whitened(self, images):
        """Return images (R, h, w, c) with each frequency divided by its gain."""
        spectrum = np.fft.fft2(images, axes=(1, 2)) / self.gain[..., None]
        return np.fft.ifft2(spectrum, axes=(1, 2)).real

    def _filtered(self, xi, gain):
        """Return images (n, h, w, colours) of xi, each frequency times its gain (h, w)."""
        height, width, _ = self.shape
        half, pixels, of_pixels, lowest = width // 2 + 1, xi, gain, 0
        if self.by_frequency:
            lowest = self._strongest_coordinates
            pixels = ops.reshape(xi[:, lowest:], (-1, height, width, self.colours))
            of_pixels = np.where(self._is_lowest, 0, gain)
        added = self._lowest(xi[:, :lowest], gain[:, :half]) if lowest else None
        planes = ops.transpose(pixels, (0, 3, 1, 2))
        return ops.transpose(framework.filtered(planes, of_pixels[:, :half], added), (0, 2, 3, 1))

    def _lowest(self, numbers, gain):
        """Return the half spectrum of the lowest frequencies, its real and its imaginary part.

        These are on the functions cas(k x) = cos(k x) + sin(k x), which are orthonormal (Hartley
        1942): the two of k and -k make a cosine of their sum and a sine of their difference.
        """
        height, width, _ = self.shape
        rows, columns = self._window
        grid = ops.transpose(ops.reshape(numbers, (-1, rows, columns, self.colours)), (0, 3, 1, 2))
        plus, minus = (each[..., columns // 2 :] for each in (grid, ops.flip(grid, (2, 3))))
        whole = ((0, 0), (0, 0), (0, height - rows), (0, width // 2 - columns // 2))
        scale = ops.convert_to_tensor(gain * np.sqrt(height * width) / 2, numbers.dtype)
        return tuple(
            scale * ops.roll(ops.pad(part, whole), -(rows // 2), 2)
            for part in (plus + minus, minus - plus)
        )

    @property
    def title(self):
        """What the ensemble is called in a caption."""
        return "pink (1/f)" if self.exponent == 1 else f"1/f^{self.exponent:g}"
