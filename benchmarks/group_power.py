"""Groups of simulated participants: how often nothing is found to be significant, and something is.

    python benchmarks/group_power.py

All of a group judge the same pairs of noise about grey, as in a study. Null: everyone answers at
random. Power: everyone follows a template (two spots and a bar) of her own strength and with shifts
of her own, in internal noise. Spread: two groups of one mean, of 36 pixels, the first of which
varies more. Prints the tables, and writes them as JSON.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np  # noqa: E402
from scipy import stats  # noqa: E402
from scipy.ndimage import gaussian_filter  # noqa: E402

from reverse_correlation.estimates.groups import over_observers  # noqa: E402
from reverse_correlation.report.tables import write_tables  # noqa: E402
from reverse_correlation.texts import aligned  # noqa: E402

SIDE = 16
LEVEL = {6: 2 / 64}  # of other sizes .05


def template():
    """Return two bright spots above a dark bar: (SIDE, SIDE), of norm 1."""
    image = np.zeros((SIDE, SIDE))
    image[4:6, 4:6] = image[4:6, 10:12] = 1
    image[10:12, 6:10] = -1
    return image / np.linalg.norm(image)


def images_of(rng, groups, count, trials, signal=0.0, internal=1.0):
    """Return the images of groups of participants, each group on its own pairs: (n, groups, ...).

    Args:
        signal: the mean strength of the template, in standard deviations of a participant's drive
            without it; strengths vary by half of it, and places by a pixel.
        internal: how much each participant's answer varies for reasons of her own.
    """
    images = np.empty((count, groups, SIDE, SIDE, 1), np.float32)
    for group in range(groups):
        noise = gaussian_filter(rng.normal(size=(trials, SIDE, SIDE)), (0, 1, 1))
        noise /= noise.std()
        for one in range(count):
            own = np.roll(template(), rng.integers(-1, 2, 2), (0, 1))
            drive = noise.reshape(trials, -1) @ own.ravel()
            strength = signal * (1 + rng.normal() / 2) / drive.std()
            choices = np.sign(strength * drive + internal * rng.normal(size=trials))
            images[one, group, ..., 0] = np.tensordot(choices, noise, 1) / trials
    return images


def null_rows(rng, sizes, groups, trials):
    """Return how many groups of participants who answer at random have something significant."""
    rows = [["participants", "groups", "expected", "with a pixel", "with a cluster"]]
    for count in sizes:
        found = over_observers(images_of(rng, groups, count, trials), names=())
        level = LEVEL.get(count, 0.05)
        low, high = stats.binom.interval(0.95, groups, level)
        alarms = [mask.reshape(groups, -1).any(axis=1) for mask in masks(found)]
        expected = f"{level:.1%} ({low / groups:.1%} to {high / groups:.1%})"
        rows.append([f"{count}", f"{groups:,}", expected, *(f"{a.mean():.1%}" for a in alarms)])
    return rows


def power_rows(rng, sizes, groups, trials, signals):
    """Return how many groups that follow a template have something of it significant."""
    head = [
        "participants",
        "strength",
        "right alone",
        "with a pixel",
        "with a cluster",
        "of it found",
    ]
    rows, near = [head], gaussian_filter(np.abs(template()), 1) > 0.01
    for signal in signals:
        alone = 0.5 + np.arctan(signal) / np.pi
        for count in sizes:
            images = images_of(rng, groups, count, trials, signal)
            pixels, clusters = masks(over_observers(images, names=()))
            hits = [(mask & near).reshape(groups, -1).any(axis=1) for mask in (pixels, clusters)]
            part = clusters[:, template() != 0].mean()
            shares = (*(hit.mean() for hit in hits), part)
            told = [f"{count}", f"{signal:g}", f"{alone:.0%}"]
            rows.append(told + [f"{share:.0%}" for share in shares])
    return rows


def spread_rows(rng, groups):
    """Return how many pairs of groups seem to differ that have one mean and another spread."""
    rows = [["sizes", "ratio of s.d.", "with a pixel"]]
    for first, second, ratio in ((10, 10, 3), (5, 10, 2), (8, 12, 2), (4, 16, 4)):
        one = ratio * rng.normal(size=(first, groups, 6, 6, 1))
        found = over_observers(one, rng.normal(size=(second, groups, 6, 6, 1)), names=())
        alarms = found.significant.reshape(groups, -1).any(axis=1)
        rows.append([f"{first} and {second}", f"{ratio}", f"{alarms.mean():.1%}"])
    return rows


def masks(found):
    """Return the pixels, and the clusters, that are significant: (groups, h, w) bool each."""
    return found.significant[..., 0], found.in_clusters


def main():
    """Print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--groups", type=int, default=1000, help="of the null")
    parser.add_argument("--power-groups", type=int, default=100)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path("results"))
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    tables = {
        "Groups that answer at random": null_rows(rng, (6, 10, 20), options.groups, options.trials),
        "Groups that follow a template": power_rows(
            rng, (10, 20, 40), options.power_groups, options.trials, (0.1, 0.2, 0.4)
        ),
        "Two groups of another spread": spread_rows(rng, options.groups),
    }
    for title, rows in tables.items():
        print("", title, *aligned(rows), sep="\n")
    options.out.mkdir(parents=True, exist_ok=True)
    write_tables(
        tables, options.out / "group_power.json", "python benchmarks/group_power.py",
        [f"{options.trials} pairs of {SIDE} x {SIDE} pixels, the same for all of a group"],
    )  # fmt: skip


if __name__ == "__main__":
    main()
