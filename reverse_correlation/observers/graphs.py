"""Keras networks as flat graphs: what images they take, inlining nested models, walking tensors."""

import keras

from reverse_correlation.errors import UserError


def input_shape(model):
    """Return the shape of a network's input without the batch axis; None for each open size.

    Raises:
        UserError: if it has several inputs or outputs, or does not say what it takes.
    """
    if getattr(model, "inputs", None):
        shapes = [tuple(tensor.shape[1:]) for tensor in model.inputs]
        if len(model.outputs) != 1:
            raise UserError(
                f"the network {model.name!r} has {len(model.outputs)} outputs: choose one with "
                "keras.Model(model.inputs, model.outputs[i])"
            )
    else:
        config = model.get_build_config() if model.built else None  # of a subclass with `call`
        built = (config or {}).get("input_shape")
        if not built:
            raise UserError(
                f"the network {model.name!r} does not say what images it takes: call it on an "
                "array of images before saving it"
            )
        several = isinstance(built, dict) or any(isinstance(n, (list, tuple)) for n in built)
        shapes = list(built) if several else [built[1:]]
    if len(shapes) != 1:
        raise UserError(f"the network {model.name!r} has {len(shapes)} inputs: it must have one")
    return tuple(shapes[0])


def image_shape(model):
    """Return the shape (h, w, c) of the images that a network takes; (h, w) counts as (h, w, 1).

    Raises:
        UserError: if it does not take images of a fixed size.
    """
    shape = input_shape(model)
    full = (*shape, 1) if len(shape) == 2 else shape
    if len(full) != 3 or None in full:
        raise UserError(
            f"the network {model.name!r} takes arrays of {shape}: expected images of a fixed shape "
            "(h, w, c)"
        )
    return full


def flat_graph(model, shape=None):
    """Return a network as one flat functional model that shares its layers and weights.

    Nested models are inlined. A subclass is traced through its `call`; if that is not made of
    Keras layers and operations, the subclass becomes a single operation whose inside cannot be
    tapped. `shape` is that of the images, (h, w, c), if the model leaves it open.

    Raises:
        UserError: if it takes other images, has several inputs or outputs, or its output is not
            one row of numbers per image.
    """
    own = input_shape(model)
    shape = tuple(shape or image_shape(model))
    taken = shape[: len(own)] if len(own) == 2 and shape[2] == 1 else shape
    if len(own) != len(taken) or any(a not in (None, b) for a, b in zip(own, taken, strict=True)):
        raise UserError(f"the network takes images of {own}, but the noise is {shape}")
    functional = bool(getattr(model, "inputs", None)) and not isinstance(model, keras.Sequential)
    if functional and own == shape and not _nested(model):
        graph = model
    else:
        images = keras.Input(shape, name="images")
        answers = _inline(model, images if taken == shape else keras.layers.Reshape(taken)(images))
        if not isinstance(answers, keras.KerasTensor):
            raise UserError(
                f"the network {model.name!r} must have one output: one row of numbers per image"
            )
        graph = _without_nesting(keras.Model(images, answers, name=model.name))
    if len(graph.outputs[0].shape) != 2:
        raise UserError(
            f"the network {model.name!r} answers an array of {tuple(graph.outputs[0].shape[1:])} "
            "per image: expected one row of numbers, as of a classifier"
        )
    return graph


def _nested(graph):
    """Return the identities of the layers of a model that are themselves models."""
    return {id(layer) for layer in graph.layers if isinstance(layer, keras.Model)}


def _without_nesting(graph):
    """Inline nested models, one level at a time, until none is left that can be inlined."""
    before = None
    while (nested := _nested(graph)) and nested != before:
        before = nested
        graph = keras.models.clone_model(
            graph, clone_function=lambda layer: layer, call_function=_inline
        )
    return graph


def _inline(layer, *args, **kwargs):
    """Call a layer symbolically; for a model, call the layers that its own `call` calls."""
    if isinstance(layer, keras.Model):
        try:
            return layer.call(*args, **kwargs)
        except Exception:  # whatever the model's own code raises when given a symbolic tensor
            pass
    return layer(*args, **kwargs)


def sources(tensor):
    """Return the operation that made a symbolic tensor, and the tensors from which it was made.

    Skips the conversions that Keras puts before an inlined model, which change nothing. Keras has
    no public way to ask where a tensor comes from; only this function uses its private records.
    """
    operation, node, _ = tensor._keras_history
    below = operation._inbound_nodes[node].input_tensors if node is not None else []
    return operation, [_unconverted(source) for source in below]


def _unconverted(tensor):
    """Return the tensor that Keras converted into this one, or the tensor itself."""
    operation, below = sources(tensor)
    return below[0] if type(operation).__name__ == "ConvertToTensor" else tensor


def named_tensors(graph):
    """Return the output of every operation of a graph by name, those next to the image first."""
    tensors, seen, todo = {}, set(), [graph.outputs[0]]
    while todo:
        tensor = todo.pop()
        if id(tensor) not in seen:
            seen.add(id(tensor))
            operation, below = sources(tensor)
            tensors.setdefault(operation.name, tensor)
            todo += below
    order = {operation.name: i for i, operation in enumerate(graph.operations)}
    return dict(sorted(tensors.items(), key=lambda item: order.get(item[0], -1)))
