"""What class images look like without any signal: the threshold of their pixels, their norm."""

import math

import numpy as np
from keras import ops
from scipy import optimize, stats

from reverse_correlation.stimuli.numbers import draw_numbers

NULL_IMAGES = 2000  # drawn for an ensemble's pixel threshold and infoVal
FEWEST_NULL_IMAGES = 200  # the same, of images so large that drawing them takes long
NULL_NUMBERS = 3e7  # pixel values of null images that are drawn quickly


def null_of(noise):
    """Return what class images of an ensemble are like without signal: three numbers.

    Returns:
        (the |z| that no pixel passes, with probability .95, the median and the scaled MAD of the
        norm |A xi|).
    """
    if noise.cells:
        copies = noise.cells * math.sqrt(noise.shape[2] / noise.colours)
        numbers = math.prod(noise.coordinates)
        return sidak_threshold(numbers), *chi_null(numbers, copies * noise.deviation)
    largest, norms = null_images(noise)
    deviation = stats.median_abs_deviation(norms, scale="normal")
    all_drawn = len(largest) == NULL_IMAGES
    threshold = np.quantile(largest, 0.95) if all_drawn else gumbel_quantile(largest, 0.95)
    return float(threshold), float(np.median(norms)), float(deviation)


def null_numbers(noise):
    """Yield blocks of the numbers xi behind null images, 2,000 in all, or fewer if large.

    They are normal, as the coefficients of an image from many stimuli are, whatever was shown.
    """
    count = int(np.clip(NULL_NUMBERS / math.prod(noise.shape), FEWEST_NULL_IMAGES, NULL_IMAGES))
    for block in range(-(-count // noise.at_once)):
        yield draw_numbers("gaussian", 0, block, (noise.at_once, *noise.coordinates))


def null_images(noise):
    """Return the largest |z| and the norm of each null image."""
    largest, norms = [], []
    scale = np.where(noise.pixel_std > 0, noise.pixel_std, np.inf)
    for xi in null_numbers(noise):
        images = ops.convert_to_numpy(noise.fluctuation(xi))
        largest.append(np.abs(images / scale).max(axis=(1, 2, 3)))
        norms.append(np.linalg.norm(images.reshape(len(images), -1), axis=1))
    return np.concatenate(largest), np.concatenate(norms)


def sidak_threshold(pixels, alpha=0.05):
    """Return the |z| that no independent null pixel passes, with probability 1 - alpha."""
    return stats.norm.ppf(0.5 + 0.5 * (1 - alpha) ** (1 / pixels))


def chi_null(numbers, scale=1.0):
    """Return the median and scaled MAD of the norm of normal numbers with this scale."""
    null = stats.chi(numbers)
    median = null.median()
    mad = optimize.brentq(
        lambda d: null.cdf(median + d) - null.cdf(median - d) - 0.5, 0, null.ppf(0.999)
    )
    return scale * median, scale * mad / stats.norm.ppf(0.75)


def gumbel_quantile(largest, probability):
    """Return a quantile of the Gumbel distribution that has the moments of a sample of largest."""
    scale = np.sqrt(6) / np.pi * np.std(largest, ddof=1)
    return stats.gumbel_r.ppf(probability, np.mean(largest) - np.euler_gamma * scale, scale)
