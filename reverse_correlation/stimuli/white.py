"""White noise: every pixel has a number of its own."""

import dataclasses
import math

import numpy as np

from reverse_correlation.errors import UserError
from reverse_correlation.stimuli.ensemble import UNIFORM_STD, Ensemble
from reverse_correlation.stimuli.null_images import chi_null, sidak_threshold


class White(Ensemble):
    """What white ensembles share: A is the standard deviation of a pixel."""

    is_white = True

    @property
    def coordinates(self):
        """The shape of xi: one number a pixel."""
        return self.shape

    @property
    def std(self):
        """Standard deviation of a pixel."""
        return self.contrast * (self.high - self.low)

    @property
    def pixel_std(self):
        """The same, as an image (h, w, c)."""
        return np.full(self.shape, self.std)

    @property
    def threshold(self):
        """Sidak's: the pixels are independent."""
        return sidak_threshold(math.prod(self.shape))

    @property
    def null_norm(self):
        """Median, and deviation by the MAD, of the norm of a null image."""
        return chi_null(math.prod(self.shape), self.std)

    def fluctuation(self, xi):
        """Return the standard deviation times xi."""
        return self.std * xi

    def weights(self, coefficients):
        """Return coefficients over the standard deviation."""
        return np.asarray(coefficients, np.float64) / self.std


@dataclasses.dataclass(frozen=True, eq=False)
class WhiteNoise(White):
    """Independent pixels of one distribution.

    Args:
        kind: "gaussian" (never clipped: Stein's identity holds exactly), "uniform" (Borji and
            Lin's, on [0, 1]), or "binary" (either low or high).
        shape, low, high, base, contrast: as for Ensemble; binary noise has a contrast of 1/2 by
            default, so that its pixels are low or high.

    Raises:
        UserError: for another kind, or as Ensemble.
    """

    kind: str = "gaussian"
    shape: tuple = (28, 28, 1)
    low: float = 0.0
    high: float = 1.0
    base: object = None
    contrast: float | None = None

    @classmethod
    def of(cls, kind, *, images, **fields):
        """Return the ensemble that `ensemble_of` names, made of its fields."""
        return cls(kind, **fields)

    def __post_init__(self):
        """Check the arguments."""
        if self.kind not in ("gaussian", "uniform", "binary"):
            raise UserError(f"unknown noise kind {self.kind!r}: choose gaussian, uniform or binary")
        super().__post_init__()

    @property
    def usual_contrast(self):
        """The contrast that is taken where none is given."""
        return 0.5 if self.kind == "binary" else UNIFORM_STD

    @property
    def distribution(self):
        """Of xi."""
        return self.kind

    @property
    def title(self):
        """What the ensemble is called in a caption."""
        return {"gaussian": "Gaussian", "uniform": "uniform", "binary": "binary"}[self.kind]
