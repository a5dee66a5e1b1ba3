"""What the experiments found is kept in a file, so that a second run computes nothing."""

import contextlib
import dataclasses
import json
import time

import experiments
from experiments.experiment import Row
from reverse_correlation import Network, __version__
from reverse_correlation.figures.style import save
from reverse_correlation.files import DAMAGED, kept, replacing

FORMAT = 2  # of what is kept; another number makes every experiment run again


def run_once(name, experiment, path, figure_path, **given):
    """Run an experiment, unless the results file has it for this network and these settings: Rows.

    Args:
        name, experiment: an Experiment and its name.
        path: of the results file, JSON; experiments are added to it one by one.
        figure_path: where its figure is or will be.
        given: the named parameters that an experiment's `run` gets, all but its settings.

    Raises:
        FileError: if the results file or the figure cannot be written.
    """
    asked = experiment.asked(given["network"], given["train"])
    identity = identify(asked, experiment.settings, format=FORMAT, seed=given["seed"])

    def read(path):
        figure_path.stat()  # an experiment whose figure is gone runs again
        entry = read_results(path)[name]
        return entry["identity"], (entry["seconds"], [kept_row(**row) for row in entry["rows"]])

    def compute():
        print(f"{name}: running")
        started = time.monotonic()
        rows, figure = experiment.run(settings=experiment.settings, **given)
        save(figure, figure_path)
        return round(time.monotonic() - started), rows

    def write(path, identity, result):
        seconds, rows = result
        rows = [dataclasses.asdict(row) for row in rows]
        made = {"version": __version__, "identity": identity, "seconds": seconds}
        entry = {**made, "rows": rows}
        # read again: another run may have added its own in the meantime
        text = json.dumps({**read_results(path), name: entry}, indent=1)
        with replacing(path) as part:
            part.write_text(text + "\n")

    seconds, rows = kept(path, identity, read, compute, write)
    print(f"{name}: in {path} and {figure_path}; it took {seconds} s")
    return rows


def kept_row(interval, **fields):
    """Return the Row that JSON gave back."""
    return Row(interval=interval and tuple(interval), **fields)


def identify(network, settings, **more):
    """Return what a result depends on: a Keras model, a dataclass of settings, and `more`."""
    settings = dataclasses.asdict(settings)
    return {**more, "settings": settings, "network_sha256": Network.of(network).sha256}


def read_results(path):
    """Return what the results file holds: {experiment: {"identity", "rows" ...}}, or {}."""
    with contextlib.suppress(*DAMAGED):
        found = json.loads(path.read_text())
        return {name: dict(found[name]) for name in experiments.MODULES if name in found}
    return {}
