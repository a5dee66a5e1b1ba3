"""How a command begins and ends: folders, a cluster, exit codes. Imports nothing heavy."""

import contextlib
import os
import sys

from reverse_correlation.backend import import_tensorflow_quietly
from reverse_correlation.errors import FileError, UserError
from reverse_correlation.texts import PrintableStream, printable


def connected(scheduler):
    """Return a context manager that yields a Dask client; None without a scheduler's address."""
    if not scheduler:
        return contextlib.nullcontext()
    from reverse_correlation.passes.cluster import connect  # Dask takes a second, and few need it

    return connect(scheduler)


def import_tensorflow(script):
    """Import what the experiment computes with, before a script's own imports; or end the script.

    The exit code is 2, as for bad input, if that is not there.
    """
    if code := exit_code(script, import_tensorflow_quietly):
        sys.exit(code)


def check_writable(folder):
    """Make a folder, and return it.

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
    return folder


@contextlib.contextmanager
def printing_printable():
    """Print without control characters while the context lasts, whatever files and flags contain.

    The one place where what a command prints is cleaned. Bars of progress write past it.
    """
    out, errors = PrintableStream(sys.stdout), PrintableStream(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        yield


def exit_code(script, run, goes_on=True):
    """Run the main part of a script of that name; return its exit code.

    It is 0, 2 for bad input, or 130 for Ctrl-C, after which a script that `goes_on` continues where
    it was stopped when it is run again.
    """
    try:
        run()
    except UserError as error:
        print(printable(f"{script}: {error}"), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        advice = "; the same command continues from here" if goes_on else ""
        print(f"\n{script}: stopped{advice}", file=sys.stderr)
        return 130
    return 0
