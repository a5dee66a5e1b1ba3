"""Borji and Lin's further experiments, done anew, ours beside theirs.

python paper.py                              # all seven, on MNIST
python paper.py --dataset fashion_mnist      # the other data set
python paper.py --only mixing attack         # some of them
"""

import sys

import experiments
from command_line import check_writable, connected, exit_code, read_paper_settings
from reverse_correlation.backend import import_tensorflow_quietly
from settings import PaperSettings

# ---------------------------------------------------------------------------------------------
# The defaults of the flags of the same name; each experiment's settings are in its own file.
DATASET = "mnist"  # or "fashion_mnist"
SEED = 0  # of training, noise and the drawing of images
# ---------------------------------------------------------------------------------------------

DEFAULTS = PaperSettings(dataset=DATASET, only=tuple(experiments.MODULES), seed=SEED)

if __name__ == "__main__":  # read before the imports below, which take seconds
    SETTINGS = read_paper_settings(None, DEFAULTS, __doc__)
    import_tensorflow_quietly()

import data
from experiments.experiment import place
from experiments.results import run_once
from training import load_or_train, split


def main(settings, chosen=None):
    """Run the experiments that the settings name, print the table, return its Rows.

    Args:
        settings: PaperSettings.
        chosen: {name: Experiment}; by default those of the package.
    """
    chosen = chosen or {name: experiments.load(name) for name in settings.only}
    folders = {name: settings.out / name for name in ("part5_imgs", "models", "results")}
    for folder in folders.values():
        check_writable(folder)
    train_set, test = data.load_data(settings.dataset)
    network = load_or_train(
        "lenet",
        settings.dataset,
        train_set,
        folder=folders["models"],
        epochs=settings.epochs,
        seed=settings.seed,
        retrain=settings.retrain,
    )
    train, validation = split(*train_set)
    rows = []
    with connected(settings.scheduler) as client:
        for name in settings.only:
            rows += run_once(
                name,
                chosen[name],
                folders["results"] / f"paper_{settings.dataset}.json",
                folders["part5_imgs"] / f"{name}_{settings.dataset}.png",
                network=network,
                train=train,
                test=test,
                validation=validation,
                seed=settings.seed,
                dataset=settings.dataset,
                client=client,
                folder=folders["results"],
            )
    print_table(rows, settings.dataset)
    return rows


def print_table(rows, dataset):
    """Print what was published, what was found, and its 95 % interval."""
    print(f"\n{place(dataset)}")
    print(f"{'':66}{'published':>10}{'ours':>10}  95 % interval")
    for row in rows:
        if row.detail:
            continue
        theirs = "" if row.published is None else f"{row.published:.3f}"
        ours = f"{row.ours:.3f}" if not 0 < abs(row.ours) < 5e-4 else "<.001"
        interval = ""
        if row.interval:
            low, high = row.interval
            interval = f"{low:.3f} to {high:.3f}, {row.over}"
        print(f"{row.what:66}{theirs:>10}{ours:>10}  {interval}".rstrip())


def run(arguments=None):
    """Read a command line and run; return the exit code."""
    return exit_code("paper.py", lambda: main(read_paper_settings(arguments, DEFAULTS, __doc__)))


if __name__ == "__main__":
    sys.exit(exit_code("paper.py", lambda: main(SETTINGS)))
