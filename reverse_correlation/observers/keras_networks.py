"""Keras networks as the instrument sees them: what they answer, and what can be tapped.

However the network was built (Sequential, functional, nested, subclassed), it is written out once
as a flat graph of layers, and everything else is derived from that graph.
"""

import functools
import hashlib
import math
import timeit

import keras
import numpy as np
import tensorflow as tf

from reverse_correlation.errors import UserError
from reverse_correlation.observers import graphs
from reverse_correlation.observers.observer import (
    BLOCK_BYTES,
    BLOCK_IMAGES,
    LOOK_IMAGES,
    Observer,
    are_probabilities,
    logits_from,
)
from reverse_correlation.observers.receptive_fields import CONVOLUTIONS, receptive_fields


class Network(Observer):
    """A Keras classifier as one flat graph of layers.

    Args:
        model: a built Keras model of images (n, h, w, c) or (n, h, w).
        noise: an ensemble; it gives the images' shape if the model leaves it open, and tells
            probabilities from logits if the layers do not.
        name: by default the model's.

    Attributes, beside those of an Observer:
        graph: a functional Keras model that shares the layers and weights of `model`.
        tensors: {layer: its symbolic output}, those next to the image first.

    Raises:
        UserError: if it is not a classifier of such images.
    """

    has_gradients = True

    def __init__(self, model, noise=None, name=None):
        self.model, self.noise, self.name = model, noise, name or model.name
        self.graph = graphs.flat_graph(model, noise and noise.shape)
        self.tensors = graphs.named_tensors(self.graph)
        self.shape = tuple(self.graph.inputs[0].shape[1:])

    @classmethod
    def of(cls, model, noise=None):
        """Return a Network unchanged, or make one from a Keras model.

        Raises:
            UserError: for anything else.
        """
        if not isinstance(model, (cls, keras.Model)):
            raise UserError(
                f"an object of type {type(model).__name__} is not a Keras model, so that its "
                "gradients and layers cannot be reached: pass a Keras model; `measure` takes "
                "observers without gradients"
            )
        return model if isinstance(model, cls) else cls(model, noise)

    # ------------------------------------------------------------------- what it answers

    @property
    def meaning(self):
        """What the logits are, in words."""
        return self._logits_and_meaning[1]

    @property
    def classes(self):
        """How many classes it has."""
        return self._logits_and_meaning[0].shape[-1]

    @functools.cached_property
    def _logits_and_meaning(self):
        """Find the centred logits log p_k - mean log p, (n, K), and say in words what they are.

        Those of a softmax are taken from its input, so that no probability underflows. Numbers that
        are not probabilities, and the inputs of sigmoids, count as the input of a softmax. If the
        layers do not tell, the answers to some noise do.
        """
        output = self.graph.outputs[0]
        operation, below = graphs.sources(output)
        activation = getattr(operation, "activation", None)
        if isinstance(operation, keras.layers.Softmax) and len(below) == 1:
            before, meaning = below[0], "centred, from its softmax layer"
        elif activation in (keras.activations.softmax, keras.activations.sigmoid):
            before = _before_activation(operation, below[0])
            meaning = "centred, from its probabilities"
            if output.shape[-1] == 1:
                meaning = "one sigmoid output counts as two classes"
            elif activation is keras.activations.sigmoid:
                meaning = "centred, from the inputs of its sigmoids"
        else:
            probabilities = False
            if self.noise is not None:
                stimuli = self.noise.draw(0, 0, min(LOOK_IMAGES, self.images_that_fit()))
                probabilities = are_probabilities(self.graph.predict_on_batch(stimuli))
            return logits_from(output, probabilities, keras.ops)
        return logits_from(before, False, keras.ops)[0], meaning

    def looked(self, noise, classes=None):
        """Return the network unchanged, or, if it has no ensemble yet, one that has this one."""
        if self.noise is None:
            return Network(self.model, noise, self.name)
        self.refuse_shape(noise)
        return self

    def logits_of(self, images):
        """Return centred logits of images, in batches that fit in memory: (n, K) float32."""
        return predict(self._to_logits, images)["logits"]

    @functools.cached_property
    def _to_logits(self):
        """The model of its logits, which Keras compiles once."""
        return self.responses()

    def normalised(self, means, deviations):
        """Return the network behind a layer that subtracts and divides; see Observer."""
        images = keras.Input(graphs.input_shape(self.model))
        means, deviations = (
            np.broadcast_to(v, self.shape[2]).astype(float) for v in (means, deviations)
        )
        scale = keras.layers.Rescaling((1 / deviations).tolist(), (-means / deviations).tolist())
        rescaled = keras.Model(images, self.model(scale(images)), name=self.model.name)
        return Network(rescaled, self.noise, self.name)

    def responses(self, layers=(), precision="float32"):
        """Return a Keras model of images to {"logits": (n, K), layer: activity (n, h, w, f)}.

        Its precision is "float32", or "bfloat16" for a copy that computes in bfloat16.

        Raises:
            UserError: if it does not have such a layer or precision.
        """
        taps = {layer: self.tapped(layer) for layer in layers}
        model = keras.Model(self.graph.inputs[0], {"logits": self._logits_and_meaning[0], **taps})
        return model if precision == "float32" else _in_precision(model, self.name, precision)

    # ------------------------------------------------------------------- its layers

    def tapped(self, layer):
        """Return the symbolic output of the named layer, or raise UserError if there is none."""
        if layer not in self.tensors:
            names = ", ".join(self.tensors)
            raise UserError(f"the network has no layer {layer!r}; it has {names}: choose one")
        return self.tensors[layer]

    def operation(self, layer):
        """Return the layer, or operation, of that name."""
        return graphs.sources(self.tapped(layer))[0]

    @functools.cached_property
    def _fields(self):
        return receptive_fields(self.tensors)

    def receptive_field(self, layer):
        """Return the ReceptiveField of the named layer; see `receptive_field` below."""
        self.tapped(layer)
        field = self._fields[layer]
        if isinstance(field, str):
            raise UserError(f"the receptive field of layer {layer!r} cannot be derived: {field}")
        return field

    def convolutions(self):
        """Return the names of the convolutions whose receptive field can be derived, in order."""
        return [
            layer
            for layer, field in self._fields.items()
            if isinstance(self.operation(layer), CONVOLUTIONS) and not isinstance(field, str)
        ]

    def chain_to(self, layer):
        """Return the layers between the image and the named one, itself included, in order.

        Layers that only pad or crop are left out.

        Raises:
            UserError: if they do not form a chain, as where a residual network branches.
        """
        chain = []
        operation, below = graphs.sources(self.tapped(layer))
        while not isinstance(operation, keras.layers.InputLayer):
            if len(below) != 1 or not isinstance(operation, keras.layers.Layer):
                raise UserError(
                    f"the network branches below layer {layer!r}, at {operation.name!r}"
                )
            if not isinstance(operation, (keras.layers.ZeroPadding2D, keras.layers.Cropping2D)):
                chain.insert(0, operation)
            operation, below = graphs.sources(below[0])
        return chain

    def kernels(self, layer):
        """Return the learned kernels of a first convolution, filter by filter: (f, kh, kw, c).

        None if the layer is not a plain convolution of the (possibly rescaled) image itself.
        """
        convolution, below = graphs.sources(self.tapped(layer))
        if type(convolution) is not keras.layers.Conv2D:
            return None
        if convolution.groups > 1 or convolution.dilation_rate != (1, 1):
            return None
        while below:
            operation, below = graphs.sources(below[0])
            if not isinstance(operation, (keras.layers.InputLayer, keras.layers.Rescaling)):
                return None
        return np.moveaxis(keras.ops.convert_to_numpy(convolution.kernel), 3, 0)

    def rescalings(self):
        """Return what the network's own Rescaling layers do to a pixel, in words."""
        return [
            f"{layer.name}: x * {layer.scale:.4g} + {layer.offset:g}"
            for layer in map(self.operation, self.tensors)
            if isinstance(layer, keras.layers.Rescaling) and np.isscalar(layer.scale)
        ]

    def is_rate(self, layer):
        """Return whether a layer's activity is never negative, so that it can weight an average."""
        operation = self.operation(layer)
        activation = getattr(operation, "activation", None)
        rates = (keras.activations.relu, keras.activations.sigmoid, keras.activations.softplus)
        return activation in rates or isinstance(operation, keras.layers.ReLU)

    # ------------------------------------------------------------------- its size and identity

    def images_that_fit(self, layers=(), gradients=False):
        """Return how many images it can be shown at once; see `images_that_fit` below."""
        return images_that_fit(self.tensors, layers, gradients)

    @functools.cached_property
    def sha256(self):
        """A hash of the network's layers and weights; the layers' names do not enter it."""
        layers = [(type(layer).__name__, _nameless_config(layer)) for layer in self.graph.layers]
        digest = hashlib.sha256(repr(layers).encode())
        for weight in self.graph.get_weights():
            digest.update(np.ascontiguousarray(weight).tobytes())
        return digest.hexdigest()


