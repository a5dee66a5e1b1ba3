"""Gabor-PCA noise: random mixtures of the principal components of Gabor-coded images."""

import dataclasses
import functools
import itertools

import numpy as np
from keras import ops
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

from reverse_correlation.errors import UserError
from reverse_correlation.stimuli.ensemble import Ensemble

FITTED_IMAGES = 5_000  # training images to which `ensemble_of` fits the noise, as published


@dataclasses.dataclass(frozen=True, eq=False)
class GaborNoise(Ensemble):
    """Structured noise: base + sum_j a_j component_j, with independent a_j uniform on +-reach_j.

    This is the Gabor-PCA noise of Borji and Lin (2020); the idea goes back to Mangini and
    Biederman (2004). Use `fit` to make it from images.

    Args:
        base: (h, w, c), the mean stimulus.
        components: (J, h, w, c).
        reach: (J,), half the range of each component's coefficient.

    Raises:
        UserError: if the arrays do not fit together.
    """

    base: np.ndarray
    components: np.ndarray
    reach: np.ndarray

    low, high = 0.0, 1.0  # the range of the images to which it is fitted
    distribution, title = "uniform", "Gabor-PCA"

    @classmethod
    def of(cls, kind, *, shape, base, contrast, images, **_):
        """Return the ensemble that `catalogue.ensemble_of` asks for, fitted to training images."""
        if images is None:
            raise UserError(
                "gabor noise is fitted to training images: give labelled images with --images FILE"
            )
        if contrast is not None:
            raise UserError("gabor noise has the contrast of its training images: leave it out")
        base = None if base is None else np.broadcast_to(np.float32(base), shape)
        return cls.fit(images[:FITTED_IMAGES], base=base)

    def __post_init__(self):
        """Check that the arrays fit together."""
        if self.components.ndim != 4 or self.components.shape[1:] != self.base.shape:
            raise UserError(
                f"components {self.components.shape} and base {self.base.shape} differ in shape"
            )
        if self.reach.shape != (len(self.components),):
            raise UserError(f"{len(self.components)} components need as many coefficient ranges")

    @classmethod
    def fit(cls, images, components=250, alpha=0.1, base=None):
        """Fit the ensemble to images (n, h, w, 1), as published.

        Ridge regression writes each image as a sum of Gabor kernels (960 for 28x28 pixels), PCA
        finds the components of the regression coefficients, and each component's coefficient is
        uniform within its range over the images.

        Args:
            images: at least as many as components.
            components: how many principal components are kept.
            alpha: the ridge penalty.
            base: (h, w, 1), used as the mean instead of the images' own.

        Raises:
            UserError: if the images are not (n, h, w, 1), or fewer than the components.
        """
        images = np.asarray(images, np.float64)
        if images.ndim != 4 or images.shape[3] != 1:
            raise UserError(f"Gabor noise is for images (n, h, w, 1), not {images.shape}")
        if len(images) < components:
            raise UserError(
                f"{components} components need at least as many images, not {len(images)}"
            )
        kernels = gabor_kernels(*images.shape[1:3])
        pixels = kernels.reshape(len(kernels), -1)
        ridge = Ridge(alpha, fit_intercept=False).fit(pixels.T, images.reshape(len(images), -1).T)
        pca = PCA(components, svd_solver="full").fit(ridge.coef_)
        coefficients = pca.transform(ridge.coef_)
        low, high = coefficients.min(axis=0), coefficients.max(axis=0)
        shown = pca.components_ @ pixels
        mean = pca.mean_ @ pixels + (low + high) / 2 @ shown
        mean = mean.reshape(images.shape[1:]) if base is None else np.asarray(base)
        return cls(mean, shown.reshape(-1, *images.shape[1:]), (high - low) / 2)

    @property
    def shape(self):
        """The shape (h, w, c) of one stimulus."""
        return tuple(self.base.shape)

    @property
    def coordinates(self):
        """The shape of xi: one number per component."""
        return self.reach.shape

    @functools.cached_property
    def matrix(self):
        """A transposed, (J, pixels): what one unit of each xi adds to the pixels."""
        scaled = self.reach[:, None] / np.sqrt(3)
        return scaled * self.components.reshape(len(self.reach), -1)

    @functools.cached_property
    def pixel_std(self):
        """Standard deviation of each pixel, (h, w, c)."""
        return np.sqrt(np.sum(self.matrix**2, axis=0)).reshape(self.shape)

    def fluctuation(self, xi):
        """Return the sum of all components, each times its number."""
        matrix = ops.convert_to_tensor(self.matrix, xi.dtype)
        return ops.reshape(xi @ matrix, (-1, *self.shape))

    def whiten(self, covariance, ridge):
        """Turn cov(r, x), (R, h, w, c), into the weights of r on x within the components' span.

        With coloured noise of covariance S, cov(r, x) = S E[dr/dx], exactly for a linear r and
        nearly for others. S is inverted within the span, where it is ill-conditioned: 1 / s becomes
        1 / (s + ridge * mean s) for each eigenvalue s.

        Args:
            covariance: of responses with stimuli of this ensemble, as `measure` estimates it.
            ridge: the share of the mean eigenvalue that is added to each; not negative.
        """
        _, singular, axes = np.linalg.svd(self.matrix, full_matrices=False)
        power = singular**2
        keep = power > 1e-12 * power.max()
        power, axes = power[keep], axes[keep]
        flat = covariance.reshape(len(covariance), -1) @ axes.T
        weights = flat / (power + ridge * power.mean()) @ axes
        return weights.reshape(covariance.shape)


def gabor_kernels(height, width):
    """Return Gabor kernels tiled over an image: (960, 28, 28) for 28x28 pixels.

    The tiles are squares of 3, 7 and 15 pixels, each with 4 orientations and 2 phases; the
    standard deviation and wavelength are half the tile, the aspect ratio is 1/2 (Borji and Lin
    2020). Tiles at the right and lower edges are cut off.
    """
    kernels = []
    for size in (3, 7, 15):
        y, x = np.mgrid[:size, :size] - size // 2
        tiles = [
            _gabor(x, y, size / 2, theta, phase)
            for theta in np.arange(4) * np.pi / 4
            for phase in (0, np.pi / 2)
        ]
        corners = itertools.product(range(0, height, size), range(0, width, size))
        for (top, left), tile in itertools.product(corners, tiles):
            picture = np.zeros((height + size, width + size))
            picture[top : top + size, left : left + size] = tile
            kernels.append(picture[:height, :width])
    return np.array(kernels)


def _gabor(x, y, scale, theta, phase):
    """Return a cosine of wavelength `scale` under a Gaussian of standard deviation `scale`."""
    along = x * np.cos(theta) + y * np.sin(theta)
    across = y * np.cos(theta) - x * np.sin(theta)
    envelope = np.exp(-(along**2 + across**2 / 4) / (2 * scale**2))
    return envelope * np.cos(2 * np.pi * along / scale + phase)
