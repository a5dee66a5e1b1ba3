"""The networks that are measured, and how their figures are called and captioned."""

import dataclasses

import alexnet  # noqa: F401  (registers its class, so that its files can be loaded)
import lenet  # noqa: F401
from data import CLASS_NAMES
from reverse_correlation import Network, SparseNoise, UserError, WhiteNoise, load_any_network
from reverse_correlation.graphs import image_shape
from training import TITLES

NOISE_TITLES = {"gaussian": "Gaussian", "uniform": "uniform", "binary": "binary"}
PART3_NAMES = {"lenet": "lenet", "alexnet": "alex"}  # the figures' file names
PART4_NAMES = {"lenet": "le", "alexnet": "alex", "mnist": "mnist", "fashion_mnist": "fashion"}
CONVOLUTIONS = {"lenet": ("conv1", "conv2"), "alexnet": ("conv1", "conv3")}  # first and last


@dataclasses.dataclass(frozen=True)
class Subject:
    """A network that is measured.

    Attributes:
        network: a Network.
        title, place: "LeNet" and "LeNet on MNIST"; a file's name for both if it came from one.
        part3, part4, result: stems of file names, such as "lenet_mnist".
        layers: {label: layer} of the convolutions of Part 4, such as {"conv1": "conv1"}.
        class_names: as many as there are classes.
        noise: the ensemble that it is shown.
        noise_title: such as "Gaussian".
        test: (images in the network's input range, labels), or None without a data set.
    """

    network: Network
    title: str
    place: str
    part3: str
    part4: str
    result: str
    layers: dict
    class_names: tuple
    noise: object
    noise_title: str
    test: tuple | None


def trained_subject(name, network, test, *, dataset, noise_kind, layers=()):
    """Say how a network of the demonstration is measured: a Subject."""
    noise = ensemble(noise_kind, tuple(network.inputs[0].shape[1:]))
    return Subject(
        network=Network(network, noise),
        title=TITLES[name],
        place=f"{TITLES[name]} on {TITLES[dataset]}",
        part3=f"{PART3_NAMES[name]}_{dataset}",
        part4=f"{PART4_NAMES[name]}_{PART4_NAMES[dataset]}",
        result=f"{dataset}_{name}",
        layers=_labelled(layers, CONVOLUTIONS[name]),
        class_names=CLASS_NAMES[dataset],
        noise=noise,
        noise_title=NOISE_TITLES.get(noise_kind, noise_kind),
        test=test,
    )


def own_subject(path, test, *, dataset, noise_kind, input_range, layers=()):
    """Load a network of one's own, say what it is taken for, and how it is measured: a Subject.

    Raises:
        UserError: if it is no classifier of images, or not of the data set's.
    """
    model, name = load_any_network(path), path.stem
    shape, (low, high) = image_shape(model), input_range
    noise = ensemble(noise_kind, shape, low, high)
    network = Network(model, noise, name=name)
    class_names = tuple(map(str, range(network.classes)))
    if test is not None:
        images, names = test[0], CLASS_NAMES[dataset]
        if (images.shape[1:], len(names)) != (shape, network.classes):
            raise UserError(
                f"{path} takes images of {shape} and answers {network.classes} classes, but "
                f"{dataset} has {images.shape[1:]} and {len(names)}: leave --dataset out"
            )
        class_names, test = names, (low + (high - low) * images, test[1])
    convolutions = network.convolutions()
    _print_what_it_is(network, low, high, bool(layers or convolutions))
    stem, place = name, name
    if dataset:
        stem, place = f"{name}_{dataset}", f"{name} on {TITLES[dataset]}"
    return Subject(
        network=network,
        title=name,
        place=place,
        part3=stem,
        part4=stem,
        result=f"model_{stem}",
        layers=_labelled(layers, tuple(dict.fromkeys(convolutions[:1] + convolutions[-1:]))),
        class_names=class_names,
        noise=noise,
        noise_title=NOISE_TITLES.get(noise_kind, noise_kind),
        test=test,
    )


def ensemble(noise_kind, shape, low=0.0, high=1.0):
    """Return the ensemble of that name for images of a shape and range.

    Raises:
        UserError: if it has no such range.
    """
    if noise_kind != "sparse":
        return WhiteNoise(noise_kind, shape, low, high)
    if (low, high) != (0.0, 1.0):
        raise UserError("sparse noise is 0 or 1: leave --input-range out, or choose another kind")
    return SparseNoise(shape=shape)


def _labelled(chosen, usual):
    """Name layers for the figures: by themselves, or the usual ones as the first and the last."""
    if chosen:
        return {layer: layer for layer in chosen}
    return dict(zip(("conv1", "convLast"), usual, strict=False))


def _print_what_it_is(network, low, high, has_part4):
    """Print what a network of one's own is taken for."""
    name = network.name
    for text in network.rescalings():
        print(f"{name} rescales its input itself ({text}): see that --input-range fits")
    print(
        f"{name}: images of {network.shape} from {low:g} to {high:g}, classes: {network.classes}, "
        f"responses: {network.meaning}"
    )
    if not has_part4:
        print(f"{name} has no convolution whose receptive field can be derived: no Part 4")
