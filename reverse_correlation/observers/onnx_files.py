"""ONNX files as observers, run by ONNX Runtime."""

import functools
import hashlib
import os
from pathlib import Path

import numpy as np

from reverse_correlation.errors import UserError
from reverse_correlation.observers.arrays import ArrayObserver, library

TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}


def onnx(path, channels=None, name=None, labels=""):
    """Return an Observer of an ONNX file, which ONNX Runtime runs on the CPU.

    Args:
        path: of the file, which has one input of images and one output (n, K) of numbers.
        channels: "first" or "last", if the shape of the input does not tell.
        name: by default the file's.
        labels: "independent" or "exclusive", if the file does not tell; see `Observer.label_kind`.

    Raises:
        UserError: if ONNX Runtime is not installed, the file is damaged or has other inputs or
            outputs, or its shape does not tell where the channels are.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no file {path}: name a network saved as .onnx")
    content = path.read_bytes()
    answer = _Onnx(content, str(path), channels)
    digest = hashlib.sha256(content + answer.layout.encode()).hexdigest()
    if not labels and _maker(content, answer.output) == "Sigmoid":
        labels = "independent"  # of a single column, this changes nothing
    packages = ["onnxruntime"]
    return ArrayObserver(answer, name or path.stem, digest, answer.shape, packages, labels)


class _Onnx:
    """A function of arrays that an ONNX file computes. It is pickled as the bytes of the file."""

    def __init__(self, content, path, channels=None):
        self.content, self.path = content, path
        self.output = self._one_output()
        self.batch, self.shape, self.layout = self._input(channels)

    def __getstate__(self):
        return {key: value for key, value in vars(self).items() if key != "session"}

    @functools.cached_property
    def session(self):
        """ONNX Runtime's session, with as many threads as this process has cores."""
        runtime = library("onnxruntime", "ONNX Runtime", "onnx")
        options = runtime.SessionOptions()
        options.log_severity_level = 4
        if hasattr(os, "sched_getaffinity"):
            options.intra_op_num_threads = len(os.sched_getaffinity(0))
        try:
            return runtime.InferenceSession(self.content, options, ["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's error classes have no common parent
            reason = " ".join(str(error).split())[:160]
            raise UserError(
                f"{self.path} cannot be read as an ONNX network: {reason}; export it again"
            ) from error

    def _one_output(self):
        """Return the name of the output of numbers, (n, K)."""
        rows = [output for output in self.session.get_outputs() if "float" in output.type]
        rows = [output for output in rows if len(output.shape) == 2] or rows
        if len(rows) != 1 or len(rows[0].shape) != 2:
            found = ", ".join(f"{o.name} {o.shape}" for o in self.session.get_outputs())
            raise UserError(f"{self.path} answers {found}: expected one output (n, K) of numbers")
        return rows[0].name

    def _input(self, channels):
        """Return what the only input takes: images at once, (h, w, c), and where the channels are.

        The first two are None if the file leaves them open; channels are "first", "last" or "none".
        """
        inputs = self.session.get_inputs()
        found = ", ".join(f"{i.name} {i.shape} {i.type}" for i in inputs)
        if len(inputs) != 1 or len(inputs[0].shape) not in (3, 4) or inputs[0].type not in TYPES:
            raise UserError(
                f"{self.path} takes {found}: expected one input of images, (n, h, w, c) or "
                "(n, c, h, w), of floating-point numbers"
            )
        batch, *shape = [n if isinstance(n, int) and n > 0 else None for n in inputs[0].shape]
        if len(shape) == 2:
            return batch, None if None in shape else (*shape, 1), "none"
        first, last = (n in (1, 3) for n in (shape[0], shape[2]))
        if channels is None and first == last:
            raise UserError(
                f"{self.path} takes {found}: its shape does not tell whether channels come first "
                "or last; use --channels first or --channels last (channels= in Python)"
            )
        layout = channels or ("first" if first else "last")
        full = (*shape[1:], shape[0]) if layout == "first" else tuple(shape)
        return batch, None if None in full else full, layout

    def __call__(self, images):
        given = self.session.get_inputs()[0]
        if self.layout == "first":
            images = images.transpose(0, 3, 1, 2)
        elif self.layout == "none":
            images = images[..., 0]
        images = np.ascontiguousarray(images, TYPES[given.type])
        count, at_once = len(images), self.batch or len(images)
        missing = -count % at_once  # the file takes exactly `batch` images at a time
        images = np.concatenate([images, np.repeat(images[-1:], missing, axis=0)])
        parts = [
            self.session.run([self.output], {given.name: images[i : i + at_once]})[0]
            for i in range(0, count, at_once)
        ]
        return np.concatenate(parts)[:count]


def _maker(content, output):
    """Return the type of the node that makes an output of an ONNX file, such as "Sigmoid"."""
    for graph in _fields(content, 7):  # ModelProto.graph
        for node in _fields(graph, 1):  # GraphProto.node
            if output.encode() in _fields(node, 2):  # NodeProto.output
                return b"".join(_fields(node, 4)).decode(errors="replace")  # NodeProto.op_type
    return ""


def _fields(message, wanted):
    """Return the bytes of each field of that number in a protocol-buffer message."""
    found, view, at = [], memoryview(message), 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte, at = view[at], at + 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(view):
        field, kind = divmod(number(), 8)
        size = {0: 0, 1: 8, 2: -1, 5: 4}[kind]
        size = number() if size < 0 else size
        if kind == 0:
            number()
        if field == wanted and kind == 2:
            found.append(view[at : at + size])
        at += size
    return found
