"""Groups of flags that several commands share."""

import dataclasses
from pathlib import Path
from typing import Literal

from tyro.conf import Fixed, Positional

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
    Share,
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
    """what noise is about: a number, mean, or an image file; by default the middle of the range"""
    contrast: optional(Contrast) = None
    """of a pixel: its standard deviation over the input range; by default .289 (binary: .5)"""
    seed: Seed = 0
    """of the noise"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PassSettings(NoiseSettings):
    """How much is shown, and where."""

    noise_images: Count = 1_000_000
    """the most that an observer is shown of each noise"""
    until: Correlation = 0.95
    """expected correlation of all logit and choice images at which to stop; 0 shows all"""
    scheduler: Text = ""
    """of a Dask cluster that shares the pass, as tcp://host:8786; or local:2, two processes here"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileSettings(Checked):
    """How the file of an observer is read."""

    input_range: tuple[Number, Number] = (0.0, 1.0)
    """of the pixels that it expects"""
    input_mean: tuple[Number, ...] = ()
    """subtracted from each channel before the observer sees it: one a channel, or one for all"""
    input_std: tuple[Deviation, ...] = ()
    """what the difference is divided by, likewise"""
    channels: Literal["first", "last", ""] = ""
    """where the channels of an .onnx file are, if its shape does not tell"""
    class_names: tuple[Text, ...] = ()
    """of all classes, or of those that are measured, in their order"""

    def check(self):
        """Check every field, and those that belong together."""
        super().check()
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
    """labelled images: a .npz file with x_train, y_train, x_test, y_test, as Keras's mnist.npz"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutSettings(Checked):
    """Where results go."""

    out: Folder = Path("results")
    """folder of the results"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class InsideSettings(PassSettings):
    """What is said of an observer beside its class images."""

    layers: tuple[Text, ...] = ()
    """convolutions whose receptive fields are measured; by default the first and the last"""
    precision: Literal["float32", "bfloat16"] = "float32"
    """of the pass; bfloat16 is faster where the CPU has it, and a slightly different network"""
    report: bool = True
    """whether to write NAME.html, a page of all that was found"""

    exact_images: Fixed[Count] = 5_000  # at most, whose gradients class images are held to
    exact_patches: Fixed[Count] = 20_000  # the same for receptive fields
    live_rate: Fixed[Share] = 1e-3  # a filter that fires more rarely does not count as live


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasureSettings(InsideSettings, FileSettings, ClassSettings, OutSettings):
    """What does a classifier of images look for? Figures, a page and a measurement of it."""

    file: Positional[File]
    """.keras, .onnx or .h5"""
