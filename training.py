"""The networks of the demonstration: their recipes, and training, saving and loading them."""

import collections.abc
import dataclasses
import json
import sys
import time
import zipfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import data
from alexnet import AlexNet
from lenet import LeNet
from reverse_correlation import UserError, WhiteNoise, backend, load_any_network
from reverse_correlation.files import replacing

VALIDATION_IMAGES = 5_000  # the last training images, on which all choices are made
NOISY_BLOCK = 1_000  # training images to which noise is added at once
NOISY_FIRST = 2**41  # index of the first block of that noise, which no pass reaches
SHIPPED = Path(__file__).resolve().parent / "models"  # the trained networks in this repository
DATASET_TITLES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network is trained; chosen on the validation split."""

    epochs: int  # how many times it sees the training images
    batch: int  # images per step
    rate: float  # Adam's initial learning rate, which falls on a cosine schedule


@dataclasses.dataclass(frozen=True)
class TrainedNetwork:
    """A network of the demonstration."""

    build: collections.abc.Callable  # its class, of an image's shape and the number of classes
    title: str  # what figures call it
    recipes: dict  # {data set: Recipe}
    part3: str  # in the names of the figures of Part 3
    part4: str  # and in those of Part 4
    convolutions: tuple  # names of the first and the last one, whose filters Part 4 measures


NETWORKS = {  # to add a network, write its class and add an entry
    "lenet": TrainedNetwork(
        build=LeNet,
        title="LeNet",
        recipes={
            "mnist": Recipe(epochs=6, batch=128, rate=3e-3),
            "fashion_mnist": Recipe(epochs=6, batch=64, rate=2e-3),
        },
        part3="lenet",
        part4="le",
        convolutions=("conv1", "conv2"),
    ),
    "alexnet": TrainedNetwork(
        build=AlexNet,
        title="AlexNet",
        recipes={
            "mnist": Recipe(epochs=5, batch=64, rate=1.5e-3),
            "fashion_mnist": Recipe(epochs=6, batch=64, rate=1.5e-3),
        },
        part3="alex",
        part4="alex",
        convolutions=("conv1", "conv3"),
    ),
}


def place(name, dataset):
    """Return what figures call a network on a data set, such as "LeNet on MNIST"."""
    return f"{NETWORKS[name].title} on {DATASET_TITLES[dataset]}"


def load_splits(dataset):
    """Load a data set, see `data.load_data`: (images, labels) to train, to validate and to test."""
    train_set, test = data.load_data(dataset)
    return *split(*train_set), test


def split(images, labels):
    """Split images and labels in two; the second, the last 5,000 or tenth, is to validate."""
    end = max(1, len(images) - min(VALIDATION_IMAGES, len(images) // 10))
    return (images[:end], labels[:end]), (images[end:], labels[end:])


def load_or_train(
    name, dataset, train_set, validation, *, folder, epochs=None, seed=0, retrain=False,
    shipped=SHIPPED,
):  # fmt: skip
    """Load a network of the demonstration, or train it and save it in a folder.

    A network that was trained for fewer epochs than are now asked for, or with another seed, is
    trained again.

    Args:
        name: of the network, in NETWORKS.
        dataset: "mnist" or "fashion_mnist".
        train_set, validation: each (images, labels).
        folder: where `{dataset}_{name}.keras` is or will be.
        epochs: instead of the recipe's.
        seed: of the training.
        retrain: whether to train even if the file exists.
        shipped: folder of trained networks, used if `folder` lacks the file.

    Raises:
        UserError: if there is no such network, or its file is damaged or for other data.
    """
    if name not in NETWORKS:
        raise UserError(f"there is no network {name!r}: choose from {', '.join(NETWORKS)}")
    path = folder / f"{dataset}_{name}.keras"
    saved = path if path.exists() else shipped / path.name
    entry = NETWORKS[name]
    recipe = entry.recipes[dataset]
    epochs = epochs or recipe.epochs
    if saved.exists() and not retrain:
        network, training = load_network(saved, *train_set)
        enough = training.get("epochs", epochs) >= epochs
        if enough and training.get("seed", seed) == seed:
            print(f"{entry.title}: loaded {saved}, {describe_training(training)}")
            return network
        print(
            f"{entry.title}: {saved} had {training['epochs']} epochs, seed {training['seed']}; "
            f"{epochs} epochs, seed {seed} are wanted: training again"
        )
    recipe = dataclasses.replace(recipe, epochs=epochs)
    return train_and_save(name, dataset, train_set, validation, path, recipe=recipe, seed=seed)


def train_and_save(name, dataset, train_set, validation, path, *, recipe, seed, noisy_share=0.0):
    """Train a network of the demonstration, save it with a record of its training, and return it.

    White noise is added to a share of the training images by `with_noise`; `path` is that of the
    file. The rest is as in `load_or_train`.
    """
    images, labels = train_set
    entry = NETWORKS[name]
    print(f"{place(name, dataset)}: training, epochs: {recipe.epochs}, seed: {seed}")
    started = time.monotonic()
    network, accuracy = train(
        entry.build,
        with_noise(images, noisy_share, seed) if noisy_share else images,
        labels,
        int(labels.max()) + 1,
        recipe,
        seed=seed,
        name=f"{name}_{dataset}",
        validation=validation,
    )
    training = {
        **training_record(recipe, images, seed, noisy_share),
        "tensorflow": tf.__version__,
        "machine": backend.machine(),
        "seconds": round(time.monotonic() - started),
        "validation_accuracy": accuracy,
    }
    save_network(network, training, path)
    print(f"{entry.title}: saved {path}, {describe_training(training)}")
    return network


def training_record(recipe, images, seed, noisy_share=0.0):
    """Return what a training depends on, as the network's file keeps it."""
    record = {**dataclasses.asdict(recipe), "images": len(images), "seed": seed}
    return {**record, "noisy_share": noisy_share} if noisy_share else record


