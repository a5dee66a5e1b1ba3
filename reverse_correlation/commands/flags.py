"""A command's settings are a frozen dataclass; its fields are the flags, and say what may be said.

A field's type, default and docstring are those of the flag. Fields check their values, whether
these come from the command line or from the code. Imports nothing heavy.
"""

import dataclasses
import math
import re
import shlex
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from reverse_correlation.errors import UserError

LARGEST = 10**15
NOT_OF_THE_RESULT = (
    "out",
    "report",
    "retrain",
    "scheduler",
    "format",
)  # flags that decide no number


@dataclasses.dataclass(frozen=True)
class Valid:
    """What the values of a field may be: a function that says so of one, and in words."""

    check: Callable
    what: str


def whole_number(text):
    """Read a whole number, also one written as 20,000 or 1e6.

    Raises:
        ValueError: if it is not one.
    """
    plain = text.replace(",", "").replace("_", "")
    number = float(plain)
    if "e" not in plain.lower():
        return int(plain)
    if not number.is_integer():
        raise ValueError(text)
    return int(number)


def flag(kind, check, what, metavar, read=None):
    """Return the type of a field that is read from one word.

    Args:
        kind: the Python type.
        check, what: as for Valid.
        metavar: what stands for it in `--help`.
        read: turns the word into a value; `kind` by default.
    """

    def from_words(words):
        try:
            return (read or kind)(words[0])
        except ValueError:
            return words[0]  # which the check of the field refuses, in a sentence

    spec = PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=from_words,
        is_instance=lambda value: True,  # a wrong default is refused by its check, in a sentence
        str_from_instance=lambda value: [_shown(value)],
    )
    return Annotated[kind, spec, Valid(check, what)]


def _shown(value):
    """Return a value as `--help` shows it."""
    if value is None:
        return "none"
    return f"{value:,}" if isinstance(value, int) else str(value)


def optional(given):
    """Return a type made by `flag`, for a field that may also be None, which no word is."""
    kind, spec, valid = typing.get_args(given)
    return Annotated[kind | None, spec, Valid(lambda v: v is None or valid.check(v), valid.what)]


def _whole(low, high=LARGEST):
    """Return the type of whole numbers from low to high."""
    what = f"a whole number from {low:,} " + ("up" if high == LARGEST else f"to {high:,}")

    def check(value):
        return type(value) is int and low <= value <= high

    return flag(int, check, what, "N", whole_number)


def _between(check, what, metavar):
    """Return the type of finite numbers that pass a check."""

    def finite(value):
        return isinstance(value, int | float) and math.isfinite(value) and check(value)

    return flag(float, finite, what, metavar)


def _is_path(value):
    return isinstance(value, Path)


Count = _whole(1)
Index = _whole(0)
Trials = _whole(4, 100_000)
Pixels = _whole(4, 2048)
Seed = _whole(0, 2**32 - 2)  # as NumPy and TensorFlow take it; the exact images have the next one
Number = _between(lambda value: True, "a number", "X")
Deviation = _between(lambda value: value != 0, "a number other than 0", "X")
Share = _between(lambda value: 0 <= value <= 1, "a share from 0 to 1", "X")
Part = _between(lambda value: 0 < value < 1, "a share between 0 and 1", "X")
Correlation = _between(lambda r: 0 <= r < 1, "a correlation from 0 up and below 1", "R")
Seconds = _between(lambda value: value > 0, "a number of seconds above 0", "SECONDS")
Contrast = _between(lambda c: 0 < c <= 10, "a positive share of the input range, 10 at most", "C")
Smoothing = _between(lambda s: 0 <= s <= 100, "a number of pixels from 0 to 100", "PIXELS")
Word = flag(
    str,
    lambda name: bool(re.fullmatch(r"[\w.-]+", name, re.ASCII)),
    "of letters, digits, -, _ and .",
    "NAME",
)
Folder = flag(Path, _is_path, "a folder", "DIR", lambda text: Path(text).resolve())
File = flag(Path, _is_path, "a file", "FILE")
Text = flag(str, lambda text: isinstance(text, str), "a text", "TEXT")


