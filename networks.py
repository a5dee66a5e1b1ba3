"""Keras networks as the laboratory sees them: what they answer, and what their units see.

Whatever the network is made of (Sequential, functional, nested, subclassed), it is first written
out as one flat graph of layers. What is derived from it, logits and receptive fields, is derived
from that graph; a subclass whose `call` cannot be written out is a black box without layers.
"""

import dataclasses
import hashlib
import math
import time
import zipfile

import keras
import numpy as np
import tensorflow as tf
from keras.src.models.functional import Functional

BLOCK_IMAGES = 1000  # stimuli shown at once, where the activities of so many fit in BLOCK_BYTES
BLOCK_BYTES = 1e9
LEAST_PROBABILITY = 1e-30  # a probability that underflowed counts as this when it is logged


# --------------------------------------------------------------------------- the graph


def load_any_network(path):
    """Read any `.keras` file, running nothing of it but registered layers.

    Raises:
        ValueError: if it is no such archive or a damaged one, needs classes that are not
            registered, or is not a classifier of images.
    """
    if not path.exists():
        raise ValueError(f"there is no file {path}: name a network saved as .keras")
    if not zipfile.is_zipfile(path):
        raise ValueError(
            f"{path} is not a whole .keras archive: it is truncated, or of another format (.h5 "
            "files and pickles are never opened); save the network again by model.save('x.keras')"
        )
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a damaged archive can fail in any of its layers
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} cannot be read as a Keras network: {_why(reason)}") from error
    return model


def _why(reason):
    """Say in a few words why Keras could not load a network."""
    if "Could not locate class" in reason:
        name = reason.split("Could not locate class")[1].split("'")[1]
        return (
            f"it needs the custom object {name!r}, which is not registered; decorate it with "
            "@keras.saving.register_keras_serializable() and import it before loading"
        )
    if "Lambda" in reason and "safe" in reason:
        return "it has a Lambda layer, whose code is not run; write it as a registered layer"
    return reason[:160]


def input_shape(model):
    """Return the shape of what a network takes, without the first axis; None where it is open.

    Raises:
        ValueError: if it has several inputs or outputs, or does not say what it takes.
    """
    if getattr(model, "inputs", None):
        shapes = [tuple(tensor.shape[1:]) for tensor in model.inputs]
        if len(model.outputs) != 1:
            raise ValueError(
                f"the network {model.name!r} has {len(model.outputs)} outputs: choose one by "
                "keras.Model(model.inputs, model.outputs[i])"
            )
    else:  # a subclass with `call`
        config = model.get_build_config() if model.built else None
        found = (config or {}).get("input_shape") or ()
        shapes = [found] if isinstance(found, dict) else [found[1:]]
        if not found:
            raise ValueError(
                f"the network {model.name!r} does not say what images it takes: call it on an "
                "array of images before saving it"
            )
        if isinstance(found, dict) or any(isinstance(n, (list, tuple)) for n in found):
            shapes = list(found)
    if len(shapes) != 1:
        raise ValueError(f"the network {model.name!r} has {len(shapes)} inputs: it must have one")
    return tuple(shapes[0])


def image_shape(model):
    """Return the shape (h, w, c) of the images that a network takes; (h, w) counts as (h, w, 1).

    Raises:
        ValueError: if it takes something else, or images of any size.
    """
    shape = input_shape(model)
    full = (*shape, 1) if len(shape) == 2 else shape
    if len(full) != 3 or None in full:
        raise ValueError(
            f"the network {model.name!r} takes arrays of {shape}, not images of a fixed shape "
            "(h, w, c)"
        )
    return full


