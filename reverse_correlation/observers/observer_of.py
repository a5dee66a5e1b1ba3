"""Turn anything that answers images into an observer."""

import keras

from reverse_correlation.errors import UserError, whole_number
from reverse_correlation.observers.arrays import function
from reverse_correlation.observers.keras_networks import Network
from reverse_correlation.observers.observer import Observer


def observer_of(model, noise, classes=None, only=()):
    """Return an observer that has been shown a little noise and can be measured.

    Args:
        model, noise, classes, only: as for `measure`.

    Raises:
        UserError: if it does not answer images, or does not have those classes.
    """
    if isinstance(model, keras.Model):
        model = Network(model)
    elif callable(model) and not isinstance(model, Observer):
        model = function(model)
    elif not isinstance(model, Observer):
        raise UserError(
            f"an object of type {type(model).__name__} cannot be shown images: pass a Keras model, "
            "a function of arrays, or what observers.onnx, .torch or .sklearn return"
        )
    if classes is not None:
        classes = whole_number(classes, "the number of classes")
    observer = model.looked(noise, classes)
    if classes not in (None, observer.classes):
        raise UserError(
            f"the observer {observer.name!r} has {observer.classes:,} classes, not {classes:,}: "
            "leave classes out"
        )
    return observer.choosing(only)
