"""The flags of `people make` and `people read`. Imports nothing heavy."""

import dataclasses
from typing import Annotated, Literal

import tyro

from reverse_correlation.commands.flags import (
    Contrast,
    Count,
    File,
    Folder,
    Pixels,
    Text,
    Trials,
    Word,
    flag_name,
    optional,
)
from reverse_correlation.commands.settings import FileSettings, NoiseSettings
from reverse_correlation.errors import UserError
from reverse_correlation.stimuli import KINDS

SymmetricKind = Literal[tuple(kind for kind in KINDS if kind != "sparse")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MakeSettings(NoiseSettings):
    """A page that asks people which of two pictures looks more like something, and its study."""

    out: Folder
    """where study.html and study.npz go"""
    question: Text = "Which of the two looks more like a face?"
    """asked of each pair"""
    trials: Trials = 300
    """pairs that each participant judges; studies of people take 300 to 1,000"""
    size: tuple[Pixels, ...] = ()
    """of a side in pixels, or height and width; by default the base image's own, up to 256 and
    fitted to sinusoid patches, and 128 about grey"""
    pause: Count = 50
    """trials between two breaks"""
    condition: Word = "main"
    """what the CSV files call this condition of your experiment"""
    images: optional(File) = None
    """labelled images, for --base mean and for gabor noise: a .npz file with x_train, y_train,
    x_test and y_test, as Keras's mnist.npz"""
    noise_kind: SymmetricKind = "sinusoid"
    """patches of sinusoids are what people are usually shown"""
    base: Text = ""
    """what noise is about: an image file, a number from 0 (black) to 1 (white), or mean (the mean
    training image); by default grey"""
    contrast: Contrast = 0.08
    """standard deviation of a pixel of noise, as a share of the range from black to white; a face
    stays visible at .08; gabor noise has its own"""

    def check(self):
        """Check every field."""
        super().check()
        if not self.question.strip():
            raise UserError("--question is empty: ask something of each pair")
        if len(self.size) > 2:
            raise UserError("--size is one number, or height and width")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReadSettings(FileSettings):
    """What participants look for, and a network on the very same trials."""

    files: Annotated[tuple[File, ...], tyro.conf.Positional]
    """CSV files that the page downloaded"""
    study: optional(File) = None
    """of the participants; by default study.npz beside the first CSV file"""
    model: optional(File) = None
    """a network (.keras, .onnx or .h5) that judges the same trials"""
    out: optional(Folder) = None
    """where results go; by default the study's folder"""

    def check(self):
        """Check every field, and that flags of a network come with one."""
        super().check()
        if not self.files:
            raise UserError("name the CSV files that the page downloaded")
        for field in dataclasses.fields(FileSettings):
            if not self.model and getattr(self, field.name) != field.default:
                raise UserError(
                    f"{flag_name(field.name)} says how a network is read: name it by --model FILE"
                )
