"""Networks of every kind, built by hand, each held against brute force."""

import functools
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from helpers import covariance_of_rows, drawn
from keras import layers, ops
from zoo import (
    ALL,
    EXPECTED_LOGITS,
    binary,
    black_box,
    build,
    nested,
    rescaled,
    residual,
    separable,
    subclassed,
)

from lenet import LeNet
from reverse_correlation import Network, UserError, WhiteNoise, load_any_network, measure
from reverse_correlation.observers.graphs import flat_graph, image_shape, named_tensors
from reverse_correlation.observers.keras_networks import BLOCK_BYTES, receptive_field

COUNT = 1000
BOTH = pytest.mark.parametrize("orthogonal", [True, False], ids=["orthogonal", "independent"])
LAYERS = {
    binary: ["conv"],
    separable: ["depthwise", "separable", "dilated"],
    rescaled: ["conv"],
    residual: ["second", "last"],
    nested: ["outside"],
    subclassed: ["inner"],
}


@pytest.fixture(scope="module")
def measured():
    """Return a function that measures one of the networks, and does so only once."""

    @functools.cache
    def once(which, orthogonal):
        network = build(which)
        high = 255.0 if which is rescaled else 1.0
        noise = WhiteNoise(shape=image_shape(network), high=high, orthogonal=orthogonal)
        layers_ = LAYERS.get(which, [])
        measurement = measure(network, noise, COUNT, layers=layers_, progress=False)
        stimuli = drawn(noise, COUNT, measurement.provenance["block_images"])
        return SimpleNamespace(
            network=network, noise=noise, measurement=measurement, stimuli=stimuli
        )

    return once


@BOTH
@pytest.mark.parametrize("which", ALL)
def test_class_images_are_the_covariance_of_the_networks_own_answers(which, orthogonal, measured):
    case = measured(which, orthogonal)
    logits = EXPECTED_LOGITS[which](case.network, case.stimuli)
    for kind, responses in [
        ("logit", logits),
        ("probability", np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)),
        ("decision", np.eye(logits.shape[1])[logits.argmax(axis=1)]),
    ]:
        expected = covariance_of_rows(responses, case.stimuli)
        estimate = case.measurement.classes[kind]
        allowed = 1e-4 * responses.std(axis=0).max() * case.noise.std + 1e-9
        assert np.allclose(estimate.covariance, expected, rtol=1e-3, atol=allowed), kind
        assert np.allclose(estimate.mean_response, responses.mean(axis=0), rtol=1e-4, atol=1e-5)


@BOTH
@pytest.mark.parametrize(
    ("which", "layer"), [(which, layer) for which in LAYERS for layer in LAYERS[which]]
)
def test_filters_are_the_covariance_of_activity_and_patches(which, layer, orthogonal, measured):
    case = measured(which, orthogonal)
    network = Network(case.network)
    tap = keras.Model(network.graph.inputs[0], network.tapped(layer))
    told = case.measurement.provenance
    every = next(s["every"] for s in told["accumulators"] if s.get("layer") == layer)
    block = np.arange(COUNT) // told["block_images"]
    stimuli = case.stimuli[block % every == 0]
    activity = np.float64(keras.ops.convert_to_numpy(tap(stimuli, training=False)))
    field = receptive_field(case.network, layer)
    image, units = case.noise.shape[:2], activity.shape[1:3]
    rows, columns = (
        spans(field.size[axis], field.stride[axis], field.offset[axis], image[axis], units[axis])
        for axis in (0, 1)
    )
    patches, responses = [], []
    for i, top, bottom in rows:
        for j, left, right in columns:
            patches.append(stimuli[:, top:bottom, left:right])
            responses.append(activity[:, i, j])
    patches, responses = np.concatenate(patches), np.concatenate(responses)
    expected = covariance_of_rows(responses, patches)
    filters = case.measurement.layers[layer]
    assert filters.covariance.shape == expected.shape and filters.count == len(patches)
    assert np.allclose(filters.covariance, expected, atol=2e-4 * np.abs(expected).max())


