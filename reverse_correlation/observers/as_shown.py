"""Observers whose images have another size, order of axes or order of colours than usual."""

import copy
import functools
import hashlib

import keras

from reverse_correlation.errors import UserError
from reverse_correlation.observers import graphs


@keras.saving.register_keras_serializable(package="reverse_correlation")
class ReversedChannels(keras.layers.Layer):
    """Images (n, h, w, c) with their channels in reverse order."""

    def call(self, images):
        """Return the images, the last channel first."""
        return keras.ops.flip(images, axis=-1)

    def compute_output_shape(self, input_shape):
        """Return the shape of the images, which stays."""
        return input_shape


def of_full_size(name, taken, size=(), otherwise=()):
    """Return the shape (h, w, c) of an observer's images, with what its file leaves open.

    Args:
        name: of the file.
        taken: (h, w, c), with None for what it leaves open.
        size: (h, w) that was asked for, or ().
        otherwise: (h, w) if none was asked for, or ().

    Raises:
        UserError: if nothing gives the size, or the file has another.
    """
    *own, channels = taken
    if None in own and not (size or otherwise):
        raise UserError(
            f"{name} takes images of any size: give one with --size H W, or an image with --base "
            "FILE"
        )
    full = [a or b for a, b in zip(own, size or otherwise or own, strict=True)]
    if size and tuple(size) != tuple(full):
        raise UserError(
            f"{name} takes images of {' x '.join(str(n or 'any') for n in own)} pixels, not of "
            f"{size[0]} x {size[1]}: leave --size out"
        )
    if channels is None:
        print(f"{name} does not say how many channels it takes: it is shown 3")
    return (*full, channels or 3)


def channels_last(model, path, channels="", size=(), otherwise=()):
    """Return a Keras model of images (h, w, c) of a fixed size.

    Args:
        model: a Keras model of images in any order of their axes.
        path: of its file.
        channels: "first" or "last"; "" for what its layers or shape tell.
        size, otherwise: as for `of_full_size`.

    Raises:
        UserError: if it does not take images, or not of that size.
    """
    shape = graphs.input_shape(model)
    if len(shape) != 3:  # without channels, or not of images, which image_shape refuses
        shape = graphs.image_shape(model)
        of_full_size(path.name, shape, size)
        return model
    first = (channels or ("first" if _are_first(model, shape) else "last")) == "first"
    full = of_full_size(path.name, (*shape[1:], shape[0]) if first else shape, size, otherwise)
    try:
        if first:
            print(f"{path.name}: channels come first, in {shape}")
            images = keras.Input(full)
            turned = model(keras.layers.Permute((3, 1, 2))(images))
            return keras.Model(images, turned, name=model.name)
        return graphs.flat_graph(model, full) if None in shape else model
    except UserError:
        raise
    except (ValueError, TypeError) as error:  # what layers raise
        reason = " ".join(str(error).split())[:160]
        raise UserError(f"{path} cannot be shown images of {full}: {reason}") from error


def _are_first(model, shape):
    """Return whether the channels of a Keras model's images come first."""
    if (shape[0] in (1, 3)) != (shape[2] in (1, 3)):
        return shape[0] in (1, 3)
    kinds = list(_layers(model))
    turns = any(isinstance(layer, keras.layers.Permute) for layer in kinds)
    return not turns and any(
        getattr(layer, "data_format", None) == "channels_first" for layer in kinds
    )


def _layers(model):
    """Yield the layers of a Keras model, and of models in it."""
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _layers(layer)


def in_colours(model, name, colours):
    """Return the model that is shown images in RGB, and sees them as it expects them.

    Args:
        model: a Keras model or an ArrayObserver, of images of a fixed size.
        name: of its file.
        colours: the order that it expects, "rgb" or "bgr".

    Raises:
        UserError: if it does not take colours.
    """
    if colours == "rgb":
        return model
    is_keras = isinstance(model, keras.Model)
    shape = graphs.image_shape(model) if is_keras else model.shape
    if shape[2] != 3:
        raise UserError(
            f"--colours {colours} is for images of 3 channels, but {name} takes {shape[2]}: leave "
            "it out"
        )
    if is_keras:
        images = keras.Input(shape)
        return keras.Model(images, model(ReversedChannels()(images)), name=model.name)
    seen = copy.copy(model)
    seen.answer = functools.partial(_answer_reversed, model.answer)
    seen.sha256 = hashlib.sha256(f"{model.sha256} {colours}".encode()).hexdigest()
    return seen


def _answer_reversed(answer, images):
    return answer(images[..., ::-1])
