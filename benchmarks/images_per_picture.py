"""How many images does a picture cost? Orthogonal blocks of numbers beside independent draws.

    python benchmarks/images_per_picture.py                    # the four trained networks
    python benchmarks/images_per_picture.py --pairs 4096 --seeds 4

Every network is shown the same count of stimuli with both kinds of numbers, about grey and about
the mean training image; its class images are held against the exact ones, from its gradients. The
squared signal-to-noise ratio r**2 / (1 - r**2) grows in proportion to the stimuli shown, so the
ratio of the two is how many times fewer images an orthogonal picture needs. Medians over classes
and seeds.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from reverse_correlation.backend import import_tensorflow_quietly  # noqa: E402

import_tensorflow_quietly()

import numpy as np  # noqa: E402

from reverse_correlation import WhiteNoise, exact_classification_images, measure  # noqa: E402
from reverse_correlation.estimates.correlation import correlations  # noqa: E402
from training import DATASET_TITLES, NETWORKS, load_or_train, load_splits  # noqa: E402

CONTRAST = 0.2  # about the mean image
MODELS = Path(__file__).resolve().parent.parent / "models"


def signal_to_noise(images, exact):
    """Return r**2 / (1 - r**2) of images with exact ones, median over classes."""
    r = correlations(images, exact)
    return float(np.median(r**2 / (1 - r**2)))


def gains(network, noise, pairs, seeds):
    """Return {response: ratio of the squared signal-to-noise ratios}, medians over seeds."""
    exact = exact_classification_images(network, noise, 40_000, seed=1000)
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


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=4096, help="of stimuli, default 4096")
    parser.add_argument("--seeds", type=int, default=4, help="default 4")
    args = parser.parse_args()
    print(f"{args.pairs:,} pairs, {args.seeds} seeds: orthogonal over independent draws")
    for dataset in DATASET_TITLES:
        train, validation, _ = load_splits(dataset)
        for name, entry in NETWORKS.items():
            network = load_or_train(name, dataset, train, validation, folder=MODELS)
            shape, mean = train[0].shape[1:], train[0].mean(axis=0)
            for title, noise in (
                ("grey", WhiteNoise(shape=shape)),
                ("mean image", WhiteNoise(shape=shape, base=mean, contrast=CONTRAST)),
            ):
                found = gains(network, noise, args.pairs, args.seeds)
                print(
                    f"{entry.title:8} {DATASET_TITLES[dataset]:14} {title:11} "
                    f"logit {found['logit']:.2f}  choice {found['choice']:.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
