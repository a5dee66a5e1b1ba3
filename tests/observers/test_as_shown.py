"""Images of any size, channels that come first, and colours in another order."""

import keras
import numpy as np
import onnx_files
import pytest
from keras import layers
from onnx import helper
from small_observers import STD, centred, close

from reverse_correlation import UserError, WhiteNoise, measure
from reverse_correlation.observers.network_files import load_any_network, read_observer

SHAPE = (6, 5, 3)
WEIGHTS = np.random.default_rng(0).normal(size=(*SHAPE, 4)).astype(np.float32) / 5
IMAGES = centred(np.moveaxis(WEIGHTS, 3, 0)) * STD**2  # of the logits
FIRST = WEIGHTS.transpose(2, 0, 1, 3)  # of a network that takes (c, h, w)


def show(observer, count=20_000):
    return measure(observer, WhiteNoise(shape=observer.shape), count, progress=False)


def as_onnx(path, weights):
    path = path.with_suffix(".onnx")
    return onnx_files.dense(path, weights.reshape(-1, 4), ["n", *weights.shape[:3]])


def as_keras(path, weights):
    dense = layers.Dense(4, use_bias=False)
    network = keras.Sequential([keras.Input(weights.shape[:3]), layers.Flatten(), dense])
    dense.set_weights([weights.reshape(-1, 4)])
    network.save(path.with_suffix(".keras"))
    return path.with_suffix(".keras")


BOTH = pytest.mark.parametrize("save", [as_onnx, as_keras])


@BOTH
def test_a_network_of_bgr_is_the_same_network_when_it_is_shown_bgr(save, tmp_path):
    path = save(tmp_path / "bgr", np.ascontiguousarray(WEIGHTS[..., ::-1, :]))
    observer, unlike = read_observer(path, colours="bgr"), read_observer(path)
    assert close(show(observer).classes["logit"], IMAGES)
    assert not close(show(unlike).classes["logit"], IMAGES)
    noise = WhiteNoise(shape=SHAPE)
    assert observer.looked(noise).sha256 != unlike.looked(noise).sha256


@BOTH
def test_means_are_in_the_order_that_the_network_expects(save, tmp_path):
    path = save(tmp_path / "bgr", np.ascontiguousarray(WEIGHTS[..., ::-1, :]))
    observer = read_observer(path, means=(0, 0, 0), deviations=(4, 2, 1), colours="bgr")
    assert close(show(observer).classes["logit"], IMAGES / [1, 2, 4])


def test_a_keras_network_of_bgr_has_receptive_fields_in_rgb(tmp_path):
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 2)).astype(np.float32)
    convolution = layers.Conv2D(2, 3, use_bias=False, name="conv")
    stack = [convolution, layers.Flatten(), layers.Dense(4)]
    network = keras.Sequential([keras.Input(SHAPE), *stack])
    convolution.set_weights([kernel[:, :, ::-1]])
    network.save(tmp_path / "bgr.keras")
    observer = read_observer(tmp_path / "bgr.keras", colours="bgr")
    assert observer.convolutions() == ["conv"] and observer.kernels("conv") is None
    measured = measure(observer, WhiteNoise(shape=SHAPE), 20_000, layers=["conv"], progress=False)
    assert close(measured.layers["conv"], np.moveaxis(kernel, 3, 0) * STD**2)


def test_the_layer_that_reverses_channels_is_read_again_from_a_file(tmp_path):
    path = as_keras(tmp_path / "bgr", WEIGHTS)
    observer = read_observer(path, colours="bgr")
    observer.graph.save(tmp_path / "again.keras")
    images = np.random.default_rng(0).random((3, *SHAPE), np.float32)
    again = load_any_network(tmp_path / "again.keras")
    assert np.array_equal(
        *(keras.ops.convert_to_numpy(net(images)) for net in (again, observer.graph))
    )


def test_a_network_without_colours_has_no_order_of_them(tmp_path):
    path = as_onnx(tmp_path / "grey", WEIGHTS[:, :, :1])
    with pytest.raises(UserError, match="--colours bgr is for images of 3 channels, but grey.onnx"):
        read_observer(path, colours="bgr")


