"""The command lines of the scripts, their settings, and how they end. Imports nothing heavy."""

import argparse
import contextlib
import dataclasses
import os
import shlex
import sys
from pathlib import Path

from reverse_correlation.errors import FileError, UserError

DATASETS = ("mnist", "fashion_mnist")
NETWORKS = ("lenet", "alexnet")
RESPONSES = ("choice", "decision", "probability", "logit")
NOISE_KINDS = ("gaussian", "uniform", "binary", "coarse", "pink", "sinusoid", "gabor", "sparse")
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
        dataset, input_range, class_names, noise_images, until, noise_kind, base, contrast, seed,
            scheduler, out: as for `main.py`.
    """

    files: tuple
    response: str
    noise_images: int
    until: float
    seed: int
    dataset: str | None = None
    input_range: tuple = (0.0, 1.0)
    class_names: tuple = ()
    noise_kind: str = "gaussian"
    base: str = ""
    contrast: float | None = None
    scheduler: str = ""
    out: Path = OUT


def read_main_settings(arguments, defaults, description):
    """Read the command line of `main.py`: Settings.

    Args:
        arguments: list of strings; None for those of this process.
        defaults: Settings, of the constants at the top of `main.py`.
        description: for `--help`.
    """
    parser = _parser(description)
    parser.add_argument(
        "--dataset", choices=DATASETS, help=f"default {defaults.dataset}; with --model, none"
    )
    parser.add_argument(
        "--model",
        type=Path,
        metavar="FILE",
        help="measure this classifier of images (.keras, .onnx or .h5) instead of the "
        "demonstration's networks",
    )
    _add_own_flags(parser)
    parser.add_argument(
        "--layers",
        nargs="+",
        metavar="LAYER",
        help="the convolutions of Part 4; default: the first and the last",
    )
    parser.add_argument(
        "--networks",
        nargs="+",
        choices=NETWORKS,
        metavar="NETWORK",
        help=f"default {' '.join(defaults.networks)}",
    )
    _add_noise_flags(parser, defaults)
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        default=defaults.precision,
        help=f"of the pass of noise; default {defaults.precision}",
    )
    parser.add_argument(
        "--no-report",
        dest="report",
        action="store_false",
        help="leave out results/NAME.html, a page of each network",
    )
    _add_training_flags(parser)
    _add_shared_flags(parser, defaults)
    args = parser.parse_args(arguments)
    if args.model:
        for flag in ("networks", "epochs", "retrain"):
            if getattr(args, flag):
                parser.error(f"argument --{flag}: it is for the demonstration, not for --model")
    else:
        for flag in OWN:
            if getattr(args, flag):
                name = flag.replace("_", "-")
                parser.error(f"argument --{name}: it is for --model; the data set has its own")
    if args.classes and args.dataset:
        parser.error("argument --classes: images of some classes cannot classify a --dataset")
    if args.input_std and min(map(abs, args.input_std)) == 0:
        parser.error("argument --input-std: a pixel cannot be divided by 0")
    if bool(args.input_mean) != bool(args.input_std):
        parser.error("argument --input-mean: name --input-mean and --input-std together")
    given = _given(parser, args)
    for name in ("networks", "layers", "classes"):
        if name in given:
            given[name] = tuple(dict.fromkeys(given[name]))  # each once
    if args.model and not args.dataset:
        given["dataset"] = None
    return dataclasses.replace(defaults, **given)


def read_paper_settings(arguments, defaults, description):
    """Read the command line of `paper.py`: PaperSettings.

    Args:
        arguments: list of strings; None for those of this process.
        defaults: PaperSettings, whose `only` names all experiments.
        description: for `--help`.
    """
    parser = _parser(description)
    parser.add_argument(
        "--dataset", choices=DATASETS, default=defaults.dataset, help=f"default {defaults.dataset}"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=defaults.only,
        default=defaults.only,
        metavar="EXPERIMENT",
        help=f"any of {', '.join(defaults.only)}; default all",
    )
    _add_training_flags(parser)
    _add_shared_flags(parser, defaults)
    given = vars(parser.parse_args(arguments))
    given["only"] = tuple(name for name in defaults.only if name in given["only"])
    return dataclasses.replace(defaults, **given)


def read_compare_settings(arguments, defaults, description):
    """Read the command line of `compare.py`: CompareSettings.

    Args:
        arguments: list of strings; None for those of this process.
        defaults: CompareSettings.
        description: for `--help`.
    """
    parser = _parser(description)
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="two or more: networks (.keras, .onnx, .h5), or saved measurements (.npz)",
    )
    parser.add_argument("--dataset", choices=DATASETS, help="whose classes they tell apart")
    parser.add_argument(
        "--response",
        choices=RESPONSES,
        default=defaults.response,
        help=f"one of {', '.join(RESPONSES)}; default {defaults.response}",
        metavar="RESPONSE",
    )
    _add_noise_flags(parser, defaults)
    _add_shared_flags(parser, defaults)
    args = parser.parse_args(arguments)
    if len(args.files) < 2:
        parser.error("argument FILE: it takes two networks or more to compare")
    return dataclasses.replace(defaults, **_given(parser, args))


def _given(parser, args):
    """Return the flags that were given, lists as tuples; end with an error for a range of none."""
    if args.input_range and not args.input_range[0] < args.input_range[1]:
        parser.error("argument --input-range: it goes from a lower to a higher number")
    given = {name: value for name, value in vars(args).items() if value is not None}
    return {n: tuple(v) if isinstance(v, list) else v for n, v in given.items()}


def _parser(description):
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def _add_training_flags(parser):
    """Add the flags of scripts that train networks."""
    parser.add_argument(
        "--epochs", type=positive, help="of training; default: each network's own", metavar="N"
    )
    parser.add_argument("--retrain", action="store_true", help="even if models/ has the network")


def _add_noise_flags(parser, defaults):
    """Add the flags of what is shown, and to networks of which range and classes."""
    parser.add_argument(
        "--input-range",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="of the pixels that a network of your own expects; default "
        f"{defaults.input_range[0]:g} {defaults.input_range[1]:g}",
    )
    parser.add_argument(
        "--class-names", nargs="+", metavar="NAME", help="of the classes, in their order"
    )
    parser.add_argument(
        "--noise-images",
        type=positive,
        default=defaults.noise_images,
        metavar="N",
        help=f"the most that a network is shown of each noise; default {defaults.noise_images:,}",
    )
    parser.add_argument(
        "--until",
        type=correlation,
        default=defaults.until,
        metavar="R",
        help="stop when every logit and choice image has this expected correlation with its truth; "
        f"0 shows all; default {defaults.until:g}",
    )
    parser.add_argument(
        "--noise-kind",
        choices=NOISE_KINDS,
        default=defaults.noise_kind,
        help=f"one of {', '.join(NOISE_KINDS)}; default {defaults.noise_kind}",
        metavar="KIND",
    )
    parser.add_argument(
        "--base",
        default=defaults.base,
        metavar="BASE",
        help="what the noise is about: a number, mean (the mean training image), or an image file; "
        "default: the middle of the input range, and for the demonstration's networks the mean "
        "training image too",
    )
    parser.add_argument(
        "--contrast",
        type=contrast,
        default=defaults.contrast,
        metavar="C",
        help="standard deviation of a pixel of noise, as a share of the input range; default .289, "
        "that of noise uniform over the range (binary: .5); about the mean training image: what "
        "serves best on the validation split",
    )


def _add_own_flags(parser):
    """Add what else `--model` needs."""
    for name, what in (("mean", "subtracted from"), ("std", "divided into")):
        parser.add_argument(
            f"--input-{name}",
            nargs="+",
            type=float,
            metavar="X",
            help=f"{what} each channel of an image in the input range, before --model sees it: as "
            "many as channels, or one for all",
        )
    parser.add_argument(
        "--channels",
        choices=("first", "last"),
        help="of an .onnx file: where channels are, if its shape does not tell",
    )
    parser.add_argument(
        "--classes",
        nargs="+",
        type=class_index,
        metavar="K",
        help="measure these classes only, by number from 0, of a --model that has many",
    )


def _add_shared_flags(parser, defaults):
    """Add the flags that all scripts have."""
    parser.add_argument(
        "--seed",
        type=seed_number,
        default=defaults.seed,
        metavar="N",
        help=f"of training and noise; default {defaults.seed}",
    )
    parser.add_argument(
        "--scheduler",
        default=defaults.scheduler,
        metavar="ADDRESS",
        help="of a Dask cluster that shares the pass of noise, such as tcp://host:8786; or local:N "
        "for N processes on this machine",
    )
    parser.add_argument(
        "--out",
        type=lambda text: Path(text).resolve(),
        default=defaults.out,
        metavar="DIR",
        help="where models/, results/ and the figures go; default: beside this file",
    )


def positive(text):
    """Read a whole number from 1 up."""
    return whole_number(text, 1)


def seed_number(text):
    """Read a seed, as NumPy and TensorFlow both take it."""
    return whole_number(text, 0, 2**32 - 2)  # the exact images take the next one


def class_index(text):
    """Read the number of a class, from 0 up."""
    return whole_number(text, 0)


def correlation(text):
    """Read a correlation, from 0 up and below 1."""
    return number_between(text, 0, 1, "a correlation from 0 up and below 1", lambda r: r < 1)


def contrast(text):
    """Read a contrast, a positive share."""
    return number_between(text, 0, 10, "a positive share of the input range", lambda c: c > 0)


def number_between(text, low, high, what, also):
    """Read a number from low to high that passes a further test."""
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not (low <= number <= high and also(number)):
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return number


def whole_number(text, low, high=10**15):
    """Read a whole number, with or without thousands separators."""
    try:
        number = int(text.replace(",", "").replace("_", ""))
    except ValueError:
        number = None
    if number is None or not low <= number <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high:,}")
    return number


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


def connected(scheduler):
    """Return a context manager that yields a Dask client; None without a scheduler's address."""
    if not scheduler:
        return contextlib.nullcontext()
    from reverse_correlation.cluster import connect  # Dask takes a second, and few need it

    return connect(scheduler)


def check_writable(folder):
    """Make a folder.

    Raises:
        FileError: if nothing can be written there.
    """
    probe = folder / f".{os.getpid()}.probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
    except OSError as error:
        raise FileError(
            f"cannot write in {folder} ({error.strerror}): choose another --out"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def exit_code(script, run):
    """Run a script's main part; return its exit code: 0, 2 for bad input, 130 for Ctrl-C."""
    try:
        run()
    except UserError as error:
        print(f"{script}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\n{script}: stopped; the same command continues from here", file=sys.stderr)
        return 130
    return 0
