"""The instrument on the command line: `python -m reverse_correlation measure FILE`, and others."""

import importlib
import sys

from reverse_correlation.backend import import_tensorflow_quietly
from reverse_correlation.commands import settings
from reverse_correlation.commands.flags import read_settings
from reverse_correlation.commands.running import exit_code

PROGRAM = "python -m reverse_correlation"
COMMANDS = {  # words: (settings, module of `commands`, function of it)
    "measure": (settings.MeasureSettings, "measure", "measure_file"),
    "compare": (settings.CompareSettings, "compare", "compare_files"),
    "people make": (settings.MakeSettings, "people", "make"),
    "people read": (settings.ReadSettings, "people", "read"),
}
USAGE = f"""usage: {PROGRAM} COMMAND [FILES] [FLAGS]

  measure FILE        what the classifier in a file looks for: figures, a page, a measurement
  compare FILE FILE   do observers look for the same? files of classifiers, or saved measurements
  people make         a page that asks people which of two pictures looks more like something
  people read CSV     what their choices say, beside a network's on the same trials

{PROGRAM} COMMAND --help says more."""


def run(arguments=None):
    """Read a command line and run the command; return the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if words else 2
    length = 2 if words[0] == "people" else 1
    name = " ".join(words[:length])
    if name not in COMMANDS:
        print(f"{PROGRAM}: there is no command {name!r}: {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    kind, module, function = COMMANDS[name]
    program = f"{PROGRAM} {name}"
    asked = read_settings(kind, program, kind.__doc__, words[length:])

    def command():
        import_tensorflow_quietly()
        module_of_it = importlib.import_module(f"reverse_correlation.commands.{module}")
        getattr(module_of_it, function)(asked)

    return exit_code(program, command, goes_on=length == 1)


if __name__ == "__main__":
    sys.exit(run())
