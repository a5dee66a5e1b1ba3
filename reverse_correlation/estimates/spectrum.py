"""The power of class images by spatial frequency: at which scales does an observer look?

    spectrum = measurement.classes["choice"].spectrum()
    print(spectrum.frequency, spectrum.power[k] / spectrum.floor[k])   # (F,): signal over noise

The spectrum is that of the *whitened* image, whose pixels have independent errors of one known
size: so the noise has the same expected power in every Fourier coefficient, and can be subtracted.
"""

import dataclasses

import numpy as np
from scipy import stats

from reverse_correlation.errors import UserError
from reverse_correlation.estimates.intervals import LEVEL
from reverse_correlation.stimuli.orthogonal import ROWS


@dataclasses.dataclass(frozen=True)
class Spectrum:
    """The power of K whitened images at F spatial frequencies, less that of their noise.

    A power is the mean over the Fourier coefficients of a ring, one cycle wide, in all channels,
    in squared units of the response. Times `count`, powers add up to that part of the response's
    variance which is linear in the noise. Estimates are without bias, so some come out below 0.

    Attributes:
        frequency: (F,), in cycles along the longer side of an image; 0 is the image's mean, and
            the last ring, of half as many cycles as pixels, has all that lies beyond it, too.
        count: (F,), how many independent real coefficients each ring has.
        power: (K, F); NaN of responses that never varied, as all that follows.
        floor: (K, F), the expected power of the noise, which is subtracted.
        error: (K, F), standard error of `power`.
        null_error: (K, F), the same where there is nothing but noise.
    """

    frequency: np.ndarray
    count: np.ndarray
    power: np.ndarray
    floor: np.ndarray
    error: np.ndarray
    null_error: np.ndarray

    @property
    def z(self):
        """Power over its error under the null, (K, F): of mean 0 and variance 1 without signal."""
        return self.power / self.null_error

    @property
    def chance(self):
        """Between which values power / floor lies for 95 % of images of noise alone: (2, K, F).

        The quantiles of a gamma distribution of its variance: a chi-square, if the floor is known.
        """
        shape, tail = (self.floor / self.null_error) ** 2, (1 - LEVEL) / 2
        return np.array([stats.gamma.ppf(p, shape) / shape - 1 for p in (tail, 1 - tail)])

    @property
    def median(self):
        """The frequency up to which half of each image's power lies, (K,); NaN if it has none."""
        below = np.cumsum(self.power * self.count, axis=1)
        first = np.argmax(below >= below[:, -1:] / 2, axis=1)
        return np.where(below[:, -1] > 0, self.frequency[first], np.nan)


def spectrum_of(estimate):
    """Return the Spectrum of the images of an Estimate; see its `spectrum`.

    Under the null each coefficient is normal with the variance of the floor, so the error is that
    of a mean of squares. A signal S adds 4 S floor / count, as a noncentral chi-square has; and,
    of independent numbers, 4 S**2 / samples: the error of the response's slope as a whole, which
    all its coefficients share (exact for a linear response and Gaussian noise).
    """
    images = white_images(estimate)
    if images is None:
        raise UserError(
            "a spectrum needs a class image whose noise can be made white: measure with white, "
            "coarse, sparse or pink noise; filters and maps, sinusoid and Gabor-PCA noise have none"
        )
    noise, (height, width, channels) = estimate.noise, images.shape[1:]
    rings = np.minimum(np.rint(frequencies(height, width)), max(height, width) // 2).ravel()
    at, rings, sizes = np.unique(rings, return_inverse=True, return_counts=True)

    def over_rings(rows):  # (n, h * w), to their means over each ring: (n, F)
        return np.array([np.bincount(rings, row) for row in rows]) / sizes

    found = np.abs(np.fft.fft2(images, axes=(1, 2), norm="ortho")) ** 2
    raw = over_rings(found.mean(axis=3).reshape(len(images), -1))
    share = np.broadcast_to(noise.orthogonal_frequencies, (height, width)).ravel()
    orthogonal, independent = estimate.coefficient_errors.T**2
    floors = np.outer(orthogonal, share) + np.outer(independent, 1 - share)
    floor, share, count = over_rings(floors), over_rings([share]), sizes * channels
    null = 2 * over_rings(floors**2) / count
    if estimate.block:  # there, the floor itself is known from so many degrees of freedom
        freedom = estimate.count // estimate.block * (ROWS - noise.orthogonal_coordinates)
        null += 2 * (orthogonal[:, None] * share) ** 2 / freedom
    else:  # too few for a block: all count as independent
        share = 0
    signal = np.maximum(raw - floor, 0)
    samples = estimate.count / (2 if noise.symmetric else 1)
    error = null + 4 * signal * (floor / count + signal * (1 - share) / samples)
    none = np.where(np.isnan(raw), np.nan, 1)
    errors = np.sqrt(error) * none, np.sqrt(null) * none
    return Spectrum(at, count, raw - floor, floor * none, *errors)


def has_spectrum(estimate):
    """Return whether the images of an Estimate have a spectrum."""
    noise = estimate.noise
    return noise is not None and noise.whitened(np.zeros((1, *noise.shape))) is not None


def white_images(estimate):
    """Return images whose numbers have independent errors of one size, (K, h, w, c).

    They are the covariances with white numbers, one for each pixel or cell and for each channel
    that has its own. NaN where the response never varied; None if the noise cannot be whitened.
    """
    if not has_spectrum(estimate):
        return None
    noise = estimate.noise
    images = estimate.coefficients if noise.cells else noise.whitened(estimate.covariance)
    varied = np.isfinite(estimate.image).all(axis=(1, 2, 3), keepdims=True)
    return np.where(varied, images[..., : noise.colours], np.nan)


def frequencies(height, width):
    """Return the cycles along the longer side of each coefficient of `np.fft.fft2`: (h, w)."""
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)
    return max(height, width) * np.hypot(rows, columns)


def octaves(height, width):
    """Return the edges of bands an octave wide, from 1 cycle on: (B + 1,).

    The last begins below half the pixels of the longer side, and goes on to the corners.
    """
    edges = 2.0 ** np.arange(np.ceil(np.log2(max(height, width) / 2)))
    return np.append(edges, frequencies(height, width).max() + 1e-6) if len(edges) else edges


def band_passed(images, low, high):
    """Return images (K, h, w, c) with frequencies from low to below high alone."""
    at = frequencies(*images.shape[1:3])[..., None]
    kept = np.fft.fft2(images, axes=(1, 2)) * ((at >= low) & (at < high))
    return np.fft.ifft2(kept, axes=(1, 2)).real
