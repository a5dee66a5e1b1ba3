"""Networks made by hand: whatever their configuration names, nothing is run, read or written."""

import json
import re
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import layers, ops

from reverse_correlation import UserError, load_any_network


@keras.saving.register_keras_serializable(package="hostile_tests")
def doubled(x):
    """An activation of a user's own."""
    return 2 * x


@keras.saving.register_keras_serializable(package="hostile_tests")
class Doubled(layers.Layer):
    """A layer of a user's own."""

    def call(self, x):
        return 2 * x


def small():
    x = keras.Input((6, 6, 1))
    return keras.Model(x, layers.Dense(3, name="dense")(layers.Flatten()(x)))


def rewritten(path, change):
    """Save a small network at a path, with what `change` does to its parts, {name: bytes}."""
    small().save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def with_layer(path, layer):
    """Save a small network whose configuration has one more layer, which is called on loading."""

    def change(parts):
        config = json.loads(parts["config.json"])
        config["config"]["layers"].append({"registered_name": None, "name": "more", **layer})
        parts["config.json"] = json.dumps(config)

    return rewritten(path, change)


def function(name):
    module, _, name = name.rpartition(".")
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def a_lambda(name, inputs, arguments):
    """A Lambda layer that calls one of Keras's own functions."""
    return {
        "module": "keras.layers",
        "class_name": "Lambda",
        "build_config": {"input_shape": [None, 3]},
        "config": {"name": "more", "function": function(name), "arguments": arguments},
        "inbound_nodes": [{"args": [], "kwargs": {"inputs": inputs}}],
    }


def an_activation(named):
    return {
        "module": "keras.layers",
        "class_name": "Activation",
        "config": {"name": "more", "activation": named},
        "inbound_nodes": [],
    }


def settings():
    return keras.config.epsilon(), keras.config.floatx(), keras.config.image_data_format()


@pytest.mark.parametrize(
    ("name", "inputs", "arguments"),
    [
        ("keras.config.set_epsilon", 0.25, {}),
        ("keras.config.set_floatx", "float64", {}),
        ("keras.config.set_image_data_format", "channels_first", {}),
        ("keras.utils.get_file", "mark", {"origin": "file://page", "cache_dir": "."}),
        ("keras.saving.load_model", "inner.keras", {"safe_mode": False}),
        ("keras.activations.relu", 1.0, {}),
    ],
)
def test_no_function_is_called_by_a_lambda_layer(name, inputs, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, before = with_layer(tmp_path / "net.keras", a_lambda(name, inputs, arguments)), settings()
    with pytest.raises(UserError, match="net.keras has a Lambda layer, whose code is not run"):
        load_any_network(path)
    assert settings() == before and [file.name for file in tmp_path.iterdir()] == ["net.keras"]


@pytest.mark.parametrize(
    "layer",
    [
        an_activation(function("keras.config.set_floatx")),
        an_activation(function("keras.utils.get_file")),
        an_activation(function("keras.activations.deserialize")),
        an_activation(function("keras.saving.relu")),
        an_activation(function("os.system")),
        an_activation({**function("keras.utils.get_file"), "registered_name": "doubled"}),
        {"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": "page"}},
        {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "."}},
        {"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": {"module": {}}},
        {"module": "keras.config", "class_name": "enable_unsafe_deserialization", "config": {}},
        {"module": "keras.src.ops.nn", "class_name": "backend", "config": {}},
        {"module": "os", "class_name": "system", "config": {"command": "touch ran"}},
        {"module": "os", "class_name": "system", "config": {}, "registered_name": "os>system"},
        {"class_name": "Lambda", "config": {}, "registered_name": "hostile_tests>Doubled"},
        {"class_name": "__lambda__", "config": {"value": "AAAA"}},
        {"class_name": "__typespec__", "spec_name": "system", "module": "os", "config": []},
        {"module": "keras.layers", "class_name": ["Dense"], "config": {}},
        {"module": ["keras"], "class_name": "Dense", "config": {}},
        {"module": "keras.layers", "class_name": 3, "config": {}},
    ],
    ids=lambda layer: str(layer["class_name"]),
)
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_what_is_neither_a_layer_of_keras_nor_registered_is_refused_before_keras_sees_it(
    layer, suffix, tmp_path, monkeypatch
):
    path = tmp_path / f"net{suffix}"
    if suffix == ".keras":
        with_layer(path, layer)
    else:
        small().save(path)
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            config["config"]["layers"].append(layer)
            file.attrs["model_config"] = json.dumps(config)
    monkeypatch.setattr(keras.saving, "load_model", None)  # calling it would fail otherwise
    with pytest.raises(UserError, match=f"net{suffix} .*(in it|Lambda layer|custom object)"):
        load_any_network(path)


