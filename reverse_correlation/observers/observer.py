"""What every observer can do, whatever it is made of. This module imports nothing heavy."""

import contextlib
import copy
from collections.abc import Iterable

import numpy as np

from reverse_correlation.errors import UserError, whole_number

BLOCK_IMAGES = 1000  # stimuli shown at once, at most
BLOCK_BYTES = 2.5e8  # memory for the activities of the stimuli shown at once, at most
LOOK_IMAGES = 100  # noise images shown to learn what the answers mean,
FEW_IMAGES = 16  # and to an observer so large that it cannot be shown as many at once


class Observer:
    """Whoever answers images: a Keras `Network`, or an `ArrayObserver` for anything else.

    Attributes:
        name: what the observer is called in sentences and records.
        shape: (h, w, c) of its images; None if it takes images of any shape.
        classes: how many it has.
        class_names: what they are called; empty if it does not tell.
        labels: whether it answers only with the label of a class.
        label_kind: "exclusive" if it tells classes apart, "independent" if each of its classes is a
            label of its own, as of sigmoids; "" if its answers, or layers, tell.
        independent: whether they are, once it has looked.
        meaning: what its logits are, in words.
        first_decisions: its answers, (n,) int, to the noise that it was shown when it looked.
        only: indices of the classes that are measured; empty for all.
        sha256: a hash of what it computes.
        versions: {package: version} of what may change its answers, beside Keras and its backend.
        has_gradients: whether exact images can be computed.
        has_layers: whether it is a Keras network, whose layers can be tapped.
        device: where its tensors live, if it answers tensors and this is not Keras's own choice.
    """

    only, labels, versions, has_gradients = (), False, {}, False
    label_kind, independent, class_names = "", False, ()
    device, has_layers = None, False

    def __repr__(self):
        """Say in a line what it is shown, and how many classes it has."""
        parts = [f"images of {tuple(self.shape)}" if self.shape else "images of any shape"]
        with contextlib.suppress(UserError):  # of a network that is not a classifier
            parts += [f"{self.classes:,} classes"] if self.classes else []
        parts += [f"{len(self.only):,} of them chosen"] if self.only else []
        return f"<{type(self).__name__} {self.name!r}: {', '.join(parts)}>"

    def looked(self, noise, classes=None):
        """Show the observer a little noise, and return one that knows what its answers mean.

        Args:
            noise: an ensemble.
            classes: how many there are, if it answers labels.

        Raises:
            UserError: if it does not take such images, or does not answer as a classifier does.
        """
        raise NotImplementedError

    def logits_of(self, images):
        """Return centred logits log p_k - mean log p of images, in batches that fit in memory.

        Args:
            images: (n, h, w, c), in the range of its input.

        Returns:
            (n, K) float32; of independent labels, the log-odds log p - log(1 - p) of each; of an
            observer that answers labels alone, 1 for the answer and 0 elsewhere.
        """
        raise NotImplementedError

    def refuse_shape(self, noise):
        """Raise UserError if noise has another shape than the observer's images."""
        if tuple(self.shape) != tuple(noise.shape):
            raise UserError(
                f"the observer {self.name!r} takes images of {tuple(self.shape)}, but the noise is "
                f"{tuple(noise.shape)}: give noise of that shape"
            )

    def accuracy(self, images, labels):
        """Return the share of images (n, h, w, c) that it assigns to their labels (n,).

        Raises:
            UserError: if it answers NaN or infinity.
        """
        logits = self.logits_of(images)
        refuse_nan(self.name, logits)
        return float(np.mean(logits.argmax(axis=1) == labels))

    def responses(self, layers=(), precision="float32"):
        """Return what answers tensors with the logits and the activity of layers; None if nothing.

        It is a Keras model, or a function of (images, training).

        Raises:
            UserError: if it does not have such layers or such a precision.
        """
        if layers:
            raise UserError(
                f"{self.name!r} is not a Keras network: its layers, such as {layers[0]!r}, cannot "
                "be tapped"
            )
        if precision != "float32":
            raise UserError(
                f"{self.name!r} is not a Keras network, so it cannot be copied in {precision}: use "
                "float32"
            )
        return None

    def images_that_fit(self, layers=(), gradients=False):
        """Return how many images it can be shown at once; this depends on the observer alone."""
        raise NotImplementedError

    @property
    def is_large(self):
        """Whether it takes so long that a look is at few images."""
        return self.images_that_fit() < LOOK_IMAGES

    @property
    def look_images(self):
        """How many noise images it is shown to learn what its answers mean."""
        return min(FEW_IMAGES, self.images_that_fit()) if self.is_large else LOOK_IMAGES

    def normalised(self, means, deviations):
        """Return the observer that is shown (image - mean) / deviation, channel by channel.

        Args:
            means, deviations: one number per channel, or one for all, in the units of its images.
        """
        raise NotImplementedError

    def convolutions(self):
        """Return the names of the convolutions whose receptive fields can be measured, in order."""
        return []

    def rescalings(self):
        """Return in words how its own layers rescale a pixel."""
        return []

    @property
    def measured(self):
        """Indices of the classes that are measured."""
        return self.only or tuple(range(self.classes))

    def choosing(self, only):
        """Return the observer with only these classes to be measured; all if there are none.

        Raises:
            UserError: if it does not have them, or one is named twice.
        """
        chosen = only if isinstance(only, Iterable) else (only,)
        only = tuple(whole_number(k, "a class to measure") for k in chosen)
        unknown = [k for k in only if not 0 <= k < self.classes]
        if unknown:
            raise UserError(
                f"classes {', '.join(map(str, unknown))} cannot be chosen: {self.name!r} has "
                f"{self.classes:,}, from 0 to {self.classes - 1}"
            )
        if len(set(only)) < len(only):
            raise UserError(f"classes {', '.join(map(str, only))}: name each class once")
        if not only:
            return self
        chosen = copy.copy(self)
        chosen.only = only
        return chosen


def known_kind(label_kind):
    """Return what an observer's labels are said to be, or raise UserError if it is not known."""
    if label_kind not in ("", "independent", "exclusive"):
        raise UserError(f"labels are independent or exclusive, not {label_kind!r}")
    return label_kind


def refuse_nan(name, *answers):
    """Raise UserError if answers, or sums of them, are not finite."""
    if not all(np.isfinite(array).all() for array in answers):
        raise UserError(
            f"the observer {name!r} answers NaN or infinity: check its weights, or train it again"
        )


def names_of_classes(names, classes, only=()):
    """Return the names of the classes that are measured, in their order.

    Args:
        names: of all classes, or of the measured ones in their order; empty to use their numbers.
        classes: how many there are.
        only: indices of the measured classes; empty for all.

    Raises:
        UserError: for any other number of names.
    """
    chosen = tuple(only) or tuple(range(classes))
    if not len(names):
        return tuple(map(str, chosen))
    if len(names) == classes:
        return tuple(str(names[k]) for k in chosen)
    if len(names) != len(chosen):
        measured = f", of which {len(chosen):,} are measured" if only else ""
        raise UserError(
            f"{len(names):,} class names were given for {classes:,} classes{measured}: name all "
            "classes, or those that are measured, in their order"
        )
    return tuple(map(str, names))
