"""Clean and poisoned networks: trained, measured, and kept, each in two files of its own."""

import dataclasses
import functools

import numpy as np

from experiments.backdoor_protocols import KINDS, Backdoor, draw_backdoor, poison
from experiments.backdoor_training import Trainer
from experiments.results import identify
from reverse_correlation import SparseNoise, measure
from reverse_correlation.files import kept, read_arrays, write_arrays
from training import NETWORKS, Recipe

ROLES = ("reference", "clean", *KINDS)  # their places are part of the seeds


@dataclasses.dataclass(frozen=True)
class Training:
    """How each network is trained."""

    network: str = "lenet"  # a name in `training.NETWORKS`
    recipe: Recipe = Recipe(epochs=3, batch=256, rate=4e-3)
    patched_images: int = 2_000  # of one class, patched and relabelled, by the published backdoor


@dataclasses.dataclass(frozen=True)
class NetworkSettings:
    """How each network is trained and measured."""

    training: Training = Training()
    noise_images: int = 40_000  # shown to each network
    bright: float = 0.1  # share of bright pixels in them


@dataclasses.dataclass(frozen=True)
class TrainedNetwork:
    """What is kept of a trained network."""

    weights: tuple  # of arrays
    accuracy: float  # on clean test images
    backdoor: Backdoor | None = None  # None for a clean network, as are the next two
    success: float | None = None  # share of patched test images that are answered as the target
    patched: np.ndarray | None = None  # (h, w, c), one such image


@dataclasses.dataclass(frozen=True)
class ProbedNetwork:
    """What is kept of a network that was shown noise; all but the images as above."""

    images: np.ndarray  # (K, h, w, c) float32, its logit images
    accuracy: float
    backdoor: Backdoor | None = None
    success: float | None = None
    patched: np.ndarray | None = None


def probed_network(task, train, test, settings, seed, stem, client=None):
    """Return what a file keeps of a network, or train and measure it now: a ProbedNetwork.

    All networks are shown the same noise. Where the noise has changed but not the training, what
    was trained is measured anew. Arguments are as for `trained_network`, but `settings` are
    NetworkSettings.
    """

    def compute():
        trained = trained_network(task, train, test, settings.training, seed, stem)
        network = build(train, settings.training.network)
        network.set_weights(trained.weights)
        noise = SparseNoise(settings.bright, train[0].shape[1:])
        how = {"seed": seed, "progress": False, "client": client}
        images = measure(network, noise, settings.noise_images, **how).classes["logit"].covariance
        known = (getattr(trained, field.name) for field in dataclasses.fields(trained)[1:])
        return ProbedNetwork(images.astype(np.float32), *known)

    return kept(
        path_of(task, seed, stem, "images"),
        identity_of(task, train, settings, settings.training.network, seed),
        read_probed,
        compute,
        write_probed,
    )


def trained_network(task, train, test, settings, seed, stem):
    """Return what a file keeps of a trained network, or train it now: a TrainedNetwork.

    Args:
        task: (role, index), the first one of ROLES; the network's own seed follows from them and
            from `seed`.
        train, test: each (images, labels).
        settings: a Training.
        stem: path of the file as far as it is the same for all networks.
    """
    return kept(
        path_of(task, seed, stem, "weights"),
        identity_of(task, train, settings, settings.network, seed),
        read_trained,
        lambda: train_one(task[0], train, test, settings, own_seed(task, seed)),
        write_trained,
    )


def path_of(task, seed, stem, what):
    """Return the file of one of the networks: of its "weights" or its "images"."""
    role, index = task
    return stem.with_name(f"{stem.name}_{role}{index}_seed{seed}_{what}.npz")


def own_seed(task, seed):
    """Return the seed of a network (role, index)."""
    role, index = task
    entropy = np.random.SeedSequence([seed, ROLES.index(role), index])
    return int(entropy.generate_state(1)[0])


def identity_of(task, train, settings, network, seed):
    """Return everything that what is kept of a network depends on."""
    own, images = own_seed(task, seed), len(train[0])
    return identify(untrained(train, network), settings, seed=own, images=images)


def train_one(role, train, test, settings, seed):
    """Train a network, poisoned or clean: a TrainedNetwork."""
    (images, labels), classes, backdoor = train, int(train[1].max()) + 1, None
    if role in KINDS:
        backdoor = draw_backdoor(role, seed, images.shape[1:3], classes)
        images, labels = poison(images, labels, backdoor, settings.patched_images, seed)
    trainer = trainer_of(settings.network, images.shape[1:], classes, settings.recipe)
    trainer.train(images, labels, seed)
    found = [tuple(trainer.network.get_weights())]
    found.append(float(np.mean(trainer.answers(test[0]) == test[1])))
    if backdoor:
        patched = backdoor.patched(*test)
        success = float(np.mean(trainer.answers(patched) == backdoor.target))
        found += [backdoor, success, patched[0]]
    return TrainedNetwork(*found)


@functools.lru_cache(maxsize=1)
def trainer_of(name, shape, classes, recipe):
    """Return the Trainer of an architecture; the same one, as long as no other is asked for."""
    return Trainer(NETWORKS[name].build, shape, classes, recipe)


def build(train, network="lenet"):
    """Return a network of an architecture, for images and labels such as these."""
    return NETWORKS[network].build(train[0].shape[1:], int(train[1].max()) + 1)


def untrained(train, network="lenet"):
    """Return a network whose weights are all zero, which stands for its architecture."""
    network = build(train, network)
    network.set_weights([np.zeros_like(weight) for weight in network.get_weights()])
    return network


def write_trained(path, identity, trained):
    """Keep a TrainedNetwork in a .npz file, as `files.kept` expects."""
    weights = {f"weight{k}": weight for k, weight in enumerate(trained.weights)}
    write_arrays(path, identity, {**weights, **known_of(trained)})


def read_trained(path):
    """Return (identity, TrainedNetwork) that a file keeps, as `files.kept` expects."""
    identity, arrays = read_arrays(path)
    count = sum(name.startswith("weight") for name in arrays)
    weights = tuple(arrays[f"weight{k}"] for k in range(count))
    return identity, TrainedNetwork(weights, *known_from(arrays))


def write_probed(path, identity, probed):
    """Keep a ProbedNetwork in a .npz file, as `files.kept` expects."""
    write_arrays(path, identity, {"images": probed.images, **known_of(probed)})


def read_probed(path):
    """Return (identity, ProbedNetwork) that a file keeps, as `files.kept` expects."""
    identity, arrays = read_arrays(path)
    return identity, ProbedNetwork(arrays["images"], *known_from(arrays))


def known_of(network):
    """Return as arrays what is known of a network besides weights or images."""
    known = {"accuracy": network.accuracy}
    if network.backdoor:
        known |= {**vars(network.backdoor), "success": network.success, "patched": network.patched}
    return known


def known_from(arrays):
    """Return the same from arrays: [accuracy, backdoor, success, patched], or the first alone."""
    known = [float(arrays["accuracy"])]
    if "pattern" in arrays:
        classes = int(arrays["source"]), int(arrays["target"])
        backdoor = Backdoor(arrays["pattern"], arrays["opacity"], *classes, float(arrays["share"]))
        known += [backdoor, float(arrays["success"]), arrays["patched"]]
    return known
