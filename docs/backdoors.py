"""The numbers and figures of docs/backdoors.md, from class images that are kept in docs/backdoors/.

    python docs/backdoors.py                              # judges and draws; nothing is trained
    python docs/backdoors.py --measure mnist_alexnet      # trains and measures first; hours

Networks and their class images stay in results/, and what is there is not computed again;
`paper.py --only backdoor --large` leaves the same. `python docs/numbers.py` then writes the page.
"""

import argparse
import sys
from pathlib import Path

from reverse_correlation.backend import import_tensorflow_quietly

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[0] = str(ROOT)
    import_tensorflow_quietly()

import numpy as np  # noqa: E402

from experiments.backdoor import ALEXNET, LARGE, probe, report  # noqa: E402
from experiments.backdoor_networks import ROLES, ProbedNetwork, known_from, known_of  # noqa: E402
from reverse_correlation.figures.style import save  # noqa: E402
from reverse_correlation.files import read_arrays, write_arrays  # noqa: E402
from reverse_correlation.report.tables import write_tables  # noqa: E402
from training import load_splits  # noqa: E402

RUNS = {"mnist_lenet": LARGE, "fashion_mnist_lenet": LARGE, "mnist_alexnet": ALEXNET}
KEPT = ROOT / "docs" / "backdoors"
SEED = 0


def keep(path, probed):
    """Keep {role: [ProbedNetwork]} in a .npz file; of class images 11 bits of each pixel."""
    arrays = {}
    for role in ROLES:
        for index, network in enumerate(probed[role]):
            scale = np.abs(network.images).max()  # else small numbers would lose digits
            known = {"images": (network.images / scale).astype(np.float16), "scale": scale}
            known |= known_of(network)
            if network.backdoor and index:  # one example is drawn
                known["patched"] = np.zeros(0)
            arrays |= {f"{role}{index} {name}": value for name, value in known.items()}
    write_arrays(path, {"seed": SEED}, arrays)


def kept(path):
    """Return the {role: [ProbedNetwork]} that a file keeps."""
    _, arrays = read_arrays(path)
    networks = {}
    for name, value in arrays.items():
        network, what = name.split()
        networks.setdefault(network, {})[what] = value
    probed = {role: [] for role in ROLES}
    for name, known in networks.items():
        images = known["images"].astype(np.float32) * known["scale"]
        probed[name.rstrip("0123456789")].append(ProbedNetwork(images, *known_from(known)))
    return probed


def measure(run):
    """Train and measure the networks of a run, and keep their class images."""
    dataset, network = run.rsplit("_", 1)
    train, _, test = load_splits(dataset)
    probed = probe(train, test, RUNS[run], SEED, dataset, ROOT / "results")
    keep(KEPT / f"{run}.npz", probed)


def main(arguments=None):
    """Read the command line; judge, draw, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", nargs="*", choices=RUNS, default=(), help="train first")
    for run in parser.parse_args(arguments).measure:
        measure(run)
    tables = {}
    for run, settings in RUNS.items():
        dataset, network = run.rsplit("_", 1)
        rows, figure = report(kept(KEPT / f"{run}.npz"), settings, dataset)
        arm = "" if network == "lenet" else f"_{network}"
        print(save(figure, ROOT / "part5_imgs" / f"backdoor_{dataset}{arm}.png"))
        head = ["", "published", "ours", "low", "high"]
        tables[run] = [
            head,
            *([r.what, r.published, r.ours, *(r.interval or (None, None))] for r in rows),
        ]
    write_tables(tables, ROOT / "docs" / "numbers" / "backdoors.json", "python docs/backdoors.py")


if __name__ == "__main__":
    main()
