"""What a unit of a layer sees of the image, derived from the layers before it."""

import dataclasses
import math

import keras
import numpy as np

from reverse_correlation.observers.graphs import sources


@dataclasses.dataclass(frozen=True)
class ReceptiveField:
    """Unit i of a layer sees pixels offset + i * stride to offset + i * stride + size - 1.

    Size, stride and offset are pairs (rows, columns); a negative offset reaches into padding.
    """

    size: tuple
    stride: tuple
    offset: tuple

    def windows(self, image, units):
        """Choose the units to measure: (first, last + 1, pixel, pixels) for rows and for columns.

        Units that see padding are left out. `pixel` is the first pixel that unit `first` sees, and
        `pixels` is how many pixels each unit sees. If every unit sees padding, the one that sees
        most of the image is kept, with its field clipped to the image.
        """
        chosen = []
        for size, stride, offset, pixels, n in zip(
            self.size, self.stride, self.offset, image, units, strict=True
        ):
            first = max(0, math.ceil(-offset / stride))
            last = min(n - 1, (pixels - size - offset) // stride)
            if first <= last:
                chosen.append((first, last + 1, offset + first * stride, size))
                continue
            starts = offset + stride * np.arange(n)
            low, high = np.maximum(starts, 0), np.minimum(starts + size, pixels)
            off_centre = np.abs(2 * np.arange(n) - n + 1)
            best = np.lexsort((-off_centre, high - low))[-1]
            chosen.append((int(best), int(best) + 1, int(low[best]), int((high - low)[best])))
        return chosen


CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)
POOLINGS = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)
# Operations that look at one place only: layers, and functions such as `+` and `keras.ops.relu`.
ONE_PLACE = """
    Activation BatchNormalization Dropout SpatialDropout2D GaussianNoise GaussianDropout Identity
    ReLU LeakyReLU PReLU ELU Rescaling Normalization Relu Relu6 LeakyRelu Elu Selu Silu Gelu
    ReversedChannels HardSigmoid HardSilu Sigmoid Tanh Softplus Abs Square Sqrt Exp Negative Clip
    Add Subtract Multiply TrueDivide Average Maximum Minimum Concatenate
""".split()


def receptive_fields(tensors):
    """Return the receptive field of every layer, or in words why it cannot be derived.

    Args:
        tensors: {layer: its output}, those next to the image first, as from `graphs.named_tensors`.
    """
    fields, by_tensor = {}, {}
    for name, tensor in tensors.items():
        operation, below = sources(tensor)
        seen = [by_tensor[id(source)] for source in below]
        fields[name] = by_tensor[id(tensor)] = _field_above(operation, tensor, below, seen)
    return fields


def _field_above(operation, tensor, inputs, below):
    """Return the receptive field of an operation, from those of its inputs."""
    kind = type(operation).__name__
    refusal = f"it looks through {operation.name!r}, a {kind}; name a convolution before that"
    unknown = [field for field in below if isinstance(field, str)]
    if unknown:
        return unknown[0]
    if isinstance(operation, keras.layers.InputLayer):
        return ReceptiveField((1, 1), (1, 1), (0, 0))
    if len(tensor.shape) != 4 or any(len(source.shape) != 4 for source in inputs):
        return refusal
    if kind in ONE_PLACE:
        aligned = all(source.shape[1:3] == tensor.shape[1:3] for source in inputs)
        return _union(below) if aligned and len({f.stride for f in below}) == 1 else refusal
    if isinstance(operation, CONVOLUTIONS):
        holes = zip(operation.kernel_size, operation.dilation_rate, strict=True)
        return _slide(below[0], operation, [(n - 1) * step + 1 for n, step in holes], inputs)
    if isinstance(operation, POOLINGS):
        return _slide(below[0], operation, operation.pool_size, inputs)
    if isinstance(operation, keras.layers.ZeroPadding2D):
        return _window(below[0], before=[first for first, _ in operation.padding])
    if isinstance(operation, keras.layers.Cropping2D):
        return _window(below[0], before=[-first for first, _ in operation.cropping])
    return refusal


def _union(fields):
    """Return the field that covers several fields of one stride, as of residual branches."""
    start = np.min([f.offset for f in fields], axis=0)
    end = np.max([np.add(f.offset, f.size) for f in fields], axis=0)
    return ReceptiveField(tuple((end - start).tolist()), fields[0].stride, tuple(start.tolist()))


def _slide(below, operation, spans, inputs):
    """Return the field of a convolution or pooling over windows of units with a field."""
    before = [0, 0]
    if operation.padding == "same":
        for axis, (span, step) in enumerate(zip(spans, operation.strides, strict=True)):
            units = inputs[0].shape[1 + axis]
            before[axis] = max((-(-units // step) - 1) * step + span - units, 0) // 2
    return _window(below, spans, operation.strides, before)


def _window(below, spans=(1, 1), steps=(1, 1), before=(0, 0)):
    """Return the field of windows of units, the first of which begins so many units outside."""
    size, stride, offset = (np.array(n) for n in (below.size, below.stride, below.offset))
    moved = size + (np.array(spans) - 1) * stride, stride * steps, offset - stride * before
    return ReceptiveField(*(tuple(pair.tolist()) for pair in moved))
