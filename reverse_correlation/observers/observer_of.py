"""Turn anything that answers images into an observer."""

import sys
from collections.abc import Iterable

import keras

from reverse_correlation.errors import UserError, whole_number
from reverse_correlation.observers.arrays import function
from reverse_correlation.observers.keras_networks import Network
from reverse_correlation.observers.observer import Observer


def is_torch_module(model):
    """Return whether something is a PyTorch module, without importing PyTorch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def observer_of(model, noise, classes=None, only=()):
    """Return an observer that has been shown a little noise and can be measured.

    Args:
        model, noise, classes, only: as for `measure`.

    Raises:
        UserError: if it does not answer images, or does not have those classes.
    """
    if isinstance(model, keras.Model):
        model = Network(model)
    elif is_torch_module(model):
        raise UserError(
            f"{type(model).__name__} is a PyTorch module, which is not shown arrays as it is: pass "
            "observers.torch(module.eval())"
        )
    elif isinstance(model, type):
        raise UserError(
            f"{model.__name__} is a class, not a network: pass one that was made, {model.__name__}"
            "(...), and trained"
        )
    elif callable(model) and not isinstance(model, Observer):
        model = function(model)
    elif not isinstance(model, Observer):
        raise UserError(
            f"an object of type {type(model).__name__} cannot be shown images: pass a Keras model, "
            "a function of arrays, or what observers.onnx, .torch or .sklearn return"
        )
    if isinstance(classes, Iterable):
        raise UserError(
            f"classes={classes!r} was given, but classes says how many there are: to choose some, "
            f"give only={classes!r}"
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
