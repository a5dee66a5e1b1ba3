"""How many images does a picture cost? Orthogonal blocks of numbers beside independent draws.

    python benchmarks/images_per_picture.py                    # the four trained networks
    python benchmarks/images_per_picture.py --pairs 1024 4096 --seeds 4
    python benchmarks/images_per_picture.py --fer fer.keras --face face.png    # one other network

Every network is shown the same count of stimuli with both kinds of numbers, about grey and about
the mean training image; its class images are held against the exact ones, from its gradients. The
squared signal-to-noise ratio r**2 / (1 - r**2) grows in proportion to the stimuli shown, so the
ratio of the two is how many times fewer images an orthogonal picture needs. Medians over classes
and seeds. The public network for facial expressions is shown pink noise, about grey and, at
threshold, about a mean face; docs/faces.md says how its two files are made. Of the trained networks
the table is left in results/, where docs/numbers.py finds it.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from reverse_correlation.backend import import_quietly  # noqa: E402

import_quietly()

import keras  # noqa: E402
import numpy as np  # noqa: E402

from reverse_correlation import (  # noqa: E402
    Network,
    PinkNoise,
    WhiteNoise,
    exact_classification_images,
    measure,
)
from reverse_correlation.estimates.correlation import correlations  # noqa: E402
from reverse_correlation.passes.threshold import at_threshold  # noqa: E402
from reverse_correlation.report.tables import write_tables  # noqa: E402
from reverse_correlation.stimuli.base_images import read_base  # noqa: E402
from training import DATASET_TITLES, NETWORKS, load_or_train, load_splits  # noqa: E402

CONTRAST = 0.2  # about the mean image
FACES = {"shape": (64, 64, 1), "low": -1.0, "high": 1.0}  # what the network for faces takes
ASKED = "logit 1.4  choice 1.15"  # of that network, at least
ROOT = Path(__file__).resolve().parent.parent
FOUND = "results/images_per_picture.json"
BASES = {"grey": "about grey", "mean image": "about the mean image"}


def signal_to_noise(images, exact):
    """Return r**2 / (1 - r**2) of images with exact ones, median over classes."""
    r = correlations(images, exact)
    return float(np.median(r**2 / (1 - r**2)))


def gains(network, noise, exact, pairs, seeds):
    """Return {response: ratio of the squared signal-to-noise ratios}, medians over seeds."""
    ratios = {"logit": [], "choice": []}
    for seed in range(seeds):
        found = [
            measure(network, each, 2 * pairs, seed=seed, progress=False).classes
            for each in (noise, dataclasses.replace(noise, orthogonal=False))
        ]
        for response, values in ratios.items():
            orthogonal, independent = (
                signal_to_noise(classes[response].covariance, exact) for classes in found
            )
            values.append(orthogonal / independent)
    return {response: float(np.median(values)) for response, values in ratios.items()}


def trained():
    """Yield the trained networks: (network, its name, the base's name, noise)."""
    for dataset, data_title in DATASET_TITLES.items():
        train, validation, _ = load_splits(dataset)
        shape, mean = train[0].shape[1:], train[0].mean(axis=0)
        for name, entry in NETWORKS.items():
            network = load_or_train(name, dataset, train, validation, folder=ROOT / "models")
            title = f"{entry.title}, {data_title}"
            yield network, title, "grey", WhiteNoise(shape=shape)
            about_mean = WhiteNoise(shape=shape, base=mean, contrast=CONTRAST)
            yield network, title, "mean image", about_mean


def facial(network_file, face_file):
    """Yield the network for facial expressions, as `trained` does."""
    network = Network(keras.models.load_model(network_file), name="fer")
    yield network, "fer", "grey", PinkNoise(**FACES)
    if face_file:
        face, _ = read_base(face_file, FACES["shape"], (FACES["low"], FACES["high"]))
        about_face = PinkNoise(**FACES, base=face)
        yield network, "fer", "mean face", at_threshold(network.looked(about_face), about_face)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--pairs", type=int, nargs="+", default=[4096], help="of stimuli, default 4096"
    )
    parser.add_argument("--seeds", type=int, default=4, help="default 4")
    parser.add_argument("--fer", help="this network for faces instead, a .keras file")
    parser.add_argument("--face", help="the mean face, an image file; with --fer")
    args = parser.parse_args()
    asked = f" (asked for fer: {ASKED})" if args.fer else ""
    print(f"{args.seeds} seeds: orthogonal over independent draws{asked}")
    table = {}
    for network, title, base, noise in facial(args.fer, args.face) if args.fer else trained():
        exact = exact_classification_images(network, noise, 40_000, seed=1000)
        for pairs in args.pairs:
            found = gains(network, noise, exact, pairs, args.seeds)
            print(
                f"{title:23} {base:11} {pairs:6,} pairs  "
                f"logit {found['logit']:.2f}  choice {found['choice']:.2f}",
                flush=True,
            )
            table.setdefault(title, []).extend(f"{found[each]:.1f}" for each in found)
    if not args.fer and len(args.pairs) == 1:
        head = ["", *(f"{about}: {each}" for about in BASES.values() for each in found)]
        rows = [head, *([title, *cells] for title, cells in table.items())]
        command = (
            f"python benchmarks/images_per_picture.py --pairs {args.pairs[0]} --seeds {args.seeds}"
        )
        write_tables({"times fewer images": rows}, ROOT / FOUND, command)


if __name__ == "__main__":
    main()
