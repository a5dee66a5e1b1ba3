"""The flags of every command, and the groups of them that commands share."""

import dataclasses
from pathlib import Path
from typing import Literal

from tyro.conf import Fixed, Positional, UseAppendAction

from reverse_correlation.commands import flags
from reverse_correlation.errors import UserError
from reverse_correlation.stimuli import KINDS

Response = Literal["choice", "decision", "probability", "logit"]
NoiseKind = Literal[tuple(KINDS)]
SymmetricKind = Literal[tuple(kind for kind in KINDS if kind != "sparse")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoiseSettings(flags.Checked):
    """What is shown."""

    noise_kind: NoiseKind = "gaussian"
    """gaussian, uniform (as published), binary and sparse noise are white"""
    base: flags.Text = ""
    """what noise is about: a number, mean, or an image file; by default the middle of the range"""
    contrast: flags.optional(flags.Contrast) = None
    """of a pixel: its standard deviation over the input range; by default .289 (binary: .5) about
    grey, and about an image the observer's threshold, see --survive"""
    seed: flags.Seed = 0
    """of the noise"""
    independent: bool = False
    """draw every number independently, as up to version 0.2; not in orthogonal blocks"""
    achromatic: bool = False
    """one number for all channels of a pixel; for gaussian, uniform, binary, coarse and pink"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PassSettings(NoiseSettings):
    """How much is shown, and where."""

    noise_images: flags.Count = 1_000_000
    """the most that an observer is shown of each noise"""
    until: flags.Correlation = 0.95
    """expected correlation of all logit and choice images at which to stop; 0 shows all"""
    scheduler: flags.Text = ""
    """of a Dask cluster that shares the pass, as tcp://host:8786; or local:2, two processes here"""
    prediction_images: flags.Index = 4_000
    """fresh ones on which class images are put to the test, at most, and at most a fourth of those
    that an observer was shown; 0: no test"""
    survive: flags.Part = 0.75
    """share of the noise about an image that gets the image's own answer: it sets the contrast"""

    def check(self):
        """Check every field, and that only one sets the contrast."""
        super().check()
        if self.contrast and self.survive != PassSettings.survive:
            raise UserError("--contrast and --survive both set the contrast: give one of them")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileSettings(flags.Checked):
    """How the file of an observer is read."""

    input_range: tuple[flags.Number, flags.Number] = (0.0, 1.0)
    """of the pixels that it expects"""
    input_mean: tuple[flags.Number, ...] = ()
    """subtracted from each channel before the observer sees it: one a channel, or one for all"""
    input_std: tuple[flags.Deviation, ...] = ()
    """what the difference is divided by, likewise"""
    channels: Literal["first", "last", ""] = ""
    """where the channels of its images are, if the file does not tell"""
    colours: Literal["rgb", "bgr"] = "rgb"
    """the order in which it expects colours, and in which --input-mean and --input-std are given"""
    size: tuple[flags.Pixels, ...] = ()
    """of its images, if it takes any: height and width, or one for both; by default as the base"""
    output: flags.Text = ""
    """name of the output of an .onnx file that answers, if there are several"""
    labels: Literal["independent", "exclusive", ""] = ""
    """whether each class is a label of its own, as of sigmoids, or excludes the others, as of a
    softmax; by default its layers and answers tell"""
    class_names: tuple[flags.Text, ...] = ()
    """of all classes, or of those that are measured, in their order"""

    @property
    def reading(self):
        """How `read_observer` is to read a file: its arguments by name."""
        return {
            "channels": self.channels,
            "means": self.input_mean,
            "deviations": self.input_std,
            "output": self.output,
            "colours": self.colours,
            "labels": self.labels,
            "size": (self.size * 2)[:2],
        }

    def check(self):
        """Check every field, and those that belong together."""
        super().check()
        if self.input_range[0] >= self.input_range[1]:
            raise UserError("--input-range goes from a lower to a higher number")
        if bool(self.input_mean) != bool(self.input_std):
            raise UserError("--input-mean and --input-std belong together: give both")
        if len(self.size) > 2:
            raise UserError("--size is one number, or height and width")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResultSettings(flags.Checked):
    """Which classes are measured, and where results go."""

    out: flags.Folder = Path("results")
    """folder of the results"""
    classes: tuple[flags.Index, ...] = ()
    """measure these classes only, by number from 0, of an observer that has many"""
    images: flags.optional(flags.File) = None
    """labelled images: a .npz file with x_train, y_train, x_test, y_test, as Keras's mnist.npz"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class InsideSettings(PassSettings):
    """What is said of an observer beside its class images."""

    layers: tuple[flags.Text, ...] = ()
    """convolutions whose receptive fields are measured; by default the first and the last"""
    precision: Literal["float32", "bfloat16"] = "float32"
    """of the pass; bfloat16 is faster where the CPU has it, and a slightly different network"""
    report: bool = True
    """leave out NAME.html, the page of all that was found"""
    format: Literal["png", "pdf", "svg"] = "png"
    """of figures: pdf or svg, for a paper, beside the .png"""

    exact_images: Fixed[flags.Count] = 5_000  # at most, whose gradients class images are held to
    exact_patches: Fixed[flags.Count] = 20_000  # the same for receptive fields
    live_rate: Fixed[flags.Share] = 1e-2  # of the images, in which a filter that is live fires


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegionSettings(flags.Checked):
    """Which regions of the images are looked for."""

    smooth: flags.optional(flags.Smoothing) = None
    """deviation in pixels of the Gaussian under which regions are looked for, on the scale of what
    is expected; by default a 32nd of the shorter side"""
    mask: flags.optional(flags.File) = None
    """an image file of the observer's size, white where regions are looked for, black elsewhere"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasureSettings(InsideSettings, FileSettings, ResultSettings, RegionSettings):
    """What does a classifier of images look for? Figures, a page and a measurement of it."""

    file: Positional[flags.File]
    """.keras, .onnx or .h5"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompareSettings(PassSettings, FileSettings, ResultSettings):
    """Do observers look for the same? Their class images, and how far they agree, side by side.

    Each observer is shown noise of its own seed, so that none agrees with another for having seen
    the same noise; saved measurements of one seed are compared across even and odd shards. With
    --group: what do they have in common, with errors over observers?
    """

    files: Positional[tuple[flags.File, ...]] = ()
    """two or more: networks (.keras, .onnx, .h5), or saved measurements (.npz)"""
    group: tuple[flags.File, ...] = ()
    """instead of these: observers, six or more, of whom the mean image is wanted"""
    against: tuple[flags.File, ...] = ()
    """observers whose mean image is held against that of --group"""
    paired: bool = False
    """--group and --against are the same observers, by name, under two conditions"""
    same_noise: bool = False
    """let a group have been shown the same noise, as participants of a study are: what is found
    holds for these stimuli"""
    smooth: flags.optional(flags.Smoothing) = None
    """of --group: standard deviation, in pixels, of the Gaussian over images before clusters are
    looked for; by default a 32nd of the shorter side"""
    response: Response = "choice"
    """whose images are compared"""
    noise_images: flags.Count = 100_000
    """the most that each observer is shown"""
    until: flags.Correlation = 0.0
    """expected correlation of all logit and choice images at which to stop; 0 shows all"""
    seed: flags.Seed = 0
    """of the first observer's noise; the next has the next"""

    def check(self):
        """Check every field, and that there is something to compare."""
        super().check()
        if self.files and self.group:
            raise UserError("--group takes the files of the group: name none before it")
        if self.against and not self.group or self.paired and not self.against:
            raise UserError("--against needs a --group, and --paired needs both")
        if not self.group and (self.same_noise or self.smooth is not None):
            raise UserError("--same-noise and --smooth are of a --group: name its files")
        if not self.group and len(self.files) < 2:
            raise UserError("FILE: name two networks or measurements, or more, to compare")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BackdoorSettings(PassSettings, FileSettings, ResultSettings):
    """Does a network have a backdoor? What it looks for, held against clean networks.

    All are shown the same noise, and nothing else. What was measured stays in --out, so that the
    same command continues, and a further network is held against the same references.
    """

    files: Positional[tuple[flags.File, ...]] = ()
    """under test: networks (.keras, .onnx, .h5), or saved measurements (.npz)"""
    references: tuple[flags.File, ...] = ()
    """clean networks, or their measurements, trained as those under test are said to be; 19 or more
    for p = .05"""
    noise_kind: NoiseKind = "sparse"
    """sparse (bright pixels on black) is for networks of images on black, as of digits"""
    response: Response = "logit"
    """whose images are held against those of clean networks"""
    smooth: flags.optional(flags.Smoothing) = None
    """standard deviation, in pixels, of the Gaussian over images; by default .6 for 28 pixels"""
    noise_images: flags.Count = 40_000
    """shown to each network"""
    seed: flags.Seed = 0
    """of the noise, the same for all"""

    until: Fixed[flags.Correlation] = 0.0  # all are shown as many: who sees fewer stands out
    prediction_images: Fixed[flags.Index] = 0
    survive: Fixed[flags.Part] = 0.75  # not heeded, as noise about an image has its --contrast here

    def check(self):
        """Check every field, and that there is something to hold against something."""
        super().check()
        if not self.files:
            raise UserError("FILE: name a network, or several, that may have a backdoor")
        if len(self.references) < 2:
            raise UserError(
                "--references names two clean networks or more, and 19 or more for p = .05"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class MakeSettings(NoiseSettings):
    """A page that asks people which of two pictures looks more like something, and its study."""

    out: flags.Folder
    """where study.html and study.npz go"""
    question: flags.Text = "Which of the two looks more like a face?"
    """asked of each pair"""
    trials: flags.Trials = 300
    """pairs that each participant judges; studies of people take 300 to 1,000"""
    size: tuple[flags.Pixels, ...] = ()
    """of a side in pixels, or height and width; by default the base image's, and 128 about grey"""
    pause: flags.Count = 50
    """trials between two breaks"""
    condition: flags.Word = "main"
    """what the CSV files call this condition of your experiment"""
    text: flags.optional(flags.File) = None
    """what the page says beforehand: a text file with # Instructions, # Consent, # Practice 8, the
    number that of practice trials; any of them may be left out"""
    images: flags.optional(flags.File) = None
    """labelled images: a .npz file with x_train, y_train, x_test, y_test, as Keras's mnist.npz"""
    noise_kind: SymmetricKind = "sinusoid"
    """patches of sinusoids are what people are usually shown"""
    base: flags.Text = ""
    """what noise is about: an image file, a number from 0 (black) to 1, or mean; by default grey"""
    contrast: flags.Contrast = 0.08
    """of a pixel: its standard deviation over the range from black to white; gabor has its own"""

    def check(self):
        """Check every field."""
        super().check()
        if not self.question.strip():
            raise UserError("--question is empty: ask something of each pair")
        if len(self.size) > 2:
            raise UserError("--size is one number, or height and width")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReadSettings(FileSettings, RegionSettings):
    """What participants look for, and a network on the very same trials.

    Answers of several conditions, each a study with a --condition of its own, are told apart by the
    condition that stands in their lines.
    """

    files: Positional[tuple[flags.File, ...]]
    """CSV files that the page downloaded"""
    study: UseAppendAction[tuple[flags.File, ...]] = ()
    """of the participants, once a condition; by default each study.npz beside a CSV file"""
    incomplete: bool = False
    """read participants who answered only some of the trials, too"""
    exclude_faster: flags.optional(flags.Seconds) = None
    """leave out participants whose median reaction time is below this; nobody by default"""
    exclude_early: flags.optional(flags.Share) = None
    """leave out participants of whose presses more than this share came before they could be
    answers; nobody by default"""
    model: flags.optional(flags.File) = None
    """a network (.keras, .onnx or .h5) that judges the same trials"""
    out: flags.optional(flags.Folder) = None
    """where results go; by default the study's folder, if there is one"""

    def check(self):
        """Check every field, and that flags of a network come with one."""
        super().check()
        if not self.files:
            raise UserError("name the CSV files that the page downloaded")
        for field in dataclasses.fields(FileSettings):
            if not self.model and getattr(self, field.name) != field.default:
                name = flags.flag_name(field.name)
                raise UserError(f"{name} says how a network is read: name it by --model FILE")