def as_graph(model, shape=None):
    """Write a network out as one flat functional model that shares its layers and weights.

    Nested models are inlined. A subclass is traced through its `call`; where that is not made of
    Keras layers and operations, it becomes a single operation, whose inside cannot be tapped.

    Args:
        model: a built Keras model.
        shape: (h, w, c) of the images, where the model leaves it open.

    Raises:
        ValueError: if it takes other images, has several inputs or outputs, or its output is not
            one row of numbers an image.
    """
    own = input_shape(model)
    shape = tuple(shape or image_shape(model))
    taken = shape[: len(own)] if len(own) == 2 and shape[2] == 1 else shape
    if len(own) != len(taken) or any(a not in (None, b) for a, b in zip(own, taken, strict=True)):
        raise ValueError(f"the network takes images of {own}, but the noise is {shape}")
    flat = isinstance(model, Functional) and own == shape
    if flat and not any(isinstance(layer, keras.Model) for layer in model.layers):
        graph = model
    else:
        images = keras.Input(shape, name="images")
        answers = _inline(model, images if taken == shape else keras.layers.Reshape(taken)(images))
        if not isinstance(answers, keras.KerasTensor):
            raise ValueError(f"the network {model.name!r} must have one output, a row an image")
        graph = keras.Model(images, answers, name=model.name)
    if len(graph.outputs[0].shape) != 2:
        raise ValueError(
            f"the network {model.name!r} answers arrays of {tuple(graph.outputs[0].shape[1:])} an "
            "image: a classifier answers one row of numbers"
        )
    return graph


def _inline(layer, *args, **kwargs):
    """Call a layer symbolically; call what a nested model is made of instead of the model."""
    if isinstance(layer, keras.Model) and len(args) == 1:
        if isinstance(layer, keras.Sequential):
            tensor = args[0]
            for each in layer.layers:
                tensor = _inline(each, tensor)
            return tensor
        if isinstance(layer, Functional):
            return layer._run_through_graph(
                args[0], operation_fn=lambda operation: operation, call_fn=_inline
            )
        try:
            return layer.call(args[0])
        except Exception:  # whatever its own code raises when it is shown a symbolic tensor
            return layer(args[0])
    return layer(*args, **kwargs)


def _sources(tensor):
    """Return the operation that made a symbolic tensor, and the tensors that it was made of."""
    operation, node, _ = tensor._keras_history
    return operation, operation._inbound_nodes[node].input_tensors if node is not None else []


def named_tensors(graph):
    """Return the output of every operation of a graph by name, the image's end first."""
    found, seen, todo = {}, set(), [graph.outputs[0]]
    while todo:
        tensor = todo.pop()
        if id(tensor) not in seen:
            seen.add(id(tensor))
            operation, sources = _sources(tensor)
            found.setdefault(operation.name, tensor)
            todo += sources
    order = {operation.name: i for i, operation in enumerate(graph.operations)}
    return dict(sorted(found.items(), key=lambda item: order.get(item[0], -1)))


def tapped(graph, layer):
    """Return the output tensor of the named layer.

    Raises:
        ValueError: if there is no such layer.
    """
    tensors = named_tensors(graph)
    if layer not in tensors:
        raise ValueError(f"the network has no layer {layer!r}; it has {', '.join(tensors)}")
    return tensors[layer]


def layer_named(graph, layer):
    """Return the layer, or operation, of that name."""
    return _sources(tapped(graph, layer))[0]


def chain_to(graph, layer):
    """Return the layers between the image and the named one, itself included, in order.

    Raises:
        ValueError: if they are no chain: the network branches, as residual ones do.
    """
    chain, tensor = [], tapped(graph, layer)
    operation, sources = _sources(tensor)
    while not isinstance(operation, keras.layers.InputLayer):
        if len(sources) != 1 or not isinstance(operation, keras.layers.Layer):
            raise ValueError(f"the network branches below layer {layer!r}, at {operation.name!r}")
        chain.append(operation)
        operation, sources = _sources(sources[0])
    return [
        each
        for each in reversed(chain)
        if not isinstance(each, (keras.layers.ZeroPadding2D, keras.layers.Cropping2D))
    ]


def looks_at_image(graph, layer):
    """Say whether nothing but a rescaling lies between the image and the named layer."""
    operation, sources = _sources(tapped(graph, layer))
    while len(sources) == 1:
        operation, sources = _sources(sources[0])
        if not isinstance(operation, (keras.layers.InputLayer, keras.layers.Rescaling)):
            return False
    return not sources


