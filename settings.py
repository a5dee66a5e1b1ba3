"""What the scripts were asked for: one frozen settings object each. Imports nothing heavy."""

import dataclasses
import shlex
from pathlib import Path

OWN = ("input_range", "input_mean", "input_std", "channels", "classes", "class_names")  # --model's
DEMONSTRATION = ("networks", "layers", "epochs")  # flags that --model does not have
PASS = ("noise_images", "until", "noise_kind", "base", "contrast", "seed", "precision")
OUT = Path(__file__).resolve().parent


@dataclasses.dataclass(frozen=True)
class Settings:
    """What `main.py` was asked for: its flags, and the constants that are no flags.

    Attributes:
        dataset: "mnist", "fashion_mnist", or None with a network of one's own.
        networks: of the demonstration.
        model: path of a network of one's own, or None.
        input_range: (low, high) of the pixels that it expects.
        input_mean, input_std: of each channel, or one for all: what is subtracted from a pixel, and
            what it is divided by, before it is shown; empty for neither.
        channels: "first" or "last", of an ONNX file whose shape does not tell; None otherwise.
        classes: indices of the classes that are measured; empty for all.
        layers: names of the convolutions of Part 4; empty for the first and the last.
        epochs: of training; None for the recipe's.
        class_names: of a network of one's own; empty for those of the data set, or numbers.
        noise_images: the most that is shown to each network of each ensemble.
        until: expected correlation of every logit and choice image with its truth at which a pass
            ends; 0 to show all.
        noise_kind: of the ensemble.
        base: what the noise is about: a number, "mean", an image file, or "" for the usual.
        contrast: of the noise, as a share of the input range; None for the usual.
        seed: of training and noise.
        precision: of the pass of noise.
        scheduler: address of a Dask cluster, or "".
        signal, noise: Part 3's weights of a test image and of uniform noise.
        noisy_images: how many such mixtures.
        contrasts, contrast_images: of noise about the mean training image, those that are tried on
            the validation split, with so many stimuli each.
        exact_images: whose gradients give the exact class images, at most.
        exact_patches: the same for the receptive fields of a deep convolution.
        live_rate: a filter that fires more rarely is not counted among the live ones.
        report: whether to write a page of each network.
        retrain: whether to train although models/ has the network.
        out: where models/, results/ and the folders of figures are.
    """

    dataset: str | None
    networks: tuple
    model: Path | None
    input_range: tuple
    input_mean: tuple
    input_std: tuple
    channels: str | None
    classes: tuple
    layers: tuple
    class_names: tuple
    epochs: int | None
    noise_images: int
    until: float
    noise_kind: str
    base: str
    contrast: float | None
    contrasts: tuple
    contrast_images: int
    seed: int
    precision: str
    scheduler: str
    signal: float
    noise: float
    noisy_images: int
    exact_images: int
    exact_patches: int
    live_rate: float
    report: bool = True
    retrain: bool = False
    out: Path = OUT


@dataclasses.dataclass(frozen=True)
class PaperSettings:
    """What `paper.py` was asked for; each field is the flag of the same name.

    Attributes:
        dataset: "mnist" or "fashion_mnist".
        only: names of the experiments, in the order in which they run.
        seed, epochs, retrain, scheduler, out: as for `main.py`.
    """

    dataset: str
    only: tuple
    seed: int
    epochs: int | None = None
    retrain: bool = False
    scheduler: str = ""
    out: Path = OUT


@dataclasses.dataclass(frozen=True)
class CompareSettings:
    """What `compare.py` was asked for; each field is the flag of the same name.

    Attributes:
        files: of networks, or of saved measurements.
        response: the kind whose images are compared.
        dataset, input_range, classes, class_names, noise_images, until, noise_kind, base,
            contrast, seed, scheduler, out: as for `main.py`.
    """

    files: tuple
    response: str
    noise_images: int
    until: float
    seed: int
    dataset: str | None = None
    input_range: tuple = (0.0, 1.0)
    classes: tuple = ()
    class_names: tuple = ()
    noise_kind: str = "gaussian"
    base: str = ""
    contrast: float | None = None
    scheduler: str = ""
    out: Path = OUT


@dataclasses.dataclass(frozen=True)
class MakeSettings:
    """What `people.py make` was asked for; each field is the flag of the same name.

    Attributes:
        base: an image file, a number, or "mean"; "" for grey.
        size: of a side in pixels, or (height, width); None for the base image's own.
        trials: how many pairs each participant judges.
        question: that is asked of each pair.
        condition: of the experiment, as the CSV files name it.
        pause: trials between two breaks.
        dataset, noise_kind, contrast, seed, out: as for `main.py`; `out` has no default.
    """

    base: str
    size: tuple | None
    trials: int
    question: str
    condition: str
    pause: int
    noise_kind: str
    contrast: float
    seed: int
    dataset: str | None = None
    out: Path | None = None


@dataclasses.dataclass(frozen=True)
class ReadSettings:
    """What `people.py read` was asked for; each field is the flag of the same name.

    Attributes:
        files: CSV files of choices.
        study: the file that `make` wrote; None for study.npz beside the first of `files`.
        model: path of a network that judges the same trials, or None.
        input_range, input_mean, input_std, channels, class_names: of that network, as for
            `main.py`.
        out: where the figure and the measurements go; None for the study's folder.
    """

    files: tuple
    study: Path | None = None
    model: Path | None = None
    input_range: tuple = (0.0, 1.0)
    input_mean: tuple = ()
    input_std: tuple = ()
    channels: str | None = None
    class_names: tuple = ()
    out: Path | None = None


def command_of(settings):
    """Return the command of `main.py` that repeats a run, with every flag that decides it."""
    fields = ("dataset", *(("model", *OWN, "layers") if settings.model else DEMONSTRATION), *PASS)
    words = ["python main.py"]
    for field in fields:
        value = getattr(settings, field)
        if value is None or value is False or value == () or value == "":
            continue
        listed = value if isinstance(value, tuple) else (value,)
        told = [f"{v:g}" if isinstance(v, float) else shlex.quote(str(v)) for v in listed]
        words += [f"--{field.replace('_', '-')}", *(told if value is not True else ())]
    return " ".join(words)
