"""What smoothed maps are like where nothing matters: drawn from the ensemble."""

import math

import numpy as np
from keras import ops
from scipy.ndimage import gaussian_filter

from reverse_correlation.errors import UserError
from reverse_correlation.stimuli.null_images import null_numbers
from reverse_correlation.stimuli.orthogonal import ROWS

AT_ONCE = 250  # null maps


class NullMaps:
    """Null images A xi of an ensemble, their luminance smoothed, and all maps in deviations of it.

    They have two parts, of orthogonal coordinates and of others, where a block of numbers has room
    for some of the coordinates alone, so that errors differ; else one.

    Args:
        noise: the ensemble.
        smooth: standard deviation of the Gaussian, in pixels.
        mask: (h, w) bool, of the only pixels that count; or None.

    Attributes:
        parts: (parts, n, h, w) float32, from coefficients whose error is 1; 0 outside the mask.
    """

    def __init__(self, noise, smooth, mask=None):
        self.noise, self.smooth, self.mask, self._known = noise, smooth, mask, {}
        numbers, columns = math.prod(noise.coordinates), noise.orthogonal_coordinates
        first = np.reshape(np.arange(numbers) < columns, noise.coordinates).astype(np.float32)
        weights = [first, 1 - first] if 0 < columns < numbers else [np.float32(1)]
        drawn = [
            [
                self._smoothed(ops.convert_to_numpy(noise.fluctuation(ops.multiply(xi, weight))))
                for weight in weights
            ]
            for xi in null_numbers(noise)
        ]
        self.parts = np.concatenate(drawn, axis=1)
        self.power = np.mean(np.square(self.parts), axis=1, dtype=np.float64)

    def _smoothed(self, images):
        """Return images (n, h, w, c) in units of the noise, channels averaged, smoothed: (n, h, w).

        Nothing is taken from beyond the image or the mask, so that what is found is inside.
        """
        scale = np.where(self.noise.pixel_std > 0, self.noise.pixel_std, np.inf)
        inside, sigma = 1 if self.mask is None else self.mask, (0, self.smooth, self.smooth)
        maps = inside * np.mean(images / scale, axis=3, dtype=np.float32)
        return inside * gaussian_filter(maps, sigma, mode="constant", truncate=3)

    def errors_of(self, estimate):
        """Return the errors of the coefficients of an Estimate, (K, parts).

        Raises:
            UserError: if it has none, as what an accumulator of a user's own estimates.
        """
        if estimate.coefficient_error is None:
            raise UserError(
                "these estimates have no coefficient_error, without which regions are not known: "
                "let the accumulator's estimates() give it"
            )
        several = len(self.parts) > 1
        errors = estimate.errors_apart if several else estimate.coefficient_error[None]
        return np.nan_to_num(errors.T)

    def z(self, estimate):
        """Return the images of an Estimate, smoothed and in units of their deviation: (K, h, w)."""
        maps = self._smoothed(np.nan_to_num(estimate.image))
        variance = [
            sum(e**2 * power for e, power in zip(errors, self.power, strict=True))
            for errors in self.errors_of(estimate)
        ]
        return _in_deviations(maps, np.array(variance))

    def of_nothing(self, estimate, statistic):
        """Return a statistic of null maps with the errors of each class of an Estimate: [(n,)].

        Args:
            statistic: a function of maps (n, h, w) in units of their deviation: (n,).
        """
        errors, known = self.errors_of(estimate), self._known
        blocks = estimate.count // estimate.block if estimate.block else 0
        freedom = blocks * (ROWS - self.noise.orthogonal_coordinates)
        # only the ratio of both errors counts; rounded, so that many classes share it
        ratios = np.divide(
            errors[:, 0], errors[:, -1], np.ones(len(errors)), where=errors[:, -1] > 0
        )
        ratios = np.round(ratios, 1).tolist()
        for ratio in ratios:
            if (statistic, ratio, freedom) not in known:
                found = [statistic(z) for z in self._null_z(ratio, freedom)]
                known[statistic, ratio, freedom] = np.concatenate(found)
        return [known[statistic, ratio, freedom] for ratio in ratios]

    def _null_z(self, ratio, freedom):
        """Yield null maps in units of their deviation, (n, h, w) at a time.

        Args:
            ratio: of the first part's errors to the other's; 1 of one part.
            freedom: from how many degrees of freedom the first part's error is known; 0 for well.
        """
        count, spread = self.parts.shape[1], np.ones((self.parts.shape[1], 1, 1))
        if freedom:  # of one block of orthogonal numbers the error is itself known to 3 to 9 %
            spread[:, 0, 0] = np.random.default_rng(0).chisquare(freedom, count) / freedom
        for first in range(0, count, AT_ONCE):
            rows, maps, variance = slice(first, first + AT_ONCE), 0, 0
            for i, weight in enumerate((ratio, 1)[: len(self.parts)]):
                part, scale = self.parts[i, rows], 1 if i else spread[rows]
                # without a map's own square, as the measured image's is not among them either
                others = (count * self.power[i] - np.square(part)) / (count - 1)
                maps, variance = maps + weight * part, variance + weight**2 * scale * others
            yield _in_deviations(maps, variance)


def _in_deviations(maps, variance):
    """Return maps over the root of their variance, 0 where that is 0."""
    return np.divide(maps, np.sqrt(variance), np.zeros(maps.shape), where=variance > 0)
