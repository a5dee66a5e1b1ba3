"""What format the file of a network has, by its content: nothing in it is run or unpickled."""

import contextlib
import shutil
import tempfile
import zipfile
from pathlib import Path

from reverse_correlation.errors import UserError
from reverse_correlation.observers.onnx_external import fields_of

SUFFIXES = {".keras": ".keras", ".h5": ".h5", ".hdf5": ".h5", ".onnx": ".onnx"}
HEAD = 2**16  # bytes from which a format is told
ONNX_FIELDS = {1, 7, 8}  # of its model: version of the format, graph, sets of operators
EXPORT = "export it with torch.onnx.export(module, (images,), 'x.onnx')"
PYTORCH = f"is of PyTorch, whose files can run code and are not opened: {EXPORT}, or "
PYTORCH += "measure observers.torch(module) in Python"
PICKLE = "is a pickle, which can run any code and is never opened: measure the object in Python, "
PICKLE += "with observers.sklearn(estimator) or observers.torch(module)"
TO_ONNX = "turn it into ONNX with python -m tf2onnx.convert --output x.onnx"
TEXTS = {  # by what a text has near its beginning
    b"version https://git-lfs": "is a pointer of Git LFS, not the file: fetch it with git lfs pull",
    b"<html": "is a web page, not a network: download the file itself",
    b"<!doctype": "is a web page, not a network: download the file itself",
    b'"graph-model"': f"is a graph of TensorFlow.js: {TO_ONNX} --tfjs",
    b'"modeltopology"': "is of TensorFlow.js: turn it into .h5 with tensorflowjs_converter "
    "--input_format=tfjs_layers_model --output_format=keras",
    b'"class_name"': "describes a network without its weights: build it in Python, load them, and "
    "save it with model.save('x.keras')",
}


def format_of(path):
    """Return the suffix of a file's format, as its content tells it: .keras, .h5 or .onnx.

    A damaged file that is not recognised has the format that its own suffix says.

    Raises:
        UserError: if it has another format; the sentence says how to convert it.
    """
    path = Path(path)
    if path.is_dir():
        told = "is a folder"
        if (path / "saved_model.pb").exists():
            told = f"is a SavedModel of TensorFlow: {TO_ONNX} --saved-model {path.name}"
    else:
        with open(path, "rb") as file:
            head = file.read(HEAD)
        told = _archive(path) if head.startswith(b"PK") else _told_by(head)
        told = told or (".onnx" if _is_onnx(path, head) else "")
    told = told or SUFFIXES.get(path.suffix.lower(), "")
    if told in SUFFIXES.values():
        return told
    raise UserError(
        f"{path} {told or 'is not a file of a network that can be read'}; networks are read from "
        "files saved as .keras, .onnx or .h5 (a measurement, .npz, is for compare)"
    )


def _archive(path):
    """Return the format of a zip archive: a suffix, or words; "" if it is not known, or damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return ""
    if "config.json" in names:
        return ".keras"
    if any(name.rpartition("/")[2] in ("data.pkl", "constants.pkl") for name in names):
        return PYTORCH
    if names and all(name.endswith(".npy") for name in names):
        return "holds arrays, not a network"
    return ""


def _told_by(head):
    """Return the format that the first bytes of a file tell: a suffix, or words; "" if none."""
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return ".h5"
    if head[4:8] == b"TFL3":
        return f"is of TensorFlow Lite: {TO_ONNX} --tflite"
    if head.startswith(b"\x80\x02\x8a\nl\xfc\x9cF\xf9"):  # of PyTorch before 1.6
        return PYTORCH
    if head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        return PICKLE
    if head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < 10**8:
        return f"holds weights (safetensors) without a network: build it in Python, and {EXPORT}"
    if head.lstrip()[:1] not in (b"{", b"<", b"v"):
        return ""
    return next((words for sign, words in TEXTS.items() if sign in head.lower()), "")


def _is_onnx(path, head):
    """Return whether a file has the fields of an ONNX file, which has no other sign."""
    if head[:1] != b"\x08":
        return False
    try:
        return ONNX_FIELDS <= {number for number, _ in fields_of(memoryview(path.read_bytes()))}
    except ValueError:
        return False


@contextlib.contextmanager
def called(path, suffix):
    """Yield a path of the file whose name has this suffix: its own, or that of a copy."""
    if path.suffix == suffix:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        yield shutil.copy(path, Path(folder) / f"network{suffix}")
