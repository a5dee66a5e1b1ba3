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
from keras import ops

from reverse_correlation.errors import UserError
from reverse_correlation.frameworks import framework
from reverse_correlation.observers import graphs
from reverse_correlation.observers.answers import Reading, read, refuse_changing
from reverse_correlation.observers.observer import (
    BLOCK_BYTES,
    BLOCK_IMAGES,
    Observer,
    known_kind,
    refuse_nan,
)
from reverse_correlation.observers.receptive_fields import CONVOLUTIONS, receptive_fields


class Network(Observer):
    """A Keras classifier as one flat graph of layers.

    Args:
        model: a built Keras model of images (n, h, w, c) or (n, h, w).
        noise: an ensemble; it gives the images' shape if the model leaves it open, and tells
            probabilities from logits if the layers do not.
        name: by default the model's.
        labels: "independent" or "exclusive", if layers and answers do not tell; see
            `Observer.label_kind`.

    Attributes, beside those of an Observer:
        graph: a functional Keras model that shares the layers and weights of `model`.
        tensors: {layer: its symbolic output}, those next to the image first.

    Raises:
        UserError: if it is not a classifier of such images.
    """

    has_gradients = has_layers = True

    def __init__(self, model, noise=None, name=None, labels=""):
        self.model, self.noise, self.name = model, noise, name or model.name
        self.label_kind = known_kind(labels)
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
        return self._answers[1]

    @property
    def independent(self):
        """Whether each of its classes is a label of its own, which excludes no other."""
        return self._answers[2]

    @property
    def classes(self):
        """How many classes it has."""
        return self._answers[0].shape[-1]

    @functools.cached_property
    def _answers(self):
        """Find its logits (n, K), say in words what they are, and whether labels are independent.

        Those of a softmax or of sigmoids are taken from their input, so that no probability
        underflows. If the layers do not tell, the answers to some noise do.
        """
        output = self.graph.outputs[0]
        operation, below = graphs.sources(output)
        head, columns = _head(operation, below), output.shape[-1]
        reading = Reading("its logits" if columns > 1 else "logit")
        if head == "softmax" and columns > 1 and self.label_kind != "independent":
            layer = isinstance(operation, keras.layers.Softmax)
            reading = Reading("its softmax layer" if layer else "its probabilities")
        elif head == "sigmoid":
            independent = columns > 1 and self.label_kind != "exclusive"
            source = "the inputs of its sigmoids" if columns > 1 else "sigmoid output"
            reading = Reading(source, independent=independent)
        else:
            head = ""
            if self.noise is not None:
                reading = read(self._first_answers, self.label_kind)
        logits = _before(operation, below[0]) if head else output
        if logits.dtype != "float32":  # probabilities of which the logarithm would underflow
            logits = ops.cast(logits, "float32")
        return reading.logits(logits, ops), reading.meaning(columns), reading.independent

    @functools.cached_property
    def _first_answers(self):
        """Its answers to a little noise, (n, K); refused if they are others the second time.

        The first are those of the graph, and the second those of the model itself: a model that
        draws random numbers may do so in its own `call` alone.
        """
        images = self._first_images
        first = _called(self.graph, images)
        refuse_nan(self.name, first)
        if len(graphs.input_shape(self.model)) == 2:
            images = images[..., 0]
        part = images[len(images) // 2 :]
        again = _called(self.model, part).reshape(len(part), -1)
        refuse_changing(self.name, first[-len(part) :], again)
        return first

    @property
    def _first_images(self):
        return ops.convert_to_numpy(self.noise.draw(0, 0, self.look_images))

    @property
    def first_decisions(self):
        """Its answers to the noise that it was shown when it looked: (n,) int."""
        if self.classes == 2:  # maybe from a single column
            return self.logits_of(self._first_images).argmax(axis=1)
        return self._first_answers.argmax(axis=1)

    def looked(self, noise, classes=None):
        """Return the network, with this ensemble if it has none yet, once it has been shown some.

        Raises:
            UserError: if it takes other images, answers NaN, or answers the same images
                differently the second time.
        """
        if self.noise is None:
            return Network(self.model, noise, self.name, self.label_kind).looked(noise)
        self.refuse_shape(noise)
        self._first_answers  # noqa: B018  (refuses what cannot be measured)
        return self

    def logits_of(self, images):
        """Return the logits of images, in batches that fit in memory: (n, K); see Observer."""
        if len(images) <= min(BLOCK_IMAGES, self.images_that_fit()):  # nothing is compiled for few
            with framework.inference():
                answers = self._to_logits(ops.convert_to_tensor(images), training=False)
            return ops.convert_to_numpy(answers["logits"])
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
        return Network(rescaled, self.noise, self.name, self.label_kind)

    def responses(self, layers=(), precision="float32"):
        """Return a Keras model of images to {"logits": (n, K), layer: activity (n, h, w, f)}.

        Its precision is "float32", or "bfloat16" for a copy that computes in bfloat16.

        Raises:
            UserError: if it does not have such a layer or precision.
        """
        taps = {layer: self.tapped(layer) for layer in layers}
        model = keras.Model(self.graph.inputs[0], {"logits": self._answers[0], **taps})
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
        return np.moveaxis(ops.convert_to_numpy(convolution.kernel), 3, 0)

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


def _called(model, images):
    """Return what a Keras model answers to a few images, float32; nothing is compiled for them."""
    with framework.inference():
        answers = model(ops.convert_to_tensor(images), training=False)
    answers = keras.tree.flatten(answers)[0]  # maybe a dictionary
    return np.asarray(ops.convert_to_numpy(answers), np.float32)


def receptive_field(model, layer):
    """Derive what a unit of the named layer of a Keras model sees: a ReceptiveField.

    Raises:
        UserError: if there is no such layer, or its receptive field cannot be derived.
    """
    return Network.of(model).receptive_field(layer)


def seconds_a_block(responses, images):
    """Return the shortest of five times a Keras model took to answer so many images at once."""
    answer = framework.compiled(lambda stimuli: responses(stimuli, training=False)["logits"])
    stimuli = ops.full((images, *responses.inputs[0].shape[1:]), 0.5, "float32")
    with framework.inference():
        answer(stimuli)  # compiles
        return min(timeit.repeat(lambda: ops.convert_to_numpy(answer(stimuli)), number=1))


def _head(operation, below):
    """Return "softmax" or "sigmoid" if an operation ends in one over the columns, or ""."""
    activation, kind = getattr(operation, "activation", None), type(operation)
    for name in ("softmax", "sigmoid"):
        if activation is getattr(keras.activations, name):
            return name
        own = kind.__module__.startswith("keras.") and kind.__name__.lower() == name
        if own and len(below) == 1 and getattr(operation, "axis", -1) in (-1, 1):
            return name
    return ""


def _before(operation, source):
    """Return the symbolic input of a softmax or sigmoid; of a layer, by a copy without it."""
    if isinstance(operation, keras.layers.Activation) or not hasattr(operation, "activation"):
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
