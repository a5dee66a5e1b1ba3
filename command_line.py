"""The command lines of the scripts, and how they end. Imports nothing heavy."""

import argparse
import contextlib
import dataclasses
import os
import re
import sys
from pathlib import Path

from reverse_correlation.errors import FileError, UserError
from settings import OWN

DATASETS = ("mnist", "fashion_mnist")
NETWORKS = ("lenet", "alexnet")
RESPONSES = ("choice", "decision", "probability", "logit")
NOISE_KINDS = ("gaussian", "uniform", "binary", "coarse", "pink", "sinusoid", "gabor", "sparse")


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
    _add_classes_flag(parser, "networks that have many")
    _add_noise_flags(parser, defaults)
    _add_shared_flags(parser, defaults)
    args = parser.parse_args(arguments)
    if len(args.files) < 2:
        parser.error("argument FILE: it takes two networks or more to compare")
    return dataclasses.replace(defaults, **_given(parser, args))


def read_people_settings(arguments, make_defaults, read_defaults, description):
    """Read the command line of `people.py`: MakeSettings or ReadSettings.

    Args:
        arguments: list of strings; None for those of this process.
        make_defaults, read_defaults: MakeSettings and ReadSettings.
        description: for `--help`.
    """
    parser = _parser(description)
    commands = parser.add_subparsers(dest="command", required=True, metavar="make or read")
    told = "Write a page that runs the experiment in a browser, and the file of the study."
    make = commands.add_parser("make", help=told, description=told)
    make.add_argument(
        "--out", type=_folder, required=True, metavar="DIR", help="where study.html and .npz go"
    )
    make.add_argument(
        "--question",
        default=make_defaults.question,
        metavar="TEXT",
        help=f"asked of each pair; default: {make_defaults.question}",
    )
    make.add_argument(
        "--trials",
        type=lambda text: whole_number(text, 4, 100_000),
        default=make_defaults.trials,
        metavar="N",
        help=f"pairs that each participant judges; default {make_defaults.trials}",
    )
    make.add_argument(
        "--size",
        nargs="+",
        type=lambda text: whole_number(text, 4, 2048),
        metavar="PIXELS",
        help="of a side, or height and width; default: the base image's own, up to 256 and fitted "
        f"to sinusoid patches, else {make_defaults.size[0]}",
    )
    make.add_argument(
        "--pause",
        type=positive,
        default=make_defaults.pause,
        metavar="N",
        help=f"trials between two breaks; default {make_defaults.pause}",
    )
    make.add_argument(
        "--condition",
        type=condition_name,
        default=make_defaults.condition,
        metavar="NAME",
        help="what the CSV files call this condition of your experiment; default "
        f"{make_defaults.condition}",
    )
    make.add_argument("--dataset", choices=DATASETS, help="for --base mean and gabor noise")
    _add_ensemble_flags(
        make,
        make_defaults,
        "what the noise is about: an image file, a number from 0 (black) to 1, or mean; default: "
        "grey",
        "standard deviation of a pixel of noise, as a share of the range from black to white; "
        f"default {make_defaults.contrast:g}",
        kinds=NOISE_KINDS[:-1],
    )
    _add_seed_flag(make, make_defaults, "noise")
    told = "Say what participants look for, and let a network judge the same trials."
    read = commands.add_parser("read", help=told, description=told)
    read.add_argument(
        "files", nargs="+", type=Path, metavar="CSV", help="files that the page downloaded"
    )
    read.add_argument(
        "--study", type=Path, metavar="FILE", help="default: study.npz beside the first CSV file"
    )
    read.add_argument(
        "--model",
        type=Path,
        metavar="FILE",
        help="a network (.keras, .onnx or .h5) that judges the very same trials",
    )
    _add_range_and_names(read, read_defaults)
    _add_normalisation_flags(read)
    read.add_argument(
        "--out", type=_folder, metavar="DIR", help="where results go; default: the study's folder"
    )
    args = parser.parse_args(arguments)
    given = {n: v for n, v in vars(args).items() if n != "command"}
    if args.command == "make":
        if args.size and len(args.size) > 2:
            parser.error("argument --size: it is one number, or height and width")
        if not args.question.strip():
            parser.error("argument --question: it must ask something")
        given["size"] = tuple(args.size * 2)[:2] if args.size else None
        return dataclasses.replace(make_defaults, **given)
    if not args.model:
        for flag in ("input_range", "input_mean", "input_std", "channels", "class_names"):
            if getattr(args, flag):
                parser.error(f"argument --{flag.replace('_', '-')}: it is for --model")
    return dataclasses.replace(read_defaults, **_given(parser, args, "command"))