def images_that_fit(tensors, layers=(), gradients=False):
    """Return how many images a network can be shown at once within BLOCK_BYTES of activities.

    This depends on the network alone, never on the machine. An image counts as four times its
    largest activity plus twice the activities of `layers`, which are kept; for gradients, as three
    times all activities. A model whose inside is unknown counts as 10 MB per image.
    """
    size = {}
    for layer, tensor in tensors.items():
        if isinstance(graphs.sources(tensor)[0], keras.Model):  # its inside is unknown
            size[layer] = 10_000_000
        elif None not in tensor.shape[1:]:
            size[layer] = 4 * math.prod(tensor.shape[1:])
    need = 4 * max(size.values()) + 2 * sum(size[layer] for layer in layers)
    if gradients:
        need = 3 * sum(size.values())
    return max(1, int(BLOCK_BYTES // need))


def predict(model, images):
    """Return a Keras model's outputs for images (n, h, w, c): (n, K), or a tapped activity."""
    batch = min(BLOCK_IMAGES, images_that_fit(graphs.named_tensors(model)))
    return model.predict(images, batch_size=batch, verbose=0)


def receptive_field(model, layer):
    """Derive what a unit of the named layer of a Keras model sees: a ReceptiveField.

    Raises:
        UserError: if there is no such layer, or its receptive field cannot be derived.
    """
    return Network.of(model).receptive_field(layer)


def seconds_a_block(responses, images):
    """Return the shortest of five times a Keras model took to answer so many images at once."""
    answer = tf.function(lambda stimuli: responses(stimuli, training=False), jit_compile=False)
    stimuli = tf.fill((images, *responses.inputs[0].shape[1:]), 0.5)
    answer(stimuli)  # compiles
    return min(timeit.repeat(lambda: answer(stimuli), number=1))


def _before_activation(operation, source):
    """Return the symbolic output of a layer without its activation, with the weights copied."""
    if isinstance(operation, keras.layers.Activation):
        return source
    linear = type(operation).from_config({**operation.get_config(), "activation": "linear"})
    before = linear(source)
    linear.set_weights(operation.get_weights())
    return before


def _nameless_config(layer):
    try:
        return {**layer.get_config(), "name": ""}
    except NotImplementedError:  # a custom layer without get_config; its weights are hashed anyway
        return {}


def _in_precision(model, name, precision):
    """Return a copy of a functional Keras model that computes in bfloat16."""
    if precision != "bfloat16":
        raise UserError(f"unknown precision {precision!r}: choose float32 or bfloat16")

    def convert(layer):
        if not isinstance(layer, keras.layers.Layer):  # an operation, which works in any precision
            return layer
        return layer.__class__.from_config({**layer.get_config(), "dtype": "mixed_bfloat16"})

    try:
        copy = keras.models.clone_model(model, clone_function=convert)
        copy.set_weights(model.get_weights())
        return copy
    except (TypeError, ValueError, NotImplementedError) as error:
        raise UserError(
            f"the network {name!r} cannot be copied in bfloat16 ({error}): use float32"
        ) from error
