"""The files in which an ONNX file keeps its weights: found without running or loading anything."""

import os
from pathlib import Path

from reverse_correlation.errors import UserError

# Fields of the messages in https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, by number: those
# through which a tensor can be reached from a model, and the message that each of them holds.
REACHED = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
KEY, VALUE = 1, 2  # fields of an entry


def external_files(path, content):
    """Return the files beside a model that hold its weights: {name in the model: bytes}.

    Args:
        path: of the model.
        content: its bytes.

    Raises:
        UserError: if the model is damaged, or a file is missing or lies in another folder.
    """
    names, found = set(), {}
    try:
        _collect(memoryview(content), "model", names)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path} cannot be read as an ONNX network: {error}; export it again"
        ) from error
    folders = {Path(path).absolute().parent.resolve(), Path(path).resolve().parent}  # of a link too
    for name in sorted(names):
        file = Path(path).parent / name
        outside = Path(name).is_absolute() or ".." in Path(name).parts
        if outside or not any(file.resolve().is_relative_to(folder) for folder in folders):
            raise UserError(
                f"{path} keeps weights in {name}, outside its own folder, which is not read: "
                "export it again, with its weights in a file beside it"
            )
        if not file.is_file():
            raise UserError(
                f"{path} keeps its weights in {name}, which is not beside it: put both into one "
                "folder"
            )
        found[name] = file.read_bytes()
    return found


def _collect(message, kind, names):
    """Add the names of files in a message of a kind, and in those inside it, to a set."""
    for field, value in fields_of(message):
        inside = REACHED[kind].get(field)
        if inside == "entry":
            entry = dict(fields_of(value))
            if entry.get(KEY) == b"location":
                names.add(os.fsdecode(bytes(entry.get(VALUE, b""))))
        elif inside and isinstance(value, memoryview):
            _collect(value, inside, names)


def fields_of(message):
    """Yield (number, value) of each field of a protobuf message: an int, or a memoryview.

    Raises:
        ValueError: if it is not such a message.
    """
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        wire = tag & 7
        if wire == 0:
            value, at = _varint(message, at)
        elif wire in (1, 2, 5):
            length, at = _varint(message, at) if wire == 2 else (8 if wire == 1 else 4, at)
            value, at = message[at : at + length], at + length
        if wire not in (0, 1, 2, 5) or at > len(message):
            raise ValueError("it is not a whole protobuf message")
        yield tag >> 3, value


def _varint(message, at):
    """Return the whole number that begins at a byte, and the place of the byte after it."""
    value = shift = 0
    while at < len(message) and shift < 70:
        value |= (message[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if message[at - 1] < 128:
            return value, at
    raise ValueError("it is not a whole protobuf message")
