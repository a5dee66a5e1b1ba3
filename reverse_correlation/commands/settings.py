"""Groups of flags that several commands share."""

import dataclasses
from pathlib import Path
from typing import Literal

from reverse_correlation.commands.flags import (
    Checked,
    ClassNumber,
    Contrast,
    Correlation,
    Count,
    Deviation,
    File,
    Folder,
    Number,
    Seed,
    Text,
    optional,
)
from reverse_correlation.errors import UserError
from reverse_correlation.stimuli import KINDS

Response = Literal["choice", "decision", "probability", "logit"]
NoiseKind = Literal[tuple(KINDS)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoiseSettings(Checked):
    """What is shown."""

    noise_kind: NoiseKind = "gaussian"
    """gaussian, uniform (as published), binary and sparse noise are white"""
    base: Text = ""
    """what noise is about: a number, mean (the mean training image) or an image file; by default
    the middle of the input range"""
    contrast: optional(Contrast) = None
    """standard deviation of a pixel of noise, as a share of the input range; by default .289, that
    of noise uniform over the range (binary: .5)"""
    seed: Seed = 0
    """of the noise"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PassSettings(NoiseSettings):
    """How much is shown, and where."""

    noise_images: Count = 1_000_000
    """the most that an observer is shown of each noise"""
    until: Correlation = 0.95
    """stop when every logit and choice image has this expected correlation with its truth; 0 shows
    all"""
    scheduler: Text = ""
    """of a Dask cluster that shares the pass: tcp://host:8786, or local:2 for two processes here"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileSettings(Checked):
    """How the file of an observer is read."""

    input_range: tuple[Number, Number] = (0.0, 1.0)
    """of the pixels that it expects"""
    input_mean: tuple[Number, ...] = ()
    """subtracted from each channel of an image in the input range before the observer sees it: one
    a channel, or one for all"""
    input_std: tuple[Deviation, ...] = ()
    """what the difference is divided by, likewise"""
    channels: Literal["first", "last", ""] = ""
    """where the channels of an .onnx file are, if its shape does not tell"""
    class_names: tuple[Text, ...] = ()
    """of all classes, or of those that are measured, in their order"""

    def __post_init__(self):
        """Check every field, and those that belong together."""
        super().__post_init__()
        if self.input_range[0] >= self.input_range[1]:
            raise UserError("--input-range goes from a lower to a higher number")
        if bool(self.input_mean) != bool(self.input_std):
            raise UserError("--input-mean and --input-std belong together: give both")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassSettings(Checked):
    """Which classes are measured."""

    classes: tuple[ClassNumber, ...] = ()
    """measure these classes only, by number from 0, of an observer that has many"""
    images: optional(File) = None
    """labelled images, for --base mean, for gabor noise and to be classified by class images alone:
    a .npz file with x_train, y_train, x_test and y_test, as Keras's mnist.npz"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutSettings(Checked):
    """Where results go."""

    out: Folder = Path("results")
    """folder of the results"""
