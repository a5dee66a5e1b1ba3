"""White noise: every pixel has its own number."""

import dataclasses

import numpy as np

from reverse_correlation.errors import UserError
from reverse_correlation.stimuli.ensemble import UNIFORM_STD, Ensemble


class White(Ensemble):
    """The base class of white ensembles: A is a pixel's standard deviation times the identity."""

    cells = 1

    @property
    def is_white(self):
        """Whether A is a number times the identity: not if channels share their numbers."""
        return self.colours == self.shape[2]

    @property
    def std(self):
        """Standard deviation of a pixel."""
        return self.deviation

    def fluctuation(self, xi):
        """Return the standard deviation times xi."""
        return self._on_all_channels(self.std * xi)

    def weights(self, coefficients):
        """Return coefficients divided by the standard deviation."""
        return np.asarray(coefficients, np.float64) / self.std if self.is_white else None

    def whitened(self, images):
        """Return the images, whose errors are the same everywhere."""
        return images


@dataclasses.dataclass(frozen=True, eq=False)
class WhiteNoise(White):
    """Independent pixels with the same distribution.

    Args:
        kind: "gaussian" (never clipped, so Stein's identity holds exactly), "uniform" (Borji and
            Lin's, on [0, 1]), or "binary" (either low or high).
        shape, low, high, base, contrast, orthogonal, achromatic: as for Ensemble; binary noise
            has a contrast of 1/2 by default, so that its pixels are low or high.

    Raises:
        UserError: for any other kind, and as Ensemble does.
    """

    kind: str = "gaussian"
    shape: tuple = (28, 28, 1)
    low: float = 0.0
    high: float = 1.0
    base: object = None
    contrast: float | None = None
    orthogonal: bool = True
    achromatic: bool = False

    @classmethod
    def of(cls, kind, *, images, **fields):
        """Return the ensemble that `catalogue.ensemble_of` asks for."""
        return cls(kind, **fields)

    def __post_init__(self):
        """Check the arguments."""
        if self.kind not in ("gaussian", "uniform", "binary"):
            raise UserError(f"unknown noise kind {self.kind!r}: choose gaussian, uniform or binary")
        super().__post_init__()

    @property
    def _usual_contrast(self):
        return 0.5 if self.kind == "binary" else UNIFORM_STD

    @property
    def distribution(self):
        """The distribution of xi."""
        return self.kind

    @property
    def title(self):
        """What the ensemble is called in a caption."""
        return "Gaussian" if self.kind == "gaussian" else self.kind
