"""The format of a network's file is told by its content; what cannot be read says what to do."""

import io
import json
import pickle
import zipfile

import keras
import numpy as np
import onnx_files
import pytest
from keras import layers

from reverse_correlation import UserError, load_any_network

WEIGHTS = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)
IMAGES = np.random.default_rng(1).random((3, 4, 4, 1), np.float32)


def save(path, suffix):
    """Write a dense network in the format of a suffix, whatever the path is called."""
    own = path.parent / f"saved{suffix}"
    if suffix == ".onnx":
        onnx_files.dense(own, WEIGHTS, ["n", 4, 4, 1])
    else:
        dense = layers.Dense(3, use_bias=False)
        network = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), dense])
        dense.set_weights([WEIGHTS])
        network.save(own)
    own.rename(path)


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".onnx"])
@pytest.mark.parametrize(
    "name", ["UPPER{}", "wrong.keras", "wrong.h5", "wrong.onnx", "none", "a.b"]
)
def test_a_network_is_read_whatever_its_file_is_called(suffix, name, tmp_path):
    path = tmp_path / name.format(suffix.upper())
    save(path, suffix)
    network = load_any_network(path)
    answers = network.answer(IMAGES) if suffix == ".onnx" else network.predict(IMAGES, verbose=0)
    assert np.allclose(answers, IMAGES.reshape(3, -1) @ WEIGHTS, atol=1e-5)


def archive(*names):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name in names:
            file.writestr(name, b"anything")
    return stream.getvalue()


def arrays():
    stream = io.BytesIO()
    np.savez(stream, x=WEIGHTS)
    return stream.getvalue()


def safetensors():
    head = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return len(head).to_bytes(8, "little") + head + bytes(4)


BROWSER = b'{"format": "layers-model", "generatedBy": "keras v2", "modelTopology": {"a": 1}}'
UNREADABLE = {
    "PyTorch": (archive("net/data.pkl", "net/version"), "PyTorch.*torch.onnx.export"),
    "TorchScript": (archive("a/code/a.py", "a/constants.pkl"), "PyTorch.*torch.onnx.export"),
    "old PyTorch": (pickle.dumps(0x1950A86A20F9469CFC6C, 2), "PyTorch.*torch.onnx.export"),
    "a pickle": (
        pickle.dumps({"weights": [1, 2]}),
        "a pickle, .*never opened: .*observers.sklearn",
    ),
    "TFLite": (b"\x1c\0\0\0TFL3" + bytes(99), "TensorFlow Lite: .*tf2onnx.convert.*--tflite"),
    "TensorFlow.js": (BROWSER, "TensorFlow.js: .*tensorflowjs_converter"),
    "a graph": (BROWSER.replace(b"layers-", b"graph-"), "a graph of TensorFlow.js: .*--tfjs"),
    "safetensors": (safetensors(), "weights .safetensors. without a network: build it in Python"),
    "arrays": (arrays(), "holds arrays, not a network.*for compare"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "a page": (b"<!DOCTYPE html><html><body>Not found", "a web page, not a network: download"),
    "a structure": (b'{"class_name": "Sequential", "config": {}}', "without its weights"),
}


@pytest.mark.parametrize("name", ["net.pt", "net.keras", "net.H5", "net.onnx"])
@pytest.mark.parametrize("kind", UNREADABLE)
def test_another_format_is_refused_with_how_to_convert_it(kind, name, tmp_path, monkeypatch):
    content, sentence = UNREADABLE[kind]
    (tmp_path / name).write_bytes(content)
    for reader in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, reader, None)  # calling it would fail otherwise
    with pytest.raises(UserError, match=sentence):
        load_any_network(tmp_path / name)


def test_a_folder_of_tensorflow_is_refused_with_how_to_convert_it(tmp_path):
    (tmp_path / "saved").mkdir()
    with pytest.raises(UserError, match="saved is a folder; networks are read"):
        load_any_network(tmp_path / "saved")
    (tmp_path / "saved/saved_model.pb").write_bytes(b"")
    with pytest.raises(UserError, match="a SavedModel of TensorFlow: .*--saved-model saved"):
        load_any_network(tmp_path / "saved")


@pytest.mark.parametrize(
    "content",
    [b"", b"a text", bytes(100), b"\x08\x07 but no more", archive("a")[:-9]],
    ids=["nothing", "a text", "zeros", "two bytes of ONNX", "a cut archive"],
)
def test_what_is_not_known_is_refused_in_a_sentence(content, tmp_path):
    (tmp_path / "net.bin").write_bytes(content)
    with pytest.raises(
        UserError, match="is not a file of a network that can be read; networks are read"
    ):
        load_any_network(tmp_path / "net.bin")