def _given(parser, args, *left_out):
    """Return the flags that were given, lists as tuples; end with an error for what cannot be."""
    if getattr(args, "input_std", None) and min(map(abs, args.input_std)) == 0:
        parser.error("argument --input-std: a pixel cannot be divided by 0")
    if bool(getattr(args, "input_mean", None)) != bool(getattr(args, "input_std", None)):
        parser.error("argument --input-mean: name --input-mean and --input-std together")
    if args.input_range and not args.input_range[0] < args.input_range[1]:
        parser.error("argument --input-range: it goes from a lower to a higher number")
    given = {n: v for n, v in vars(args).items() if v is not None and n not in left_out}
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
    _add_range_and_names(parser, defaults)
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
    _add_ensemble_flags(
        parser,
        defaults,
        "what the noise is about: a number, mean (the mean training image), or an image file; "
        "default: the middle of the input range, and for the demonstration's networks the mean "
        "training image too",
        "standard deviation of a pixel of noise, as a share of the input range; default .289, "
        "that of noise uniform over the range (binary: .5); about the mean training image: what "
        "serves best on the validation split",
    )


def _add_range_and_names(parser, defaults):
    """Add the flags of a network's input range and classes."""
    parser.add_argument(
        "--input-range",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="of the pixels that a network of your own expects; default "
        f"{defaults.input_range[0]:g} {defaults.input_range[1]:g}",
    )
    parser.add_argument(
        "--class-names", nargs="+", metavar="NAME", help="names of the classes, in their order"
    )


def _add_ensemble_flags(parser, defaults, base_help, contrast_help, kinds=NOISE_KINDS):
    """Add the flags of an ensemble."""
    parser.add_argument(
        "--noise-kind",
        choices=kinds,
        default=defaults.noise_kind,
        help=f"one of {', '.join(kinds)}; default {defaults.noise_kind}",
        metavar="KIND",
    )
    parser.add_argument("--base", default=defaults.base, metavar="BASE", help=base_help)
    parser.add_argument(
        "--contrast", type=contrast, default=defaults.contrast, metavar="C", help=contrast_help
    )


def _add_own_flags(parser):
    """Add what else `--model` needs."""
    _add_normalisation_flags(parser)
    _add_classes_flag(parser, "a --model that has many")


def _add_classes_flag(parser, of_what):
    parser.add_argument(
        "--classes",
        nargs="+",
        type=class_index,
        metavar="K",
        help=f"measure these classes only, by number from 0, of {of_what}",
    )


def _add_normalisation_flags(parser):
    """Add the flags of how a network's images are brought to what it expects."""
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


def _add_seed_flag(parser, defaults, of_what):
    parser.add_argument(
        "--seed",
        type=seed_number,
        default=defaults.seed,
        metavar="N",
        help=f"of {of_what}; default {defaults.seed}",
    )


def _add_shared_flags(parser, defaults):
    """Add the flags that all scripts have."""
    _add_seed_flag(parser, defaults, "training and noise")
    parser.add_argument(
        "--scheduler",
        default=defaults.scheduler,
        metavar="ADDRESS",
        help="of a Dask cluster that shares the pass of noise, such as tcp://host:8786; or local:N "
        "for N processes on this machine",
    )
    parser.add_argument(
        "--out",
        type=_folder,
        default=defaults.out,
        metavar="DIR",
        help="where models/, results/ and the figures go; default: beside this file",
    )


def _folder(text):
    """Read the path of a folder."""
    return Path(text).resolve()


def condition_name(text):
    """Read the name of a condition, which stands in CSV files as it is."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not of letters, digits, -, _ and .")
    return text


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


def connected(scheduler):
    """Return a context manager that yields a Dask client; None without a scheduler's address."""
    if not scheduler:
        return contextlib.nullcontext()
    from reverse_correlation.passes.cluster import connect  # Dask takes a second, and few need it

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


def exit_code(script, run, goes_on=True):
    """Run a script's main part; return its exit code: 0, 2 for bad input, 130 for Ctrl-C.

    Args:
        script: its name.
        run: its main part.
        goes_on: whether it continues where it was stopped, when it is run again.
    """
    try:
        run()
    except UserError as error:
        print(f"{script}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        told = "; the same command continues from here" if goes_on else ""
        print(f"\n{script}: stopped{told}", file=sys.stderr)
        return 130
    return 0