def convolutions(model):
    """Return the names of the convolutions whose receptive field can be derived, in order."""
    graph = as_graph(model)
    fields = _fields(graph)
    return [
        name
        for name, tensor in named_tensors(graph).items()
        if isinstance(_sources(tensor)[0], CONVOLUTIONS) and not isinstance(fields[name], str)
    ]


def rescalings(model):
    """Return what the network's own Rescaling layers do to a pixel, in words."""
    operations = (_sources(tensor)[0] for tensor in named_tensors(as_graph(model)).values())
    return [
        f"{each.name}: x * {each.scale:.4g} + {each.offset:g}"
        for each in operations
        if isinstance(each, keras.layers.Rescaling) and np.isscalar(each.scale)
    ]


def images_that_fit(graph, layers=(), gradients=False):
    """Return how many images a network can be shown at once within BLOCK_BYTES of activities.

    Depends on the network alone, never on the machine: four times the largest activity and twice
    those that are kept; for gradients, three times all. A black box counts as 10 MB an image.
    """
    size = {
        name: 4 * math.prod(tensor.shape[1:])
        for name, tensor in named_tensors(graph).items()
        if None not in tensor.shape[1:]
    }
    for name, tensor in named_tensors(graph).items():
        if isinstance(_sources(tensor)[0], keras.Model):
            size[name] = 10_000_000
    need = 4 * max(size.values()) + 2 * sum(size[layer] for layer in layers)
    if gradients:
        need = 3 * sum(size.values())
    return max(1, int(BLOCK_BYTES // need))


# --------------------------------------------------------------------------- what it answers


def response_tensors(model, layers=(), noise=None):
    """Return a Keras model of images to {"logits": (n, K), layer: activity (n, h, w, filters)}."""
    graph = as_graph(model, noise and noise.shape)
    logits, _ = logits_of(graph, noise)
    return keras.Model(
        graph.inputs[0], {"logits": logits, **{name: tapped(graph, name) for name in layers}}
    )


def logits_of(graph, noise=None):
    """Find the logits of a flat network, (n, K), and say in words what they are.

    The input of a final Softmax layer, as it is. From any other probabilities p the centred logits
    log p_k - mean log p, computed before the activation where that is a layer's own, so that no
    probability underflows. A single output z or sigmoid(z) is two classes, with logits -z/2 and
    z/2. Where the layers do not tell, the answers to some noise do: rows from 0 up that sum to 1
    are probabilities.
    """
    output = graph.outputs[0]
    operation, sources = _sources(output)
    activation = getattr(operation, "activation", None)
    single = output.shape[-1] == 1
    if isinstance(operation, keras.layers.Softmax) and len(sources) == 1:
        return sources[0], "the input of its softmax layer"
    if activation in (keras.activations.softmax, keras.activations.sigmoid):
        before = sources[0]
        if not isinstance(operation, keras.layers.Activation):
            config = {**operation.get_config(), "activation": "linear"}
            linear = type(operation).from_config(config)
            before = linear(before)
            linear.set_weights(operation.get_weights())
        if single:
            return _two_classes(before), "one sigmoid output counts as two classes"
        if activation is keras.activations.sigmoid:
            return before, "the inputs of its sigmoids"
        return _centred(before), "probabilities, as centred logits log p - mean log p"
    p = None if noise is None else _look(graph, noise)
    if p is not None and p.min() >= 0 and p.max() <= 1:
        least = LEAST_PROBABILITY
        log = lambda x: keras.ops.log(keras.ops.maximum(x, least))  # noqa: E731
        if single:
            return (
                _two_classes(log(output) - log(1 - output)),
                "one probability counts as two classes",
            )
        if np.allclose(p.sum(axis=1), 1, atol=1e-3):
            return _centred(log(output)), "probabilities, as centred logits log p - mean log p"
    if single:
        return _two_classes(output), "one logit counts as two classes"
    return output, "logits"


def _centred(tensor):
    return tensor - keras.ops.mean(tensor, axis=-1, keepdims=True)


def _two_classes(tensor):
    return keras.ops.concatenate([-tensor / 2, tensor / 2], axis=-1)


def _look(graph, noise, images=100):
    """Return a network's answers to a little noise: (images, K)."""
    images = min(images, images_that_fit(graph))
    return np.asarray(graph(noise.draw(0, 0, images), training=False), np.float32)


# --------------------------------------------------------------------------- what a unit sees


@dataclasses.dataclass(frozen=True)
class ReceptiveField:
    """Unit i of a layer sees pixels offset + i * stride to offset + i * stride + size - 1.

    Each of the three is a pair (rows, columns); a negative offset reaches into padding.
    """

    size: tuple
    stride: tuple
    offset: tuple

    def windows(self, image, units):
        """Choose the units to measure: for rows and columns (first, last + 1, pixel, pixels).

        Units that see padding are left out; `pixel` is the first that unit `first` sees, and
        `pixels` how many each sees. Where every unit sees padding, the one that sees most of the
        image is kept, and its field clipped to the image.
        """
        found = []
        for size, stride, offset, pixels, n in zip(
            self.size, self.stride, self.offset, image, units, strict=True
        ):
            first = max(0, math.ceil(-offset / stride))
            last = min(n - 1, (pixels - size - offset) // stride)
            if first <= last:
                found.append((first, last + 1, offset + first * stride, size))
                continue
            starts = offset + stride * np.arange(n)
            low, high = np.maximum(starts, 0), np.minimum(starts + size, pixels)
            off_centre = np.abs(2 * np.arange(n) - n + 1)
            best = np.lexsort((-off_centre, high - low))[-1]
            found.append((int(best), int(best) + 1, int(low[best]), int((high - low)[best])))
        return found


def receptive_field(model, layer):
    """Derive what a unit of the named layer sees, from the layers between it and the image.

    Raises:
        ValueError: if there is no such layer, or its receptive field cannot be derived.
    """
    graph = as_graph(model)
    tapped(graph, layer)
    found = _fields(graph)[layer]
    if isinstance(found, str):
        raise ValueError(f"the receptive field of layer {layer!r} cannot be derived: {found}")
    return found


CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)
POOLINGS = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)
# Operations, layers or the functions behind `+` and `keras.ops.relu`, that look at one place only.
ONE_PLACE = """
    Activation BatchNormalization Dropout SpatialDropout2D GaussianNoise GaussianDropout Identity
    ReLU LeakyReLU PReLU ELU Rescaling Normalization Relu Relu6 LeakyRelu Elu Selu Silu Gelu
    HardSigmoid HardSilu Sigmoid Tanh Softplus Abs Square Sqrt Exp Negative Clip
    Add Subtract Multiply TrueDivide Average Maximum Minimum Concatenate
""".split()


def _fields(graph):
    """Return the receptive field of every layer of a graph, or in words why it has none."""
    fields, by_tensor = {}, {}
    for name, tensor in named_tensors(graph).items():
        operation, sources = _sources(tensor)
        below = [by_tensor[id(source)] for source in sources]
        fields[name] = by_tensor[id(tensor)] = _field_above(operation, tensor, sources, below)
    return fields


def _field_above(operation, tensor, sources, below):
    """Return what a unit of one operation sees, from what its sources' units see."""
    refusal = (
        f"it looks through {operation.name!r}, a {type(operation).__name__}; name a convolution "
        "before that"
    )
    unknown = [field for field in below if isinstance(field, str)]
    if unknown:
        return unknown[0]
    if isinstance(operation, keras.layers.InputLayer):
        return ReceptiveField((1, 1), (1, 1), (0, 0))
    if len(tensor.shape) != 4 or any(len(source.shape) != 4 for source in sources):
        return refusal
    if type(operation).__name__ in ONE_PLACE:
        aligned = all(source.shape[1:3] == tensor.shape[1:3] for source in sources)
        return _union(below) if aligned and len({f.stride for f in below}) == 1 else refusal
    if isinstance(operation, CONVOLUTIONS):
        return _slide(below[0], operation, operation.kernel_size, operation.dilation_rate, sources)
    if isinstance(operation, POOLINGS):
        return _slide(below[0], operation, operation.pool_size, (1, 1), sources)
    if isinstance(operation, keras.layers.ZeroPadding2D):
        return _shift(below[0], [-before for before, _ in operation.padding])
    if isinstance(operation, keras.layers.Cropping2D):
        return _shift(below[0], [before for before, _ in operation.cropping])
    return refusal


def _pair(number):
    return (number, number) if isinstance(number, int) else tuple(number)


def _shift(field, steps):
    """Move a receptive field by so many units of its own layer."""
    moved = [o + n * s for o, n, s in zip(field.offset, steps, field.stride, strict=True)]
    return dataclasses.replace(field, offset=tuple(moved))


def _union(fields):
    """Return the field that covers several of one stride, as of the branches of a residual."""
    start = [min(f.offset[axis] for f in fields) for axis in (0, 1)]
    end = [max(f.offset[axis] + f.size[axis] for f in fields) for axis in (0, 1)]
    size = (end[0] - start[0], end[1] - start[1])
    return ReceptiveField(size, fields[0].stride, tuple(start))


def _slide(below, operation, window, dilation, sources):
    """Put a sliding window, of a convolution or pooling, on top of a receptive field."""
    size, stride, offset = [], [], []
    for axis in (0, 1):
        span = (_pair(window)[axis] - 1) * _pair(dilation)[axis] + 1
        step, before = _pair(operation.strides)[axis], 0
        if operation.padding == "same":
            pixels = sources[0].shape[1 + axis]
            steps = -(-pixels // step)
            before = max((steps - 1) * step + span - pixels, 0) // 2
        size.append(below.size[axis] + (span - 1) * below.stride[axis])
        stride.append(below.stride[axis] * step)
        offset.append(below.offset[axis] - before * below.stride[axis])
    return ReceptiveField(tuple(size), tuple(stride), tuple(offset))


# --------------------------------------------------------------------------- its identity and speed


def network_sha256(model):
    """Return a hash of the network's layers and weights, whatever the layers' names."""
    layers = [(type(layer).__name__, _nameless_config(layer)) for layer in model.layers]
    digest = hashlib.sha256(repr(layers).encode())
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def _nameless_config(layer):
    try:
        return {**layer.get_config(), "name": ""}
    except NotImplementedError:  # a custom layer that cannot say; its weights still tell
        return {}


def in_precision(graph, precision):
    """Return a flat network itself, or a copy that computes in bfloat16.

    Raises:
        ValueError: for another precision, where bfloat16 would be slower, or where the network
            cannot be copied.
    """
    if precision == "float32":
        return graph
    if precision != "bfloat16":
        raise ValueError(f"unknown precision {precision!r}: choose float32 or bfloat16")

    def convert(layer):
        return layer.__class__.from_config({**layer.get_config(), "dtype": "mixed_bfloat16"})

    try:
        whole = keras.Model(graph.inputs[0], graph.outputs[0])
        copy = keras.models.clone_model(whole, clone_function=convert)
        copy.set_weights(whole.get_weights())
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ValueError(
            f"the network {graph.name!r} cannot be copied in bfloat16 ({error}): use float32"
        ) from error
    ratio = seconds_a_block(copy) / seconds_a_block(graph)
    if ratio > 1:
        raise ValueError(
            f"bfloat16 takes {ratio:.1f} times as long as float32 for {graph.name!r} on this "
            "machine: use float32"
        )
    return copy


def seconds_a_block(network, repeats=5):
    """Return the least time that a network took to answer a block."""
    answer = tf.function(lambda stimuli: network(stimuli, training=False), jit_compile=False)
    images = min(BLOCK_IMAGES, images_that_fit(network))
    stimuli = tf.fill((images, *network.inputs[0].shape[1:]), 0.5)
    times = []
    for _ in range(repeats + 1):  # the first compiles
        started = time.perf_counter()
        answer(stimuli)
        times.append(time.perf_counter() - started)
    return min(times[1:])
