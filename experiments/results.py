"""What the experiments found, kept in a file, so that a second run computes nothing."""

import dataclasses
import json
import time

import experiments
import figures
from experiments.experiment import Row
from reverse_correlation import Network, UserError
from reverse_correlation.files import replacing

FORMAT = 2  # of what is kept; another number makes every experiment run again


def run_once(name, experiment, path, figure_path, **given):
    """Run an experiment, unless the results file has it for this network and these settings.

    Args:
        name: of the experiment.
        experiment: an Experiment.
        path: of the results file, JSON; experiments are added to it one by one.
        figure_path: where its figure is or will be.
        given: the named parameters that an experiment's `run` gets, all but its settings.

    Returns:
        A list of Rows.

    Raises:
        UserError: if the results file is not a whole one, or cannot be written.
    """
    identity = identify(
        format=FORMAT,
        seed=given["seed"],
        settings=experiment.settings,
        network=experiment.asked(given["network"], given["train"]),
    )
    kept = read_results(path).get(name, {})
    if kept.get("identity") == identity and figure_path.exists():
        print(f"{name}: already in {path}")
        return [kept_row(**row) for row in kept["rows"]]
    print(f"{name}: running")
    started = time.monotonic()
    rows, figure = experiment.run(settings=experiment.settings, **given)
    figures.save(figure, figure_path)
    seconds = round(time.monotonic() - started)
    kept = {"identity": identity, "seconds": seconds, "rows": [*map(dataclasses.asdict, rows)]}
    # read again: another run may have added its own in the meantime
    text = json.dumps({**read_results(path), name: kept}, indent=1)
    with replacing(path) as part:
        part.write_text(text + "\n")
    print(f"{name}: {seconds} s, {figure_path}")
    return rows


def kept_row(interval, **fields):
    """Return the Row that JSON gave back."""
    return Row(interval=interval and tuple(interval), **fields)


def identify(*, settings, network, **more):
    """Return what a result depends on, as JSON gives it back.

    Args:
        settings: a dataclass.
        network: a Keras model.
        more: what else there is, of JSON's types.
    """
    settings, network_sha256 = dataclasses.asdict(settings), Network.of(network).sha256
    return json.loads(json.dumps({**more, "settings": settings, "network_sha256": network_sha256}))


def read_results(path):
    """Return what the results file holds, {experiment: {"identity", "seconds", "rows"}}.

    Raises:
        UserError: if it is not a whole results file.
    """
    if not path.exists():
        return {}
    try:
        kept = json.loads(path.read_text())
        return {name: dict(kept[name]) for name in experiments.MODULES if name in kept}
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is not a whole results file ({error}): delete it") from error