class Checked:
    """A dataclass of settings whose fields are checked, wherever they come from."""

    _later = False  # while tyro, which would wrap what is raised, makes the settings

    def __init_subclass__(cls, **kwargs):
        """Let a plain `name = value` in a subclass be the default of a field, as it looks."""
        super().__init_subclass__(**kwargs)
        own = cls.__dict__.get("__annotations__", {})
        for name, hint in typing.get_type_hints(cls, include_extras=True).items():
            if name in cls.__dict__ and name not in own:
                own[name] = hint
        cls.__annotations__ = own

    def __post_init__(self):
        """Check the settings."""
        if not Checked._later:
            self.check()

    def check(self):
        """Check every field; a subclass may check more.

        Raises:
            UserError: if a value is not of its field's type, or not one of its choices.
        """
        for field in dataclasses.fields(self):
            _check_field(type(self), field.name, getattr(self, field.name))


def _check_field(kind, name, value):
    """Raise UserError if a value is not what a class of settings, or one above it, allows."""
    for cls in kind.__mro__:
        if name in cls.__dict__.get("__annotations__", {}):
            hint = typing.get_type_hints(cls, include_extras=True)[name]
            fixed = tyro.conf.Fixed in typing.get_args(hint)[1:]
            if wrong := what_is_wrong(value, hint):
                raise UserError(f"{name if fixed else flag_name(name)}: {wrong}")


def what_is_wrong(value, hint):
    """Say what is wrong with a value that should be of a type; "" for nothing."""
    kind, arguments = typing.get_origin(hint), typing.get_args(hint)
    if kind is Annotated:
        valid = next((each for each in arguments[1:] if isinstance(each, Valid)), None)
        if valid is None:
            return what_is_wrong(value, arguments[0])
        return "" if valid.check(value) else f"{value!r} is not {valid.what}"
    if kind is typing.Literal:
        return "" if value in arguments else f"{value!r} is not one of {', '.join(arguments)}"
    if kind is tuple:
        if not isinstance(value, tuple):
            return f"{value!r} is not a tuple: write ({value!r},)"
        several = arguments[:1] * len(value) if arguments[-1] is ... else arguments
        if len(value) != len(several):
            return f"{value!r} does not have {len(several)} values"
        return next(filter(None, map(what_is_wrong, value, several)), "")
    if kind is None and isinstance(hint, type) and not isinstance(value, hint):
        return f"{value!r} is not of the type {hint.__name__}"
    return ""


def flag_name(field):
    """Return the flag of a field."""
    return "--" + field.replace("_", "-")


def read_settings(kind, program, description, arguments=None):
    """Read a command line: settings. Ends the process with code 2 and a sentence where it is wrong.

    Args:
        kind: the dataclass.
        program, description: for `--help`.
        arguments: list of words; None for those of this process.
    """
    try:
        for field in dataclasses.fields(kind):  # before tyro, which would warn of them at length
            if field.default is not dataclasses.MISSING:
                _check_field(kind, field.name, field.default)
        Checked._later = True
        settings = tyro.cli(
            kind,
            prog=program,
            description=description,
            args=arguments,
            config=(
                tyro.conf.FlagCreatePairsOff,
                tyro.conf.SuppressFixed,
                tyro.conf.OmitArgPrefixes,
            ),
        )
        Checked._later = False
        settings.check()
        return settings
    except UserError as error:
        print(f"{program}: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    finally:
        Checked._later = False


def how_to_repeat(program, settings):
    """Say what decides the numbers of a run, exactly: its flags, and constants that are not flags.

    Args:
        program: such as "python main.py".
        settings: the dataclass that was read.

    Returns:
        (the command that repeats the run, a sentence on the constants or "").
    """
    hints = typing.get_type_hints(type(settings), include_extras=True)
    positional, flags, constants = [], [], []
    for field in dataclasses.fields(settings):
        value, hint = getattr(settings, field.name), hints[field.name]
        marks = typing.get_args(hint)[1:] if typing.get_origin(hint) is Annotated else ()
        listed = value if isinstance(value, tuple) else (value,)
        said = [repr(v) if isinstance(v, float) else shlex.quote(str(v)) for v in listed]
        if tyro.conf.Fixed in marks:
            constants.append(f"{field.name.replace('_', ' ')} {', '.join(map(_shown, listed))}")
        elif field.name in NOT_OF_THE_RESULT or value in (None, (), "") or value is False:
            continue
        elif tyro.conf.Positional in marks:
            positional += said
        elif value is True:
            flags.append(flag_name(field.name))
        elif tyro.conf.UseAppendAction in marks:
            flags += [word for one in said for word in (flag_name(field.name), one)]
        else:
            flags += [flag_name(field.name), *said]
    sentence = f"Constants that are not flags: {'; '.join(constants)}." if constants else ""
    return " ".join([program, *positional, *flags]), sentence
