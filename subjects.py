"""The networks that are measured, what they are shown, and how their figures are called."""

import dataclasses

import keras
import numpy as np
from PIL import Image, UnidentifiedImageError

import alexnet  # noqa: F401  (registers its class, so that its files can be loaded)
import lenet  # noqa: F401
from data import CLASS_NAMES
from reverse_correlation import (
    CoarseNoise,
    GaborNoise,
    Network,
    Observer,
    PinkNoise,
    SinusoidNoise,
    SparseNoise,
    UserError,
    WhiteNoise,
    load_any_network,
)
from reverse_correlation.observers.graphs import image_shape, input_shape
from reverse_correlation.passes.noise_pass import network_of
from training import TITLES

PART3_NAMES = {"lenet": "lenet", "alexnet": "alex"}  # the figures' file names
PART4_NAMES = {"lenet": "le", "alexnet": "alex", "mnist": "mnist", "fashion_mnist": "fashion"}
CONVOLUTIONS = {"lenet": ("conv1", "conv2"), "alexnet": ("conv1", "conv3")}  # first and last
FITTED_IMAGES = 5_000  # training images that Gabor-PCA noise is fitted to, as published


@dataclasses.dataclass(frozen=True)
class Shown:
    """One ensemble that a network is shown.

    Attributes:
        title: such as "pure noise".
        stem: what is added to the names of files; "" for the first.
        noise: the ensemble.
    """

    title: str
    stem: str
    noise: object


