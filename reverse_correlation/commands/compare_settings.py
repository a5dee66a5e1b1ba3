"""The flags of `python -m reverse_correlation compare`. Imports nothing heavy."""

import dataclasses

from tyro.conf import Positional

from reverse_correlation.commands.flags import Correlation, Count, File, Seed, optional
from reverse_correlation.commands.settings import (
    ClassSettings,
    FileSettings,
    OutSettings,
    PassSettings,
    Response,
)
from reverse_correlation.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompareSettings(PassSettings, FileSettings, ClassSettings, OutSettings):
    """Do observers look for the same? Their class images, and how far they agree, side by side.

    Each observer is shown noise of its own seed, so that none agrees with another for having seen
    the same noise; saved measurements of one seed are compared across even and odd shards.
    """

    files: Positional[tuple[File, ...]]
    """two or more: networks (.keras, .onnx, .h5), or saved measurements (.npz)"""
    response: Response = "choice"
    """whose images are compared"""
    noise_images: Count = 100_000
    """the most that each observer is shown"""
    until: Correlation = 0.0
    """stop when every logit and choice image has this expected correlation with its truth; 0 shows
    all"""
    seed: Seed = 0
    """of the first observer's noise; the next has the next"""
    images: optional(File) = None
    """labelled images, for --base mean, for gabor noise and for the names of classes: a .npz file
    with x_train, y_train, x_test and y_test, as Keras's mnist.npz"""

    def check(self):
        """Check every field, and that there is something to compare."""
        super().check()
        if len(self.files) < 2:
            raise UserError("FILE: name two networks or measurements, or more, to compare")
