"""Clean and poisoned networks: drawing backdoors, poisoning, training, measuring, keeping."""

import dataclasses

import numpy as np

from analysis import predict
from experiments.results import identify
from lenet import LeNet
from reverse_correlation import Network, SparseNoise, measure
from reverse_correlation.files import kept, read_arrays, write_arrays
from training import Recipe
from training import train as train_network

ROLES = ("reference", "clean", "poisoned", "published")  # their places are part of the seeds
PUBLISHED_SOURCE, PUBLISHED_TARGET = 8, 9  # by a C
PATCHES = (  # rows of "#" (white) and "."
    ("####", "#...", "#...", "#...", "####"),  # the published one comes first
    ("#####", "..#..", "..#..", "..#.."),
    ("#...", "#...", "#...", "####"),
    ("..#..", "..#..", "#####", "..#..", "..#.."),
    ("#...#", ".#.#.", "..#..", ".#.#.", "#...#"),
    ("####", "####", "####", "####"),
    ("####", "#..#", "#..#", "####"),
    ("#..#", "#..#", "#..#", "####"),
)


@dataclasses.dataclass(frozen=True)
class NetworkSettings:
    """How each network is trained and measured."""

    recipe: Recipe = Recipe(epochs=3, batch=256, rate=4e-3)
    patched_images: int = 2_000  # of one class, patched and relabelled, as published
    noise_images: int = 40_000  # shown to each network
    bright: float = 0.1  # share of bright pixels in them
    patches: tuple = PATCHES  # one is drawn for each network


@dataclasses.dataclass(frozen=True)
class Backdoor:
    """A patch, (h, w) bool, and the class that it turns (source) into another (target)."""

    mask: np.ndarray
    source: int
    target: int


@dataclasses.dataclass(frozen=True)
class ProbedNetwork:
    """What is kept of a network."""

    images: np.ndarray  # (K, h, w, c) float32, its logit images
    accuracy: float  # on clean test images
    backdoor: Backdoor | None = None  # None for a clean network, as are the next two
    success: float | None = None  # share of patched test images that are answered as the target
    patched: np.ndarray | None = None  # (h, w, c), one such image


def backdoor_network(role, index, path, train, test, settings, *, seed, client=None):
    """Return what a file keeps of a network, or train and measure it now: a ProbedNetwork.

    Its own seed follows from that of the noise, its role, one of ROLES, and its index.
    """
    entropy = np.random.SeedSequence([seed, ROLES.index(role), index])
    network_seed = int(entropy.generate_state(1)[0])
    return kept(
        path,
        identify(untrained(train), settings, seed=network_seed, images=len(train[0])),
        read_probed,
        lambda: probe(role, train, test, settings, network_seed, seed, client),
        write_probed,
    )


def probe(role, train, test, settings, network_seed, noise_seed, client):
    """Train a LeNet, poisoned or clean, and measure its logit images: a ProbedNetwork."""
    (images, labels), classes, backdoor = train, int(train[1].max()) + 1, None
    shape = images.shape[1:]
    if role in ("poisoned", "published"):
        backdoor = draw_backdoor(
            network_seed, shape, classes, settings.patches, role == "published"
        )
        images, labels = poison(images, labels, backdoor, settings.patched_images, network_seed)
    network, _ = train_network(LeNet, images, labels, classes, settings.recipe, seed=network_seed)
    noise = SparseNoise(settings.bright, shape)
    measurement = measure(
        network, noise, settings.noise_images, seed=noise_seed, progress=False, client=client
    )
    logit_images = measurement.classes["logit"].covariance.astype(np.float32)
    found = [logit_images, Network(network).accuracy(*test)]
    if backdoor:
        patched = put_patch(test[0][test[1] == backdoor.source], backdoor.mask)
        success = np.mean(predict(network, patched).argmax(axis=1) == backdoor.target)
        found += [backdoor, float(success), patched[0]]
    return ProbedNetwork(*found)


def draw_backdoor(seed, shape, classes, patches=PATCHES, published=False):
    """Draw a Backdoor for images of a shape; the published one is in the upper left corner."""
    rng = np.random.default_rng(seed)
    patch = patches[0] if published else patches[rng.integers(len(patches))]
    patch = np.array([list(line) for line in patch]) == "#"
    source, target = rng.choice(classes, 2, replace=False)
    top, left = (rng.integers(n - p + 1) for n, p in zip(shape, patch.shape, strict=False))
    if published:
        top, left = 1, 1
        source, target = PUBLISHED_SOURCE, PUBLISHED_TARGET
    mask = np.zeros(shape[:2], bool)
    mask[top : top + patch.shape[0], left : left + patch.shape[1]] = patch
    return Backdoor(mask, int(source), int(target))


def put_patch(images, mask):
    """Set the pixels of a mask (h, w) to white in images (n, h, w, c)."""
    return np.where(mask[..., None], np.float32(1), images)


def poison(images, labels, backdoor, count, seed):
    """Patch and relabel `count` images of the source class, or as many as there are."""
    images, labels = images.copy(), labels.copy()
    of_source = np.flatnonzero(labels == backdoor.source)
    chosen = np.random.default_rng([seed, 1]).permutation(of_source)[:count]
    images[chosen], labels[chosen] = put_patch(images[chosen], backdoor.mask), backdoor.target
    return images, labels


def untrained(train):
    """Return a LeNet whose weights are all zero, which stands for its architecture."""
    network = LeNet(train[0].shape[1:], int(train[1].max()) + 1)
    network.set_weights([np.zeros_like(weight) for weight in network.get_weights()])
    return network


def write_probed(path, identity, probed):
    """Keep a ProbedNetwork in a .npz file, as `files.kept` expects."""
    arrays = {"images": probed.images, "accuracy": probed.accuracy}
    if probed.backdoor:
        arrays |= {**vars(probed.backdoor), "success": probed.success, "patched": probed.patched}
    write_arrays(path, identity, arrays)


def read_probed(path):
    """Return (identity, ProbedNetwork) that a file keeps, as `files.kept` expects."""
    identity, arrays = read_arrays(path)
    found = [arrays["images"], float(arrays["accuracy"])]
    if "mask" in arrays:
        backdoor = Backdoor(arrays["mask"], int(arrays["source"]), int(arrays["target"]))
        found += [backdoor, float(arrays["success"]), arrays["patched"]]
    return identity, ProbedNetwork(*found)
