"""Pink noise: the spatial frequencies of natural images."""

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from reverse_correlation.errors import UserError
from reverse_correlation.stimuli.ensemble import StructuredNoise


@dataclasses.dataclass(frozen=True, eq=False)
class PinkNoise(StructuredNoise):
    """Gaussian noise whose amplitude falls as 1 / frequency**exponent, as in natural images.

    Each channel is filtered separately by Fourier transform, so opposite edges of an image join.
    The mean of the image has the amplitude of the lowest frequency.

    Args:
        exponent: 0 for white noise, 1 for pink.
        shape, low, high, base, contrast: as for Ensemble.
    """

    exponent: float = 1.0

    def __post_init__(self):
        """Check the arguments."""
        super().__post_init__()
        if not 0 <= self.exponent <= 4:
            raise UserError(
                f"the exponent of 1/f noise must lie between 0 and 4, not {self.exponent}"
            )

    @functools.cached_property
    def gain(self):
        """The factor of each frequency: (h, w // 2 + 1) float64."""
        height, width, _ = self.shape
        lowest, rows = 1 / max(height, width), np.fft.fftfreq(height)[:, None]
        some, every = (
            np.maximum(np.hypot(rows, columns), lowest)
            for columns in (np.fft.rfftfreq(width), np.fft.fftfreq(width))
        )
        power = np.mean(every ** (-2 * self.exponent))
        return self.deviation * some**-self.exponent / np.sqrt(power)

    @property
    def pixel_std(self):
        """Standard deviation of each pixel, (h, w, c)."""
        return np.full(self.shape, self.deviation)

    def fluctuation(self, xi):
        """Return xi with each frequency multiplied by its gain."""
        height, width, _ = self.shape
        planes = tf.transpose(xi, (0, 3, 1, 2))
        spectrum = tf.signal.rfft2d(planes)
        spectrum *= tf.cast(tf.constant(self.gain, planes.dtype), spectrum.dtype)
        return tf.transpose(tf.signal.irfft2d(spectrum, (height, width)), (0, 2, 3, 1))

    def weights(self, coefficients):
        """Return coefficients with each frequency divided by its gain."""
        spectrum = np.fft.rfft2(np.asarray(coefficients, np.float64), axes=(1, 2))
        spectrum /= self.gain[None, :, :, None]
        return np.fft.irfft2(spectrum, self.shape[:2], axes=(1, 2))

    @property
    def title(self):
        """What the ensemble is called in a caption."""
        return "pink (1/f)" if self.exponent == 1 else f"1/f^{self.exponent:g}"
