"""A receptive field is where the gradient is."""

import keras
import numpy as np
import pytest
from helpers import show
from keras import layers, ops
from zoo import build, dense_only, recurrent, residual

from reverse_correlation import Network, UserError, receptive_field
from reverse_correlation.frameworks import framework


def chain(*stack, size=(23, 19)):
    """A network of the given layers, with all weights positive."""
    images = keras.Input((*size, 1))
    x = images
    for layer in stack:
        x = layer(x)
    x = layers.GlobalAveragePooling2D()(x)
    network = keras.Model(images, layers.Softmax()(layers.Dense(2)(x)))
    for layer in stack:
        layer.set_weights([np.abs(w) + 0.01 for w in layer.get_weights()])
    return network


@pytest.mark.parametrize(
    "stack",
    [
        lambda: [layers.Conv2D(2, 5, padding="same"), layers.AveragePooling2D(2)],
        lambda: [layers.Conv2D(2, 3, strides=2, padding="same"), layers.Conv2D(1, (4, 2))],
        lambda: [layers.AveragePooling2D(3, 2, "same"), layers.Conv2D(1, 3, dilation_rate=2)],
        lambda: [layers.Conv2D(2, 4, padding="same"), layers.ReLU(), layers.DepthwiseConv2D(3, 2)],
    ],
)
def test_the_receptive_field_is_where_the_gradient_is(stack):
    stack = stack()
    network = chain(*stack)
    field = receptive_field(network, stack[-1].name)
    tap = keras.Model(network.inputs, network.get_layer(stack[-1].name).output)
    stimulus = ops.ones((1, 23, 19, 1))
    rows, columns = field.windows((23, 19), tap.output_shape[1:3])
    for i, j in [(0, 0), (rows[0], columns[0]), (rows[1] - 1, columns[1] - 1)]:
        _, gradients = framework.column_gradients(lambda x: tap(x)[:, i, j, :1], stimulus)  # noqa: B023
        seen = np.argwhere(ops.convert_to_numpy(gradients)[0, 0, ..., 0] > 0)
        for axis, index in enumerate((i, j)):
            first = field.offset[axis] + index * field.stride[axis]
            last = min(first + field.size[axis] - 1, (22, 18)[axis])
            assert (seen[:, axis].min(), seen[:, axis].max()) == (max(first, 0), last)
    outside = field.offset[0] + (rows[0] - 1) * field.stride[0]
    assert rows[0] == 0 or outside < 0  # the unit before the first interior one sees padding


def test_the_field_of_a_residual_network_is_where_its_gradient_is():
    network = Network(build(residual))
    field = network.receptive_field("last")
    tap = keras.Model(network.graph.inputs[0], network.tapped("last"))
    stimulus = ops.ones((1, 14, 17, 3))
    seen = np.zeros((14, 17), bool)
    for _ in range(5):  # a rectified unit is deaf at some images: look at several
        stimulus += keras.random.normal(stimulus.shape, seed=1)
        _, gradients = framework.column_gradients(
            lambda x: ops.sum(tap(x, training=False)[:, 1, 2], axis=1, keepdims=True), stimulus
        )
        seen |= np.any(ops.convert_to_numpy(gradients)[0, 0] != 0, axis=2)
    for axis, index in enumerate((1, 2)):
        first = field.offset[axis] + index * field.stride[axis]
        where = np.flatnonzero(seen.any(axis=1 - axis))
        last = first + field.size[axis] - 1
        assert (where[0], where[-1]) == (max(first, 0), min(last, (13, 16)[axis]))


def test_convolutions_without_a_receptive_field_are_passed_over():
    images = keras.Input((12, 12, 1))
    x = layers.Conv2D(4, 3, padding="same", name="first")(images)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Conv2D(4, 3, name="gated")(layers.Multiply()([x, gate]))
    network = Network(keras.Model(images, layers.Dense(2)(layers.Flatten()(x))))
    assert network.convolutions() == ["first"]
    with pytest.raises(UserError, match="'gated' cannot be derived.*'global_average"):
        network.receptive_field("gated")
    for without in (dense_only, recurrent):
        assert Network(build(without)).convolutions() == []


def test_a_layer_without_a_receptive_field_is_refused_by_name():
    images = keras.Input((8, 8, 1))
    x = layers.Conv2D(2, 3, name="after")(layers.UpSampling2D(name="larger")(images))
    network = keras.Model(images, layers.Dense(2, "softmax")(layers.Flatten()(x)))
    with pytest.raises(UserError, match="'after' cannot be derived.*'larger'"):
        receptive_field(network, "after")
    with pytest.raises(UserError, match="no layer 'conv9'; it has"):
        show(network, 10, layers=["conv9"])
