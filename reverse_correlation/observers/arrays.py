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
import hashlib
import importlib
import inspect
import math

import numpy as np

from reverse_correlation.errors import UserError
from reverse_correlation.observers.observer import (
    BLOCK_BYTES,
    LEAST_PROBABILITY,
    LOOK_IMAGES,
    Observer,
)

IMAGES_INSIDE = 16  # an observer's largest activity is taken for 4 images, and 4 such are kept
SAME = 1e-3  # of the answers' range, by which the same image may be answered otherwise,
SAME_LABELS = 0.02  # or so many of the labels, as ties may be


class ArrayObserver(Observer):
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

    classes, meaning = None, ""

    def __init__(self, answer, name, digest="", shape=None, packages=()):
        self.answer, self.name, self.digest = answer, name, digest
        self.shape, self.packages = shape, tuple(packages)

    def looked(self, noise, classes=None):
        """Show it a little noise, and return an observer that knows what its answers mean.

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

    def logits_of(self, images):
        """Return centred logits of images; see Observer.

        Raises:
            UserError: for an answer of another shape than at first.
        """
        size = self.images_that_fit()
        parts = [self._logits(images[i : i + size]) for i in range(0, len(images), size)]
        return np.concatenate(parts)

    def _logits(self, images):
        """Return centred logits of images shown at once: (n, K) float32."""
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


class _Normalised:
    """An answer to (image - mean) / std."""

    def __init__(self, answer, mean, std):
        self.answer, self.mean, self.std = answer, mean, std

    def __call__(self, images):
        return self.answer((images - self.mean) / self.std)


def _digest_of_answers(answer, name, rows):
    """Return a hash of a function's name, its text, and whatever last digits do not change."""
    text = _text_of(answer)
    decided = rows if rows.ndim == 1 else np.append(rows.argmax(axis=0), rows.argmax(axis=1))
    return hashlib.sha256(f"{name} {text} {decided.tolist()}".encode()).hexdigest()


def _text_of(answer):
    """Return the text of a function, and what it is shown; "" where it has none."""
    if isinstance(answer, _Normalised):
        shown = [np.ravel(values).tolist() for values in (answer.mean, answer.std)]
        return f"{_text_of(answer.answer)} {shown}"
    try:
        return inspect.getsource(answer)
    except (OSError, TypeError):
        return ""


def function(answer, name=None):
    """Return an observer of any function of images (n, h, w, c) float32; see `ArrayObserver`.

    Two functions are told apart by their names, their texts, and which noise they answer how.
    """
    name = name or getattr(answer, "__qualname__", type(answer).__qualname__)
    return ArrayObserver(answer, name)


def library(module, title, extra):
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
