"""Do regions of nothing come out significant as seldom as they should? Null measurements.

    python benchmarks/calibration.py                    # 1,000 of each ensemble, a minute or two
    python benchmarks/calibration.py --images 200

Of each ensemble, images whose coefficients are drawn as those of an observer are who answers by
chance; of blocks of orthogonal numbers, responses by chance to the block's own numbers; and of
people, choices by chance on trials of studies of their own. The share with a region of p < .05
must be .05, as must that whose mean inside a mask has p < .05. The table is left in results/, where
docs/numbers.py finds it.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from reverse_correlation.backend import import_quietly  # noqa: E402

import_quietly()

import numpy as np  # noqa: E402
from scipy import stats  # noqa: E402

from reverse_correlation import (  # noqa: E402
    Measurement,
    PinkNoise,
    SinusoidNoise,
    WhiteNoise,
    measure_choices,
)
from reverse_correlation.estimates.class_sums import ChoiceSums, ClassSums  # noqa: E402
from reverse_correlation.estimates.regions import LEVEL, find_regions  # noqa: E402
from reverse_correlation.report.tables import write_tables  # noqa: E402
from reverse_correlation.stimuli.orthogonal import ROWS  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
FOUND = "results/calibration.json"
TRIALS = 500  # of a session
ENSEMBLES = {
    "white, 28 x 28": WhiteNoise(orthogonal=False),
    "pink, 28 x 28": PinkNoise(orthogonal=False),
    "white, 28 x 28 x 3": WhiteNoise(shape=(28, 28, 3), orthogonal=False),
    "pink, 36 x 36, one orthogonal block": PinkNoise((36, 36, 1)),
    "sinusoid patches, 32 x 32, 500 choices": SinusoidNoise((32, 32, 1), orthogonal=False),
}


def by_chance(noise, images, seed, trials=1000):
    """Return a Measurement of classes whose images are chance: their coefficients are normal."""
    sums = ChoiceSums(tuple(noise.coordinates), images, pixels=int(np.prod(noise.shape)))
    half, rng = np.full(2, trials / 2), np.random.default_rng(seed)
    found = {
        "n": 2 * half, "pairs": half, "oo": np.tile(half[:, None], images),
        "ox": np.sqrt(trials / 2) * rng.normal(size=(2, images, *noise.coordinates)),
    }  # fmt: skip
    return _measurement(sums, found, noise, 2 * trials)


def one_block(noise, images, seed):
    """Return a Measurement of responses by chance to one block of orthogonal numbers."""
    sums = ClassSums(
        tuple(noise.coordinates), images, pixels=int(np.prod(noise.shape)),
        orthogonal=noise.orthogonal_coordinates,
    )  # fmt: skip
    xi = np.float64(noise.xi(seed, 0, ROWS)).reshape(ROWS, -1)
    odd = np.random.default_rng(seed).normal(size=(ROWS, 4 * images))
    odd[:, 3 * images :] = np.sign(odd[:, 3 * images :])  # choices
    zero = np.zeros(3 * images)
    shard = {
        "n": np.float64(2 * ROWS), "pairs": np.float64(ROWS), "r": zero, "rr": zero + 2 * ROWS,
        "e": zero, "ee": zero, "oo": np.sum(odd**2, axis=0),
        "ox": (odd.T @ xi).reshape(-1, *noise.coordinates), "x": np.zeros(noise.coordinates),
    }  # fmt: skip
    found = {name: np.stack([value, 0 * value]) for name, value in sums.finish(shard).items()}
    return _measurement(sums, found, noise, 2 * ROWS)


def _measurement(sums, found, noise, count):
    provenance = {
        "network": "chance", "noise": noise.describe(), "seed": 0, "count": count, "paired": True,
        "accumulators": [sums.describe()], "block_images": 2, "shard_blocks": 1,
    }  # fmt: skip
    return Measurement({sums.name: found}, provenance, noise)


def null_measurements(name, noise, images, seed=0):
    """Return Measurements with so many images by chance in all."""
    if "choices" in name:
        rng = np.random.default_rng(seed)
        return [
            measure_choices(rng.choice([-1, 1], TRIALS), noise, seed=1 + seed + i)
            for i in range(images)
        ]
    return [(one_block if noise.orthogonal_coordinates else by_chance)(noise, images, seed)]


def significant(measurements, mask=None):
    """Return how many images have a region of p < .05, and how many such a mean inside a mask."""
    found = find_regions(measurements, "choice", mask=mask)
    some = sum(any(r.p < LEVEL for r in regions) for each in found for regions in each.regions)
    return some, sum(inside.p < LEVEL for each in found for inside in each.inside)


def middle(shape):
    """Return a mask of the middle of images, a half of each side: (h, w) bool."""
    mask = np.zeros(shape[:2], bool)
    mask[tuple(slice(side // 4, -(side // 4)) for side in shape[:2])] = True
    return mask


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=1000, help="of each ensemble, default 1000")
    args = parser.parse_args()
    low, high = stats.binom.interval(0.95, args.images, LEVEL) / np.float64(args.images)
    rows = [["images by chance", "a region", "a region in a mask", "the mean in a mask"]]
    note = (
        f"share of {args.images:,} images with p < .05; if that is 5 %, it lies between {low:.1%} "
        f"and {high:.1%} in 95 % of such tables' cells"
    )
    print(note)
    for name, noise in ENSEMBLES.items():
        shown = null_measurements(name, noise, args.images)
        anywhere, _ = significant(shown)
        counts = anywhere, *significant(shown, middle(noise.shape))
        rows.append([name, *(f"{count / args.images:.1%}" for count in counts)])
        print(f"{name:40}" + "".join(f"{share:>8}" for share in rows[-1][1:]), flush=True)
    command = f"python benchmarks/calibration.py --images {args.images}"
    write_tables({"regions of nothing": rows}, ROOT / FOUND, command, [note])


if __name__ == "__main__":
    main()
