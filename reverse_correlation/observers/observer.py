"""What every observer can do, whatever it is made of. Imports nothing heavy."""

import copy

import numpy as np

from reverse_correlation.errors import UserError

BLOCK_IMAGES = 1000  # stimuli shown at once, where the activities of so many fit in BLOCK_BYTES
BLOCK_BYTES = 2.5e8
LEAST_PROBABILITY = 1e-30  # a probability that underflowed counts as this when it is logged
LOOK_IMAGES = 100  # answered to tell probabilities from logits


class Observer:
    """Whoever answers images: a Keras `Network`, or an `ArrayObserver` of anything else.

    Attributes:
        name: as it is called in sentences and records.
        shape: (h, w, c) of its images; None where it takes any.
        classes: how many it has.
        labels: whether it answers with nothing but the label of a class.
        meaning: what its logits are, in words.
        only: indices of the classes that are measured; empty for all.
        sha256: a hash of what it computes.
        versions: {package: version} of what decides its answers, beside TensorFlow and Keras.
        has_gradients: whether exact images can be computed.
    """

    only, labels, versions, has_gradients = (), False, {}, False

    def looked(self, noise, classes=None):
        """Return the observer, shown a little noise, so that what its answers mean is known.

        Args:
            noise: an ensemble.
            classes: how many, where it answers labels.

        Raises:
            UserError: if it does not take such images, or does not answer as a classifier does.
        """
        raise NotImplementedError

    def logits_of(self, images):
        """Return centred logits log p_k - mean log p of images, as many at once as fit.

        Args:
            images: (n, h, w, c), in the range of its input.

        Returns:
            (n, K) float32; of an observer of labels, 1 for the answer and 0 for the others.
        """
        raise NotImplementedError

    def accuracy(self, images, labels):
        """Return the share of images (n, h, w, c) that it names as their labels (n,) do.

        Raises:
            UserError: if it answers NaN or infinity.
        """
        logits = self.logits_of(images)
        refuse_nan(self.name, logits)
        return float(np.mean(logits.argmax(axis=1) == labels))

    def responses(self, layers=(), precision="float32"):
        """Return a Keras model of all that is asked; None where answers come in arrays.

        Raises:
            UserError: for layers or a precision that it does not have.
        """
        if layers:
            raise UserError(
                f"{self.name!r} is not a Keras network: its layers, such as {layers[0]!r}, cannot "
                "be tapped"
            )
        if precision != "float32":
            raise UserError(f"{self.name!r} is not a Keras network: it computes in float32 here")
        return None

    def images_that_fit(self, layers=(), gradients=False):
        """Return how many images it can be shown at once; it depends on the observer alone."""
        raise NotImplementedError

    def normalised(self, means, deviations):
        """Return the observer that is shown (image - mean) / deviation, channel by channel.

        Args:
            means, deviations: one number a channel, or one for all, in the units of its images.
        """
        raise NotImplementedError

    def convolutions(self):
        """Return the names of the convolutions whose receptive fields can be measured, in order."""
        return []

    def rescalings(self):
        """Return what its own layers do to a pixel first, in words."""
        return []

    @property
    def measured(self):
        """Indices of the classes that are measured."""
        return self.only or tuple(range(self.classes))

    def choosing(self, only):
        """Return the observer with these classes to be measured alone.

        Raises:
            UserError: if it does not have them, or one is named twice.
        """
        only = tuple(int(k) for k in only)
        odd = [k for k in only if not 0 <= k < self.classes]
        if odd or len(set(only)) < len(only):
            raise UserError(
                f"classes {', '.join(map(str, odd or only))} cannot be chosen: {self.name!r} has "
                f"{self.classes:,}, from 0 to {self.classes - 1}; name each once"
            )
        if not only:
            return self
        chosen = copy.copy(self)
        chosen.only = only
        return chosen


def refuse_nan(name, *answers):
    """Raise UserError if answers, or sums of them, are not finite."""
    if not all(np.isfinite(array).all() for array in answers):
        raise UserError(
            f"the network {name!r} answers NaN or infinity: its weights are damaged; train it again"
        )


def names_of_classes(names, classes, only=()):
    """Return the names of the classes that are measured, in their order.

    Args:
        names: of all classes, or of those that are measured; empty for their numbers.
        classes: how many there are.
        only: indices of those that are measured; empty for all.

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
            f"{len(names):,} class names for {classes:,} classes{measured}: name all classes, or "
            "those that are measured, in their order"
        )
    return tuple(map(str, names))