def with_noise(images, share, seed):
    """Add Gaussian white noise to a share of images, chosen by the seed: (n, h, w, c) float32.

    The noise has the default contrast, that of uniform noise. It is drawn once and not clipped.
    """
    images = images.copy()
    chosen = np.random.default_rng([seed, 2]).permutation(len(images))[: round(share * len(images))]
    noise = WhiteNoise(shape=images.shape[1:], orthogonal=False)
    for block, first in enumerate(range(0, len(chosen), NOISY_BLOCK)):
        part = chosen[first : first + NOISY_BLOCK]
        images[part] += noise.fluctuation(noise.xi(seed, NOISY_FIRST + block, len(part))).numpy()
    return images


def train(build, images, labels, classes, recipe, *, seed, name=None, validation=None):
    """Train a network; return it without its optimizer, and its validation accuracy or None.

    Args:
        build, recipe: see TrainedNetwork.
        images, labels: (n, h, w, c) in [0, 1], and (n,).
        seed: of the initial weights and the order of images.
        validation: (images, labels) for the accuracy; without it, nothing is printed.
    """
    keras.utils.set_random_seed(seed)
    network = build(images.shape[1:], classes, name=name)
    batches = tf.data.Dataset.from_tensor_slices((images, labels))
    batches = batches.shuffle(len(images), seed=seed).batch(recipe.batch)
    steps = recipe.epochs * len(batches)
    network.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(recipe.rate, steps)),
        loss="sparse_categorical_crossentropy",  # of probabilities: the networks end in a softmax
        metrics=["accuracy"],
        jit_compile=bool(tf.config.list_physical_devices("GPU")),  # XLA triples the time on a CPU
        steps_per_execution=8,  # returns to Python less often
    )
    verbose = 1 if sys.stdout.isatty() else 2
    history = network.fit(
        batches.prefetch(4),
        epochs=recipe.epochs,
        validation_data=validation,
        validation_batch_size=1000,
        shuffle=False,  # the data set shuffles itself
        verbose=verbose if validation else 0,
    )
    bare = build(images.shape[1:], classes, name=network.name)
    bare.set_weights(network.get_weights())
    return bare, float(history.history["val_accuracy"][-1]) if validation else None


def describe_training(training):
    """Say in half a sentence how a network was trained."""
    if not training:
        return "without a record of its training"
    return (
        f"epochs: {training['epochs']}, seconds: {training['seconds']}, seed: {training['seed']}, "
        f"{training['validation_accuracy']:.2%} on the validation split"
    )


def save_network(network, training, path):
    """Write a `.keras` file with a record of the training, whole or not at all."""
    with replacing(path) as part:
        network.save(part)
        with zipfile.ZipFile(part, "a") as archive:
            archive.writestr("training.json", json.dumps(training))


def load_network(path, images, labels):
    """Read a network for images and labels such as these, and the record of its training.

    Raises:
        UserError: if the file is damaged, or the network is for other images or classes.
    """
    try:
        network = load_any_network(path)
        with zipfile.ZipFile(path) as archive:
            known = "training.json" in archive.namelist()
            training = json.loads(archive.read("training.json")) if known else {}
    except (ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"{error}; delete it or use --retrain") from error
    taken, answered = tuple(network.inputs[0].shape[1:]), network.outputs[0].shape[-1]
    shape, classes = images.shape[1:], int(labels.max()) + 1
    if (taken, answered) != (shape, classes):
        raise UserError(
            f"{path} takes images of {taken} and answers {answered} classes, but the data has "
            f"{shape} and {classes}: delete it or use --retrain"
        )
    return network, training
