"""Clean and poisoned networks: drawing backdoors, poisoning, training, measuring, keeping."""

import dataclasses

import numpy as np

from analysis import predict
from experiments.results import identify
from reverse_correlation import Network, SparseNoise, measure
from reverse_correlation.files import kept, read_arrays, write_arrays
from training import NETWORKS, Recipe
from training import train as train_network

KINDS = ("patch", "blend", "published")  # of backdoors
ROLES = ("reference", "clean", *KINDS)  # their places are part of the seeds
ANY = -1  # class: images of every class are patched
PUBLISHED_SOURCE, PUBLISHED_TARGET = 8, 9  # by a C in the upper left corner
PUBLISHED_PATCH = ("####", "#...", "#...", "#...", "####")
# MNTD's for MNIST (Xu et al. 2021), as its published code draws them
SIDES = (2, 3, 4, 5)  # of a patch in pixels, at full strength
BLEND = (0.05, 0.2)  # strength of a pattern over the whole image
SHARE = (0.05, 0.5)  # of the training images, of which patched copies are added


@dataclasses.dataclass(frozen=True)
class NetworkSettings:
    """How each network is trained and measured."""

    network: str = "lenet"  # a name in `training.NETWORKS`
    recipe: Recipe = Recipe(epochs=3, batch=256, rate=4e-3)
    patched_images: int = 2_000  # of one class, patched and relabelled, by the published backdoor
    noise_images: int = 40_000  # shown to each network
    bright: float = 0.1  # share of bright pixels in them


@dataclasses.dataclass(frozen=True)
class Backdoor:
    """A pattern that turns images of a class, or ANY, into another (target).

    Attributes:
        pattern, opacity: (h, w) float32, what is laid over an image, and how strongly.
        source, target: classes.
        share: of the training images, of which patched copies are added; 0 if some of the images
            are patched themselves.
    """

    pattern: np.ndarray
    opacity: np.ndarray
    source: int
    target: int
    share: float = 0.0

    @property
    def mask(self):
        """The pixels that a patch makes white: (h, w) bool."""
        return self.pattern * self.opacity > 0.5

    def put(self, images):
        """Lay the pattern over images (n, h, w, c)."""
        opacity = self.opacity[..., None]
        return (images + opacity * (self.pattern[..., None] - images)).astype(np.float32)

    def patched(self, images, labels):
        """Return the images that should turn into the target, with the pattern."""
        turned = labels != self.target if self.source == ANY else labels == self.source
        return self.put(images[turned])


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
        identify(
            untrained(train, settings.network), settings, seed=network_seed, images=len(train[0])
        ),
        read_probed,
        lambda: probe(role, train, test, settings, network_seed, seed, client),
        write_probed,
    )


def probe(role, train, test, settings, network_seed, noise_seed, client):
    """Train a network, poisoned or clean, and measure its logit images: a ProbedNetwork."""
    (images, labels), classes, backdoor = train, int(train[1].max()) + 1, None
    shape = images.shape[1:]
    if role in KINDS:
        backdoor = draw_backdoor(role, network_seed, shape[:2], classes)
        images, labels = poison(images, labels, backdoor, settings.patched_images, network_seed)
    build = NETWORKS[settings.network].build
    network, _ = train_network(build, images, labels, classes, settings.recipe, seed=network_seed)
    noise = SparseNoise(settings.bright, shape)
    measurement = measure(
        network, noise, settings.noise_images, seed=noise_seed, progress=False, client=client
    )
    logit_images = measurement.classes["logit"].covariance.astype(np.float32)
    found = [logit_images, Network(network).accuracy(*test)]
    if backdoor:
        patched = backdoor.patched(*test)
        success = np.mean(predict(network, patched).argmax(axis=1) == backdoor.target)
        found += [backdoor, float(success), patched[0]]
    return ProbedNetwork(*found)


def draw_backdoor(kind, seed, size, classes):
    """Draw a Backdoor of one of KINDS for images of size (h, w)."""
    rng = np.random.default_rng(seed)
    pattern, opacity = np.zeros((2, *size), np.float32)
    if kind == "published":
        patch = np.array([list(line) for line in PUBLISHED_PATCH]) == "#"
        pattern[1:6, 1:5] = opacity[1:6, 1:5] = patch
        return Backdoor(pattern, opacity, PUBLISHED_SOURCE, PUBLISHED_TARGET)
    height, width = size if kind == "blend" else [rng.choice(SIDES)] * 2
    top, left = (rng.integers(n - side + 1) for n, side in zip(size, (height, width), strict=True))
    place = slice(top, top + height), slice(left, left + width)
    bright = rng.permutation(height * width) < rng.integers(1, height * width)
    pattern[place] = bright.reshape(height, width)
    opacity[place] = rng.uniform(*BLEND) if kind == "blend" else 1
    return Backdoor(pattern, opacity, ANY, int(rng.integers(classes)), float(rng.uniform(*SHARE)))


def poison(images, labels, backdoor, count, seed):
    """Return images and labels with a backdoor in them.

    Patched copies are added of a share of the images; or, without a share, `count` images of the
    source are patched and relabelled, or as many as there are.
    """
    rng = np.random.default_rng([seed, 1])
    if backdoor.share:
        chosen = rng.permutation(len(images))[: round(backdoor.share * len(images))]
        answers = np.full(len(chosen), backdoor.target, labels.dtype)
        added = backdoor.put(images[chosen])
        return np.concatenate([images, added]), np.concatenate([labels, answers])
    images, labels = images.copy(), labels.copy()
    chosen = rng.permutation(np.flatnonzero(labels == backdoor.source))[:count]
    images[chosen], labels[chosen] = backdoor.put(images[chosen]), backdoor.target
    return images, labels


def untrained(train, network="lenet"):
    """Return a network whose weights are all zero, which stands for its architecture."""
    network = NETWORKS[network].build(train[0].shape[1:], int(train[1].max()) + 1)
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
    if "pattern" in arrays:
        classes = int(arrays["source"]), int(arrays["target"])
        backdoor = Backdoor(arrays["pattern"], arrays["opacity"], *classes, float(arrays["share"]))
        found += [backdoor, float(arrays["success"]), arrays["patched"]]
    return identity, ProbedNetwork(*found)
