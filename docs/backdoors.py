"""The numbers and figures of docs/backdoors.md, from class images that are kept in docs/backdoors/.

    python docs/backdoors.py                              # judges and draws; nothing is trained
    python docs/backdoors.py --measure mnist_alexnet      # trains and measures first; hours

Networks and their class images stay in results/, and what is there is not computed again;
`paper.py --only backdoor --large` leaves the same. `python docs/numbers.py` then writes the page.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # not docs/, where numbers.py hides the standard library's `numbers`

from reverse_correlation.backend import import_tensorflow_quietly  # noqa: E402

if __name__ == "__main__":  # before the imports below begin it
    import_tensorflow_quietly()

import numpy as np  # noqa: E402
from scipy import stats  # noqa: E402

from docs.named_numbers import PAPER_HEAD  # noqa: E402
from experiments.backdoor import ALEXNET, LARGE, probe, report  # noqa: E402
from experiments.backdoor_networks import ROLES, ProbedNetwork, known_from, known_of  # noqa: E402
from reverse_correlation.estimates.backdoor import ALPHA, FLOOR, against_others, held_against  # noqa: E402
from reverse_correlation.figures.style import save  # noqa: E402
from reverse_correlation.files import read_arrays, write_arrays  # noqa: E402
from reverse_correlation.report.tables import write_tables  # noqa: E402
from training import load_splits  # noqa: E402

RUNS = {"mnist_lenet": LARGE, "fashion_mnist_lenet": LARGE, "mnist_alexnet": ALEXNET}
KEPT = ROOT / "docs" / "backdoors"
SEED = 0
STEPS = 2**14 - 1  # from 0 to the largest pixel of a network's class images, as they are kept


def keep(path, probed):
    """Keep {role: [ProbedNetwork]} in a .npz file; pixels of class images as whole numbers."""
    arrays = {}
    for role in ROLES:
        for index, network in enumerate(probed[role]):
            scale = np.abs(network.images).max() / STEPS
            known = {"images": np.rint(network.images / scale).astype(np.int16), "scale": scale}
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
        images = np.float32(known["images"] * known["scale"])
        probed[name.rstrip("0123456789")].append(ProbedNetwork(images, *known_from(known)))
    return probed


def measure(run):
    """Train and measure the networks of a run, and keep their class images."""
    dataset, network = run.rsplit("_", 1)
    train, _, test = load_splits(dataset)
    probed = probe(train, test, RUNS[run], SEED, dataset, ROOT / "results")
    keep(KEPT / f"{run}.npz", probed)


def false_alarms(references, clean):
    """Return how many of clean networks have p <= .05: the 2.5 and 97.5 % points.

    All are held against the same references. The rank of a clean network's score among n + 1 is
    any, so that the rate of false alarms, given the references, has a Beta distribution.
    """
    ranks = int(ALPHA * (references + 1) + 1e-9)
    count = stats.betabinom(clean, ranks, references + 1 - ranks)
    return int(count.ppf(0.025)), int(count.ppf(0.975))


def earlier(probed, references=20, tested=10, draws=400):
    """Return of the p of version 0.2, and of today's, how often clean networks have p <= .05.

    Networks are drawn, anew each time, from all clean ones. The p of version 0.2 was Student's
    prediction of a further log score, from those of the references, each held against the others.

    Returns:
        {which p: (mean share of `tested` networks, share of draws in which they are 4 or more)}
    """
    prepared = against_others([n.images for role in ROLES[:2] for n in probed[role]])
    rng, counts = np.random.default_rng(0), []
    for _ in range(draws):
        chosen = prepared[rng.permutation(len(prepared))[: references + tested]]
        known, others = chosen[:references], chosen[references:]
        null = np.log([peak(one, np.delete(known, i, 0)) for i, one in enumerate(known)])
        spread = null.std(ddof=1) * np.sqrt(1 + 1 / references)
        limit = np.exp(stats.t(references - 1, null.mean(), spread).isf(ALPHA))
        counts.append(
            (
                sum(peak(one, known) > limit for one in others),
                sum(held_against(one, known).unusual for one in others),
            )
        )
    counts = np.array(counts)
    found = zip(counts.mean(axis=0) / tested, np.mean(counts >= 4, axis=0), strict=True)
    return dict(zip(("of version 0.2", "of today"), found, strict=True))


def peak(one, others):
    """Return the highest deviation of a prepared network (K, h, w) from others, as a score."""
    variance = others.var(axis=0, ddof=1)
    return np.max((one - others.mean(axis=0)) / np.sqrt(variance + FLOOR * np.median(variance)))


def tables_of(run, probed, rows):
    """Return the tables of a run for docs/numbers/: {title: rows}."""
    found = [PAPER_HEAD]
    for row in rows:
        label = f"{row.what.removeprefix('backdoor, ')}, {row.over}"
        found.append([label, row.published, row.ours, *(row.interval or (None, None))])
    counts = [len(probed[role]) for role in ROLES[:2]]
    low, high = false_alarms(*counts)
    expected = [f"clean networks with p <= .05, of {counts[1]}", f"{low} to {high}"]
    tables = {run: found, f"{run}, false alarms": [["", "by an exact p"], expected]}
    if sum(counts) >= 60:  # enough for draws that differ
        shares = np.array(list(earlier(probed).values())).T
        what = ("share with p <= .05", "draws with 4 or more of 10")
        rows = [[w, *map(float, found)] for w, found in zip(what, shares, strict=True)]
        tables[f"{run}, earlier"] = [["10 clean networks", "p of version 0.2", "p of today"], *rows]
    return tables


def main(arguments=None):
    """Read the command line; judge, draw, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", nargs="*", choices=RUNS, default=(), help="train first")
    for run in parser.parse_args(arguments).measure:
        measure(run)
    tables = {}
    for run, settings in RUNS.items():
        if not (KEPT / f"{run}.npz").exists():
            print(f"{run}: not measured yet; --measure {run} does it")
            continue
        dataset, network = run.rsplit("_", 1)
        probed = kept(KEPT / f"{run}.npz")
        rows, figure = report(probed, settings, dataset)
        arm = "" if network == "lenet" else f"_{network}"
        print(save(figure, ROOT / "part5_imgs" / f"backdoor_{dataset}{arm}.png"))
        tables |= tables_of(run, probed, rows)
    write_tables(tables, ROOT / "docs" / "numbers" / "backdoors.json", "python docs/backdoors.py")


if __name__ == "__main__":
    main()