def deep(parts):
    parts["config.json"] = "[" * 200_000


def a_list(parts):
    parts["config.json"] = "[]"


def long(parts):
    parts["config.json"] = "[" + "[]," * 10_000_000 + "[]]"


def none(parts):
    del parts["config.json"]


def of_zeros(parts):
    parts["model.weights.h5"] = bytes(2**27)


def a_layer_alone(parts):
    parts["config.json"] = json.dumps(
        {"module": "keras.layers", "class_name": "Flatten", "config": {"name": "flat"}}
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (deep, "nested too deeply"),
        (a_list, "cannot be read as a Keras network"),
        (long, "record of 30,000,004 characters is too long"),
        (none, "no item named 'config.json'"),
        (of_zeros, "bytes would unpack to 134,"),
        (a_layer_alone, "net.keras holds a Flatten, not a network|cannot be read"),
    ],
)
def test_an_archive_of_something_else_is_one_sentence(change, sentence, tmp_path):
    path = rewritten(tmp_path / "net.keras", change)
    with pytest.raises(UserError, match=sentence) as refusal:
        load_any_network(path)
    assert re.search(r"net\.keras (has|holds|cannot)", str(refusal.value))


@pytest.mark.parametrize(
    "value", [3, [1, 2], "3", "[]", '"Functional"', '{"class_name": [1]}', b"\xff"]
)
def test_an_h5_file_whose_configuration_has_another_type_is_one_sentence(value, tmp_path):
    small().save(tmp_path / "net.h5")
    with h5py.File(tmp_path / "net.h5", "r+") as file:
        file.attrs["model_config"] = np.void(value) if isinstance(value, bytes) else value
    with pytest.raises(UserError, match="net.h5 "):
        load_any_network(tmp_path / "net.h5")


@pytest.mark.parametrize(
    "fields",
    [
        {"config": []},
        {"config": None},
        {"config": 3},
        {"config": {"units": "many"}},
        {"config": {"units": [3]}},
        {"config": {"units": 3, "activation": {"class_name": "function", "config": [1]}}},
        {"config": {"units": 10**18, "name": "dense"}},
        {"inbound_nodes": 3},
        {"inbound_nodes": [["flatten", 0, "x"]]},
        {"name": ["dense"]},
    ],
)
def test_an_h5_file_whose_fields_have_other_types_is_one_sentence(fields, tmp_path):
    small().save(tmp_path / "net.h5")
    with h5py.File(tmp_path / "net.h5", "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][-1].update(fields)
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(UserError, match="net.h5 "):
        load_any_network(tmp_path / "net.h5")


def test_weights_that_lie_in_another_file_of_this_machine_are_not_read(tmp_path):
    np.arange(108, dtype=np.float32).tofile(tmp_path / "other.bin")

    def change(parts):
        (tmp_path / "weights.h5").write_bytes(parts["model.weights.h5"])
        with h5py.File(tmp_path / "weights.h5", "r+") as file:
            del file["layers/dense/vars/0"]
            outside = [(str(tmp_path / "other.bin"), 0, 432)]
            file["layers/dense/vars"].create_dataset("0", (36, 3), "f4", external=outside)
        parts["model.weights.h5"] = (tmp_path / "weights.h5").read_bytes()

    with pytest.raises(UserError, match="net.keras cannot be read"):
        load_any_network(rewritten(tmp_path / "net.keras", change))


def test_a_network_of_operations_own_classes_and_compiled_parts_is_the_one_that_was_saved(tmp_path):
    x = keras.Input((6, 6, 1))
    y = layers.Conv2D(2, 3, activation="swish", kernel_regularizer="l2")(x)
    y = ops.sigmoid(y) * np.float32(2) + ops.mean(y, axis=1, keepdims=True)
    y = Doubled()(layers.Flatten()(y[:, :2]))
    inner = keras.Sequential(
        [
            keras.Input((16,)),
            layers.Dense(4, activation=doubled),
            layers.Dense(3, keras.activations.gelu),
        ]
    )
    inner.compile("adam", loss=keras.losses.categorical_crossentropy, metrics=["accuracy"])
    network = keras.Model(x, inner(y))
    network.compile("sgd", "mse")
    network.save(tmp_path / "net.keras")
    images = np.random.default_rng(0).random((3, 6, 6, 1), np.float32)
    both = load_any_network(tmp_path / "net.keras"), network
    assert np.array_equal(*(keras.ops.convert_to_numpy(net(images)) for net in both))
