"""ONNX files as observers, run by ONNX Runtime."""

import contextlib
import functools
import hashlib
import math
import os
import tempfile
from pathlib import Path

import numpy as np

from reverse_correlation.errors import UserError
from reverse_correlation.observers.arrays import ArrayObserver, library
from reverse_correlation.observers.onnx_external import external_files, fields_of

TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}
TABLE = "seq(map("  # type of an output of ZipMap: a list of {class: probability}, one an image


def onnx(path, channels=None, name=None, output=None, labels=""):
    """Return an Observer of an ONNX file, which ONNX Runtime runs on the CPU.

    Weights may be in files beside it, as PyTorch exports them. If the file leaves the height and
    width of its images open, the observer takes those of the noise.

    Args:
        path: of the file, which has one input of images; it answers (n, K) numbers, of which those
            of a detector's last layer may also be (n, K, 1, 1).
        channels: "first" or "last", if the shape of the input does not tell.
        name: by default the file's.
        output: name of the output that answers, if there are several.
        labels: "independent" or "exclusive", if the file does not tell; see `Observer.label_kind`.

    Raises:
        UserError: if ONNX Runtime is not installed, the file is damaged or has other inputs or
            outputs, or its shape does not tell where the channels are.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no file {path}: name a network saved as .onnx")
    content = path.read_bytes()
    answer = _Onnx(content, external_files(path, content), str(path), channels, output)
    digest = hashlib.sha256(content + answer.layout.encode())
    for file, weights in answer.external.items():
        digest.update(file.encode() + hashlib.sha256(weights).digest())
    if output:
        digest.update(f"output {output}".encode())
    shape, packages = None if None in answer.taken else answer.taken, ["onnxruntime"]
    if not labels and _maker(content, answer.output) == "Sigmoid":
        labels = "independent"  # of a single column, this changes nothing
    name = name or path.stem
    return ArrayObserver(answer, name, digest.hexdigest(), shape, packages, labels)


class _Onnx:
    """A function of arrays that an ONNX file computes. It is pickled as the bytes of its files.

    Attributes:
        external: {name of a file of weights: its bytes}.
        taken: (h, w, c) of its images; None for each that the file leaves open.
        layout: where the channels are, "first", "last" or "none".
        batch: how many images it takes at once; None for any number, once it has answered.
    """

    def __init__(self, content, external, path, channels=None, output=None):
        self.content, self.external, self.path = content, external, path
        self.output = self._output(output)
        self.batch, self.taken, self.layout = self._input(channels)
        self._answered = False

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
        said = f"{self.path} cannot be read as an ONNX network: ", "; export it again"
        with contextlib.ExitStack() as stack, _in_a_sentence(*said):
            model = self.content
            if self.external:  # ONNX Runtime looks for them beside a file, and this may be a worker
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                for name, weights in {"model.onnx": self.content, **self.external}.items():
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    (folder / name).write_bytes(weights)
                model = str(folder / "model.onnx")
            return runtime.InferenceSession(model, options, ["CPUExecutionProvider"])

    def _output(self, name):
        """Return the name of the output that answers: the one of that name, or the only one."""
        outputs = self.session.get_outputs()
        found = ", ".join(f"{o.name} {o.shape} {o.type}" for o in outputs)
        if name:
            if name not in [output.name for output in outputs]:
                raise UserError(f"{self.path} has no output {name!r}: it answers {found}")
            return name
        numbers = [o for o in outputs if o.type in TYPES or o.type.startswith(TABLE)]
        rows = [o for o in numbers if _may_be_a_row(o.shape)]
        if not rows:
            raise UserError(
                f"{self.path} answers {found}: expected one output (n, K) of floating-point numbers"
            )
        if len(rows) > 1:
            raise UserError(
                f"{self.path} answers {found}: choose one with --output NAME (output= in Python)"
            )
        return rows[0].name

    def _input(self, channels):
        """Return what the only input takes: images at once, (h, w, c), and where the channels are.

        Each is None if the file leaves it open; channels are "first", "last" or "none".
        """
        inputs = self.session.get_inputs()
        found = ", ".join(f"{i.name} {i.shape} {i.type}" for i in inputs)
        if len(inputs) != 1 or len(inputs[0].shape) not in (3, 4) or inputs[0].type not in TYPES:
            whole = len(inputs) == 1 and "int" in inputs[0].type
            advice = "; export it without the step that turns whole numbers into floats"
            raise UserError(
                f"{self.path} takes {found}: expected one input of images, (n, h, w, c) or "
                f"(n, c, h, w), of floating-point numbers{advice if whole else ''}"
            )
        batch, *shape = [n if isinstance(n, int) and n > 0 else None for n in inputs[0].shape]
        if len(shape) == 2:
            return batch, (*shape, 1), "none"
        first, last = (n in (1, 3) for n in (shape[0], shape[2]))
        if channels is None and first == last:
            raise UserError(
                f"{self.path} takes {found}: its shape does not tell whether channels come first "
                "or last; use --channels first or --channels last (channels= in Python)"
            )
        layout = channels or ("first" if first else "last")
        return batch, (*shape[1:], shape[0]) if layout == "first" else tuple(shape), layout

    def __call__(self, images):
        if self.layout == "first":
            images = images.transpose(0, 3, 1, 2)
        elif self.layout == "none":
            images = images[..., 0]
        images = np.ascontiguousarray(images, TYPES[self.session.get_inputs()[0].type])
        if not self._answered:
            self._find_batch(images[[0, -1]])
        return self._run(images)

    def _find_batch(self, images):
        """Show it two images, to find out whether it takes them at once, and say if it does not."""
        if self.batch is None:
            try:
                fits = len(self._run(images)) == 2
            except UserError:
                fits = False
            if not fits:
                self.batch = 1
        self._run(images)
        self._answered = True
        if self.batch:
            print(f"{self.path} takes {self.batch} image{'s' * (self.batch > 1)} at a time")

    def _run(self, images):
        """Return its answers (n, ...) to images as it takes them."""
        count, at_once = len(images), self.batch or len(images)
        missing = -count % at_once  # the file takes exactly `batch` images at a time
        if missing:
            images = np.concatenate([images, np.repeat(images[-1:], missing, axis=0)])
        name = self.session.get_inputs()[0].name
        said = f"{self.path} cannot answer images of {images.shape[1:]}: ", "; is that their shape?"
        with _in_a_sentence(*said):
            parts = [
                _rows(self.session.run([self.output], {name: images[i : i + at_once]})[0])
                for i in range(0, len(images), at_once)
            ]
        return np.concatenate(parts)[:count]


def _may_be_a_row(shape):
    """Return whether an output of this shape may be one row of numbers an image, as (n, K, 1, 1).

    Sizes that the file leaves open are texts or None; the shape is [] if all is open.
    """
    return not shape or len(shape) > 1 and sum(n != 1 for n in shape[1:]) <= 1


def _rows(answer):
    """Return an answer as rows (n, K) if it is one of ZipMap, or (n, K, 1, 1) or the like."""
    if isinstance(answer, list):
        answer = np.array([list(row.values()) for row in answer])
    if answer.ndim > 2 and math.prod(answer.shape[1:]) == max(answer.shape[1:]):
        return answer.reshape(len(answer), -1)
    return answer


@contextlib.contextmanager
def _in_a_sentence(before, after):
    """Turn any error of ONNX Runtime into a UserError, with its reason between two texts."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # ONNX Runtime's error classes have no common parent
        reason = " ".join(str(error).split())[:160]
        raise UserError(f"{before}{reason}{after}") from error


def _maker(content, output):
    """Return the type of the node that makes an output of an ONNX file, such as "Sigmoid"."""
    graph = dict(fields_of(memoryview(content))).get(7, b"")  # ModelProto.graph
    for _, node in (each for each in fields_of(graph) if each[0] == 1):  # GraphProto.node
        fields = list(fields_of(node))
        if (2, output.encode()) in fields:  # NodeProto.output
            return bytes(dict(fields).get(4, b"")).decode(errors="replace")  # NodeProto.op_type
    return ""