@dataclasses.dataclass(frozen=True)
class Subject:
    """A network that is measured.

    Attributes:
        network: a Network, or an Observer.
        title, place: "LeNet" and "LeNet on MNIST"; a file's name for both if it came from one.
        part3, part4, result: stems of file names, such as "lenet_mnist".
        layers: {label: layer} of the convolutions of Part 4, such as {"conv1": "conv1"}; empty
            where there is no Part 4.
        class_names: of the classes that are measured.
        shown: what it is shown, a Shown each; Part 4 is measured with the first.
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
    shown: tuple
    test: tuple | None


def trained_subject(name, model, test, shown, *, dataset, layers=()):
    """Say how a network of the demonstration is measured: a Subject.

    Args:
        name, dataset: "lenet" or "alexnet", "mnist" or "fashion_mnist".
        model: the Keras model.
        test: (images, labels).
        shown: a tuple of Shown.
        layers: of Part 4, other than the first and the last.
    """
    return Subject(
        network=Network(model, shown[0].noise),
        title=TITLES[name],
        place=f"{TITLES[name]} on {TITLES[dataset]}",
        part3=f"{PART3_NAMES[name]}_{dataset}",
        part4=f"{PART4_NAMES[name]}_{PART4_NAMES[dataset]}",
        result=f"{dataset}_{name}",
        layers=part4_layers(layers, CONVOLUTIONS[name], shown[0].noise),
        class_names=CLASS_NAMES[dataset],
        shown=shown,
        test=test,
    )


def own_subject(
    path,
    test,
    make_shown,
    *,
    dataset,
    input_range,
    normalisation=((), ()),
    channels=None,
    classes=(),
    layers=(),
    class_names=(),
):
    """Load a network of one's own, say what it is taken for, and how it is measured: a Subject.

    Args:
        path: of the file.
        test: (images in [0, 1], labels), or None.
        make_shown: called with the shape of its images, returns a Shown.
        dataset: their name, or None.
        input_range: (low, high) of the pixels that it expects.
        normalisation: (means, deviations) that bring its channels to mean 0 and deviation 1; empty
            for none.
        channels: "first" or "last", of an ONNX file whose shape does not tell.
        classes: numbers of those that are measured; empty for all.
        layers: of Part 4, other than the first and the last.
        class_names: other than those of the data set, or 0, 1, 2.

    Raises:
        UserError: if it is no classifier of images, or not of the data set's.
    """
    model, name = load_any_network(path, channels), path.stem
    shape, (low, high) = shape_of(model, path), input_range
    if normalisation[0]:
        model = normalised(model, shape, *normalisation)
    shown = make_shown(shape)
    if not isinstance(model, Observer):
        model = Network(model, shown.noise, name=name)
    network = network_of(model, shown.noise, only=classes)
    if test is not None:
        images = test[0]
        if (images.shape[1:], len(CLASS_NAMES[dataset])) != (shape, network.classes):
            raise UserError(
                f"{path} takes images of {shape} and answers {network.classes} classes, but "
                f"{dataset} has {images.shape[1:]} and {len(CLASS_NAMES[dataset])}: leave "
                "--dataset out"
            )
        class_names = class_names or CLASS_NAMES[dataset]
        test = low + (high - low) * images, test[1]
    class_names = tuple(class_names or map(str, range(network.classes)))
    if len(class_names) == network.classes:
        class_names = tuple(class_names[k] for k in network.measured)
    if len(class_names) != len(network.measured):
        raise UserError(
            f"{len(class_names)} class names for the {network.classes} classes of {path}: give one "
            "each, in the order of the network's outputs"
        )
    convolutions = network.convolutions()
    usual = tuple(dict.fromkeys(convolutions[:1] + convolutions[-1:]))
    chosen = part4_layers(layers, usual, shown.noise)
    _print_what_it_is(network, low, high, bool(convolutions), bool(chosen))
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
        layers=chosen,
        class_names=class_names,
        shown=(shown,),
        test=test,
    )


def shape_of(model, path):
    """Return the shape (h, w, c) of the images that a Keras model or an Observer takes.

    Raises:
        UserError: if it takes something else, or images of any size.
    """
    if not isinstance(model, Observer):
        return image_shape(model)
    if model.shape is None:
        raise UserError(
            f"{path} takes images of any size: fix it, as by python -m onnxruntime.tools."
            "make_dynamic_shape_fixed --input_name INPUT --input_shape 1,3,224,224"
        )
    return model.shape


def normalised(model, shape, means, deviations):
    """Return a Keras model, or an Observer, that is shown (image - mean) / deviation.

    Args:
        model: a Keras model or an Observer.
        shape: (h, w, c) of its images.
        means, deviations: one a channel, or one for all.

    Raises:
        UserError: for another number of them.
    """
    for name, values in (("mean", means), ("std", deviations)):
        if len(values) not in (1, shape[2]):
            raise UserError(
                f"--input-{name} has {len(values)} numbers, but the network takes {shape[2]} "
                f"channel{'s' if shape[2] > 1 else ''}: give as many, or one for all"
            )
    means, deviations = (np.broadcast_to(v, shape[2]).astype(float) for v in (means, deviations))
    if isinstance(model, Observer):
        return model.normalised(means, deviations)
    images = keras.Input(input_shape(model))
    scale = keras.layers.Rescaling((1 / deviations).tolist(), (-means / deviations).tolist())
    return keras.Model(images, model(scale(images)), name=model.name)


def part4_layers(chosen, usual, noise):
    """Name the layers of Part 4 for the figures; none where the noise is not white about grey.

    Receptive fields are measured with pure noise: about an image, each place has another base, and
    coloured noise blurs them.
    """
    if not noise.is_white or np.ndim(noise.mean):
        return {}
    if chosen:
        return {layer: layer for layer in chosen}
    return dict(zip(("conv1", "convLast"), usual, strict=False))


# ----------------------------------------------------------------------- what is shown


def ensemble(kind, shape, input_range=(0.0, 1.0), base=None, contrast=None, images=None):
    """Return the ensemble of that name for images of a shape and range.

    Args:
        kind: of `--noise-kind`.
        shape: (h, w, c).
        input_range: (low, high).
        base: a number, an image (h, w, c), or None for the middle of the range.
        contrast: as a share of the range, or None for the usual one.
        images: (n, h, w, 1), which Gabor-PCA noise is fitted to.

    Raises:
        UserError: for what the ensemble does not have.
    """
    given = {"shape": tuple(shape), "low": input_range[0], "high": input_range[1]}
    if kind == "sparse":
        if base is not None or contrast is not None:
            raise UserError("sparse noise has a base and a contrast of its own: leave them out")
        return SparseNoise(**given)
    if kind == "gabor":
        if images is None:
            raise UserError("gabor noise is fitted to training images: name a --dataset")
        if contrast is not None:
            raise UserError("gabor noise has the contrast of its training images: leave it out")
        return GaborNoise.fit(images[:FITTED_IMAGES], base=fitted(base, shape))
    given |= {"base": base, "contrast": contrast}
    if kind in ("gaussian", "uniform", "binary"):
        return WhiteNoise(kind, **given)
    structured = {
        "coarse": CoarseNoise,
        "pink": PinkNoise,
        "sinusoid": SinusoidNoise,
    }
    return structured[kind](**given)


def fitted(base, shape):
    """Return a base as an image of a shape; None as it is."""
    return None if base is None else np.broadcast_to(np.float32(base), shape)


def read_base(text, shape, input_range, mean_image=None):
    """Read the base that `--base` names, and say what was done to an image file.

    Args:
        text: a number, "mean", the path of an image file, or "" for none.
        shape: (h, w, c) of the network's images.
        input_range: (low, high), to which black and white are brought.
        mean_image: (h, w, c), the mean training image, in [0, 1]; None without a data set.

    Returns:
        (base, title): a number, an array (h, w, c) or None; and how it is called.

    Raises:
        UserError: if it is none of these, or does not fit the network.
    """
    low, high = input_range
    if not text:
        return None, ""
    if text == "mean":
        if mean_image is None:
            raise UserError("--base mean is the mean training image: name a --dataset")
        return low + (high - low) * mean_image, "the mean training image"
    if is_image_file(text):
        return low + (high - low) * read_image(text, shape), str(text).rpartition("/")[2]
    return float(text), f"grey {float(text):g}"


def is_image_file(base):
    """Say whether a base is neither a number nor "mean" nor "", so that it names an image file."""
    if base in ("", "mean"):
        return False
    try:
        float(base)
    except ValueError:
        return True
    return False


def look_at_image(path):
    """Return the (width, height) of an image file, and whether it has colours.

    Raises:
        UserError: if it cannot be read.
    """
    picture = _opened(path)
    coloured = len(picture.getbands()) >= 3 and np.ptp(np.asarray(picture), axis=2).any()
    return picture.size, bool(coloured)


def read_image(path, shape):
    """Read an image file, fitted to a shape, in [0, 1]: (h, w, c) float32.

    Raises:
        UserError: if it cannot be read, or has other channels.
    """
    height, width, channels = shape
    pixels, coloured = look_at_image(path)
    if channels not in (1, 3) or (coloured and channels == 1):
        has = "in colour" if coloured else "grey"
        raise UserError(
            f"the base {path} is {has}, but the network takes {channels} channel"
            f"{'s' if channels > 1 else ''}: give an image of as many channels"
        )
    picture = _opened(path).convert("L" if channels == 1 else "RGB")
    picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    if pixels != (width, height):
        print(f"base: {path} was brought from {pixels[0]} x {pixels[1]} to {width} x {height}")
    return np.asarray(picture, np.float32).reshape(shape) / 255


def _opened(path):
    """Return an image file as a PIL image, grey or RGB.

    Raises:
        UserError: if it cannot be read.
    """
    try:
        with Image.open(path) as picture:
            if picture.mode.startswith("I"):  # grey of 16 bits, which PIL would clip to 8
                return Image.fromarray((np.asarray(picture) / 257).astype(np.uint8))
            return picture.convert("RGB" if picture.mode in ("P", "RGBA", "CMYK") else None)
    except (OSError, UnidentifiedImageError) as error:
        raise UserError(
            f"the base {path} cannot be read as an image ({error}): give a number, mean, or a "
            "PNG or JPEG file"
        ) from error


def _print_what_it_is(network, low, high, has_convolutions, has_part4):
    """Print what a network of one's own is taken for."""
    name = network.name
    for text in network.rescalings():
        print(f"{name} rescales its input itself ({text}): see that --input-range fits")
    print(
        f"{name}: images of {network.shape} from {low:g} to {high:g}, classes: "
        f"{network.classes:,}, responses: logits, {network.meaning}"
    )
    if isinstance(network, Observer):
        print(f"{name} is no Keras model, so that its layers cannot be tapped: no Part 4")
    elif not has_convolutions:
        print(f"{name} has no convolution whose receptive field can be derived: no Part 4")
    elif not has_part4:
        print(f"{name}: Part 4 is measured with white noise about grey: none with this noise")
