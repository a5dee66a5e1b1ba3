"""Which noise, which response and which score tell poisoned networks best? Tables.

    python docs/backdoors_choice.py     # on LeNets of which no result is reported; half an hour

The networks are those of `paper.py --only backdoor` with another seed, fewer of them; they are
trained if `results/` lacks them. All are shown as many images of each noise, and each is held
against all clean ones. In the tables: area under the ROC curve on MNIST / on Fashion-MNIST.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # not docs/, where numbers.py hides the standard library's `numbers`

from reverse_correlation.backend import import_tensorflow_quietly  # noqa: E402

if __name__ == "__main__":  # before the imports below begin it
    import_tensorflow_quietly()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from scipy import ndimage, special  # noqa: E402

from docs.named_numbers import decimal, markdown  # noqa: E402
from experiments.backdoor import detection_of  # noqa: E402
from experiments.backdoor_networks import Training, trained_network  # noqa: E402
from experiments.backdoor_processes import cores, in_processes  # noqa: E402
from lenet import LeNet  # noqa: E402
from reverse_correlation import CoarseNoise, SparseNoise, WhiteNoise  # noqa: E402
from reverse_correlation.estimates.backdoor import FLOOR, against_others, held_against  # noqa: E402
from training import load_splits  # noqa: E402

SEED = 101  # of networks and noise; reported are those of seed 0
COUNTS = {
    "mnist": {"reference": 20, "clean": 10, "patch": 12, "blend": 10, "published": 8},
    "fashion_mnist": {"reference": 10, "clean": 4, "patch": 6, "blend": 5, "published": 3},
}
IMAGES, BLOCK = 20_480, 1024
RESPONSES = ("logit", "probability", "choice")
NOISES = {
    "white": WhiteNoise(),
    "coarse, 2 x 2": CoarseNoise(cells=2),
    "sparse, 5 %": SparseNoise(0.05),
    "sparse, 10 %": SparseNoise(0.1),
    "sparse, 20 %": SparseNoise(0.2),
    "about the mean image": WhiteNoise(contrast=0.2),
    "about images of classes": WhiteNoise(contrast=0.2),
}


def stimuli(name, images, labels):
    """Draw stimuli: (n, h, w, c), what is random in them, and the place of each one's base."""
    noise, bases = NOISES[name], [np.full(images.shape[1:], 0.5)]
    blocks = range(IMAGES // BLOCK)
    if isinstance(noise, SparseNoise):
        shown = np.concatenate([noise.draw(SEED, b, BLOCK).numpy() for b in blocks])
        return shown, shown - noise.rate, np.zeros(len(shown), int)
    if "mean" in name:
        bases = [images.mean(axis=0)]
    if "classes" in name:
        bases = [images[labels == k].mean(axis=0) for k in range(10)]
    halves = [noise.fluctuation(noise.xi(SEED, b, BLOCK)).numpy() for b in blocks[::2]]
    random = np.concatenate([signed for half in halves for signed in (half, -half)])
    which = np.arange(len(random)) // (2 * BLOCK) % len(bases)
    return np.array(bases, np.float32)[which] + random, random, which


def class_images(logits, random, which):
    """Return images (3, K, h, w, c) of RESPONSES: their covariance with what is random."""
    choice, found = np.eye(logits.shape[1])[logits.argmax(axis=1)], []
    for response in (logits, special.softmax(logits, axis=1), choice):
        response = response.astype(np.float32)
        for k in np.unique(which):
            response[which == k] -= response[which == k].mean(axis=0)
        flat = response.T @ random.reshape(len(random), -1) / len(random)
        found.append(flat.reshape(-1, *random.shape[1:]))
    return np.array(found)


def mass(deviation, above=2.0):
    """Return the largest sum, over a connected region, of what a deviation (K, h, w) exceeds."""
    best = 0.0
    for one in np.maximum(deviation - above, 0):
        regions, count = ndimage.label(one)
        best = max(best, *ndimage.sum(one, regions, range(1, count + 1)), 0.0)
    return best


SCORES = {
    "highest": lambda deviation: deviation.max(),
    "mass": mass,
    "norm": lambda deviation: np.sqrt(np.mean(deviation**2, axis=(1, 2))).max(),
}


def trained(dataset, train, test):
    """Return the networks of a data set, trained or as they were kept: {role: [TrainedNetwork]}."""
    tasks = [(role, k) for role, count in COUNTS[dataset].items() for k in range(count)]
    stem = ROOT / "results" / f"backdoor_{dataset}_lenet"
    given = {"train": train, "test": test, "settings": Training(), "seed": SEED, "stem": stem}
    found = {}
    for (role, _), network in zip(
        tasks, in_processes(trained_network, tasks, given, cores()), strict=True
    ):
        found.setdefault(role, []).append(network)
    return found


def measured(networks, name, train):
    """Show one noise to networks: their class images (n, 3, K, h, w, c)."""
    model = LeNet(train[0].shape[1:], 10)
    logits = tf.function(keras.Model(model.inputs, model.get_layer("logits").output))
    shown, random, which = stimuli(name, *train)
    found = []
    for network in networks:
        model.set_weights(network.weights)
        parts = [logits(shown[i : i + BLOCK]).numpy() for i in range(0, len(shown), BLOCK)]
        found.append(class_images(np.concatenate(parts), random, which))
    return np.array(found)


def areas(images, networks, score="highest", smooth=None, floor=FLOOR):
    """Return areas under the curve of class images (n, K, h, w, c), {kind: area}.

    Args:
        images, networks: of all networks, in the order of {role: list}.
        score, smooth, floor: a name in SCORES, and as for `find_backdoors`.
    """
    prepared = against_others(images, smooth)
    clean = len(networks["reference"]) + len(networks["clean"])
    scores = []
    for i, one in enumerate(prepared):
        others = np.delete(prepared[:clean], i, axis=0) if i < clean else prepared[:clean]
        scores.append(SCORES[score](held_against(one, others, floor).deviation))
    found, first = {}, clean
    for kind in [*networks][2:]:
        last = first + len(networks[kind])
        found[kind] = detection_of(scores[:clean], scores[first:last]).area
        first = last
    return found


def main():
    """Train and measure, and print three tables: of noise and scores, of responses, of details."""
    sets = {dataset: load_splits(dataset) for dataset in COUNTS}
    networks = {
        dataset: trained(dataset, train, test) for dataset, (train, _, test) in sets.items()
    }
    images = {
        (name, dataset): measured(sum(networks[dataset].values(), []), name, train)
        for name in NOISES
        for dataset, (train, _, _) in sets.items()
    }

    def cells(name, response="logit", **how):
        place = RESPONSES.index(response)
        found = [areas(images[name, d][:, place], networks[d], **how) for d in sets]
        return [" / ".join(decimal(each[kind]) for each in found) for kind in found[0]]

    head = ["noise", "response", "score", "smoothed by, pixels", "floor", "patch", "blend", "C"]
    rows = [[n, "logit", s, "0.6", "3", *cells(n, score=s)] for n in NOISES for s in SCORES]
    best = "sparse, 10 %"
    rows += [[best, r, "highest", "0.6", "3", *cells(best, r)] for r in RESPONSES[1:]]
    for smooth, floor in ((0, 3), (1, 3), (2, 3), (0.6, 0), (0.6, 1), (0.6, 10)):
        how = [best, "logit", "highest", f"{smooth:g}", f"{floor:g}"]
        rows.append([*how, *cells(best, smooth=smooth, floor=floor)])
    print(markdown(head, rows))


if __name__ == "__main__":
    main()