def spans(size, stride, offset, pixels, units):
    """What each unit that sees no padding sees along an axis: [(unit, start, end)].

    Where there is none, what the image has of the middle unit's field.
    """
    seen = [(i, offset + i * stride, offset + i * stride + size) for i in range(units)]
    inside = [(i, start, end) for i, start, end in seen if start >= 0 and end <= pixels]
    middle = [(i, max(start, 0), end) for i, start, end in seen if i == units // 2]
    return inside or middle


def test_a_flat_graph_has_no_model_within_it_and_the_same_answers():
    for which in (nested, subclassed, residual):
        network = build(which)
        graph = flat_graph(network)
        assert not any(isinstance(layer, keras.Model) for layer in graph.layers)
        stimuli = WhiteNoise(shape=image_shape(network)).draw(0, 0, 5)
        ours, theirs = (keras.ops.convert_to_numpy(net(stimuli)) for net in (graph, network))
        assert np.allclose(ours, theirs, rtol=1e-5, atol=1e-7)
    assert {"within", "outside"} <= set(named_tensors(flat_graph(build(nested))))


def test_what_is_no_classifier_of_images_is_refused_in_one_sentence():
    a, b = keras.Input((4, 4, 1)), keras.Input((4, 4, 1))
    x = layers.Flatten()(a)
    for network, sentence in [
        (keras.Model([a, b], layers.Dense(2)(layers.Flatten()(a + b))), "has 2 inputs"),
        (keras.Model(a, [layers.Dense(2)(x), layers.Dense(3)(x)]), "has 2 outputs"),
        (keras.Sequential([keras.Input((784,)), layers.Dense(3)]), "expected images"),
        (keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(3, 3)]), r"of \(6, 6, 3\)"),
    ]:
        with pytest.raises(UserError, match=sentence):
            Network(network)


def test_a_large_network_is_shown_fewer_images_at_once():
    network = keras.Sequential(
        [
            keras.Input((224, 224, 3)),
            layers.Conv2D(64, 3, padding="same", activation="relu", name="first"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4),
        ]
    )
    images = Network(network).images_that_fit(["first"])
    activities = images * 224 * 224 * 64 * 4
    assert images >= 2 and activities < BLOCK_BYTES / 4


def test_probabilities_are_told_from_logits_without_a_softmax_layer():
    assert "probabilities" in Network(build(black_box), WhiteNoise(shape=(5, 4, 1))).meaning
    assert Network(build(residual)).meaning == "centred, from its logits"


def test_kernels_come_filter_by_filter_and_only_from_a_first_convolution():
    keras_model = LeNet()
    network, learned = (
        Network(keras_model),
        ops.convert_to_numpy(keras_model.get_layer("conv1").kernel),
    )
    assert network.kernels("conv1").shape == (6, 5, 5, 1)
    assert np.array_equal(network.kernels("conv1")[3], learned[..., 3])
    assert network.kernels("conv2") is None  # its kernels are not in units of the image
    assert Network(build(rescaled)).kernels("conv").shape == (2, 3, 3, 1)
    assert Network(build(separable)).kernels("depthwise") is None


def test_the_hash_is_of_layers_and_weights_and_not_of_names():
    first, again = build(residual), build(residual)
    assert Network(first).sha256 == Network(again).sha256
    again.layers[1].bias.assign(again.layers[1].bias + 1)
    assert Network(first).sha256 != Network(again).sha256


def test_load_any_network_reads_what_keras_saved(tmp_path):
    network = build(nested)
    network.save(tmp_path / "nested.keras")
    again = load_any_network(tmp_path / "nested.keras")
    stimuli = WhiteNoise(shape=(12, 12, 3)).draw(0, 0, 5)
    assert np.array_equal(*(keras.ops.convert_to_numpy(net(stimuli)) for net in (again, network)))


def test_a_file_that_is_no_network_is_never_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(keras.saving, "load_model", None)  # calling it would fail
    (tmp_path / "old.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(UserError, match="not a whole HDF5 file"):
        load_any_network(tmp_path / "old.h5")
    with pytest.raises(UserError, match="there is no file"):
        load_any_network(tmp_path / "none.keras")


def test_a_dictionary_of_one_output_is_that_output():
    images = keras.Input((6, 6, 1))
    logits = keras.layers.Dense(4)(keras.layers.Flatten()(images))
    noise = WhiteNoise(shape=(6, 6, 1))
    shown = ops.convert_to_numpy(noise.draw(0, 0, 5))
    plain, wrapped = (
        Network(keras.Model(images, outputs)).looked(noise).logits_of(shown)
        for outputs in (logits, {"class": logits})
    )
    assert np.array_equal(plain, wrapped)
