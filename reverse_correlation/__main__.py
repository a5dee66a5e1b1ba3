"""The instrument's command line, `python -m reverse_correlation measure FILE` and others."""

import importlib
import inspect
import sys

from reverse_correlation.backend import import_quietly
from reverse_correlation.commands import settings
from reverse_correlation.commands.flags import read_settings
from reverse_correlation.commands.running import exit_code, printing_printable

PROGRAM = "python -m reverse_correlation"
COMMANDS = {  # name of the command: (its settings, module in `commands`, function in that module)
    "measure": (settings.MeasureSettings, "measure", "measure_file"),
    "compare": (settings.CompareSettings, "compare", "compare_files"),
    "backdoor": (settings.BackdoorSettings, "backdoor", "backdoor_files"),
    "people make": (settings.MakeSettings, "people", "make"),
    "people read": (settings.ReadSettings, "people", "read"),
}
USAGE = f"""usage: {PROGRAM} COMMAND [FILES] [FLAGS]

  measure FILE        what the classifier in a file looks for: figures, a page, a measurement
  compare FILE FILE   whether observers look for the same; classifiers' files or saved measurements
  backdoor FILE       whether it is unlike clean classifiers (--references), as a backdoor makes it
  people make         a page that asks people which of two pictures looks more like something
  people read CSV     what their choices show, beside a network's choices on the same trials

{PROGRAM} COMMAND --help lists the flags of a command."""


def run(arguments=None):
    """Read a command line and run the command; return the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    asks = {"-h", "--help"} & set(words)
    if words in ([], ["people"]) or asks and words[0] in ("people", *asks) and len(words) <= 2:
        print(USAGE)
        return 0 if asks else 2
    length = 2 if words[0] == "people" else 1
    name = " ".join(words[:length])
    if name not in COMMANDS:
        choice = f"choose from {', '.join(COMMANDS)}"
        print(f"{PROGRAM}: there is no command {name!r}: {choice}", file=sys.stderr)
        return 2
    settings_class, home, function = COMMANDS[name]
    program = f"{PROGRAM} {name}"
    description = inspect.cleandoc(settings_class.__doc__)
    chosen = read_settings(settings_class, program, description, words[length:])

    def command():
        import_quietly()
        module = importlib.import_module(f"reverse_correlation.commands.{home}")
        getattr(module, function)(chosen)

    with printing_printable():
        return exit_code(program, command, goes_on=length == 1)


if __name__ == "__main__":
    sys.exit(run())
