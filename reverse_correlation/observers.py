"""Classifiers that are no Keras models: functions of arrays, PyTorch, ONNX files, scikit-learn.

    measure(observers.onnx("net.onnx"), noise, 10_000)
    measure(observers.torch(module), noise, 10_000)
    measure(observers.sklearn(estimator), noise, 10_000)
    measure(function, noise, 10_000)                        # (n, h, w, c) to (n, K)
    measure(function_that_answers_labels, noise, 10_000, classes=10)

They are shown the same noise as a Keras network, block by block, and the same sums are kept of
their answers. What is inside them cannot be tapped.
"""

import copy
import functools
import hashlib
import importlib
import inspect
import math
import os
from pathlib import Path

import numpy as np

from reverse_correlation.errors import UserError
from reverse_correlation.networks import BLOCK_BYTES, LEAST_PROBABILITY, LOOK_IMAGES

IMAGES_INSIDE = 16  # an observer's largest activity is taken for 4 images, and 4 such are kept
SAME = 1e-3  # of the answers' range, by which the same image may be answered otherwise,
SAME_LABELS = 0.02  # or so many of the labels, as ties may be
TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}


class Observer:
    """A classifier that is asked in arrays; see `onnx`, `torch`, `sklearn` and `function`.

    Args:
        answer: a function of images (n, h, w, c) float32 to logits or probabilities (n, K), to
            one logit or probability (n, 1), or to labels (n,).
        name: as it is called in sentences and records.
        digest: a hash of what it computes; by default of its name, its text and what it answers.
        shape: (h, w, c) of its images; None where it takes any.
        packages: whose versions decide what it answers.

    Attributes:
        classes: how many it has, `labels` whether it answers nothing else than one of them, and
            `meaning` what it answers in words; known once it `looked`.
        only: indices of the classes that are measured; empty for all.
    """

    only, classes, labels, meaning = (), None, False, ""

    def __init__(self, answer, name, digest="", shape=None, packages=()):
        self.answer, self.name, self.digest = answer, name, digest
        self.shape, self.packages = shape, tuple(packages)

    def looked(self, noise, classes=None):
        """Show it a little noise, and return an Observer that knows what its answers mean.

        Rows from 0 up that sum to 1 are probabilities, other rows are logits; a single column is
        two classes.

        Args:
            noise: an ensemble.
            classes: how many, where it answers labels.

        Raises:
            UserError: if it takes images of another shape, answers something else than rows of
                numbers or labels, NaN, or not the same for the same image.
        """
        if self.shape and tuple(noise.shape) != tuple(self.shape):
            raise UserError(
                f"the network {self.name!r} takes images of {tuple(self.shape)}, but the noise is "
                f"{tuple(noise.shape)}"
            )
        seen = copy.copy(self)
        seen.shape, seen.classes = tuple(noise.shape), classes
        images = noise.draw(0, 0, min(LOOK_IMAGES, seen.images_that_fit())).numpy()
        first = seen._rows(images)
        if not np.isfinite(first).all():
            raise UserError(f"the network {self.name!r} answers NaN or infinity to noise")
        middle = len(images) // 2
        again = [seen._rows(part) for part in (images[middle:], images[:middle]) if len(part)]
        again = np.concatenate(again[::-1])
        differing = np.abs(again - first).max() > SAME * np.ptp(first)
        if first.ndim == 1:
            differing = np.mean(again != first) > SAME_LABELS
        if differing:
            raise UserError(
                f"the network {self.name!r} answers the same images otherwise the second time, in "
                "smaller batches: it is random or in training mode; switch dropout and batch "
                "statistics off (of a PyTorch module by module.eval())"
            )
        seen._understand(first)
        seen.digest = self.digest or _digest_of_answers(self.answer, self.name, first)
        return seen

    def _understand(self, rows):
        """Say what rows of answers mean, (n, K) or labels (n,)."""
        self.labels = rows.ndim == 1
        if self.labels:
            self.meaning = "none: it answers labels alone"
            return
        self._single = rows.shape[1] == 1
        self.classes = 2 if self._single else rows.shape[1]
        unit = rows.min() >= 0 and rows.max() <= 1
        self._probabilities = unit and (self._single or np.allclose(rows.sum(axis=1), 1, atol=1e-3))
        what = "probability" if self._probabilities else "logit"
        self.meaning = f"centred, from its {what.replace('probability', 'probabilitie')}s"
        if self._single:
            self.meaning = f"one {what} counts as two classes"

    def _rows(self, images):
        """Return its answers as they are: (n, K) float32, or (n,) integer labels.

        Raises:
            UserError: for an array of another shape, or labels that are none.
        """
        rows = np.asarray(self.answer(images))
        expected = f"expected ({len(images)}, K) logits or probabilities"
        if rows.shape[:1] != (len(images),) or rows.ndim > 2 or not rows.size:
            raise UserError(
                f"the network {self.name!r} answers an array of {rows.shape} to {len(images)} "
                f"images: {expected}, or ({len(images)},) labels"
            )
        if rows.dtype.kind not in "fiub":
            raise UserError(f"the network {self.name!r} answers {rows.dtype}, no numbers")
        if rows.ndim == 2:
            return rows.astype(np.float32, copy=False)
        if self.classes is None:
            raise UserError(
                f"the network {self.name!r} answers one number an image: if they are labels, say "
                f"how many classes there are (classes=K); else {expected}, or ({len(images)}, 1)"
            )
        if not (np.isin(rows, np.arange(self.classes))).all():
            raise UserError(
                f"the network {self.name!r} answers labels such as {rows.min()} and {rows.max()}: "
                f"expected whole numbers from 0 to {self.classes - 1}"
            )
        return rows.astype(int)

    def logits(self, images):
        """Return centred logits of images: (n, K) float32; of labels, 1 for the answer and 0.

        Raises:
            UserError: for an answer of another shape than at first.
        """
        rows = self._rows(images)
        if self.labels:
            return np.eye(self.classes, dtype=np.float32)[rows]
        if rows.shape[1] != (1 if self._single else self.classes):
            raise UserError(
                f"the network {self.name!r} answers {rows.shape[1]} numbers an image, and at "
                f"first {self.classes}"
            )
        if self._probabilities:
            complement = np.log(np.maximum(1 - rows, LEAST_PROBABILITY)) if self._single else 0
            rows = np.log(np.maximum(rows, LEAST_PROBABILITY)) - complement
        if self._single:
            return np.concatenate([-rows / 2, rows / 2], axis=1)
        return rows - rows.mean(axis=1, keepdims=True)

    def normalised(self, mean, std):
        """Return the observer that is shown (image - mean) / std, channel by channel.

        Args:
            mean, std: a number each, or one a channel, in the units of the noise.
        """
        told = f"{self.digest} {np.ravel(mean).tolist()} {np.ravel(std).tolist()}"
        changed = copy.copy(self)
        changed.answer = _Normalised(self.answer, np.float32(mean), np.float32(std))
        changed.digest = self.digest and hashlib.sha256(told.encode()).hexdigest()
        return changed

    # ------------------------------------------------------- what a pass asks of any network

    @property
    def measured(self):
        """Indices of the classes that are measured."""
        return self.only or tuple(range(self.classes))

    @property
    def sha256(self):
        """A hash of what it computes."""
        return self.digest

    @property
    def versions(self):
        """The versions of the packages that decide what it answers."""
        return {name: importlib.import_module(name).__version__ for name in self.packages}

    def images_that_fit(self, layers=(), gradients=False):
        """Return how many images it can be shown at once, from their size alone."""
        return max(1, int(BLOCK_BYTES // (4 * IMAGES_INSIDE * math.prod(self.shape))))

    def convolutions(self):
        """Return the names of convolutions that can be measured: none."""
        return []

    def rescalings(self):
        """Return what its own layers do to a pixel, in words: not known."""
        return []

    def refuse_what_it_lacks(self, layers, precision):
        """Raise UserError for layers, or another precision than its own."""
        if layers:
            raise UserError(
                f"the network {self.name!r} is no Keras model: its layers, such as {layers[0]!r}, "
                "cannot be tapped"
            )
        if precision != "float32":
            raise UserError(
                f"the network {self.name!r} is no Keras model: it has no {precision} here"
            )


class _Normalised:
    """An answer to (image - mean) / std."""

    def __init__(self, answer, mean, std):
        self.answer, self.mean, self.std = answer, mean, std

    def __call__(self, images):
        return self.answer((images - self.mean) / self.std)


def _digest_of_answers(answer, name, rows):
    """Return a hash of a function's name, its text, and whatever last digits do not change."""
    try:
        text = inspect.getsource(answer)
    except (OSError, TypeError):
        text = ""
    decided = rows if rows.ndim == 1 else np.append(rows.argmax(axis=0), rows.argmax(axis=1))
    return hashlib.sha256(f"{name} {text} {decided.tolist()}".encode()).hexdigest()


# ----------------------------------------------------------------------- kinds of observers


def function(answer, name=None):
    """Return an Observer of any function of images (n, h, w, c) float32; see `Observer`.

    Two functions are told apart by their names, their texts, and which noise they answer how.
    """
    name = name or getattr(answer, "__qualname__", type(answer).__qualname__)
    return Observer(answer, name)


def torch(module, channels_first=True, name=None):
    """Return an Observer of a PyTorch module, which computes where its parameters are.

    Args:
        module: takes (n, c, h, w) and answers logits or probabilities (n, K). Its mode is left as
            it is: `module.eval()` is yours to call, and forgetting it is noticed.
        channels_first: False for a module that takes (n, h, w, c).
        name: by default that of its class.

    Raises:
        UserError: if PyTorch is not installed.
    """
    _library("torch", "PyTorch", "torch")
    digest = hashlib.sha256(repr(module).encode())
    for key, tensor in module.state_dict().items():
        digest.update(key.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    digest.update(str(channels_first).encode())
    answer = _Torch(module, channels_first)
    return Observer(answer, name or type(module).__name__, digest.hexdigest(), None, ["torch"])


class _Torch:
    """What a PyTorch module answers to arrays."""

    def __init__(self, module, channels_first):
        self.module, self.channels_first = module, channels_first

    def __call__(self, images):
        library = _library("torch", "PyTorch", "torch")
        parameter = next(iter(self.module.parameters()), library.zeros(()))
        if self.channels_first:
            images = images.transpose(0, 3, 1, 2)
        with library.inference_mode():
            shown = library.from_numpy(np.array(images, order="C"))
            shown = shown.to(device=parameter.device, dtype=parameter.dtype)
            return self.module(shown).float().cpu().numpy()


def sklearn(estimator, name=None):
    """Return an Observer of a fitted scikit-learn classifier of flattened images.

    It is asked for `predict_proba`, or for `decision_function` where it has no probabilities.
    Class k is `estimator.classes_[k]`.

    Raises:
        UserError: if it has neither.
    """
    asked = next((m for m in ("predict_proba", "decision_function") if hasattr(estimator, m)), None)
    if asked is None:
        raise UserError(
            f"{type(estimator).__name__} has neither predict_proba nor decision_function: hand "
            "over a function that answers labels, lambda x: estimator.predict(...), and classes=K"
        )
    digest = _library("joblib", "joblib", "").hash(estimator) + asked
    answer = _Sklearn(estimator, asked)
    return Observer(answer, name or type(estimator).__name__, digest, None, ["sklearn"])


class _Sklearn:
    """What a scikit-learn classifier answers to images, flattened."""

    def __init__(self, estimator, asked):
        self.estimator, self.asked = estimator, asked

    def __call__(self, images):
        wanted = getattr(self.estimator, "n_features_in_", None)
        if wanted not in (None, math.prod(images.shape[1:])):
            raise UserError(
                f"{type(self.estimator).__name__} was fitted to {wanted} numbers an image, but the "
                f"noise has {math.prod(images.shape[1:])}, of {images.shape[1:]}"
            )
        answers = getattr(self.estimator, self.asked)(images.reshape(len(images), -1))
        return answers[:, None] if answers.ndim == 1 else answers  # two classes


def onnx(path, channels=None, name=None):
    """Return an Observer of an ONNX file, which ONNX Runtime computes on the CPU.

    Args:
        path: of the file; one input of images, and one output (n, K) of numbers.
        channels: "first" or "last", where the shape of the input does not tell.
        name: by default the file's.

    Raises:
        UserError: if ONNX Runtime is not installed, the file is damaged, takes or answers something
            else, or its shape does not tell where the channels are.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no file {path}: name a network saved as .onnx")
    content = path.read_bytes()
    answer = _Onnx(content, str(path), channels)
    digest = hashlib.sha256(content + answer.layout.encode()).hexdigest()
    return Observer(answer, name or path.stem, digest, answer.shape, ["onnxruntime"])


class _Onnx:
    """What an ONNX file answers to arrays. It travels as the bytes of the file.

    Attributes:
        shape: (h, w, c) of its images; None where the file leaves it open.
        layout: "first", "last" or "none": where channels are.
    """

    def __init__(self, content, path, channels=None):
        self.content, self.path = content, path
        self.output = self._one_output()
        self.batch, self.shape, self.layout = self._input(channels)

    def __getstate__(self):
        return {key: value for key, value in vars(self).items() if key != "session"}

    @functools.cached_property
    def session(self):
        """ONNX Runtime's session, on as many threads as this process has cores."""
        runtime = _library("onnxruntime", "ONNX Runtime", "onnx")
        options = runtime.SessionOptions()
        options.log_severity_level = 4
        if hasattr(os, "sched_getaffinity"):
            options.intra_op_num_threads = len(os.sched_getaffinity(0))
        try:
            return runtime.InferenceSession(self.content, options, ["CPUExecutionProvider"])
        except Exception as error:  # of its own classes, which have no common parent
            reason = " ".join(str(error).split())[:160]
            raise UserError(f"{self.path} cannot be read as an ONNX network: {reason}") from error

    def _one_output(self):
        """Return the name of the output of numbers, (n, K)."""
        rows = [each for each in self.session.get_outputs() if "float" in each.type]
        rows = [each for each in rows if len(each.shape) == 2] or rows
        if len(rows) != 1 or len(rows[0].shape) != 2:
            told = ", ".join(f"{o.name} {o.shape}" for o in self.session.get_outputs())
            raise UserError(f"{self.path} answers {told}: expected one output (n, K) of numbers")
        return rows[0].name

    def _input(self, channels):
        """Return (images at once or None, (h, w, c) or None, layout) of the only input."""
        inputs = self.session.get_inputs()
        told = ", ".join(f"{each.name} {each.shape} {each.type}" for each in inputs)
        if len(inputs) != 1 or len(inputs[0].shape) not in (3, 4) or inputs[0].type not in TYPES:
            raise UserError(
                f"{self.path} takes {told}: expected one input of images, (n, h, w, c) or "
                "(n, c, h, w), of floating-point numbers"
            )
        batch, *shape = [n if isinstance(n, int) and n > 0 else None for n in inputs[0].shape]
        if len(shape) == 2:
            return batch, None if None in shape else (*shape, 1), "none"
        first, last = (n in (1, 3) for n in (shape[0], shape[2]))
        if channels is None and first == last:
            raise UserError(
                f"{self.path} takes {told}: its shape does not tell whether channels come first or "
                "last; say so by --channels first or --channels last (channels= in Python)"
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
        if self.batch in (None, len(images)):
            return self.session.run([self.output], {given.name: images})[0]
        missing = -len(images) % self.batch  # the file takes so many at once, and no other number
        images = np.concatenate([images, np.repeat(images[-1:], missing, axis=0)])
        parts = [
            self.session.run([self.output], {given.name: images[i : i + self.batch]})[0]
            for i in range(0, len(images), self.batch)
        ]
        return np.concatenate(parts)[: len(images) - missing]


def _library(module, title, extra):
    """Import a package that few need.

    Raises:
        UserError: if it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            f"{title} is not installed: pip install '.[{extra}]' (or pip install {module})"
        ) from error