# ----------------------------------------------------------------------- where the channels are


@BOTH
@pytest.mark.parametrize("channels", ["", "first"])
def test_channels_that_come_first_are_found_or_said(save, channels, tmp_path):
    observer = read_observer(save(tmp_path / "first", FIRST), channels)
    assert observer.shape == SHAPE and close(show(observer).classes["logit"], IMAGES)


def test_layers_tell_where_channels_are_if_the_shape_does_not(tmp_path, capsys):
    first = {"data_format": "channels_first"}
    flat = [layers.Flatten(), layers.Dense(2)]
    stack = [keras.Input((4, 8, 9)), layers.Conv2D(2, 3, **first), *flat]
    keras.Sequential(stack).save(tmp_path / "four.keras")
    assert read_observer(tmp_path / "four.keras").shape == (8, 9, 4)
    assert "four.keras: channels come first, in (4, 8, 9)" in capsys.readouterr().out
    stack = [keras.Input((8, 9, 4)), layers.Permute((3, 1, 2)), layers.Conv2D(2, 3, **first), *flat]
    keras.Sequential(stack).save(tmp_path / "turned.keras")
    assert read_observer(tmp_path / "turned.keras").shape == (8, 9, 4)


# ----------------------------------------------------------------------- images of any size


def pooled_onnx(path, taken=("n", "h", "w", 3)):
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["means"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["means", "weights"], ["logits"]),
    ]
    path = path.with_suffix(".onnx")
    return onnx_files.save(path, nodes, {"weights": WEIGHTS[0, 0]}, list(taken), "logits")


def pooled_keras(path):
    dense, images = layers.Dense(4, use_bias=False), keras.Input((None, None, 3))
    network = keras.Model(images, dense(layers.GlobalAveragePooling2D()(images)))
    dense.set_weights([WEIGHTS[0, 0]])
    network.save(path.with_suffix(".keras"))
    return path.with_suffix(".keras")


ANY = pytest.mark.parametrize("save", [pooled_onnx, pooled_keras])


@ANY
@pytest.mark.parametrize("how", [{"size": (4, 3)}, {"otherwise": (4, 3)}])
def test_a_network_of_images_of_any_size_is_shown_the_size_that_is_given(save, how, tmp_path):
    observer = read_observer(save(tmp_path / "any"), **how)
    assert observer.shape == (4, 3, 3)
    images = np.tile(centred(WEIGHTS[0, 0].T)[:, None, None], (1, 4, 3, 1)) / 12 * STD**2
    assert close(show(observer, 40_000).classes["logit"], images)


@ANY
def test_without_a_size_it_is_refused_in_a_sentence(save, tmp_path):
    with pytest.raises(UserError, match="any size: give one with --size H W, or an image with"):
        read_observer(save(tmp_path / "any"))


@BOTH
def test_a_size_that_the_network_does_not_have_is_refused(save, tmp_path):
    path = save(tmp_path / "fixed", WEIGHTS)
    assert read_observer(path, size=(6, 5), otherwise=(9, 9)).shape == SHAPE
    with pytest.raises(UserError, match="takes images of 6 x 5 pixels, not of 6 x 6: leave --size"):
        read_observer(path, size=(6, 6))


def test_channels_that_are_left_open_are_three_and_that_is_said(tmp_path, capsys):
    path = pooled_onnx(tmp_path / "open", ("n", "h", "w", "c"))
    assert read_observer(path, "last", size=(4, 4)).shape == (4, 4, 3)
    assert "does not say how many channels it takes: it is shown 3" in capsys.readouterr().out


def test_a_size_that_layers_cannot_take_is_refused_in_a_sentence(tmp_path):
    images = keras.Input((None, None, 3))
    answers = layers.Dense(2)(layers.GlobalAveragePooling2D()(layers.Conv2D(2, 7)(images)))
    keras.Model(images, answers).save(tmp_path / "seven.keras")
    with pytest.raises(UserError, match=r"cannot be shown images of \(4, 4, 3\)"):
        read_observer(tmp_path / "seven.keras", size=(4, 4))
