"""Classifiers other than Keras models, as functions of arrays; their layers cannot be tapped."""

import contextlib
import copy
import functools
import hashlib
import importlib
import inspect
import math

import numpy as np
from keras import ops

from reverse_correlation.errors import UserError
from reverse_correlation.observers.answers import read, refuse_changing
from reverse_correlation.observers.observer import BLOCK_BYTES, Observer, known_kind

IMAGES_INSIDE = 16  # memory assumed per image, in images: four activities, each of four images


class ArrayObserver(Observer):
    """A classifier of arrays; see `onnx`, `torch`, `sklearn` and `function`.

    `classes`, `labels` and `meaning` are known once the observer has `looked`.

    Args:
        answer: a function of images (n, h, w, c) float32 to logits or probabilities (n, K), to
            one logit or probability (n, 1), or to labels (n,).
        name: what the observer is called in sentences and records.
        sha256: a hash of what it is made of, by default of its name and its source text; once it
            has looked, its answers to noise are part of it.
        shape: (h, w, c) of its images; None if it takes images of any shape.
        packages: names of the packages whose versions may change its answers.
        labels: "independent" or "exclusive", if the answers do not tell; see `Observer.label_kind`.
    """

    classes, meaning = None, ""
    _seen = None  # the range of the noise at which it has looked

    def __init__(self, answer, name, sha256="", shape=None, packages=(), labels=""):
        self.answer, self.name, self.sha256, self.given = answer, name, sha256, sha256
        self.label_kind = known_kind(labels)
        self.shape, self.packages = shape, tuple(packages)
        self.text = ""
        with contextlib.suppress(OSError, TypeError):  # no text is known
            self.text = inspect.getsource(answer)

    def looked(self, noise, classes=None):
        """Show it a little noise; see Observer.

        Raises:
            UserError: if it takes images of another shape, answers anything but rows of numbers
                or labels, answers NaN, or answers the same image differently the second time.
        """
        if self.shape:
            self.refuse_shape(noise)
        range_of_input = noise.low, noise.high
        if self._seen == range_of_input and classes in (None, self.classes):
            return self
        seen = copy.copy(self)
        seen.shape, seen.classes, seen._seen = tuple(noise.shape), classes, range_of_input
        images = ops.convert_to_numpy(noise.draw(0, 0, seen.look_images))
        first = seen._rows(images)
        if not np.isfinite(first).all():
            raise UserError(f"the observer {self.name!r} answers NaN or infinity to noise")
        middle = len(images) // 2
        refuse_changing(self.name, first[middle:], seen._rows(images[middle:]))
        seen.labels, seen.meaning, decided = True, "none: it answers labels alone", first
        seen.first_decisions = first
        if first.ndim == 2:
            seen.labels, seen._columns = False, first.shape[1]
            seen._reading = read(first, self.label_kind)
            seen.independent, seen.meaning = (
                seen._reading.independent,
                seen._reading.meaning(first.shape[1]),
            )
            seen.classes = max(2, first.shape[1])
            seen.first_decisions = seen._reading.logits(first).argmax(axis=1)
            decided = np.append(first.argmax(axis=0), first.argmax(axis=1))  # no last digits
        # what it is made of may not say all that it computes, as an attribute that chooses a task
        identity = f"{self.given or f'{self.name} {self.text}'} {decided.tolist()}"
        seen.sha256 = hashlib.sha256(identity.encode()).hexdigest()
        return seen

    def _rows(self, images):
        """Return its answers unchanged: (n, K) float32, or (n,) integer labels."""
        rows = self.answer(images)
        if hasattr(rows, "detach"):  # a tensor of PyTorch, with its gradients and device
            rows = rows.detach().cpu()
        rows = one_row_an_image(np.asarray(rows))
        expected = f"expected ({len(images)}, K) logits or probabilities"
        if rows.shape[:1] != (len(images),) or rows.ndim > 2 or not rows.size:
            raise UserError(
                f"the observer {self.name!r} answers an array of {rows.shape} to {len(images)} "
                f"images: {expected}, or ({len(images)},) labels"
            )
        if rows.dtype.kind not in "fiub":
            raise UserError(
                f"the observer {self.name!r} answers arrays of {rows.dtype}: expected numbers"
            )
        if rows.ndim == 2:
            return rows.astype(np.float32, copy=False)
        if self.classes is None:
            raise UserError(
                f"the observer {self.name!r} answers one number per image: if these are labels, "
                f"say how many classes there are (classes=K); otherwise {expected}, or "
                f"({len(images)}, 1)"
            )
        if not (np.isin(rows, np.arange(self.classes))).all():
            raise UserError(
                f"the observer {self.name!r} answers labels such as {rows.min()} and {rows.max()}: "
                f"expected whole numbers from 0 to {self.classes - 1}"
            )
        return rows.astype(int)

    def logits_of(self, images):
        """Return centred logits of images; see Observer."""
        parts = np.array_split(images, -(-len(images) // self.images_that_fit()))
        return np.concatenate([self._logits(part) for part in parts])

    def _logits(self, images):
        """Return centred logits of images shown at once: (n, K) float32."""
        rows = self._rows(images)
        if self.labels:
            return np.eye(self.classes, dtype=np.float32)[rows]
        self.refuse_columns(rows.shape[1])
        return self._reading.logits(rows)

    def refuse_columns(self, columns):
        """Raise UserError if it answers another number of columns than at first."""
        if columns != self._columns:
            raise UserError(
                f"the observer {self.name!r} answers {columns} numbers per image, but at first "
                f"answered {self._columns}"
            )

    def normalised(self, means, deviations):
        """Return the observer that is shown (image - mean) / deviation; see Observer."""
        how = f"{np.ravel(means).tolist()} {np.ravel(deviations).tolist()}"
        changed, by = copy.copy(self), (np.float32(means), np.float32(deviations))
        changed._seen = None
        changed.answer = functools.partial(_answer_normalised, self.answer, *by)
        changed.text = f"{self.text} {[np.ravel(values).tolist() for values in by]}"
        if self.given:
            digest = hashlib.sha256(f"{self.sha256} {how}".encode()).hexdigest()
            changed.sha256 = changed.given = digest
        return changed

    @property
    def versions(self):
        """The versions of the packages that may change its answers."""
        return {name: importlib.import_module(name).__version__ for name in self.packages}

    def images_that_fit(self, layers=(), gradients=False):
        """Return how many images it can be shown at once; see Observer."""
        return max(1, int(BLOCK_BYTES // (4 * IMAGES_INSIDE * math.prod(self.shape))))


def one_row_an_image(answers):
    """Return answers (n, K, 1, 1), as of the last layer of a detector, as (n, K); others as is."""
    if len(answers.shape) > 2 and math.prod(answers.shape[1:]) == max(answers.shape[1:]):
        return answers.reshape(len(answers), -1)
    return answers


def _answer_normalised(answer, means, deviations, images):
    count, height, width, channels = images.shape
    # a row of pixels at once: by the three channels of each, NumPy takes four times as long
    means, deviations = (np.tile(np.broadcast_to(v, channels), width) for v in (means, deviations))
    shown = images.reshape(count, height, -1) - means
    shown /= deviations
    return answer(shown.reshape(images.shape))


def function(answer, name=None, labels=""):
    """Return the observer of a function of images (n, h, w, c) float32; see `ArrayObserver`.

    Two functions are told apart by their names, their source text and their answers to noise.
    """
    name = name or getattr(answer, "__qualname__", type(answer).__qualname__)
    return ArrayObserver(answer, name, labels=labels)


def library(module, title, extra):
    """Import an optional package, or raise UserError if it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            f"{title} is not installed: pip install '.[{extra}]' (or pip install {module})"
        ) from error
