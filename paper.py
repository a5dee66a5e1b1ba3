"""Borji and Lin's further experiments, done anew, ours beside theirs.

python paper.py                              # all seven, on MNIST
python paper.py --dataset fashion_mnist      # the other data set
python paper.py --only mixing attack         # some of them
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import experiments
from reverse_correlation.commands import flags, running

NAMES = tuple(experiments.MODULES)


@dataclass(frozen=True, kw_only=True)
class Settings(flags.Checked):
    """Which experiments, on what. Each experiment's own settings are in its file."""

    dataset: Literal["mnist", "fashion_mnist"] = "mnist"
    """what the networks are trained on"""
    only: tuple[Literal[NAMES], ...] = ()
    """experiments to run, in their own order whatever is named first; by default all"""
    epochs: flags.optional(flags.Count) = None
    """of training; by default the network's own"""
    seed: flags.Seed = 0
    """of training, noise and the drawing of images"""
    retrain: bool = False
    """train even if models/ has the network"""
    large: bool = False
    """hundreds of networks for the backdoors, not a quick look; hours, and it can be interrupted"""
    scheduler: flags.Text = ""
    """of a Dask cluster that shares all passes: tcp://host:8786; or local:2, two processes here"""
    out: flags.Folder = Path(__file__).resolve().parent
    """where models/, results/ and part5_imgs/ are; by default beside paper.py"""


if __name__ == "__main__":  # read before the imports below, which take seconds
    SETTINGS = flags.read_settings(Settings, "paper.py", __doc__)
    running.import_tensorflow("paper.py")

from experiments.results import run_once
from training import load_or_train, load_splits, place


def main(s, chosen=None):
    """Run the experiments that the settings name, print the table, return its Rows.

    `chosen` is {name: Experiment}, by default those of the package.
    """
    names = [name for name in NAMES if name in (s.only or NAMES)]
    chosen = chosen or {name: experiments.load(name) for name in names}
    if s.large:
        chosen = {name: replace(e, settings=e.large or e.settings) for name, e in chosen.items()}
    folders = ("models", "results", "part5_imgs")
    models, results, part5 = (running.check_writable(s.out / name) for name in folders)
    train, validation, test = load_splits(s.dataset)
    network = load_or_train(
        "lenet", s.dataset, train, validation,
        folder=models, epochs=s.epochs, seed=s.seed, retrain=s.retrain,
    )  # fmt: skip
    rows = []
    with running.connected(s.scheduler) as client:
        for name in names:
            rows += run_once(
                name, chosen[name], results / f"paper_{s.dataset}.json",
                part5 / f"{name}_{s.dataset}.png", network=network, train=train,
                validation=validation, test=test, seed=s.seed, dataset=s.dataset, client=client,
                folder=results,
            )  # fmt: skip
    print_table(rows, place("lenet", s.dataset))
    return rows


def print_table(rows, title):
    """Print what was published, what was found, and its 95 % interval."""
    print(f"\n{title}")
    print(f"{'':66}{'published':>10}{'ours':>10}  95 % interval")
    for row in rows:
        if row.detail:
            continue
        theirs = "" if row.published is None else f"{row.published:.3f}"
        ours = f"{row.ours:.3f}" if not 0 < abs(row.ours) < 5e-4 else "<.001"
        interval = "{:.3f} to {:.3f}, {}".format(*row.interval, row.over) if row.interval else ""
        print(f"{row.what:66}{theirs:>10}{ours:>10}  {interval}".rstrip())


def run(arguments=None):
    """Read a command line and run; return the exit code."""
    settings = flags.read_settings(Settings, "paper.py", __doc__, arguments)
    return running.exit_code("paper.py", lambda: main(settings))


if __name__ == "__main__":
    sys.exit(running.exit_code("paper.py", lambda: main(SETTINGS)))
