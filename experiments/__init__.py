"""Part 5: Borji and Lin's further experiments done anew, one file a question.

Each module has an EXPERIMENT: its settings and the function that answers the question. A new one
is a file here and a line in MODULES. Nothing heavy is imported before an experiment is loaded.
"""

import importlib

MODULES = {  # name on the command line, in the results and of the figure; in the order of running
    "mixing": "mixing",
    "attack": "attack",
    "backdoor": "backdoor",
    "microstimulation": "microstimulation",
    "signal": "signal_in_noise",
    "structured": "structured",
    "individuals": "individuals",
}


def load(name):
    """Import an experiment: its Experiment."""
    return importlib.import_module(f"{__name__}.{MODULES[name]}").EXPERIMENT
